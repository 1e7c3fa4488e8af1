//! The Services of a Rollout: whether they select its pods, and whether their ports and those of its routes exist.

use std::collections::BTreeSet;

use serde_json::Value;

use super::{
    named_routes,
    objects::{Found, Objects, Rollout},
};
use crate::api::{GROUP, metadata::PodMetadata, validate::Finding};

/// Each Service that the Rollout names, as far as it is in the files.
pub(super) fn check(rollout: &Rollout<'_>, files: &Objects<'_>, found: &mut Found) {
    for (path, name, must_exist) in named(rollout) {
        match files.find(rollout.index, "", "Service", name, files.namespace(rollout.index)) {
            Some(index) => service(rollout, files, index, found),
            None if must_exist => {
                let near = files.near("Service", name).map(|words| (rollout.index, Finding::warning(path, words)));
                found.extend(near);
            }
            // Created when it is absent.
            None => {}
        }
    }
    ports_of_routes(rollout, files, found);
}

/// The fields that name Services, without those that a name repeats, and whether Glidepath does not create them.
fn named<'r>(rollout: &'r Rollout<'_>) -> Vec<(&'static str, &'r str, bool)> {
    let mut all: Vec<(&'static str, &Option<String>, bool)> = Vec::new();
    if let Some(services) = &rollout.spec.services {
        all.push(("spec.services.root", &services.root, true));
        all.push(("spec.services.stable", &services.stable, false));
        all.push(("spec.services.canary", &services.canary, false));
    }
    if let Some(strategy) = &rollout.spec.strategy.blue_green {
        all.push(("spec.strategy.blueGreen.activeService", &strategy.active_service, true));
        all.push(("spec.strategy.blueGreen.previewService", &strategy.preview_service, false));
    }
    let mut seen = BTreeSet::new();
    let given = all.into_iter().filter_map(|(path, name, must)| Some((path, name.as_deref()?, must)));
    given.filter(|(_, name, _)| seen.insert(*name)).collect()
}

fn service(rollout: &Rollout<'_>, files: &Objects<'_>, index: usize, found: &mut Found) {
    let Some(template) = files.template(rollout) else { return };
    let spec = &files.document(index).value["spec"];
    let wrong = selector(rollout, template, &spec["selector"]).into_iter().chain(target_ports(rollout, template, spec));
    found.extend(wrong.map(|one| (index, one)));
}

/// Labels that the Service selects by and the pods do not have. Those of Glidepath it writes itself.
fn selector(rollout: &Rollout<'_>, template: &Value, selector: &Value) -> Vec<Finding> {
    let labels = &template["metadata"]["labels"];
    let roles = [&rollout.spec.canary_metadata, &rollout.spec.stable_metadata];
    let of_a_role = |key: &str| roles.into_iter().flatten().any(|role: &PodMetadata| role.labels.contains_key(key));
    let wanted = selector.as_object().into_iter().flatten();
    let missing = wanted.filter(|(key, value)| {
        labels.is_object() && labels.get(key.as_str()) != Some(value) && !key.starts_with(GROUP) && !of_a_role(key)
    });
    let finding = |(key, value): (&String, &Value)| {
        let has = match labels.get(key.as_str()).and_then(Value::as_str) {
            Some(label) => format!("have {key}={label}"),
            None => format!("have no label {key}"),
        };
        let message = format!(
            "selects {key}={}, but the pods of Rollout \"{}\" {has}",
            value.as_str().unwrap_or("?"),
            rollout.name
        );
        Finding::error(format!("spec.selector.{key}"), message)
    };
    missing.map(finding).collect()
}

/// Target ports by a name that no container has.
fn target_ports(rollout: &Rollout<'_>, template: &Value, spec: &Value) -> Vec<Finding> {
    let containers = ["containers", "initContainers"].map(|list| template["spec"][list].as_array());
    let ports =
        containers.into_iter().flatten().flatten().filter_map(|container| container["ports"].as_array()).flatten();
    let names: Vec<&str> = ports.filter_map(|port| port["name"].as_str()).collect();
    let wrong = list(&spec["ports"]).enumerate().filter_map(|(index, port)| {
        let target = port["targetPort"].as_str().filter(|name| !names.contains(name))?;
        let there = if names.is_empty() {
            "its ports have no names".to_owned()
        } else {
            format!("there is {}", names.join(", "))
        };
        let message = format!("no container of Rollout \"{}\" has a port named \"{target}\"; {there}", rollout.name);
        Some(Finding::error(format!("spec.ports[{index}].targetPort"), message))
    });
    wrong.collect()
}

/// Ports that routes send to and the Service there does not have.
fn ports_of_routes(rollout: &Rollout<'_>, files: &Objects<'_>, found: &mut Found) {
    let own = files.namespace(rollout.index);
    for route in rollout.spec.traffic.iter().flat_map(|entry| named_routes::named(entry, "")) {
        let namespace = route.namespace.or(own);
        let Some(index) = files.find(rollout.index, route.group, route.kind, route.name, namespace) else { continue };
        let spec = &files.document(index).value["spec"];
        let all = match route.kind {
            "VirtualService" => destinations(spec),
            "TraefikService" => weighted(spec),
            "Ingress" => paths(spec),
            _ => backends(spec),
        };
        found.extend(all.iter().filter_map(|to| missing_port(index, files, to)).map(|one| (index, one)));
    }
}

/// Where requests are sent to.
struct Sent<'a> {
    /// Where the port is written.
    path: String,
    port: Option<u64>,
    service: Option<&'a str>,
    namespace: Option<&'a str>,
}

/// The destinations of a VirtualService.
fn destinations(spec: &Value) -> Vec<Sent<'_>> {
    let mut all = Vec::new();
    let routes = ["http", "tcp", "tls"].into_iter().flat_map(|protocol| {
        list(&spec[protocol]).enumerate().map(move |(number, route)| (format!("spec.{protocol}[{number}]"), route))
    });
    for (path, route) in routes {
        for (entry, to) in list(&route["route"]).map(|entry| &entry["destination"]).enumerate() {
            let host = to["host"].as_str();
            let split = host.and_then(|host| host.split_once('.'));
            all.push(Sent {
                path: format!("{path}.route[{entry}].destination.port.number"),
                port: to["port"]["number"].as_u64(),
                service: split.map(|(name, _)| name).or(host),
                namespace: split.and_then(|(_, rest)| rest.split('.').next()),
            });
        }
    }
    all
}

/// The backendRefs of a route of the Gateway API that are Services.
fn backends(spec: &Value) -> Vec<Sent<'_>> {
    let mut all = Vec::new();
    for (number, rule) in list(&spec["rules"]).enumerate() {
        for (entry, to) in list(&rule["backendRefs"]).enumerate() {
            all.push(Sent {
                path: format!("spec.rules[{number}].backendRefs[{entry}].port"),
                port: to["port"].as_u64(),
                service: to["name"].as_str().filter(|_| to["kind"].as_str().is_none_or(|kind| kind == "Service")),
                namespace: to["namespace"].as_str(),
            });
        }
    }
    all
}

/// The Services of a weighted TraefikService.
fn weighted(spec: &Value) -> Vec<Sent<'_>> {
    let all = list(&spec["weighted"]["services"]).enumerate();
    let sent = all.map(|(entry, to)| Sent {
        path: format!("spec.weighted.services[{entry}].port"),
        port: to["port"].as_u64(),
        service: to["name"].as_str().filter(|_| to["kind"].as_str().is_none_or(|kind| kind == "Service")),
        namespace: to["namespace"].as_str(),
    });
    sent.collect()
}

/// The backends of the paths of an Ingress.
fn paths(spec: &Value) -> Vec<Sent<'_>> {
    let mut all = Vec::new();
    for (number, rule) in list(&spec["rules"]).enumerate() {
        for (entry, path) in list(&rule["http"]["paths"]).enumerate() {
            let to = &path["backend"]["service"];
            all.push(Sent {
                path: format!("spec.rules[{number}].http.paths[{entry}].backend.service.port.number"),
                port: to["port"]["number"].as_u64(),
                service: to["name"].as_str(),
                namespace: None,
            });
        }
    }
    all
}

fn missing_port(from: usize, files: &Objects<'_>, to: &Sent<'_>) -> Option<Finding> {
    let (port, name) = (to.port?, to.service?);
    let service = files.find(from, "", "Service", name, to.namespace.or(files.namespace(from)))?;
    let ports: Vec<u64> =
        list(&files.document(service).value["spec"]["ports"]).filter_map(|port| port["port"].as_u64()).collect();
    (!ports.is_empty() && !ports.contains(&port)).then(|| {
        let there: Vec<String> = ports.iter().map(u64::to_string).collect();
        Finding::error(&to.path, format!("Service \"{name}\" has no port {port}; it has {}", there.join(", ")))
    })
}

fn list(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}
