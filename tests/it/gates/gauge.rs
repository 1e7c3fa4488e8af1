//! G13, the gate of the gauge judge: one canary pod beside nine of stable's, an hour of minutes, alpha 1 %.

use glidepath::stats::gauge::{GaugeConfig, GaugeState, Minute, Spread};
use rand::{SeedableRng, rngs::StdRng};
use rand_distr::{Distribution, StandardNormal};

use super::{at_most, between, runs};

const MINUTES: u32 = 60;
const CONFIG: GaugeConfig = GaugeConfig { alpha: 0.01, ..GaugeConfig::DEFAULT };

fn normal(rng: &mut StdRng) -> f64 {
    StandardNormal.sample(rng)
}

/// The minute in which the judge fails, of each run; `None` where it never does.
fn fails<F: FnMut(&mut StdRng) -> Minute>(seed: u64, world: impl Fn(&mut StdRng) -> F) -> Vec<Option<u32>> {
    let mut rng = StdRng::seed_from_u64(seed);
    let run = |_| {
        let mut minute = world(&mut rng);
        let mut state = GaugeState::default();
        (1..=MINUTES).find(|_| {
            state.observe(&CONFIG, minute(&mut rng));
            state.fails()
        })
    };
    (0..runs()).map(run).collect()
}

fn share(failed: &[Option<u32>]) -> f64 {
    failed.iter().flatten().count() as f64 / failed.len() as f64
}

/// Pods that differ by `between` for good and by `within` in each minute; the canary's is `times` as high.
fn pods(times: f64, between: f64, within: f64) -> impl Fn(&mut StdRng) -> Box<dyn FnMut(&mut StdRng) -> Minute> {
    move |rng| {
        let mut levels: Vec<f64> = (0..10).map(|_| between * normal(rng)).collect();
        levels[0] += times.ln();
        Box::new(move |rng: &mut StdRng| {
            let values: Vec<f64> = levels.iter().map(|level| (level + within * normal(rng)).exp()).collect();
            let stable = values[1..].iter().sum::<f64>() / 9.0;
            Minute { canary: values[0], stable, canary_pods: 1, stable_spread: Spread::of(&values[1..]) }
        })
    }
}

#[test]
fn g13_identical_pods() {
    for (between, within) in [(0.0, 0.1), (0.05, 0.1), (0.1, 0.3)] {
        let aborts = share(&fails(13, pods(1.0, between, within)));
        at_most(&format!("G13 false aborts, pods differ by {between} and {within}"), aborts, 0.005);
    }
}

/// The canary is worse by just what is tolerated, and each minute resembles the one before by this much.
fn boundary(resemblance: f64) -> f64 {
    let world = |rng: &mut StdRng| {
        let mut level = normal(rng) * 0.1 / (1.0 - resemblance * resemblance).sqrt();
        move |rng: &mut StdRng| {
            let canary = 1.2 * level.exp();
            level = resemblance * level + 0.1 * normal(rng);
            Minute { canary, stable: 1.0, canary_pods: 1, stable_spread: None }
        }
    };
    share(&fails(14, world))
}

#[test]
fn g13_boundary_with_autocorrelation() {
    at_most("G13 false aborts at the boundary, independent minutes", boundary(0.0), 0.01);
    between("G13 false aborts at the boundary, AR .8", boundary(0.8), 0.002, 0.03);
}

#[test]
fn g13_twice_as_much_on_one_pod() {
    for (between, within) in [(0.05, 0.05), (0.05, 0.1)] {
        let mut failed = fails(15, pods(2.0, between, within));
        failed.sort_by_key(|minute| minute.unwrap_or(u32::MAX));
        let median = failed[failed.len() / 2].map_or(f64::INFINITY, f64::from);
        at_most(&format!("G13 median minutes until +100 % is found, pods differ by {within}"), median, 15.0);
    }
}
