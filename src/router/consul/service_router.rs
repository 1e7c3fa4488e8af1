//! The service-router: routes by header or cookie to the canary's subset.
//!
//! A route of ours is inserted directly before each route of the user that leads to the service without a subset, and so to
//! the splitter: with that route's match joined with ours and everything else copied. Last come ours alone, for requests that
//! no route of the user matches, unless one of those matches all.
//!
//! Consul's routes have no names. One of ours is known by a header match that always holds: the request does *not* have the
//! header `glidepath-route-<name>`.

use serde_json::{Map, Value, json};

use super::{error::ConsulError, service::ConsulService, spelling::Spelling};
use crate::{
    api::strategy::{HeaderRoute, RequestMatch},
    router::expression,
};

/// The kind as a custom resource.
pub(super) const SERVICE_ROUTER: &str = "ServiceRouter";
/// The header that no request has, before the name of the route.
const MARK: &str = "glidepath-route-";

/// The names of the header routes of ours, sorted, each once.
pub fn header_routes(service: &ConsulService, router: &Value) -> Vec<String> {
    let routes = routes(service, router).iter();
    let mut names: Vec<String> = routes.filter_map(|route| own_name(service, route)).map(str::to_owned).collect();
    names.sort();
    names.dedup();
    names
}

/// The router with these header routes and no others of ours.
pub fn with_header_routes(
    service: &ConsulService,
    router: &Value,
    headers: &[HeaderRoute],
) -> Result<Value, ConsulError> {
    let users: Vec<&Value> =
        routes(service, router).iter().filter(|route| own_name(service, route).is_none()).collect();
    let before = |route: &Value| -> Option<Vec<Value>> {
        let matches = headers.iter().flat_map(|header| header.matches.iter().map(|one| (header.name.as_str(), one)));
        matches.map(|(name, one)| joined(service, route, name, one)).collect()
    };
    let malformed = || ConsulError::Malformed { place: service.place(SERVICE_ROUTER) };
    let mut all = Vec::new();
    for route in &users {
        if leads_to_splitter(service, route) {
            all.extend(before(route).ok_or_else(malformed)?);
        }
        all.push((*route).clone());
    }
    if !users.iter().any(|route| matches_all(service, route)) {
        all.extend(before(&json!({})).ok_or_else(malformed)?);
    }
    if routes(service, router) == all.as_slice() {
        return Ok(router.clone());
    }
    let mut next = router.clone();
    let list = service.spelling.field(service.spelling.body(router), "routes");
    let body = service.spelling.body_mut(&mut next).filter(|_| list.is_null() || list.is_array());
    service.spelling.set(body.ok_or_else(malformed)?, "routes", all);
    Ok(next)
}

/// Whether there is any route, ours or the user's.
pub fn is_empty(service: &ConsulService, router: &Value) -> bool {
    routes(service, router).is_empty()
}

fn routes<'o>(service: &ConsulService, router: &'o Value) -> &'o [Value] {
    service.spelling.list(service.spelling.body(router), "routes")
}

/// The name of a route of ours: it has the mark, and leads to the canary's subset.
fn own_name<'v>(service: &ConsulService, route: &'v Value) -> Option<&'v str> {
    let spelling = &service.spelling;
    let destination = spelling.field(route, "destination");
    if !service.receives(destination) || service.subset_of(destination) != Some(service.canary_subset.as_str()) {
        return None;
    }
    let http = spelling.field(spelling.field(route, "match"), "http");
    spelling.list(http, "header").iter().rev().find_map(|header| {
        let name = spelling.field(header, "name").as_str()?.strip_prefix(MARK)?;
        let is_absent = spelling.field(header, "present") == true && spelling.field(header, "invert") == true;
        is_absent.then_some(name)
    })
}

/// A destination that is absent is the service itself.
fn leads_to_splitter(service: &ConsulService, route: &Value) -> bool {
    let destination = service.spelling.field(route, "destination");
    (destination.is_null() || destination.is_object())
        && service.receives(destination)
        && service.subset_of(destination).is_none()
}

/// Whether no request passes a route by.
fn matches_all(service: &ConsulService, route: &Value) -> bool {
    let spelling = &service.spelling;
    let http = spelling.field(spelling.field(route, "match"), "http");
    let prefix = spelling.key("pathPrefix");
    let says = |value: &Value| match value {
        Value::Null => false,
        Value::String(text) => !text.is_empty(),
        Value::Array(list) => !list.is_empty(),
        Value::Bool(_) => false,
        _ => true,
    };
    let narrows = |(key, value): (&String, &Value)| says(value) && !(*key == prefix && value == "/");
    http.is_null() || http.as_object().is_some_and(|fields| !fields.iter().any(narrows))
}

/// The requests of a route that also match this, to the canary's subset; none where the route has a form that Consul has not.
fn joined(service: &ConsulService, base: &Value, name: &str, own: &RequestMatch) -> Option<Value> {
    let spelling = &service.spelling;
    let mut route = base.clone();
    let fields = route.as_object_mut()?;
    let http = spelling.fields(fields, "match").and_then(|matches| spelling.fields(matches, "http"))?;
    let headers = http.entry(spelling.key("header")).or_insert(Value::Null);
    if headers.is_null() {
        *headers = json!([]);
    }
    headers.as_array_mut()?.extend([header_match(spelling, own), mark(spelling, name)]);
    let destination = spelling.fields(fields, "destination")?;
    spelling.set(destination, "service", service.name.as_str());
    spelling.set(destination, "serviceSubset", service.canary_subset.as_str());
    Some(route)
}

fn mark(spelling: &Spelling, name: &str) -> Value {
    let mut mark = Map::new();
    spelling.set(&mut mark, "name", format!("{MARK}{name}"));
    spelling.set(&mut mark, "present", true);
    spelling.set(&mut mark, "invert", true);
    Value::Object(mark)
}

/// A header by its lower-case name; a cookie as an expression on the whole cookie header.
fn header_match(spelling: &Spelling, own: &RequestMatch) -> Value {
    let mut header = Map::new();
    if let Some(cookie) = &own.cookie {
        spelling.set(&mut header, "name", "cookie");
        spelling.set(&mut header, "regex", expression::cookie(cookie));
        return Value::Object(header);
    }
    let value = own.header.clone().unwrap_or_default();
    spelling.set(&mut header, "name", value.name.to_ascii_lowercase());
    match (value.exact, value.prefix, value.regex) {
        (Some(exact), _, _) => spelling.set(&mut header, "exact", exact),
        (_, Some(prefix), _) => spelling.set(&mut header, "prefix", prefix),
        (_, _, Some(regex)) => spelling.set(&mut header, "regex", regex),
        (None, None, None) => spelling.set(&mut header, "present", true),
    }
    Value::Object(header)
}
