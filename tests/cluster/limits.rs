//! How far a count may stray from its expectation before a test calls it wrong.

use std::ops::RangeInclusive;
use std::sync::atomic::{AtomicU32, Ordering};

/// How many checks one run of the tests makes at most. Together they hold in 99.9 % of all runs.
const CHECKS: u32 = 28;
/// The two-sided normal quantile of 0.1 % / CHECKS.
const QUANTILE: f64 = 4.134;

static MADE: AtomicU32 = AtomicU32::new(0);

/// The counts between which a binomial draw falls, so widely that all checks of a run together hold in 99.9 % of runs:
/// the normal limits of Bonferroni's share, widened by the continuity correction.
pub fn binomial_999(n: u64, p: f64) -> RangeInclusive<u64> {
    let made = MADE.fetch_add(1, Ordering::Relaxed) + 1;
    assert!(made <= CHECKS, "more than {CHECKS} checks in a run: raise CHECKS and its quantile");
    let n = n as f64;
    let half = QUANTILE * (n * p * (1.0 - p)).sqrt() + 0.5;
    ((n * p - half).floor().max(0.0) as u64)..=((n * p + half).ceil() as u64)
}
