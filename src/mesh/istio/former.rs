//! What entries of a user's VirtualService said before a policy changed them.
//!
//! It is kept in an annotation of the object: it is written by the same request as the change, so neither is there without the
//! other, and it is there where no status is (`glidepath mesh render`). A value that is no longer what was written was changed by
//! the user since, and counts as theirs.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::api::revision::canonical;

/// The annotation: policies, their entries, the fields of those.
const ANNOTATION: &str = "glidepath.dev/mesh-former";

/// By policy.
type Formers = BTreeMap<String, Entries>;
/// By entry ([`keys`]) and field.
pub(super) type Entries = BTreeMap<String, BTreeMap<String, Former>>;

/// A field of an entry.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Former {
    /// What it was; absent if it was not there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub former: Option<Value>,
    /// What the policy wrote.
    pub written: Value,
}

/// What a policy has changed in an object.
pub(super) fn read(object: &Value, policy: &str) -> Entries {
    all(object).remove(policy).unwrap_or_default()
}

fn all(object: &Value) -> Formers {
    let text = object["metadata"]["annotations"][ANNOTATION].as_str();
    text.and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default()
}

/// Puts what a policy has changed into an object; nothing takes it out.
pub(super) fn write(object: &mut Value, policy: &str, entries: Entries) {
    let mut formers = all(object);
    if formers.get(policy).cloned().unwrap_or_default() == entries {
        return;
    }
    formers.remove(policy);
    if !entries.is_empty() {
        formers.insert(policy.to_owned(), entries);
    }
    if !formers.is_empty() {
        let text = serde_json::to_value(&formers).unwrap_or_default().to_string();
        object["metadata"]["annotations"][ANNOTATION] = Value::String(text);
        return;
    }
    let Some(metadata) = object["metadata"].as_object_mut() else { return };
    let Some(annotations) = metadata.get_mut("annotations").and_then(Value::as_object_mut) else { return };
    annotations.shift_remove(ANNOTATION);
    if annotations.is_empty() {
        metadata.shift_remove("annotations");
    }
}

/// What each entry of a list is known by: its name, else a digest of what it matches and where it leads. A Rollout's weights
/// are no part of it. Entries that are alike are counted.
pub(super) fn keys(entries: &[Value]) -> Vec<String> {
    let mut seen: BTreeMap<String, usize> = BTreeMap::new();
    let mut key = |entry: &Value| {
        let base = entry["name"].as_str().filter(|name| !name.is_empty()).map_or_else(|| digest(entry), str::to_owned);
        let count = seen.entry(base.clone()).or_default();
        *count += 1;
        if *count == 1 { base } else { format!("{base}/{count}") }
    };
    entries.iter().map(&mut key).collect()
}

/// The API server sorts the fields of an object; files need not.
fn digest(entry: &Value) -> String {
    let routes = entry["route"].as_array().into_iter().flatten();
    let destinations: Vec<String> = routes.map(|route| canonical(&route["destination"])).collect();
    let text = format!("{}{}", canonical(&entry["match"]), destinations.join(","));
    Sha256::digest(text).iter().take(5).map(|byte| format!("{byte:02x}")).collect()
}
