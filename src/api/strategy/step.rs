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

/// One step of a canary. Exactly one key.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = (
    // CEL does not see setWeight (numbers and strings are opaque to it); our validator counts it too.
    "[has(self.pause), has(self.observe), has(self.analysis), has(self.setCanaryScale), has(self.ramp), \
     has(self.setHeaderRoute), has(self.setMirrorRoute), has(self.gate)].filter(x, x).size() <= 1",
    "a step has exactly one of setWeight, pause, observe, analysis, setCanaryScale, ramp, setHeaderRoute, \
     setMirrorRoute, gate"
))]
pub struct Step {
    /// The share of traffic that the new version gets, in percent (0 to 100, grain 0.01). Without a mesh it is
    /// approximated by the ratio of replicas.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub set_weight: Option<Percent>,
    /// Wait for a time, or for a person when no duration is given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pause: Option<Pause>,
    /// Wait until the evidence of the background analysis says Pass.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observe: Option<Observe>,
    /// Run an analysis of its own and wait for its verdict.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub analysis: Option<AnalysisStep>,
    /// Set the new version's pods apart from its weight; holds until the next one. With a mesh only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub set_canary_scale: Option<CanaryScale>,
    /// Short form of many setWeight and pause (or observe) steps.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ramp: Option<Ramp>,
    /// Send requests with a header or cookie to the new version, whatever its weight, until the same name is set without
    /// `match` or the rollout ends. With a mesh only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub set_header_route: Option<HeaderRoute>,
    /// Send the new version copies of requests, whose answers nobody gets, until the percentage is set to 0 or the rollout
    /// ends. With a mesh only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub set_mirror_route: Option<MirrorRoute>,
    /// Wait until an endpoint or a person says that the release may go on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gate: Option<Gate>,
    /// The wait for an A/B test's decision. Not for files: it comes with the strategy.
    #[serde(default, skip_deserializing, skip_serializing_if = "Option::is_none")]
    #[schemars(skip)]
    pub decide: Option<Decide>,
}

/// A wait.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct Pause {
    /// How long. Absent: until someone promotes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub duration: Option<HumanDuration>,
}

/// A wait for evidence.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct Observe {
    /// Go on no sooner than this. Default 0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at_least: Option<HumanDuration>,
    /// Without a verdict by then: extend once by the same length, then the onInconclusive policy. Default 30m.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at_most: Option<HumanDuration>,
}

/// An analysis that the step waits for.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = ("size(self.templates) > 0", "name at least one template"))]
pub struct AnalysisStep {
    /// The templates whose metrics are judged together.
    #[schemars(length(max = 16))]
    pub templates: Vec<TemplateRef>,
    /// Values for the templates' arguments.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64))]
    pub args: Vec<Arg>,
    /// Without a verdict by then: extend once by the same length, then the onInconclusive policy. Default 30m.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at_most: Option<HumanDuration>,
}

impl AnalysisStep {
    /// What it judges.
    pub fn judged(&self) -> Judged {
        Judged { templates: self.templates.clone(), args: self.args.clone() }
    }
}

/// How many pods the new version has, apart from its weight. Exactly one key.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = (
    // CEL does not see percent; our validator counts it too.
    "!(has(self.replicas) && has(self.matchWeight))",
    "setCanaryScale has exactly one of replicas, percent, matchWeight"
))]
pub struct CanaryScale {
    /// So many pods.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = MOST_PODS))]
    pub replicas: Option<u32>,
    /// This share of the desired replicas, rounded up.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub percent: Option<Percent>,
    /// `true`: as many as the weight needs again (the default behaviour).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub match_weight: Option<bool>,
}

/// Weights from `from` to `to` in strides of `by`, one every `every`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct Ramp {
    /// The first weight.
    pub from: Percent,
    /// The last weight; a stride beyond it is clamped.
    pub to: Percent,
    /// The stride, above 0.
    pub by: Percent,
    /// How long each weight is held.
    pub every: HumanDuration,
}

/// The wait for a decision: the step of a test that a canary does not have.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Decide {
    /// No sooner than this.
    pub at_least: HumanDuration,
    /// No later than this.
    pub at_most: HumanDuration,
    /// The metric that decides.
    pub goal: Judged,
}
