//! How the next version is released: the canary strategy and its steps.

use kube::KubeSchema;
use serde::{Deserialize, Serialize};

use super::{
    analysis::TemplateRef,
    common::{HumanDuration, Percent, PodCount},
};

/// The release strategy. Exactly one key.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = ("has(self.canary)", "name one strategy, for instance canary"))]
pub struct Strategy {
    /// Step by step beside the stable version.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub canary: Option<CanaryStrategy>,
}

/// A canary release: a list of steps, walked one after the other.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct CanaryStrategy {
    /// The steps. Without any, the new version is promoted as soon as it is available.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 100))]
    pub steps: Vec<Step>,
    /// Without a mesh: how many pods may exist above the desired count while replicas move. Default 25 %.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_surge: Option<PodCount>,
    /// How many pods may be unavailable while replicas move. Default 25 %; if it and maxSurge are both 0, 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_unavailable: Option<PodCount>,
}

/// One step of a canary. Exactly one key.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = (
    // CEL does not see setWeight (numbers and strings are opaque to it); our validator counts it too.
    "[has(self.pause), has(self.observe), has(self.analysis), has(self.setCanaryScale), has(self.ramp)].filter(x, x).size() <= 1",
    "a step has exactly one of setWeight, pause, observe, analysis, setCanaryScale, ramp"
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
    pub args: Vec<super::analysis::Arg>,
    /// Without a verdict by then: extend once by the same length, then the onInconclusive policy. Default 30m.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at_most: Option<HumanDuration>,
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
