//! The vectors of the latency judge.

use glidepath::stats::{
    Counts, LatencyState, RatioConfig, Slow,
    bounds::shift,
    grid::{RATIO_SPAN, log_mean_exp, mixture},
    histogram::growth,
    ratio,
};
use serde_json::{Value, json};

use super::{Method, expect_grid, number};

pub const METHODS: &[(&str, Method)] = &[
    ("latency: average of e-processes over bucket bounds", average_over_bounds),
    ("native histogram bounds and tolerance shift", tolerance_shift),
];

/// Each bound alone, and their average. In the judge the first restart has the weight w = 6/pi^2, so after one window its
/// E is 1 - w and w times the average: it has to hold that.
fn average_over_bounds(inputs: &Value) -> Value {
    expect_grid(inputs, RATIO_SPAN);
    let config = RatioConfig { r0: number(&inputs["r0"]), floor: 0.0, ceiling: None, ..RatioConfig::DEFAULT };
    let counts: Vec<Counts> = serde_json::from_value(inputs["counts"].clone()).unwrap();
    let each: Vec<f64> = counts.iter().map(|window| mixture(&ratio::towards_fail(*window, config.r0), 1.0)).collect();
    let bounds: Vec<Slow> = counts.iter().map(|window| Slow { config, window: Some(*window) }).collect();
    let mut state = LatencyState::default();
    state.observe(&bounds, &Slow { config, window: None }, 15);
    let judged = state.assess(&vec![config; bounds.len()], &config).log_e_fail;
    let weight = 6.0 / std::f64::consts::PI.powi(2);
    let log_e = log_mean_exp(&each);
    let expected = (weight * log_e.exp() + 1.0 - weight).ln();
    assert!((judged - expected).abs() < 1e-12, "the judge has {judged}, its formula {expected}");
    json!({"log_e_each": each, "log_e": log_e})
}

/// The judge rounds the shift down; the vector says what rounding up would give, too.
fn tolerance_shift(inputs: &Value) -> Value {
    let list = |key: &str| inputs[key].as_array().unwrap().clone();
    let schemas: Vec<i32> = list("schema").iter().map(|schema| number(schema) as i32).collect();
    let tolerances: Vec<f64> = list("tol").iter().map(number).collect();
    let pairs = || schemas.iter().zip(&tolerances);
    let up = |(schema, tolerance): (&i32, &f64)| (tolerance.ln_1p() / growth(*schema).ln()).ceil();
    json!({
        "growth": schemas.iter().map(|schema| growth(*schema)).collect::<Vec<_>>(),
        "shift_floor": pairs().map(|(schema, tolerance)| shift(*tolerance, *schema)).collect::<Vec<_>>(),
        "shift_ceil": pairs().map(up).collect::<Vec<_>>(),
    })
}

/// The property that the bound on false failures rests on, over all small windows: two bounds, of which the upper one's slow
/// requests are among the lower one's, so that both e-values depend on each other.
#[test]
fn expectation_of_the_average_on_the_null_boundary_is_at_most_one() {
    for (r0, mid, slow) in [(1.0, 0.3, 0.1), (1.25, 0.2, 0.05), (1.25, 0.4, 0.3), (1.0, 0.5, 0.5), (2.0, 0.3, 0.01)] {
        for (nc, nb) in [(0, 3), (1, 1), (2, 9), (4, 6), (5, 12)] {
            let expected = expected_average(r0, [nc, nb], [mid * r0, slow * r0], [mid, slow]);
            assert!(expected <= 1.0 + 1e-12, "r0 {r0}, {mid} and {slow}, {nc} and {nb}: {expected}");
        }
    }
}

fn expected_average(r0: f64, [nc, nb]: [u64; 2], canary: [f64; 2], stable: [f64; 2]) -> f64 {
    let mut sum = 0.0;
    for (pc, [mid_c, slow_c]) in outcomes(nc, canary) {
        for (pb, [mid_b, slow_b]) in outcomes(nb, stable) {
            let windows =
                [Counts { kc: mid_c + slow_c, nc, kb: mid_b + slow_b, nb }, Counts { kc: slow_c, nc, kb: slow_b, nb }];
            let logs = windows.map(|window| mixture(&ratio::towards_fail(window, r0), 1.0));
            sum += pc * pb * log_mean_exp(&logs).exp();
        }
    }
    sum
}

/// How many of `n` requests are middling and slow, with the chance of each outcome.
fn outcomes(n: u64, [mid, slow]: [f64; 2]) -> Vec<(f64, [u64; 2])> {
    let choose = |n: u64, k: u64| (0..k).fold(1.0, |acc, i| acc * (n - i) as f64 / (i + 1) as f64);
    let fast = (1.0 - mid - slow).max(0.0);
    let pairs = (0..=n).flat_map(|slow| (0..=n - slow).map(move |mid| (mid, slow)));
    let chance = |(k, j): (u64, u64)| {
        let ways = choose(n, j) * choose(n - j, k);
        let chance = mid.powi(k as i32) * slow.powi(j as i32) * fast.powi((n - k - j) as i32);
        (ways * chance, [k, j])
    };
    pairs.map(chance).collect()
}
