//! Sticky users: a cookie that the responses of both versions set, and rules that route by its value (rules S22 and S70).
//!
//! The cookie is added by a ResponseHeaderModifier on the two backendRefs. Its value is `glidepath.<test>.<version>`, which
//! identifies the test or release and marks the header as Glidepath's: a user's own Set-Cookie is rejected, never overwritten.
//! A backendRef can have one such filter, so a user's is added to.

use serde_json::{Value, json};

use super::kinds::GRAIN;
use crate::{
    api::Percent,
    engine::{Assignment, Stickiness, Target},
    router::weights,
};

/// The rules, in the record.
const NAMES: [&str; 3] = ["sticky-control", "sticky-candidate", "sticky-reassign"];
const SET_COOKIE: &str = "set-cookie";
const MARK: &str = "=glidepath.";
const FILTER: &str = "ResponseHeaderModifier";
const FIELD: &str = "responseHeaderModifier";

/// The name of the rule for users who belong there, in the record.
pub(super) fn rule_name(assignment: Assignment) -> &'static str {
    match assignment {
        Assignment::Stays(Target::Stable) => NAMES[0],
        Assignment::Stays(Target::Canary) => NAMES[1],
        Assignment::Again(_) => NAMES[2],
    }
}

/// Whether a rule of this name is one of these.
pub(super) fn is_rule(name: &str) -> bool {
    NAMES.contains(&name)
}

/// The weights of stable and canary for users who are assigned again, by the weights as they are written.
pub(super) fn reassigned(before: Percent, now: Percent) -> [u64; 2] {
    let [before, now] = [before, now].map(|weight| weights::on_grain(weight, GRAIN).unwrap_or_default());
    weights::reassigned(before, now)
}

/// Lets a backend's responses set the cookie. `false`: they set one already, which is not ours, or cannot set any.
pub(super) fn set(backend: &mut Value, sticky: &Stickiness, target: Target, weight: Percent) -> bool {
    let Some(backend) = backend.as_object_mut() else { return false };
    let filters = backend.entry("filters").or_insert(Value::Null);
    if filters.is_null() {
        *filters = json!([]);
    }
    let Some(filters) = filters.as_array_mut() else { return false };
    let header = json!({ "name": SET_COOKIE, "value": sticky.set_cookie(target, weight) });
    let Some(modifier) = filters.iter_mut().find(|filter| filter["type"] == FILTER) else {
        filters.push(json!({ "type": FILTER, FIELD: { "add": [header] } }));
        return true;
    };
    if headers(modifier).any(|header| header["name"].as_str().is_none_or(|name| name.eq_ignore_ascii_case(SET_COOKIE)))
    {
        return false;
    }
    let Some(fields) = modifier.get_mut(FIELD).and_then(Value::as_object_mut) else { return false };
    let added = fields.entry("add").or_insert(Value::Null);
    if added.is_null() {
        *added = json!([]);
    }
    let Some(added) = added.as_array_mut() else { return false };
    added.push(header);
    true
}

/// The headers that a filter adds or sets.
fn headers(modifier: &Value) -> impl Iterator<Item = &Value> {
    ["add", "set"].into_iter().flat_map(|field| modifier[FIELD][field].as_array().into_iter().flatten())
}

fn is_our_cookie(header: &Value) -> bool {
    header["name"].as_str().is_some_and(|name| name.eq_ignore_ascii_case(SET_COOKIE))
        && header["value"].as_str().is_some_and(|value| value.contains(MARK))
}

/// Whether a backend's responses set our cookie.
pub(super) fn is_set(backend: &Value) -> bool {
    let mut filters = backend["filters"].as_array().into_iter().flatten();
    filters.any(|filter| filter[FIELD]["add"].as_array().into_iter().flatten().any(is_our_cookie))
}

/// Takes our cookie out of a backend, and what is empty without it.
pub(super) fn drop_from(backend: &mut Value) {
    if !is_set(backend) {
        return;
    }
    let Some(backend) = backend.as_object_mut() else { return };
    let Some(filters) = backend.get_mut("filters").and_then(Value::as_array_mut) else { return };
    filters.retain_mut(|filter| !is_emptied(filter));
    if filters.is_empty() {
        backend.shift_remove("filters");
    }
}

/// Takes our cookie out of a filter. Whether nothing else is in it.
fn is_emptied(filter: &mut Value) -> bool {
    let Some(fields) = filter.get_mut(FIELD).and_then(Value::as_object_mut) else { return false };
    let Some(added) = fields.get_mut("add").and_then(Value::as_array_mut) else { return false };
    let before = added.len();
    added.retain(|header| !is_our_cookie(header));
    if added.len() == before || !added.is_empty() {
        return false;
    }
    fields.shift_remove("add");
    fields.is_empty()
}
