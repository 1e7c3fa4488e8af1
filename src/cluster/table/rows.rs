//! The rows behind a table: objects by name and by group, those that cannot be read, and which versions are known.

use std::{
    borrow::Borrow,
    cmp::Ordering,
    collections::{BTreeSet, HashMap, HashSet},
    hash::{Hash, Hasher},
    ops::Bound,
    sync::Arc,
};

use kube::core::ObjectMeta;

use super::{
    entry::{Change, Entry, Kept, ObjectKey, key_of, version_of},
    version::{is_newer, number},
};
use crate::cluster::raw_object::RawObject;

/// An object as it goes into the table.
#[derive(Debug)]
pub struct Row<T> {
    kept: Result<Arc<Entry<T>>, Gap>,
    /// Why it cannot be read.
    fault: Option<String>,
}

/// An object of which nothing is kept but why it cannot be read.
#[derive(Clone, Debug)]
struct Gap {
    key: ObjectKey,
    version: String,
    why: String,
}

impl<T: Kept> Row<T> {
    /// What is kept of an object.
    pub fn of(object: &RawObject<'_>) -> Self {
        match Entry::of(object) {
            Ok(entry) => Row::known(Arc::new(entry)),
            Err(why) => {
                let meta = object.metadata();
                let gap = || Gap { key: key_of(meta), version: version_of(meta).to_owned(), why: why.clone() };
                let unread = T::keep_unread(object, &why);
                Row { kept: unread.map(|value| Arc::new(Entry::with(meta, value))).ok_or_else(gap), fault: Some(why) }
            }
        }
    }

    /// What is kept already.
    pub fn known(entry: Arc<Entry<T>>) -> Self {
        Row { kept: Ok(entry), fault: None }
    }

    /// Why it cannot be read.
    pub fn fault(&self) -> Option<&str> {
        self.fault.as_deref()
    }

    /// Its namespace and name.
    pub fn key(&self) -> &ObjectKey {
        self.kept.as_ref().map_or_else(|gap| &gap.key, |entry| &entry.key)
    }

    pub(super) fn version(&self) -> &str {
        self.kept.as_ref().map_or_else(|gap| &gap.version, |entry| &entry.version)
    }
}

/// Our own writes that the watch has not shown yet: the number of their answer and their version, by object.
#[derive(Debug, Default)]
struct Unshown {
    writes: HashMap<ObjectKey, (u64, String)>,
    /// By version, the lowest first.
    versions: BTreeSet<(u64, ObjectKey)>,
}

impl Unshown {
    fn insert(&mut self, key: ObjectKey, answer: u64, version: String) {
        self.remove(&key);
        self.versions.extend(number(&version).map(|version| (version, key.clone())));
        self.writes.insert(key, (answer, version));
    }

    fn remove(&mut self, key: &ObjectKey) {
        if let Some((_, version)) = self.writes.remove(key)
            && let Some(version) = number(&version)
        {
            self.versions.remove(&(version, key.clone()));
        }
    }

    /// Those whose answers came after so many others, and that are newer than a version.
    fn since(&self, answers: u64, version: &str) -> BTreeSet<ObjectKey> {
        let newer = self.writes.iter().filter(|(_, (answer, known))| *answer > answers && is_newer(known, version));
        newer.map(|(key, _)| key.clone()).collect()
    }

    fn retain(&mut self, kept: &BTreeSet<ObjectKey>) {
        let gone: Vec<ObjectKey> = self.writes.keys().filter(|key| !kept.contains(key)).cloned().collect();
        gone.iter().for_each(|key| self.remove(key));
    }
}

/// An entry that is found by its namespace and name. There may be tens of thousands, so neither is stored a second time.
#[derive(Debug)]
struct ByKey<T>(Arc<Entry<T>>);

impl<T> Borrow<ObjectKey> for ByKey<T> {
    fn borrow(&self) -> &ObjectKey {
        &self.0.key
    }
}

impl<T> Hash for ByKey<T> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.key.hash(state);
    }
}

impl<T> PartialEq for ByKey<T> {
    fn eq(&self, other: &Self) -> bool {
        self.0.key == other.0.key
    }
}

impl<T> Eq for ByKey<T> {}

/// An entry among others of its namespace, in the order of their names.
#[derive(Debug)]
struct ByName<T>(Arc<Entry<T>>);

impl<T> Borrow<str> for ByName<T> {
    fn borrow(&self) -> &str {
        &self.0.key.name
    }
}

impl<T> Ord for ByName<T> {
    fn cmp(&self, other: &Self) -> Ordering {
        self.0.key.name.cmp(&other.0.key.name)
    }
}

impl<T> PartialOrd for ByName<T> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl<T> PartialEq for ByName<T> {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl<T> Eq for ByName<T> {}

/// All rows of a table.
#[derive(Debug)]
pub struct Rows<T> {
    objects: HashSet<ByKey<T>>,
    groups: HashMap<ObjectKey, BTreeSet<ByName<T>>>,
    gaps: HashMap<ObjectKey, Gap>,
    /// Our own writes that the watch has not shown yet.
    unshown: Unshown,
    /// How many answers to our writes have come.
    pub answers: u64,
    /// The highest version known, since the last list.
    pub highest: u64,
    /// Everything up to this version has been shown.
    shown: u64,
}

impl<T> Default for Rows<T> {
    fn default() -> Self {
        Rows {
            objects: HashSet::new(),
            groups: HashMap::new(),
            gaps: HashMap::new(),
            unshown: Unshown::default(),
            answers: 0,
            highest: 0,
            shown: 0,
        }
    }
}

impl<T> Rows<T> {
    /// One object.
    pub fn entry(&self, key: &ObjectKey) -> Option<&Arc<Entry<T>>> {
        self.objects.get(key).map(|found| &found.0)
    }

    /// All objects that can be read.
    pub fn entries(&self) -> impl Iterator<Item = &Arc<Entry<T>>> {
        self.objects.iter().map(|object| &object.0)
    }

    /// The objects of a group, by name.
    pub fn group(&self, namespace: &str, group: &str) -> Vec<Arc<Entry<T>>> {
        let members = self.groups.get(&ObjectKey::new(namespace, group));
        members.into_iter().flatten().map(|member| Arc::clone(&member.0)).collect()
    }

    /// Those of a group whose names begin so, by name.
    pub fn named(&self, namespace: &str, group: &str, prefix: &str) -> Vec<Arc<Entry<T>>> {
        let Some(members) = self.groups.get(&ObjectKey::new(namespace, group)) else { return Vec::new() };
        let named = members.range::<str, _>((Bound::Included(prefix), Bound::Unbounded)).map(|member| &member.0);
        named.take_while(|entry| entry.key.name.starts_with(prefix)).map(Arc::clone).collect()
    }

    /// Why an object cannot be read.
    pub fn unreadable(&self, key: &ObjectKey) -> Option<&str> {
        self.gaps.get(key).map(|gap| gap.why.as_str())
    }

    /// All names, also of objects that cannot be read.
    pub fn keys(&self) -> impl Iterator<Item = &ObjectKey> {
        self.entries().map(|entry| &entry.key).chain(self.gaps.keys())
    }

    fn version(&self, key: &ObjectKey) -> Option<&str> {
        let known = self.entry(key).map(|entry| entry.version.as_str());
        known.or_else(|| self.gaps.get(key).map(|gap| gap.version.as_str()))
    }

    /// Whether an event of the watch shows nothing new. Our own write that comes back is ours alone no longer.
    pub fn is_known(&mut self, key: &ObjectKey, version: &str) -> bool {
        self.reached(version);
        match self.version(key) {
            Some(known) if known == version => {
                self.unshown.remove(key);
                true
            }
            Some(known) => !is_newer(version, known),
            None => false,
        }
    }

    /// Whether the answer to a write of ours is older than what the watch has shown, of this object or at all.
    pub fn is_overtaken(&self, meta: &ObjectMeta) -> bool {
        let version = version_of(meta);
        let known = self.version(&key_of(meta)).is_some_and(|known| !is_newer(version, known));
        known || number(version).is_some_and(|version| version <= self.shown)
    }

    /// A write of ours that the watch has gone past without showing it: it is not in the server's history.
    pub fn passed_over(&self) -> Option<u64> {
        self.unshown.versions.first().map(|(version, _)| *version).filter(|version| *version < self.shown)
    }

    /// Whether another object, made after this one was deleted, has its name.
    pub fn is_another(&self, key: &ObjectKey, last: &ObjectMeta) -> bool {
        let known = self.entry(key);
        known.is_some_and(|known| last.uid.as_ref() != Some(&known.uid) && is_newer(&known.version, version_of(last)))
    }

    /// The watch has shown everything up to this version.
    pub fn reached(&mut self, version: &str) {
        let version = number(version).unwrap_or(0);
        self.shown = self.shown.max(version);
        self.highest = self.highest.max(version);
    }

    /// Our own writes whose answers came after so many others, and that are newer than a version.
    pub fn written_since(&self, answers: u64, version: &str) -> BTreeSet<ObjectKey> {
        self.unshown.since(answers, version)
    }

    /// A list of this version is in the table, together with our own `newer` writes.
    pub fn listed(&mut self, version: &str, newer: &BTreeSet<ObjectKey>) {
        self.unshown.retain(newer);
        self.shown = number(version).unwrap_or(0);
        let newer = newer.iter().filter_map(|key| number(self.version(key)?)).max();
        self.highest = newer.unwrap_or(0).max(self.shown);
    }
}

impl<T: Kept> Rows<T> {
    /// Whether a row of a list shows an object as it was before a write of ours that the list must hold: so many answers had
    /// come when it began.
    pub fn undoes(&self, listed: &Row<T>, answers: u64) -> bool {
        let (Ok(listed), Some((answer, version))) = (&listed.kept, self.unshown.writes.get(listed.key())) else {
            return false;
        };
        let same = self.entry(&listed.key).is_some_and(|known| known.uid == listed.uid);
        same && *answer <= answers && is_newer(version, &listed.version)
    }

    /// Puts in the answer to a write of ours.
    pub fn put_own(&mut self, row: Row<T>) {
        self.answers += 1;
        self.highest = self.highest.max(number(row.version()).unwrap_or(0));
        let (key, version) = (row.key().clone(), row.version().to_owned());
        self.put(row);
        self.unshown.insert(key, self.answers, version);
    }

    /// Puts an object in the place of what was there.
    pub fn put(&mut self, row: Row<T>) -> Option<Change<T>> {
        if let (Ok(new), Some(old)) = (&row.kept, self.entry(row.key()))
            && Arc::ptr_eq(new, old)
        {
            return None;
        }
        let old = self.take(row.key());
        let new = match row.kept {
            Ok(new) => {
                if let Some(group) = new.value.group() {
                    let group = ObjectKey::new(&new.key.namespace, group);
                    self.groups.entry(group).or_default().insert(ByName(Arc::clone(&new)));
                }
                self.objects.insert(ByKey(Arc::clone(&new)));
                Some(new)
            }
            Err(gap) => {
                self.gaps.insert(gap.key.clone(), gap);
                None
            }
        };
        Some(Change { old, new })
    }

    /// The object is gone.
    pub fn remove(&mut self, key: &ObjectKey) -> Option<Change<T>> {
        let old = self.take(key)?;
        Some(Change { old: Some(old), new: None })
    }

    fn take(&mut self, key: &ObjectKey) -> Option<Arc<Entry<T>>> {
        self.unshown.remove(key);
        self.gaps.remove(key);
        let old = self.objects.take(key)?.0;
        if let Some(group) = old.value.group() {
            let group = ObjectKey::new(&key.namespace, group);
            if let Some(members) = self.groups.get_mut(&group) {
                members.remove(key.name.as_str());
                if members.is_empty() {
                    self.groups.remove(&group);
                }
            }
        }
        Some(old)
    }
}
