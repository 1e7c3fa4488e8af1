//! Header and cookie matches: each match of a rule joined with each of ours.

use serde_json::{Value, json};

use super::error::GatewayError;
use crate::{
    api::{
        strategy::{RequestMatch, ValueMatch},
        traffic::RouteKind,
    },
    router::{error::RouteError, expression},
};

/// The API server accepts so many in a rule, and so many headers in each.
pub(super) const MOST_MATCHES: usize = 64;
const MOST_HEADERS: usize = 16;

/// Each match of the base joined with each of ours; a base without any matches everything.
pub(super) fn joined(kind: RouteKind, base: &Value, ours: &[RequestMatch], place: &str) -> Result<Value, RouteError> {
    let mut everything = [json!({})];
    everything.iter_mut().for_each(|one| complete(kind, one));
    let theirs = base["matches"].as_array().filter(|list| !list.is_empty()).map_or(&everything[..], Vec::as_slice);
    let count = theirs.len() * ours.len();
    if count > MOST_MATCHES {
        return Err(too_many(place, format!("a rule with {count} matches"), MOST_MATCHES));
    }
    let mut all = Vec::with_capacity(count);
    for one in theirs {
        for own in ours {
            all.push(with_header(one, own, place)?);
        }
    }
    Ok(Value::Array(all))
}

/// A rule that replaces the prefix of a path may have one match alone: each match becomes a rule of its own.
pub(super) fn split(rule: Value) -> Vec<Value> {
    let matches = rule["matches"].as_array().cloned().unwrap_or_default();
    if matches.len() < 2 || !replaces_prefix(&rule) {
        return vec![rule];
    }
    let alone = |one| {
        let mut single = rule.clone();
        single["matches"] = json!([one]);
        single
    };
    matches.into_iter().map(alone).collect()
}

fn replaces_prefix(rule: &Value) -> bool {
    let mut filters = rule["filters"].as_array().into_iter().flatten();
    filters.any(|filter| {
        let fields = ["urlRewrite", "requestRedirect"];
        fields.iter().any(|field| filter[field]["path"]["type"] == "ReplacePrefixMatch")
    })
}

/// Adds the path that the API server adds to a match of an HTTPRoute without one.
pub(super) fn complete(kind: RouteKind, one: &mut Value) {
    let fields = one.as_object_mut().filter(|_| kind == RouteKind::Http);
    let path = fields.map(|fields| fields.entry("path").or_insert(Value::Null));
    if let Some(path) = path.filter(|path| path.is_null()) {
        *path = json!({ "type": "PathPrefix", "value": "/" });
    }
}

/// Whether any match of a rule requires this header, whatever its value.
pub(super) fn requires(rule: &Value, header: &str) -> bool {
    let all = rule["matches"].as_array().into_iter().flatten();
    let mut headers = all.flat_map(|one| one["headers"].as_array().into_iter().flatten());
    headers.any(|known| known["name"].as_str().is_some_and(|name| name.eq_ignore_ascii_case(header)))
}

/// A match that also requires this header. The same header in both would mean one or the other, never both.
fn with_header(one: &Value, own: &RequestMatch, place: &str) -> Result<Value, RouteError> {
    let (header, entry) = header_match(own);
    let taken = || RouteError::HeaderTaken { place: place.to_owned(), header: header.clone() };
    let mut both = one.clone();
    let headers = both.as_object_mut().ok_or_else(taken)?.entry("headers").or_insert(Value::Null);
    if headers.is_null() {
        *headers = json!([]);
    }
    let headers = headers.as_array_mut().ok_or_else(taken)?;
    if headers.iter().any(|known| known["name"].as_str().is_none_or(|name| name.eq_ignore_ascii_case(&header))) {
        return Err(taken());
    }
    if headers.len() >= MOST_HEADERS {
        return Err(too_many(place, format!("a match with {} headers", headers.len() + 1), MOST_HEADERS));
    }
    headers.push(entry);
    Ok(both)
}

pub(super) fn too_many(place: &str, what: String, most: usize) -> RouteError {
    GatewayError::TooMany { place: place.to_owned(), what, most }.into()
}

/// How a header must read.
enum Expected {
    Exactly(String),
    Like(String),
}

/// The header's name and its match; a cookie is an expression on the cookie header.
fn header_match(own: &RequestMatch) -> (String, Value) {
    let (name, expected) = match (&own.cookie, &own.header) {
        (Some(cookie), _) => ("cookie".to_owned(), Expected::Like(expression::cookie(cookie))),
        (None, Some(header)) => (header.name.to_ascii_lowercase(), expected(header)),
        (None, None) => (String::new(), Expected::Like(String::new())),
    };
    let entry = match expected {
        Expected::Exactly(value) => json!({ "type": "Exact", "name": name, "value": value }),
        Expected::Like(regex) => json!({ "type": "RegularExpression", "name": name, "value": regex }),
    };
    (name, entry)
}

/// The whole value, or else an expression for it. An empty value has no other spelling: the schema requires at least one
/// character.
fn expected(value: &ValueMatch) -> Expected {
    match &value.exact {
        Some(exact) if !exact.is_empty() => Expected::Exactly(exact.clone()),
        _ => Expected::Like(expression::value(value)),
    }
}
