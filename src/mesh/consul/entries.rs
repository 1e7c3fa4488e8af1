//! The fields of config entries that a policy wants: `mtls`, `connections`, `breaker`, `loadBalancer`, `failover` of single
//! services, and what is for the whole mesh.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::{
    entry::Fields,
    kinds::{DEFAULTS, GLOBAL, MESH_NAME, MESHES, PROXY_DEFAULTS, RESOLVERS, only},
};
use crate::{
    api::policy::{
        AccessLog, Algorithm, Breaker, Connections, EgressDefault, FailoverRule, Hash, LoadBalancer, Mtls, MtlsMode,
        TlsVersion,
    },
    mesh::{
        durations::in_one_unit,
        facts::Service,
        intent::{Intent, Target},
        plan::Refusal,
    },
    router::{Objects, WatchedKind},
};

/// OpenSSL's names of cipher suites, and those of the entry.
const CIPHERS: [(&str, &str); 6] = [
    ("ECDHE-ECDSA-AES128-GCM-SHA256", "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256"),
    ("ECDHE-ECDSA-AES256-GCM-SHA384", "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384"),
    ("ECDHE-ECDSA-CHACHA20-POLY1305", "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256"),
    ("ECDHE-RSA-AES128-GCM-SHA256", "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256"),
    ("ECDHE-RSA-AES256-GCM-SHA384", "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384"),
    ("ECDHE-RSA-CHACHA20-POLY1305", "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256"),
];

/// The fields of entries, by kind and name.
#[derive(Default)]
pub(super) struct Wanted {
    pub entries: BTreeMap<(&'static str, String), Fields>,
}

/// The kinds of these entries.
pub(super) const SHARED: &[WatchedKind] = &[DEFAULTS, RESOLVERS, MESHES, PROXY_DEFAULTS];

impl Wanted {
    fn add(&mut self, kind: &'static str, name: &str, field: impl Into<String>, value: Value) {
        self.entries.entry((kind, name.to_owned())).or_default().push((field.into(), value));
    }
}

/// What a policy wants, or what is wrong with it.
pub(super) fn wanted(intent: &Intent<'_>, current: &Objects, services: &[&Service]) -> Result<Wanted, Refusal> {
    let mut wanted = Wanted::default();
    let spec = &intent.spec;
    if let Some(mtls) = &spec.mtls {
        self::mtls(intent, current, mtls, services, &mut wanted)?;
    }
    if spec.connections.is_some() || spec.breaker.is_some() {
        limits(intent, services, &mut wanted)?;
    }
    if let Some(balancer) = &spec.load_balancer {
        load_balancer(balancer, services, &mut wanted);
    }
    failover(intent, &spec.failover, services, &mut wanted)?;
    if let Some(default) = spec.egress.as_ref().and_then(|egress| egress.default) {
        whole_mesh(intent, "egress.default")?;
        let only = json!(default == EgressDefault::Deny);
        wanted.add("Mesh", MESH_NAME, "transparentProxy.meshDestinationsOnly", only);
    }
    match spec.telemetry.as_ref().and_then(|telemetry| telemetry.access_log) {
        Some(AccessLog::Errors) => {
            let why = "consul logs all requests or none; set all or none";
            return Err(intent.refusal("telemetry.accessLog", why));
        }
        Some(log) => {
            whole_mesh(intent, "telemetry.accessLog")?;
            wanted.add("ProxyDefaults", GLOBAL, "accessLogs.enabled", json!(log == AccessLog::All));
        }
        None => {}
    }
    Ok(wanted)
}

fn whole_mesh(intent: &Intent<'_>, field: &str) -> Result<(), Refusal> {
    if matches!(intent.target, Target::Mesh) {
        return Ok(());
    }
    let why =
        "consul has this for the whole mesh alone; move it to a policy with target.mesh: true in the root namespace";
    Err(intent.refusal(field, why))
}

fn mtls(
    intent: &Intent<'_>,
    current: &Objects,
    mtls: &Mtls,
    services: &[&Service],
    wanted: &mut Wanted,
) -> Result<(), Refusal> {
    if let Some(mode) = mtls.mode {
        let word = match mode {
            MtlsMode::Strict => "strict",
            MtlsMode::Permissive => "permissive",
            MtlsMode::Disable => {
                let why =
                    "consul always has mutual TLS between its proxies; set Permissive, which accepts plaintext too";
                return Err(intent.refusal("mtls.mode", why));
            }
        };
        let is_enabled = only(current, "Mesh", MESH_NAME)
            .is_some_and(|mesh| mesh["spec"]["allowEnablingPermissiveMutualTLS"] == true);
        if mode == MtlsMode::Permissive && !is_enabled {
            let why = "consul refuses the permissive mode until the mesh allows it; set spec.allowEnablingPermissiveMutualTLS: true in Mesh mesh";
            return Err(intent.refusal("mtls.mode", why));
        }
        if matches!(intent.target, Target::Mesh) {
            wanted.add("ProxyDefaults", GLOBAL, "mutualTLSMode", json!(word));
        }
        services.iter().for_each(|one| wanted.add("ServiceDefaults", &one.name, "mutualTLSMode", json!(word)));
    }
    tls(intent, mtls, wanted)
}

/// TLS 1.3 as the least needs the most raised with it: callers offer 1.2 at most otherwise, and every call fails.
fn tls(intent: &Intent<'_>, mtls: &Mtls, wanted: &mut Wanted) -> Result<(), Refusal> {
    if let Some(version) = mtls.min_version {
        whole_mesh(intent, "mtls.minVersion")?;
        let word = match version {
            TlsVersion::V1_2 => "TLSv1_2",
            TlsVersion::V1_3 => "TLSv1_3",
        };
        wanted.add("Mesh", MESH_NAME, "tls.incoming.tlsMinVersion", json!(word));
        wanted.add("Mesh", MESH_NAME, "tls.outgoing.tlsMinVersion", json!(word));
        if version == TlsVersion::V1_3 {
            wanted.add("Mesh", MESH_NAME, "tls.outgoing.tlsMaxVersion", json!(word));
        }
    }
    if mtls.ciphers.is_empty() {
        return Ok(());
    }
    whole_mesh(intent, "mtls.ciphers")?;
    if mtls.min_version == Some(TlsVersion::V1_3) {
        let why = "TLS 1.3 has no choice of cipher suites; remove them, or set minVersion \"1.2\"";
        return Err(intent.refusal("mtls.ciphers", why));
    }
    let mut suites = Vec::new();
    for (index, cipher) in mtls.ciphers.iter().enumerate() {
        let known = CIPHERS.iter().find(|(openssl, _)| openssl == cipher);
        let Some((_, suite)) = known else {
            let names: Vec<&str> = CIPHERS.iter().map(|(openssl, _)| *openssl).collect();
            let why = format!("consul has no suite {cipher}; it has {}", names.join(", "));
            return Err(intent.refusal(format!("mtls.ciphers[{index}]"), why));
        };
        suites.push(*suite);
    }
    wanted.add("Mesh", MESH_NAME, "tls.incoming.cipherSuites", json!(suites));
    wanted.add("Mesh", MESH_NAME, "tls.outgoing.cipherSuites", json!(suites));
    Ok(())
}

/// Limits and breakers are the caller's: its ServiceDefaults have them by the name of the service that it calls.
fn limits(intent: &Intent<'_>, services: &[&Service], wanted: &mut Wanted) -> Result<(), Refusal> {
    let spec = &intent.spec;
    let field = if spec.connections.is_some() { "connections" } else { "breaker" };
    if spec.callers.is_empty() {
        let why = "consul keeps these limits with each caller; list them in spec.callers";
        return Err(intent.refusal(field, why));
    }
    for (index, caller) in spec.callers.iter().enumerate() {
        if intent.facts.service(intent.namespace, caller).is_none() {
            let why = format!("there is no Service {}/{caller}", intent.namespace);
            return Err(intent.refusal(format!("callers[{index}]"), why));
        }
    }
    let mut fields = spec.connections.as_ref().map(connections).unwrap_or_default();
    if let Some(breaker) = &spec.breaker {
        fields.extend(self::breaker(intent, breaker)?);
    }
    for caller in &spec.callers {
        for service in services.iter().filter(|service| service.name != *caller) {
            for (field, value) in &fields {
                let field = format!("upstreamConfig.overrides[{}].{field}", service.name);
                wanted.add("ServiceDefaults", caller, field, value.clone());
            }
        }
    }
    Ok(())
}

fn connections(connections: &Connections) -> Vec<(&'static str, Value)> {
    let time = connections.connect_timeout.map(|time| json!(u64::try_from(time.get().as_millis()).unwrap_or(u64::MAX)));
    let limits = [
        ("limits.maxConnections", connections.max_connections),
        ("limits.maxPendingRequests", connections.max_pending_requests),
        ("limits.maxConcurrentRequests", connections.max_requests),
    ];
    let limits = limits.into_iter().filter_map(|(field, limit)| Some((field, json!(limit?))));
    time.map(|time| ("connectTimeoutMs", time)).into_iter().chain(limits).collect()
}

fn breaker(intent: &Intent<'_>, breaker: &Breaker) -> Result<Vec<(&'static str, Value)>, Refusal> {
    if breaker.gateway_errors_only == Some(true) {
        let why = "consul counts every 5xx as an error, and not 502, 503 and 504 alone; set it to false";
        return Err(intent.refusal("breaker.gatewayErrorsOnly", why));
    }
    let percent = breaker.max_ejection_percent.map(|percent| percent.basis_points());
    if percent.is_some_and(|points| points % 100 != 0) {
        let why = "consul has whole percents; round it";
        return Err(intent.refusal("breaker.maxEjectionPercent", why));
    }
    let fields = [
        ("passiveHealthCheck.interval", breaker.interval.map(|time| json!(in_one_unit(time)))),
        ("passiveHealthCheck.maxFailures", breaker.consecutive_errors.map(|errors| json!(errors))),
        // Ejects at every time that the errors are reached, and not with some probability.
        ("passiveHealthCheck.enforcingConsecutive5xx", breaker.consecutive_errors.map(|_| json!(100))),
        ("passiveHealthCheck.maxEjectionPercent", percent.map(|points| json!(points / 100))),
        ("passiveHealthCheck.baseEjectionTime", breaker.base_ejection_time.map(|time| json!(in_one_unit(time)))),
    ];
    Ok(fields.into_iter().filter_map(|(field, value)| Some((field, value?))).collect())
}

fn load_balancer(balancer: &LoadBalancer, services: &[&Service], wanted: &mut Wanted) {
    let policy = balancer.algorithm.map(|algorithm| match algorithm {
        Algorithm::LeastRequest => "least_request",
        Algorithm::RoundRobin => "round_robin",
        Algorithm::Random => "random",
        Algorithm::Hash => "ring_hash",
    });
    for service in services {
        if let Some(policy) = policy {
            wanted.add("ServiceResolver", &service.name, "loadBalancer.policy", json!(policy));
        }
        if let Some(hash) = &balancer.hash {
            wanted.add("ServiceResolver", &service.name, "loadBalancer.hashPolicies", json!([hash_policy(hash)]));
        }
    }
}

fn hash_policy(hash: &Hash) -> Value {
    if let Some(header) = &hash.header {
        return json!({"field": "header", "fieldValue": header});
    }
    let Some(cookie) = &hash.cookie else { return json!({"sourceIP": true}) };
    let config = match cookie.ttl {
        Some(ttl) => json!({"ttl": in_one_unit(ttl)}),
        None => json!({"session": true}),
    };
    json!({"field": "cookie", "fieldValue": cookie.name, "cookieConfig": config})
}

/// A resolver is of one datacenter, so all rules are about that one.
fn failover(
    intent: &Intent<'_>,
    rules: &[FailoverRule],
    services: &[&Service],
    wanted: &mut Wanted,
) -> Result<(), Refusal> {
    let Some(first) = rules.first() else { return Ok(()) };
    if let Some(index) = rules.iter().position(|rule| rule.from != first.from) {
        let why = format!(
            "consul has a resolver for each datacenter, and this one is of {}; apply another policy there",
            first.from
        );
        return Err(intent.refusal(format!("failover[{index}].from"), why));
    }
    let to: Vec<&str> = rules.iter().map(|rule| rule.to.as_str()).collect();
    for service in services {
        wanted.add("ServiceResolver", &service.name, "failover.*.datacenters", json!(to));
    }
    Ok(())
}
