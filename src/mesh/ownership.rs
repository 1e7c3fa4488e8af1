//! Whose an object is: a policy's or a fault's own, by its label, or someone else's, who is named in a conflict.

use serde_json::Value;

use super::plan::{Conflict, MeshWrite};
use crate::api::fault::FAULT_LABEL;

/// The label on objects of a policy's own: its name.
pub const POLICY_LABEL: &str = "glidepath.dev/policy";
/// Whoever wrote an object or a field that no manager is known of.
pub(super) const AUTHOR: &str = "its author";

/// `DestinationRule shop/web`.
pub(super) fn name(object: &Value) -> String {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let metadata = &object["metadata"];
    format!("{} {}/{}", text(&object["kind"]), text(&metadata["namespace"]), text(&metadata["name"]))
}

/// Whether an object is a policy's own.
pub(super) fn is_own(object: &Value, policy: &str) -> bool {
    object["metadata"]["labels"][POLICY_LABEL] == policy
}

/// Whether an object is a fault's own.
pub(super) fn is_of_fault(object: &Value, fault: &str) -> bool {
    object["metadata"]["labels"][FAULT_LABEL] == fault
}

/// The policy or the fault that an object is the own of, for display.
pub(super) fn owner(object: &Value) -> Option<String> {
    let named =
        |label: &str, kind: &str| object["metadata"]["labels"][label].as_str().map(|name| format!("{kind} {name}"));
    named(POLICY_LABEL, "MeshPolicy").or_else(|| named(FAULT_LABEL, "MeshFault"))
}

/// An object of others that is in the way, or a field of it.
pub(super) fn conflict(object: &Value, field: impl Into<String>) -> Conflict {
    let manager = owner(object).unwrap_or_else(|| AUTHOR.to_owned());
    Conflict { object: name(object), field: field.into(), manager }
}

impl MeshWrite {
    /// The object, for display: `DestinationRule shop/web`.
    pub fn name(&self) -> String {
        match self {
            MeshWrite::Own(object) | MeshWrite::Fields(object) | MeshWrite::Replace(object) => name(object),
            MeshWrite::Delete(gone) => format!("{} {}/{}", gone.kind, gone.namespace, gone.name),
        }
    }
}
