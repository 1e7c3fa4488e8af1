//! Ingresses, as the API server is asked for them, and their annotations.

use serde_json::Value;

use crate::router::{kind::WatchedKind, objects::ObjectRef};

pub(super) const GROUP: &str = "networking.k8s.io";
pub(super) const API_VERSION: &str = "networking.k8s.io/v1";
pub(super) const INGRESS: &str = "Ingress";
pub(super) const PLURAL: &str = "ingresses";

pub(super) const INGRESSES: WatchedKind = WatchedKind::known(GROUP, &["v1"], INGRESS, PLURAL);

/// The user's Ingress, which is only read.
pub(super) fn users(namespace: &str, name: &str) -> ObjectRef {
    ObjectRef { is_written: false, ..INGRESSES.reference(namespace, name) }
}

/// The text of an annotation.
pub(super) fn annotation<'o>(object: &'o Value, key: &str) -> Option<&'o str> {
    object["metadata"]["annotations"].get(key)?.as_str()
}
