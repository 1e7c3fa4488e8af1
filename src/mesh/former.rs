//! What fields of a user's object said before a policy changed them.
//!
//! It is kept in an annotation of the object: it is written by the same request as the change, so neither is there without the
//! other, and it is there where no status is (`glidepath mesh render`). managedFields are no such record: istiod writes `status`
//! from a cache without them, and who set what is then lost. A value that is no longer what was written was changed by the user
//! since, and counts as theirs.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{
    ownership::{AUTHOR, name},
    plan::Conflict,
};

/// The annotation: policies, their fields.
pub(super) const ANNOTATION: &str = "glidepath.dev/mesh-former";
/// The most bytes of all annotations of an object, keys and values (`TotalAnnotationSizeLimitB` of the API server).
const MOST_ANNOTATIONS: usize = 256 << 10;

/// By policy.
pub(super) type Records = BTreeMap<String, Record>;
/// By field: its JSON pointer; in a list of entries without an order, with the entry's key for its index.
pub(super) type Record = BTreeMap<String, Former>;

/// A field that a policy has set.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Former {
    /// What it was; absent if it was not there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub former: Option<Value>,
    /// What the policy wrote.
    pub written: Value,
    /// How many of the maps around it were not there before the policies: they go with their last field.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub made: usize,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_zero(number: &usize) -> bool {
    *number == 0
}

/// What all policies have changed in an object; a conflict where the annotation is not what a policy wrote: what is whose is not
/// known then.
pub(super) fn all(object: &Value) -> Result<Records, Conflict> {
    match object["metadata"]["annotations"].get(ANNOTATION) {
        None => Ok(Records::new()),
        Some(text) => text.as_str().and_then(|text| serde_json::from_str(text).ok()).ok_or_else(|| {
            let field = format!("the annotation {ANNOTATION} to what no policy writes");
            Conflict { object: name(object), field, manager: AUTHOR.to_owned() }
        }),
    }
}

/// Whether there is a record in an object.
pub(super) fn is_kept(object: &Value) -> bool {
    object["metadata"]["annotations"].get(ANNOTATION).is_some()
}

/// Puts what a policy has changed into an object that had these records; nothing takes it out.
pub(super) fn write(object: &mut Value, mut records: Records, policy: &str, record: Record) {
    if records.get(policy).cloned().unwrap_or_default() == record {
        return;
    }
    records.remove(policy);
    if !record.is_empty() {
        records.insert(policy.to_owned(), record);
    }
    if !records.is_empty() {
        let text = serde_json::to_value(&records).unwrap_or_default().to_string();
        object["metadata"]["annotations"][ANNOTATION] = Value::String(text);
        return;
    }
    clear(object);
}

/// Takes the annotation out.
pub(super) fn clear(object: &mut Value) {
    let Some(metadata) = object["metadata"].as_object_mut() else { return };
    let Some(annotations) = metadata.get_mut("annotations").and_then(Value::as_object_mut) else { return };
    annotations.shift_remove(ANNOTATION);
    if annotations.is_empty() {
        metadata.shift_remove("annotations");
    }
}

/// Puts the records of one object into another.
pub(super) fn copy(object: &mut Value, from: &Value) {
    if let Some(text) = from["metadata"]["annotations"].get(ANNOTATION) {
        object["metadata"]["annotations"][ANNOTATION] = text.clone();
    }
}

/// An object whose annotations the API server would refuse: they have no room for the record.
pub(super) fn overfull(object: &Value) -> Option<Conflict> {
    let annotations = object["metadata"]["annotations"].as_object().into_iter().flatten();
    let size: usize = annotations.map(|(key, value)| key.len() + value.as_str().map_or(0, str::len)).sum();
    let field = || format!("annotations of {size} bytes with the record of this policy, {MOST_ANNOTATIONS} at most");
    (size > MOST_ANNOTATIONS).then(|| Conflict { object: name(object), field: field(), manager: AUTHOR.to_owned() })
}
