//! The kinds of Linkerd that policies write or read, and how one names another.

use serde_json::{Value, json};

use crate::router::WatchedKind;

/// The group of Linkerd's policy kinds.
pub(super) const POLICY: &str = "policy.linkerd.io";
/// The version of authorizations, authentications, rate limits and egress networks.
pub(super) const V1ALPHA1: &str = "policy.linkerd.io/v1alpha1";
/// The version of Servers and of the routes on them. Older Servers do not have `accessPolicy`.
pub(super) const V1BETA3: &str = "policy.linkerd.io/v1beta3";
/// The group of Gateway API.
pub(super) const GATEWAY: &str = "gateway.networking.k8s.io";
/// The group of ServiceProfiles.
pub(super) const PROFILE: &str = "linkerd.io";

pub(super) const SERVERS: WatchedKind = WatchedKind::known(POLICY, &["v1beta3"], "Server", "servers");
pub(super) const HTTP_ROUTES: WatchedKind = WatchedKind::known(POLICY, &["v1beta3"], "HTTPRoute", "httproutes");
pub(super) const AUTHORIZATION_POLICIES: WatchedKind =
    WatchedKind::known(POLICY, &["v1alpha1"], "AuthorizationPolicy", "authorizationpolicies");
pub(super) const MESH_TLS: WatchedKind =
    WatchedKind::known(POLICY, &["v1alpha1"], "MeshTLSAuthentication", "meshtlsauthentications");
pub(super) const NETWORKS: WatchedKind =
    WatchedKind::known(POLICY, &["v1alpha1"], "NetworkAuthentication", "networkauthentications");
pub(super) const RATE_LIMITS: WatchedKind =
    WatchedKind::known(POLICY, &["v1alpha1"], "HTTPLocalRateLimitPolicy", "httplocalratelimitpolicies");
pub(super) const EGRESS_NETWORKS: WatchedKind =
    WatchedKind::known(POLICY, &["v1alpha1"], "EgressNetwork", "egressnetworks");
pub(super) const GATEWAY_HTTP: WatchedKind = WatchedKind::known(GATEWAY, &["v1"], "HTTPRoute", "httproutes");
pub(super) const GATEWAY_GRPC: WatchedKind = WatchedKind::known(GATEWAY, &["v1"], "GRPCRoute", "grpcroutes");
/// The version that Linkerd reads.
pub(super) const GATEWAY_TLS: WatchedKind = WatchedKind::known(GATEWAY, &["v1alpha2"], "TLSRoute", "tlsroutes");
/// Kubernetes' Services, whose annotations are Linkerd's settings. Every controller knows them, so they are no kind of the mesh's.
pub(super) const SERVICES: (&str, &str) = ("", "Service");
pub(super) const SERVICE_PROFILES: WatchedKind =
    WatchedKind::known(PROFILE, &["v1alpha2"], "ServiceProfile", "serviceprofiles");

/// A reference to an object of Linkerd's policy group in the same namespace.
pub(super) fn reference(kind: &str, name: &str) -> Value {
    json!({"group": POLICY, "kind": kind, "name": name})
}
