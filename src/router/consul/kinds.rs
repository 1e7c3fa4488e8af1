//! The custom resources of consul-k8s, as the API server is asked for them.

use super::{resolver::SERVICE_RESOLVER, service_router::SERVICE_ROUTER, splitter::SERVICE_SPLITTER};
use crate::router::{kind::WatchedKind, objects::ObjectRef};

pub(super) const GROUP: &str = "consul.hashicorp.com";
pub(super) const API_VERSION: &str = "consul.hashicorp.com/v1alpha1";
const VERSIONS: &[&str] = &["v1alpha1"];
/// The one entry of its kind has this name.
const GLOBAL: &str = "global";

pub(super) const SPLITTERS: WatchedKind = WatchedKind::known(GROUP, VERSIONS, SERVICE_SPLITTER, "servicesplitters");
pub(super) const RESOLVERS: WatchedKind = WatchedKind::known(GROUP, VERSIONS, SERVICE_RESOLVER, "serviceresolvers");
pub(super) const ROUTERS: WatchedKind = WatchedKind::known(GROUP, VERSIONS, SERVICE_ROUTER, "servicerouters");
pub(super) const SERVICE_DEFAULTS: WatchedKind =
    WatchedKind::known(GROUP, VERSIONS, "ServiceDefaults", "servicedefaults");
pub(super) const PROXY_DEFAULTS: WatchedKind = WatchedKind::known(GROUP, VERSIONS, "ProxyDefaults", "proxydefaults");

/// The service's own defaults, which are only read and need not exist.
pub(super) fn service_defaults(namespace: &str, service: &str) -> ObjectRef {
    ObjectRef { required: false, is_written: false, ..SERVICE_DEFAULTS.reference(namespace, service) }
}

/// The defaults of all proxies, where they are in this namespace. They are only read.
pub(super) fn proxy_defaults(namespace: &str) -> ObjectRef {
    ObjectRef { required: false, is_written: false, ..PROXY_DEFAULTS.reference(namespace, GLOBAL) }
}
