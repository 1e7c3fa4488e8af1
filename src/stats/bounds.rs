//! Which bucket bounds the latency judge tests, and what it compares at each.
//!
//! Bounds are chosen once, by stable's requests before the rollout: where too few or nearly all are slower, a bound says
//! little. With classic buckets both arms are compared at the same bound, and a tolerance on the duration cannot be honored:
//! up to 1.25 times as many slow requests are accepted. Exponential buckets of native histograms can: the canary's requests
//! above bound i are compared with stable's above bound i - s, where s bounds are at most the tolerance.

use serde::{Deserialize, Serialize};

use super::counts::Counts;
use super::histogram::{Histogram, bound_at, growth, index_of};

/// Bounds that are tested at most: of more, as many are picked evenly.
pub const MOST_BOUNDS: usize = 8;
/// Requests of stable that bounds are chosen by at least.
pub const FEWEST_REQUESTS: u64 = 100;
/// The share of stable's requests above a tested bound of classic buckets.
const CLASSIC_TAILS: std::ops::RangeInclusive<f64> = 0.0005..=0.6;
/// The same with exponential buckets.
const NATIVE_TAILS: std::ops::RangeInclusive<f64> = 0.0005..=0.5;
/// How many times as many slow requests as stable's are accepted where the tolerance is not in the bounds.
const SLOWER: f64 = 1.25;
/// Without an SLO a Pass is about the bound that nearly this share of stable's requests exceeds.
const PASS_TAIL: f64 = 0.05;

/// How much slower the canary may be, 0.2 for 20 %, in bounds of a schema. 0: less than one bound.
#[must_use]
pub fn shift(tolerance: f64, schema: i32) -> f64 {
    // A tolerance of exactly one bound is one bound.
    (tolerance.max(0.0).ln_1p() / growth(schema).ln() + 1e-9).floor()
}

/// A bound of the buckets, and what share of stable's requests was above its counterpart before the rollout.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Bound {
    /// The canary's bound, in the unit of the buckets.
    pub at: f64,
    /// Stable's share above the bound that it is compared with, 0 to 1.
    pub before: f64,
}

/// What was chosen. Bounds are in the unit of the buckets, ascending.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Bounds {
    /// The schema of exponential buckets; `None` for bounds that the user chose.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub schema: Option<i32>,
    /// Those that are tested.
    pub tested: Vec<Bound>,
    /// The one that a Pass is about.
    pub pass: Option<Bound>,
    /// All that are read: those, and their neighbors, between which quantiles are interpolated.
    pub read: Vec<f64>,
}

/// What is compared at one bound.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Pair {
    /// The canary's requests above this are slow.
    pub canary: f64,
    /// Stable's above this.
    pub stable: f64,
    /// Up to this many times stable's share is accepted.
    pub r0: f64,
}

impl Bounds {
    /// By stable's requests before the rollout, with the SLO's bound where there is one. `None`: no bound says anything.
    #[must_use]
    pub fn choose(history: &Histogram, tolerance: f64, slo: Option<f64>) -> Option<Bounds> {
        let schema = history.schema();
        let (candidates, tails) = match schema {
            Some(schema) => (every_second(history, schema), NATIVE_TAILS),
            None => (history.bounds(), CLASSIC_TAILS),
        };
        let says = |bound: &f64| history.share_above(*bound).is_some_and(|share| tails.contains(&share));
        let tested = evenly(candidates.iter().copied().filter(says).collect(), MOST_BOUNDS);
        let (first, last) = (*tested.first()?, *tested.last()?);
        let pass = slo.map_or_else(|| nearest(&tested, history), |under| at_least(&candidates, schema, under));
        let mut read = tested.clone();
        read.extend(candidates.iter().copied().rfind(|bound| *bound < first));
        read.extend(candidates.iter().copied().find(|bound| *bound > last));
        read.extend(pass);
        read.sort_by(f64::total_cmp);
        read.dedup();
        let mut bounds = Bounds { schema, read, ..Bounds::default() };
        let with = |at: f64, pair: Pair| Bound { at, before: history.share_above(pair.stable).unwrap_or(0.0) };
        bounds.tested = tested.into_iter().map(|at| with(at, bounds.pair(at, tolerance, schema))).collect();
        bounds.pass = pass.map(|at| with(at, bounds.pair(at, 0.0, schema)));
        Some(bounds)
    }

    /// What is compared at a bound in a window whose buckets have this schema: a coarser one's next bound takes its place.
    #[must_use]
    pub fn pair(&self, at: f64, tolerance: f64, schema: Option<i32>) -> Pair {
        let Some(chosen) = self.schema else { return Pair { canary: at, stable: at, r0: SLOWER } };
        let schema = schema.unwrap_or(chosen).min(chosen);
        let (index, shift) = (index_of(schema, at), shift(tolerance, schema));
        let r0 = if shift > 0.0 { 1.0 } else { SLOWER };
        Pair { canary: bound_at(schema, index), stable: bound_at(schema, index - shift), r0 }
    }

    /// The counts of slow requests at a bound, and the accepted ratio; `None` where the buckets of an arm do not show them.
    #[must_use]
    pub fn slow(&self, at: f64, tolerance: f64, [canary, stable]: [&Histogram; 2]) -> Option<(Counts, f64)> {
        let schemas = canary.schema().into_iter().chain(stable.schema());
        let pair = self.pair(at, tolerance, schemas.min());
        let (kc, kb) = (canary.above(pair.canary)?, stable.above(pair.stable)?);
        Some((Counts { kc, nc: canary.total(), kb, nb: stable.total() }, pair.r0))
    }
}

/// Every second bound from below stable's fastest requests to above its slowest: those that half the resolution has, too.
fn every_second(history: &Histogram, schema: i32) -> Vec<f64> {
    let edges = history.bounds();
    let index = |edge: Option<&f64>| edge.map_or(0.0, |edge| index_of(schema, *edge));
    let (low, high) = (index(edges.first()), index(edges.last()));
    let even = (low / 2.0).floor() * 2.0;
    let steps = ((high - even) / 2.0).clamp(0.0, 4096.0) as u32 + 1;
    (0..=steps).map(|step| bound_at(schema, even + 2.0 * f64::from(step))).collect()
}

/// So many of them, the first and the last among them.
fn evenly(bounds: Vec<f64>, most: usize) -> Vec<f64> {
    if bounds.len() <= most {
        return bounds;
    }
    let place = |step: usize| (step as f64 * (bounds.len() - 1) as f64 / (most - 1) as f64).round() as usize;
    (0..most).filter_map(|step| bounds.get(place(step)).copied()).collect()
}

/// The smallest bound that is at least this.
fn at_least(bounds: &[f64], schema: Option<i32>, least: f64) -> Option<f64> {
    match schema {
        Some(schema) => Some(bound_at(schema, index_of(schema, least))),
        None => bounds.iter().copied().find(|bound| *bound >= least * (1.0 - 1e-9)),
    }
}

fn nearest(tested: &[f64], history: &Histogram) -> Option<f64> {
    let distance = |bound: &f64| (history.share_above(*bound).unwrap_or(1.0) / PASS_TAIL).ln().abs();
    tested.iter().copied().min_by(|one, other| distance(one).total_cmp(&distance(other)))
}

#[cfg(test)]
mod tests {
    use super::super::histogram::Bucket;
    use super::*;

    fn classic(counts: &[(f64, u64)]) -> Histogram {
        Histogram::cumulative(counts.iter().copied()).unwrap()
    }

    fn stable() -> Histogram {
        classic(&[(0.05, 1_000), (0.1, 6_000), (0.25, 9_700), (0.5, 9_990), (1.0, 10_000), (f64::INFINITY, 10_000)])
    }

    /// 1,000 requests in each bucket of an octave, then one slow one.
    fn native(schema: i32) -> Histogram {
        native_with(schema, 1_000)
    }

    fn native_with(schema: i32, each: u64) -> Histogram {
        let bucket = |index: i32, count| Bucket {
            lo: bound_at(schema, f64::from(index - 1)),
            hi: bound_at(schema, f64::from(index)),
            count,
        };
        let octave = 1 << schema;
        Histogram::new((-4 * octave..-3 * octave).map(|index| bucket(index, each)).chain([bucket(octave, 1)]))
    }

    #[test]
    fn classic_bounds_are_those_that_some_but_not_most_exceed() {
        let bounds = Bounds::choose(&stable(), 0.2, None).unwrap();
        let at: Vec<f64> = bounds.tested.iter().map(|bound| bound.at).collect();
        assert_eq!((at, bounds.schema), (vec![0.1, 0.25, 0.5], None));
        assert_eq!(bounds.read, [0.05, 0.1, 0.25, 0.5, 1.0], "with their neighbors, for quantiles");
        assert!((bounds.tested[1].before - 0.03).abs() < 1e-12);
        assert_eq!(bounds.pass.unwrap().at, 0.25, "3 % is nearest to 5 %");
        assert_eq!(bounds.pair(0.25, 0.2, None), Pair { canary: 0.25, stable: 0.25, r0: 1.25 });
    }

    #[test]
    fn the_slo_bound_is_the_next_one_above() {
        let pass = |under| Bounds::choose(&stable(), 0.2, Some(under)).unwrap().pass.map(|bound| bound.at);
        assert_eq!((pass(0.3), pass(0.25), pass(1.0), pass(2.0)), (Some(0.5), Some(0.25), Some(1.0), None));
        let native = Bounds::choose(&native(3), 0.2, Some(0.3)).unwrap();
        assert_eq!(native.pass.unwrap().at, bound_at(3, -13.0));
    }

    #[test]
    fn without_a_bound_that_says_something_there_is_none() {
        for counts in [[(0.1, 0), (f64::INFINITY, 500)], [(9.0, 500), (f64::INFINITY, 500)]] {
            assert_eq!(Bounds::choose(&classic(&counts), 0.2, None), None);
        }
        assert_eq!(Bounds::choose(&Histogram::default(), 0.2, None), None);
    }

    #[test]
    fn native_bounds_are_every_second_and_shifted_by_the_tolerance() {
        let bounds = Bounds::choose(&native(3), 0.2, None).unwrap();
        assert_eq!(bounds.schema, Some(3));
        for bound in &bounds.tested {
            let index = index_of(3, bound.at);
            assert_eq!(index % 2.0, 0.0, "{bound:?}");
            let pair = bounds.pair(bound.at, 0.2, Some(3));
            assert_eq!((pair.r0, index_of(3, pair.stable)), (1.0, index - 2.0));
        }
        let coarse = Bounds::choose(&native_with(0, 10_000), 0.2, None);
        assert_eq!(coarse, None, "one octave in one bucket: all or nothing is above its bounds");
    }

    #[test]
    fn a_coarser_window_is_compared_at_the_next_coarser_bound() {
        let bounds = Bounds { schema: Some(3), ..Bounds::default() };
        let at = bound_at(3, -22.0);
        let pair = bounds.pair(at, 0.2, Some(1));
        assert_eq!((pair.canary, pair.stable, pair.r0), (bound_at(1, -5.0), bound_at(1, -5.0), 1.25));
        assert_eq!(bounds.pair(at, 0.2, Some(5)), bounds.pair(at, 0.2, Some(3)), "a finer one changes nothing");
    }

    #[test]
    fn the_arms_may_have_different_resolutions() {
        let bounds = Bounds::choose(&native(3), 0.2, None).unwrap();
        let at = bounds.tested[0].at;
        let (counts, r0) = bounds.slow(at, 0.2, [&native(4), &native(2)]).unwrap();
        assert_eq!((counts.nc, counts.nb, r0), (16_001, 4_001, 1.0));
        let other = classic(&[(0.2, 5), (f64::INFINITY, 9)]);
        let fixed = Bounds::choose(&stable(), 0.2, None).unwrap();
        assert_eq!(fixed.slow(0.25, 0.2, [&other, &stable()]), None, "the canary's buckets hide it");
    }

    #[test]
    fn no_more_bounds_than_the_most() {
        let fine: Vec<(f64, u64)> = (1..=400).map(|n| (f64::from(n) / 100.0, u64::from(n as u32) * 10)).collect();
        let all: Vec<(f64, u64)> = fine.into_iter().chain([(f64::INFINITY, 4_000)]).collect();
        let bounds = Bounds::choose(&classic(&all), 0.2, None).unwrap();
        assert_eq!(bounds.tested.len(), MOST_BOUNDS);
        assert_eq!((bounds.tested[0].at, bounds.tested[MOST_BOUNDS - 1].at), (1.6, 3.99));
    }
}
