//! The statistics test vectors: every method that is built gives the published numbers.
//!
//! A vector is {id, method, inputs, expected, tolerance}. A method is either built here or named in
//! `tests/vectors/not-built.txt`; one that is neither, or both, fails. Further files in the same format are named in
//! `GLIDEPATH_VECTORS`, separated by colons.

mod gauge;
mod kayenta;
mod latency;
mod slo;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use glidepath::stats::conversion::{self, ConversionConfig, ConversionState};
use glidepath::stats::grid::{POINTS, PerPoint, RATE_SPAN, RATIO_SPAN, Span, log_mean_exp, mixture};
use glidepath::stats::posterior::{Belief, better};
use glidepath::stats::restart::RestartMixture;
use glidepath::stats::sequence::RatioLikelihood;
use glidepath::stats::{Counts, Dispersion, RatioConfig, rate, ratio, share};
use serde_json::{Value, json};

type Method = fn(&Value) -> Value;

/// The methods of all judges: each has its own in a file here.
fn built_methods() -> impl Iterator<Item = &'static (&'static str, Method)> {
    BUILT.iter().chain(latency::METHODS).chain(gauge::METHODS).chain(kayenta::METHODS).chain(slo::METHODS)
}

/// Methods by the start of their name: what follows in a vector's name are its inputs said in words.
const BUILT: &[(&str, Method)] = &[
    ("rate-ratio conditional LR", conditional_ratio),
    ("rate-ratio mixture e-process (fail side)", fail_side),
    ("rate-ratio mixture e-process, weight ramp", fail_side),
    ("rate-ratio e-process tempered by dispersion", fail_side),
    ("rate-ratio e-process, pass side", pass_side),
    ("one-sample floor e-process", floor),
    ("one-sample ceiling e-process, pass side", ceiling),
    ("engine fail e-process: restart mixture of min(ratio, floor)", restart_mixture),
    ("confidence sequence for the rate ratio r", confidence_sequence),
    ("exact null expectation of the e-value", null_expectation),
    ("what people see: ratio, CS and p", shown),
    ("Pearson dispersion between stable pods", dispersion),
    ("Lindon-Malek Beta-binomial e-value (constant split)", split_of_two),
    ("sequential SRM on request counts", split_of_counts),
    ("asymptotic confidence sequence, two-sided", asymptotic_sequence),
    ("A/B conversion difference: asymptotic CS and always-valid p", conversion_difference),
    ("P(B>A) for Beta posteriors", posterior_chance),
];

#[test]
fn every_built_method_gives_the_published_numbers() {
    let failures: Vec<String> = vectors().iter().filter_map(|vector| check(vector).err()).collect();
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

#[test]
fn every_method_is_built_or_listed_as_not_built() {
    let listed = not_built();
    for vector in vectors() {
        let method = text(&vector, "method");
        let (built, listed) = (built(&method).is_some(), listed.contains(&method));
        assert!(built || listed, "{}: method `{method}` is neither built nor in not-built.txt", vector["id"]);
        assert!(!(built && listed), "{}: method `{method}` is built, take it off not-built.txt", vector["id"]);
    }
    for method in &listed {
        assert!(built(method).is_none(), "`{method}` is built, take it off not-built.txt");
    }
}

#[test]
fn every_built_method_has_a_vector() {
    let methods: Vec<String> = vectors().iter().map(|vector| text(vector, "method")).collect();
    for (name, _) in built_methods() {
        assert!(methods.iter().any(|method| method.starts_with(name)), "no vector for `{name}`");
    }
}

fn built(method: &str) -> Option<Method> {
    built_methods().find(|(name, _)| method.starts_with(name)).map(|(_, run)| *run)
}

fn check(vector: &Value) -> Result<(), String> {
    let Some(run) = built(&text(vector, "method")) else { return Ok(()) };
    let got = run(&vector["inputs"]);
    for (key, expected) in vector["expected"].as_object().unwrap() {
        let at = format!("{} {key}", vector["id"]);
        let got = got.get(key).ok_or(format!("{at}: this method computes no such number"))?;
        same(got, expected, &vector["tolerance"]).map_err(|why| format!("{at}: {why}"))?;
    }
    Ok(())
}

fn same(got: &Value, expected: &Value, tolerance: &Value) -> Result<(), String> {
    if let (Some(got), Some(expected)) = (got.as_array(), expected.as_array()) {
        return match got.len() == expected.len() {
            true => got.iter().zip(expected).try_for_each(|(got, expected)| same(got, expected, tolerance)),
            false => Err(format!("{} numbers, expected {}", got.len(), expected.len())),
        };
    }
    let (got, expected) = (number(got), number(expected));
    let value = tolerance["value"].as_f64().unwrap();
    let allowed = match tolerance["kind"].as_str().unwrap() {
        "rel" => value * expected.abs().max(1e-300),
        "abs" => value,
        other => return Err(format!("unknown tolerance `{other}`")),
    };
    let close = got == expected || (got - expected).abs() <= allowed;
    close.then_some(()).ok_or(format!("got {got}, expected {expected} within {allowed:e}"))
}

fn conditional_ratio(inputs: &Value) -> Value {
    let (r, r0) = (number(&inputs["r"]), number(&inputs["r0"]));
    let log_lr: f64 = windows(inputs).iter().map(|w| ratio::log_likelihood_ratio(*w, r0, (r / r0).ln())).sum();
    json!({"log_lr": log_lr / phi(inputs), "e": (log_lr / phi(inputs)).exp()})
}

fn fail_side(inputs: &Value) -> Value {
    expect_grid(inputs, RATIO_SPAN);
    let r0 = number(&inputs["r0"]);
    ratio_path(inputs, |window| ratio::towards_fail(window, r0))
}

fn pass_side(inputs: &Value) -> Value {
    expect_grid(inputs, RATIO_SPAN);
    let r1 = number(&inputs["r1"]);
    ratio_path(inputs, |window| ratio::towards_pass(window, r1))
}

fn ratio_path(inputs: &Value, terms: impl Fn(Counts) -> PerPoint) -> Value {
    let mut sums = PerPoint::default();
    let path: Vec<f64> = windows(inputs)
        .into_iter()
        .map(|window| {
            ratio::add(&mut sums, &terms(window));
            mixture(&sums, phi(inputs))
        })
        .collect();
    let highest = path.iter().scan(0.0_f64, |highest, log_e| {
        *highest = highest.max(*log_e);
        Some(*highest)
    });
    let p: Vec<f64> = highest.map(|log_e| (-log_e).exp().min(1.0)).collect();
    json!({
        "log_e": path.last(), "e": path.last().map(|log_e| log_e.exp()), "p": p.last(),
        "log_e_path": path, "p_value_path": p,
    })
}

fn floor(inputs: &Value) -> Value {
    let floor = number(&inputs["floor"]);
    expect_grid(inputs, Span { hi: RATE_SPAN.hi.min(0.9 / floor), ..RATE_SPAN });
    let log_e = rate::above_floor(count(&inputs["k"]), count(&inputs["n"]), floor, phi(inputs));
    json!({"log_e": log_e, "e": log_e.exp()})
}

fn ceiling(inputs: &Value) -> Value {
    expect_grid(inputs, RATE_SPAN);
    let (k, n) = (count(&inputs["k"]), count(&inputs["n"]));
    let log_e = rate::below_ceiling(k, n, number(&inputs["ceiling"]), phi(inputs));
    json!({"log_e": log_e, "e": log_e.exp()})
}

fn restart_mixture(inputs: &Value) -> Value {
    let config = RatioConfig {
        r0: number(&inputs["r0"]),
        floor: number(&inputs["floor"]),
        phi: phi(inputs),
        ..RatioConfig::DEFAULT
    };
    let seconds = 600 / count(&inputs["restart_every"]);
    let mut state = RestartMixture::default();
    let path: Vec<f64> = windows(inputs)
        .into_iter()
        .map(|window| {
            state.observe(&config, window, seconds);
            state.log_e(&config)
        })
        .collect();
    json!({"log_e": path.last(), "log_e_path": path})
}

fn confidence_sequence(inputs: &Value) -> Value {
    let likelihood = RatioLikelihood::new(&windows(inputs), phi(inputs));
    let interval = likelihood.interval(number(&inputs["alpha"])).unwrap();
    json!({
        "r_mle": likelihood.most_likely(),
        "lo": interval.low,
        "hi": interval.high.map_or(json!("inf"), |high| json!(high)),
    })
}

fn null_expectation(inputs: &Value) -> Value {
    expect_grid(inputs, RATIO_SPAN);
    let expectation = |case: &Value| {
        let (nc, nb, r0) = (count(&case["nc"]), count(&case["nb"]), number(&case["r0"]));
        expected_e(nc, nb, number(&case["pc"]), number(&case["pb"]), r0)
    };
    json!({"expectation": inputs["cases"].as_array().unwrap().iter().map(expectation).collect::<Vec<f64>>()})
}

fn shown(inputs: &Value) -> Value {
    let mut all = fail_side(inputs);
    let sequence = confidence_sequence(inputs);
    for (key, from) in [("ratio", "r_mle"), ("lo", "lo"), ("hi", "hi")] {
        all[key] = sequence[from].clone();
    }
    all
}

fn dispersion(inputs: &Value) -> Value {
    let shares: Vec<f64> = inputs["shares"].as_array().unwrap().iter().map(number).collect();
    let mut state = Dispersion::default();
    for window in inputs["counts"].as_array().unwrap() {
        let errors = window.as_array().unwrap().iter().map(count);
        let pods: Vec<(u64, u64)> = errors.zip(&shares).map(|(errors, share)| (errors, (share * 1e9) as u64)).collect();
        state.observe(&pods);
    }
    json!({"x2": state.x2, "df": state.df, "phi": state.raw()})
}

/// E[e] over two independent binomials, by complete enumeration.
fn expected_e(nc: u64, nb: u64, pc: f64, pb: f64, r0: f64) -> f64 {
    let pairs = (0..=nc).flat_map(|kc| (0..=nb).map(move |kb| (kc, kb)));
    pairs
        .map(|(kc, kb)| {
            let e = mixture(&ratio::towards_fail(Counts { kc, nc, kb, nb }, r0), 1.0).exp();
            binomial(nc, kc, pc) * binomial(nb, kb, pb) * e
        })
        .sum()
}

fn binomial(n: u64, k: u64, p: f64) -> f64 {
    let choose = (0..k).fold(1.0, |acc, i| acc * (n - i) as f64 / (i + 1) as f64);
    choose * p.powi(i32::try_from(k).unwrap()) * (1.0 - p).powi(i32::try_from(n - k).unwrap())
}

/// The property every guarantee rests on, over all small counts.
#[test]
fn expectation_on_the_null_boundary_is_at_most_one() {
    for r0 in [1.0, 1.25, 2.0, 5.0] {
        for pb in [0.001, 0.01, 0.05, 0.1, 0.2, 0.4, 0.6, 0.8, 1.0] {
            let pc: f64 = r0 * pb;
            if pc > 1.0 {
                continue;
            }
            for nc in 0..=8 {
                for nb in 0..=30 {
                    let expected = expected_e(nc, nb, pc, pb, r0);
                    assert!(expected <= 1.0 + 1e-12, "r0 {r0} pb {pb} nc {nc} nb {nb}: {expected}");
                }
            }
        }
    }
}

/// A vector's grid is the engine's, or it is a vector for something else.
fn expect_grid(inputs: &Value, span: Span) {
    let Some(grid) = inputs.get("grid") else { return };
    for (key, ours) in [("lo", span.lo), ("hi", span.hi), ("J", POINTS as f64)] {
        assert!(
            (number(&grid[key]) - ours).abs() <= 1e-9 * ours,
            "grid {key} is {}, the engine's is {ours}",
            grid[key]
        );
    }
}

fn windows(inputs: &Value) -> Vec<Counts> {
    serde_json::from_value(inputs["windows"].clone()).unwrap()
}

fn phi(inputs: &Value) -> f64 {
    inputs.get("phi").map_or(1.0, number)
}

fn number(value: &Value) -> f64 {
    match value.as_str() {
        Some("inf") => f64::INFINITY,
        Some("-inf") => f64::NEG_INFINITY,
        _ => value.as_f64().unwrap_or_else(|| panic!("`{value}` is no number")),
    }
}

fn count(value: &Value) -> u64 {
    value.as_u64().unwrap_or_else(|| panic!("`{value}` is no count"))
}

fn text(vector: &Value, key: &str) -> String {
    vector[key].as_str().unwrap_or_else(|| panic!("a vector without `{key}`: {vector}")).to_owned()
}

fn vectors() -> Vec<Value> {
    let further = std::env::var("GLIDEPATH_VECTORS").unwrap_or_default();
    let further = further.split(':').filter(|path| !path.is_empty()).map(PathBuf::from);
    std::iter::once(folder().join("statistics.json")).chain(further).flat_map(|path| read(&path)).collect()
}

fn read(path: &Path) -> Vec<Value> {
    let text = std::fs::read_to_string(path).unwrap_or_else(|why| panic!("{}: {why}", path.display()));
    let file: Value = serde_json::from_str(&text).unwrap_or_else(|why| panic!("{}: {why}", path.display()));
    file["vectors"].as_array().unwrap_or_else(|| panic!("{}: no `vectors`", path.display())).clone()
}

fn split_of_two(inputs: &Value) -> Value {
    let (canary, total) = (inputs["k_canary"].as_u64().unwrap(), inputs["k_total"].as_u64().unwrap());
    let share = inputs["theta0"].as_f64().unwrap();
    let log_e =
        share::log_split([canary, total - canary], [share, 1.0 - share], inputs["concentration"].as_f64().unwrap());
    json!({"log_e": log_e, "e": log_e.exp(), "p": (-log_e).exp().min(1.0)})
}

/// The vector adds what a test that is looked at once would say.
fn split_of_counts(inputs: &Value) -> Value {
    let counts: [u64; 2] = serde_json::from_value(inputs["counts"].clone()).unwrap();
    let shares: [f64; 2] = serde_json::from_value(inputs["theta0"].clone()).unwrap();
    let log_bf = share::log_split(counts, shares, inputs["concentration"].as_f64().unwrap());
    let total = (counts[0] + counts[1]) as f64;
    let chi2: f64 = counts.iter().zip(shares).map(|(k, p)| (*k as f64 - total * p).powi(2) / (total * p)).sum();
    let chi2_p = statrs::function::erf::erfc((chi2 / 2.0).sqrt());
    json!({"log_bf": log_bf, "p": (-log_bf).exp().min(1.0), "chi2": chi2, "chi2_p": chi2_p})
}

fn asymptotic_sequence(inputs: &Value) -> Value {
    let (estimate, alpha) = (number(&inputs["estimate"]), number(&inputs["alpha"]));
    let rho = conversion::rho(number(&inputs["nstar"]), alpha);
    let half_width = conversion::half_width(number(&inputs["se"]), number(&inputs["n"]), rho, alpha);
    json!({"rho": rho, "half_width": half_width, "lo": estimate - half_width, "hi": estimate + half_width})
}

/// Through the judge itself, with the vector's B as the candidate.
fn conversion_difference(inputs: &Value) -> Value {
    let config =
        ConversionConfig { alpha: number(&inputs["alpha"]), difference: 0.05, planned_users: number(&inputs["nstar"]) };
    let mut state = ConversionState::default();
    state.observe(two_variants(inputs));
    let seen = state.assess(&config).difference.unwrap();
    let (lo, hi) = seen.interval();
    json!({
        "diff": seen.value, "se": seen.error, "half_width": seen.half_width, "lo": lo, "hi": hi, "p": seen.p,
    })
}

fn posterior_chance(inputs: &Value) -> Value {
    let counts = two_variants(inputs);
    let belief = |conversions: u64, users: u64| Belief::after(conversions as f64, users as f64).unwrap();
    json!({"p_b_beats_a": better(belief(counts.kc, counts.nc), belief(counts.kb, counts.nb)).chance})
}

fn two_variants(inputs: &Value) -> Counts {
    let of = |key: &str| count(&inputs[key]);
    Counts { kc: of("kb"), nc: of("nb"), kb: of("ka"), nb: of("na") }
}

fn not_built() -> BTreeSet<String> {
    let text = std::fs::read_to_string(folder().join("not-built.txt")).unwrap();
    text.lines().filter(|line| !line.is_empty() && !line.starts_with("# ")).map(str::to_owned).collect()
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors")
}

#[test]
fn a_mean_over_another_grid_is_the_same_formula() {
    let window = Counts { kc: 5, nc: 300, kb: 3, nb: 2700 };
    let logs: Vec<f64> =
        RATIO_SPAN.log_points(POINTS).map(|rho| ratio::log_likelihood_ratio(window, 1.25, rho)).collect();
    assert!((log_mean_exp(&logs) - mixture(&ratio::towards_fail(window, 1.25), 1.0)).abs() < 1e-12);
}
