//! Invalid values of a template, with their fields: values that no judge supports, selectors that cannot be parsed.

use crate::{
    api::analysis::{AnalysisTemplateSpec, ConversionMetric, ONE_JUDGE, RatioMetric, Settings, ThresholdMetric},
    evidence::{defaults::Defaults, dialect::Dialect},
    expr,
};

use super::error::ResolveError;

/// What the values of a filled template break.
pub(super) fn judged(template: &str, spec: &AnalysisTemplateSpec, dialect: &dyn Dialect) -> Vec<ResolveError> {
    let mut problems = settings_problems(spec.settings.as_ref().unwrap_or(&Settings::default()));
    for (index, metric) in spec.metrics.iter().enumerate() {
        let own = match (&metric.ratio, &metric.threshold, &metric.conversion) {
            (Some(ratio), None, None) => ratio_problems(ratio, dialect),
            (None, Some(threshold), None) => threshold_problems(threshold),
            (None, None, Some(conversion)) => conversion_problems(conversion, dialect),
            _ => vec![(String::new(), ONE_JUDGE.to_owned())],
        };
        let placed = |(field, problem): (String, String)| (format!("metrics[{index}]{field}"), problem);
        problems.extend(own.into_iter().map(placed));
    }
    let error = |(field, problem)| ResolveError::Invalid { template: template.to_owned(), field, problem };
    problems.into_iter().map(error).collect()
}

type Problems = Vec<(String, String)>;

fn settings_problems(settings: &Settings) -> Problems {
    let mut problems = Problems::new();
    let whole = [("window", settings.window), ("delay", settings.delay), ("warmUp", settings.warm_up)];
    for (field, duration) in whole {
        if duration.is_some_and(|duration| duration.get().subsec_nanos() != 0) {
            problems.push((format!("settings.{field}"), "is not a whole number of seconds".to_owned()));
        }
    }
    if settings.window.is_some_and(|window| window.get().as_secs() == 0 || window.get().as_secs() > 3600) {
        problems.push(("settings.window".to_owned(), "must be from 1s to 1h".to_owned()));
    }
    for (field, chance) in [("alpha", settings.alpha), ("beta", settings.beta)] {
        if chance.is_some_and(|chance| !(1e-6..=0.5).contains(&chance)) {
            problems.push((format!("settings.{field}"), "must be from 0.000001 to 0.5".to_owned()));
        }
    }
    if settings.phi.is_some_and(|phi| !(1.0..=20.0).contains(&phi)) {
        problems.push(("settings.phi".to_owned(), "must be from 1 to 20".to_owned()));
    }
    problems
}

fn ratio_problems(ratio: &RatioMetric, dialect: &dyn Dialect) -> Problems {
    let mut problems = Problems::new();
    let limits = Defaults::ratio(ratio);
    let mut add = |field: &str, problem: String| problems.push((format!(".ratio.{field}"), problem));
    if limits.floor > 0.5 || limits.floor <= 0.0 {
        add("floor", "must be above 0 and at most 50 %".to_owned());
    }
    if limits.pass_ratio.is_nan() || limits.pass_ratio <= limits.r0 {
        add("pass.ratio", format!("{} must be above 1 + tolerance ({})", limits.pass_ratio, limits.r0));
    }
    if limits.ceiling <= limits.floor {
        let (ceiling, floor) = (limits.ceiling * 100.0, limits.floor * 100.0);
        add("pass.ceiling", format!("{ceiling} % must be above the floor ({floor} %)"));
    }
    for (field, counter) in [("bad", &ratio.bad), ("total", &ratio.total)] {
        if let Err(problem) = dialect.counter(counter) {
            add(field, problem);
        }
    }
    problems
}

fn conversion_problems(conversion: &ConversionMetric, dialect: &dyn Dialect) -> Problems {
    let wrong = conversion.problems().into_iter().map(|(field, problem)| (field, problem.to_owned()));
    let counters = [("successes", &conversion.successes), ("trials", &conversion.trials)];
    let unread = counters.into_iter().filter_map(|(field, counter)| Some((field, dialect.counter(counter).err()?)));
    wrong.chain(unread).map(|(field, problem)| (format!(".conversion.{field}"), problem)).collect()
}

fn threshold_problems(threshold: &ThresholdMetric) -> Problems {
    let mut problems = Problems::new();
    let mut add = |field: &str, problem: String| problems.push((format!(".threshold.{field}"), problem));
    for (field, text) in [("success", &threshold.success), ("failure", &threshold.failure)] {
        if let Some(Err(error)) = text.as_deref().map(expr::check) {
            add(field, error.to_string());
        }
    }
    if threshold.success.is_none() && threshold.failure.is_none() {
        add("success", "set a success or a failure condition".to_owned());
    }
    if threshold.query.trim().is_empty() {
        add("query", "is empty".to_owned());
    }
    if threshold.interval.is_some_and(|interval| interval.get().is_zero() || interval.get().subsec_nanos() != 0) {
        add("interval", "is not a whole number of seconds, at least 1s".to_owned());
    }
    for (field, count) in [("count", threshold.count), ("consecutiveSuccessLimit", threshold.consecutive_success_limit)]
    {
        if count == Some(0) {
            add(field, "must be at least 1".to_owned());
        }
    }
    problems
}
