//! A JSON value, changed in a few places: what another version, another tool or a mistake may have written.

use serde_json::{Value, json};

use super::choices::Choices;

/// The most places that are changed.
const PLACES: usize = 5;
const FLOATS: [f64; 7] = [-0.0, 0.5, 1e-300, 1e300, -1.5, 100.01, 4_294_967_295.5];
const TEXTS: [&str; 14] = [
    "",
    "0",
    "v1",
    "checkout-canary",
    "\u{1F600}\u{202e}",
    "-1s",
    "8784h",
    "101%",
    "-009999-01-02T01:59:59Z",
    "1970-01-01T00:00:00Z",
    "1970-01-01T02:00:00.000000001Z",
    "9999-12-30T22:00:00.999999999Z",
    "{}",
    "glidepath-x",
];

/// Changes a value in a few places. Some of them get a part of one of the donors.
pub fn mutate(value: &mut Value, donors: &[Value], choices: &mut Choices<'_>) {
    for _ in 0..choices.below(PLACES) {
        mutate_within(value, donors, choices);
    }
}

fn mutate_within(value: &mut Value, donors: &[Value], choices: &mut Choices<'_>) {
    if children(value) == 0 || choices.one_in(6) {
        return change(value, donors, choices);
    }
    let at = choices.below(children(value));
    let child = match value {
        Value::Object(fields) => fields.values_mut().nth(at),
        Value::Array(entries) => entries.get_mut(at),
        _ => None,
    };
    if let Some(child) = child {
        mutate_within(child, donors, choices);
    }
}

fn children(value: &Value) -> usize {
    match value {
        Value::Object(fields) => fields.len(),
        Value::Array(entries) => entries.len(),
        _ => 0,
    }
}

fn change(value: &mut Value, donors: &[Value], choices: &mut Choices<'_>) {
    match choices.below(12) {
        0 => *value = Value::Null,
        1 => *value = choices.number().into(),
        2 => *value = choices.number().cast_signed().into(),
        3 => *value = (*choices.pick(&FLOATS)).into(),
        4 => *value = (*choices.pick(&TEXTS)).into(),
        5 => *value = choices.one_in(2).into(),
        6 => *value = if choices.one_in(2) { json!([]) } else { json!({}) },
        7 => *value = json!([value.take()]),
        8 => shrink(value, choices),
        9 => grow(value, choices),
        _ => *value = part(donors, choices),
    }
}

fn shrink(value: &mut Value, choices: &mut Choices<'_>) {
    let at = choices.below(children(value));
    match value {
        Value::Object(fields) => {
            if let Some(key) = fields.keys().nth(at).cloned() {
                fields.shift_remove(&key);
            }
        }
        Value::Array(entries) if at < entries.len() => drop(entries.remove(at)),
        Value::Number(number) => *value = number.as_u64().unwrap_or_default().saturating_sub(1).into(),
        Value::String(text) => drop(text.pop()),
        _ => {}
    }
}

fn grow(value: &mut Value, choices: &mut Choices<'_>) {
    let at = choices.below(children(value));
    match value {
        Value::Object(fields) => {
            let moved = fields.values().nth(at).cloned().unwrap_or_default();
            let key = fields.keys().nth(choices.below(fields.len())).cloned();
            fields.insert(key.unwrap_or_else(|| "x".to_owned()), moved);
        }
        Value::Array(entries) => entries.extend(entries.get(at).cloned()),
        Value::Number(number) => *value = number.as_u64().unwrap_or_default().saturating_add(1).into(),
        Value::String(text) => text.push_str(choices.pick::<&str>(&TEXTS)),
        _ => {}
    }
}

/// A part of one of the donors, however small.
fn part(donors: &[Value], choices: &mut Choices<'_>) -> Value {
    if donors.is_empty() {
        return Value::Null;
    }
    let mut part = choices.pick(donors);
    while children(part) > 0 && !choices.one_in(5) {
        let at = choices.below(children(part));
        let child = match part {
            Value::Object(fields) => fields.values().nth(at),
            Value::Array(entries) => entries.get(at),
            _ => None,
        };
        let Some(child) = child else { break };
        part = child;
    }
    part.clone()
}
