//! What a policy leaves behind: its objects that are no longer wanted, and its fields in objects of the user's.

use serde_json::Value;

use super::{
    fields,
    intent::POLICY_LABEL,
    kind::MeshKind,
    plan::{Conflict, MeshWrite, PolicyName},
};
use crate::router::{ObjectRef, Objects, WatchedKind};

/// What to delete and release once `writes` are done, in the mesh's order: the one that closes a door goes
/// before the one that opens it.
pub(super) fn leftovers(
    kind: &MeshKind,
    policy: PolicyName<'_>,
    current: &Objects,
    writes: &[MeshWrite],
) -> Vec<MeshWrite> {
    let mut found = Vec::new();
    for watched in kind.own {
        let objects = current.of_kind((&watched.group, &watched.kind), policy.namespace);
        let unwanted = objects.filter(|object| !writes.iter().any(|write| is_of(write, object)));
        found.extend(unwanted.filter_map(|object| leftover(watched, policy, object)));
    }
    found
}

fn leftover(kind: &WatchedKind, policy: PolicyName<'_>, object: &Value) -> Option<MeshWrite> {
    if is_own(object, policy.name) {
        let name = object["metadata"]["name"].as_str().unwrap_or_default();
        return Some(MeshWrite::Delete(ObjectRef { required: false, ..kind.reference(policy.namespace, name) }));
    }
    let is_ours = fields::is_managed(object, &fields::manager(policy.name));
    is_ours.then(|| MeshWrite::Fields(fields::patch(object)))
}

/// Objects of others that have the name of an object of this plan's own.
pub(super) fn taken(policy: &str, current: &Objects, writes: &[MeshWrite]) -> Vec<Conflict> {
    let own = writes.iter().filter_map(|write| if let MeshWrite::Own(object) = write { Some(object) } else { None });
    let there = own.filter_map(|object| current.replaced_by(object)).filter(|there| !is_own(there, policy));
    let conflict = |there: &Value| Conflict {
        object: fields::name(there),
        field: String::new(),
        manager: owner(there).unwrap_or_else(|| "its author".to_owned()),
    };
    there.map(conflict).collect()
}

/// Whether an object is a policy's own.
pub(super) fn is_own(object: &Value, policy: &str) -> bool {
    object["metadata"]["labels"][POLICY_LABEL] == policy
}

/// The policy that an object is the own of, for display.
pub(super) fn owner(object: &Value) -> Option<String> {
    object["metadata"]["labels"][POLICY_LABEL].as_str().map(|policy| format!("MeshPolicy {policy}"))
}

/// Whether a write is of this object. Two API groups may have a kind of one name.
fn is_of(write: &MeshWrite, object: &Value) -> bool {
    let same = |other: &Value| {
        other["kind"] == object["kind"]
            && other["metadata"]["name"] == object["metadata"]["name"]
            && other["metadata"]["namespace"] == object["metadata"]["namespace"]
            && group(&other["apiVersion"]) == group(&object["apiVersion"])
    };
    match write {
        MeshWrite::Own(written) | MeshWrite::Fields(written) | MeshWrite::Replace(written) => same(written),
        MeshWrite::Delete(gone) => {
            object["kind"] == *gone.kind
                && object["metadata"]["name"] == *gone.name
                && group(&object["apiVersion"]) == gone.api_version.split_once('/').map(|(group, _)| group)
        }
    }
}

fn group(api_version: &Value) -> Option<&str> {
    api_version.as_str()?.split_once('/').map(|(group, _)| group)
}
