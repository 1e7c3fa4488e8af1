//! Sticky users: a cookie that the responses of both versions set, and entries that route by its value (rules S22 and S70).
//!
//! The cookie's value is `glidepath.<test>.<version>`. It identifies the test or release, so that another one assigns users
//! again, and it marks the header as Glidepath's: a user's own Set-Cookie is rejected, never overwritten.

use serde_json::{Map, Value, json};

use crate::{
    api::Percent,
    engine::{Assignment, Stickiness, Target},
};

/// The entries, after the common prefix.
const NAMES: [&str; 3] = ["sticky-control", "sticky-candidate", "sticky-reassign"];
const SET_COOKIE: &str = "set-cookie";
const MARK: &str = "=glidepath.";

/// The name of the entry for users who belong there, after the common prefix.
pub(super) fn entry_name(assignment: Assignment) -> &'static str {
    match assignment {
        Assignment::Stays(Target::Stable) => NAMES[0],
        Assignment::Stays(Target::Canary) => NAMES[1],
        Assignment::Again(_) => NAMES[2],
    }
}

/// Whether an entry of this name, after the common prefix, is one of these.
pub(super) fn is_entry(name: &str) -> bool {
    NAMES.contains(&name)
}

/// Where all destinations of an entry of this name lead, if to one version.
pub(super) fn only_target(name: &str) -> Option<Target> {
    match name {
        _ if name == NAMES[0] => Some(Target::Stable),
        _ if name == NAMES[2] => None,
        _ => Some(Target::Canary),
    }
}

/// Lets a destination's answers set the cookie. `false`: they set one already, which is not ours, or cannot set any.
pub(super) fn set(destination: &mut Value, sticky: &Stickiness, target: Target, weight: Percent) -> bool {
    if header_names(destination).any(|name| name.eq_ignore_ascii_case(SET_COOKIE)) {
        return false;
    }
    let mut place = destination;
    for part in ["headers", "response", "add"] {
        let Some(fields) = place.as_object_mut() else { return false };
        place = fields.entry(part).or_insert(Value::Null);
        if place.is_null() {
            *place = json!({});
        }
    }
    let Some(added) = place.as_object_mut() else { return false };
    added.insert(SET_COOKIE.to_owned(), sticky.set_cookie(target, weight).into());
    true
}

fn header_names(destination: &Value) -> impl Iterator<Item = &String> {
    let response = &destination["headers"]["response"];
    [&response["add"], &response["set"]].into_iter().filter_map(Value::as_object).flat_map(Map::keys)
}

/// Whether a destination's answers set our cookie.
pub(super) fn is_set(destination: &Value) -> bool {
    let cookie = destination.pointer("/headers/response/add/set-cookie");
    cookie.and_then(Value::as_str).is_some_and(|cookie| cookie.contains(MARK))
}

/// Takes our cookie out of a destination, and what is empty without it.
pub(super) fn drop_from(destination: &mut Value) {
    if !is_set(destination) {
        return;
    }
    for (parent, key) in
        [("/headers/response/add", SET_COOKIE), ("/headers/response", "add"), ("/headers", "response"), ("", "headers")]
    {
        let Some(parent) = destination.pointer_mut(parent).and_then(Value::as_object_mut) else { return };
        let emptied = key == SET_COOKIE || parent.get(key).and_then(Value::as_object).is_some_and(Map::is_empty);
        if emptied {
            parent.shift_remove(key);
        }
    }
}
