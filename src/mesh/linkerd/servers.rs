//! What others have at the ports of the target's pods: of two Servers for one port of a pod, Linkerd uses either.

use std::collections::BTreeMap;

use serde_json::Value;

use super::{kinds::POLICY, ports};
use crate::{
    mesh::{
        facts::{self, Workload},
        intent::Intent,
        ownership::{conflict, is_own},
        plan::Conflict,
    },
    router::Objects,
};

/// Servers of others for a port of a pod that one of ours is for.
pub(super) fn conflicts(intent: &Intent<'_>, current: &Objects, ours: &[Value]) -> Vec<Conflict> {
    let workloads = ports::workloads(intent);
    let theirs = current.of_kind((POLICY, "Server"), intent.namespace).filter(|object| !is_own(object, intent.policy));
    let meets = |object: &&Value| {
        ours.iter().any(|server| {
            object["spec"]["podSelector"].is_object()
                && is_port(&object["spec"]["port"], &server["spec"]["port"], &workloads)
                && overlap(intent, &object["spec"]["podSelector"], &workloads)
        })
    };
    theirs.filter(meets).map(|object| conflict(object, "spec.podSelector and spec.port of the same pods")).collect()
}

/// What else admits callers to the Servers of the namespace.
pub(super) fn notes(intent: &Intent<'_>, current: &Objects) -> Vec<String> {
    let policies = current.of_kind((POLICY, "AuthorizationPolicy"), intent.namespace);
    let wide = policies.filter(|object| object["spec"]["targetRef"]["kind"] == "Namespace");
    let name = |object: &Value| object["metadata"]["name"].as_str().unwrap_or_default().to_owned();
    wide.map(|object| {
        let namespace = intent.namespace;
        format!(
            "AuthorizationPolicy {namespace}/{} is for the whole namespace: it also admits its callers to these pods",
            name(object)
        )
    })
    .collect()
}

/// Whether a Server's port, a number or a name, is this number.
fn is_port(port: &Value, number: &Value, workloads: &[&Workload]) -> bool {
    let named = |name: &str| {
        let ports = workloads.iter().flat_map(|workload| &workload.ports);
        ports.filter(|port| port.name == name).any(|port| number.as_u64() == Some(u64::from(port.number)))
    };
    port == number || port.as_str().is_some_and(|name| name.parse::<u64>().ok() == number.as_u64() || named(name))
}

/// Whether a selector of theirs and ours can select the same pod. Of pods that are not known, the labels decide.
fn overlap(intent: &Intent<'_>, theirs: &Value, workloads: &[&Workload]) -> bool {
    if !workloads.is_empty() {
        return workloads.iter().any(|workload| selects(theirs, &workload.labels));
    }
    let ours = intent.selector();
    let contradicts = |(key, value): (&String, &Value)| {
        ours.and_then(|labels| labels.get(key)).is_some_and(|own| Some(own.as_str()) != value.as_str())
    };
    !theirs["matchLabels"].as_object().into_iter().flatten().any(contradicts)
}

/// Whether a label selector selects pods with these labels.
fn selects(selector: &Value, labels: &BTreeMap<String, String>) -> bool {
    let mut expressions = selector["matchExpressions"].as_array().into_iter().flatten();
    facts::selects(&facts::labels(&selector["matchLabels"]), labels)
        && expressions.all(|expression| {
            let own = expression["key"].as_str().and_then(|key| labels.get(key));
            let values = expression["values"].as_array().into_iter().flatten();
            let is_in = own.is_some_and(|own| values.into_iter().any(|value| value.as_str() == Some(own)));
            match expression["operator"].as_str() {
                Some("In") => is_in,
                Some("NotIn") => !is_in,
                Some("Exists") => own.is_some(),
                Some("DoesNotExist") => own.is_none(),
                _ => true,
            }
        })
}
