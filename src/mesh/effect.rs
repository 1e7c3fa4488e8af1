//! What the writes of a plan do to what is read: what it is after them, and which of them would change anything. A controller that
//! finds none of these writes nothing.
//!
//! An API server adds defaults to an object, so one of a policy's own is compared by the leaves of the plan. That alone would not
//! see a leaf that the plan no longer has, nor could managedFields tell whose it is (istiod's writes of `status` drop them). So
//! the object carries a digest of what was planned when it was written. A policy may have made an object that other policies have
//! fields in: they stay.

use serde_json::{Map, Value};
use sha2::{Digest, Sha256};

use super::{
    fields,
    plan::{MeshPlan, MeshWrite},
};
use crate::{api::revision::canonical, router::Objects};

/// The annotation of an object of a policy's own: the digest of the object as it was planned.
const DIGEST: &str = "glidepath.dev/mesh-digest";
/// What others write into the metadata of an object of a policy's own, and the version as read, which makes a concurrent
/// write fail.
const KEPT: [&str; 3] = ["resourceVersion", "finalizers", "ownerReferences"];
/// What the API server, or its controllers, write.
const NOT_OURS: [&str; 5] = ["resourceVersion", "managedFields", "generation", "creationTimestamp", "uid"];

impl MeshPlan {
    /// The writes that would change what is read, in their order and ready to be made: an object of the policy's own has its
    /// digest, and of the one that it replaces the resourceVersion, finalizers and fields of other policies. Who changes an
    /// object of a plan does so before; a plan that is carried out has none.
    pub fn pending(&self, current: &Objects) -> Vec<MeshWrite> {
        self.writes.iter().filter(|write| is_pending(write, current)).map(|write| ready(write, current)).collect()
    }

    /// What would be read after these writes. For checks, previews and tests.
    pub fn after(&self, current: &Objects) -> Objects {
        let mut next = current.clone();
        for write in &self.writes {
            match write {
                MeshWrite::Own(object) => next.insert(own(object, next.replaced_by(object))),
                MeshWrite::Replace(object) => next.insert(object.clone()),
                MeshWrite::Fields(patch) => next.insert(patched(next.replaced_by(patch).unwrap_or(patch), patch)),
                MeshWrite::Delete(gone) => next.remove(gone),
            }
        }
        next
    }
}

fn is_pending(write: &MeshWrite, current: &Objects) -> bool {
    match write {
        MeshWrite::Own(object) => current.replaced_by(object).is_none_or(|there| {
            there["metadata"]["annotations"][DIGEST] != digest(object).as_str() || !holds(there, object)
        }),
        MeshWrite::Fields(patch) => {
            current.replaced_by(patch).is_none_or(|there| is_other(&patched(there, patch), there))
        }
        MeshWrite::Replace(object) => current.replaced_by(object).is_none_or(|there| is_other(object, there)),
        MeshWrite::Delete(gone) => current.find(gone).is_some(),
    }
}

fn ready(write: &MeshWrite, current: &Objects) -> MeshWrite {
    match write {
        MeshWrite::Own(object) => MeshWrite::Own(own(object, current.replaced_by(object))),
        other => other.clone(),
    }
}

/// An object of a policy's own as it is written in the place of the one that is there.
fn own(object: &Value, there: Option<&Value>) -> Value {
    let mut next = object.clone();
    next["metadata"]["annotations"][DIGEST] = Value::String(digest(object));
    let Some(there) = there else { return next };
    for field in KEPT {
        if let (Some(kept), true) = (there["metadata"].get(field), next["metadata"].get(field).is_none()) {
            next["metadata"][field] = kept.clone();
        }
    }
    fields::keep(&mut next, there);
    next
}

fn digest(object: &Value) -> String {
    Sha256::digest(canonical(object)).iter().take(10).map(|byte| format!("{byte:02x}")).collect()
}

/// An object after a patch. Of annotations without entries the API server stores nothing.
fn patched(object: &Value, patch: &Value) -> Value {
    let mut next = object.clone();
    merge(&mut next, patch);
    let metadata = next.get_mut("metadata").and_then(Value::as_object_mut);
    if let Some(metadata) = metadata
        && metadata.get("annotations").and_then(Value::as_object).is_some_and(Map::is_empty)
    {
        metadata.shift_remove("annotations");
    }
    next
}

/// A JSON merge patch (RFC 7386): `null` takes a field out, a list is replaced whole.
fn merge(into: &mut Value, patch: &Value) {
    let Value::Object(patch) = patch else { return *into = patch.clone() };
    if !into.is_object() {
        *into = Value::Object(Map::new());
    }
    let Some(object) = into.as_object_mut() else { return };
    for (name, value) in patch {
        if value.is_null() {
            object.shift_remove(name);
        } else {
            merge(object.entry(name.clone()).or_insert(Value::Null), value);
        }
    }
}

/// Whether every planned leaf is there. An entry of a list may have more fields, a list no more entries.
fn holds(there: &Value, planned: &Value) -> bool {
    match (there, planned) {
        // The kind is served at several versions, and read at one of them.
        (Value::Object(there), Value::Object(planned)) => planned
            .iter()
            .filter(|(name, value)| *name != "apiVersion" && !value.is_null())
            .all(|(name, value)| there.get(name).is_some_and(|there| holds(there, value))),
        (Value::Array(there), Value::Array(planned)) => {
            there.len() == planned.len() && there.iter().zip(planned).all(|(there, planned)| holds(there, planned))
        }
        (there, planned) => there == planned,
    }
}

/// Whether two objects differ in what a user or a policy writes.
fn is_other(one: &Value, other: &Value) -> bool {
    written(one) != written(other)
}

fn written(object: &Value) -> Value {
    let mut object = object.clone();
    let Some(fields) = object.as_object_mut() else { return object };
    fields.retain(|name, _| name != "status" && name != "apiVersion");
    let metadata = fields.get_mut("metadata").and_then(Value::as_object_mut);
    metadata
        .into_iter()
        .for_each(|metadata: &mut Map<_, _>| metadata.retain(|name, _| !NOT_OURS.contains(&name.as_str())));
    object
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::router::ObjectRef;

    fn plan(write: MeshWrite) -> MeshPlan {
        MeshPlan { writes: vec![write], ..MeshPlan::default() }
    }

    fn own(spec: Value) -> MeshPlan {
        plan(MeshWrite::Own(json!({
            "apiVersion": "security.istio.io/v1", "kind": "PeerAuthentication",
            "metadata": {"namespace": "shop", "name": "web-mtls"}, "spec": spec,
        })))
    }

    /// What is read of an object after a write, as an API server stores it: at another version, with defaults and a status.
    fn stored(plan: &MeshPlan) -> Objects {
        let Some(MeshWrite::Own(mut object)) = plan.pending(&Objects::default()).pop() else { panic!() };
        object["apiVersion"] = json!("security.istio.io/v1beta1");
        object["metadata"]["resourceVersion"] = json!("7");
        object["spec"]["rules"][0]["type"] = json!("default");
        object["status"] = json!({"conditions": []});
        [object].into_iter().collect()
    }

    #[test]
    fn an_own_object_is_written_until_it_is_there_as_planned() {
        let planned = own(json!({"mtls": {"mode": "STRICT"}, "rules": [{"port": 1}]}));
        let current = stored(&planned);
        assert_eq!(planned.pending(&current), [], "the API server's defaults are no difference");
        for other in [
            json!({"mtls": {"mode": "PERMISSIVE"}, "rules": [{"port": 1}]}),
            json!({"mtls": {"mode": "STRICT"}, "rules": [{"port": 1}, {"port": 2}]}),
            json!({"rules": [{"port": 1}]}),
        ] {
            assert_eq!(own(other.clone()).pending(&current).len(), 1, "{other}");
        }
        let mut edited = current.get("PeerAuthentication", "shop", "web-mtls").unwrap().clone();
        edited["spec"]["mtls"]["mode"] = json!("PERMISSIVE");
        assert_eq!(planned.pending(&[edited].into_iter().collect()).len(), 1, "an edit of ours is drift");
    }

    #[test]
    fn an_own_object_keeps_the_fields_of_other_policies_when_it_is_written() {
        let rule = |policy: Value| {
            plan(MeshWrite::Own(json!({
                "apiVersion": "networking.istio.io/v1", "kind": "DestinationRule",
                "metadata": {"namespace": "shop", "name": "all-web", "labels": {"glidepath.dev/policy": "all"}},
                "spec": {"host": "web", "trafficPolicy": policy},
            })))
        };
        let (first, second) = (rule(json!({"tls": {"mode": "SIMPLE"}})), rule(json!({"tls": {"mode": "DISABLE"}})));
        let mut there = first.after(&Objects::default()).get("DestinationRule", "shop", "all-web").unwrap().clone();
        there["metadata"]["resourceVersion"] = json!("7");
        let mut beside = MeshPlan::default();
        let limit = json!({"spec": {"trafficPolicy": {"connectionPool": {"tcp": {"maxConnections": 5}}}}});
        let there = fields::plan(&there, "limits", &limit, &mut beside);
        let current: Objects = [there.clone()].into_iter().collect();
        assert_eq!(first.pending(&current), [], "it is there as planned");
        let Some(MeshWrite::Own(next)) = second.pending(&current).pop() else { panic!() };
        assert_eq!(next["spec"]["trafficPolicy"]["tls"]["mode"], "DISABLE");
        assert_eq!(next["metadata"]["resourceVersion"], "7");
        let Some(MeshWrite::Fields(release)) = fields::release(&next, "limits") else { panic!() };
        assert_eq!(
            patched(&next, &release)["spec"],
            json!({"host": "web", "trafficPolicy": {"tls": {"mode": "DISABLE"}}})
        );
        assert_eq!(fields::claimed(&limit, "all", &next).len(), 1);
    }

    #[test]
    fn what_changes_nothing_is_not_written() {
        let rule = json!({
            "apiVersion": "networking.istio.io/v1", "kind": "DestinationRule",
            "metadata": {"namespace": "shop", "name": "web", "resourceVersion": "3"},
            "spec": {"host": "web", "trafficPolicy": {"tls": {"mode": "SIMPLE"}}},
        });
        let current: Objects = [rule.clone()].into_iter().collect();
        let patch = |policy: Value| {
            plan(MeshWrite::Fields(json!({
                "apiVersion": "networking.istio.io/v1", "kind": "DestinationRule",
                "metadata": {"namespace": "shop", "name": "web", "resourceVersion": "2"}, "spec": {"trafficPolicy": policy},
            })))
        };
        assert_eq!(patch(json!({"tls": {"mode": "SIMPLE"}})).pending(&current), []);
        assert_eq!(patch(json!({"outlierDetection": null})).pending(&current), [], "it is not there");
        assert_eq!(patch(json!({"tls": null})).pending(&current).len(), 1);
        let mut other = rule.clone();
        other["metadata"]["resourceVersion"] = json!("9");
        assert_eq!(plan(MeshWrite::Replace(other.clone())).pending(&current), []);
        other["spec"]["host"] = json!("pay");
        assert_eq!(plan(MeshWrite::Replace(other)).pending(&current).len(), 1);
        let gone = |name: &str| {
            plan(MeshWrite::Delete(ObjectRef {
                api_version: "networking.istio.io/v1".into(),
                kind: "DestinationRule".into(),
                plural: "destinationrules".into(),
                namespace: "shop".into(),
                name: name.into(),
                required: false,
                is_written: true,
                is_named: false,
            }))
        };
        assert_eq!((gone("web").pending(&current).len(), gone("pay").pending(&current).len()), (1, 0));
    }
}
