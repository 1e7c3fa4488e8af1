//! The route objects that an entry of `spec.traffic` names, each with an entry that names it alone.

use crate::{
    api::traffic::{
        ConsulTraffic, CustomTraffic, GatewayTraffic, IstioTraffic, NginxTraffic, SmiTraffic, TraefikTraffic,
        TrafficRouter,
    },
    router::custom::named_kind,
};

const ISTIO: &str = "networking.istio.io";
const GATEWAY: &str = "gateway.networking.k8s.io";
const TRAEFIK: &str = "traefik.io";
const SMI: &str = "split.smi-spec.io";
const INGRESS: &str = "networking.k8s.io";
const CONSUL: &str = "consul.hashicorp.com";

/// A route object of an entry.
#[derive(Default)]
pub(super) struct Named<'a> {
    /// The entry with this object alone.
    pub alone: TrafficRouter,
    /// The reference to it, or the field that is its name.
    pub path: String,
    /// Where in it the name is.
    pub name_field: &'static str,
    pub group: &'a str,
    pub kind: &'a str,
    pub name: &'a str,
    pub namespace: Option<&'a str>,
    /// Where its spec holds its routes, rules or weights.
    pub lists: &'static [&'static str],
    /// The field of the reference that names some of its routes or rules, and these.
    pub names_field: &'static str,
    pub names: &'a [String],
    /// Whether it need not exist.
    pub is_optional: bool,
    /// Whether its router looks at all objects of its kind.
    pub is_listed: bool,
    /// Its root VirtualService, which its router also reads.
    pub root: Option<(&'a str, Option<&'a str>)>,
    /// The DestinationRule without which it cannot be judged.
    pub rule: Option<&'a str>,
}

/// Those of the entry at `path`.
pub(super) fn named<'a>(entry: &'a TrafficRouter, path: &str) -> Vec<Named<'a>> {
    let istio = entry.istio.iter().flat_map(|istio| virtual_services(istio, path));
    let gateway = entry.gateway.iter().flat_map(|gateway| routes(gateway, path));
    let traefik = entry.traefik.iter().flat_map(|traefik| weighted_services(traefik, path));
    let smi = entry.smi.iter().flat_map(|smi| traffic_splits(smi, path));
    let nginx = entry.nginx.iter().map(|nginx| ingress(nginx, path));
    let custom = entry.custom.iter().filter_map(|custom| any_object(custom, path));
    let consul = entry.consul.iter().flat_map(|consul| config_entries(consul, path));
    istio.chain(gateway).chain(traefik).chain(smi).chain(nginx).chain(consul).chain(custom).collect()
}

/// The object of a `custom` entry; `None` where the entry says no kind.
fn any_object<'a>(custom: &'a CustomTraffic, path: &str) -> Option<Named<'a>> {
    let (group, kind) = named_kind(custom)?;
    Some(Named {
        alone: TrafficRouter { custom: Some(custom.clone()), ..TrafficRouter::default() },
        path: format!("{path}.custom"),
        name_field: ".name",
        group,
        kind,
        name: &custom.name,
        namespace: custom.namespace.as_deref(),
        lists: &[""],
        ..Named::default()
    })
}

fn virtual_services<'a>(istio: &'a IstioTraffic, path: &str) -> impl Iterator<Item = Named<'a>> {
    let all = istio.virtual_services.iter().enumerate();
    all.map(move |(number, reference)| {
        let alone = IstioTraffic { virtual_services: vec![reference.clone()], ..istio.clone() };
        Named {
            alone: TrafficRouter { istio: Some(alone), ..TrafficRouter::default() },
            path: format!("{path}.istio.virtualServices[{number}]"),
            name_field: ".name",
            group: ISTIO,
            kind: "VirtualService",
            name: &reference.name,
            namespace: reference.namespace.as_deref(),
            lists: &["/http", "/tcp", "/tls"],
            names_field: "routes",
            names: &reference.routes,
            root: reference.delegate_of.as_ref().map(|root| (root.name.as_str(), root.namespace.as_deref())),
            rule: istio.destination_rule.as_ref().map(|rule| rule.name.as_str()),
            ..Named::default()
        }
    })
}

fn routes<'a>(gateway: &'a GatewayTraffic, path: &str) -> impl Iterator<Item = Named<'a>> {
    let all = gateway.routes.iter().enumerate();
    all.map(move |(number, reference)| {
        let alone = GatewayTraffic { routes: vec![reference.clone()], ..GatewayTraffic::default() };
        Named {
            alone: TrafficRouter { gateway: Some(alone), ..TrafficRouter::default() },
            path: format!("{path}.gateway.routes[{number}]"),
            name_field: ".name",
            group: GATEWAY,
            kind: reference.kind.as_str(),
            name: &reference.name,
            namespace: reference.namespace.as_deref(),
            lists: &["/rules"],
            names_field: "ruleNames",
            names: &reference.rule_names,
            ..Named::default()
        }
    })
}

fn weighted_services<'a>(traefik: &'a TraefikTraffic, path: &str) -> impl Iterator<Item = Named<'a>> {
    let all = traefik.services.iter().enumerate();
    all.map(move |(number, reference)| {
        let alone = TraefikTraffic { services: vec![reference.clone()] };
        Named {
            alone: TrafficRouter { traefik: Some(alone), ..TrafficRouter::default() },
            path: format!("{path}.traefik.services[{number}]"),
            name_field: ".name",
            group: TRAEFIK,
            kind: "TraefikService",
            name: &reference.name,
            namespace: reference.namespace.as_deref(),
            // One that mirrors has no weights, and the router says so.
            lists: &["/weighted/services", "/mirroring"],
            ..Named::default()
        }
    })
}

fn traffic_splits<'a>(smi: &'a SmiTraffic, path: &str) -> impl Iterator<Item = Named<'a>> {
    let all = smi.traffic_splits.iter().enumerate();
    all.map(move |(number, reference)| {
        let alone = SmiTraffic { traffic_splits: vec![reference.clone()] };
        Named {
            alone: TrafficRouter { smi: Some(alone), ..TrafficRouter::default() },
            path: format!("{path}.smi.trafficSplits[{number}]"),
            name_field: ".name",
            group: SMI,
            kind: "TrafficSplit",
            name: &reference.name,
            lists: &["/backends"],
            ..Named::default()
        }
    })
}

fn ingress<'a>(nginx: &'a NginxTraffic, path: &str) -> Named<'a> {
    Named {
        alone: TrafficRouter { nginx: Some(nginx.clone()), ..TrafficRouter::default() },
        path: format!("{path}.nginx.ingress"),
        group: INGRESS,
        kind: "Ingress",
        name: &nginx.ingress,
        lists: &["/rules", "/defaultBackend"],
        is_listed: true,
        ..Named::default()
    }
}

/// The config entries of a service as custom resources, each judged alone.
fn config_entries<'a>(consul: &'a ConsulTraffic, path: &str) -> impl Iterator<Item = Named<'a>> {
    let kinds: [(&str, &[&str], bool); 3] = [
        ("ServiceSplitter", &["/splits"], false),
        // One that redirects has no subsets, and the router says so.
        ("ServiceResolver", &["/subsets", "/redirect"], false),
        ("ServiceDefaults", &[""], true),
    ];
    kinds.into_iter().map(move |(kind, lists, is_optional)| Named {
        alone: TrafficRouter { consul: Some(consul.clone()), ..TrafficRouter::default() },
        path: format!("{path}.consul.service"),
        group: CONSUL,
        kind,
        name: &consul.service,
        namespace: consul.namespace.as_deref(),
        lists,
        is_optional,
        ..Named::default()
    })
}
