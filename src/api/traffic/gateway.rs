//! Traffic routing with the route kinds of the Gateway API, of a gateway or of a mesh.

use std::fmt;

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Traffic routing with the Gateway API: routes of a gateway (parent Gateway) or of a mesh (parent Service).
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = ("size(self.routes) > 0", "set at least one route"))]
pub struct GatewayTraffic {
    /// The routes whose rules split the traffic. Only the weights of the stable and canary backendRefs are written.
    #[schemars(length(max = 16))]
    pub routes: Vec<GatewayRoute>,
}

/// A route and the rules in it that Glidepath may write.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct GatewayRoute {
    /// HTTPRoute (default), GRPCRoute, TCPRoute or TLSRoute.
    #[serde(default)]
    pub kind: RouteKind,
    /// Its name.
    #[schemars(length(min = 1, max = 253))]
    pub name: String,
    /// Its namespace. Default: the Rollout's namespace.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
    /// Names of its rules, where the installed version of the Gateway API has them (v1.4 and later). Default: every rule
    /// with a backendRef to the stable or canary Service.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16))]
    pub rule_names: Vec<String>,
}

/// A route kind of the Gateway API.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
pub enum RouteKind {
    /// HTTP requests.
    #[default]
    #[serde(rename = "HTTPRoute")]
    Http,
    /// gRPC requests.
    #[serde(rename = "GRPCRoute")]
    Grpc,
    /// TCP connections: weights only.
    #[serde(rename = "TCPRoute")]
    Tcp,
    /// TLS connections by server name: weights only.
    #[serde(rename = "TLSRoute")]
    Tls,
}

impl RouteKind {
    /// The name of the kind.
    pub fn as_str(self) -> &'static str {
        match self {
            RouteKind::Http => "HTTPRoute",
            RouteKind::Grpc => "GRPCRoute",
            RouteKind::Tcp => "TCPRoute",
            RouteKind::Tls => "TLSRoute",
        }
    }

    /// Whether its rules can distinguish requests, rather than connections.
    pub fn has_requests(self) -> bool {
        matches!(self, RouteKind::Http | RouteKind::Grpc)
    }
}

impl fmt::Display for RouteKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
