//! Fields of objects of the user's: a policy sets single leaves of them by a JSON merge patch, and puts back what they were.
//!
//! Which leaves are whose is on record in the object itself ([`former`]), and so are those of other policies. A leaf that is there
//! with another value, and is not on record as this policy's, is a conflict; so is one that was edited since it was written. What
//! is no longer wanted gets its former value back, unless it was edited: then it is the user's.

use serde_json::{Map, Value, json};

use super::{
    former::{self, Former, Record, Records},
    ownership::{AUTHOR, name, owner},
    plan::{Conflict, MeshPlan, MeshWrite},
    pointer,
};

/// Adds the patch that gives an object the leaves of `wanted`, a part of it, and no other leaves of this policy. What the object
/// is after it.
pub(super) fn plan(object: &Value, policy: &str, wanted: &Value, plan: &mut MeshPlan) -> Value {
    let mut next = object.clone();
    let records = match former::all(object) {
        Ok(records) => records,
        Err(conflict) => {
            plan.conflicts.push(conflict);
            return next;
        }
    };
    let before = records.get(policy).cloned().unwrap_or_default();
    let mut record = Record::new();
    let leaves = pointer::leaves(wanted);
    for (at, known) in before.iter().filter(|(at, _)| !leaves.iter().any(|(wanted, _)| wanted == *at)) {
        give_back(&mut next, at, known);
    }
    let base = without_policies(object, &records);
    for (at, value) in leaves {
        let there = object.pointer(&at).filter(|there| !there.is_null());
        let conflict = other_policy(object, &records, policy, &at).or_else(|| in_the_way(object, &at));
        match (conflict, former_of(there, before.get(&at), value)) {
            (None, Ok(former)) => {
                let made = pointer::missing(&base, &at);
                pointer::set(&mut next, &at, value.clone());
                record.insert(at, Former { former, written: value.clone(), made });
            }
            (conflict, _) => plan.conflicts.push(conflict.unwrap_or_else(|| self::conflict(object, &at))),
        }
    }
    former::write(&mut next, records, policy, record);
    plan.conflicts.extend(former::overfull(&next));
    plan.writes.push(MeshWrite::Fields(patch(object, &next, wanted)));
    next
}

/// The patch that puts back what a policy's leaves were; none where it has none, or where the record cannot be read.
pub(super) fn release(object: &Value, policy: &str) -> Option<MeshWrite> {
    let records = former::all(object).ok()?;
    let record = records.get(policy)?.clone();
    let mut next = object.clone();
    record.iter().for_each(|(at, known)| give_back(&mut next, at, known));
    former::write(&mut next, records, policy, Record::new());
    Some(MeshWrite::Fields(patch(object, &next, &Value::Null)))
}

/// Keeps the fields that policies have set in an object when the policy that made it writes it whole.
pub(super) fn keep(next: &mut Value, there: &Value) {
    let Ok(records) = former::all(there) else { return };
    for (at, known) in records.values().flatten() {
        if there.pointer(at) == Some(&known.written) {
            pointer::set(next, at, known.written.clone());
        }
    }
    former::copy(next, there);
}

/// The fields of a policy's own object that other policies have set in the one that is there.
pub(super) fn claimed(own: &Value, policy: &str, there: &Value) -> Vec<Conflict> {
    match former::all(there) {
        Ok(records) => {
            pointer::leaves(own).iter().filter_map(|(at, _)| other_policy(there, &records, policy, at)).collect()
        }
        Err(conflict) => vec![conflict],
    }
}

/// What a leaf was before the policy; an error where it says something else than the policy wants, and is not the policy's
/// alone. One that was taken out since is set again, as all that a policy wants.
fn former_of(there: Option<&Value>, known: Option<&Former>, wanted: &Value) -> Result<Option<Value>, ()> {
    match (there, known) {
        (None, _) => Ok(None),
        (Some(there), Some(Former { former: None, written, .. })) if there == written => Ok(None),
        (Some(there), _) if there == wanted => Ok(Some(there.clone())),
        (Some(_), _) => Err(()),
    }
}

fn give_back(object: &mut Value, at: &str, known: &Former) {
    if object.pointer(at) != Some(&known.written) {
        return;
    }
    match &known.former {
        Some(former) => pointer::set(object, at, former.clone()),
        None => pointer::remove(object, at, known.made),
    }
}

/// The object as its author has it.
fn without_policies(object: &Value, records: &Records) -> Value {
    let mut base = object.clone();
    records.values().flatten().for_each(|(at, known)| give_back(&mut base, at, known));
    former::clear(&mut base);
    base
}

/// Another policy that has this leaf, one around it or one below it.
fn other_policy(object: &Value, records: &Records, policy: &str, at: &str) -> Option<Conflict> {
    let has =
        |record: &Record| record.keys().any(|other| pointer::is_within(other, at) || pointer::is_within(at, other));
    let (other, _) = records.iter().find(|(other, record)| *other != policy && has(record))?;
    Some(Conflict { object: name(object), field: pointer::dotted(at), manager: format!("MeshPolicy {other}") })
}

/// A value where the maps around a leaf would be.
fn in_the_way(object: &Value, at: &str) -> Option<Conflict> {
    let mut around = pointer::around(at);
    let at =
        around.find(|around| object.pointer(around).is_some_and(|there| !there.is_object() && !there.is_null()))?;
    Some(conflict(object, at))
}

/// A field that is in the way whatever it says, in an object after the policy's patch: the mesh uses one of both.
pub(super) fn rival(next: &Value, at: &str) -> Option<Conflict> {
    next.pointer(at).filter(|there| !there.is_null()).map(|_| conflict(next, at))
}

/// Whose a leaf is: another policy's object's, or of the field manager that wrote it last, as far as it is known.
fn conflict(object: &Value, at: &str) -> Conflict {
    let owners = managed(object).filter(|entry| owns(&entry["fieldsV1"], at));
    let latest = owners.max_by(|a, b| a["time"].as_str().cmp(&b["time"].as_str()));
    let manager = latest.and_then(|entry| entry["manager"].as_str()).unwrap_or(AUTHOR);
    let manager = owner(object).unwrap_or_else(|| manager.to_owned());
    Conflict { object: name(object), field: pointer::dotted(at), manager }
}

fn managed(object: &Value) -> impl Iterator<Item = &Value> {
    object["metadata"]["managedFields"].as_array().into_iter().flatten()
}

/// Whether `fieldsV1` has this field, something below it, or an ancestor as a whole.
fn owns(fields: &Value, at: &str) -> bool {
    let mut inner = fields;
    for name in pointer::names(at) {
        let Some(next) = inner.get(format!("f:{name}")) else { return false };
        if next.as_object().is_some_and(Map::is_empty) {
            return true;
        }
        inner = next;
    }
    true
}

/// The merge patch from an object to what it is next, with every wanted leaf, also those that are there: whoever reads it sees
/// what the policy sets. The resourceVersion makes a concurrent edit fail.
fn patch(object: &Value, next: &Value, wanted: &Value) -> Value {
    let metadata = &object["metadata"];
    let mut patch = json!({
        "apiVersion": object["apiVersion"],
        "kind": object["kind"],
        "metadata": {"name": metadata["name"], "namespace": metadata["namespace"]},
    });
    if let Some(version) = metadata.get("resourceVersion") {
        patch["metadata"]["resourceVersion"] = version.clone();
    }
    let mut next = next.clone();
    if metadata["annotations"].is_object() && next["metadata"].get("annotations").is_none() {
        // One after the other: `null` for all of them would take out what a file does not have, too.
        next["metadata"]["annotations"] = json!({});
    }
    overlay(&mut patch, wanted);
    overlay(&mut patch, &difference(object, &next));
    patch
}

/// Puts fields into a patch; a `null` stays one.
fn overlay(patch: &mut Value, fields: &Value) {
    match (patch.as_object_mut(), fields) {
        (_, Value::Null) => {}
        (Some(patch), Value::Object(fields)) => {
            for (name, value) in fields {
                match (patch.get_mut(name), value) {
                    (Some(inner), Value::Object(_)) => overlay(inner, value),
                    _ => drop(patch.insert(name.clone(), value.clone())),
                }
            }
        }
        _ => *patch = fields.clone(),
    }
}

/// The merge patch that makes one object of another; null: nothing.
fn difference(before: &Value, after: &Value) -> Value {
    let (Value::Object(old), Value::Object(new)) = (before, after) else { return after.clone() };
    let mut found = Map::new();
    for name in old.keys().filter(|name| !new.contains_key(*name)) {
        found.insert(name.clone(), Value::Null);
    }
    for (name, value) in new {
        match old.get(name) {
            Some(there) if there == value => {}
            Some(there) => drop(found.insert(name.clone(), difference(there, value))),
            None => drop(found.insert(name.clone(), value.clone())),
        }
    }
    Value::Object(found)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::router::Objects;

    fn rule(policy: Value) -> Value {
        json!({
            "apiVersion": "networking.istio.io/v1", "kind": "DestinationRule",
            "metadata": {"namespace": "shop", "name": "web", "resourceVersion": "7"},
            "spec": {"host": "web", "trafficPolicy": policy},
        })
    }

    fn by(object: Value, managers: &[(&str, &str)]) -> Value {
        let mut object = object;
        let field = json!({"f:spec": {"f:trafficPolicy": {"f:connectionPool": {"f:tcp": {"f:maxConnections": {}}}}}});
        let entry = |(manager, time): &(&str, &str)| json!({"manager": manager, "time": time, "fieldsV1": field});
        object["metadata"]["managedFields"] = managers.iter().map(entry).collect();
        object
    }

    fn connections(most: u32) -> Value {
        json!({"connectionPool": {"tcp": {"maxConnections": most}}})
    }

    /// The object once a policy has written its fields; or what is in the way.
    fn with(object: &Value, policy: &str, wanted: Value) -> Result<Value, Vec<String>> {
        let mut planned = MeshPlan::default();
        let next = plan(object, policy, &json!({"spec": {"trafficPolicy": wanted}}), &mut planned);
        if !planned.is_clear() {
            return Err(planned
                .conflicts
                .iter()
                .map(|conflict| format!("{} {}", conflict.field, conflict.manager))
                .collect());
        }
        assert_eq!(after(object, planned.writes.remove(0)), next, "the patch makes it");
        Ok(next)
    }

    fn released(object: &Value, policy: &str) -> Value {
        release(object, policy).map_or_else(|| object.clone(), |write| after(object, write))
    }

    fn after(object: &Value, write: MeshWrite) -> Value {
        let plan = MeshPlan { writes: vec![write], ..MeshPlan::default() };
        let current: Objects = [object.clone()].into_iter().collect();
        plan.after(&current).replaced_by(object).unwrap().clone()
    }

    const MOST: &str = "spec.trafficPolicy.connectionPool.tcp.maxConnections";

    #[test]
    fn a_leaf_that_says_something_else_is_a_conflict_with_its_manager() {
        let theirs = rule(connections(10));
        let argocd = by(theirs.clone(), &[("kubectl", "2"), ("argocd", "3")]);
        assert_eq!(with(&argocd, "limits", connections(20)), Err(vec![format!("{MOST} argocd")]));
        assert_eq!(with(&theirs, "limits", connections(20)), Err(vec![format!("{MOST} its author")]));
        let inner = rule(json!({"connectionPool": "x"}));
        assert_eq!(
            with(&inner, "limits", connections(20)),
            Err(vec!["spec.trafficPolicy.connectionPool its author".into()])
        );
        let mut own = theirs;
        own["metadata"]["labels"] = json!({"glidepath.dev/policy": "all"});
        assert_eq!(with(&own, "limits", connections(20)), Err(vec![format!("{MOST} MeshPolicy all")]));
    }

    #[test]
    fn a_leaf_of_ours_may_change_and_an_edited_one_is_the_users() {
        let before = rule(json!({"connectionPool": {}}));
        let ours = with(&before, "limits", connections(10)).unwrap();
        let changed = with(&ours, "limits", connections(20)).unwrap();
        assert_eq!(released(&changed, "limits"), before);
        let mut edited = changed.clone();
        edited["spec"]["trafficPolicy"] = connections(30);
        assert_eq!(with(&edited, "limits", connections(20)), Err(vec![format!("{MOST} its author")]));
        assert_eq!(released(&edited, "limits"), rule(connections(30)), "an edit stays");
        let adopted = with(&edited, "limits", connections(30)).unwrap();
        assert_eq!(released(&adopted, "limits"), rule(connections(30)), "the value of both is the user's");
        let mut taken_out = changed;
        taken_out["spec"]["trafficPolicy"] = json!({"connectionPool": {}});
        let again = with(&taken_out, "limits", connections(20)).unwrap();
        assert_eq!(released(&again, "limits"), before, "one that was taken out is set again");
    }

    #[test]
    fn a_value_that_both_want_stays_the_users() {
        let before = rule(connections(10));
        let shared = with(&before, "limits", connections(10)).unwrap();
        assert_eq!(with(&shared, "limits", connections(20)), Err(vec![format!("{MOST} its author")]));
        assert_eq!(with(&shared, "limits", json!({})).unwrap(), before);
        assert_eq!(released(&shared, "limits"), before);
    }

    #[test]
    fn two_policies_in_one_object_release_their_own_in_any_order() {
        let before = rule(json!({"tls": {"mode": "SIMPLE"}}));
        let timeout = json!({"connectionPool": {"tcp": {"connectTimeout": "1s"}}});
        let both = with(&with(&before, "limits", connections(10)).unwrap(), "times", timeout).unwrap();
        let other = Err(vec![format!("{MOST} MeshPolicy limits")]);
        assert_eq!(with(&both, "times", connections(10)), other, "also where it says the same");
        for (first, second) in [("limits", "times"), ("times", "limits")] {
            assert_eq!(released(&released(&both, first), second), before);
        }
        assert_eq!(release(&before, "limits"), None);
    }

    #[test]
    fn without_a_record_that_can_be_read_nothing_is_known_to_be_ours() {
        let mut object = with(&rule(json!({})), "limits", connections(10)).unwrap();
        object["metadata"]["annotations"][former::ANNOTATION] = json!("{");
        let found = with(&object, "limits", connections(10)).unwrap_err();
        assert_eq!(found, ["the annotation glidepath.dev/mesh-former to what no policy writes its author"]);
        assert_eq!(release(&object, "limits"), None);
        object["metadata"]["annotations"] = json!({"notes": "x".repeat(256 << 10)});
        assert!(with(&object, "limits", connections(10)).unwrap_err()[0].starts_with("annotations of 262"));
    }
}
