//! Analysis templates: metrics with one judge each, settings that a judge supports, arguments that exist.

use std::fmt::Display;

use super::finding::Finding;
use crate::api::analysis::{
    AnalysisTemplateSpec, AnomalyMetric, Arg, BurnRateMetric, ConversionMetric, Counter, GaugeMetric, KayentaMetric,
    LatencyMetric, Load, Metric, ONE_JUDGE, ONE_SOURCE, RatioMetric, Settings, ThresholdMetric,
};

/// The defaults of the ratio judge (analysis.md section 3), to compare with what a template sets.
const TOLERANCE: f64 = 0.25;
const FLOOR: f64 = 0.001;
const PASS_RATIO: f64 = 2.0;
const CEILING: f64 = 0.005;
/// The shortest counting window that holds one scrape of a usual Prometheus.
const USUAL_WINDOW_SECONDS: f64 = 15.0;

/// Everything that is wrong or odd in a template's spec.
pub fn template(spec: &AnalysisTemplateSpec) -> Vec<Finding> {
    let mut found = Vec::new();
    if spec.metrics.is_empty() {
        found.push(Finding::error("spec.metrics", "set at least one metric"));
    }
    arguments(&spec.args, "spec.args", &mut found);
    for (index, metric) in spec.metrics.iter().enumerate() {
        let path = format!("spec.metrics[{index}]");
        if spec.metrics[..index].iter().any(|earlier| earlier.name == metric.name) {
            found.push(Finding::error(format!("{path}.name"), format!("there are two metrics \"{}\"", metric.name)));
        }
        check_metric(metric, &path, &spec.args, &mut found);
    }
    if !spec.metrics.is_empty() && !spec.metrics.iter().any(Metric::is_required) {
        found.push(Finding::warning("spec.metrics", "no metric is required, so nothing can pass or fail"));
    }
    settings(spec.settings.as_ref(), &mut found);
    if let Some(load) = &spec.load {
        check_load(load, &spec.args, &mut found);
    }
    found
}

fn check_metric(metric: &Metric, path: &str, args: &[Arg], found: &mut Vec<Finding>) {
    if !metric.has_one_judge() {
        found.push(Finding::error(path, ONE_JUDGE));
    }
    if let Some(ratio) = &metric.ratio {
        let path = format!("{path}.ratio");
        check_ratio(ratio, &path, found);
        check_counter(&ratio.bad, &format!("{path}.bad"), args, found);
        check_counter(&ratio.total, &format!("{path}.total"), args, found);
    }
    if let Some(latency) = &metric.latency {
        check_latency(latency, &format!("{path}.latency"), args, found);
    }
    if let Some(gauge) = &metric.gauge {
        check_gauge(gauge, &format!("{path}.gauge"), args, found);
    }
    if let Some(threshold) = &metric.threshold {
        check_threshold(threshold, &format!("{path}.threshold"), args, found);
    }
    if let Some(kayenta) = &metric.kayenta {
        check_kayenta(kayenta, &format!("{path}.kayenta"), args, found);
    }
    if let Some(conversion) = &metric.conversion {
        check_conversion(conversion, &format!("{path}.conversion"), args, found);
    }
    if let Some(burn_rate) = &metric.burn_rate {
        check_burn_rate(burn_rate, &format!("{path}.burnRate"), args, found);
    }
    if let Some(anomaly) = &metric.anomaly {
        check_anomaly(anomaly, &format!("{path}.anomaly"), args, found);
    }
}

fn check_load(load: &Load, args: &[Arg], found: &mut Vec<Finding>) {
    add_problems(load.problems(), "spec", found);
    for (field, text) in load.clone().texts_mut() {
        unknown_args(text, &format!("spec.{field}"), args, found);
    }
}

/// What a judge's own values break, each with its field.
fn add_problems<P: Into<String>>(
    problems: impl IntoIterator<Item = (impl Display, P)>,
    path: &str,
    found: &mut Vec<Finding>,
) {
    let error = |(field, problem)| Finding::error(format!("{path}.{field}"), problem);
    found.extend(problems.into_iter().map(error));
}

fn check_burn_rate(burn_rate: &BurnRateMetric, path: &str, args: &[Arg], found: &mut Vec<Finding>) {
    add_problems(burn_rate.problems(), path, found);
    for (field, counter) in [("bad", &burn_rate.bad), ("total", &burn_rate.total)] {
        if let Some(counter) = counter {
            check_counter(counter, &format!("{path}.{field}"), args, found);
        }
    }
}

fn check_anomaly(anomaly: &AnomalyMetric, path: &str, args: &[Arg], found: &mut Vec<Finding>) {
    add_problems(anomaly.problems(), path, found);
    unknown_args(&anomaly.query, &format!("{path}.query"), args, found);
}

fn check_conversion(conversion: &ConversionMetric, path: &str, args: &[Arg], found: &mut Vec<Finding>) {
    add_problems(conversion.problems(), path, found);
    check_counter(&conversion.successes, &format!("{path}.successes"), args, found);
    check_counter(&conversion.trials, &format!("{path}.trials"), args, found);
    if conversion.trials.builtin.is_some() {
        found.push(Finding::warning(
            format!("{path}.trials"),
            "counts requests, not users: a user with ten visits counts ten times, and the judge is overconfident; count first \
             exposures in the application",
        ));
    }
}

fn check_latency(latency: &LatencyMetric, path: &str, args: &[Arg], found: &mut Vec<Finding>) {
    add_problems(latency.problems(), path, found);
    let Some(own) = &latency.histogram.prometheus else { return };
    let path = format!("{path}.histogram.prometheus.histogram");
    let name = check_selector(&own.histogram, &path, args, found);
    if let Some(base) = ["_bucket", "_count", "_sum"].iter().find_map(|part| name.strip_suffix(part)) {
        let message = format!("write the histogram's name, {base}: Glidepath adds what its series are called");
        found.push(Finding::error(path, message));
    }
}

fn check_gauge(gauge: &GaugeMetric, path: &str, args: &[Arg], found: &mut Vec<Finding>) {
    add_problems(gauge.problems(), path, found);
    unknown_args(&gauge.query, &format!("{path}.query"), args, found);
}

fn check_kayenta(kayenta: &KayentaMetric, path: &str, args: &[Arg], found: &mut Vec<Finding>) {
    add_problems(kayenta.problems(), path, found);
    for (index, series) in kayenta.metrics.iter().enumerate() {
        unknown_args(&series.query, &format!("{path}.metrics[{index}].query"), args, found);
    }
}

fn check_ratio(ratio: &RatioMetric, path: &str, found: &mut Vec<Finding>) {
    let pass = ratio.pass.clone().unwrap_or_default();
    let tolerance = ratio.tolerance.map_or(TOLERANCE, |tolerance| tolerance.share());
    let floor = ratio.floor.map_or(FLOOR, |floor| floor.share());
    let (pass_ratio, ceiling) = (pass.ratio.unwrap_or(PASS_RATIO), pass.ceiling.map_or(CEILING, |c| c.share()));
    if floor > 0.5 {
        found.push(Finding::error(format!("{path}.floor"), format!("must be at most 50 %, got {} %", floor * 100.0)));
    }
    if !pass_ratio.is_finite() || pass_ratio <= 1.0 + tolerance {
        found.push(Finding::error(
            format!("{path}.pass.ratio"),
            format!("{pass_ratio} must be above 1 + tolerance ({}), or Pass and Fail would overlap", 1.0 + tolerance),
        ));
    }
    if ceiling <= floor {
        found.push(Finding::error(
            format!("{path}.pass.ceiling"),
            format!(
                "{} % must be above the floor ({} %), or Pass and Fail would overlap",
                ceiling * 100.0,
                floor * 100.0
            ),
        ));
    }
    if ratio.bad == ratio.total {
        found.push(Finding::error(format!("{path}.bad"), "bad and total are the same counter"));
    }
}

fn check_counter(counter: &Counter, path: &str, args: &[Arg], found: &mut Vec<Finding>) {
    if counter.builtin.is_some() == counter.prometheus.is_some() {
        found.push(Finding::error(path, "a counter is either builtin or prometheus"));
    }
    let Some(own) = &counter.prometheus else { return };
    check_selector(&own.counter, &format!("{path}.prometheus.counter"), args, found);
}

/// Gives the name outside of the braces.
fn check_selector<'s>(selector: &'s str, path: &str, args: &[Arg], found: &mut Vec<Finding>) -> &'s str {
    let selector = selector.trim();
    let outside = selector.split_once('{').map_or(selector, |(name, _)| name);
    if outside.contains(['(', ')', '[', ' ']) || selector.ends_with(']') {
        found.push(Finding::error(
            path,
            "must be a plain series selector like name{label=\"value\"}, without functions or ranges: \
             Glidepath counts the increments itself",
        ));
    }
    unknown_args(selector, path, args, found);
    outside
}

fn check_threshold(threshold: &ThresholdMetric, path: &str, args: &[Arg], found: &mut Vec<Finding>) {
    if !threshold.has_one_source() {
        found.push(Finding::error(path, ONE_SOURCE));
    }
    if threshold.success.is_none() && threshold.failure.is_none() {
        found.push(Finding::error(path, "set a success or a failure condition"));
    }
    if let Some(interval) = threshold.interval
        && (interval.get().is_zero() || interval.get().subsec_nanos() != 0)
    {
        let message = format!("{interval} is not a whole number of seconds, at least 1s");
        found.push(Finding::error(format!("{path}.interval"), message));
    }
    if threshold.count == Some(0) {
        found.push(Finding::error(format!("{path}.count"), "must be at least 1; remove it for the default"));
    }
    for (field, text) in threshold.clone().texts_mut() {
        unknown_args(text, &format!("{path}.{field}"), args, found);
    }
}

/// `{{args.name}}` must name an argument of the template.
fn unknown_args(text: &str, path: &str, args: &[Arg], found: &mut Vec<Finding>) {
    for (at, _) in text.match_indices("{{") {
        // `metric{{{args.selector}}}`: the first brace is PromQL's.
        let rest = text[at + 2..].trim_start_matches('{');
        let Some((inside, _)) = rest.split_once("}}") else {
            found.push(Finding::error(path, "has `{{` without `}}`"));
            return;
        };
        let Some(name) = inside.trim().strip_prefix("args.") else {
            found.push(Finding::error(path, format!("{{{{{inside}}}}} is not an argument; write {{{{args.NAME}}}}")));
            continue;
        };
        let name = name.trim();
        if !args.iter().any(|arg| arg.name == name) {
            found.push(Finding::error(path, format!("there is no argument \"{name}\"; add it to spec.args")));
        }
    }
}

fn settings(settings: Option<&Settings>, found: &mut Vec<Finding>) {
    let Some(settings) = settings else { return };
    for (field, value) in [("alpha", settings.alpha), ("beta", settings.beta)] {
        if value.is_some_and(|value| !(0.000_001..=0.5).contains(&value)) {
            found.push(Finding::error(format!("spec.settings.{field}"), "must be between 0.000001 and 0.5"));
        }
    }
    if settings.phi.is_some_and(|phi| !(1.0..=20.0).contains(&phi)) {
        found.push(Finding::error("spec.settings.phi", "must be between 1 and 20"));
    }
    let Some(window) = settings.window else { return };
    let seconds = window.get().as_secs_f64();
    if seconds < 1.0 || seconds.fract() != 0.0 {
        found.push(Finding::error("spec.settings.window", format!("{window} is not a whole number of seconds")));
    } else if seconds < USUAL_WINDOW_SECONDS {
        found.push(Finding::warning(
            "spec.settings.window",
            format!("{window} is shorter than the default of 15s; it must not be below the scrape interval"),
        ));
    }
}

/// Each argument is given once, by a name that `{{args.NAME}}` can say.
pub(super) fn arguments(args: &[Arg], path: &str, found: &mut Vec<Finding>) {
    for (index, arg) in args.iter().enumerate() {
        let path = format!("{path}[{index}].name");
        if !arg.name.chars().all(|c| c.is_ascii_alphanumeric() || "_.-".contains(c)) {
            let message = format!(
                "\"{}\" is not an argument's name: letters (A-Z, a-z), digits, '_', '.' and '-' only",
                arg.name
            );
            found.push(Finding::error(path, message));
        } else if args[..index].iter().any(|earlier| earlier.name == arg.name) {
            found.push(Finding::error(path, format!("\"{}\" is set twice", arg.name)));
        }
    }
}
