//! `breaker`, `retries` and `timeouts`: annotations of the target's Services, which their callers' proxies follow.
//!
//! A ServiceProfile of the Service, and annotations of a route that leads to it, are used instead: both are conflicts.

use serde_json::{Map, Value, json};

use super::kinds::{GATEWAY, POLICY, PROFILE, SERVICES};
use crate::{
    api::{
        HumanDuration,
        policy::{Breaker, Retries, RetryOn, Timeouts},
    },
    mesh::{
        durations::in_one_unit,
        facts::Service,
        fields,
        intent::Intent,
        ownership::conflict,
        plan::{Conflict, MeshPlan, Refusal},
    },
    router::Objects,
};

/// How long an endpoint is left alone at most, as Linkerd has it.
const MAX_PENALTY: HumanDuration = HumanDuration::secs(60);
const ACCRUAL: &str = "balancer.linkerd.io/failure-accrual";

/// Annotations by key.
type Annotations = Map<String, Value>;

pub(super) fn plan(intent: &Intent<'_>, current: &Objects) -> MeshPlan {
    let mut plan = MeshPlan::default();
    let spec = &intent.spec;
    let mut annotations = Annotations::new();
    let sections = [
        spec.breaker.as_ref().map(|breaker| ("breaker", self::breaker(intent, breaker))),
        spec.retries.as_ref().map(|retries| ("retries", self::retries(intent, retries, &mut plan.notes))),
        spec.timeouts.as_ref().map(|timeouts| ("timeouts", Ok(self::timeouts(timeouts)))),
    ];
    let mut first = None;
    for (section, planned) in sections.into_iter().flatten() {
        first = first.or(Some(section));
        match planned {
            Ok(planned) => annotations.extend(planned),
            Err(refusal) => plan.refused.push(refusal),
        }
    }
    let Some(section) = first else { return plan };
    let services = intent.services();
    if services.is_empty() {
        let why = "linkerd has these settings with Services, and the target has none; set spec.target.service";
        plan.refused.push(intent.refusal(section, why));
    }
    for service in services.into_iter().filter(|_| !annotations.is_empty()) {
        plan.conflicts.extend(conflicts(intent, current, service, &annotations));
        let mut objects = current.of_kind(SERVICES, &service.namespace);
        let object = objects.find(|object| object["metadata"]["name"] == *service.name);
        match object {
            Some(object) => {
                fields::plan(object, intent.policy, &json!({"metadata": {"annotations": annotations}}), &mut plan);
            }
            None => {
                let why =
                    format!("the annotations of Service {}/{} are not known; add it", service.namespace, service.name);
                plan.refused.push(intent.refusal(section, why));
            }
        }
    }
    plan
}

fn breaker(intent: &Intent<'_>, breaker: &Breaker) -> Result<Annotations, Refusal> {
    if breaker.gateway_errors_only == Some(true) {
        let why = "linkerd counts every 5xx as an error, and not 502, 503 and 504 alone; set it to false";
        return Err(intent.refusal("breaker.gatewayErrorsOnly", why));
    }
    let Some(errors) = breaker.consecutive_errors else {
        let why = "linkerd ejects a pod after consecutive errors alone; set breaker.consecutiveErrors";
        return Err(intent.refusal("breaker.consecutiveErrors", why));
    };
    let mut found = Annotations::new();
    found.insert(ACCRUAL.to_owned(), json!("consecutive"));
    found.insert(format!("{ACCRUAL}-consecutive-max-failures"), json!(errors.to_string()));
    if let Some(time) = breaker.base_ejection_time {
        found.insert(format!("{ACCRUAL}-consecutive-min-penalty"), json!(in_one_unit(time)));
        // Linkerd ignores the breaker of a Service whose shortest time is longer than its longest one.
        if time > MAX_PENALTY {
            found.insert(format!("{ACCRUAL}-consecutive-max-penalty"), json!(in_one_unit(time)));
        }
    }
    Ok(found)
}

/// Linkerd tries again by the status of a response. What has not reached a pod its balancer sends to another by itself.
fn retries(intent: &Intent<'_>, retries: &Retries, notes: &mut Vec<String>) -> Result<Annotations, Refusal> {
    let mut found = Annotations::new();
    if retries.attempts == Some(0) {
        return Ok(found);
    }
    let (mut http, mut grpc) = (Vec::new(), Vec::new());
    for on in &retries.on {
        match on {
            RetryOn::GatewayError => http.push("gateway-error"),
            RetryOn::ServerError => http.push("5xx"),
            RetryOn::Cancelled => grpc.push("cancelled"),
            RetryOn::DeadlineExceeded => grpc.push("deadline-exceeded"),
            RetryOn::ResourceExhausted => grpc.push("resource-exhausted"),
            RetryOn::Unavailable => grpc.push("unavailable"),
            RetryOn::ConnectFailure | RetryOn::RefusedStream | RetryOn::Reset => {}
        }
    }
    if retries.on.contains(&RetryOn::Reset) && http.is_empty() {
        let why = "linkerd sees a pod's reset as a 502 of the pod's proxy; add gateway-error, or remove reset";
        return Err(intent.refusal("retries.on", why));
    }
    let balanced = [RetryOn::ConnectFailure, RetryOn::RefusedStream];
    if retries.on.iter().any(|on| balanced.contains(on)) {
        let note =
            "spec.retries.on: linkerd's balancer sends what has not reached a pod to another one, without a setting";
        notes.push(note.to_owned());
    }
    if http.is_empty() && grpc.is_empty() {
        if retries.on.is_empty() || retries.per_try.is_some() {
            let field = if retries.on.is_empty() { "retries.on" } else { "retries.perTry" };
            let why = "linkerd tries nothing again without a status to try again on; add gateway-error, 5xx or a status of gRPC to retries.on";
            return Err(intent.refusal(field, why));
        }
        return Ok(found);
    }
    for (key, values) in [("http", http), ("grpc", grpc)].into_iter().filter(|(_, values)| !values.is_empty()) {
        found.insert(format!("retry.linkerd.io/{key}"), json!(values.join(",")));
    }
    if let Some(attempts) = retries.attempts {
        found.insert("retry.linkerd.io/limit".to_owned(), json!(attempts.to_string()));
    }
    if let Some(time) = retries.per_try {
        found.insert("retry.linkerd.io/timeout".to_owned(), json!(in_one_unit(time)));
    }
    Ok(found)
}

fn timeouts(timeouts: &Timeouts) -> Annotations {
    let given = [("request", timeouts.request), ("idle", timeouts.idle)];
    let given = given.into_iter().filter_map(|(name, time)| Some((name, time?)));
    given.map(|(name, time)| (format!("timeout.linkerd.io/{name}"), json!(in_one_unit(time)))).collect()
}

/// What proxies follow instead of these annotations.
fn conflicts(intent: &Intent<'_>, current: &Objects, service: &Service, annotations: &Annotations) -> Vec<Conflict> {
    let host = service.host(intent.facts);
    let profiles = current.of_kind((PROFILE, "ServiceProfile"), &service.namespace);
    let profiles = profiles.filter(|object| object["metadata"]["name"].as_str() == Some(&host));
    let mut found: Vec<Conflict> =
        profiles.map(|object| conflict(object, "the retries, timeouts and breaker of the Service")).collect();
    let groups: Vec<&str> = ["retry.linkerd.io/", "timeout.linkerd.io/"]
        .into_iter()
        .filter(|group| annotations.keys().any(|key| key.starts_with(group)))
        .collect();
    for kind in [(GATEWAY, "HTTPRoute"), (GATEWAY, "GRPCRoute"), (POLICY, "HTTPRoute")] {
        let routes = current.of_kind(kind, &service.namespace).filter(|route| is_parent(service, route));
        found.extend(routes.flat_map(|route| groups.iter().filter_map(|group| overrides(route, group))));
    }
    found
}

fn is_parent(service: &Service, route: &Value) -> bool {
    let mut parents = route["spec"]["parentRefs"].as_array().into_iter().flatten();
    parents.any(|parent| {
        let namespace = parent["namespace"].as_str().unwrap_or(&service.namespace);
        parent["kind"] == "Service" && parent["name"] == service.name.as_str() && namespace == service.namespace
    })
}

/// One annotation of a group on a route replaces all of that group on the Service; a route's own timeout does so too.
fn overrides(route: &Value, group: &str) -> Option<Conflict> {
    let annotations = route["metadata"]["annotations"].as_object().into_iter().flatten();
    if let Some((key, _)) = annotations.into_iter().find(|(key, _)| key.starts_with(group)) {
        return Some(conflict(route, format!("the annotation {key}")));
    }
    let mut rules = route["spec"]["rules"].as_array().into_iter().flatten();
    let has_timeout = group.starts_with("timeout") && rules.any(|rule| rule["timeouts"].is_object());
    has_timeout.then(|| conflict(route, "spec.rules[].timeouts"))
}
