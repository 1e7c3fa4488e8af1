//! The route objects that an entry of `spec.traffic` names, each with an entry that names it alone.

use crate::api::traffic::{GatewayTraffic, IstioTraffic, TrafficRouter};

const ISTIO: &str = "networking.istio.io";
const GATEWAY: &str = "gateway.networking.k8s.io";

/// A route object of an entry.
pub(super) struct Named<'a> {
    /// The entry with this object alone.
    pub alone: TrafficRouter,
    /// Where it is named.
    pub path: String,
    pub group: &'static str,
    pub kind: &'static str,
    pub name: &'a str,
    pub namespace: Option<&'a str>,
    /// The field of its spec that holds its routes or rules.
    pub list: &'static str,
    /// The field of the reference that names some of them, and these.
    pub names_field: &'static str,
    pub names: &'a [String],
    /// The DestinationRule without which it cannot be judged.
    pub rule: Option<&'a str>,
}

/// Those of the entry at `path`.
pub(super) fn named<'a>(entry: &'a TrafficRouter, path: &str) -> Vec<Named<'a>> {
    let istio = entry.istio.iter().flat_map(|istio| virtual_services(istio, path));
    let gateway = entry.gateway.iter().flat_map(|gateway| routes(gateway, path));
    istio.chain(gateway).collect()
}

fn virtual_services<'a>(istio: &'a IstioTraffic, path: &str) -> impl Iterator<Item = Named<'a>> {
    let all = istio.virtual_services.iter().enumerate();
    all.map(move |(number, reference)| {
        let alone = IstioTraffic { virtual_services: vec![reference.clone()], ..istio.clone() };
        Named {
            alone: TrafficRouter { istio: Some(alone), ..TrafficRouter::default() },
            path: format!("{path}.istio.virtualServices[{number}]"),
            group: ISTIO,
            kind: "VirtualService",
            name: &reference.name,
            namespace: reference.namespace.as_deref(),
            list: "http",
            names_field: "routes",
            names: &reference.routes,
            rule: istio.destination_rule.as_ref().map(|rule| rule.name.as_str()),
        }
    })
}

fn routes<'a>(gateway: &'a GatewayTraffic, path: &str) -> impl Iterator<Item = Named<'a>> {
    let all = gateway.routes.iter().enumerate();
    all.map(move |(number, reference)| {
        let alone = GatewayTraffic { routes: vec![reference.clone()] };
        Named {
            alone: TrafficRouter { gateway: Some(alone), ..TrafficRouter::default() },
            path: format!("{path}.gateway.routes[{number}]"),
            group: GATEWAY,
            kind: reference.kind.as_str(),
            name: &reference.name,
            namespace: reference.namespace.as_deref(),
            list: "rules",
            names_field: "ruleNames",
            names: &reference.rule_names,
            rule: None,
        }
    })
}
