//! `connections`, `breaker`, `loadBalancer`, `failover`, `timeouts.idle` and `retries.budget`: a DestinationRule per host.
//!
//! One host, one rule: Istio uses the `trafficPolicy` of the oldest rule for a host and drops that of the others. So where the
//! user has one, the policy's fields go into it, and where another policy has made one, too.

use serde_json::{Value, json};

use super::{
    hosts::{self, Hosts},
    kinds::{NETWORKING, NETWORKING_V1},
    traffic_policy,
};
use crate::{
    mesh::{
        fields,
        intent::Intent,
        others::Other,
        ownership::{conflict, is_own, name},
        plan::{Conflict, MeshPlan, MeshWrite},
    },
    router::{Objects, group_of},
};

const KIND: &str = "DestinationRule";

pub(super) fn plan(intent: &Intent<'_>, current: &Objects) -> MeshPlan {
    let mut plan = MeshPlan::default();
    let set = traffic_policy::set(&intent.spec);
    if set.is_empty() {
        return plan;
    }
    plan.refused.extend(traffic_policy::refusals(intent));
    for hosts in hosts::targets(intent, &set, &mut plan) {
        let spec = hosts.spec(intent, &mut plan);
        let policy = traffic_policy::leaves(&spec, hosts.service);
        if !policy.is_null() {
            hosts.written.iter().for_each(|name| write(intent, current, &hosts, name, &policy, &mut plan));
        }
    }
    plan
}

fn write(intent: &Intent<'_>, current: &Objects, hosts: &Hosts<'_>, name: &str, policy: &Value, plan: &mut MeshPlan) {
    let host = hosts::full(intent, name);
    elsewhere(intent, current, &host, plan);
    let there = rule(intent, current, &host);
    if policy["loadBalancer"]["localityLbSetting"].is_object()
        && policy["outlierDetection"].is_null()
        && there.is_none_or(|rule| rule["spec"]["trafficPolicy"]["outlierDetection"].is_null())
    {
        let why = "istio leaves a region when its pods are ejected, so it needs a breaker; add spec.breaker";
        plan.refused.push(intent.refusal("failover", why));
    }
    if let Some(rule) = there {
        return patch(intent, rule, policy, plan);
    }
    let own = intent.own(NETWORKING_V1, KIND, name, json!({"host": host, "trafficPolicy": policy}));
    match maker(intent, hosts).filter(|_| current.replaced_by(&own).is_none()) {
        Some(other) => {
            let name = format!("{}-{name}", other.name);
            plan.notes.push(format!("DestinationRule {name} is MeshPolicy {}'s; apply that one first", other.name));
            let metadata = json!({"name": name, "namespace": intent.namespace});
            let bare = json!({"apiVersion": NETWORKING_V1, "kind": KIND, "metadata": metadata});
            fields::plan(&bare, intent.policy, &json!({"spec": {"trafficPolicy": policy}}), plan);
        }
        None => {
            plan.conflicts.extend(hidden(intent, current, &host));
            plan.writes.push(MeshWrite::Own(own));
        }
    }
}

/// The rule of others for a host that all callers use: as Istio does, the oldest.
fn rule<'o>(intent: &'o Intent<'_>, current: &'o Objects, host: &str) -> Option<&'o Value> {
    let rules = current.of_kind((NETWORKING, KIND), intent.namespace);
    let is_others = |rule: &&Value| !is_own(rule, intent.policy);
    let is_for_all = |rule: &&Value| rule["spec"].get("workloadSelector").is_none();
    let same = |rule: &&Value| host_of(intent, rule) == host;
    let age = |rule: &&Value| {
        let metadata = &rule["metadata"];
        (metadata["creationTimestamp"].as_str().map(str::to_owned), metadata["name"].as_str().map(str::to_owned))
    };
    rules.filter(same).filter(is_others).filter(is_for_all).min_by_key(age)
}

/// The full host of a rule.
fn host_of(intent: &Intent<'_>, rule: &Value) -> String {
    let namespace = rule["metadata"]["namespace"].as_str().unwrap_or(intent.namespace);
    hosts::full_in(intent, rule["spec"]["host"].as_str().unwrap_or_default(), namespace)
}

/// The policy's leaves in the user's rule.
fn patch(intent: &Intent<'_>, rule: &Value, policy: &Value, plan: &mut MeshPlan) {
    let next = fields::plan(rule, intent.policy, &json!({"spec": {"trafficPolicy": policy}}), plan);
    plan.conflicts.extend(rivals(&next, policy));
    plan.notes.extend(overridden(rule, policy));
}

/// Keys of a hash, of which Istio takes one.
const HASHES: [&str; 4] = [
    "consistentHash/httpHeaderName",
    "consistentHash/httpCookie",
    "consistentHash/useSourceIp",
    "consistentHash/httpQueryParameterName",
];

/// Fields of which Istio takes one, in the rule as it would be.
fn rivals(next: &Value, policy: &Value) -> Vec<Conflict> {
    let balancer = &policy["loadBalancer"];
    let mut fields = Vec::new();
    if balancer["simple"].is_string() {
        fields.push("consistentHash");
    }
    if let Some(hash) = balancer["consistentHash"].as_object() {
        fields.push("simple");
        fields.extend(HASHES.iter().filter(|field| !hash.keys().any(|key| field.ends_with(key.as_str()))));
    }
    if balancer["localityLbSetting"].is_object() {
        fields.extend(["localityLbSetting/distribute", "localityLbSetting/failoverPriority"]);
    }
    if balancer["warmup"].is_object() {
        fields.push("warmupDurationSecs");
    }
    let rival = |field| fields::rival(next, &format!("/spec/trafficPolicy/loadBalancer/{field}"));
    fields.into_iter().filter_map(rival).collect()
}

/// What of the user's rule replaces the policy's fields: settings of a port or a subset do, section by section.
fn overridden(rule: &Value, policy: &Value) -> Vec<String> {
    let name = name(rule);
    let sections: Vec<&String> = policy.as_object().into_iter().flatten().map(|(section, _)| section).collect();
    let theirs = |policy: &Value| sections.iter().any(|section| policy.get(section.as_str()).is_some());
    let subsets = rule["spec"]["subsets"].as_array().into_iter().flatten();
    let subsets = subsets.filter(|subset| theirs(&subset["trafficPolicy"])).map(|subset| {
        let subset = subset["name"].as_str().unwrap_or_default();
        format!("{name}: subset {subset} has a trafficPolicy of its own, which replaces these fields there")
    });
    let ports = rule["spec"]["trafficPolicy"]["portLevelSettings"].as_array().into_iter().flatten();
    let ports = ports.map(|port| {
        let port = &port["port"]["number"];
        format!("{name}: port {port} has portLevelSettings, which replace these fields there")
    });
    ports.chain(subsets).collect()
}

/// An older policy that makes the rule of these hosts.
fn maker<'i, 'a>(intent: &'i Intent<'a>, hosts: &Hosts<'_>) -> Option<&'i Other<'a>> {
    let is_for = |other: &&Other<'_>| {
        let target = other.target;
        target.service.as_ref() == Some(&hosts.service.name) || target.namespace == Some(true)
    };
    // Of a wider policy, what a narrower one says itself is not written.
    let narrows = intent.spec.target.service.is_some();
    let ours = traffic_policy::set(&intent.spec);
    let makes = |other: &&Other<'_>| {
        let mut theirs = traffic_policy::FIELDS.into_iter().filter(|field| other.sets(field));
        theirs.any(|field| !(narrows && other.target.namespace == Some(true) && ours.contains(&field)))
    };
    let here = intent.others.iter().filter(|other| other.namespace == intent.namespace && other.is_older);
    here.filter(is_for).find(makes)
}

/// A rule for a wildcard that one of our own would hide: Istio uses the most specific host's alone.
fn hidden(intent: &Intent<'_>, current: &Objects, host: &str) -> Option<Conflict> {
    let mut rules = current.of_kind((NETWORKING, KIND), intent.namespace);
    let rule = rules.find(|rule| hosts::is_wildcard_of(&host_of(intent, rule), host))?;
    Some(conflict(rule, format!("spec.host {}, which a rule for {host} would hide", host_of(intent, rule))))
}

/// Rules of other namespaces: callers there use them first, and the root namespace's is hidden.
fn elsewhere(intent: &Intent<'_>, current: &Objects, host: &str, plan: &mut MeshPlan) {
    let root = intent.facts.root_namespace.as_str();
    for rule in current.iter().filter(|rule| rule["kind"] == KIND) {
        let namespace = rule["metadata"]["namespace"].as_str().unwrap_or_default();
        if namespace == intent.namespace || group_of(rule["apiVersion"].as_str().unwrap_or_default()) != NETWORKING {
            continue;
        }
        let theirs = host_of(intent, rule);
        let name = name(rule);
        if namespace == root && hosts::is_wildcard_of(&theirs, host) {
            plan.notes.push(format!("{name} for {theirs} is no longer used for {host}"));
        } else if theirs == host && namespace != root {
            plan.notes.push(format!("{name} is used by callers in namespace {namespace} instead"));
        }
    }
}
