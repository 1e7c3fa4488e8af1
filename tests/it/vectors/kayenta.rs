//! The formulas of Kayenta's judge.

use glidepath::stats::kayenta::{mann_whitney, outliers, percentile, shift};
use serde_json::{Value, json};

use super::{Method, number};

pub const METHODS: &[(&str, Method)] = &[
    ("Kayenta Mann-Whitney: Hodges-Lehmann estimate and CI", hodges_lehmann),
    ("R-7 percentile and Tukey fences", percentile_and_fences),
    ("Mann-Whitney U and p, no ties", two_samples),
];

fn numbers(value: &Value) -> Vec<f64> {
    value.as_array().unwrap().iter().map(number).collect()
}

fn hodges_lehmann(inputs: &Value) -> Value {
    let (experiment, control) = (numbers(&inputs["experiment"]), numbers(&inputs["control"]));
    let shift = shift(&experiment, &control, number(&inputs["conf"])).unwrap();
    json!({"lo": shift.low, "hi": shift.high, "estimate": shift.estimate})
}

fn percentile_and_fences(inputs: &Value) -> Value {
    let p = number(&inputs["p"]);
    let percentile = percentile(&numbers(&inputs["data"]), p);
    let outside = outliers(&numbers(&inputs["iqr_data"]), number(&inputs["factor"]));
    json!({format!("p{p}"): percentile, "outliers": outside})
}

fn two_samples(inputs: &Value) -> Value {
    let test = mann_whitney(&numbers(&inputs["x"]), &numbers(&inputs["y"])).unwrap();
    json!({"U": test.u, "z": test.z, "p_exact": test.p_exact, "p_asymptotic": test.p_asymptotic})
}
