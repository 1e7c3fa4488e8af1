//! Response times in virtual time: log-normal by version, counted in the buckets of a histogram when they are asked for.
//!
//! How many of a window's requests lie in a bucket is Poisson with the law's share of them. A question that is asked again has
//! the same answer: the random numbers belong to the arm and the window.

use statrs::function::erf::erfc;

use super::{rng::Rng, scenario::LatencySpec, time::Millis};
use crate::evidence::{Bucket, Histogram};

/// The buckets of classic histograms, as client libraries have them, in seconds.
const CLASSIC: [f64; 11] = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];
/// The bounds of native histograms are 2^(i/8) s (schema 3), from 2 ms to 64 s.
const NATIVE_PER_OCTAVE: i32 = 8;
const NATIVE: std::ops::RangeInclusive<i32> = -9 * NATIVE_PER_OCTAVE..=6 * NATIVE_PER_OCTAVE;
/// Without a spread every response takes the median; a law needs some.
const LEAST_SIGMA: f64 = 1e-6;

/// Which response times are asked for.
#[derive(Clone, Copy, Debug)]
pub struct TimesQuery {
    /// The window's end.
    pub end: Millis,
    /// Its length.
    pub length: Millis,
    /// How old pods must be.
    pub warm_up: Millis,
    /// All that pods counted until the end.
    pub whole_pods: bool,
    /// Native histograms; else classic ones.
    pub native: bool,
}

/// How long a version's responses take.
#[derive(Clone, Copy, Debug)]
pub struct Law {
    median: f64,
    sigma: f64,
    delayed: f64,
    delay: f64,
    native: bool,
}

impl Law {
    /// Of a scenario's version; nothing without a median.
    pub fn of(spec: &LatencySpec) -> Option<Law> {
        let median = spec.median?.get().as_secs_f64();
        let (delayed, delay) =
            spec.delayed.as_ref().map_or((0.0, 0.0), |delayed| (delayed.share.share(), delayed.by.get().as_secs_f64()));
        let sigma = spec.sigma.unwrap_or_default().max(LEAST_SIGMA);
        (median > 0.0).then_some(Law { median, sigma, delayed, delay, native: spec.native })
    }

    /// Whether it is exported as a native histogram; else as a classic one.
    pub fn is_native(&self) -> bool {
        self.native
    }

    /// So many requests by response time, as they come out with these random numbers.
    pub fn counted(&self, requests: u64, dice: &mut Rng) -> Histogram {
        let bounds: Vec<f64> = match self.native {
            true => NATIVE.map(|index| (f64::from(index) / f64::from(NATIVE_PER_OCTAVE)).exp2()).collect(),
            false => CLASSIC.to_vec(),
        };
        let highs = bounds.iter().copied().chain((!self.native).then_some(f64::INFINITY));
        let lows = std::iter::once(0.0).chain(bounds.iter().copied());
        let draw = |(lo, hi): (f64, f64)| {
            let share = self.below(hi) - self.below(lo);
            Bucket { lo, hi, count: dice.poisson(requests as f64 * share) }
        };
        let mut buckets: Vec<Bucket> = Vec::new();
        buckets.extend(lows.zip(highs).map(draw));
        buckets.retain(|bucket| !self.native || bucket.count > 0);
        Histogram::new(buckets)
    }

    /// The share of responses that take at most so many seconds.
    fn below(&self, seconds: f64) -> f64 {
        let law = |seconds: f64| {
            if seconds <= 0.0 {
                return 0.0;
            }
            let z = (seconds / self.median).ln() / self.sigma;
            0.5 * erfc(-z / std::f64::consts::SQRT_2)
        };
        if seconds.is_infinite() {
            return 1.0;
        }
        (1.0 - self.delayed) * law(seconds) + self.delayed * law(seconds - self.delay)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        api::{HumanDuration, Percent},
        sim::scenario::DelayedSpec,
    };

    fn law(native: bool, delayed: Option<DelayedSpec>) -> Law {
        let median = Some("80ms".parse::<HumanDuration>().unwrap());
        Law::of(&LatencySpec { median, sigma: Some(0.6), native, delayed }).unwrap()
    }

    #[test]
    fn counts_follow_the_law() {
        for native in [false, true] {
            let histogram = law(native, None).counted(1_000_000, &mut Rng::new(1, 2));
            assert!(histogram.total().abs_diff(1_000_000) < 5_000, "{}", histogram.total());
            let above = histogram.share_above(if native { 2.0_f64.powf(-22.0 / 8.0) } else { 0.25 }).unwrap();
            let expected = if native { 0.1509 } else { 0.0288 };
            assert!((above - expected).abs() < 0.002, "native {native}: {above}");
        }
    }

    #[test]
    fn a_share_may_be_delayed() {
        let delayed = DelayedSpec { share: Percent::whole(2), by: HumanDuration::secs(1) };
        let histogram = law(false, Some(delayed)).counted(1_000_000, &mut Rng::new(1, 2));
        assert!((histogram.share_above(1.0).unwrap() - 0.02).abs() < 0.001);
    }

    #[test]
    fn without_a_median_there_is_no_law() {
        assert!(Law::of(&LatencySpec::default()).is_none());
        let still = LatencySpec { median: Some(HumanDuration::secs(1)), ..LatencySpec::default() };
        assert_eq!(Law::of(&still).unwrap().counted(100, &mut Rng::new(1, 1)).above(2.5), Some(0));
    }
}
