//! What the API server's validation says of a pod's spec as a whole, and of one in a ReplicaSet's template.

use std::{
    collections::{BTreeSet, HashSet},
    net::IpAddr,
};

use serde_json::Value;

use super::{
    containers, labels,
    read::{has, list, text},
    volumes,
};
use crate::{
    api::{
        names::{NameError, label, subdomain},
        validate::Finding,
    },
    yaml::join,
};

/// Fields that a ReplicaSet's template may not have, and what to do.
const NOT_IN_TEMPLATES: [(&str, &str); 2] = [
    ("activeDeadlineSeconds", "may not be set in a template whose pods are replaced; remove it"),
    ("ephemeralContainers", "may not be set in a template; `kubectl debug` adds them to a running pod"),
];

type Rule = fn(&str) -> Result<(), NameError>;

/// Fields that name something.
const NAMES: [(&str, Rule); 7] = [
    ("hostname", label),
    ("nodeName", subdomain),
    ("priorityClassName", subdomain),
    ("runtimeClassName", subdomain),
    ("serviceAccount", subdomain),
    ("serviceAccountName", subdomain),
    ("subdomain", label),
];

pub(super) fn check(spec: &Value, path: &str, found: &mut Vec<Finding>) {
    if let Some(policy) = text(spec, "restartPolicy").filter(|policy| *policy != "Always") {
        let message = format!("must be Always, as in a Deployment, not {policy}; remove it");
        found.push(Finding::error(join(path, "restartPolicy"), message));
    }
    for (field, message) in NOT_IN_TEMPLATES {
        if has(spec, field) && !list(spec, field).is_empty() | spec[field].is_number() {
            found.push(Finding::error(join(path, field), message));
        }
    }
    for (field, rule) in NAMES {
        if let Some((name, Err(error))) = text(spec, field).map(|name| (name, rule(name))) {
            found.push(Finding::error(join(path, field), format!("\"{name}\" is invalid: {error}")));
        }
    }
    labels::map(&spec["nodeSelector"], &join(path, "nodeSelector"), found);
    unique_containers(spec, path, found);
    containers::init(spec, path, found);
    containers::host_ports(spec, path, found);
    volumes::check(spec, path, found);
    addresses(spec, path, found);
    spread(spec, path, found);
}

/// Containers and init containers share one set of names.
fn unique_containers(spec: &Value, path: &str, found: &mut Vec<Finding>) {
    let mut seen = HashSet::new();
    for field in ["containers", "initContainers"] {
        for (index, container) in list(spec, field).iter().enumerate() {
            if let Some(name) = text(container, "name").filter(|name| !seen.insert(*name)) {
                let message = format!("there are two containers \"{name}\"; names are unique in a pod");
                found.push(Finding::error(format!("{path}.{field}[{index}].name"), message));
            }
        }
    }
}

/// What is resolved for the pod.
fn addresses(spec: &Value, path: &str, found: &mut Vec<Finding>) {
    let dns = &spec["dnsConfig"];
    if text(spec, "dnsPolicy") == Some("None") && list(dns, "nameservers").is_empty() {
        let message = "must have at least one nameserver, because dnsPolicy is None";
        found.push(Finding::error(format!("{path}.dnsConfig.nameservers"), message));
    }
    if list(dns, "nameservers").len() > 3 {
        found.push(Finding::error(format!("{path}.dnsConfig.nameservers"), "may have no more than 3 entries"));
    }
    let servers = list(dns, "nameservers").iter().enumerate();
    let servers = servers.map(|(index, server)| (format!("{path}.dnsConfig.nameservers[{index}]"), server));
    let aliases = list(spec, "hostAliases").iter().enumerate();
    let aliases = aliases.map(|(index, alias)| (format!("{path}.hostAliases[{index}].ip"), &alias["ip"]));
    for (path, address) in servers.chain(aliases) {
        if let Some(text) = address.as_str().filter(|text| !text.is_empty() && !is_address(text)) {
            found.push(Finding::error(path, format!("\"{text}\" is not an IP address")));
        }
    }
}

/// The API server takes leading zeros here (`010.0.0.1`), which the standard library does not.
fn is_address(text: &str) -> bool {
    let plain: Vec<&str> = text.split('.').map(|part| part.trim_start_matches('0')).collect();
    let filled: Vec<&str> = plain.into_iter().map(|part| if part.is_empty() { "0" } else { part }).collect();
    text.parse::<IpAddr>().is_ok()
        || (text.split('.').all(|part| !part.is_empty()) && filled.join(".").parse::<IpAddr>().is_ok())
}

/// Each kind of spread is given once.
fn spread(spec: &Value, path: &str, found: &mut Vec<Finding>) {
    let mut seen = BTreeSet::new();
    for (index, constraint) in list(spec, "topologySpreadConstraints").iter().enumerate() {
        let path = format!("{path}.topologySpreadConstraints[{index}]");
        if let (Some(key), Some(action)) = (text(constraint, "topologyKey"), text(constraint, "whenUnsatisfiable")) {
            if !seen.insert((key, action)) {
                let message = format!("there is a constraint for {key} and {action} already");
                found.push(Finding::error(&path, message));
            }
            if has(constraint, "minDomains") && action != "DoNotSchedule" {
                let message = "needs whenUnsatisfiable: DoNotSchedule";
                found.push(Finding::error(format!("{path}.minDomains"), message));
            }
        }
    }
}
