//! What the API server's validation says of containers: names, images, ports, variables, probes.

use std::collections::HashSet;

use serde_json::Value;

use super::read::{has, list, text};
use crate::{
    api::{names::label, validate::Finding},
    yaml::join,
};

/// The most characters of a port's name (`IANA_SVC_NAME`).
const MOST_PORT_NAME: usize = 15;
const PROBES: [&str; 3] = ["livenessProbe", "readinessProbe", "startupProbe"];

/// One container or init container on its own.
pub(super) fn check(container: &Value, path: &str, found: &mut Vec<Finding>) {
    if let Some((name, Err(error))) = text(container, "name").map(|name| (name, label(name))) {
        found.push(Finding::error(join(path, "name"), format!("\"{name}\" is invalid: {error}")));
    }
    if matches!(container.get("image"), None | Some(Value::Null)) || container["image"] == "" {
        found.push(Finding::error(join(path, "image"), "is missing; every container needs an image"));
    }
    let mut seen = HashSet::new();
    for (index, port) in list(container, "ports").iter().enumerate() {
        if let Some(name) = text(port, "name").filter(|name| !seen.insert(*name)) {
            let message = format!("there are two ports \"{name}\"; names are unique in a container");
            found.push(Finding::error(format!("{path}.ports[{index}].name"), message));
        }
    }
    probes(container, path, found);
}

fn probes(container: &Value, path: &str, found: &mut Vec<Finding>) {
    for field in ["livenessProbe", "startupProbe"] {
        if let Some(count) = container[field]["successThreshold"].as_i64().filter(|count| *count > 1) {
            let message = format!("must be 1 for a {field}, got {count}");
            found.push(Finding::error(format!("{path}.{field}.successThreshold"), message));
        }
    }
    if has(&container["readinessProbe"], "terminationGracePeriodSeconds") {
        let message = "must not be set for a readinessProbe, which restarts no container; remove it";
        found.push(Finding::error(format!("{path}.readinessProbe.terminationGracePeriodSeconds"), message));
    }
}

/// What a probe or hook runs.
pub(super) fn command(action: &Value, path: &str, found: &mut Vec<Finding>) {
    if list(action, "command").is_empty() {
        found.push(Finding::error(join(path, "command"), "is missing"));
    }
}

/// The name of a port, or what refers to one by name.
pub(super) fn port_name(object: &Value, field: &str, path: &str, found: &mut Vec<Finding>) {
    found.extend(text(object, field).and_then(not_a_port_name).map(|why| Finding::error(join(path, field), why)));
}

/// `http`, `grpc-web`: what names a port.
fn not_a_port_name(name: &str) -> Option<String> {
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    let size = name.chars().count();
    let fits = size <= MOST_PORT_NAME
        && name.chars().all(|c| plain(c) || c == '-')
        && name.starts_with(plain)
        && name.ends_with(plain)
        && !name.contains("--")
        && name.contains(|c: char| c.is_ascii_lowercase());
    (!fits).then(|| {
        format!(
            "\"{name}\" is not a valid port name: at most {MOST_PORT_NAME} lower case letters, digits and single '-', with a \
             letter among them and no '-' at the ends"
        )
    })
}

/// A variable of the environment.
pub(super) fn variable(variable: &Value, path: &str, found: &mut Vec<Finding>) {
    let printable = |name: &str| name.chars().all(|c| (' '..='~').contains(&c) && c != '=');
    if let Some(name) = text(variable, "name").filter(|name| !printable(name)) {
        let message =
            format!("\"{name}\" is not a valid variable name: printable ASCII characters other than '=' only");
        found.push(Finding::error(join(path, "name"), message));
    }
    if text(variable, "value").is_some() && has(variable, "valueFrom") {
        found.push(Finding::error(join(path, "valueFrom"), "must not be set together with value; remove one of them"));
    }
}

/// Init containers run to their end before the others start, unless they are sidecars.
pub(super) fn init(spec: &Value, path: &str, found: &mut Vec<Finding>) {
    for (index, container) in list(spec, "initContainers").iter().enumerate() {
        if text(container, "restartPolicy") == Some("Always") {
            continue;
        }
        for field in PROBES.into_iter().chain(["lifecycle"]).filter(|field| has(container, field)) {
            let message =
                "may not be set for an init container; one with restartPolicy: Always (a sidecar) may have it";
            found.push(Finding::error(format!("{path}.initContainers[{index}].{field}"), message));
        }
    }
}

/// Ports of the node: one container has each.
pub(super) fn host_ports(spec: &Value, path: &str, found: &mut Vec<Finding>) {
    let mut seen = HashSet::new();
    for (index, container) in list(spec, "containers").iter().enumerate() {
        for (number, port) in list(container, "ports").iter().enumerate() {
            let Some(on_host) = port["hostPort"].as_i64().filter(|number| *number != 0) else { continue };
            let path = format!("{path}.containers[{index}].ports[{number}].hostPort");
            let protocol = text(port, "protocol").unwrap_or("TCP");
            if !seen.insert((protocol, text(port, "hostIP"), on_host)) {
                found.push(Finding::error(
                    &path,
                    format!("{protocol} port {on_host} of the node is already used above"),
                ));
            }
            if spec["hostNetwork"] == true && port["containerPort"].as_i64().is_some_and(|own| own != on_host) {
                found.push(Finding::error(&path, "must be the containerPort, because hostNetwork is true"));
            }
        }
    }
}
