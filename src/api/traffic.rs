//! Where a Rollout's traffic is split: one entry of `spec.traffic` per router.

use kube::KubeSchema;
use serde::{Deserialize, Serialize};

/// One router. Exactly one key.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = ("has(self.istio)", "name one router, for instance istio"))]
pub struct TrafficRouter {
    /// Istio: weights of VirtualService routes, by Service host or by DestinationRule subset.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub istio: Option<IstioTraffic>,
}

/// How the traffic of an Istio mesh is split.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = ("size(self.virtualServices) > 0", "name at least one VirtualService"))]
pub struct IstioTraffic {
    /// The VirtualServices whose http routes carry the split. Only the weights of our two destinations are written.
    #[schemars(length(max = 16))]
    pub virtual_services: Vec<VirtualServiceRef>,
    /// Split by subset of one DestinationRule in place of two Service hosts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub destination_rule: Option<DestinationRuleRef>,
}

/// One VirtualService and the http routes in it that we may touch.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct VirtualServiceRef {
    /// Its name.
    #[schemars(length(min = 1, max = 253))]
    pub name: String,
    /// Its namespace; the Rollout's when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
    /// Names of its http routes. May be absent when it has exactly one.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32))]
    pub routes: Vec<String>,
}

/// The DestinationRule of a subset split. Its two named subsets get the revision label.
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
