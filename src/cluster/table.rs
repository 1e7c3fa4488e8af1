//! What a watch has seen of one kind, pruned, and never older than our own last write (kube rule 5).
//!
//! Every answer to a write of ours goes into the table at once, and what an event or another answer shows of an older
//! resourceVersion is ignored. A complete list replaces the table, whatever versions it has: after a restore of etcd they
//! are lower. Only what we wrote while the list was taken, and is newer than the list, stays.

mod entry;
mod rows;
#[cfg(test)]
mod tests;
mod version;

use std::{
    collections::BTreeSet,
    sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard},
};

use kube::core::ObjectMeta;

use super::{answer::Answer, raw_object::RawObject};
use entry::version_of;
use rows::Rows;

pub use entry::{Change, Entry, Kept, ObjectKey, key_of, mark};
pub use rows::Row;
pub use version::number;

/// What is kept of an object that a list or a watch shows.
#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "for tests")]
pub fn kept<T: Kept>(object: &serde_json::Value) -> T {
    T::keep(&super::raw_object::RawObject::of(&object.to_string()).unwrap()).unwrap()
}

/// The objects of one kind.
#[derive(Debug)]
pub struct Table<T> {
    rows: RwLock<Rows<T>>,
}

impl<T> Default for Table<T> {
    fn default() -> Self {
        Table { rows: RwLock::new(Rows::default()) }
    }
}

/// What a list has changed.
#[derive(Debug)]
pub struct Replaced<T> {
    /// The objects that are new, other, or gone.
    pub changes: Vec<Change<T>>,
    /// Whether the list is from before what was known: etcd was restored.
    pub restored: bool,
}

/// A list that is being taken. It takes effect as a whole, by [`Table::replace`].
#[derive(Debug)]
pub struct Listing<T> {
    /// How many answers to our writes had come when it began.
    answers: u64,
    /// The highest version that was known then.
    highest: u64,
    /// Whether what is known may be of another history, in which the same version is of another content.
    doubtful: bool,
    rows: Vec<Row<T>>,
}

impl<T> Listing<T> {
    /// Takes one object of the list.
    pub fn take(&mut self, row: Row<T>) {
        self.rows.push(row);
    }
}

impl<T: Kept> Table<T> {
    /// One object.
    pub fn get(&self, namespace: &str, name: &str) -> Option<Arc<Entry<T>>> {
        self.read().entry(&ObjectKey::new(namespace, name)).cloned()
    }

    /// All objects of a group, by name.
    pub fn group(&self, namespace: &str, group: &str) -> Vec<Arc<Entry<T>>> {
        self.read().group(namespace, group)
    }

    /// The objects of a group whose names begin so, by name; the others of the group are not looked at.
    pub fn named(&self, namespace: &str, group: &str, prefix: &str) -> Vec<Arc<Entry<T>>> {
        self.read().named(namespace, group, prefix)
    }

    /// All objects.
    pub fn all(&self) -> Vec<Arc<Entry<T>>> {
        self.read().entries().cloned().collect()
    }

    /// Why an object that exists is not in the table.
    pub fn unreadable(&self, namespace: &str, name: &str) -> Option<String> {
        self.read().unreadable(&ObjectKey::new(namespace, name)).map(str::to_owned)
    }

    /// Whether an event of the watch shows nothing that is newer than what we know, as our own writes do that come back.
    pub fn knows(&self, shown: &ObjectMeta) -> bool {
        self.write().is_known(&key_of(shown), version_of(shown))
    }

    /// An event of the watch. `None` when we know something as new already.
    pub fn seen(&self, row: Row<T>) -> Option<Change<T>> {
        let mut rows = self.write();
        if rows.is_known(row.key(), row.version()) { None } else { rows.put(row) }
    }

    /// The answer to a write of ours. When the watch has gone past it, an object that is not here was deleted since.
    pub fn wrote(&self, answer: &Answer) {
        let meta = &answer.metadata;
        if self.read().is_overtaken(meta) {
            return;
        }
        let Ok(object) = answer.object() else { return };
        let row = Row::of(&object);
        let mut rows = self.write();
        if rows.is_overtaken(meta) {
            return;
        }
        // What the watch does not select it will not show either, and it says that of others' objects by a deletion.
        if T::is_selected(meta) { rows.put_own(row) } else { drop(rows.remove(row.key())) }
    }

    /// We deleted the object.
    pub fn gone(&self, namespace: &str, name: &str) -> Option<Change<T>> {
        self.write().remove(&ObjectKey::new(namespace, name))
    }

    /// The watch saw the object deleted. Another one that has its name by now stays.
    pub fn deleted(&self, last: &ObjectMeta) -> Option<Change<T>> {
        let mut rows = self.write();
        rows.reached(version_of(last));
        let key = key_of(last);
        if rows.is_another(&key, last) { None } else { rows.remove(&key) }
    }

    /// The watch has shown everything up to this version.
    pub fn reached(&self, version: &str) {
        self.write().reached(version);
    }

    /// A write of ours that the watch has gone past without showing it: etcd was restored to before that write, to no version
    /// below the one that the watch had reached, or the server left events out.
    pub fn passed_over(&self) -> Option<u64> {
        self.read().passed_over()
    }

    /// Begins a list, before it is requested. It may be `doubtful` whether the server still has the history of the
    /// table.
    pub fn list(&self, doubtful: bool) -> Listing<T> {
        let rows = self.read();
        Listing { answers: rows.answers, highest: rows.highest, doubtful, rows: Vec::new() }
    }

    /// One object of a list. What the table has already is not read again, unless that is doubtful.
    pub fn listed(&self, listing: &Listing<T>, object: &RawObject<'_>) -> Row<T> {
        let meta = object.metadata();
        let known = (!listing.doubtful).then(|| self.read().entry(&key_of(meta)).cloned()).flatten();
        let same = known.filter(|entry| meta.uid.as_ref() == Some(&entry.uid) && entry.version == version_of(meta));
        same.map_or_else(|| Row::of(object), Row::known)
    }

    /// A list of this version is complete. It contains what was written before it began; it may lack our own newer
    /// writes.
    pub fn replace(&self, listing: Listing<T>, version: &str) -> Replaced<T> {
        let mut rows = self.write();
        // The list is older than what it must hold: etcd was restored, and no version from before says anything.
        let behind = number(version).is_some_and(|version| version < listing.highest);
        let restored = behind || listing.rows.iter().any(|row| rows.undoes(row, listing.answers));
        let newer = if restored { BTreeSet::new() } else { rows.written_since(listing.answers, version) };
        let mut lost: BTreeSet<ObjectKey> = rows.keys().filter(|key| !newer.contains(key)).cloned().collect();
        let mut changes = Vec::new();
        for row in listing.rows.into_iter().filter(|row| !newer.contains(row.key())) {
            lost.remove(row.key());
            changes.extend(rows.put(row));
        }
        changes.extend(lost.iter().filter_map(|key| rows.remove(key)));
        rows.listed(version, &newer);
        Replaced { changes, restored }
    }

    /// The kind is gone, and all objects with it.
    pub fn clear(&self) -> Vec<Change<T>> {
        let mut rows = self.write();
        let all: Vec<ObjectKey> = rows.keys().cloned().collect();
        all.iter().filter_map(|key| rows.remove(key)).collect()
    }

    fn read(&self) -> RwLockReadGuard<'_, Rows<T>> {
        self.rows.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Rows<T>> {
        self.rows.write().unwrap_or_else(PoisonError::into_inner)
    }
}
