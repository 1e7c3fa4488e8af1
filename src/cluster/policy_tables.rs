//! What is kept of policies and of what their names are looked up in.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::{Mutex, RwLock},
};

use serde_json::Value;

use super::{
    asked::Asked,
    kinds::CachedRoute,
    raw_object::RawObject,
    table::{Kept, ObjectKey, Table},
};
use crate::{
    api::{MeshPolicy, policy::MeshPolicySpec},
    mesh::{Facts, Workload},
};

/// Specs that were read, by policy and id. They never change.
type KnownSpecs = HashMap<(ObjectKey, String), MeshPolicySpec>;

/// Everything that is kept for policies.
#[derive(Debug, Default)]
pub struct Policies {
    /// The policies.
    pub table: Table<CachedPolicy>,
    /// Services, whole: some meshes have their settings in annotations of them.
    pub(super) services: Table<CachedRoute>,
    /// StatefulSets and DaemonSets. Deployments and Rollouts are watched anyway.
    pub(super) stateful_sets: Table<CachedWorkload>,
    pub(super) daemon_sets: Table<CachedWorkload>,
    pub(super) accounts: Table<CachedAccount>,
    /// What these say to a policy.
    pub(super) facts: RwLock<Facts>,
    /// Which policies name something of a namespace.
    pub(super) by_namespace: Mutex<BTreeMap<String, BTreeSet<ObjectKey>>>,
    /// What the metrics have answered last.
    pub(super) asked: Mutex<HashMap<ObjectKey, Asked>>,
    /// Specs of ControllerRevisions that were read.
    pub(super) specs: Mutex<KnownSpecs>,
    /// Which objects were written last, and how often in a row.
    pub(super) repeated: Mutex<HashMap<ObjectKey, (Vec<String>, u32)>>,
    /// Why the last writes of a policy failed.
    pub(super) failures: Mutex<HashMap<ObjectKey, String>>,
}

/// A MeshPolicy, or the field at fault.
#[derive(Clone, Debug, PartialEq)]
pub struct CachedPolicy(pub Result<Box<MeshPolicy>, Box<str>>);

impl Kept for CachedPolicy {
    fn keep(object: &RawObject<'_>) -> Result<Self, String> {
        Ok(CachedPolicy(object.decode().map(Box::new).map_err(Into::into)))
    }
    fn keep_unread(_: &RawObject<'_>, why: &str) -> Option<Self> {
        Some(CachedPolicy(Err(why.into())))
    }
    fn group(&self) -> Option<&str> {
        Some("")
    }
}

/// What makes pods.
#[derive(Clone, Debug, PartialEq)]
pub struct CachedWorkload(pub Box<Workload>);

impl Kept for CachedWorkload {
    fn keep(object: &RawObject<'_>) -> Result<Self, String> {
        let whole: Value = object.decode()?;
        Workload::of(&whole)
            .map(|workload| CachedWorkload(Box::new(workload)))
            .ok_or_else(|| "it has no spec.template".to_owned())
    }
}

/// A ServiceAccount: that it is there.
#[derive(Clone, Debug, PartialEq)]
pub struct CachedAccount;

impl Kept for CachedAccount {
    fn keep(_: &RawObject<'_>) -> Result<Self, String> {
        Ok(CachedAccount)
    }
}
