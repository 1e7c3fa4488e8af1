//! What a container asks for and may use.

use serde_json::Value;

use super::quantity::parse;
use crate::{
    api::{names::qualified_name, validate::Finding},
    yaml::join,
};

/// The resources that have no domain in their name, besides huge pages.
const STANDARD: [&str; 3] = ["cpu", "memory", "ephemeral-storage"];
/// Rounding of numbers that are equal in decimal, as 0.3 and 300m.
const EXACT: f64 = 1e-9;

pub(super) fn check(resources: &Value, path: &str, found: &mut Vec<Finding>) {
    for (list, name, value) in ["limits", "requests"].into_iter().flat_map(|list| entries(resources, list)) {
        let path = format!("{path}.{list}.{name}");
        found.extend(not_a_name(name).map(|message| Finding::error(&path, message)));
        let Ok(amount) = parse(value) else { continue };
        if amount < 0.0 {
            found.push(Finding::error(&path, format!("{} is below 0", shown(value))));
        }
        if is_extended(name) && amount.fract() != 0.0 {
            found.push(Finding::error(&path, format!("{} must be a whole number", shown(value))));
        }
        if name == "memory" && amount > 0.0 && amount < 1.0 {
            let message = format!("{} is less than one byte: m is a thousandth; write Mi for megabytes", shown(value));
            found.push(Finding::warning(&path, message));
        }
    }
    for (_, name, request) in entries(resources, "requests") {
        found.extend(beyond(resources, name, request).map(|message| {
            let path = join(&join(path, "requests"), name);
            Finding::error(path, message)
        }));
    }
}

/// Why a request does not go with the limit of its resource.
fn beyond(resources: &Value, name: &str, request: &Value) -> Option<String> {
    let equal = is_extended(name) || name.starts_with("hugepages-");
    let limit = &resources["limits"][name];
    if limit.is_null() {
        return equal.then(|| format!("needs a limit too, of the same size: {name} cannot be overcommitted"));
    }
    let (wanted, most) = (parse(request).ok()?, parse(limit).ok()?);
    let difference = wanted - most;
    let same = difference.abs() <= EXACT * most.abs();
    match (equal, same, difference > 0.0) {
        (true, false, _) => Some(format!("{} must be equal to the limit, {}", shown(request), shown(limit))),
        (false, false, true) => Some(format!("{} is above the limit, {}", shown(request), shown(limit))),
        _ => None,
    }
}

fn entries<'a>(resources: &'a Value, list: &'static str) -> impl Iterator<Item = (&'static str, &'a str, &'a Value)> {
    let entries = resources[list].as_object().into_iter().flatten();
    entries.filter(|(_, value)| !value.is_null()).map(move |(name, value)| (list, name.as_str(), value))
}

fn not_a_name(name: &str) -> Option<String> {
    if let Err(why) = qualified_name(name) {
        return Some(format!("\"{name}\" is not a valid resource name: {why}"));
    }
    let known = name.contains('/') || STANDARD.contains(&name) || name.starts_with("hugepages-");
    (!known).then(|| {
        let near = crate::cli::offline::lint::schema::hint(name, &STANDARD);
        format!("\"{name}\" is not a container resource; others have a domain, like example.com/gpu{near}")
    })
}

/// A device that a plug-in of the node counts.
fn is_extended(name: &str) -> bool {
    name.split_once('/').is_some_and(|(domain, _)| domain != "kubernetes.io" && !domain.ends_with(".kubernetes.io"))
}

fn shown(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}
