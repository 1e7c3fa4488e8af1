//! The entries of `spec.traffic`: one router each, with what it needs.

use super::finding::Finding;
use crate::api::{
    rollout::RolloutSpec,
    traffic::{GatewayTraffic, IstioTraffic, SmiTraffic, TraefikTraffic, TrafficRouter},
};

pub(super) fn check(spec: &RolloutSpec, found: &mut Vec<Finding>) {
    for (index, entry) in spec.traffic.iter().enumerate() {
        let path = format!("spec.traffic[{index}]");
        if entry.keys().count() == 1 {
            router(spec, entry, &path, found);
        } else {
            found.push(Finding::error(path, "set one router, for example istio"));
        }
    }
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
    if entry.nginx.is_some() {
        by_service(spec, &format!("{path}.nginx"), "; set the Service that other clients use", found);
    }
}

fn istio(spec: &RolloutSpec, config: &IstioTraffic, path: &str, found: &mut Vec<Finding>) {
    if config.virtual_services.is_empty() {
        found.push(Finding::error(format!("{path}.virtualServices"), "set at least one VirtualService"));
    }
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

fn gateway(spec: &RolloutSpec, config: &GatewayTraffic, path: &str, found: &mut Vec<Finding>) {
    if config.routes.is_empty() {
        found.push(Finding::error(format!("{path}.routes"), "set at least one route"));
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

/// A split by Service pins root to the stable version, and makes the Services that are absent from it (rule S6).
fn by_service(spec: &RolloutSpec, path: &str, instead: &str, found: &mut Vec<Finding>) {
    if spec.services.as_ref().is_none_or(|services| services.root.is_none()) {
        let path = if spec.services.is_some() { "spec.services" } else { path };
        found.push(Finding::error(path, format!("services.root is required to split traffic by Service{instead}")));
    }
}
