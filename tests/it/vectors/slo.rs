//! The vectors of burn rates and of the robust z score.

use glidepath::stats::{
    anomaly::Robust,
    slo::{ALERTS, BurnAlert, budget_spent, time_to_fire},
};
use serde_json::{Value, json};

use super::{Method, number};

pub const METHODS: &[(&str, Method)] = &[
    ("burn rates of the SRE workbook / Sloth (30 d)", burn_rates),
    ("burn rates for a 28 d period", burn_rates),
    ("time to fire and budget spent", firing),
    ("robust z (Iglewicz-Hoaglin)", robust_z),
];

/// Of the rows that are given, else of the built-in alerts: theirs are the workbook's.
fn burn_rates(inputs: &Value) -> Value {
    let seconds = |value: &Value| (number(value) * 3_600.0).round() as u64;
    let given = inputs["rows"].as_array().map(|rows| {
        let row = |row: &Value| BurnAlert {
            budget_share: number(&row["budget_pct"]) / 100.0,
            long_seconds: seconds(&row["long_h"]),
            short_seconds: seconds(&row["short_h"]),
        };
        rows.iter().map(row).collect::<Vec<_>>()
    });
    if let Some(given) = &given {
        assert_eq!(given.as_slice(), ALERTS, "the alerts that are built in");
    }
    let period = seconds(&inputs["period_h"]);
    json!({"burn": given.unwrap_or(ALERTS.to_vec()).iter().map(|alert| alert.burn(period)).collect::<Vec<_>>()})
}

fn firing(inputs: &Value) -> Value {
    let (window, burn) = (number(&inputs["window_min"]), number(&inputs["burn"]));
    let budget = 1.0 - number(&inputs["slo"]);
    let ratios = inputs["error_ratios"].as_array().unwrap();
    let times: Vec<f64> = ratios.iter().map(|ratio| time_to_fire(window, burn, budget, number(ratio))).collect();
    json!({"t_min": times, "budget_consumed": budget_spent(burn, window / 60.0, number(&inputs["period_h"]))})
}

fn robust_z(inputs: &Value) -> Value {
    let history: Vec<f64> = inputs["history"].as_array().unwrap().iter().map(number).collect();
    let found = Robust::of(&history).unwrap();
    json!({"median": found.median, "mad": found.mad, "z": found.modified_z(number(&inputs["x"]))})
}
