//! The `http` entries of a VirtualService with a policy's retries and timeout, and as they were without.

use serde_json::{Value, json};

use std::collections::BTreeMap;

use sha2::{Digest, Sha256};

use crate::{
    api::revision::canonical,
    mesh::{
        former::{self, Former, Record},
        plan::Conflict,
        pointer::escaped,
    },
};

/// What a policy writes into an entry: each `None` leaves the field to the user.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Wanted {
    /// `timeout`.
    pub timeout: Option<Value>,
    /// Fields of `retries`; the others stay.
    pub retries: Option<Value>,
}

impl Wanted {
    pub(super) fn is_nothing(&self) -> bool {
        self.timeout.is_none() && self.retries.is_none()
    }
}

/// The object with what `wanted` says of each entry; what it says nothing of is as it was before this policy. A conflict where
/// that is not known.
pub(super) fn with(object: &Value, policy: &str, wanted: impl Fn(&Value) -> Wanted) -> Result<Value, Conflict> {
    let records = former::all(object)?;
    let before = records.get(policy).cloned().unwrap_or_default();
    let mut after = Record::new();
    let mut next = object.clone();
    let keys = keys(list(object));
    for (entry, key) in next.pointer_mut("/spec/http").and_then(Value::as_array_mut).into_iter().flatten().zip(keys) {
        let Wanted { timeout, retries } = wanted(entry);
        for (field, value) in [("timeout", timeout), ("retries", retries)] {
            let place = format!("/spec/http/{}/{field}", escaped(&key));
            if let Some(changed) = change(entry, field, value.as_ref(), before.get(&place)) {
                after.insert(place, changed);
            }
        }
    }
    former::write(&mut next, records, policy, after);
    former::overfull(&next).map_or(Ok(next), Err)
}

/// Changes a field of an entry; what to remember, if it is not the user's now.
fn change(entry: &mut Value, field: &str, wanted: Option<&Value>, known: Option<&Former>) -> Option<Former> {
    let there = entry.get(field).cloned();
    let ours = known.filter(|known| there.as_ref() == Some(&known.written));
    let former = match ours {
        Some(known) => known.former.clone(),
        None => there.clone(),
    };
    let written = wanted.map(|wanted| merged(former.as_ref(), wanted));
    let is_changed = written.is_some() && written != former;
    let next = if is_changed { written.clone() } else { former.clone() };
    if next != there {
        put(entry, field, next);
    }
    written.filter(|_| is_changed).map(|written| Former { former, written, made: 0 })
}

/// Fields of ours, and those of the user's that we do not set.
fn merged(former: Option<&Value>, wanted: &Value) -> Value {
    let (Some(Value::Object(former)), Value::Object(wanted)) = (former, wanted) else { return wanted.clone() };
    let mut merged = former.clone();
    merged.extend(wanted.clone());
    Value::Object(merged)
}

fn put(entry: &mut Value, field: &str, value: Option<Value>) {
    match (value, entry.as_object_mut()) {
        (Some(value), Some(fields)) => drop(fields.insert(field.to_owned(), value)),
        (None, Some(fields)) => drop(fields.shift_remove(field)),
        (_, None) => {}
    }
}

/// What each entry of a list is known by: its name, else a digest of what it matches and where it leads. A Rollout's weights
/// are no part of it. Entries that are alike are counted.
fn keys(entries: &[Value]) -> Vec<String> {
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

/// The `http` entries.
pub(super) fn list(object: &Value) -> &[Value] {
    object["spec"]["http"].as_array().map_or(&[], Vec::as_slice)
}

/// The hosts that an entry leads to, as written.
pub(super) fn destinations(entry: &Value) -> Vec<&str> {
    let routes = entry["route"].as_array().into_iter().flatten();
    routes.filter_map(|route| route["destination"]["host"].as_str()).collect()
}

/// An entry of our own for a host.
pub(super) fn new(host: &str, wanted: &Wanted) -> Value {
    let mut entry = json!({"route": [{"destination": {"host": host}}]});
    put(&mut entry, "timeout", wanted.timeout.clone());
    put(&mut entry, "retries", wanted.retries.clone());
    entry
}
