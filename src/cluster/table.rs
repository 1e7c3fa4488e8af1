//! What a watch has seen of one kind, pruned, and never older than our own last write (kube rule 5).
//!
//! Every answer to a write of ours goes into the table at once, and an event with an older resourceVersion is ignored.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard},
};

use kube::core::{DynamicObject, ObjectMeta};

/// A namespaced name.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ObjectKey {
    /// The namespace; empty for the cluster's own objects.
    pub namespace: String,
    /// The name.
    pub name: String,
}

impl ObjectKey {
    /// From its two parts.
    pub fn new(namespace: impl Into<String>, name: impl Into<String>) -> Self {
        ObjectKey { namespace: namespace.into(), name: name.into() }
    }
}

/// What is kept of an object's kind-specific content.
pub trait Kept: Clone + PartialEq + Send + Sync + Sized + 'static {
    /// Prunes a raw object.
    fn keep(object: &DynamicObject) -> Self;
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
    /// Written by us and not yet seen by the watch.
    unseen: bool,
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

#[derive(Debug)]
struct Rows<T> {
    objects: HashMap<ObjectKey, Arc<Entry<T>>>,
    groups: HashMap<ObjectKey, BTreeSet<String>>,
}

/// The objects of one kind.
#[derive(Debug)]
pub struct Table<T> {
    rows: RwLock<Rows<T>>,
}

impl<T> Default for Table<T> {
    fn default() -> Self {
        Table { rows: RwLock::new(Rows { objects: HashMap::new(), groups: HashMap::new() }) }
    }
}

impl<T: Kept> Table<T> {
    /// One object.
    pub fn get(&self, namespace: &str, name: &str) -> Option<Arc<Entry<T>>> {
        self.read().objects.get(&ObjectKey::new(namespace, name)).cloned()
    }

    /// All objects of a group, by name.
    pub fn group(&self, namespace: &str, group: &str) -> Vec<Arc<Entry<T>>> {
        let rows = self.read();
        let Some(names) = rows.groups.get(&ObjectKey::new(namespace, group)) else { return Vec::new() };
        names.iter().filter_map(|name| rows.objects.get(&ObjectKey::new(namespace, name)).cloned()).collect()
    }

    /// All objects.
    pub fn all(&self) -> Vec<Arc<Entry<T>>> {
        self.read().objects.values().cloned().collect()
    }

    /// An event of the watch. `None` when we know something newer already.
    pub fn seen(&self, object: &DynamicObject) -> Option<Change<T>> {
        self.insert(object, false)
    }

    /// The answer to a write of ours.
    pub fn wrote(&self, object: &DynamicObject) {
        self.insert(object, true);
    }

    /// The object is gone.
    pub fn gone(&self, namespace: &str, name: &str) -> Option<Change<T>> {
        let old = self.write().remove(&ObjectKey::new(namespace, name))?;
        Some(Change { old: Some(old), new: None })
    }

    /// A watch began anew and listed these keys, the newest of them at `newest`: what it lacks is gone, except what we
    /// wrote after the list was taken.
    pub fn retain(&self, listed: &BTreeSet<ObjectKey>, newest: u64) -> Vec<Change<T>> {
        let mut rows = self.write();
        let lost: Vec<ObjectKey> = rows
            .objects
            .values()
            .filter(|entry| !listed.contains(&entry.key))
            .filter(|entry| !(entry.unseen && number(&entry.version).is_some_and(|version| version > newest)))
            .map(|entry| entry.key.clone())
            .collect();
        lost.iter().filter_map(|key| rows.remove(key)).map(|old| Change { old: Some(old), new: None }).collect()
    }

    fn insert(&self, object: &DynamicObject, unseen: bool) -> Option<Change<T>> {
        // Half of all events are our own writes coming back: pruning them would be wasted.
        if self.is_old(&object.metadata) {
            return None;
        }
        let new = Arc::new(Entry::<T>::new(object, unseen));
        let mut rows = self.write();
        let old = rows.objects.get(&new.key).cloned();
        if let Some(old) = &old
            && old.uid == new.uid
            && !is_newer(&new.version, &old.version)
        {
            return None;
        }
        rows.remove(&new.key);
        if let Some(group) = new.value.group() {
            let group = ObjectKey::new(&new.key.namespace, group);
            rows.groups.entry(group).or_default().insert(new.key.name.clone());
        }
        rows.objects.insert(new.key.clone(), Arc::clone(&new));
        Some(Change { old, new: Some(new) })
    }

    fn is_old(&self, meta: &ObjectMeta) -> bool {
        let rows = self.read();
        let known = rows.objects.get(&key_of(meta));
        known.is_some_and(|known| {
            meta.uid.as_ref() == Some(&known.uid)
                && !is_newer(meta.resource_version.as_deref().unwrap_or_default(), &known.version)
        })
    }

    fn read(&self) -> RwLockReadGuard<'_, Rows<T>> {
        self.rows.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Rows<T>> {
        self.rows.write().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T: Kept> Rows<T> {
    fn remove(&mut self, key: &ObjectKey) -> Option<Arc<Entry<T>>> {
        let old = self.objects.remove(key)?;
        if let Some(group) = old.value.group() {
            let group = ObjectKey::new(&key.namespace, group);
            if let Some(names) = self.groups.get_mut(&group) {
                names.remove(&key.name);
                if names.is_empty() {
                    self.groups.remove(&group);
                }
            }
        }
        Some(old)
    }
}

impl<T: Kept> Entry<T> {
    fn new(object: &DynamicObject, unseen: bool) -> Self {
        let meta = &object.metadata;
        Entry {
            key: key_of(meta),
            uid: meta.uid.clone().unwrap_or_default(),
            version: meta.resource_version.clone().unwrap_or_default(),
            created: meta.creation_timestamp.as_ref().map(|time| time.0),
            deleting: meta.deletion_timestamp.is_some(),
            value: T::keep(object),
            unseen,
        }
    }
}

/// The key in an object's metadata.
pub fn key_of(meta: &ObjectMeta) -> ObjectKey {
    ObjectKey::new(meta.namespace.clone().unwrap_or_default(), meta.name.clone().unwrap_or_default())
}

/// An annotation or label.
pub fn mark<'a>(marks: Option<&'a BTreeMap<String, String>>, name: &str) -> Option<&'a str> {
    marks?.get(name).map(String::as_str)
}

/// Versions of one kind are integers that grow; one that is not a number is taken as newer.
fn is_newer(new: &str, old: &str) -> bool {
    match (number(new), number(old)) {
        (Some(new), Some(old)) => new > old,
        _ => new != old,
    }
}

/// A resourceVersion as the growing number it is in practice.
pub fn number(version: &str) -> Option<u64> {
    version.parse().ok()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[derive(Clone, Debug, PartialEq)]
    struct Colour(String, Option<String>);
    impl Kept for Colour {
        fn keep(object: &DynamicObject) -> Self {
            let text = |field: &str| object.data.get(field).and_then(|v| v.as_str()).map(str::to_owned);
            Colour(text("colour").unwrap_or_default(), text("group"))
        }
        fn group(&self) -> Option<&str> {
            self.1.as_deref()
        }
    }

    fn object(name: &str, version: &str, colour: &str) -> DynamicObject {
        serde_json::from_value(
            json!({"metadata": {"name": name, "namespace": "n", "uid": name, "resourceVersion": version},
            "colour": colour, "group": "g"}),
        )
        .unwrap()
    }

    fn colour(table: &Table<Colour>, name: &str) -> Option<String> {
        table.get("n", name).map(|entry| entry.value.0.clone())
    }

    #[test]
    fn an_event_older_than_our_own_write_is_ignored() {
        let table = Table::<Colour>::default();
        table.seen(&object("a", "1", "red"));
        table.wrote(&object("a", "5", "blue"));
        assert!(table.seen(&object("a", "3", "green")).is_none());
        assert_eq!(colour(&table, "a").as_deref(), Some("blue"));
        assert!(table.seen(&object("a", "5", "blue")).is_none(), "our own write comes back: no trigger");
        let change = table.seen(&object("a", "6", "blue")).unwrap();
        assert!(!change.matters(), "only the version moved");
        assert!(table.seen(&object("a", "10", "red")).unwrap().matters(), "versions are numbers, not texts");
    }

    #[test]
    fn a_new_list_removes_what_it_lacks_but_not_what_we_wrote_since() {
        let table = Table::<Colour>::default();
        for (name, version) in [("a", "1"), ("b", "2")] {
            table.seen(&object(name, version, "red"));
        }
        table.wrote(&object("c", "9", "blue"));
        table.seen(&object("d", "4", "red"));
        let keys = |names: &[&str]| names.iter().map(|name| ObjectKey::new("n", *name)).collect();
        assert_eq!(table.retain(&keys(&["b", "d"]), 4).len(), 1, "a went");
        assert_eq!(table.group("n", "g").iter().map(|e| e.key.name.as_str()).collect::<Vec<_>>(), ["b", "c", "d"]);
        table.retain(&keys(&["d"]), 11);
        assert_eq!(table.group("n", "g").len(), 1, "a later list that lacks our write means that it is gone");
    }
}
