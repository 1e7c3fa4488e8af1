//! Ingresses, as the API server is asked for them, and their annotations.

use serde_json::Value;

use crate::router::objects::ObjectRef;

pub(super) const GROUP: &str = "networking.k8s.io";
pub(super) const API_VERSION: &str = "networking.k8s.io/v1";
pub(super) const INGRESS: &str = "Ingress";
pub(super) const PLURAL: &str = "ingresses";

pub(super) fn reference(namespace: &str, name: &str, required: bool) -> ObjectRef {
    ObjectRef {
        api_version: API_VERSION.to_owned(),
        kind: INGRESS.to_owned(),
        plural: PLURAL.to_owned(),
        namespace: namespace.to_owned(),
        name: name.to_owned(),
        required,
        // The user's is only read.
        is_written: !required,
    }
}

/// The text of an annotation.
pub(super) fn annotation<'o>(object: &'o Value, key: &str) -> Option<&'o str> {
    object["metadata"]["annotations"].get(key)?.as_str()
}
