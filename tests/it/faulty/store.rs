//! What the API server keeps: objects, one growing resourceVersion, and the log of changes that watches are fed from.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
};

use jiff::Timestamp;
use serde_json::{Value, json};

use super::kinds::Kind;

/// Where an object is.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Key {
    pub plural: &'static str,
    pub namespace: String,
    pub name: String,
}

impl Key {
    /// An object of the namespace that the tests live in.
    pub fn shop(plural: &str, name: &str) -> Key {
        Key { plural: Kind::named(plural).plural, namespace: "shop".into(), name: name.into() }
    }

    /// The Rollout that an object belongs to: tests name their Rollouts without a dash.
    pub fn rollout(&self) -> &str {
        self.name.split('-').next().unwrap_or_default()
    }
}

impl std::fmt::Display for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.plural, self.name)
    }
}

/// What happened to an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    Added,
    Modified,
    Deleted,
}

/// One change.
#[derive(Clone, Debug)]
pub struct Logged {
    pub version: u64,
    pub change: Change,
    pub key: Key,
    pub object: Arc<Value>,
    pub before: Option<Arc<Value>>,
}

/// Changes that are kept for watches; older ones are 410 Gone.
const KEPT: usize = 2_000;

/// The objects and their history.
#[derive(Clone, Debug, Default)]
pub struct Store {
    objects: BTreeMap<Key, Arc<Value>>,
    log: VecDeque<Logged>,
    version: u64,
    compacted: u64,
    uids: u64,
    /// The newest change of anything that is watched: of all but Leases.
    pub watched: u64,
    /// How often a backup was restored.
    pub restored: u32,
}

impl Store {
    /// The newest resourceVersion.
    pub fn version(&self) -> u64 {
        self.version
    }

    /// One object.
    pub fn get(&self, key: &Key) -> Option<&Arc<Value>> {
        self.objects.get(key)
    }

    /// All objects of a kind, by namespace and name.
    pub fn all(&self, plural: &str) -> impl Iterator<Item = (&Key, &Arc<Value>)> {
        let first = Key { plural: Kind::named(plural).plural, namespace: String::new(), name: String::new() };
        let wanted = first.plural;
        self.objects.range(first..).take_while(move |(key, _)| key.plural == wanted)
    }

    /// Every object.
    pub fn everything(&self) -> impl Iterator<Item = (&Key, &Arc<Value>)> {
        self.objects.iter()
    }

    /// Writes an object. What the server owns in its metadata is set here; a write that changes nothing moves no version,
    /// and one that takes the last finalizer of an object that is being deleted removes it.
    pub fn put(&mut self, key: &Key, mut object: Value, now: Timestamp) -> Arc<Value> {
        let kind = Kind::named(key.plural);
        let before = self.objects.get(key).cloned();
        object["apiVersion"] = kind.api_version().into();
        object["kind"] = kind.kind.into();
        let meta = &mut object["metadata"];
        meta["name"] = key.name.clone().into();
        if kind.namespaced {
            meta["namespace"] = key.namespace.clone().into();
        }
        match &before {
            None => {
                self.uids += 1;
                meta["uid"] = format!("{}-{}", key.plural, self.uids).into();
                meta["creationTimestamp"] = whole_seconds(now).into();
                if kind.status {
                    meta["generation"] = 1.into();
                }
            }
            Some(before) => {
                for field in ["uid", "creationTimestamp", "generation", "resourceVersion"] {
                    meta[field] = before["metadata"][field].clone();
                }
                if object == **before {
                    return Arc::clone(before);
                }
                if kind.status && content(&object) != content(before) {
                    let generation = before["metadata"]["generation"].as_i64().unwrap_or(0);
                    object["metadata"]["generation"] = (generation + 1).into();
                }
            }
        }
        self.version += 1;
        object["metadata"]["resourceVersion"] = self.version.to_string().into();
        let finished = object["metadata"]["deletionTimestamp"].is_string() && !has_finalizers(&object);
        let object = Arc::new(object);
        let change = match (finished, &before) {
            (true, _) => Change::Deleted,
            (false, None) => Change::Added,
            (false, Some(_)) => Change::Modified,
        };
        if finished {
            self.objects.remove(key);
        } else {
            self.objects.insert(key.clone(), Arc::clone(&object));
        }
        self.record(Logged { version: self.version, change, key: key.clone(), object: Arc::clone(&object), before });
        object
    }

    /// Deletes an object, or marks it when finalizers hold it.
    pub fn delete(&mut self, key: &Key, now: Timestamp) {
        let Some(object) = self.objects.get(key) else { return };
        if object["metadata"]["deletionTimestamp"].is_string() {
            return;
        }
        let mut object = (**object).clone();
        object["metadata"]["deletionTimestamp"] = whole_seconds(now).into();
        self.put(key, object, now);
    }

    /// Changes an object in place, as some part of the cluster does.
    pub fn edit(&mut self, key: &Key, now: Timestamp, change: impl FnOnce(&mut Value)) {
        let Some(object) = self.objects.get(key) else { return };
        let mut object = (**object).clone();
        change(&mut object);
        self.put(key, object, now);
    }

    /// The changes after `version`, or `None` when they are gone from the log.
    pub fn since(&self, version: u64) -> Option<impl Iterator<Item = &Logged>> {
        // A version from before a restore may lie in the future: the real server waits there, and says nothing of it.
        let known = version >= self.compacted;
        let first = self.log.partition_point(|logged| logged.version <= version);
        known.then(|| self.log.range(first..))
    }

    /// What was stored before the last changes, as far as they are known.
    pub fn some_changes_ago(&self, changes: u64) -> Store {
        let mut then = self.clone();
        for _ in 0..changes {
            let Some(undone) = then.log.pop_back() else { break };
            match undone.before {
                Some(before) => then.objects.insert(undone.key, before),
                None => then.objects.remove(&undone.key),
            };
            then.version = then.log.back().map_or(self.compacted, |logged| logged.version);
        }
        then
    }

    /// Forgets the history: every watch that is not up to date is 410 Gone.
    pub fn compact(&mut self) {
        self.log.clear();
        self.compacted = self.version;
    }

    /// Goes back to a backup. Versions and objects are those of then, and grow again; uids that were given are not
    /// reused.
    pub fn restore(&mut self, backup: &Store) {
        let (uids, restored) = (self.uids, self.restored + 1);
        let leases: Vec<(Key, Arc<Value>)> =
            self.all("leases").map(|(k, lease)| (k.clone(), Arc::clone(lease))).collect();
        *self = Store { uids, restored, ..backup.clone() };
        // A Lease of before says nothing about who runs now; what a restore does to leadership is not the question here.
        self.objects.extend(leases);
        self.compact();
    }

    fn record(&mut self, logged: Logged) {
        if logged.key.plural != "leases" {
            self.watched = logged.version;
        }
        self.log.push_back(logged);
        while self.log.len() > KEPT {
            if let Some(oldest) = self.log.pop_front() {
                self.compacted = oldest.version;
            }
        }
    }
}

/// What an operator wrote: everything but metadata and status.
fn content(object: &Value) -> Vec<(&String, &Value)> {
    let fields = object.as_object().into_iter().flatten();
    let mut fields: Vec<_> = fields.filter(|(name, _)| !["metadata", "status"].contains(&name.as_str())).collect();
    fields.sort_by_key(|(name, _)| *name);
    fields
}

fn has_finalizers(object: &Value) -> bool {
    object["metadata"]["finalizers"].as_array().is_some_and(|all| !all.is_empty())
}

/// Times in metadata have no fractions.
pub fn whole_seconds(now: Timestamp) -> String {
    Timestamp::from_second(now.as_second()).map(|time| time.to_string()).unwrap_or_default()
}

/// Removes what has no owner left, as the garbage collector does.
pub fn collect_garbage(store: &mut Store, now: Timestamp) {
    let uids: std::collections::BTreeSet<&str> =
        store.everything().filter_map(|(_, object)| object["metadata"]["uid"].as_str()).collect();
    let orphaned = |object: &Value| {
        let owners = object["metadata"]["ownerReferences"].as_array();
        owners.is_some_and(|all| {
            !all.is_empty() && !all.iter().any(|owner| owner["uid"].as_str().is_some_and(|uid| uids.contains(uid)))
        })
    };
    let lost: Vec<Key> =
        store.everything().filter(|(_, object)| orphaned(object)).map(|(key, _)| key.clone()).collect();
    lost.iter().for_each(|key| store.delete(key, now));
}

/// An object's count at a path.
pub fn count(object: &Value, path: &str) -> u32 {
    object.pointer(path).and_then(Value::as_u64).and_then(|n| u32::try_from(n).ok()).unwrap_or(0)
}

/// An object's text at a path.
pub fn text<'a>(object: &'a Value, path: &str) -> &'a str {
    object.pointer(path).and_then(Value::as_str).unwrap_or_default()
}

/// An object without content, to begin from.
pub fn empty() -> Value {
    json!({"metadata": {}})
}
