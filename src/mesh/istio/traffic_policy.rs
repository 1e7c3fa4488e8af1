//! The fields of a DestinationRule's `trafficPolicy` that a policy gives, and the values that Istio cannot have.

use serde_json::{Value, json};

use super::kinds::{is_writable, time};
use crate::{
    api::{
        HumanDuration, Percent,
        policy::{Algorithm, Breaker, Connections, Hash, LoadBalancer, MeshPolicySpec},
    },
    mesh::{
        facts::{Protocol, Service},
        intent::Intent,
        plan::Refusal,
    },
};

/// The fields of a policy that are kept here.
pub(super) const FIELDS: [&str; 6] =
    ["connections", "breaker", "loadBalancer", "failover", "timeouts.idle", "retries.budget"];

/// Those that a spec sets.
pub(super) fn set(spec: &MeshPolicySpec) -> Vec<&'static str> {
    let is_set = [
        spec.connections.is_some(),
        spec.breaker.is_some(),
        spec.load_balancer.is_some(),
        !spec.failover.is_empty(),
        spec.timeouts.as_ref().is_some_and(|timeouts| timeouts.idle.is_some()),
        spec.retries.as_ref().is_some_and(|retries| retries.budget.is_some()),
    ];
    FIELDS.into_iter().zip(is_set).filter(|(_, is_set)| *is_set).map(|(field, _)| field).collect()
}

/// The `trafficPolicy` for a Service, of leaves alone. Null: nothing.
pub(super) fn leaves(spec: &MeshPolicySpec, service: &Service) -> Value {
    let mut policy = Value::Null;
    spec.connections.iter().for_each(|connections| pool(connections, &mut policy));
    spec.breaker.iter().for_each(|breaker| outliers(breaker, &mut policy));
    spec.load_balancer.iter().for_each(|balancer| self::balancer(balancer, &mut policy));
    if !spec.failover.is_empty() {
        let rules: Value = spec.failover.iter().map(|rule| json!({"from": rule.from, "to": rule.to})).collect();
        policy["loadBalancer"]["localityLbSetting"] = json!({"enabled": true, "failover": rules});
    }
    if let Some(idle) = spec.timeouts.as_ref().and_then(|timeouts| timeouts.idle) {
        let speaks = |other: fn(Protocol) -> bool| {
            service.ports.is_empty() || service.ports.iter().any(|port| other(port.protocol))
        };
        if speaks(|protocol| protocol != Protocol::Tcp) {
            policy["connectionPool"]["http"]["idleTimeout"] = time(idle);
        }
        if speaks(|protocol| matches!(protocol, Protocol::Tcp | Protocol::Unknown)) {
            policy["connectionPool"]["tcp"]["idleTimeout"] = time(idle);
        }
    }
    if let Some(budget) = spec.retries.as_ref().and_then(|retries| retries.budget) {
        policy["retryBudget"]["percent"] = json!(budget);
    }
    policy
}

fn pool(connections: &Connections, policy: &mut Value) {
    let mut put = |layer: &str, field: &str, value: Option<Value>| {
        value.into_iter().for_each(|value| policy["connectionPool"][layer][field] = value);
    };
    put("tcp", "maxConnections", connections.max_connections.map(|most| json!(most)));
    put("tcp", "connectTimeout", connections.connect_timeout.map(time));
    put("http", "http1MaxPendingRequests", connections.max_pending_requests.map(|most| json!(most)));
    put("http", "http2MaxRequests", connections.max_requests.map(|most| json!(most)));
    put("http", "maxRequestsPerConnection", connections.max_requests_per_connection.map(|most| json!(most)));
    put("http", "h2UpgradePolicy", connections.http2.map(|is| json!(if is { "UPGRADE" } else { "DO_NOT_UPGRADE" })));
    let Some(probes) = &connections.keep_alive else { return };
    let mut put = |field: &str, value: Option<Value>| {
        value.into_iter().for_each(|value| policy["connectionPool"]["tcp"]["tcpKeepalive"][field] = value);
    };
    put("time", probes.time.map(time));
    put("interval", probes.interval.map(time));
    put("probes", probes.probes.map(|count| json!(count)));
}

/// 502 to 504 alone: every other 5xx is then no error, which Istio says with a count of 0.
fn outliers(breaker: &Breaker, policy: &mut Value) {
    let mut put = |field: &str, value: Option<Value>| {
        value.into_iter().for_each(|value| policy["outlierDetection"][field] = value);
    };
    let errors = breaker.consecutive_errors.map(|errors| json!(errors));
    if breaker.gateway_errors_only == Some(true) {
        put("consecutiveGatewayErrors", errors);
        put("consecutive5xxErrors", Some(json!(0)));
    } else {
        put("consecutive5xxErrors", errors);
    }
    put("interval", breaker.interval.map(time));
    put("baseEjectionTime", breaker.base_ejection_time.map(time));
    put("maxEjectionPercent", breaker.max_ejection_percent.map(|share| json!(share)));
    put("minHealthPercent", breaker.min_health_percent.map(|share| json!(share)));
}

fn balancer(balancer: &LoadBalancer, policy: &mut Value) {
    let simple = match balancer.algorithm {
        Some(Algorithm::LeastRequest) => Some("LEAST_REQUEST"),
        Some(Algorithm::RoundRobin) => Some("ROUND_ROBIN"),
        Some(Algorithm::Random) => Some("RANDOM"),
        Some(Algorithm::Hash) | None => None,
    };
    if let Some(simple) = simple {
        policy["loadBalancer"]["simple"] = json!(simple);
    }
    if let Some(hash) = &balancer.hash {
        policy["loadBalancer"]["consistentHash"] = hash_of(hash);
    }
    if let Some(warm_up) = balancer.warm_up {
        policy["loadBalancer"]["warmup"]["duration"] = time(warm_up);
    }
}

/// A cookie without a lifetime is the browser's session's, which Istio says with 0s.
fn hash_of(hash: &Hash) -> Value {
    match hash {
        Hash { header: Some(header), .. } => json!({"httpHeaderName": header}),
        Hash { cookie: Some(cookie), .. } => {
            let ttl = cookie.ttl.map_or_else(|| json!("0s"), time);
            json!({"httpCookie": {"name": cookie.name, "ttl": ttl}})
        }
        Hash { .. } => json!({"useSourceIp": true}),
    }
}

/// Values that Istio's fields cannot have.
pub(super) fn refusals(intent: &Intent<'_>) -> Vec<Refusal> {
    let spec = &intent.spec;
    let mut refused = Vec::new();
    let mut refuse = |field: &str, why: String| refused.push(intent.refusal(field, why));
    if let Some(breaker) = &spec.breaker {
        let shares =
            [("maxEjectionPercent", breaker.max_ejection_percent), ("minHealthPercent", breaker.min_health_percent)];
        for (field, share) in shares {
            if let Some(share) = share.filter(|share| !is_whole(*share)) {
                refuse(
                    &format!("breaker.{field}"),
                    format!("istio counts in whole percent, and this is {share}; round it"),
                );
            }
        }
        if breaker.gateway_errors_only == Some(true) && breaker.consecutive_errors.is_none() {
            refuse(
                "breaker.gatewayErrorsOnly",
                "needs breaker.consecutiveErrors: istio has no default for them".to_owned(),
            );
        }
    }
    if let Some(balancer) = &spec.load_balancer
        && balancer.warm_up.is_some()
        && matches!(balancer.algorithm, Some(Algorithm::Random | Algorithm::Hash))
    {
        let why = "istio warms up with LeastRequest and RoundRobin alone; choose one of them, or remove it";
        refuse("loadBalancer.warmUp", why.to_owned());
    }
    for (field, value) in times(spec).into_iter().filter(|(_, value)| !is_writable(*value)) {
        refuse(field, format!("istio counts in milliseconds, and this is {value}; set 1ms or more"));
    }
    if let Some(probes) = spec.connections.as_ref().and_then(|connections| connections.keep_alive.as_ref()) {
        let given = [("time", probes.time), ("interval", probes.interval)];
        for (field, _) in given.into_iter().filter(|(_, time)| time.is_some_and(|time| !is_seconds(time))) {
            let why = "the kernel counts in whole seconds; round it to 1s or more";
            refuse(&format!("connections.keepAlive.{field}"), why.to_owned());
        }
    }
    for (index, rule) in spec.failover.iter().enumerate() {
        if rule.from == rule.to {
            refuse(
                &format!("failover[{index}].to"),
                format!("is the region that fails, {}; name another one", rule.from),
            );
        }
        for (field, region) in [("from", &rule.from), ("to", &rule.to)] {
            if region.contains(['/', '*']) {
                let why = "istio fails over between regions; write the region alone, without a zone or *";
                refuse(&format!("failover[{index}].{field}"), why.to_owned());
            }
        }
    }
    refused
}

fn times(spec: &MeshPolicySpec) -> Vec<(&'static str, HumanDuration)> {
    let (connections, breaker) = (spec.connections.as_ref(), spec.breaker.as_ref());
    let given = [
        ("connections.connectTimeout", connections.and_then(|connections| connections.connect_timeout)),
        ("breaker.interval", breaker.and_then(|breaker| breaker.interval)),
        ("breaker.baseEjectionTime", breaker.and_then(|breaker| breaker.base_ejection_time)),
        ("loadBalancer.warmUp", spec.load_balancer.as_ref().and_then(|balancer| balancer.warm_up)),
        ("timeouts.idle", spec.timeouts.as_ref().and_then(|timeouts| timeouts.idle)),
    ];
    given.into_iter().filter_map(|(field, value)| value.map(|value| (field, value))).collect()
}

fn is_whole(share: Percent) -> bool {
    share.basis_points().is_multiple_of(100)
}

fn is_seconds(time: HumanDuration) -> bool {
    time.get().subsec_nanos() == 0 && !time.get().is_zero()
}
