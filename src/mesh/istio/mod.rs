//! Istio: PeerAuthentication, AuthorizationPolicy, RequestAuthentication and what steers its proxies.
//!
//! Sources: the reference of each kind at istio.io/latest/docs/reference/config. An own object is named
//! `<policy>-<section>`; what a user's object says stays, see `docs/policies.md`.

mod access;
mod authorization;
mod callers;
mod jwt;
mod kinds;
mod mtls;

use jiff::Timestamp;

use kinds::{AUTHORIZATION_POLICIES, PEER_AUTHENTICATIONS, REQUEST_AUTHENTICATIONS, SECURITY};

use super::{
    cells::{Cell, native, refused},
    check::{Access, Caller, CallerQuery},
    facts::Service,
    intent::Intent,
    kind::{MeshKind, MeshProvider},
    plan::MeshPlan,
};
use crate::router::{ListRef, ObjectRef, Objects, RbacRule};

/// The registry entry.
pub(super) const KIND: MeshKind = MeshKind {
    key: "istio",
    root_namespace: None,
    summary: "Istio: sidecars, or ambient with waypoints",
    docs: "",
    cells: CELLS,
    rbac: &[RbacRule {
        group: SECURITY,
        resources: &["peerauthentications", "authorizationpolicies", "requestauthentications"],
        verbs: &["get", "list", "watch", "create", "patch", "delete"],
    }],
    kinds: &[PEER_AUTHENTICATIONS, AUTHORIZATION_POLICIES, REQUEST_AUTHENTICATIONS],
    provider: &Istio,
};

const CELLS: &[Cell] = &[
    native("mtls.mode", "PeerAuthentication `mtls.mode`"),
    native("mtls.ports", "PeerAuthentication `portLevelMtls`; for a Service or workload"),
    native("mtls.minVersion", "the installer's `meshConfig.meshMTLS`: the line is printed"),
    native("mtls.ciphers", "the installer's `meshConfig.meshMTLS`: the line is printed"),
    native("authorization.allow", "AuthorizationPolicy, action `ALLOW`: `source`, `operation`, `when`"),
    native("authorization.deny", "a second AuthorizationPolicy, action `DENY`"),
    native("jwt", "RequestAuthentication; `required`: an AuthorizationPolicy that denies requests without a principal"),
    refused("connections", "cannot take this from a policy yet"),
    refused("breaker", "cannot take this from a policy yet"),
    refused("loadBalancer", "cannot take this from a policy yet"),
    refused("retries", "cannot take this from a policy yet"),
    refused("timeouts", "cannot take this from a policy yet"),
    refused("rateLimit", "cannot take this from a policy yet"),
    refused("egress", "cannot take this from a policy yet"),
    refused("failover", "cannot take this from a policy yet"),
    refused("telemetry", "cannot take this from a policy yet"),
];

/// Istio.
#[derive(Debug)]
struct Istio;

impl MeshProvider for Istio {
    fn objects(&self, _intent: &Intent<'_>) -> Vec<ObjectRef> {
        Vec::new()
    }

    fn lists(&self, intent: &Intent<'_>) -> Vec<ListRef> {
        vec![PEER_AUTHENTICATIONS.all(intent.namespace)]
    }

    fn access(&self, intent: &Intent<'_>, objects: &Objects) -> Option<Access> {
        Some(access::read(intent, objects))
    }

    fn caller_queries(&self, service: &Service, seconds: u64) -> Vec<CallerQuery> {
        callers::queries(service, seconds)
    }

    fn caller(&self, label: &str, count: f64, last_seen: Option<Timestamp>, is_http: bool) -> Option<Caller> {
        callers::read(label, count, last_seen, is_http)
    }

    /// Who may call comes before what is denied: a policy that closes a door is written after the one that opens it.
    fn plan(&self, intent: &Intent<'_>, current: &Objects) -> MeshPlan {
        let mut plan = MeshPlan::default();
        plan.add(jwt::plan(intent));
        plan.add(authorization::plan(intent));
        plan.add(mtls::plan(intent, current));
        plan
    }
}
