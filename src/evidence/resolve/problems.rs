//! Invalid values of a template, with their fields: values that no judge supports, selectors that cannot be parsed.

use crate::{
    api::analysis::{AnalysisTemplateSpec, Load, ONE_JUDGE, Settings},
    evidence::{
        dialect::Dialect,
        judges::{Problems, judge_of},
    },
};

use super::error::ResolveError;

/// What the values of a filled template break.
pub(super) fn judged(template: &str, spec: &AnalysisTemplateSpec, dialect: &dyn Dialect) -> Vec<ResolveError> {
    let mut problems = settings_problems(spec.settings.as_ref().unwrap_or(&Settings::default()));
    for (index, metric) in spec.metrics.iter().enumerate() {
        let metric_path = format!("metrics[{index}]");
        match judge_of(metric).filter(|_| metric.has_one_judge()) {
            Some(judge) => {
                let placed = |(field, problem): (String, String)| (format!("{metric_path}.{field}"), problem);
                problems.extend(judge.problems(dialect).into_iter().map(placed));
            }
            None => problems.push((metric_path, ONE_JUDGE.to_owned())),
        }
    }
    problems.extend(spec.load.iter().flat_map(Load::problems));
    let error = |(field, problem)| ResolveError::Invalid { template: template.to_owned(), field, problem };
    problems.into_iter().map(error).collect()
}

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
