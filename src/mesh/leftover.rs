//! What a policy leaves behind: its objects that are no longer wanted, and its fields in objects of the user's.

use serde_json::Value;

use super::{
    fields, former,
    kind::MeshKind,
    ownership::{conflict, is_own},
    plan::{Conflict, MeshWrite, PolicyName},
};
use crate::router::{ObjectRef, Objects, WatchedKind, group_of};

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
        let unwanted = objects.filter(|object| is_own(object, policy.name) && !is_written(writes, object));
        found.extend(unwanted.filter_map(|object| deletion(watched, policy, object)));
    }
    for kind in kind.patched {
        let objects = current.of_kind(*kind, policy.namespace);
        let unwanted = objects.filter(|object| former::is_kept(object) && !is_written(writes, object));
        found.extend(unwanted.filter_map(|object| fields::release(object, policy.name)));
    }
    found
}

fn deletion(kind: &WatchedKind, policy: PolicyName<'_>, object: &Value) -> Option<MeshWrite> {
    let name = object["metadata"]["name"].as_str()?;
    Some(MeshWrite::Delete(ObjectRef { required: false, ..kind.reference(policy.namespace, name) }))
}

/// Objects of others that have the name of an object of this plan's own, and fields of other policies in it.
pub(super) fn taken(policy: &str, current: &Objects, writes: &[MeshWrite]) -> Vec<Conflict> {
    let own = writes.iter().filter_map(|write| if let MeshWrite::Own(object) = write { Some(object) } else { None });
    let replaced = own.filter_map(|object| current.replaced_by(object).map(|there| (object, there)));
    let taken = |(object, there): (&Value, &Value)| {
        if is_own(there, policy) { fields::claimed(object, policy, there) } else { vec![conflict(there, "")] }
    };
    replaced.flat_map(taken).collect()
}

fn is_written(writes: &[MeshWrite], object: &Value) -> bool {
    writes.iter().any(|write| is_of(write, object))
}

/// Whether a write is of this object. Two API groups may have a kind of one name.
fn is_of(write: &MeshWrite, object: &Value) -> bool {
    let same = |other: &Value| {
        other["kind"] == object["kind"]
            && other["metadata"]["name"] == object["metadata"]["name"]
            && other["metadata"]["namespace"] == object["metadata"]["namespace"]
            && group(other) == group(object)
    };
    match write {
        MeshWrite::Own(written) | MeshWrite::Fields(written) | MeshWrite::Replace(written) => same(written),
        MeshWrite::Delete(gone) => {
            object["kind"] == *gone.kind
                && object["metadata"]["name"] == *gone.name
                && group(object) == group_of(&gone.api_version)
        }
    }
}

fn group(object: &Value) -> &str {
    group_of(object["apiVersion"].as_str().unwrap_or_default())
}
