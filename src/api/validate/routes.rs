//! Header routes and mirrors: a mesh that can, names that mean one thing, matches that say one thing.

use super::finding::Finding;
use crate::api::{
    rollout::RolloutSpec,
    strategy::{HeaderRoute, OWN_ROUTES, RequestMatch, Step, ValueMatch},
};

pub(super) fn check(spec: &RolloutSpec, steps: &[Step], found: &mut Vec<Finding>) {
    let mut known: Vec<&HeaderRoute> = Vec::new();
    for (index, step) in steps.iter().enumerate() {
        let path = |field: &str| format!("spec.strategy.canary.steps[{index}].{field}");
        if let Some(route) = &step.set_header_route {
            header_route(route, &mut known, &path("setHeaderRoute"), found);
            needs_mesh(spec, &path("setHeaderRoute"), found);
        }
        if let Some(mirror) = &step.set_mirror_route {
            matches(&mirror.matches, &path("setMirrorRoute"), found);
            needs_mesh(spec, &path("setMirrorRoute"), found);
        }
    }
}

pub(super) fn needs_mesh(spec: &RolloutSpec, path: &str, found: &mut Vec<Finding>) {
    if !spec.has_mesh() {
        found.push(Finding::error(
            path,
            "needs a router under spec.traffic: the ratio of pods cannot distinguish requests",
        ));
    }
}

fn header_route<'a>(route: &'a HeaderRoute, known: &mut Vec<&'a HeaderRoute>, path: &str, found: &mut Vec<Finding>) {
    let before = known.iter().find(|known| known.name == route.name);
    let allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    if !route.name.chars().all(allowed) {
        let message = format!("`{}` must consist of lower-case letters, digits and dashes", route.name);
        found.push(Finding::error(format!("{path}.name"), message));
    }
    if OWN_ROUTES.contains(&route.name.as_str()) {
        let message = format!("`{}` is reserved for a route of Glidepath; use another name", route.name);
        found.push(Finding::error(format!("{path}.name"), message));
    }
    match before {
        None if route.matches.is_empty() => {
            let message = format!("nothing called `{}` was set before; set a match", route.name);
            found.push(Finding::error(path, message));
        }
        Some(before) if !route.matches.is_empty() && before.matches != route.matches => {
            let message = format!("`{}` was set with another match before; use another name", route.name);
            found.push(Finding::error(format!("{path}.name"), message));
        }
        _ => {}
    }
    matches(&route.matches, path, found);
    if !route.matches.is_empty() {
        known.push(route);
    }
}

/// The `match` list of the object at `path`.
pub(super) fn matches(matches: &[RequestMatch], path: &str, found: &mut Vec<Finding>) {
    matches_at(matches, &format!("{path}.match"), found);
}

/// The list at `path`.
pub(super) fn matches_at(matches: &[RequestMatch], path: &str, found: &mut Vec<Finding>) {
    for (index, one) in matches.iter().enumerate() {
        let path = format!("{path}[{index}]");
        match (&one.header, &one.cookie) {
            (Some(value), None) => value_match(value, &format!("{path}.header"), found),
            (None, Some(value)) => value_match(value, &format!("{path}.cookie"), found),
            _ => found.push(Finding::error(path, "a match must have exactly one of header and cookie")),
        }
    }
}

fn value_match(value: &ValueMatch, path: &str, found: &mut Vec<Finding>) {
    let given = [&value.exact, &value.prefix, &value.regex].into_iter().flatten().count();
    if given != 1 {
        found.push(Finding::error(path, "a match must have exactly one of exact, prefix and regex"));
    }
    if let Some(regex) = &value.regex
        && let Err(error) = regex::Regex::new(regex)
    {
        let first = error.to_string().lines().last().unwrap_or_default().trim().to_owned();
        found.push(Finding::error(format!("{path}.regex"), format!("is not a valid regular expression: {first}")));
    }
}
