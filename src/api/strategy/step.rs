//! The steps of a release, whichever strategy they are of.

use kube::KubeSchema;
use serde::{Deserialize, Serialize};

use super::{
    gate::Gate,
    judged::Judged,
    requests::{HeaderRoute, MirrorRoute},
};
use crate::api::{
    analysis::{Arg, TemplateRef},
    common::{HumanDuration, Percent},
    pod_count::MOST_PODS,
};

/// A wait for a verdict lasts this long at most where the file does not say, and once more as long.
pub const DEFAULT_AT_MOST: HumanDuration = HumanDuration::secs(30 * 60);

/// One step of a canary. Exactly one key.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = (
    // CEL does not see setWeight (numbers and strings are opaque to it); our validator counts it too.
    "[has(self.pause), has(self.observe), has(self.analysis), has(self.setCanaryScale), has(self.ramp), \
     has(self.setHeaderRoute), has(self.setMirrorRoute), has(self.gate)].filter(x, x).size() <= 1",
    "a step must have exactly one of setWeight, pause, observe, analysis, setCanaryScale, ramp, setHeaderRoute, \
     setMirrorRoute, gate"
))]
pub struct Step {
    /// The canary weight in percent (0 to 100, resolution 0.01). Without a mesh it is approximated by the ratio of
    /// replicas.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub set_weight: Option<Percent>,
    /// Wait for a duration, or without one for an operator to promote.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pause: Option<Pause>,
    /// Wait until the background analysis passes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observe: Option<Observe>,
    /// Run a separate analysis and wait for its verdict.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub analysis: Option<AnalysisStep>,
    /// Scale the new version independently of its weight, until the next setCanaryScale. Requires a mesh.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub set_canary_scale: Option<CanaryScale>,
    /// Shorthand for a series of setWeight and pause (or observe) steps.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ramp: Option<Ramp>,
    /// Route requests with a header or cookie to the new version regardless of its weight, until the same name is set
    /// without `match` or the rollout ends. Requires a mesh.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub set_header_route: Option<HeaderRoute>,
    /// Mirror requests to the new version and discard the responses, until the percentage is set to 0 or the rollout
    /// ends. Requires a mesh.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub set_mirror_route: Option<MirrorRoute>,
    /// Wait until an endpoint or an operator approves.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gate: Option<Gate>,
    /// The wait for an A/B test's decision. It is internal: the strategy adds it.
    #[serde(default, skip_deserializing, skip_serializing_if = "Option::is_none")]
    #[schemars(skip)]
    pub decide: Option<Decide>,
}

impl Step {
    /// How long the step waits for a verdict at most, before it is extended; `None`: it waits for none.
    pub fn at_most(&self) -> Option<HumanDuration> {
        self.observe.as_ref().map(Observe::at_most).or(self.analysis.as_ref().map(AnalysisStep::at_most))
    }
}

/// A pause of the release.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct Pause {
    /// The duration. If absent, the release waits until an operator promotes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub duration: Option<HumanDuration>,
}

/// A wait for the background analysis.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct Observe {
    /// Minimum duration. Default 0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at_least: Option<HumanDuration>,
    /// Maximum duration. Without a verdict by then, the wait is extended once by the same duration; then onInconclusive
    /// applies. Default 30m.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at_most: Option<HumanDuration>,
}

impl Observe {
    /// The maximum duration, before it is extended.
    pub fn at_most(&self) -> HumanDuration {
        self.at_most.unwrap_or(DEFAULT_AT_MOST)
    }
}

/// An analysis that the step waits for.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = ("size(self.templates) > 0", "set at least one template"))]
pub struct AnalysisStep {
    /// The templates whose metrics are judged together.
    #[schemars(length(max = 16))]
    pub templates: Vec<TemplateRef>,
    /// Values for the arguments of the templates.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64))]
    pub args: Vec<Arg>,
    /// Maximum duration. Without a verdict by then, the wait is extended once by the same duration; then onInconclusive
    /// applies. Default 30m.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at_most: Option<HumanDuration>,
}

impl AnalysisStep {
    /// The maximum duration, before it is extended.
    pub fn at_most(&self) -> HumanDuration {
        self.at_most.unwrap_or(DEFAULT_AT_MOST)
    }

    /// The analysis.
    pub fn judged(&self) -> Judged {
        Judged { templates: self.templates.clone(), args: self.args.clone() }
    }
}

/// The number of pods of the new version, independent of its weight. Exactly one key.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = (
    // CEL does not see percent; our validator counts it too.
    "!(has(self.replicas) && has(self.matchWeight))",
    "setCanaryScale must have exactly one of replicas, percent, matchWeight"
))]
pub struct CanaryScale {
    /// A number of pods.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = MOST_PODS))]
    pub replicas: Option<u32>,
    /// A percentage of the desired replicas, rounded up.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub percent: Option<Percent>,
    /// `true` returns to the default: as many pods as the weight needs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub match_weight: Option<bool>,
}

/// Weights from `from` to `to` in increments of `by`, one every `every`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct Ramp {
    /// The first weight.
    pub from: Percent,
    /// The last weight; an increment beyond it is clamped.
    pub to: Percent,
    /// The increment, above 0.
    pub by: Percent,
    /// The duration of each weight.
    pub every: HumanDuration,
}

impl Ramp {
    /// Its weights, clamped to its end. An increment of 0 (refused by the validator) goes straight to the end.
    pub fn weights(&self) -> Vec<Percent> {
        let (from, to, by) = (self.from.basis_points(), self.to.basis_points(), self.by.basis_points());
        let mut weights = vec![self.from];
        let mut at = from;
        while at < to {
            at = if by == 0 { to } else { (at + by).min(to) };
            weights.push(Percent::from_basis_points(at));
        }
        weights
    }
}

/// The wait for a decision: the internal step of an A/B test.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Decide {
    /// Minimum duration.
    pub at_least: HumanDuration,
    /// Maximum duration.
    pub at_most: HumanDuration,
    /// The metric that decides.
    pub goal: Judged,
}
