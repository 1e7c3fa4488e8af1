//! Fields of objects of the user's: what server-side apply would say of them, before it is asked.
//!
//! A policy applies leaves alone, under a field manager of its own, and never forces. So a leaf that another manager owns with
//! another value is a conflict here as it would be at the API server, and an apply without leaves releases those of before.

use serde_json::{Value, json};

use super::{
    ownership::{AUTHOR, name},
    plan::Conflict,
};

/// What the name of a policy's field manager begins with.
const MANAGER: &str = "glidepath-mesh-";
/// The most characters of a field manager's name (`FieldManagerMaxLength` of the API server).
const MOST_MANAGER: usize = 128;

/// The field manager of a policy. A name that is too long for one is cut: within a namespace, that is still one policy's in
/// every case but names of more than 113 characters that begin alike.
pub(super) fn manager(policy: &str) -> String {
    MANAGER.chars().chain(policy.chars()).take(MOST_MANAGER).collect()
}

/// A patch of an object: its identity alone. Applied as it is, it releases what the manager owned.
pub(super) fn patch(object: &Value) -> Value {
    let metadata = &object["metadata"];
    json!({
        "apiVersion": object["apiVersion"],
        "kind": object["kind"],
        "metadata": {"name": metadata["name"], "namespace": metadata["namespace"]},
    })
}

/// Whether a field manager owns anything of an object.
pub(super) fn is_managed(object: &Value, manager: &str) -> bool {
    managed(object).any(|entry| entry["manager"] == manager)
}

/// The leaves of `wanted`, a part of an object, that others set otherwise.
pub(super) fn conflicts(object: &Value, wanted: &Value, manager: &str) -> Vec<Conflict> {
    let mut found = Vec::new();
    for (path, value) in leaves(wanted) {
        let there = at(object, &path);
        if !there.is_null() && *there != value {
            found.extend(conflict(object, &path, manager));
        }
    }
    found
}

/// A field, `spec.host`, that is in the way whatever it says, unless the policy itself has set it.
pub(super) fn rival(object: &Value, field: &str, manager: &str) -> Option<Conflict> {
    let path: Vec<String> = field.split('.').map(str::to_owned).collect();
    if at(object, &path).is_null() { None } else { conflict(object, &path, manager) }
}

fn conflict(object: &Value, path: &[String], manager: &str) -> Option<Conflict> {
    let owners: Vec<&Value> = managed(object).filter(|entry| owns(&entry["fieldsV1"], path)).collect();
    let other = owners.iter().filter(|entry| entry["manager"] != manager);
    let latest = other.max_by(|a, b| a["time"].as_str().cmp(&b["time"].as_str()));
    let owner = match latest {
        Some(entry) => entry["manager"].as_str().unwrap_or("another field manager"),
        None if !owners.is_empty() => return None,
        None => AUTHOR,
    };
    Some(Conflict { object: name(object), field: path.join("."), manager: owner.to_owned() })
}

/// Every leaf by its path. A list is one leaf, as the API server sees lists without keys.
fn leaves(value: &Value) -> Vec<(Vec<String>, Value)> {
    let Some(fields) = value.as_object().filter(|fields| !fields.is_empty()) else {
        return vec![(Vec::new(), value.clone())];
    };
    let below = |(name, value): (&String, &Value)| {
        let name = name.clone();
        leaves(value).into_iter().map(move |(path, leaf)| (std::iter::once(name.clone()).chain(path).collect(), leaf))
    };
    fields.iter().flat_map(below).collect()
}

fn at<'a>(object: &'a Value, path: &[String]) -> &'a Value {
    path.iter().fold(object, |value, name| &value[name.as_str()])
}

fn managed(object: &Value) -> impl Iterator<Item = &Value> {
    object["metadata"]["managedFields"].as_array().into_iter().flatten()
}

/// Whether `fieldsV1` has this path, something below it, or an ancestor as a whole.
fn owns(fields: &Value, path: &[String]) -> bool {
    let mut inner = fields;
    for name in path {
        let Some(next) = inner.get(format!("f:{name}")) else { return false };
        if next.as_object().is_some_and(serde_json::Map::is_empty) {
            return true;
        }
        inner = next;
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(managers: Value) -> Value {
        json!({
            "apiVersion": "networking.istio.io/v1", "kind": "DestinationRule",
            "metadata": {"namespace": "shop", "name": "web", "managedFields": managers},
            "spec": {"host": "web", "trafficPolicy": {"connectionPool": {"tcp": {"maxConnections": 10}}}},
        })
    }

    fn by(manager: &str, time: &str) -> Value {
        json!({"manager": manager, "time": time, "fieldsV1": {"f:spec": {"f:trafficPolicy": {"f:connectionPool": {"f:tcp": {"f:maxConnections": {}}}}}}})
    }

    fn wanted(connections: u32) -> Value {
        json!({"spec": {"trafficPolicy": {"connectionPool": {"tcp": {"maxConnections": connections, "connectTimeout": "1s"}}}}})
    }

    #[test]
    fn a_leaf_of_another_manager_with_another_value_is_a_conflict() {
        let ours = manager("limits");
        let said = |managers: Value, connections: u32| -> Vec<String> {
            let found = conflicts(&rule(managers), &wanted(connections), &ours);
            found
                .into_iter()
                .map(|conflict| format!("{} {} {}", conflict.object, conflict.field, conflict.manager))
                .collect()
        };
        let field = "DestinationRule shop/web spec.trafficPolicy.connectionPool.tcp.maxConnections";
        assert_eq!(said(json!([by("kubectl", "2"), by("argocd", "3")]), 20), [format!("{field} argocd")]);
        assert_eq!(said(json!([by("kubectl", "2"), by(&ours, "3")]), 20), [format!("{field} kubectl")]);
        assert_eq!(said(json!(null), 20), [format!("{field} its author")], "a file has no managers");
        assert_eq!(said(json!([by(&ours, "3")]), 20), Vec::<String>::new(), "our own value may change");
        assert_eq!(said(json!([by("kubectl", "2")]), 10), Vec::<String>::new(), "the same value may have two owners");
    }

    #[test]
    fn a_patch_without_leaves_names_the_object_alone() {
        let rule = rule(json!([by(&manager("limits"), "1")]));
        assert!(is_managed(&rule, "glidepath-mesh-limits") && !is_managed(&rule, "glidepath-mesh-other"));
        assert_eq!(
            patch(&rule),
            json!({"apiVersion": "networking.istio.io/v1", "kind": "DestinationRule", "metadata": {"name": "web", "namespace": "shop"}})
        );
    }

    #[test]
    fn a_field_managers_name_has_no_more_than_128_characters() {
        assert_eq!(manager(&"x".repeat(253)).len(), 128);
    }
}
