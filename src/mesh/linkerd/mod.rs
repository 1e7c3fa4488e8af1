//! Linkerd: Servers with routes and authorizations, annotations of Services, egress networks.
//!
//! Sources: linkerd.io/2/reference, and the policy controller and the proxy where the reference is silent (how routes are chosen,
//! which ports a Server selects). Own objects are named `<policy>-<port>..`; see `docs/policies.md`.

mod annotations;
mod callers;
mod egress;
mod inbound;
mod installer;
mod kinds;
mod ports;
#[cfg(test)]
mod refusals_tests;
mod requests;
mod servers;

use kinds::{
    AUTHORIZATION_POLICIES, EGRESS_NETWORKS, GATEWAY, GATEWAY_GRPC, GATEWAY_HTTP, GATEWAY_TLS, HTTP_ROUTES, MESH_TLS,
    NETWORKS, POLICY, PROFILE, RATE_LIMITS, SERVERS, SERVICE_PROFILES, SERVICES,
};

use super::{
    cells::{Cell, native, refused},
    intent::Intent,
    kind::{MeshKind, MeshProvider},
    plan::MeshPlan,
};
use crate::router::{Objects, RbacRule, WatchedKind};

const WRITE: &[&str] = &["list", "watch", "create", "update", "delete"];
const READ: &[&str] = &["list", "watch"];

/// The registry entry.
pub(super) const KIND: MeshKind = MeshKind {
    key: "linkerd",
    root_namespace: Some("linkerd"),
    summary: "Linkerd, with the policy kinds of 2.16 or later",
    cells: CELLS,
    faults: FAULTS,
    rbac: &[
        RbacRule {
            group: POLICY,
            resources: &[
                "servers",
                "httproutes",
                "authorizationpolicies",
                "meshtlsauthentications",
                "networkauthentications",
                "httplocalratelimitpolicies",
                "egressnetworks",
            ],
            verbs: WRITE,
        },
        RbacRule { group: GATEWAY, resources: &["httproutes", "tlsroutes"], verbs: WRITE },
        RbacRule { group: GATEWAY, resources: &["grpcroutes"], verbs: READ },
        RbacRule { group: PROFILE, resources: &["serviceprofiles"], verbs: READ },
        RbacRule { group: "", resources: &["services"], verbs: &["patch"] },
    ],
    kinds: KINDS,
    own: KINDS,
    patched: &[SERVICES],
    provider: &Linkerd,
};

/// In the order in which objects of the policy's own that are no longer wanted are deleted: what denies by default before what it
/// asks.
const KINDS: &[WatchedKind] = &[
    SERVERS,
    EGRESS_NETWORKS,
    RATE_LIMITS,
    AUTHORIZATION_POLICIES,
    HTTP_ROUTES,
    GATEWAY_HTTP,
    GATEWAY_GRPC,
    GATEWAY_TLS,
    MESH_TLS,
    NETWORKS,
    SERVICE_PROFILES,
];

const SERVER: &str = "a Server for each port of the pods. Strict: an AuthorizationPolicy with a MeshTLSAuthentication of `*`; \
    Permissive: `accessPolicy: all-unauthenticated`; Disable is refused";

const CELLS: &[Cell] = &[
    native("mtls.mode", SERVER),
    native("mtls.ports", SERVER),
    native("mtls.minVersion", "`1.3`, which it always uses; `1.2` is refused"),
    refused("mtls.ciphers", "always uses TLS 1.3, whose suites have no setting"),
    native(
        "authorization.allow",
        "AuthorizationPolicies with MeshTLSAuthentication and NetworkAuthentication; methods, paths and gRPC: HTTPRoutes on the Servers, with one for probes",
    ),
    refused("authorization.allow[].claims", "cannot read tokens; check them at the gateway or in the application"),
    refused("authorization.deny", "has no deny rules; list in allow what is allowed, everything else is denied"),
    refused("jwt", "cannot check tokens; check them at the gateway or in the application"),
    refused("connections", "has no limits of connections"),
    native("breaker.preset", "its values"),
    native(
        "breaker.consecutiveErrors",
        "Service annotation `balancer.linkerd.io/failure-accrual-consecutive-max-failures`",
    ),
    native("breaker.gatewayErrorsOnly", "`false`: every 5xx counts; `true` is refused"),
    refused("breaker.interval", "always ejects a pod at the error that is one too many, and has no interval"),
    native(
        "breaker.baseEjectionTime",
        "Service annotation `balancer.linkerd.io/failure-accrual-consecutive-min-penalty`",
    ),
    refused("breaker.maxEjectionPercent", "has no limit of ejected pods"),
    refused("breaker.minHealthPercent", "has no threshold of healthy pods"),
    native("loadBalancer.algorithm", "LeastRequest, which it always uses (by latency too); others are refused"),
    refused("loadBalancer.hash", "cannot choose a pod by a hash"),
    refused("loadBalancer.warmUp", "has no warm-up of new pods"),
    native("retries.preset", "its values"),
    native("retries.attempts", "Service annotation `retry.linkerd.io/limit`"),
    native("retries.perTry", "Service annotation `retry.linkerd.io/timeout`"),
    native(
        "retries.on",
        "Service annotations `retry.linkerd.io/http`, `retry.linkerd.io/grpc`; connect-failure and refused-stream are its balancer's",
    ),
    refused("retries.backoff", "has no setting for the time between attempts"),
    refused("retries.budget", "has no budget with these retries"),
    native("timeouts.request", "Service annotation `timeout.linkerd.io/request`"),
    native("timeouts.idle", "Service annotation `timeout.linkerd.io/idle`"),
    native("rateLimit.requests", "HTTPLocalRateLimitPolicy `total`, per second"),
    native("rateLimit.per", "HTTPLocalRateLimitPolicy, which counts per second"),
    refused("rateLimit.burst", "has no burst beside the rate"),
    native("rateLimit.perClient", "HTTPLocalRateLimitPolicy `identity`"),
    native("egress.default", "EgressNetwork `trafficPolicy`, for a namespace"),
    native(
        "egress.allow",
        "TLSRoute (443, 8443) or HTTPRoute (80, 8080) on the EgressNetwork; other ports are refused",
    ),
    refused("failover", "has no failover between localities; use a federated Service of its multicluster extension"),
    refused("telemetry.sampling", "always traces what the ingress or the application has sampled"),
    refused("telemetry.provider", "has no named providers; set proxy.tracing in its Helm values"),
    refused("telemetry.tags", "has no tags for single targets; set proxy.tracing in its Helm values"),
    native(
        "telemetry.accessLog",
        "`config.linkerd.io/access-log`, or `proxy.accessLog` of its Helm values: the line is printed; `errors` is refused",
    ),
];

/// Why there is no fault: one reason for all of its fields.
const NO_FAULTS: &str =
    "has no faults in its proxies; send a share of the requests to a backend that fails or waits, by an HTTPRoute";

const FAULTS: &[Cell] = &[
    refused("target.revision", NO_FAULTS),
    refused("delay", NO_FAULTS),
    refused("abort", NO_FAULTS),
    refused("duration", NO_FAULTS),
];

/// Linkerd.
#[derive(Debug)]
struct Linkerd;

impl MeshProvider for Linkerd {
    fn plan(&self, intent: &Intent<'_>, current: &Objects) -> MeshPlan {
        let mut plan = MeshPlan::default();
        plan.add(installer::plan(intent));
        plan.add(annotations::plan(intent, current));
        plan.add(inbound::plan(intent, current));
        plan.add(egress::plan(intent, current));
        plan
    }
}
