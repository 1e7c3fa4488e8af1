//! Traffic routing with Consul: the weights of a service-splitter between two subsets of a service-resolver.

use kube::KubeSchema;
use serde::{Deserialize, Serialize};

/// The key of a service instance's Meta that has its revision.
pub const META_KEY: &str = "glidepath_revision";

/// Traffic routing with Consul, by the custom resources of consul-k8s.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = (
    "(has(self.stableSubset) ? self.stableSubset : 'stable') != (has(self.canarySubset) ? self.canarySubset : 'canary')",
    "stableSubset and canarySubset must differ"
))]
pub struct ConsulTraffic {
    /// The service in Consul, which is also the name of its ServiceSplitter and ServiceResolver, and of its ServiceRouter,
    /// which Glidepath creates for header routes if there is none.
    #[schemars(length(min = 1, max = 253))]
    pub service: String,
    /// The Kubernetes namespace of these. Default: the Rollout's namespace.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
    /// The subset of the ServiceResolver that selects the stable revision, and its default subset. Default: `stable`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 63))]
    pub stable_subset: Option<String>,
    /// The subset of the ServiceResolver that selects the canary revision. Default: `canary`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 63))]
    pub canary_subset: Option<String>,
    /// The namespace of the service in Consul, if splits and routes name it (Consul Enterprise).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 64))]
    pub consul_namespace: Option<String>,
    /// The admin partition of the service in Consul, if splits and routes name it (Consul Enterprise).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 64))]
    pub partition: Option<String>,
}

impl ConsulTraffic {
    /// The subset of the stable version.
    pub fn stable_subset(&self) -> &str {
        self.stable_subset.as_deref().unwrap_or("stable")
    }

    /// The subset of the new version.
    pub fn canary_subset(&self) -> &str {
        self.canary_subset.as_deref().unwrap_or("canary")
    }
}
