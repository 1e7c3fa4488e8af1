//! Istio in `spec.traffic`.

use kube::KubeSchema;
use serde::{Deserialize, Serialize};

/// Traffic routing with Istio.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = ("size(self.virtualServices) > 0", "set at least one VirtualService"))]
pub struct IstioTraffic {
    /// The VirtualServices whose routes split the traffic. Only the weights of the stable and canary destinations are
    /// written.
    #[schemars(length(max = 16))]
    pub virtual_services: Vec<VirtualServiceRef>,
    /// Split by two subsets of a DestinationRule instead of by two Service hosts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub destination_rule: Option<DestinationRuleRef>,
}

/// A VirtualService and the routes in it that Glidepath may write.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct VirtualServiceRef {
    /// Its name.
    #[schemars(length(min = 1, max = 253))]
    pub name: String,
    /// Its namespace. Default: the Rollout's namespace.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
    /// Names of its http routes. May be omitted if it has exactly one; with `tcpRoutes` or `tlsRoutes` none are meant then.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32))]
    pub routes: Vec<String>,
    /// Its tcp routes. They split connections: weights only.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16))]
    pub tcp_routes: Vec<TcpRouteRef>,
    /// Its tls routes. They split connections: weights only.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16))]
    pub tls_routes: Vec<TlsRouteRef>,
    /// The root VirtualService that delegates to this one. It is only read: what its matches exclude is refused, because
    /// Istio drops it without a word.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delegate_of: Option<RootRef>,
}

impl VirtualServiceRef {
    /// Whether it names http routes, by their names or as the only one.
    pub fn has_http(&self) -> bool {
        !self.routes.is_empty() || (self.tcp_routes.is_empty() && self.tls_routes.is_empty())
    }

    /// Whether its root is the VirtualService itself.
    pub fn is_its_own_root(&self) -> bool {
        self.delegate_of.as_ref().is_some_and(|root| root.name == self.name && root.namespace == self.namespace)
    }
}

/// A tcp route of a VirtualService, which has no name.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct TcpRouteRef {
    /// The port that its matches name. May be omitted if the VirtualService has exactly one tcp route.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 65535))]
    pub port: Option<u16>,
}

/// A tls route of a VirtualService, which has no name. All that is set must be in one of its matches; may be empty if the
/// VirtualService has exactly one tls route.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct TlsRouteRef {
    /// The port.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 65535))]
    pub port: Option<u16>,
    /// Server names (SNI).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32))]
    pub sni_hosts: Vec<String>,
}

/// A root VirtualService.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct RootRef {
    /// Its name.
    #[schemars(length(min = 1, max = 253))]
    pub name: String,
    /// Its namespace. Default: the Rollout's namespace.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 63))]
    pub namespace: Option<String>,
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
