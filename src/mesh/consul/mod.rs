//! Consul, by the custom resources of consul-k8s: intentions, and fields of the config entries of services and callers.
//!
//! Sources: developer.hashicorp.com/consul/docs/reference/config-entry, and the CRDs of consul-k8s. An entry has the name of its
//! service, so a user, a Rollout and a policy share it: see `entry`.

mod entries;
mod entry;
mod intentions;
mod kinds;
mod path;
#[cfg(test)]
mod refusals_tests;
mod routes;

use kinds::{
    DEFAULTS, GLOBAL, GROUP, INTENTIONS, MESH_NAME, MESHES, PROXY_DEFAULTS, RESOLVERS, ROUTERS, only, speaks_http,
};

use super::{
    cells::{Cell, native, refused},
    facts::Service,
    intent::{Intent, Target},
    kind::{MeshKind, MeshProvider},
    ownership,
    plan::{Conflict, MeshPlan, MeshWrite, PolicyName, Refusal},
};
use crate::router::{Objects, RbacRule, WatchedKind};

/// The registry entry.
pub(super) const KIND: MeshKind = MeshKind {
    key: "consul",
    root_namespace: Some("consul"),
    summary: "Consul on Kubernetes, by the custom resources of consul-k8s",
    cells: CELLS,
    faults: FAULTS,
    rbac: &[RbacRule {
        group: GROUP,
        resources: &[
            "serviceintentions",
            "servicedefaults",
            "serviceresolvers",
            "servicerouters",
            "meshes",
            "proxydefaults",
        ],
        verbs: &["list", "watch", "create", "update", "patch", "delete"],
    }],
    kinds: KINDS,
    own: &[INTENTIONS],
    patched: &[],
    provider: &Consul,
};

const KINDS: &[WatchedKind] = &[INTENTIONS, DEFAULTS, RESOLVERS, ROUTERS, MESHES, PROXY_DEFAULTS];

const CELLS: &[Cell] = &[
    native("mtls.mode", "ServiceDefaults `mutualTLSMode` (mesh: ProxyDefaults); Disable is refused"),
    refused("mtls.ports", "has no mode for single ports"),
    native("mtls.minVersion", "Mesh `tls`; 1.3 with `outgoing.tlsMaxVersion`, without which every call fails"),
    native("mtls.ciphers", "Mesh `tls.incoming.cipherSuites`, `tls.outgoing.cipherSuites`"),
    native(
        "authorization.allow",
        "ServiceIntentions `sources[].permissions[].http`, closed by a permission that denies and a `*` that denies",
    ),
    refused("authorization.allow[].from[].cidr", "has no addresses in intentions; name services"),
    refused("authorization.allow[].to[].ports", "has no ports in intentions"),
    refused("authorization.allow[].claims", "cannot take this from a policy yet"),
    native("authorization.deny", "ServiceIntentions, action `deny`"),
    refused("authorization.deny[].from[].cidr", "has no addresses in intentions; name services"),
    refused("authorization.deny[].to[].ports", "has no ports in intentions"),
    refused("authorization.deny[].claims", "cannot take this from a policy yet"),
    refused("jwt", "cannot take this from a policy yet"),
    native("connections.maxConnections", "callers' ServiceDefaults `upstreamConfig.overrides[].limits`"),
    native("connections.connectTimeout", "callers' ServiceDefaults `upstreamConfig.overrides[].connectTimeoutMs`"),
    refused("connections.keepAlive", "has no probes of idle connections between services"),
    native("connections.maxPendingRequests", "callers' ServiceDefaults `upstreamConfig.overrides[].limits`"),
    native("connections.maxRequests", "callers' ServiceDefaults `limits.maxConcurrentRequests` of the override"),
    refused("connections.maxRequestsPerConnection", "has no limit of requests over a connection"),
    refused("connections.http2", "cannot upgrade HTTP/1.1; set protocol: http2 in ServiceDefaults"),
    native("breaker.preset", "its values"),
    native("breaker.consecutiveErrors", "callers' ServiceDefaults `passiveHealthCheck.maxFailures` of the override"),
    native("breaker.gatewayErrorsOnly", "`false`: every 5xx counts; `true` is refused"),
    native("breaker.interval", "callers' ServiceDefaults `passiveHealthCheck.interval` of the override"),
    native(
        "breaker.baseEjectionTime",
        "callers' ServiceDefaults `passiveHealthCheck.baseEjectionTime` of the override",
    ),
    native(
        "breaker.maxEjectionPercent",
        "callers' ServiceDefaults `passiveHealthCheck.maxEjectionPercent` of the override",
    ),
    refused("breaker.minHealthPercent", "has no threshold of healthy pods"),
    native("loadBalancer.algorithm", "ServiceResolver `loadBalancer.policy`"),
    native("loadBalancer.hash", "ServiceResolver `loadBalancer.hashPolicies`"),
    refused("loadBalancer.warmUp", "has no warm-up of new pods"),
    native("retries.preset", "its values"),
    native("retries.attempts", "ServiceRouter `numRetries`"),
    refused("retries.perTry", "has no time for one attempt"),
    native("retries.on", "ServiceRouter `retryOn`, `retryOnStatusCodes`"),
    refused("retries.backoff", "has no setting for the time between attempts"),
    refused("retries.budget", "has no budget of retries"),
    native("timeouts.request", "ServiceRouter `requestTimeout`"),
    native("timeouts.idle", "ServiceRouter `idleTimeout`"),
    refused("rateLimit", "has no rate limits without its Enterprise edition"),
    native("egress.default", "Mesh `transparentProxy.meshDestinationsOnly`, for the whole mesh"),
    refused("egress.allow", "cannot take this from a policy yet"),
    native("failover", "ServiceResolver `failover`, to datacenters"),
    refused("telemetry.sampling", "cannot sample by a setting; write envoy_tracing_json in ProxyDefaults"),
    refused("telemetry.provider", "has no named providers; write envoy_tracing_json in ProxyDefaults"),
    refused("telemetry.tags", "cannot add tags by a setting; write envoy_listener_tracing_json in ProxyDefaults"),
    native("telemetry.accessLog", "ProxyDefaults `accessLogs.enabled`, for the whole mesh; `errors` is refused"),
];

const NO_FAULTS: &str = "cannot take this from a fault yet";

const FAULTS: &[Cell] = &[
    refused("target.revision", NO_FAULTS),
    refused("delay", "has no extension of its proxies that can wait"),
    refused("abort", NO_FAULTS),
    refused("duration", NO_FAULTS),
];

/// Consul.
#[derive(Debug)]
struct Consul;

impl MeshProvider for Consul {
    /// Who may call is written before a mode that shuts the others out.
    fn plan(&self, intent: &Intent<'_>, current: &Objects) -> MeshPlan {
        let mut plan = MeshPlan::default();
        plan.add(intentions::plan(intent, current));
        match shared(intent, current) {
            Ok(shared) => plan.add(shared),
            Err(refusal) => plan.refused.push(refusal),
        }
        plan
    }

    fn restore(&self, policy: PolicyName<'_>, current: &Objects) -> Vec<MeshWrite> {
        let mut found = Vec::new();
        for kind in entries::SHARED.iter().chain([&ROUTERS]) {
            for present in current.of_kind((GROUP, &kind.kind), policy.namespace) {
                let reference =
                    kind.reference(policy.namespace, present["metadata"]["name"].as_str().unwrap_or_default());
                found.extend(if *kind == ROUTERS {
                    routes::restore(present, policy.name, &reference)
                } else {
                    entry::restore(present, policy.name, reference)
                });
            }
        }
        found
    }
}

/// The entries that a policy shares with others.
fn shared(intent: &Intent<'_>, current: &Objects) -> Result<MeshPlan, Refusal> {
    let services = services(intent)?;
    let mut plan = MeshPlan::default();
    let mut wanted = entries::wanted(intent, current, &services)?.entries;
    for kind in entries::SHARED {
        let there = current.of_kind((GROUP, &kind.kind), intent.namespace);
        let names = there.filter_map(|object| object["metadata"]["name"].as_str().map(str::to_owned));
        let mut names: Vec<String> = names.collect();
        names.extend(wanted.keys().filter(|(of, _)| *of == kind.kind).map(|(_, name)| name.clone()));
        names.sort();
        names.dedup();
        for name in names {
            let fields = wanted.iter_mut().find(|((of, one), _)| *of == kind.kind && *one == name);
            let fields = fields.map(|(_, fields)| std::mem::take(fields)).unwrap_or_default();
            if !fields.is_empty() {
                plan.conflicts.extend(elsewhere(intent, current, kind, &name));
            }
            entry::plan(intent, current, (kind, name.as_str()), &fields, &mut plan);
        }
    }
    if intent.spec.retries.as_ref().is_some_and(|retries| retries.on.is_empty() && retries.attempts != Some(0)) {
        let why = "consul tries nothing again without a reason to; add connect-failure, gateway-error or another to retries.on";
        return Err(intent.refusal("retries.on", why));
    }
    let routes = routes::wanted(intent.spec.retries.as_ref(), intent.spec.timeouts.as_ref());
    let section = if intent.spec.timeouts.is_some() { "timeouts" } else { "retries" };
    for service in intent.facts.services_of(intent.namespace) {
        let is_target = services.iter().any(|one| one.name == service.name);
        if is_target && !routes.is_empty() {
            speaks_http(intent, current, service, section)?;
        }
        let none = serde_json::Map::new();
        routes::plan(intent, current, service, if is_target { &routes } else { &none }, &mut plan);
    }
    Ok(plan)
}

/// The services of a policy that has settings of services.
fn services<'a>(intent: &'a Intent<'a>) -> Result<Vec<&'a Service>, Refusal> {
    let spec = &intent.spec;
    let services = intent.services();
    let set = [
        ("connections", spec.connections.is_some()),
        ("breaker", spec.breaker.is_some()),
        ("loadBalancer", spec.load_balancer.is_some()),
        ("retries", spec.retries.is_some()),
        ("timeouts", spec.timeouts.is_some()),
        ("failover", !spec.failover.is_empty()),
        (
            "mtls.mode",
            spec.mtls.as_ref().is_some_and(|mtls| mtls.mode.is_some()) && !matches!(intent.target, Target::Mesh),
        ),
    ];
    match set.into_iter().find(|(_, is_set)| *is_set && services.is_empty()) {
        Some((field, _)) => {
            let why = "consul has this for services, and the target has none; set spec.target.service";
            Err(intent.refusal(field, why))
        }
        None => Ok(services),
    }
}

/// The one Mesh and the one ProxyDefaults may be in another namespace, where a policy does not write.
fn elsewhere(intent: &Intent<'_>, current: &Objects, kind: &WatchedKind, name: &str) -> Option<Conflict> {
    if ![MESH_NAME, GLOBAL].contains(&name) || ![MESHES, PROXY_DEFAULTS].contains(kind) {
        return None;
    }
    let object = only(current, &kind.kind, name)?;
    let is_here = object["metadata"]["namespace"] == intent.namespace;
    let manager = "its author, in another namespace than the policy".to_owned();
    (!is_here).then(|| Conflict { object: ownership::name(object), field: "spec".to_owned(), manager })
}
