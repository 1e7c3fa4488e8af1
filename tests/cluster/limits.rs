//! How far a count may stray from its expectation before a test calls it wrong.

use std::ops::RangeInclusive;

/// The counts between which 99.9 % of all draws fall: the normal limits, widened by the continuity correction.
pub fn binomial_999(n: u64, p: f64) -> RangeInclusive<u64> {
    let n = n as f64;
    let half = 3.2905 * (n * p * (1.0 - p)).sqrt() + 0.5;
    ((n * p - half).floor().max(0.0) as u64)..=((n * p + half).ceil() as u64)
}
