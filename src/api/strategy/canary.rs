//! Canary releases: a list of steps.

use kube::KubeSchema;
use serde::{Deserialize, Serialize};

use super::{
    step::{Ramp, Step},
    sticky::Sticky,
};
use crate::api::{
    common::Percent,
    pod_count::{MOST_PODS, PodCount},
};

/// A canary release: a list of steps, executed in order.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct CanaryStrategy {
    /// The steps. If empty, the new version is promoted as soon as it is available.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 100))]
    pub steps: Vec<Step>,
    /// Without a mesh: the maximum number of pods above the desired number during a release, as a number or as a
    /// percentage string (`"25%"`), which may be above 100. Default 25 %.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_surge: Option<PodCount>,
    /// The maximum number of unavailable pods during a release, as a number or as a percentage string, at most
    /// `"100%"`. Default 25 %; if it and maxSurge are both 0, 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("pattern" = "^(100|[0-9]{1,2})%$"))]
    pub max_unavailable: Option<PodCount>,
    /// With a mesh: scale stable down as the canary receives traffic, instead of keeping all its pods. An abort then
    /// waits for stable to scale up. Default false.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub dynamic_stable_scale: bool,
    /// With a mesh: the minimum number of pods of a version that receives traffic. Default 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = MOST_PODS))]
    pub min_pods_per_revision: Option<u32>,
    /// With a mesh: a cookie keeps a user who has seen the new version on it until the release ends. Weights must not fall.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sticky: Option<Sticky>,
}

impl CanaryStrategy {
    /// The weights of the steps between 0 and 100 %, ascending, each once.
    pub fn partial_weights(&self) -> Vec<Percent> {
        let ramps = self.steps.iter().filter_map(|step| step.ramp.as_ref()).flat_map(Ramp::weights);
        let mut weights: Vec<Percent> = self.steps.iter().filter_map(|step| step.set_weight).chain(ramps).collect();
        weights.retain(|weight| !weight.is_zero() && *weight != Percent::FULL);
        weights.sort();
        weights.dedup();
        weights
    }
}
