//! `retries` and `timeouts.request`: in the `http` entries that lead to the target, or in a VirtualService of the policy's own.
//!
//! A list has one owner, so the object is replaced as read with the fields changed. Entries named `glidepath-*` and the weights
//! are a Rollout's, whose router copies the rest of an entry when it makes one.

use serde_json::{Value, json};

use super::{
    entries::{self, Wanted},
    hosts::{self, Hosts},
    kinds::{GATEWAY, NETWORKING, NETWORKING_V1, is_writable, time},
};
use crate::{
    api::{
        HumanDuration,
        policy::{MeshPolicySpec, PolicyTarget},
    },
    mesh::{
        intent::{Intent, Target},
        ownership::{AUTHOR, conflict, is_own, name, owner},
        plan::{Conflict, MeshPlan, MeshWrite, PolicyName, Refusal},
    },
    router::Objects,
};

const KIND: &str = "VirtualService";
/// What the names of a Rollout's own entries begin with.
const ROLLOUTS: &str = "glidepath-";

pub(super) fn plan(intent: &Intent<'_>, current: &Objects) -> MeshPlan {
    let mut plan = MeshPlan::default();
    let set = set(&intent.spec);
    if set.is_empty() {
        let policy = PolicyName { namespace: intent.namespace, name: intent.policy };
        plan.writes.extend(restore(policy, current));
        return plan;
    }
    plan.refused.extend(refusals(intent));
    let mut targets = Vec::new();
    for hosts in hosts::targets(intent, &set, &mut plan) {
        let wanted = wanted(&hosts.spec(intent, &mut plan));
        if !wanted.is_nothing() {
            targets.push((hosts, wanted));
        }
    }
    targets.iter().for_each(|(hosts, wanted)| reach(intent, current, hosts, wanted, &mut plan));
    replace(intent, current, &targets, &mut plan);
    plan
}

/// Every VirtualService as it was before a policy.
pub(super) fn restore(policy: PolicyName<'_>, current: &Objects) -> Vec<MeshWrite> {
    let objects = current.of_kind((NETWORKING, KIND), policy.namespace);
    let others = objects.filter(|object| !is_own(object, policy.name));
    let next = others.map(|object| (object, entries::with(object, policy.name, |_| Wanted::default())));
    // Where the record cannot be read, nothing is known to put back.
    let next = next.filter_map(|(object, next)| next.ok().filter(|next| next != object));
    next.map(MeshWrite::Replace).collect()
}

/// The fields of a policy that are kept here, as far as a spec sets them.
fn set(spec: &MeshPolicySpec) -> Vec<&'static str> {
    let wanted = wanted(spec);
    let set = [("retries", wanted.retries.is_some()), ("timeouts.request", wanted.timeout.is_some())];
    set.into_iter().filter(|(_, is_set)| *is_set).map(|(field, _)| field).collect()
}

fn wanted(spec: &MeshPolicySpec) -> Wanted {
    let mut retries = Value::Null;
    if let Some(given) = &spec.retries {
        let on: Vec<String> = given.on.iter().filter_map(|on| json!(on).as_str().map(str::to_owned)).collect();
        let mut put = |field: &str, value: Option<Value>| value.into_iter().for_each(|value| retries[field] = value);
        put("attempts", given.attempts.map(|attempts| json!(attempts)));
        put("perTryTimeout", given.per_try.map(time));
        put("retryOn", (!on.is_empty()).then(|| json!(on.join(","))));
        put("backoff", given.backoff.map(time));
    }
    Wanted {
        timeout: spec.timeouts.as_ref().and_then(|timeouts| timeouts.request).map(time),
        retries: (!retries.is_null()).then_some(retries),
    }
}

/// Values that Istio's fields cannot have.
fn refusals(intent: &Intent<'_>) -> Vec<Refusal> {
    let mut refused = Vec::new();
    let retries = intent.spec.retries.as_ref();
    if retries.is_some_and(|retries| retries.attempts.is_none()) && wanted(&intent.spec).retries.is_some() {
        let why = "is missing, and istio takes that for no retries; set it, or a preset";
        refused.push(intent.refusal("retries.attempts", why));
    }
    let given = [
        ("retries.perTry", retries.and_then(|retries| retries.per_try)),
        ("retries.backoff", retries.and_then(|retries| retries.backoff)),
        ("timeouts.request", intent.spec.timeouts.as_ref().and_then(|timeouts| timeouts.request)),
    ];
    let short = |time: HumanDuration| format!("istio counts in milliseconds, and this is {time}; set 1ms or more");
    let unwritable = given.into_iter().filter_map(|(field, time)| time.map(|time| (field, time)));
    let unwritable = unwritable.filter(|(_, time)| !is_writable(*time));
    refused.extend(unwritable.map(|(field, time)| intent.refusal(field, short(time))));
    refused
}

/// Whether callers in the mesh meet an entry that leads to the target; else an object of our own, or what is in its way.
fn reach(intent: &Intent<'_>, current: &Objects, hosts: &Hosts<'_>, wanted: &Wanted, plan: &mut MeshPlan) {
    let field = if wanted.retries.is_some() { "retries" } else { "timeouts.request" };
    let service = &hosts.service.name;
    if hosts.is_tcp() {
        if matches!(intent.target, Target::Namespace) {
            plan.notes.push(format!("Service {service} speaks TCP, so it has no retries and no timeouts of requests"));
        } else {
            let why =
                format!("is of HTTP requests, and Service {service} speaks TCP at every port; name its ports http-…");
            plan.refused.push(intent.refusal(field, why));
        }
        return;
    }
    if let Some(route) = gateway_route(intent, current, hosts) {
        let field = format!("the routes to Service {service}, which a VirtualService would hide");
        plan.conflicts.push(conflict(route, field));
        return;
    }
    let virtual_services: Vec<&Value> = others(intent, current).collect();
    let leading =
        virtual_services.iter().filter(|object| entries::list(object).iter().any(|entry| leads(intent, hosts, entry)));
    if leading.clone().any(|object| is_for_callers(object)) {
        return;
    }
    let host = hosts::full(intent, service);
    if let Some(other) =
        virtual_services.iter().find(|object| is_for_callers(object) && has_host(intent, object, &host))
    {
        plan.conflicts.push(conflict(other, format!("spec.hosts {host}, and leads elsewhere")));
    } else if let Some(release) = hosts.release.filter(|release| release.is_routed) {
        let why =
            format!("Rollout {} splits Service {service} by a route that is not known here; add it", release.rollout);
        plan.refused.push(intent.refusal(field, why));
    } else if let Some(other) = maker(intent, service, current) {
        let why = format!(
            "MeshPolicy {other} has retries or timeouts of Service {service} too, and istio keeps both in one entry; set both in one policy"
        );
        plan.refused.push(intent.refusal(field, why));
    } else {
        let spec = json!({"hosts": [host], "http": [entries::new(&host, wanted)]});
        plan.writes.push(MeshWrite::Own(intent.own(NETWORKING_V1, KIND, service, spec)));
    }
}

/// The VirtualServices of the namespace with this policy's fields in the entries that lead to its hosts.
fn replace(intent: &Intent<'_>, current: &Objects, targets: &[(Hosts<'_>, Wanted)], plan: &mut MeshPlan) {
    for object in others(intent, current) {
        let led: Vec<Led<'_>> = entries::list(object).iter().map(|entry| led(intent, targets, entry)).collect();
        let partly = led.iter().enumerate().filter(|(_, led)| matches!(led, Led::Partly));
        plan.conflicts.extend(partly.map(|(index, _)| Conflict {
            object: name(object),
            field: format!("spec.http[{index}], which also leads to hosts without these settings"),
            manager: AUTHOR.to_owned(),
        }));
        match owner(object).filter(|_| led.iter().any(|led| matches!(led, Led::To(_)))) {
            Some(_) => plan.conflicts.push(conflict(object, "spec.http")),
            None => {
                let wanted = |entry: &Value| match self::led(intent, targets, entry) {
                    Led::To(wanted) => wanted.clone(),
                    Led::Partly | Led::Elsewhere => Wanted::default(),
                };
                match entries::with(object, intent.policy, wanted) {
                    Ok(next) => plan.writes.extend((next != *object).then_some(MeshWrite::Replace(next))),
                    Err(conflict) => plan.conflicts.push(conflict),
                }
            }
        }
    }
}

/// Where an entry leads.
enum Led<'w> {
    /// To the target, and what the policy wants there.
    To(&'w Wanted),
    /// Also elsewhere, so a request's settings would depend on chance.
    Partly,
    /// Nowhere that the policy is for.
    Elsewhere,
}

fn led<'w>(intent: &Intent<'_>, targets: &'w [(Hosts<'_>, Wanted)], entry: &Value) -> Led<'w> {
    if entry["name"].as_str().is_some_and(|name| name.starts_with(ROLLOUTS)) {
        return Led::Elsewhere;
    }
    let to = |host: &str| {
        let host = hosts::full(intent, host);
        targets.iter().find(|(hosts, _)| hosts.has(intent, &host)).map(|(_, wanted)| wanted)
    };
    let wanted: Vec<Option<&Wanted>> = entries::destinations(entry).into_iter().map(to).collect();
    match wanted.first() {
        Some(Some(first)) if wanted.iter().all(|wanted| *wanted == Some(*first)) => Led::To(first),
        _ if wanted.iter().any(Option::is_some) => Led::Partly,
        _ => Led::Elsewhere,
    }
}

/// The VirtualServices of the namespace but for the policy's own.
fn others<'o>(intent: &'o Intent<'_>, current: &'o Objects) -> impl Iterator<Item = &'o Value> {
    let all = current.of_kind((NETWORKING, KIND), intent.namespace);
    all.filter(|object| !is_own(object, intent.policy))
}

fn leads(intent: &Intent<'_>, hosts: &Hosts<'_>, entry: &Value) -> bool {
    entries::destinations(entry).into_iter().any(|host| hosts.has(intent, &hosts::full(intent, host)))
}

/// Whether callers inside of the mesh meet it: it is for no gateway, or also for the mesh, or another one delegates to it.
fn is_for_callers(object: &Value) -> bool {
    let spec = &object["spec"];
    let is_delegate = spec["hosts"].as_array().is_none_or(Vec::is_empty);
    let gateways = spec["gateways"].as_array().filter(|gateways| !gateways.is_empty());
    is_delegate || gateways.is_none_or(|gateways| gateways.iter().any(|gateway| gateway == "mesh"))
}

fn has_host(intent: &Intent<'_>, object: &Value, host: &str) -> bool {
    let mut hosts = object["spec"]["hosts"].as_array().into_iter().flatten().filter_map(Value::as_str);
    hosts.any(|named| hosts::full(intent, named) == host)
}

/// A route of Gateway API for callers of one of these Services.
fn gateway_route<'o>(intent: &'o Intent<'_>, current: &'o Objects, hosts: &Hosts<'_>) -> Option<&'o Value> {
    let is_ours = |parent: &Value| {
        let name = parent["name"].as_str().unwrap_or_default();
        let namespace = parent["namespace"].as_str().unwrap_or(intent.namespace);
        parent["kind"] == "Service" && namespace == intent.namespace && hosts.all.contains(&name)
    };
    let parents =
        |route: &&Value| route["spec"]["parentRefs"].as_array().is_some_and(|parents| parents.iter().any(is_ours));
    let routes = ["HTTPRoute", "GRPCRoute"].into_iter().map(|kind| current.of_kind((GATEWAY, kind), intent.namespace));
    routes.flatten().find(parents)
}

/// An older policy whose own VirtualService this host has or will have.
fn maker(intent: &Intent<'_>, service: &str, current: &Objects) -> Option<String> {
    let own = intent.own(NETWORKING_V1, KIND, service, Value::Null);
    if current.replaced_by(&own).is_some() {
        return None;
    }
    let narrows = intent.spec.target.service.is_some();
    let ours = set(&intent.spec);
    let is_for = |target: &PolicyTarget| target.service.as_deref() == Some(service) || target.namespace == Some(true);
    let makes = |field: &&str| !(narrows && ours.contains(field));
    let older = intent.others.iter().filter(|other| other.namespace == intent.namespace && other.is_older);
    let mut older = older.filter(|other| is_for(other.target));
    let other =
        older.find(|other| ["retries", "timeouts.request"].iter().filter(|field| other.sets(field)).any(makes))?;
    Some(other.name.to_owned())
}
