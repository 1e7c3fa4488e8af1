//! The API server's verbs on what is stored: get, list with pages, create, replace, patch, delete, evict.

use std::collections::BTreeMap;

use axum::http::Method;
use jiff::Timestamp;
use serde_json::{Value, json};

use super::{
    faults::dice,
    kinds::Kind,
    patches::{Applied, patched},
    store::{Key, Store, text, whole_seconds},
};

/// One request, read.
#[derive(Clone, Debug)]
pub struct Call {
    pub method: Method,
    pub kind: &'static Kind,
    pub namespace: String,
    /// Empty for a whole collection.
    pub name: String,
    pub subresource: String,
    pub query: BTreeMap<String, String>,
    pub content_type: String,
    pub body: Value,
}

/// An answer with its code.
pub type Answer = Result<(u16, Value), Refusal>;

/// A refusal as a `Status`.
#[derive(Clone, Debug, PartialEq)]
pub struct Refusal {
    pub code: u16,
    pub reason: &'static str,
    pub message: String,
}

impl Refusal {
    pub fn new(code: u16, reason: &'static str, message: impl Into<String>) -> Refusal {
        Refusal { code, reason, message: message.into() }
    }

    pub fn body(&self) -> Value {
        json!({"apiVersion": "v1", "kind": "Status", "metadata": {}, "status": "Failure", "code": self.code,
            "reason": self.reason, "message": self.message})
    }
}

impl Call {
    /// The object that is meant.
    pub fn key(&self) -> Key {
        Key { plural: self.kind.plural, namespace: self.namespace.clone(), name: self.name.clone() }
    }

    pub fn is_write(&self) -> bool {
        self.method != Method::GET
    }

    /// The verb, as roles name it.
    pub fn verb(&self) -> &'static str {
        match self.method.as_str() {
            "GET" if self.is_watch() => "watch",
            "GET" if self.name.is_empty() => "list",
            "GET" => "get",
            "POST" => "create",
            "PUT" => "update",
            "DELETE" => "delete",
            _ => "patch",
        }
    }

    pub fn is_watch(&self) -> bool {
        self.query.get("watch").is_some_and(|value| value == "true" || value == "1")
    }

    /// Whether this object is among those that a list or watch asks for.
    pub fn selects(&self, key: &Key, object: &Value) -> bool {
        let here = self.namespace.is_empty() || key.namespace == self.namespace;
        let selector = self.query.get("labelSelector").map_or("", String::as_str);
        let fields = self.query.get("fieldSelector").map_or("", String::as_str);
        let named = fields.strip_prefix("metadata.name=").is_none_or(|name| name.trim_start_matches('=') == key.name);
        here && named && key.plural == self.kind.plural && selected(selector, &object["metadata"]["labels"])
    }

    fn manager(&self) -> &str {
        self.query.get("fieldManager").map_or("unknown", String::as_str)
    }
}

/// `a`, `!a`, `a=b`, `a!=b`, joined by commas.
fn selected(selector: &str, labels: &Value) -> bool {
    selector.split(',').filter(|part| !part.is_empty()).all(|part| {
        let label = |name: &str| labels.get(name.trim()).and_then(Value::as_str);
        match (part.split_once("!="), part.split_once('=')) {
            (Some((name, value)), _) => label(name) != Some(value),
            (None, Some((name, value))) => label(name) == Some(value.trim_start_matches('=')),
            (None, None) => part.strip_prefix('!').map_or_else(|| label(part).is_some(), |name| label(name).is_none()),
        }
    })
}

/// Carries out a call that is not a watch.
pub fn serve(store: &mut Store, applied: &mut Applied, call: &Call, now: Timestamp) -> Answer {
    let named = !call.name.is_empty();
    match (call.method.as_str(), named) {
        ("GET", true) => found(store, call).map(|object| (200, (**object).clone())),
        ("GET", false) => list(store, call),
        ("POST", true) if call.subresource == "eviction" => evict(store, call, now),
        ("POST", false) => create(store, applied, call, now),
        ("PUT", true) => {
            let before = found(store, call)?.as_ref().clone();
            update(store, applied, call, now, &before, call.body.clone())
        }
        ("PATCH", true) => patch(store, applied, call, now),
        ("DELETE", true) => delete(store, call, now),
        (method, _) => Err(Refusal::new(405, "MethodNotAllowed", format!("{method} is not supported here"))),
    }
}

fn found<'a>(store: &'a Store, call: &Call) -> Result<&'a std::sync::Arc<Value>, Refusal> {
    let missing = || Refusal::new(404, "NotFound", format!("{} \"{}\" not found", call.kind.plural, call.name));
    store.get(&call.key()).ok_or_else(missing)
}

fn conflict(call: &Call, why: &str) -> Refusal {
    let message = format!("Operation cannot be fulfilled on {} \"{}\": {why}", call.kind.plural, call.name);
    Refusal::new(409, "Conflict", message)
}

/// What a server has in memory is fewer changes behind than this.
const BEHIND: u64 = 20;

/// "0" asks for what the server has in memory, in one piece; everything else is read from what is stored.
fn list(store: &Store, call: &Call) -> Answer {
    if call.query.get("resourceVersion").is_none_or(|version| version != "0") {
        return page(store, call);
    }
    let mut whole = call.clone();
    whole.query.remove("limit");
    page(&store.some_changes_ago(dice(store.version(), call.kind.plural) % BEHIND), &whole)
}

/// A page begins behind the name in its token, and speaks of the version at which the first one was read.
fn page(store: &Store, call: &Call) -> Answer {
    let limit = call.query.get("limit").and_then(|limit| limit.parse().ok()).unwrap_or(usize::MAX);
    let token = call.query.get("continue").and_then(|token| token.split_once(' '));
    let (version, after) = token.map_or((store.version().to_string(), ""), |(version, key)| (version.into(), key));
    let rest = store.all(call.kind.plural).filter(|(key, object)| call.selects(key, object));
    let mut rest = rest.filter(|(key, _)| token.is_none() || place(key).as_str() > after);
    let mut items: Vec<(&Key, Value)> = rest.by_ref().take(limit).map(|(key, o)| (key, (**o).clone())).collect();
    let more = rest.next().is_some();
    let last = items.last().filter(|_| more).map(|(key, _)| format!("{version} {}", place(key)));
    // Items of a list bear no type.
    items.iter_mut().filter_map(|(_, item)| item.as_object_mut()).for_each(|item| {
        item.shift_remove("apiVersion");
        item.shift_remove("kind");
    });
    let items: Vec<Value> = items.into_iter().map(|(_, item)| item).collect();
    let mut meta = json!({"resourceVersion": version});
    if let Some(last) = last {
        meta["continue"] = last.into();
    }
    let kind = format!("{}List", call.kind.kind);
    Ok((200, json!({"apiVersion": call.kind.api_version(), "kind": kind, "metadata": meta, "items": items})))
}

fn place(key: &Key) -> String {
    format!("{}/{}", key.namespace, key.name)
}

fn create(store: &mut Store, applied: &mut Applied, call: &Call, now: Timestamp) -> Answer {
    if call.kind.plural == "events" {
        return Ok((201, call.body.clone()));
    }
    let mut object = call.body.clone();
    let name = match text(&object, "/metadata/name") {
        "" => format!("{}{}", text(&object, "/metadata/generateName"), store.version()),
        name => name.to_owned(),
    };
    let key = Key { name, ..call.key() };
    if store.get(&key).is_some() {
        let message = format!("{} \"{}\" already exists", call.kind.plural, key.name);
        return Err(Refusal::new(409, "AlreadyExists", message));
    }
    if call.kind.status
        && let Some(fields) = object.as_object_mut()
    {
        fields.shift_remove("status");
    }
    note_manager(&Value::Null, &mut object, (call.manager(), "Update", ""), now);
    applied.updated(&key, &Value::Null, &object, call.manager());
    Ok((201, store.put(&key, object, now).as_ref().clone()))
}

/// Takes a new object in, under the preconditions that it names, as far as this (sub)resource may change it.
fn update(
    store: &mut Store,
    applied: &mut Applied,
    call: &Call,
    now: Timestamp,
    before: &Value,
    wanted: Value,
) -> Answer {
    check(call, before, &wanted["metadata"])?;
    let mut after = match call.subresource.as_str() {
        "status" => {
            let mut after = before.clone();
            after["status"] = wanted["status"].clone();
            after
        }
        _ if call.kind.status => {
            let mut after = wanted;
            after["status"] = before["status"].clone();
            after
        }
        _ => wanted,
    };
    // No one undeletes an object.
    after["metadata"]["deletionTimestamp"] = before["metadata"]["deletionTimestamp"].clone();
    after["metadata"]["managedFields"] = before["metadata"]["managedFields"].clone();
    strip_nulls(&mut after);
    let mut bare = before.clone();
    strip_nulls(&mut bare);
    let key = call.key();
    if super::patches::changed(&bare, &after).is_empty() {
        return Ok((200, store.get(&key).map_or(bare, |object| (**object).clone())));
    }
    applied.updated(&key, &bare, &after, call.manager());
    note_manager(&bare, &mut after, (call.manager(), "Update", &call.subresource), now);
    Ok((200, store.put(&key, after, now).as_ref().clone()))
}

/// uid and resourceVersion are preconditions wherever a write names them.
fn check(call: &Call, before: &Value, meta: &Value) -> Result<(), Refusal> {
    for (field, why) in [
        ("uid", "Precondition failed: UID in precondition differs"),
        (
            "resourceVersion",
            "the object has been modified; please apply your changes to the latest version and try again",
        ),
    ] {
        let wanted = meta[field].as_str().filter(|text| !text.is_empty());
        if wanted.is_some_and(|wanted| before["metadata"][field].as_str() != Some(wanted)) {
            return Err(conflict(call, why));
        }
    }
    Ok(())
}

fn patch(store: &mut Store, applied: &mut Applied, call: &Call, now: Timestamp) -> Answer {
    if call.content_type.starts_with("application/apply-patch") {
        return apply(store, applied, call, now);
    }
    let before = found(store, call)?.as_ref().clone();
    let wanted = patched(&before, &call.content_type, &call.body);
    let wanted = wanted.map_err(|error| Refusal::new(422, "Invalid", error))?;
    update(store, applied, call, now, &before, wanted)
}

fn apply(store: &mut Store, applied: &mut Applied, call: &Call, now: Timestamp) -> Answer {
    let key = call.key();
    let before = store.get(&key).map(|object| (**object).clone());
    if let Some(before) = &before {
        check(call, before, &call.body["metadata"])?;
    } else if !text(&call.body, "/metadata/uid").is_empty() {
        return Err(Refusal::new(409, "Conflict", "the object is gone"));
    }
    let force = call.query.get("force").is_some_and(|force| force == "true");
    let old = before.clone().unwrap_or_else(super::store::empty);
    let after = applied.apply(&key, &old, &call.body, call.manager(), force);
    let mut after = after.map_err(|message| Refusal::new(409, "Conflict", message))?;
    strip_nulls(&mut after);
    if before.as_ref().is_none_or(|before| !super::patches::changed(before, &after).is_empty()) {
        note_manager(&old, &mut after, (call.manager(), "Apply", ""), now);
    }
    let code = if before.is_some() { 200 } else { 201 };
    Ok((code, store.put(&key, after, now).as_ref().clone()))
}

fn delete(store: &mut Store, call: &Call, now: Timestamp) -> Answer {
    let before = found(store, call)?.as_ref().clone();
    check(call, &before, &call.body["preconditions"])?;
    store.delete(&call.key(), now);
    Ok((200, json!({"apiVersion": "v1", "kind": "Status", "metadata": {}, "status": "Success"})))
}

fn evict(store: &mut Store, call: &Call, now: Timestamp) -> Answer {
    let before = found(store, call)?.as_ref().clone();
    check(call, &before, &call.body["deleteOptions"]["preconditions"])?;
    store.delete(&call.key(), now);
    Ok((201, json!({"apiVersion": "v1", "kind": "Status", "metadata": {}, "status": "Success", "code": 201})))
}

/// Who wrote last, and when, as `managedFields` says it: a manager owns the fields of the spec that it has changed, and
/// no other manager does any more.
pub fn note_manager(before: &Value, object: &mut Value, writer: (&str, &str, &str), now: Timestamp) {
    let (manager, operation, subresource) = writer;
    let mut all = object["metadata"]["managedFields"].as_array().cloned().unwrap_or_default();
    let is_writer =
        |entry: &Value| entry["manager"] == manager && entry["subresource"].as_str().unwrap_or("") == subresource;
    let mut owned = match all.iter().position(is_writer) {
        Some(place) => all.remove(place)["fieldsV1"].take(),
        None => json!({}),
    };
    for name in object["spec"].as_object().into_iter().flat_map(|spec| spec.keys()) {
        if before["spec"].get(name) != object["spec"].get(name) {
            let field = format!("f:{name}");
            for other in &mut all {
                other
                    .pointer_mut("/fieldsV1/f:spec")
                    .and_then(Value::as_object_mut)
                    .map(|all| all.shift_remove(&field));
            }
            owned["f:spec"][field] = json!({});
        }
    }
    let mut entry = json!({"manager": manager, "operation": operation, "time": whole_seconds(now),
        "apiVersion": object["apiVersion"], "fieldsType": "FieldsV1", "fieldsV1": owned});
    if !subresource.is_empty() {
        entry["subresource"] = subresource.into();
    }
    all.push(entry);
    object["metadata"]["managedFields"] = all.into();
}

/// A field that is null is not there.
fn strip_nulls(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            fields.retain(|_, value| !value.is_null());
            fields.values_mut().for_each(strip_nulls);
        }
        Value::Array(items) => items.iter_mut().for_each(strip_nulls),
        _ => {}
    }
}
