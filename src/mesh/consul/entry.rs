//! A config entry that a policy shares with its author, a Rollout and other policies: only single fields are the policy's.
//!
//! Which ones is in an annotation of the entry. A field that is there and not ours is left, if it says the same, or it is a
//! conflict. So every field of ours was absent before, and what the policy no longer wants is taken out again. An entry that no
//! one has is made, and deleted when nothing is left in it.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::{kinds::V1ALPHA1, path};
use crate::{
    mesh::{
        intent::Intent,
        ownership::{self, AUTHOR, is_own},
        plan::{Conflict, MeshPlan, MeshWrite},
    },
    router::{ObjectRef, Objects, WatchedKind},
};

/// Before the name of the policy whose fields an annotation lists.
const FIELDS: &str = "mesh.glidepath.dev/";

/// What is wanted of an entry: the values of fields of its spec.
pub(super) type Fields = Vec<(String, Value)>;

/// Adds what makes an entry have these fields of ours and no others.
pub(super) fn plan(
    intent: &Intent<'_>,
    current: &Objects,
    (kind, name): (&WatchedKind, &str),
    wanted: &Fields,
    plan: &mut MeshPlan,
) {
    let reference = kind.reference(intent.namespace, name);
    let Some(present) = current.find(&reference) else {
        if !wanted.is_empty() {
            plan.writes.push(MeshWrite::Own(made(intent, &kind.kind, name, wanted)));
        }
        return;
    };
    let (mut next, mut ours) = keeping(present, intent.policy, wanted);
    for (field, value) in wanted {
        if let Some(manager) = other(intent, present, field, value, &ours) {
            plan.conflicts.push(Conflict { object: ownership::name(present), field: format!("spec.{field}"), manager });
        } else if path::get(&next["spec"], field) != Some(value) {
            if !path::set(&mut next, &format!("spec.{field}"), value.clone()) {
                let manager = AUTHOR.to_owned();
                plan.conflicts.push(Conflict {
                    object: ownership::name(present),
                    field: format!("spec.{field}"),
                    manager,
                });
            }
            ours.insert(field.clone());
        }
    }
    mark(&mut next, intent.policy, &ours);
    plan.writes.extend(write(present, next, intent.policy, reference));
}

/// What takes the fields of a policy out of an entry.
pub(super) fn restore(present: &Value, policy: &str, reference: ObjectRef) -> Option<MeshWrite> {
    let (mut next, ours) = keeping(present, policy, &Fields::new());
    mark(&mut next, policy, &ours);
    write(present, next, policy, reference)
}

/// An entry without the fields of a policy that are not wanted, and those that are left.
fn keeping(present: &Value, policy: &str, wanted: &Fields) -> (Value, BTreeSet<String>) {
    let (mut next, mut ours) = (present.clone(), owned(present, policy));
    ours.retain(|field| {
        let is_wanted = wanted.iter().any(|(path, _)| path == field);
        if !is_wanted {
            path::remove(&mut next, &format!("spec.{field}"));
        }
        is_wanted
    });
    (next, ours)
}

/// An entry that the policy has made goes when it is empty.
fn write(present: &Value, next: Value, policy: &str, reference: ObjectRef) -> Option<MeshWrite> {
    let is_bare = next["spec"].as_object().is_none_or(serde_json::Map::is_empty);
    if is_own(present, policy) && is_bare {
        return Some(MeshWrite::Delete(reference));
    }
    (next != *present).then_some(MeshWrite::Replace(next))
}

/// Whose a field is, if it is not ours and in the way.
fn other(intent: &Intent<'_>, present: &Value, field: &str, value: &Value, ours: &BTreeSet<String>) -> Option<String> {
    let annotations = present["metadata"]["annotations"].as_object().into_iter().flatten();
    let policies = annotations.filter_map(|(key, _)| key.strip_prefix(FIELDS)).filter(|name| *name != intent.policy);
    let policy = policies.into_iter().find(|policy| owned(present, policy).contains(field));
    let there = path::get(&present["spec"], field);
    let is_others = there.is_some_and(|there| there != value) && !ours.contains(field);
    policy.map(|policy| format!("MeshPolicy {policy}")).or_else(|| is_others.then(|| AUTHOR.to_owned()))
}

/// The fields of a policy.
pub(super) fn owned(entry: &Value, policy: &str) -> BTreeSet<String> {
    let listed = entry["metadata"]["annotations"][format!("{FIELDS}{policy}")].as_str().unwrap_or_default();
    listed.split(',').filter(|field| !field.is_empty()).map(str::to_owned).collect()
}

pub(super) fn mark(entry: &mut Value, policy: &str, fields: &BTreeSet<String>) {
    let key = format!("{FIELDS}{policy}");
    let listed: Vec<&str> = fields.iter().map(String::as_str).collect();
    let Some(metadata) = entry["metadata"].as_object_mut() else { return };
    if !fields.is_empty() {
        let annotations = metadata.entry("annotations").or_insert_with(|| json!({}));
        annotations.as_object_mut().into_iter().for_each(|all| drop(all.insert(key.clone(), json!(listed.join(",")))));
        return;
    }
    let Some(annotations) = metadata.get_mut("annotations").and_then(Value::as_object_mut) else { return };
    if annotations.shift_remove(&key).is_some() && annotations.is_empty() {
        metadata.shift_remove("annotations");
    }
}

fn made(intent: &Intent<'_>, kind: &str, name: &str, wanted: &Fields) -> Value {
    let mut spec = json!({});
    for (field, value) in wanted {
        path::set(&mut spec, field, value.clone());
    }
    let mut object = intent.own_named(V1ALPHA1, kind, name, spec);
    mark(&mut object, intent.policy, &wanted.iter().map(|(field, _)| field.clone()).collect());
    object
}
