//! Istio: PeerAuthentication, AuthorizationPolicy, RequestAuthentication and what steers its proxies.
//!
//! Sources: the reference of each kind at istio.io/latest/docs/reference/config. An own object is named
//! `<policy>-<section>`; what a user's object says stays, see `docs/policies.md`.

mod access;
mod authorization;
mod callers;
mod destination_rule;
mod egress;
mod entries;
mod fault;
mod hosts;
mod jwt;
mod kinds;
mod mtls;
mod rate_limit;
mod telemetry;
mod traffic_policy;
mod virtual_service;

use jiff::Timestamp;
use kinds::{
    AUTHORIZATION_POLICIES, DESTINATION_RULES, ENVOY_FILTERS, GATEWAY, HTTP_ROUTES, NETWORKING, PEER_AUTHENTICATIONS,
    REQUEST_AUTHENTICATIONS, SECURITY, SERVICE_ENTRIES, SIDECARS, TELEMETRIES, TELEMETRY, VIRTUAL_SERVICES,
};

use super::{
    cells::{Cell, native, refused},
    check::{Access, Caller, CallerQuery},
    facts::Service,
    fault::intent::FaultIntent,
    intent::{Intent, Target},
    kind::{MeshKind, MeshProvider},
    plan::{MeshPlan, MeshWrite, PolicyName, Refusal},
};
use crate::router::{Objects, RbacRule, WatchedKind};

const OWN: &[&str] = &["list", "watch", "create", "update", "delete"];
const SHARED: &[&str] = &["list", "watch", "create", "update", "patch", "delete"];
const READ: &[&str] = &["list", "watch"];

/// The registry entry.
pub(super) const KIND: MeshKind = MeshKind {
    key: "istio",
    root_namespace: None,
    summary: "Istio: sidecars",
    cells: CELLS,
    faults: FAULTS,
    rbac: &[
        RbacRule {
            group: SECURITY,
            resources: &["peerauthentications", "authorizationpolicies", "requestauthentications"],
            verbs: OWN,
        },
        RbacRule { group: NETWORKING, resources: &["sidecars", "serviceentries", "envoyfilters"], verbs: OWN },
        RbacRule { group: NETWORKING, resources: &["destinationrules", "virtualservices"], verbs: SHARED },
        RbacRule { group: TELEMETRY, resources: &["telemetries"], verbs: OWN },
        RbacRule { group: GATEWAY, resources: &["httproutes"], verbs: READ },
    ],
    kinds: KINDS,
    own: KINDS,
    patched: &[(NETWORKING, "DestinationRule"), (NETWORKING, "Sidecar")],
    provider: &Istio,
};

const KINDS: &[WatchedKind] = &[
    PEER_AUTHENTICATIONS,
    AUTHORIZATION_POLICIES,
    REQUEST_AUTHENTICATIONS,
    DESTINATION_RULES,
    VIRTUAL_SERVICES,
    ENVOY_FILTERS,
    SIDECARS,
    SERVICE_ENTRIES,
    TELEMETRIES,
    HTTP_ROUTES,
];

const CELLS: &[Cell] = &[
    native("mtls.mode", "PeerAuthentication `mtls.mode`"),
    native("mtls.ports", "PeerAuthentication `portLevelMtls`; for a Service or workload"),
    native("mtls.minVersion", "the installer's `meshConfig.meshMTLS`: the line is printed"),
    native("mtls.ciphers", "the installer's `meshConfig.meshMTLS`: the line is printed"),
    native("authorization.allow", "AuthorizationPolicy, action `ALLOW`: `source`, `operation`, `when`"),
    native("authorization.deny", "a second AuthorizationPolicy, action `DENY`"),
    native("jwt", "RequestAuthentication; `required`: an AuthorizationPolicy that denies requests without a principal"),
    native("connections.maxConnections", "DestinationRule `connectionPool.tcp.maxConnections`"),
    native("connections.connectTimeout", "DestinationRule `connectionPool.tcp.connectTimeout`"),
    native("connections.keepAlive", "DestinationRule `connectionPool.tcp.tcpKeepalive`, in whole seconds"),
    native("connections.maxPendingRequests", "DestinationRule `connectionPool.http.http1MaxPendingRequests`"),
    native(
        "connections.maxRequests",
        "DestinationRule `connectionPool.http.http2MaxRequests`, which is for HTTP/1.1 too",
    ),
    native("connections.maxRequestsPerConnection", "DestinationRule `connectionPool.http.maxRequestsPerConnection`"),
    native("connections.http2", "DestinationRule `connectionPool.http.h2UpgradePolicy`"),
    native("breaker.preset", "its values"),
    native("breaker.consecutiveErrors", "DestinationRule `outlierDetection.consecutive5xxErrors`"),
    native("breaker.gatewayErrorsOnly", "`consecutiveGatewayErrors` instead, and `consecutive5xxErrors: 0`"),
    native("breaker.interval", "DestinationRule `outlierDetection.interval`"),
    native("breaker.baseEjectionTime", "DestinationRule `outlierDetection.baseEjectionTime`"),
    native("breaker.maxEjectionPercent", "DestinationRule `outlierDetection.maxEjectionPercent`, in whole percent"),
    native("breaker.minHealthPercent", "DestinationRule `outlierDetection.minHealthPercent`, in whole percent"),
    native("loadBalancer.algorithm", "DestinationRule `loadBalancer.simple`; `Hash`: `consistentHash`"),
    native("loadBalancer.hash", "DestinationRule `loadBalancer.consistentHash`"),
    native("loadBalancer.warmUp", "DestinationRule `loadBalancer.warmup`; with `LeastRequest` and `RoundRobin`"),
    native("retries.preset", "its values"),
    native("retries.attempts", "VirtualService `http[].retries.attempts`"),
    native("retries.perTry", "VirtualService `http[].retries.perTryTimeout`"),
    native("retries.on", "VirtualService `http[].retries.retryOn`"),
    native("retries.backoff", "VirtualService `http[].retries.backoff`"),
    native("retries.budget", "DestinationRule `retryBudget.percent`; where the served definition has it"),
    native("timeouts.request", "VirtualService `http[].timeout`"),
    native(
        "timeouts.idle",
        "DestinationRule `connectionPool.http.idleTimeout`; for TCP ports `connectionPool.tcp.idleTimeout`",
    ),
    native("rateLimit", "EnvoyFilter with Envoy's `local_ratelimit`, per pod; 429 above it"),
    refused(
        "rateLimit.perClient",
        "has no bucket per caller in its local rate limit; limit all callers with rateLimit.requests",
    ),
    native("egress.allow", "a ServiceEntry per host, for the policy's namespace; a host with `*`: `resolution: NONE`"),
    native("egress.default", "Sidecar `outboundTrafficPolicy.mode`; `Deny`: `REGISTRY_ONLY`"),
    native("failover", "DestinationRule `loadBalancer.localityLbSetting.failover`, between regions; needs a breaker"),
    native("telemetry.sampling", "Telemetry `tracing[].randomSamplingPercentage`"),
    native("telemetry.provider", "Telemetry `tracing[].providers`"),
    native("telemetry.tags", "Telemetry `tracing[].customTags`"),
    native(
        "telemetry.accessLog",
        "Telemetry `accessLogging[]` to the proxy's standard output; `errors`: with a `filter`",
    ),
];

const FAULTS: &[Cell] = &[
    native("target.revision", "EnvoyFilter `workloadSelector`, with the label of the Rollout's revision"),
    native("delay.fixed", "header `x-envoy-fault-delay-request` for Envoy's `fault` filter, inbound"),
    native("delay.share", "`delay.percentage` of that filter, to 0.01 %"),
    native("abort.status", "header `x-envoy-fault-abort-request` for the same filter"),
    native("abort.grpc", "header `x-envoy-fault-abort-grpc-request` for the same filter"),
    native("abort.share", "`abort.percentage` of the same filter, to 0.01 %"),
    native("duration", "a Lua filter adds these headers until the end, with no controller and no istiod"),
];

/// Istio.
#[derive(Debug)]
struct Istio;

impl MeshProvider for Istio {
    fn access(&self, intent: &Intent<'_>, objects: &Objects) -> Option<Access> {
        Some(access::read(intent, objects))
    }

    fn caller_queries(&self, service: &Service, seconds: u64) -> Vec<CallerQuery> {
        callers::queries(service, seconds)
    }

    fn denial_queries(&self, service: &Service, seconds: u64) -> Vec<CallerQuery> {
        callers::denials(service, seconds)
    }

    fn caller(&self, label: &str, count: f64, last_seen: Option<Timestamp>, is_http: bool) -> Option<Caller> {
        callers::read(label, count, last_seen, is_http)
    }

    /// Who may call comes before what is denied: a policy that closes a door is written after the one that opens it.
    fn plan(&self, intent: &Intent<'_>, current: &Objects) -> MeshPlan {
        let mut plan = MeshPlan::default();
        plan.refused.extend(without_pods(intent));
        plan.add(jwt::plan(intent));
        plan.add(authorization::plan(intent));
        plan.add(mtls::plan(intent, current));
        plan.add(destination_rule::plan(intent, current));
        plan.add(virtual_service::plan(intent, current));
        plan.add(rate_limit::plan(intent));
        plan.add(egress::plan(intent, current));
        plan.add(telemetry::plan(intent, current));
        plan
    }

    fn fault(&self, intent: &FaultIntent<'_>, _current: &Objects) -> MeshPlan {
        fault::plan(intent)
    }

    fn restore(&self, policy: PolicyName<'_>, current: &Objects) -> Vec<MeshWrite> {
        virtual_service::restore(policy, current)
    }
}

/// A Service without a selector: a selector without labels would be every pod of the namespace.
fn without_pods(intent: &Intent<'_>) -> Vec<Refusal> {
    let Target::Service(service) = intent.target else { return Vec::new() };
    if !service.selector.is_empty() {
        return Vec::new();
    }
    let spec = &intent.spec;
    let of_pods = [
        ("mtls", spec.mtls.is_some()),
        ("authorization", spec.authorization.is_some()),
        ("jwt", !spec.jwt.is_empty()),
        ("rateLimit", spec.rate_limit.is_some()),
        ("egress", spec.egress.is_some()),
        ("telemetry", spec.telemetry.is_some()),
    ];
    let why = format!("is for pods, and Service {} selects none; set spec.target.workload", service.name);
    of_pods.into_iter().filter(|(_, set)| *set).map(|(section, _)| intent.refusal(section, why.clone())).collect()
}
