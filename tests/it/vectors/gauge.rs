//! The gauge judge's formulas.

use glidepath::stats::gauge::{Autocorrelation, Series, log_t_evidence};
use serde_json::{Value, json};

use super::{Method, number};

pub const METHODS: &[(&str, Method)] = &[
    ("anytime t e-value (right-Haar, N(0,g^2) on standardised effect)", t_evidence),
    ("gauge log-ratio test with AR(1) effective sample size", log_ratio_test),
];

fn t_evidence(inputs: &Value) -> Value {
    let [t, n, g] = ["t", "n", "g"].map(|key| number(&inputs[key]));
    let log_e = log_t_evidence(t, n, g);
    json!({"log_e": log_e, "e": log_e.exp()})
}

/// The vector takes the autocorrelation as estimated; the judge adds a standard error to it.
fn log_ratio_test(inputs: &Value) -> Value {
    let tolerated = number(&inputs["tolerance_ratio"]).ln();
    let mut series = Series::default();
    for ratio in inputs["log_ratios"].as_array().unwrap() {
        series.add(number(ratio) - tolerated);
    }
    let test = series.test(number(&inputs["g"]), Autocorrelation::Estimated);
    json!({
        "mean": test.mean, "s2": test.variance, "r1": test.r1, "r1_corrected": test.r1_corrected,
        "vif": test.inflation, "t": test.t, "t_eff": test.t_effective, "n_eff": test.n_effective,
        "log_e": test.log_e, "e": test.log_e.exp(),
    })
}
