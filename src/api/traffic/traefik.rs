//! Traffic routing with Traefik: weights of a TraefikService.

use kube::KubeSchema;
use serde::{Deserialize, Serialize};

/// Traffic routing with Traefik.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = ("size(self.services) > 0", "set at least one TraefikService"))]
pub struct TraefikTraffic {
    /// The weighted TraefikServices (`traefik.io/v1alpha1`) that list the stable and the canary Service. Only the weights
    /// in `spec.weighted.services` are written.
    #[schemars(length(max = 16))]
    pub services: Vec<TraefikServiceRef>,
}

/// A weighted TraefikService.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct TraefikServiceRef {
    /// Its name.
    #[schemars(length(min = 1, max = 253))]
    pub name: String,
    /// Its namespace. Default: the Rollout's namespace.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 63))]
    pub namespace: Option<String>,
}
