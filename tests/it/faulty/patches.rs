//! Patches as the API server applies them: merge, JSON, and server-side apply with managers that conflict.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::store::Key;

/// Which fields were applied by whom: server-side apply refuses to change what another manager has applied.
#[derive(Clone, Debug, Default)]
pub struct Applied {
    fields: BTreeMap<Key, BTreeMap<String, BTreeSet<String>>>,
}

impl Applied {
    /// Applies `patch` to `object` for `manager`. A field that another manager has is a conflict unless it stays as it is,
    /// or the manager insists. Fields that the manager had applied before and leaves out now are removed.
    pub fn apply(
        &mut self,
        key: &Key,
        object: &Value,
        patch: &Value,
        manager: &str,
        force: bool,
    ) -> Result<Value, String> {
        let wanted = leaves(patch);
        let managers = self.fields.entry(key.clone()).or_default();
        let taken = |field: &String, value: &Value| {
            let other = managers.iter().find(|(other, fields)| *other != manager && fields.contains(field));
            other.filter(|_| object.pointer(field) != Some(value)).map(|(other, _)| (other.clone(), field.clone()))
        };
        if let Some((other, field)) = wanted.iter().find_map(|(field, value)| taken(field, value))
            && !force
        {
            return Err(format!("Apply failed with 1 conflict: conflict with \"{other}\": {field}"));
        }
        let mut next = object.clone();
        for field in managers.get(manager).into_iter().flatten().filter(|field| !wanted.contains_key(*field)) {
            remove(&mut next, field);
        }
        json_patch::merge(&mut next, patch);
        for (other, fields) in managers.iter_mut().filter(|(other, _)| *other != manager) {
            debug_assert_ne!(other, manager);
            fields.retain(|field| !(force && wanted.contains_key(field)));
        }
        managers.insert(manager.to_owned(), wanted.into_keys().collect());
        Ok(next)
    }

    /// Another kind of write changed these fields: they are the writer's now.
    pub fn updated(&mut self, key: &Key, before: &Value, after: &Value, manager: &str) {
        let Some(managers) = self.fields.get_mut(key) else { return };
        let changed: BTreeSet<String> = changed(before, after).into_iter().collect();
        for (_, fields) in managers.iter_mut().filter(|(other, _)| *other != manager) {
            fields.retain(|field| !changed.contains(field));
        }
        managers.entry(manager.to_owned()).or_default().extend(changed);
    }
}

/// The object after a patch of this content type.
pub fn patched(object: &Value, content_type: &str, patch: &Value) -> Result<Value, String> {
    let mut next = object.clone();
    if content_type.starts_with("application/json-patch") {
        let patch: json_patch::Patch = serde_json::from_value(patch.clone()).map_err(|error| error.to_string())?;
        json_patch::patch(&mut next, &patch).map_err(|error| error.to_string())?;
    } else {
        json_patch::merge(&mut next, patch);
    }
    Ok(next)
}

/// The fields in which two objects differ, as JSON pointers.
pub fn changed(before: &Value, after: &Value) -> Vec<String> {
    let (before, after) = (leaves(before), leaves(after));
    let gone = before.keys().filter(|field| !after.contains_key(*field));
    let new = after.iter().filter(|(field, value)| before.get(*field) != Some(value)).map(|(field, _)| field);
    gone.chain(new).cloned().collect()
}

/// Every value that has no parts, by its JSON pointer. What the server itself keeps in metadata is left out.
pub fn leaves(object: &Value) -> BTreeMap<String, Value> {
    let mut found = BTreeMap::new();
    collect(object, String::new(), &mut found);
    const OWN: [&str; 6] = ["resourceVersion", "uid", "generation", "creationTimestamp", "managedFields", "name"];
    found.retain(|path, _| !OWN.iter().any(|own| path.strip_prefix("/metadata/").is_some_and(|p| p.starts_with(own))));
    found.remove("/metadata/namespace");
    found.remove("/apiVersion");
    found.remove("/kind");
    found
}

fn collect(value: &Value, path: String, found: &mut BTreeMap<String, Value>) {
    let escaped = |name: &str| name.replace('~', "~0").replace('/', "~1");
    match value {
        Value::Object(fields) if !fields.is_empty() => {
            fields.iter().for_each(|(name, value)| collect(value, format!("{path}/{}", escaped(name)), found));
        }
        Value::Array(items) if !items.is_empty() => {
            items.iter().enumerate().for_each(|(index, value)| collect(value, format!("{path}/{index}"), found));
        }
        _ => drop(found.insert(path, value.clone())),
    }
}

fn remove(object: &mut Value, pointer: &str) {
    let Some((parent, name)) = pointer.rsplit_once('/') else { return };
    if let Some(fields) = object.pointer_mut(parent).and_then(Value::as_object_mut) {
        fields.shift_remove(&name.replace("~1", "/").replace("~0", "~"));
    }
}
