//! Traffic routing with a mesh that reads TrafficSplits of the Service Mesh Interface.

use kube::KubeSchema;
use serde::{Deserialize, Serialize};

/// Traffic routing with a mesh that reads TrafficSplits of the Service Mesh Interface.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = ("size(self.trafficSplits) > 0", "set at least one TrafficSplit"))]
pub struct SmiTraffic {
    /// The TrafficSplits (`split.smi-spec.io`, v1alpha1 to v1alpha4) whose backends are the stable and the canary
    /// Service. Only the weights of the backends are written.
    #[schemars(length(max = 16))]
    pub traffic_splits: Vec<TrafficSplitRef>,
}

/// A TrafficSplit in the Rollout's namespace.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct TrafficSplitRef {
    /// Its name.
    #[schemars(length(min = 1, max = 253))]
    pub name: String,
}
