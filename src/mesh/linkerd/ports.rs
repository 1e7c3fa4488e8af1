//! The ports of the target's pods. A Server is for one of them, and what has no Server keeps the mesh's default policy: so the
//! ports are those of the containers and those of the Services that lead to these pods.

use std::collections::{BTreeMap, BTreeSet};

use crate::mesh::{
    facts::{Protocol, Service, Workload, selects},
    intent::{Intent, Target},
    plan::Refusal,
    pods::Probe,
};

/// Ports that are opaque to Linkerd by default: their servers speak first.
const OPAQUE: [u16; 8] = [25, 587, 3306, 4444, 5432, 6379, 9300, 11211];
const OPAQUE_PORTS: &str = "config.linkerd.io/opaque-ports";

/// A port of the target's pods.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct PodPort {
    /// Whether the proxy passes bytes on, and sees no requests.
    pub is_opaque: bool,
    /// The requests of the kubelet at this port.
    pub probes: BTreeSet<Probe>,
}

/// What makes the target's pods, as far as it is known.
pub(super) fn workloads<'a>(intent: &'a Intent<'a>) -> Vec<&'a Workload> {
    match intent.selector() {
        Some(labels) => intent.facts.workloads(intent.namespace, labels).collect(),
        None => intent.facts.workloads_of(intent.namespace).collect(),
    }
}

/// The ports, by number.
pub(super) fn ports(intent: &Intent<'_>) -> Result<BTreeMap<u16, PodPort>, Refusal> {
    let workloads = workloads(intent);
    let mut ports: BTreeMap<u16, PodPort> = BTreeMap::new();
    for port in workloads.iter().flat_map(|workload| &workload.ports) {
        ports.entry(port.number).or_default();
    }
    for service in services(intent, &workloads) {
        for port in &service.ports {
            for number in numbers(intent, service, &port.target, &workloads)? {
                ports.entry(number).or_default().is_opaque |= port.protocol == Protocol::Tcp;
            }
        }
    }
    let named = intent.spec.mtls.iter().flat_map(|mtls| mtls.ports.keys());
    for number in named.filter_map(|port| port.parse().ok()) {
        ports.entry(number).or_default();
    }
    let opaque = workloads.iter().filter_map(|workload| workload.annotations.get(OPAQUE_PORTS));
    let opaque: Vec<&str> = opaque.flat_map(|list| list.split(',')).collect();
    for (number, port) in &mut ports {
        port.is_opaque |= OPAQUE.contains(number) || opaque.iter().any(|range| is_in(*number, range));
        let probes = workloads.iter().flat_map(|workload| &workload.probes);
        port.probes = probes.filter(|probe| probe.port == *number).cloned().collect();
    }
    if ports.is_empty() {
        let why = "no port of the target's pods is known, so no Server can be written: name them in the pods' containers or in a Service";
        return Err(intent.refusal("target", why));
    }
    Ok(ports)
}

/// The Services that lead to the target's pods.
fn services<'a>(intent: &'a Intent<'a>, workloads: &[&Workload]) -> Vec<&'a Service> {
    let leads = |service: &&Service| {
        let is_target = matches!(&intent.target, Target::Service(target) if target.name == service.name);
        let is_one = |workload: &&Workload| selects(&service.selector, &workload.labels);
        is_target || (!service.selector.is_empty() && workloads.iter().any(is_one))
    };
    intent.facts.services_of(intent.namespace).filter(leads).collect()
}

/// The numbers behind a Service's target port.
fn numbers(intent: &Intent<'_>, service: &Service, target: &str, workloads: &[&Workload]) -> Result<Vec<u16>, Refusal> {
    if let Ok(number) = target.parse() {
        return Ok(vec![number]);
    }
    let ports = workloads.iter().flat_map(|workload| &workload.ports);
    let numbers: Vec<u16> = ports.filter(|port| port.name == target).map(|port| port.number).collect();
    if numbers.is_empty() {
        let why = format!(
            "Service {}/{} leads to a port named {target} that no known pod declares; name it in the pods' containers",
            service.namespace, service.name
        );
        return Err(intent.refusal("target", why));
    }
    Ok(numbers)
}

/// Whether a port is in an entry of a list like `3306,8000-8010`.
fn is_in(port: u16, range: &str) -> bool {
    let (first, last) = range.split_once('-').unwrap_or((range, range));
    let bounds = first.trim().parse::<u16>().ok().zip(last.trim().parse::<u16>().ok());
    bounds.is_some_and(|(first, last)| (first..=last).contains(&port))
}
