//! Istio in `spec.traffic`.

use kube::KubeSchema;
use serde::{Deserialize, Serialize};

/// Traffic routing with Istio.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = ("size(self.virtualServices) > 0", "set at least one VirtualService"))]
pub struct IstioTraffic {
    /// The VirtualServices whose http routes split the traffic. Only the weights of the stable and canary destinations
    /// are written.
    #[schemars(length(max = 16))]
    pub virtual_services: Vec<VirtualServiceRef>,
    /// Split by two subsets of a DestinationRule instead of by two Service hosts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub destination_rule: Option<DestinationRuleRef>,
}

/// A VirtualService and the http routes in it that Glidepath may write.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct VirtualServiceRef {
    /// Its name.
    #[schemars(length(min = 1, max = 253))]
    pub name: String,
    /// Its namespace. Default: the Rollout's namespace.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
    /// Names of its http routes. May be omitted if it has exactly one.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32))]
    pub routes: Vec<String>,
}

/// The DestinationRule of a split by subset. Glidepath writes the revision label into its two subsets.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = ("self.stableSubset != self.canarySubset", "stableSubset and canarySubset must differ"))]
pub struct DestinationRuleRef {
    /// Its name, in the Rollout's namespace.
    #[schemars(length(min = 1, max = 253))]
    pub name: String,
    /// The subset that selects the stable revision.
    #[schemars(length(min = 1, max = 63))]
    pub stable_subset: String,
    /// The subset that selects the canary revision.
    #[schemars(length(min = 1, max = 63))]
    pub canary_subset: String,
}
