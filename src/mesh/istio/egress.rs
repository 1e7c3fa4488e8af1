//! `egress`: a ServiceEntry per host outside of the mesh, and a Sidecar that says what happens to the others.
//!
//! A Sidecar also says what of the mesh a proxy knows. `*/*` is everything, so no call within the mesh is cut; hosts that
//! ServiceEntries of others bring into the namespace stay too.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
};

use serde_json::{Value, json};

use super::kinds::{NETWORKING, NETWORKING_V1, is_for_the_same_pods, workload_selected};
use crate::{
    api::policy::{Egress, EgressDefault},
    mesh::{
        fields,
        intent::{Intent, Target},
        ownership::{conflict, is_own, name, owner},
        plan::{Conflict, MeshPlan, MeshWrite, Refusal},
    },
    router::Objects,
};

/// The labels of a Sidecar's pods.
const SELECTOR: &str = "/workloadSelector/labels";

pub(super) fn plan(intent: &Intent<'_>, current: &Objects) -> MeshPlan {
    let mut plan = MeshPlan::default();
    let Some(egress) = &intent.spec.egress else { return plan };
    plan.refused.extend(refusals(intent, egress));
    for (host, ports) in hosts(egress) {
        entry(intent, current, host, &ports, &mut plan);
    }
    if let Some(default) = egress.default {
        sidecar(intent, current, default, &mut plan);
    }
    plan
}

/// The ports of each host.
fn hosts(egress: &Egress) -> BTreeMap<&str, BTreeSet<u16>> {
    let mut hosts: BTreeMap<&str, BTreeSet<u16>> = BTreeMap::new();
    for allowed in &egress.allow {
        hosts.entry(&allowed.host).or_default().insert(allowed.port);
    }
    hosts
}

fn refusals(intent: &Intent<'_>, egress: &Egress) -> Vec<Refusal> {
    let mut refused = Vec::new();
    for (index, allowed) in egress.allow.iter().enumerate() {
        let host = allowed.host.as_str();
        let why = match () {
            () if host.parse::<IpAddr>().is_ok() => {
                "is an address, and istio looks hosts up by name; write the DNS name"
            }
            () if host.strip_prefix("*.").unwrap_or(host).contains(['*', '/', ':']) || !host.contains('.') => {
                "is not the DNS name of a host outside of the mesh; write it like api.example.com or *.example.com"
            }
            () if host.starts_with('*') && protocol(allowed.port).0 == "tcp" => {
                "has a *, and a TCP connection does not say its host; write the whole name"
            }
            () => continue,
        };
        refused.push(intent.refusal(format!("egress.allow[{index}].host"), format!("{host} {why}")));
    }
    refused
}

/// The prefix of the port's name, and the protocol.
const fn protocol(port: u16) -> (&'static str, &'static str) {
    match port {
        443 | 8443 => ("tls", "TLS"),
        80 | 8080 => ("http", "HTTP"),
        _ => ("tcp", "TCP"),
    }
}

/// Makes a host known, unless a ServiceEntry of others does: Istio would use the oldest of two.
fn entry(intent: &Intent<'_>, current: &Objects, host: &str, ports: &BTreeSet<u16>, plan: &mut MeshPlan) {
    let entries = current.of_kind((NETWORKING, "ServiceEntry"), intent.namespace);
    let others = entries.filter(|entry| !is_own(entry, intent.policy));
    let has_host =
        |entry: &&Value| entry["spec"]["hosts"].as_array().is_some_and(|hosts| hosts.iter().any(|known| known == host));
    let there: Vec<&Value> = others.filter(has_host).collect();
    let Some(first) = there.first() else {
        let tcp = ports.iter().filter(|port| protocol(**port).0 == "tcp" && !host.starts_with('*'));
        plan.notes.extend(tcp.map(|port| {
            format!("every TCP connection to port {port} goes to {host}, unless Istio's DNS proxy gives it an address")
        }));
        return plan.writes.push(MeshWrite::Own(own_entry(intent, host, ports)));
    };
    let has_port = |port: &&u16| there.iter().any(|entry| known_ports(entry).contains(port));
    let missing: Vec<String> = ports.iter().filter(|port| !has_port(port)).map(u16::to_string).collect();
    if missing.is_empty() {
        plan.notes.push(format!("{host} is known by {}", name(first)));
    } else {
        plan.conflicts.push(conflict(first, format!("spec.ports of {host} without {}", missing.join(", "))));
    }
}

fn known_ports(entry: &Value) -> Vec<u16> {
    let ports = entry["spec"]["ports"].as_array().into_iter().flatten();
    ports.filter_map(|port| u16::try_from(port["number"].as_u64()?).ok()).collect()
}

fn own_entry(intent: &Intent<'_>, host: &str, ports: &BTreeSet<u16>) -> Value {
    let port = |number: &u16| {
        let (name, protocol) = protocol(*number);
        json!({"name": format!("{name}-{number}"), "number": number, "protocol": protocol})
    };
    let mut spec = json!({
        "hosts": [host],
        "location": "MESH_EXTERNAL",
        "ports": ports.iter().map(port).collect::<Vec<_>>(),
        // A name with a * cannot be looked up: the connection goes where the caller meant it to.
        "resolution": if host.starts_with('*') { "NONE" } else { "DNS" },
    });
    // Without it, every namespace of the mesh could call the host.
    if !matches!(intent.target, Target::Mesh) {
        spec["exportTo"] = json!(["."]);
    }
    intent.own(NETWORKING_V1, "ServiceEntry", &format!("egress-{}", host.replace('*', "any")), spec)
}

/// Says what happens to other hosts: in the Sidecar that these pods have, else in one of the policy's own.
fn sidecar(intent: &Intent<'_>, current: &Objects, default: EgressDefault, plan: &mut MeshPlan) {
    let mode = match default {
        EgressDefault::Allow => "ALLOW_ANY",
        EgressDefault::Deny => "REGISTRY_ONLY",
    };
    let all = current.of_kind((NETWORKING, "Sidecar"), intent.namespace);
    let others: Vec<&Value> = all.filter(|sidecar| !is_own(sidecar, intent.policy)).collect();
    if let Some(theirs) = others.iter().find(|sidecar| is_for_the_same_pods(intent, sidecar, SELECTOR)) {
        fields::plan(theirs, intent.policy, &json!({"spec": {"outboundTrafficPolicy": {"mode": mode}}}), plan);
        return;
    }
    plan.conflicts.extend(replaced(intent, &others));
    plan.notes.extend(narrower(intent, &others));
    let spec = json!({"egress": [{"hosts": ["*/*"]}], "outboundTrafficPolicy": {"mode": mode}});
    plan.writes.push(MeshWrite::Own(intent.own(NETWORKING_V1, "Sidecar", "egress", workload_selected(intent, spec))));
}

/// A Sidecar of the whole namespace, which one with a selector replaces for its pods with all that it says.
fn replaced(intent: &Intent<'_>, others: &[&Value]) -> Option<Conflict> {
    intent.selector()?;
    let is_wide = |sidecar: &&&Value| labels(sidecar).is_none() && owner(sidecar).is_none();
    let wide = others.iter().find(is_wide)?;
    Some(conflict(wide, "what these pods may reach, which a Sidecar of their own would replace"))
}

/// Sidecars of some pods of the target: those keep their own.
fn narrower(intent: &Intent<'_>, others: &[&Value]) -> Vec<String> {
    if intent.selector().is_some() {
        return Vec::new();
    }
    let some = others.iter().filter(|sidecar| labels(sidecar).is_some());
    some.map(|sidecar| format!("the pods of {} keep its outboundTrafficPolicy", name(sidecar))).collect()
}

fn labels(sidecar: &Value) -> Option<&serde_json::Map<String, Value>> {
    sidecar["spec"].pointer(SELECTOR).and_then(Value::as_object).filter(|labels| !labels.is_empty())
}
