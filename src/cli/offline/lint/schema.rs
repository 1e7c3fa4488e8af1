//! A document against its kind's schema: unknown fields, wrong types, missing fields, values out of bounds.
//!
//! The schema is the CRD's own, so `lint` refuses what the API server would refuse, and also what it would silently drop.

use std::{
    collections::HashMap,
    sync::{LazyLock, Mutex, PoisonError},
};

use regex::Regex;
use serde_json::{Map, Value};

use super::{
    forms,
    unknown::{UNKNOWN, explained},
};
use crate::{
    api::{common::Delay, pod_count::PodCount, validate::Finding},
    yaml::join,
};

/// What does not fit the schema.
pub(in crate::cli) fn check(schema: &Value, value: &Value) -> Vec<Finding> {
    let mut found = Vec::new();
    walk(schema, value, "", &mut found);
    first(explained(schema, found))
}

/// The limit of findings per object.
pub(super) fn first(mut found: Vec<Finding>) -> Vec<Finding> {
    if found.len() >= MOST_FINDINGS {
        found.truncate(MOST_FINDINGS);
        found.push(Finding::warning("", format!("only the first {MOST_FINDINGS} findings of this object are shown")));
    }
    found
}

/// More findings of one object are not useful.
const MOST_FINDINGS: usize = 1_000;

fn walk(schema: &Value, value: &Value, path: &str, found: &mut Vec<Finding>) {
    if found.len() >= MOST_FINDINGS {
        return;
    }
    // As the API server prunes a null field, an explicit null is an absent field.
    if value.is_null() {
        return;
    }
    if let Some(message) = is_duration(schema).then(|| not_a_duration(value)).flatten() {
        return found.push(Finding::error(path, message));
    }
    if let Some(wanted) = schema.get("type").and_then(Value::as_str)
        && !is_type(wanted, value)
    {
        found.push(Finding::error(
            path,
            format!(
                "must be {}, got {}{}",
                article(wanted),
                kind_of(value),
                forms::advice(schema, wanted, value, path)
            ),
        ));
        return;
    }
    bounds(schema, value, path, found);
    match value {
        Value::Object(object) => fields(schema, object, path, found),
        Value::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                walk(schema.get("items").unwrap_or(&Value::Null), item, &format!("{path}[{index}]"), found);
            }
        }
        _ => {}
    }
}

/// Durations are known by their pattern, which only they have.
fn is_duration(schema: &Value) -> bool {
    schema.get("pattern").and_then(Value::as_str).is_some_and(|pattern| pattern.contains("(ms|s|m|h|d)"))
}

/// The type's own message says what to write, also for a number.
fn not_a_duration(value: &Value) -> Option<String> {
    match value {
        Value::String(_) | Value::Number(_) => {
            serde_json::from_value::<Delay>(value.clone()).err().map(|e| e.to_string())
        }
        other => Some(format!("must be a duration like 90s, 5m or 1h30m, got {}", kind_of(other))),
    }
}

fn fields(schema: &Value, object: &Map<String, Value>, path: &str, found: &mut Vec<Finding>) {
    let known = schema.get("properties").and_then(Value::as_object);
    for (key, value) in object {
        if found.len() >= MOST_FINDINGS {
            return;
        }
        match known.and_then(|known| known.get(key)).or_else(|| schema.get("additionalProperties")) {
            Some(schema) => walk(schema, value, &join(path, key), found),
            None if known.is_some() && !is_open(schema) => {
                let names: Vec<&str> = known.into_iter().flatten().map(|(name, _)| name.as_str()).collect();
                found.push(Finding::error(join(path, key), format!("{UNKNOWN}{}", hint(key, &names))));
            }
            None => {}
        }
    }
    for name in schema.get("required").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str) {
        if object.get(name).is_none_or(Value::is_null) {
            found.push(Finding::error(join(path, name), "is missing"));
        }
    }
}

fn is_open(schema: &Value) -> bool {
    schema.get("x-kubernetes-preserve-unknown-fields") == Some(&Value::Bool(true))
}

/// `; did you mean x?`, or which names there are when none is near.
pub(in crate::cli) fn hint(typed: &str, names: &[&str]) -> String {
    match nearest(typed, names) {
        Some(name) => format!("; did you mean {name}?"),
        None if (1..=12).contains(&names.len()) => format!("; there is {}", names.join(", ")),
        None => String::new(),
    }
}

/// The name that was probably meant.
pub(in crate::cli) fn nearest<'a>(typed: &str, names: &[&'a str]) -> Option<&'a str> {
    let most = |name: &str| 1 + name.len() / 4;
    let length = typed.chars().count();
    // The distance takes memory and time by the product of both lengths, and a file may hold a text of a MiB.
    let near = names.iter().filter(|name| length.abs_diff(name.chars().count()) <= most(name));
    let scored = near.map(|name| (strsim::damerau_levenshtein(&typed.to_lowercase(), &name.to_lowercase()), *name));
    scored.filter(|(distance, name)| *distance <= most(name)).min().map(|(_, name)| name)
}

fn bounds(schema: &Value, value: &Value, path: &str, found: &mut Vec<Finding>) {
    let limit = |key: &str| schema.get(key).and_then(Value::as_f64);
    let mut add = |message: String| found.push(Finding::error(path, message));
    if let Some(variants) = variants(schema)
        && !variants.contains(value)
    {
        let names: Vec<&str> = variants.iter().filter_map(Value::as_str).collect();
        let typed = value.as_str().unwrap_or_default();
        let near = nearest(typed, &names).map(|name| format!("; did you mean {name}?")).unwrap_or_default();
        add(format!("{value} is none of {}{near}", names.join(", ")));
    }
    if schema.get("x-kubernetes-int-or-string") == Some(&Value::Bool(true)) {
        // The type's own message says which of the two was meant.
        if let Err(error) = serde_json::from_value::<PodCount>(value.clone()) {
            add(error.to_string());
        }
        return;
    }
    if let (Some(number), Some(least)) = (value.as_f64(), limit("minimum"))
        && number < least
    {
        add(format!("must be at least {least}, got {value}"));
    }
    if let (Some(number), Some(most)) = (value.as_f64(), limit("maximum"))
        && number > most
    {
        add(format!("must be at most {most}, got {value}"));
    }
    if let (Some(text), Some(pattern)) = (value.as_str(), schema.get("pattern").and_then(Value::as_str))
        && !fits(pattern, text)
    {
        add(format!("{value} does not match {pattern}"));
    }
    let (size, what) = match value {
        Value::String(text) => (text.chars().count(), ("Length", "characters")),
        Value::Array(items) => (items.len(), ("Items", "entries")),
        _ => return,
    };
    if limit(&format!("max{}", what.0)).is_some_and(|most| size as f64 > most) {
        add(format!("has {size} {}, more than is allowed", what.1));
    }
    if limit(&format!("min{}", what.0)).is_some_and(|least| (size as f64) < least) {
        add(if size == 0 { "is empty".to_owned() } else { format!("has {size} {}, too few", what.1) });
    }
}

/// Whether a text matches a pattern of our schemas. Each is compiled once: a file may hold thousands of its values.
fn fits(pattern: &str, text: &str) -> bool {
    static COMPILED: LazyLock<Mutex<HashMap<String, Option<Regex>>>> = LazyLock::new(Mutex::default);
    let mut compiled = COMPILED.lock().unwrap_or_else(PoisonError::into_inner);
    if !compiled.contains_key(pattern) {
        compiled.insert(pattern.to_owned(), Regex::new(pattern).ok());
    }
    compiled.get(pattern).and_then(Option::as_ref).is_none_or(|pattern| pattern.is_match(text))
}

/// The values that there are, where a schema lists them: at once, or one by one with a description each.
fn variants(schema: &Value) -> Option<Vec<Value>> {
    if let Some(list) = schema.get("enum").and_then(Value::as_array) {
        return Some(list.clone());
    }
    if let Some(value) = schema.get("const") {
        return Some(vec![value.clone()]);
    }
    let choices = schema.get("oneOf").or_else(|| schema.get("anyOf"))?.as_array()?;
    let lists: Option<Vec<Vec<Value>>> = choices.iter().map(variants).collect();
    Some(lists?.concat())
}

fn is_type(wanted: &str, value: &Value) -> bool {
    match wanted {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "boolean" => value.is_boolean(),
        "integer" => value.is_i64() || value.is_u64(),
        "number" => value.is_number(),
        _ => true,
    }
}

/// What a field of this type wants.
pub(super) fn article(wanted: &str) -> &'static str {
    match wanted {
        "object" => "a map of fields",
        "array" => "a list",
        "string" => "a string (quote it)",
        "boolean" => "true or false",
        "integer" => "an integer",
        _ => "a number",
    }
}

/// What a value is, as a message shows it.
pub(super) fn kind_of(value: &Value) -> String {
    match value {
        Value::Object(_) => "a map of fields".to_owned(),
        Value::Array(_) => "a list".to_owned(),
        Value::String(text) => format!("the string \"{text}\""),
        other => other.to_string(),
    }
}
