//! The kinds of consul-k8s that policies write or read.

use serde_json::Value;

use crate::{
    mesh::{facts::Service, intent::Intent, plan::Refusal},
    router::{Objects, WatchedKind},
};

/// The group of consul-k8s.
pub(super) const GROUP: &str = "consul.hashicorp.com";
/// The version of its kinds.
pub(super) const V1ALPHA1: &str = "consul.hashicorp.com/v1alpha1";
const VERSIONS: &[&str] = &["v1alpha1"];

pub(super) const INTENTIONS: WatchedKind =
    WatchedKind::known(GROUP, VERSIONS, "ServiceIntentions", "serviceintentions");
pub(super) const DEFAULTS: WatchedKind = WatchedKind::known(GROUP, VERSIONS, "ServiceDefaults", "servicedefaults");
pub(super) const RESOLVERS: WatchedKind = WatchedKind::known(GROUP, VERSIONS, "ServiceResolver", "serviceresolvers");
pub(super) const ROUTERS: WatchedKind = WatchedKind::known(GROUP, VERSIONS, "ServiceRouter", "servicerouters");
pub(super) const MESHES: WatchedKind = WatchedKind::known(GROUP, VERSIONS, "Mesh", "meshes");
pub(super) const PROXY_DEFAULTS: WatchedKind = WatchedKind::known(GROUP, VERSIONS, "ProxyDefaults", "proxydefaults");
/// The one Mesh has this name.
pub(super) const MESH_NAME: &str = "mesh";
/// The one ProxyDefaults has this name.
pub(super) const GLOBAL: &str = "global";

/// The entry of a kind of which there is one, wherever it is.
pub(super) fn only<'o>(current: &'o Objects, kind: &str, name: &str) -> Option<&'o Value> {
    current.iter().find(|object| {
        object["kind"] == kind
            && object["metadata"]["name"] == name
            && object["apiVersion"].as_str().is_some_and(|version| version.starts_with(GROUP))
    })
}

/// Consul refuses routes and permissions of requests for a service that does not speak HTTP as far as it knows.
pub(super) fn speaks_http(
    intent: &Intent<'_>,
    current: &Objects,
    service: &Service,
    field: &str,
) -> Result<(), Refusal> {
    let text = |value: &Value| value.as_str().filter(|text| !text.is_empty()).map(str::to_ascii_lowercase);
    let own = current.find(&DEFAULTS.reference(&service.namespace, &service.name));
    let own = own.and_then(|defaults| text(&defaults["spec"]["protocol"]));
    let of_all =
        || only(current, "ProxyDefaults", GLOBAL).and_then(|global| text(&global["spec"]["config"]["protocol"]));
    let protocol = own.or_else(of_all);
    if protocol.as_deref().is_some_and(|protocol| ["http", "http2", "grpc"].contains(&protocol)) {
        return Ok(());
    }
    let (namespace, name) = (&service.namespace, &service.name);
    let found =
        protocol.map_or_else(|| "has no protocol, which is tcp".to_owned(), |protocol| format!("has {protocol}"));
    let why = format!(
        "consul needs the protocol http, http2 or grpc for this, and Service {namespace}/{name} {found}; set spec.protocol in ServiceDefaults {namespace}/{name}"
    );
    Err(intent.refusal(field, why))
}
