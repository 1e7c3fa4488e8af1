//! Fields of an entry by path: `limits.maxConnections`, and `overrides[web].limits` in the entry of a list that has this name.

use serde_json::{Map, Value, json};

/// A step: a field, and in the list that it is the entry of a name.
fn step(text: &str) -> (&str, Option<&str>) {
    match text.split_once('[') {
        Some((field, name)) => (field, name.strip_suffix(']')),
        None => (text, None),
    }
}

/// The value of a field; none where it is absent or null.
pub(super) fn get<'v>(value: &'v Value, path: &str) -> Option<&'v Value> {
    let mut at = value;
    for (field, name) in path.split('.').map(step) {
        at = at.get(field)?;
        if let Some(name) = name {
            at = at.as_array()?.iter().find(|entry| entry["name"] == name)?;
        }
    }
    (!at.is_null()).then_some(at)
}

/// Sets a field, with what leads to it. `false` where something else is in the way: nothing is written then.
pub(super) fn set(value: &mut Value, path: &str, to: Value) -> bool {
    let mut at = value;
    for (field, name) in path.split('.').map(step) {
        if at.is_null() {
            *at = Value::Object(Map::new());
        }
        let Some(fields) = at.as_object_mut() else { return false };
        at = fields.entry(field).or_insert(Value::Null);
        let Some(name) = name else { continue };
        if at.is_null() {
            *at = json!([]);
        }
        let Some(entries) = at.as_array_mut() else { return false };
        if !entries.iter().any(|entry| entry["name"] == name) {
            entries.push(json!({"name": name}));
        }
        let Some(entry) = entries.iter_mut().find(|entry| entry["name"] == name) else { return false };
        at = entry;
    }
    *at = to;
    true
}

/// Takes a field out, and what is empty without it.
pub(super) fn remove(value: &mut Value, path: &str) {
    let (first, rest) = path.split_once('.').map_or((path, None), |(first, rest)| (first, Some(rest)));
    let (field, name) = step(first);
    let Some(fields) = value.as_object_mut() else { return };
    let Some(inner) = fields.get_mut(field) else { return };
    let is_empty = match (name, rest) {
        (None, None) => true,
        (None, Some(rest)) => {
            remove(inner, rest);
            inner.as_object().is_some_and(Map::is_empty)
        }
        (Some(name), rest) => {
            let Some(entries) = inner.as_array_mut() else { return };
            for entry in entries.iter_mut().filter(|entry| entry["name"] == name) {
                rest.into_iter().for_each(|rest| remove(entry, rest));
            }
            let is_bare = |entry: &Value| {
                entry["name"] == name && (rest.is_none() || entry.as_object().is_some_and(|fields| fields.len() == 1))
            };
            entries.retain(|entry| !is_bare(entry));
            entries.is_empty()
        }
    };
    if is_empty {
        fields.shift_remove(field);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_that_is_set_and_removed_leaves_the_others() {
        let before =
            json!({"protocol": "http", "upstreamConfig": {"overrides": [{"name": "pay", "connectTimeoutMs": 5}]}});
        let mut value = before.clone();
        let path = "upstreamConfig.overrides[checkout].limits.maxConnections";
        assert!(set(&mut value, path, json!(100)) && set(&mut value, "loadBalancer.policy", json!("random")));
        assert_eq!(get(&value, path), Some(&json!(100)));
        assert_eq!(
            value["upstreamConfig"]["overrides"][1],
            json!({"name": "checkout", "limits": {"maxConnections": 100}})
        );
        remove(&mut value, path);
        remove(&mut value, "loadBalancer.policy");
        remove(&mut value, "subsets.v1");
        assert_eq!(value, before);
        assert!(!set(&mut value, "protocol.inner", json!(1)));
    }
}
