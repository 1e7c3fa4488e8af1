//! Canary releases: a list of steps beside the stable version.

use kube::KubeSchema;
use serde::{Deserialize, Serialize};

use super::step::Step;
use crate::api::pod_count::{MOST_PODS, PodCount};

/// A canary release: a list of steps, walked one after the other.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct CanaryStrategy {
    /// The steps. Without any, the new version is promoted as soon as it is available.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 100))]
    pub steps: Vec<Step>,
    /// Without a mesh: how many pods may exist above the desired count while replicas move: a number of pods, or a percentage
    /// as a text (`"25%"`), which may be above 100. Default 25 %.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_surge: Option<PodCount>,
    /// How many pods may be unavailable while replicas move: a number of pods, or a percentage as a text, at most `"100%"`.
    /// Default 25 %; if it and maxSurge are both 0, 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("pattern" = "^(100|[0-9]{1,2})%$"))]
    pub max_unavailable: Option<PodCount>,
    /// With a mesh: stable gives up pods as the canary takes traffic over, instead of keeping all. Saves pods; an abort then
    /// waits for stable to grow. Default false.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub dynamic_stable_scale: bool,
    /// With a mesh: a version that gets traffic has at least so many pods. Default 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = MOST_PODS))]
    pub min_pods_per_revision: Option<u32>,
}
