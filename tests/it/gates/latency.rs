//! G12, the gate of the latency judge: response times that are log-normal with a median of 80 ms (sigma 0.6), 50 requests a
//! second, 10 % to the canary, 15 s windows for an hour, 2000 runs a figure. The bounds are chosen as the engine chooses them,
//! from stable's histogram of the hour before. Classic buckets are those of the client libraries, native ones are of schema 3
//! (a bound every 9 %). What lies in a bucket is Poisson with the law's share of it, which is the same as drawing each time.

use glidepath::stats::{
    LatencyState, RatioConfig, Slow,
    bounds::{Bound, Bounds},
    histogram::{Bucket, Histogram, bound_at},
};
use rand::{SeedableRng, rngs::StdRng};
use rand_distr::{Distribution, Poisson};

use super::{HOUR, WINDOW_SECONDS, WINDOWS_PER_MINUTE, at_most, runs};

const CLASSIC: [f64; 11] = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];
const SCHEMA: i32 = 3;
const TOLERANCE: f64 = 0.2;
const A_WINDOW: f64 = 50.0 * WINDOW_SECONDS as f64;
const CONFIG: RatioConfig = RatioConfig { alpha: 0.01, floor: 0.0, ceiling: None, ..RatioConfig::DEFAULT };

/// How a version responds: so many times slower, and a share of requests a second slower.
#[derive(Clone, Copy)]
struct Version {
    times: f64,
    delayed: f64,
}

const GOOD: Version = Version { times: 1.0, delayed: 0.0 };

impl Version {
    /// The share of requests that take at most so many seconds.
    fn below(self, seconds: f64) -> f64 {
        let law = |seconds: f64| {
            if seconds <= 0.0 {
                return 0.0;
            }
            let z = (seconds / (0.08 * self.times)).ln() / 0.6;
            0.5 * statrs::function::erf::erfc(-z / std::f64::consts::SQRT_2)
        };
        (1.0 - self.delayed) * law(seconds) + self.delayed * law(seconds - 1.0)
    }

    fn shares(self, bounds: &[f64]) -> Vec<(Bucket, f64)> {
        let lows = std::iter::once(0.0).chain(bounds.iter().copied());
        let highs = bounds.iter().copied().chain([f64::INFINITY]);
        let below = |bound: f64| if bound.is_finite() { self.below(bound) } else { 1.0 };
        lows.zip(highs).map(|(lo, hi)| (Bucket { lo, hi, count: 0 }, below(hi) - below(lo))).collect()
    }
}

fn drawn(shares: &[(Bucket, f64)], mean: f64, rng: &mut StdRng) -> Histogram {
    let draw = |(bucket, share): &(Bucket, f64)| {
        let mean = mean * share;
        let count = if mean > 1e-12 { Poisson::new(mean).unwrap().sample(rng) as u64 } else { 0 };
        Bucket { count, ..*bucket }
    };
    Histogram::new(shares.iter().map(draw).filter(|bucket| bucket.count > 0 || bucket.hi <= CLASSIC[10]))
}

/// The bounds of the buckets by name.
fn buckets() -> [(&'static str, Vec<f64>); 2] {
    [("classic", CLASSIC.to_vec()), ("native", (-64..=40).map(|index| bound_at(SCHEMA, f64::from(index))).collect())]
}

/// When each run failed, in minutes, in order; infinitely late where it did not within the hour.
fn minutes(bounds: &[f64], canary: Version) -> Vec<f64> {
    let mut rng = StdRng::seed_from_u64(12);
    let (canary, stable) = (canary.shares(bounds), GOOD.shares(bounds));
    let mut all: Vec<f64> = (0..runs()).map(|_| run(&canary, &stable, &mut rng)).collect();
    all.sort_by(f64::total_cmp);
    all
}

fn run(canary: &[(Bucket, f64)], stable: &[(Bucket, f64)], rng: &mut StdRng) -> f64 {
    let chosen = Bounds::choose(&drawn(stable, 3600.0 * 50.0, rng), TOLERANCE, None).unwrap();
    let nothing = Slow { config: CONFIG, window: None };
    let mut state = LatencyState::default();
    for window in 1..=HOUR {
        let (canary, stable) = (drawn(canary, A_WINDOW * 0.1, rng), drawn(stable, A_WINDOW * 0.9, rng));
        let slow = |bound: &Bound| match chosen.slow(bound.at, TOLERANCE, [&canary, &stable]) {
            Some((window, r0)) => Slow { config: RatioConfig { r0, ..CONFIG }, window: Some(window) },
            None => nothing,
        };
        let tested: Vec<Slow> = chosen.tested.iter().map(slow).collect();
        state.observe(&tested, &nothing, WINDOW_SECONDS.into());
        if state.fails() {
            return f64::from(window) / f64::from(WINDOWS_PER_MINUTE);
        }
    }
    f64::INFINITY
}

#[test]
fn g12_equal_versions() {
    for (name, bounds) in buckets() {
        let minutes = minutes(&bounds, GOOD);
        let share = minutes.iter().filter(|minutes| minutes.is_finite()).count() as f64 / minutes.len() as f64;
        at_most(&format!("G12 false aborts, {name}"), share, 0.01);
    }
}

#[test]
fn g12_slower_versions_are_found() {
    for (name, bounds) in buckets() {
        let median = |canary| {
            let minutes = minutes(&bounds, canary);
            minutes[minutes.len() / 2]
        };
        at_most(&format!("G12 median minutes, x1.5, {name}"), median(Version { times: 1.5, ..GOOD }), 1.25);
        at_most(&format!("G12 median minutes, 2 % +1 s, {name}"), median(Version { delayed: 0.02, ..GOOD }), 1.5);
    }
}
