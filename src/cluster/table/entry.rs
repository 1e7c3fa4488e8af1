//! One object as it is kept: pruned, with the metadata that writes are conditioned on.

use std::{collections::BTreeMap, sync::Arc};

use kube::core::ObjectMeta;
use serde_json::{Value, json};

use crate::{
    cluster::{answer::Answer, raw_object::RawObject},
    ports::{RolloutKey, WorldError},
};

/// A namespaced name.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ObjectKey {
    /// The namespace; empty for the cluster's own objects.
    pub namespace: String,
    /// The name.
    pub name: String,
}

impl ObjectKey {
    /// The key of the Rollout of this name.
    pub fn of_rollout(&self) -> RolloutKey {
        RolloutKey { namespace: self.namespace.clone(), name: self.name.clone() }
    }

    /// From its two parts.
    pub fn new(namespace: impl Into<String>, name: impl Into<String>) -> Self {
        ObjectKey { namespace: namespace.into(), name: name.into() }
    }
}

/// What is kept of an object's kind-specific content.
pub trait Kept: Clone + PartialEq + Send + Sync + Sized + 'static {
    /// Whether nearly all are records of what has ended, of which a cluster may hold thousands.
    const RECORDS: bool = false;

    /// What is kept of an object, or why it cannot be read.
    fn keep(object: &RawObject<'_>) -> Result<Self, String>;
    /// What is kept of an object that cannot be read; `None`: it counts as absent.
    fn keep_unread(_object: &RawObject<'_>, _why: &str) -> Option<Self> {
        None
    }
    /// Whether a watch on the kind shows an object with this metadata; it selects by label.
    fn is_selected(_meta: &ObjectMeta) -> bool {
        true
    }
    /// A name by which several objects are found together (an owner's, a Service's).
    fn group(&self) -> Option<&str> {
        None
    }
}

/// An object as kept.
#[derive(Clone, Debug)]
pub struct Entry<T> {
    /// Its namespace and name.
    pub key: ObjectKey,
    /// Its uid.
    pub uid: String,
    /// Its resourceVersion.
    pub version: String,
    /// When it was created.
    pub created: Option<jiff::Timestamp>,
    /// Whether it is being deleted.
    pub deleting: bool,
    /// The pruned content.
    pub value: T,
}

/// A change of the table.
#[derive(Clone, Debug)]
pub struct Change<T> {
    /// What was there.
    pub old: Option<Arc<Entry<T>>>,
    /// What is there now.
    pub new: Option<Arc<Entry<T>>>,
}

impl<T: Kept> Change<T> {
    /// Whether anything but the resourceVersion changed.
    pub fn matters(&self) -> bool {
        match (&self.old, &self.new) {
            (Some(old), Some(new)) => old.value != new.value || old.deleting != new.deleting || old.uid != new.uid,
            (None, None) => false,
            _ => true,
        }
    }

    /// The newer of the two.
    pub fn entry(&self) -> Option<&Arc<Entry<T>>> {
        self.new.as_ref().or(self.old.as_ref())
    }
}

impl<T> Entry<T> {
    /// What the metadata of a patch says so that it applies to this very object at this very version.
    pub fn condition(&self) -> Value {
        json!({"uid": self.uid, "resourceVersion": self.version})
    }

    pub(super) fn with(meta: &ObjectMeta, value: T) -> Self {
        Entry {
            key: key_of(meta),
            uid: meta.uid.clone().unwrap_or_default(),
            version: version_of(meta).to_owned(),
            created: meta.creation_timestamp.as_ref().map(|time| time.0),
            deleting: meta.deletion_timestamp.is_some(),
            value,
        }
    }
}

impl<T: Kept> Entry<T> {
    pub(in crate::cluster) fn of(object: &RawObject<'_>) -> Result<Self, String> {
        Ok(Entry::with(object.metadata(), T::keep(object)?))
    }

    pub(in crate::cluster) fn answered(answer: &Answer) -> Result<Self, WorldError> {
        Entry::of(&answer.object()?).map_err(WorldError::Transient)
    }
}

/// The key in an object's metadata.
pub fn key_of(meta: &ObjectMeta) -> ObjectKey {
    ObjectKey::new(meta.namespace.clone().unwrap_or_default(), meta.name.clone().unwrap_or_default())
}

pub(super) fn version_of(meta: &ObjectMeta) -> &str {
    meta.resource_version.as_deref().unwrap_or_default()
}

/// An annotation or label.
pub fn mark<'a>(marks: Option<&'a BTreeMap<String, String>>, name: &str) -> Option<&'a str> {
    marks?.get(name).map(String::as_str)
}
