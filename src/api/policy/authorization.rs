//! Who may call the target: by identity, network, operation and the claims of a token.

use std::collections::BTreeMap;

use kube::KubeSchema;
use serde::{Deserialize, Serialize};

/// Who may call the target.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = ("has(self.allow) || has(self.deny)", "set allow, deny or both"))]
pub struct Authorization {
    /// What is allowed; everything else is denied. An empty list denies everything. If absent, what `deny` does not name is
    /// allowed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    pub allow: Option<Vec<AccessRule>>,
    /// What is denied, whatever `allow` says.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64))]
    pub deny: Vec<AccessRule>,
}

/// Requests that come from one of `from`, are one of `to`, and have the claims.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = (
    "has(self.from) || has(self.to) || has(self.claims)",
    "a rule without from, to and claims matches every request; write from: [{anyone: true}] if that is meant"
))]
pub struct AccessRule {
    /// The callers. If absent, everyone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 64))]
    pub from: Option<Vec<Source>>,
    /// The requests. If absent, all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 64))]
    pub to: Option<Vec<Operation>>,
    /// Claims that the request's token must have: one of the values of each.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(extend("maxProperties" = 16))]
    pub claims: BTreeMap<String, Vec<String>>,
}

/// A caller. `service` and `serviceAccount` may name another `namespace`; alone, `namespace` is everything in it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = (
    "[has(self.service), has(self.serviceAccount), has(self.cidr), has(self.meshed), has(self.anyone), has(self.namespace) && !has(self.service) && !has(self.serviceAccount)].exists_one(set, set)",
    "a source must be one of service, serviceAccount, namespace, cidr, meshed and anyone"
))]
pub struct Source {
    /// The pods of a Service, by their ServiceAccounts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 63))]
    pub service: Option<String>,
    /// Pods with this ServiceAccount.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253))]
    pub service_account: Option<String>,
    /// The namespace of the Service or ServiceAccount; alone, every pod of it. Default: the policy's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 63))]
    pub namespace: Option<String>,
    /// Addresses, as they reach the pod.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 49))]
    pub cidr: Option<String>,
    /// `true`: every caller with an identity of the mesh.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("enum" = [true]))]
    pub meshed: Option<bool>,
    /// `true`: every caller, also without an identity.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("enum" = [true]))]
    pub anyone: Option<bool>,
}

/// Requests: all that is given must match.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = (
    "has(self.methods) || has(self.paths) || has(self.ports) || has(self.grpc)",
    "set methods, paths, ports or grpc"
))]
#[x_kube(validation = (
    "!has(self.grpc) || (!has(self.methods) && !has(self.paths))",
    "grpc names the path and the method itself; remove methods and paths"
))]
pub struct Operation {
    /// HTTP methods.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16), inner(length(min = 1, max = 32)))]
    pub methods: Vec<String>,
    /// Paths: the whole path, or with a `*` at the end everything that begins so. Without the query.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64), inner(length(min = 1, max = 1024)))]
    pub paths: Vec<String>,
    /// Ports of the pods.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16), inner(range(min = 1, max = 65535)))]
    pub ports: Vec<u16>,
    /// A gRPC service or method.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub grpc: Option<GrpcMethod>,
}

/// A gRPC service, or one method of it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct GrpcMethod {
    /// The service with its package, for example `shop.Cart`.
    #[schemars(length(min = 1, max = 253))]
    pub service: String,
    /// The method. If absent, all of the service.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253))]
    pub method: Option<String>,
}

/// An issuer of tokens.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct Jwt {
    /// The issuer, as in the token's claim `iss`.
    #[schemars(length(min = 1, max = 253))]
    pub issuer: String,
    /// The address of the issuer's keys. If absent, it is found by OpenID Connect discovery.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 2048))]
    pub jwks_uri: Option<String>,
    /// The audiences that are accepted. If absent, any.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16), inner(length(min = 1, max = 253)))]
    pub audiences: Vec<String>,
    /// Whether the token is passed on to the pod. Default false.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub forward: bool,
    /// Whether requests without a token are denied. Default false: only invalid tokens are.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub required: bool,
}
