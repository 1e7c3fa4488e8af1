//! A field that is not in the schema: whose it is, or where it belongs.

use std::collections::VecDeque;

use serde_json::Value;

use super::familiar;
use crate::{api::validate::Finding, yaml::join};

/// What every finding about such a field begins with.
pub(super) const UNKNOWN: &str = "unknown field";
/// A field of this name in more places than that belongs to none of them in particular.
const MOST_PLACES: usize = 2;
/// How deep a place is searched.
const MOST_DEPTH: usize = 8;

/// Says more of unknown fields than the names around them: first what another tool means by them, then where they belong.
pub(super) fn explained(schema: &Value, found: Vec<Finding>) -> Vec<Finding> {
    found
        .into_iter()
        .map(|finding| {
            let words = finding.message.starts_with(UNKNOWN).then(|| words(schema, &finding)).flatten();
            match words {
                Some(words) => Finding { message: format!("{UNKNOWN}; {words}"), ..finding },
                None => finding,
            }
        })
        .collect()
}

fn words(schema: &Value, finding: &Finding) -> Option<String> {
    if let Some(known) = familiar::advice(&finding.path) {
        return Some(known);
    }
    let name = finding.path.rsplit('.').next().filter(|_| !finding.message.contains("did you mean"))?;
    let places = places(schema, name);
    if !places.is_empty() && places.len() <= MOST_PLACES {
        return Some(format!("it belongs to {}", places.join(" or ")));
    }
    // Too many names to list them.
    let object = finding.path.rsplit_once('.').map_or("the object", |(object, _)| object);
    (finding.message == UNKNOWN).then(|| format!("docs/reference.md lists the fields of {object}"))
}

/// The objects that have a field of this name, the outer ones first. What lies in one of them is not searched further.
fn places(schema: &Value, name: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut open = VecDeque::from([(schema, String::new(), 0)]);
    while let Some((schema, path, depth)) = open.pop_front() {
        let (schema, list) = schema.get("items").map_or((schema, ""), |items| (items, "[]"));
        let path = format!("{path}{list}");
        let Some(fields) = schema.get("properties").and_then(Value::as_object) else { continue };
        if fields.contains_key(name) && !path.is_empty() {
            found.push(path);
            continue;
        }
        // What only the controller writes is no place for a user's field.
        let inner =
            fields.iter().filter(|(field, _)| !(path.is_empty() && ["status", "metadata"].contains(&field.as_str())));
        if depth < MOST_DEPTH {
            open.extend(inner.map(|(field, inner)| (inner, join(&path, field), depth + 1)));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::crds;

    #[test]
    fn a_field_in_the_wrong_object_is_shown_its_own() {
        let schema = crds::schema("Rollout").unwrap();
        let said = |path: &str| {
            let found = vec![Finding::error(path, "unknown field; there is a, b")];
            explained(schema, found).remove(0).message
        };
        assert_eq!(said("spec.maxSurge"), "unknown field; it belongs to spec.strategy.canary");
        assert_eq!(said("spec.strategy.canary.scaleDownDelay"), "unknown field; it belongs to spec");
        assert_eq!(said("spec.strategy.canary.analysis"), "unknown field; it belongs to spec");
        assert_eq!(said("spec.strategy.steps"), "unknown field; it belongs to spec.strategy.canary");
        let bare = vec![Finding::error("spec.colour", UNKNOWN)];
        assert_eq!(explained(schema, bare)[0].message, "unknown field; docs/reference.md lists the fields of spec");
        assert_eq!(said("spec.strategy.name"), "unknown field; there is a, b", "too many objects have a name");
        assert_eq!(
            said("spec.strategy.canary.trafficRouting").split(',').next(),
            Some("unknown field; Argo Rollouts' trafficRouting is spec.traffic")
        );
    }
}
