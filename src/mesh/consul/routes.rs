//! `retries` and `timeouts`: fields of the destinations of a ServiceRouter, in each route that leads to the service.
//!
//! The routes of a Rollout are left alone: it copies those of its users. Requests that no route matches get one of ours, the
//! last. As in every entry, an annotation says which fields are the policy's.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

use super::{
    entry::{mark, owned},
    kinds::{ROUTERS, V1ALPHA1},
    path::{remove, set},
};
use crate::{
    api::policy::{Retries, RetryOn, Timeouts},
    mesh::{
        durations::in_one_unit,
        facts::Service,
        intent::Intent,
        ownership::{AUTHOR, is_own, name},
        plan::{Conflict, MeshPlan, MeshWrite},
    },
    router::{ObjectRef, Objects},
};

/// The header of a Rollout's own routes begins so.
const ROLLOUTS: &str = "glidepath-route-";
/// How the annotation names our own route.
const LAST: &str = "routes[/]";

/// The fields of a destination that a policy wants.
pub(super) fn wanted(retries: Option<&Retries>, timeouts: Option<&Timeouts>) -> Map<String, Value> {
    let mut fields = Map::new();
    if let Some(retries) = retries.filter(|retries| retries.attempts != Some(0)) {
        let on: Vec<Value> = retries.on.iter().filter(|on| **on != RetryOn::GatewayError).map(|on| json!(on)).collect();
        if let Some(attempts) = retries.attempts {
            fields.insert("numRetries".to_owned(), json!(attempts));
        }
        if !on.is_empty() {
            fields.insert("retryOn".to_owned(), json!(on));
        }
        if retries.on.contains(&RetryOn::GatewayError) {
            fields.insert("retryOnStatusCodes".to_owned(), json!([502, 503, 504]));
        }
    }
    let times = timeouts.map(|timeouts| [("requestTimeout", timeouts.request), ("idleTimeout", timeouts.idle)]);
    for (field, time) in times.into_iter().flatten() {
        fields.extend(time.map(|time| (field.to_owned(), json!(in_one_unit(time)))));
    }
    fields
}

/// What the router of a service needs.
pub(super) fn plan(
    intent: &Intent<'_>,
    current: &Objects,
    service: &Service,
    wanted: &Map<String, Value>,
    plan: &mut MeshPlan,
) {
    let reference = ROUTERS.reference(&service.namespace, &service.name);
    let Some(present) = current.find(&reference) else {
        plan.writes.extend((!wanted.is_empty()).then(|| MeshWrite::Own(made(intent, service, wanted))));
        return;
    };
    let (taken, write) = edited(present, intent.policy, &reference, wanted);
    let others = |field: String| Conflict { object: name(present), field, manager: AUTHOR.to_owned() };
    plan.conflicts.extend(taken.into_iter().map(others));
    plan.writes.extend(write);
}

/// What takes the fields of a policy out of a router, and its own route.
pub(super) fn restore(present: &Value, policy: &str, reference: &ObjectRef) -> Option<MeshWrite> {
    edited(present, policy, reference, &Map::new()).1
}

/// The router of a service with the wanted fields of a policy and no others; which fields are in the way.
fn edited(
    present: &Value,
    policy: &str,
    reference: &ObjectRef,
    wanted: &Map<String, Value>,
) -> (Vec<String>, Option<MeshWrite>) {
    let ours = owned(present, policy);
    if wanted.is_empty() && ours.is_empty() {
        return (Vec::new(), None);
    }
    let mut routes: Vec<Value> = present["spec"]["routes"].as_array().cloned().unwrap_or_default();
    let mut taken = edit(&mut routes, &reference.name, wanted, &ours);
    let mut marked: BTreeSet<String> = wanted.keys().cloned().collect();
    marked.extend(end(&mut routes, wanted, ours.contains(LAST)).then(|| LAST.to_owned()));
    if is_own(present, policy) && routes.is_empty() {
        return (taken, Some(MeshWrite::Delete(reference.clone())));
    }
    let mut next = present.clone();
    if !set(&mut next, "spec.routes", json!(routes)) {
        taken.push("spec".to_owned());
    }
    mark(&mut next, policy, &marked);
    (taken, (next != *present).then_some(MeshWrite::Replace(next)))
}

/// A router where there is none.
fn made(intent: &Intent<'_>, service: &Service, wanted: &Map<String, Value>) -> Value {
    let mut object = intent.own_named(V1ALPHA1, "ServiceRouter", &service.name, json!({"routes": [last(wanted)]}));
    mark(&mut object, intent.policy, &wanted.keys().cloned().chain([LAST.to_owned()]).collect());
    object
}

/// Gives the routes that lead to the service the wanted fields, and takes out those of ours that are not wanted. The fields that
/// others have set are left, and named: one that says the same is also in the way, as it would be taken out with ours.
fn edit(routes: &mut [Value], service: &str, wanted: &Map<String, Value>, ours: &BTreeSet<String>) -> Vec<String> {
    let mut taken = Vec::new();
    for (index, route) in routes.iter_mut().enumerate().filter(|(_, route)| leads_to(service, route)) {
        for field in ours.iter().filter(|field| !wanted.contains_key(*field)) {
            remove(route, &format!("destination.{field}"));
        }
        for (field, value) in wanted {
            if !route["destination"][field].is_null() && !ours.contains(field) {
                taken.push(format!("spec.routes[{index}].destination.{field}"));
                continue;
            }
            set(route, &format!("destination.{field}"), value.clone());
        }
    }
    taken
}

/// Adds or takes out our own route, the last; whether there is one then.
fn end(routes: &mut Vec<Value>, wanted: &Map<String, Value>, has_last: bool) -> bool {
    let is_bare = |route: &Value| *route == json!({"match": {"http": {"pathPrefix": "/"}}});
    if has_last && routes.last().is_some_and(is_bare) {
        routes.pop();
        return false;
    }
    let is_needed = !wanted.is_empty() && !routes.iter().any(|route| !is_rollouts(route) && matches_all(route));
    if is_needed {
        routes.push(last(wanted));
    }
    is_needed || has_last && !wanted.is_empty()
}

/// Our own route: what no other one has.
fn last(destination: &Map<String, Value>) -> Value {
    json!({"match": {"http": {"pathPrefix": "/"}}, "destination": destination})
}

fn headers(route: &Value) -> impl Iterator<Item = &Value> {
    route["match"]["http"]["header"].as_array().into_iter().flatten()
}

fn is_rollouts(route: &Value) -> bool {
    headers(route).any(|header| header["name"].as_str().is_some_and(|name| name.starts_with(ROLLOUTS)))
}

/// A destination without a service is the router's own.
fn leads_to(service: &str, route: &Value) -> bool {
    let destination = &route["destination"];
    let name = destination["service"].as_str().unwrap_or_default();
    let is_whole = route.is_object() && (destination.is_null() || destination.is_object());
    is_whole && !is_rollouts(route) && (name.is_empty() || name == service)
}

fn matches_all(route: &Value) -> bool {
    let mut http = route["match"]["http"].as_object().into_iter().flatten();
    http.all(|(key, value)| value.is_null() || (*key == "pathPrefix" && *value == "/"))
}
