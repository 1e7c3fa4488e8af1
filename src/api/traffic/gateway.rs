//! Traffic routing with the route kinds of the Gateway API, of a gateway or of a mesh.

use std::fmt;

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Traffic routing with the Gateway API: routes of a gateway (parent Gateway) or of a mesh (parent Service).
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = ("(has(self.routes) && size(self.routes) > 0) != has(self.createRoute)", "set at least one route, or createRoute instead"))]
pub struct GatewayTraffic {
    /// The routes whose rules split the traffic. Only the weights of the stable and canary backendRefs are written.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16))]
    pub routes: Vec<GatewayRoute>,
    /// An HTTPRoute that Glidepath makes and keeps, instead of one in your files: nothing else writes its weights.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub create_route: Option<CreatedRoute>,
}

impl GatewayTraffic {
    /// Whether none of its routes distinguishes requests.
    pub fn splits_connections_alone(&self) -> bool {
        self.create_route.is_none() && !self.routes.iter().any(|route| route.kind.has_requests())
    }
}

/// An HTTPRoute of Glidepath's own in the Rollout's namespace, with one rule that sends every request to the two Services.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct CreatedRoute {
    /// Its name. Default: the Rollout's name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253))]
    pub name: Option<String>,
    /// What it is attached to: Gateways, or Services of a mesh.
    #[schemars(length(min = 1, max = 32))]
    pub parent_refs: Vec<RouteParent>,
    /// The host names of its requests. Default: those of the Gateway's listeners.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16))]
    pub hostnames: Vec<String>,
    /// The port of the Services.
    #[schemars(range(min = 1, max = 65535))]
    pub port: u16,
}

impl CreatedRoute {
    /// Its name, for a Rollout of this name.
    pub fn name<'a>(&'a self, rollout: &'a str) -> &'a str {
        self.name.as_deref().unwrap_or(rollout)
    }
}

/// What a created route is attached to, as in its `parentRefs`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct RouteParent {
    /// The API group. Default: `gateway.networking.k8s.io`; of a Service the empty one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 253))]
    pub group: Option<String>,
    /// Gateway (default) or Service.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 63))]
    pub kind: Option<String>,
    /// Its name.
    #[schemars(length(min = 1, max = 253))]
    pub name: String,
    /// Its namespace. Default: the Rollout's namespace.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
    /// The listener of a Gateway. Default: all that accept the route.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253))]
    pub section_name: Option<String>,
    /// The port of a Service or of listeners.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 65535))]
    pub port: Option<u16>,
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
