//! Metrics of a Rollout for which the simulator has no data, and why.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::{
    api::{
        analysis::{AnalysisTemplateSpec, Metric},
        rollout::RolloutSpec,
    },
    evidence::builtin,
    sim::Setting,
};

/// A metric that nothing answers.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct WithoutData {
    template: String,
    metric: String,
    required: bool,
    /// Whether a scenario can set its data.
    settable: bool,
}

/// Threshold, anomaly and gauge metrics ask for numbers of the user's own.
pub(super) fn of(setting: &Setting) -> Vec<WithoutData> {
    templates(setting).iter().flat_map(|(name, spec)| in_template(name, spec)).collect()
}

/// Whether response times are judged.
pub(super) fn judges_latency(setting: &Setting) -> bool {
    templates(setting).iter().flat_map(|(_, spec)| &spec.metrics).any(|metric| metric.latency.is_some())
}

/// What is not run of the Rollout's templates, for the user.
pub(super) fn load(setting: &Setting) -> Option<String> {
    let with_load = templates(setting).into_iter().filter(|(_, spec)| spec.load.is_some()).map(|(name, _)| name);
    let names = with_load.collect::<Vec<_>>().join(", ");
    (!names.is_empty()).then(|| format!("the Job of template {names} is not run: the simulated traffic stands for it"))
}

/// The templates that the Rollout names, from its files or built in.
fn templates(setting: &Setting) -> Vec<(String, AnalysisTemplateSpec)> {
    let Some(rollout) = &setting.rollout else { return Vec::new() };
    let template =
        |name: &String| Some((name.clone(), setting.templates.get(name).cloned().or_else(|| builtin(name))?));
    names(&rollout.spec).iter().filter_map(template).collect()
}

fn names(spec: &RolloutSpec) -> BTreeSet<String> {
    let background = spec.analysis.iter().flat_map(|analysis| &analysis.templates).map(|one| one.name.clone());
    let judged = spec.strategy.judged().into_iter().flat_map(|(_, judged)| judged.templates.clone());
    background.chain(judged.map(|one| one.name)).collect()
}

fn in_template(name: &str, spec: &AnalysisTemplateSpec) -> Vec<WithoutData> {
    let asks = |metric: &&Metric| {
        metric.threshold.is_some() || metric.anomaly.is_some() || metric.gauge.is_some() || metric.kayenta.is_some()
    };
    let metrics = spec.metrics.iter().filter(asks);
    let without = metrics.map(|metric| WithoutData {
        template: name.to_owned(),
        metric: metric.name.clone(),
        required: metric.is_required(),
        settable: metric.kayenta.is_none(),
    });
    without.collect()
}

impl WithoutData {
    /// Why, what follows, and what to do.
    pub fn words(&self) -> String {
        let then = if self.required { "so a rollout that needs its Pass is held" } else { "and it is not required" };
        let what_to_do = match self.settable {
            true => "set its data in a scenario (world.series)",
            false => "simulate it with `required: false`",
        };
        format!(
            "metric {} of template {} runs a query of its own, and simulated pods only count requests and errors, {then}; \
             {what_to_do}",
            self.metric, self.template
        )
    }

    /// For scripts.
    pub fn json(&self) -> Value {
        json!({ "metric": self.metric, "template": self.template, "required": self.required, "why": self.words() })
    }
}
