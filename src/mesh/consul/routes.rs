//! `retries` and `timeouts`: fields of the destinations of a ServiceRouter, in each route that leads to the service.
//!
//! The routes of a Rollout are left alone: it copies those of its users. Requests that no route matches get one of ours, the
//! last. As in every entry, an annotation says which fields are the policy's.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

use super::{
    entry::{mark, owned, shown},
    kinds::{ROUTERS, V1ALPHA1},
    path::{remove, set},
};
use crate::{
    api::policy::{Retries, RetryOn, Timeouts},
    mesh::{
        durations::in_one_unit,
        facts::Service,
        intent::{Intent, POLICY_LABEL},
        plan::{Conflict, MeshPlan, MeshWrite},
    },
    router::Objects,
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
    let names: BTreeSet<String> = wanted.keys().cloned().collect();
    let Some(present) = current.find(&reference) else {
        if !wanted.is_empty() {
            let mut object = intent.own(V1ALPHA1, "ServiceRouter", "", json!({"routes": [last(wanted)]}));
            object["metadata"]["name"] = json!(service.name);
            mark(&mut object, intent.policy, &names.into_iter().chain([LAST.to_owned()]).collect());
            plan.writes.push(MeshWrite::Own(object));
        }
        return;
    };
    let ours = owned(present, intent.policy);
    if wanted.is_empty() && ours.is_empty() {
        return;
    }
    let mut next = present.clone();
    let mut routes: Vec<Value> = present["spec"]["routes"].as_array().cloned().unwrap_or_default();
    let has_last = ours.contains(LAST);
    for (index, route) in routes.iter_mut().enumerate().filter(|(_, route)| leads_to(service, route)) {
        for field in ours.iter().filter(|field| !wanted.contains_key(*field)) {
            remove(route, &format!("destination.{field}"));
        }
        for (field, value) in wanted {
            let there = &route["destination"][field];
            // One that says the same is also in the way: it would be taken out with ours.
            if !there.is_null() && !ours.contains(field) {
                let field = format!("spec.routes[{index}].destination.{field}");
                plan.conflicts.push(Conflict { object: shown(present), field, manager: "its author".to_owned() });
                continue;
            }
            set(route, &format!("destination.{field}"), value.clone());
        }
    }
    let is_bare = |route: &Value| *route == json!({"match": {"http": {"pathPrefix": "/"}}});
    let mut marked: BTreeSet<String> = names;
    if has_last && routes.last().is_some_and(is_bare) {
        routes.pop();
    } else if !wanted.is_empty() && !routes.iter().any(|route| !is_rollouts(route) && matches_all(route)) {
        routes.push(last(wanted));
        marked.insert(LAST.to_owned());
    } else if has_last && !wanted.is_empty() {
        marked.insert(LAST.to_owned());
    }
    let is_made = present["metadata"]["labels"][POLICY_LABEL].as_str() == Some(intent.policy);
    if is_made && routes.is_empty() {
        plan.writes.push(MeshWrite::Delete(reference));
        return;
    }
    if !set(&mut next, "spec.routes", json!(routes)) {
        let (field, manager) = ("spec".to_owned(), "its author".to_owned());
        plan.conflicts.push(Conflict { object: shown(present), field, manager });
    }
    mark(&mut next, intent.policy, &marked);
    if next != *present {
        plan.writes.push(MeshWrite::Replace(next));
    }
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
fn leads_to(service: &Service, route: &Value) -> bool {
    let destination = &route["destination"];
    let name = destination["service"].as_str().unwrap_or_default();
    let is_whole = route.is_object() && (destination.is_null() || destination.is_object());
    is_whole && !is_rollouts(route) && (name.is_empty() || name == service.name)
}

fn matches_all(route: &Value) -> bool {
    let mut http = route["match"]["http"].as_object().into_iter().flatten();
    http.all(|(key, value)| value.is_null() || (*key == "pathPrefix" && *value == "/"))
}
