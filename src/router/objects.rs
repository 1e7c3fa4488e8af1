//! The objects around a router as plain JSON: which to read, what was read, and what is to be written.

use std::{collections::BTreeMap, sync::Arc};

use serde_json::Value;

use super::{
    error::RouteError,
    resource::{GroupResource, group_of},
};

/// Gateway API's kind for the same consent.
pub const REFERENCE_GRANT: &str = "ReferenceGrant";
/// Its API group.
pub const GRANT_GROUP: &str = "gateway.networking.k8s.io";

/// Whether a kind is the one of such consent. Another API group may have a kind of the same name.
pub(super) fn is_grant(group: &str, kind: &str) -> bool {
    (group, kind) == (GRANT_GROUP, REFERENCE_GRANT)
}

/// The field manager of our writes.
pub const FIELD_MANAGER: &str = "glidepath";

/// The field manager other than ours that last wrote this field of an object's spec. A list of routes or rules has one owner:
/// it is atomic to the API server.
pub(super) fn other_manager(object: &Value, field: &str) -> Option<String> {
    let entries = object["metadata"]["managedFields"].as_array()?;
    let others = entries.iter().filter(|entry| {
        entry["manager"].as_str() != Some(FIELD_MANAGER) && entry["fieldsV1"]["f:spec"].get(field).is_some()
    });
    let latest = others.max_by(|a, b| a["time"].as_str().cmp(&b["time"].as_str()))?;
    latest["manager"].as_str().map(str::to_owned)
}

/// One object by name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ObjectRef {
    /// For instance `networking.istio.io/v1`.
    pub api_version: String,
    /// For instance `VirtualService`.
    pub kind: String,
    /// The resource in the API's paths, for instance `virtualservices`.
    pub plural: String,
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// Whether it is the user's and must exist. `false`: an object of our own that may not be there yet.
    pub required: bool,
    /// Whether the router writes it. What it only reads cannot drift, and its writers are not blamed.
    pub is_written: bool,
    /// Whether only a Rollout names its kind, at this version.
    pub is_named: bool,
}

/// All objects of a kind in one namespace.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ListRef {
    /// For instance `networking.istio.io/v1`.
    pub api_version: String,
    /// For instance `DestinationRule`.
    pub kind: String,
    /// The resource in the API's paths.
    pub plural: String,
    /// The namespace.
    pub namespace: String,
}

impl ObjectRef {
    /// Which kind it is.
    pub fn resource(&self) -> GroupResource {
        if self.is_named {
            return GroupResource::named(&self.api_version, &self.kind, &self.plural);
        }
        GroupResource::of(&self.api_version, &self.plural)
    }
}

impl ListRef {
    /// Which kind it is, whatever its version.
    pub fn resource(&self) -> GroupResource {
        GroupResource::of(&self.api_version, &self.plural)
    }

    /// The ReferenceGrants of a namespace.
    pub fn grants(namespace: &str) -> Self {
        ListRef {
            api_version: format!("{GRANT_GROUP}/v1beta1"),
            kind: REFERENCE_GRANT.to_owned(),
            plural: "referencegrants".to_owned(),
            namespace: namespace.to_owned(),
        }
    }

    /// Whether a change in it may change what a Rollout is allowed to write.
    pub fn is_consent(&self) -> bool {
        is_grant(group_of(&self.api_version), &self.kind)
    }
}

/// Kind, namespace, name and API group: two groups may have a kind of one name.
type Key = (String, String, String, String);

/// What was read. An object that is not in here does not exist.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Objects {
    by_name: BTreeMap<Key, Arc<Value>>,
}

impl Objects {
    /// Puts an object in, under the kind, namespace, name and API group that it states itself. One that states none is ignored.
    pub fn insert(&mut self, object: impl Into<Arc<Value>>) {
        let object = object.into();
        if let Some(key) = key_in(&object) {
            self.by_name.insert(key, object);
        }
    }

    /// Takes an object out.
    pub fn remove(&mut self, gone: &ObjectRef) {
        self.by_name.remove(&key_of(gone));
    }

    /// The object that another one is to replace.
    pub fn replaced_by(&self, next: &Value) -> Option<&Value> {
        self.by_name.get(&key_in(next)?).map(Arc::as_ref)
    }

    /// The object of this kind, namespace and name, of whichever API group. For tests: a reference says which group.
    pub fn get(&self, kind: &str, namespace: &str, name: &str) -> Option<&Value> {
        let first = (kind.to_owned(), namespace.to_owned(), name.to_owned(), String::new());
        let (key, object) = self.by_name.range(first..).next()?;
        (key.0 == kind && key.1 == namespace && key.2 == name).then_some(object.as_ref())
    }

    /// The object that a reference names.
    pub fn find(&self, reference: &ObjectRef) -> Option<&Value> {
        self.by_name.get(&key_of(reference)).map(Arc::as_ref)
    }

    /// All objects of a kind of one API group in a namespace, by name.
    pub fn of_kind<'a>(
        &'a self,
        (group, kind): (&'a str, &'a str),
        namespace: &'a str,
    ) -> impl Iterator<Item = &'a Value> {
        let first = (kind.to_owned(), namespace.to_owned(), String::new(), String::new());
        let here = self.by_name.range(first..).take_while(move |((k, n, _, _), _)| k == kind && n == namespace);
        here.filter(move |((_, _, _, g), _)| g == group).map(|(_, object)| object.as_ref())
    }

    /// All objects, by kind, namespace and name.
    pub fn iter(&self) -> impl Iterator<Item = &Value> {
        self.by_name.values().map(Arc::as_ref)
    }

    /// What would be read after these writes. For tests, previews and dry runs.
    pub fn after(&self, writes: &[PlannedWrite]) -> Objects {
        let mut next = self.clone();
        for write in writes {
            match write {
                PlannedWrite::Create(object) | PlannedWrite::Replace(object) => next.insert(object.clone()),
                PlannedWrite::Delete(gone) => next.remove(gone),
            }
        }
        next
    }
}

fn key_of(reference: &ObjectRef) -> Key {
    let ObjectRef { kind, namespace, name, api_version, .. } = reference;
    (kind.clone(), namespace.clone(), name.clone(), group_of(api_version).to_owned())
}

/// The key that an object states itself; `None` when it states none.
fn key_in(object: &Value) -> Option<Key> {
    let text = |value: &Value| value.as_str().map(str::to_owned);
    let metadata = &object["metadata"];
    let group = group_of(object["apiVersion"].as_str().unwrap_or_default()).to_owned();
    Some((text(&object["kind"])?, text(&metadata["namespace"])?, text(&metadata["name"])?, group))
}

impl FromIterator<Value> for Objects {
    fn from_iter<I: IntoIterator<Item = Value>>(values: I) -> Self {
        let mut objects = Objects::default();
        values.into_iter().for_each(|value| objects.insert(value));
        objects
    }
}

/// One write that makes an object as planned.
#[derive(Clone, Debug, PartialEq)]
pub enum PlannedWrite {
    /// An object of our own that does not exist yet.
    Create(Value),
    /// The whole object as read, our fields changed, its resourceVersion kept: a concurrent edit makes it a conflict.
    Replace(Value),
    /// An object of our own that is no longer wanted.
    Delete(ObjectRef),
}

impl PlannedWrite {
    /// What is to be there after it.
    pub fn object(&self) -> Option<&Value> {
        match self {
            PlannedWrite::Create(object) | PlannedWrite::Replace(object) => Some(object),
            PlannedWrite::Delete(_) => None,
        }
    }
}

/// Every possible write, and what blocks the others.
#[derive(Debug, Default)]
pub struct Plan {
    /// One write per object.
    pub writes: Vec<PlannedWrite>,
    /// What cannot be done.
    pub refused: Vec<RouteError>,
}
