//! The entries of `spec.traffic`: one router each, with what it needs.

use super::finding::Finding;
use crate::api::{
    rollout::RolloutSpec,
    traffic::{
        ConsulTraffic, GatewayTraffic, IstioTraffic, SmiTraffic, TraefikTraffic, TrafficRouter, VirtualServiceRef,
    },
};

pub(super) fn check(spec: &RolloutSpec, found: &mut Vec<Finding>) {
    for (index, entry) in spec.traffic.iter().enumerate() {
        let path = format!("spec.traffic[{index}]");
        match entry.keys().collect::<Vec<_>>()[..] {
            [_] => router(spec, entry, &path, found),
            [] => found.push(Finding::error(path, "set one router, for example istio")),
            [first, second, ..] => {
                let why = format!("has {first} and {second}: set one router, and give the other an entry of its own");
                found.push(Finding::error(path, why));
            }
        }
    }
    one_way(spec, found);
}

/// All routers of a Rollout split by Service, or all by subset: a split by subset leaves the Services as they are (rule S6).
fn one_way(spec: &RolloutSpec, found: &mut Vec<Finding>) {
    if !spec.traffic.iter().any(TrafficRouter::splits_by_subset) {
        return;
    }
    let by_service = spec.traffic.iter().enumerate().filter(|(_, entry)| !entry.splits_by_subset());
    found.extend(by_service.map(|(index, _)| {
        Finding::error(
            format!("spec.traffic[{index}]"),
            "splits by Service, but another router of this Rollout splits by subset; use routers that split alike",
        )
    }));
}

fn router(spec: &RolloutSpec, entry: &TrafficRouter, path: &str, found: &mut Vec<Finding>) {
    if let Some(config) = &entry.istio {
        istio(spec, config, &format!("{path}.istio"), found);
    }
    if let Some(config) = &entry.gateway {
        gateway(spec, config, &format!("{path}.gateway"), found);
    }
    if let Some(config) = &entry.traefik {
        traefik(spec, config, &format!("{path}.traefik"), found);
    }
    if let Some(config) = &entry.smi {
        smi(spec, config, &format!("{path}.smi"), found);
    }
    if entry.custom.is_some() {
        by_service(spec, &format!("{path}.custom"), "; set the Service that clients use", found);
    }
    if entry.nginx.is_some() {
        by_service(spec, &format!("{path}.nginx"), "; set the Service that other clients use", found);
    }
    if let Some(config) = &entry.consul {
        consul(config, &format!("{path}.consul"), found);
    }
}

fn istio(spec: &RolloutSpec, config: &IstioTraffic, path: &str, found: &mut Vec<Finding>) {
    if config.virtual_services.is_empty() {
        found.push(Finding::error(format!("{path}.virtualServices"), "set at least one VirtualService"));
    }
    virtual_services(config, path, found);
    match &config.destination_rule {
        Some(rule) if rule.stable_subset == rule.canary_subset => found.push(Finding::error(
            format!("{path}.destinationRule.canarySubset"),
            "stableSubset and canarySubset must differ",
        )),
        Some(_) => {}
        None => {
            by_service(spec, path, "; set the Service that clients use, or split by subset with destinationRule", found)
        }
    }
}

/// One that is named twice, where one entry means its only http route: the two together would not.
fn virtual_services(config: &IstioTraffic, path: &str, found: &mut Vec<Finding>) {
    let all = &config.virtual_services;
    for (number, reference) in all.iter().enumerate() {
        let is_same =
            |other: &&VirtualServiceRef| (&other.name, &other.namespace) == (&reference.name, &reference.namespace);
        let has_connections = |one: &VirtualServiceRef| !one.tcp_routes.is_empty() || !one.tls_routes.is_empty();
        let mut earlier = all[..number].iter().filter(is_same);
        if earlier.any(|other| has_connections(other) || has_connections(reference)) {
            let message =
                format!("VirtualService \"{}\" is listed twice; list all its routes in one entry", reference.name);
            found.push(Finding::error(format!("{path}.virtualServices[{number}].name"), message));
        }
        if let Some(root) = reference.delegate_of.as_ref().filter(|_| reference.is_its_own_root()) {
            let message = format!("VirtualService \"{}\" cannot delegate to itself", root.name);
            found.push(Finding::error(format!("{path}.virtualServices[{number}].delegateOf"), message));
        }
        for (tls, entry) in reference.tls_routes.iter().enumerate() {
            if entry.sni_hosts.iter().any(String::is_empty) {
                let path = format!("{path}.virtualServices[{number}].tlsRoutes[{tls}].sniHosts");
                found.push(Finding::error(path, "a server name must not be empty"));
            }
        }
    }
}

fn gateway(spec: &RolloutSpec, config: &GatewayTraffic, path: &str, found: &mut Vec<Finding>) {
    match (config.routes.is_empty(), &config.create_route) {
        (true, None) => found.push(Finding::error(format!("{path}.routes"), "set at least one route, or createRoute")),
        (false, Some(_)) => {
            found.push(Finding::error(format!("{path}.createRoute"), "cannot be set together with routes"));
        }
        (true, Some(created)) if created.parent_refs.is_empty() => {
            found.push(Finding::error(format!("{path}.createRoute.parentRefs"), "set at least one Gateway or Service"));
        }
        (true, Some(created)) if created.port == 0 => {
            found.push(Finding::error(format!("{path}.createRoute.port"), "must be from 1 to 65535"));
        }
        _ => {}
    }
    by_service(spec, path, "; set the Service that clients use", found);
}

fn traefik(spec: &RolloutSpec, config: &TraefikTraffic, path: &str, found: &mut Vec<Finding>) {
    if config.services.is_empty() {
        found.push(Finding::error(format!("{path}.services"), "set at least one TraefikService"));
    }
    by_service(spec, path, "; set the Service that clients use", found);
}

fn smi(spec: &RolloutSpec, config: &SmiTraffic, path: &str, found: &mut Vec<Finding>) {
    if config.traffic_splits.is_empty() {
        found.push(Finding::error(format!("{path}.trafficSplits"), "set at least one TrafficSplit"));
    }
    by_service(spec, path, "; set the Service that clients use", found);
}

fn consul(config: &ConsulTraffic, path: &str, found: &mut Vec<Finding>) {
    if config.stable_subset() == config.canary_subset() {
        found.push(Finding::error(format!("{path}.canarySubset"), "stableSubset and canarySubset must differ"));
    }
}

/// A split by Service pins root to the stable version, and makes the Services that are absent from it (rule S6).
fn by_service(spec: &RolloutSpec, path: &str, instead: &str, found: &mut Vec<Finding>) {
    if spec.services.as_ref().is_none_or(|services| services.root.is_none()) {
        let path = if spec.services.is_some() { "spec.services" } else { path };
        found.push(Finding::error(path, format!("services.root is required to split traffic by Service{instead}")));
    }
}
