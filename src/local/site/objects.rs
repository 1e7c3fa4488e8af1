//! The objects of a local rollout, in memory and in the folder, with the versions and changes that a watch reports.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Value, json};
use tokio::sync::broadcast;

use super::{
    folder::{Folder, FolderError},
    kinds::{self, Kind},
};

/// So many changes are remembered for watches that begin a little late.
const REMEMBERED: usize = 512;

/// What happened to one object.
#[derive(Clone, Debug)]
pub struct Change {
    /// The store's version after it.
    pub version: u64,
    /// `ADDED`, `MODIFIED` or `DELETED`.
    pub what: &'static str,
    /// The object's kind.
    pub kind: &'static Kind,
    /// The object as it is then.
    pub object: Arc<Value>,
}

/// All objects. Every write is in the folder before it is published.
pub struct Objects {
    folder: Folder,
    held: Mutex<Held>,
    changes: broadcast::Sender<Change>,
    /// Held by a write, and by read-modify-write operations that no other write may interrupt.
    turn: Mutex<()>,
}

#[derive(Default)]
struct Held {
    version: u64,
    objects: BTreeMap<(&'static str, String), Arc<Value>>,
    past: VecDeque<Change>,
}

/// A watch that begins: what it missed, and what is to come.
pub struct Watch {
    /// Changes since the version it named.
    pub missed: Vec<Change>,
    /// Changes from here on.
    pub coming: broadcast::Receiver<Change>,
}

impl Objects {
    /// Reads what the folder has.
    pub fn open(folder: Folder) -> Result<Objects, FolderError> {
        let mut held = Held::default();
        for kind in kinds::ALL {
            for (name, object) in folder.read_all(kind.plural)? {
                held.version = held.version.max(version_of(&object));
                held.objects.insert((kind.plural, name), Arc::new(object));
            }
        }
        Ok(Objects { folder, held: Mutex::new(held), turn: Mutex::default(), changes: broadcast::Sender::new(1024) })
    }

    /// The folder behind them.
    pub fn folder(&self) -> &Folder {
        &self.folder
    }

    fn held(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// While it is held nothing but [`Objects::replace`] writes.
    pub(super) fn turn(&self) -> MutexGuard<'_, ()> {
        self.turn.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The version of the newest write.
    pub fn version(&self) -> u64 {
        self.held().version
    }

    /// One object.
    pub fn get(&self, kind: &'static Kind, name: &str) -> Option<Arc<Value>> {
        self.held().objects.get(&(kind.plural, name.to_owned())).cloned()
    }

    /// The objects of a kind by name, with the version of the list.
    pub fn list(&self, kind: &'static Kind) -> (u64, Vec<Arc<Value>>) {
        let held = self.held();
        let from = (kind.plural, String::new());
        let listed = held.objects.range(from..).take_while(|((plural, _), _)| *plural == kind.plural);
        (held.version, listed.map(|(_, object)| object.clone()).collect())
    }

    /// The objects of a kind as their own type; what cannot be read as such is left out.
    pub fn typed<T: DeserializeOwned>(&self, kind: &'static Kind) -> Vec<T> {
        self.list(kind).1.iter().filter_map(|object| read(object)).collect()
    }

    /// One object as its own type.
    pub fn typed_one<T: DeserializeOwned>(&self, kind: &'static Kind, name: &str) -> Option<T> {
        self.get(kind, name).and_then(|object| read(&object))
    }

    /// Writes an object under its name. An object that says the same already is left alone.
    pub fn put(&self, kind: &'static Kind, object: &impl Serialize) -> Result<Arc<Value>, FolderError> {
        self.put_if(kind, object, |_| true).map(|written| written.unwrap_or_default())
    }

    /// The same, if `still` says so of the object that is there; `None` when it did not.
    pub fn put_if(
        &self,
        kind: &'static Kind,
        object: &impl Serialize,
        still: impl FnOnce(Option<&Value>) -> bool,
    ) -> Result<Option<Arc<Value>>, FolderError> {
        let _turn = self.turn();
        self.write_if(kind, object, still)
    }

    fn write_if(
        &self,
        kind: &'static Kind,
        object: &impl Serialize,
        still: impl FnOnce(Option<&Value>) -> bool,
    ) -> Result<Option<Arc<Value>>, FolderError> {
        let mut object = serde_json::to_value(object).unwrap_or_default();
        let name = name_of(&object);
        let mut held = self.held();
        let there = held.objects.get(&(kind.plural, name.clone())).cloned();
        if !still(there.as_deref()) {
            return Ok(None);
        }
        object["apiVersion"] = kind.api_version().into();
        object["kind"] = kind.kind.into();
        if let Some(there) = &there {
            object["metadata"]["resourceVersion"] = there["metadata"]["resourceVersion"].clone();
            if object == **there {
                return Ok(Some(there.clone()));
            }
        }
        object["metadata"]["resourceVersion"] = (held.version + 1).to_string().into();
        self.folder.write(&format!("{}/{name}", kind.plural), &object)?;
        let object = Arc::new(object);
        held.objects.insert((kind.plural, name), object.clone());
        let what = if there.is_some() { "MODIFIED" } else { "ADDED" };
        self.tell(&mut held, what, kind, object.clone());
        self.trim(&mut held, kind)?;
        Ok(Some(object))
    }

    /// Writes an object over the version that it names, or as a new one when it names none; `None` when something else is
    /// there by now.
    pub fn replace(&self, kind: &'static Kind, object: &impl Serialize) -> Result<Option<Arc<Value>>, FolderError> {
        let object = serde_json::to_value(object).unwrap_or_default();
        let named = object["metadata"]["resourceVersion"].as_str().map(str::to_owned);
        let same = |there: Option<&Value>| {
            there.and_then(|there| there["metadata"]["resourceVersion"].as_str()) == named.as_deref()
        };
        self.write_if(kind, &object, same)
    }

    /// Takes an object away, if it is there.
    pub fn remove(&self, kind: &'static Kind, name: &str) -> Result<(), FolderError> {
        let mut held = self.held();
        self.take(&mut held, kind, name)
    }

    fn take(&self, held: &mut Held, kind: &'static Kind, name: &str) -> Result<(), FolderError> {
        self.folder.remove(&format!("{}/{name}.json", kind.plural))?;
        if let Some(object) = held.objects.remove(&(kind.plural, name.to_owned())) {
            self.tell(held, "DELETED", kind, object);
        }
        Ok(())
    }

    /// Only the newest objects of some kinds are kept.
    fn trim(&self, held: &mut Held, kind: &'static Kind) -> Result<(), FolderError> {
        let mut all: Vec<(u64, String)> = held
            .objects
            .iter()
            .filter(|((plural, _), _)| *plural == kind.plural)
            .map(|((_, name), object)| (version_of(object), name.clone()))
            .collect();
        if all.len() <= kind.kept {
            return Ok(());
        }
        all.sort();
        for (_, name) in all.iter().take(all.len() - kind.kept) {
            self.take(held, kind, name)?;
        }
        Ok(())
    }

    fn tell(&self, held: &mut Held, what: &'static str, kind: &'static Kind, object: Arc<Value>) {
        held.version += 1;
        let change = Change { version: held.version, what, kind, object };
        held.past.push_back(change.clone());
        if held.past.len() > REMEMBERED {
            held.past.pop_front();
        }
        // Nobody listens: that is fine.
        let _ = self.changes.send(change);
    }

    /// All changes from here on.
    pub fn listen(&self) -> broadcast::Receiver<Change> {
        self.changes.subscribe()
    }

    /// Follows the changes since a version; `None` when they are no longer available, so that the caller must list
    /// again.
    pub fn watch(&self, since: u64) -> Option<Watch> {
        let held = self.held();
        let oldest = held.past.front().map_or(held.version, |change| change.version - 1);
        if since > held.version || since < oldest {
            return None;
        }
        let missed = held.past.iter().filter(|change| change.version > since).cloned().collect();
        Some(Watch { missed, coming: self.changes.subscribe() })
    }
}

fn read<T: DeserializeOwned>(object: &Value) -> Option<T> {
    T::deserialize(object)
        .inspect_err(|error| tracing::warn!(%error, object = %object["metadata"]["name"], "an object cannot be read"))
        .ok()
}

fn name_of(object: &Value) -> String {
    object["metadata"]["name"].as_str().unwrap_or_default().to_owned()
}

/// The version at which an object was last written.
pub fn version_of(object: &Value) -> u64 {
    object["metadata"]["resourceVersion"].as_str().and_then(|version| version.parse().ok()).unwrap_or(0)
}

/// A list as the API gives it.
pub fn list_of(kind: &Kind, version: u64, items: &[Arc<Value>]) -> Value {
    let items: Vec<&Value> = items.iter().map(AsRef::as_ref).collect();
    json!({
        "kind": format!("{}List", kind.kind),
        "apiVersion": kind.api_version(),
        "metadata": { "resourceVersion": version.to_string() },
        "items": items,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(name: &str, note: &str) -> Value {
        json!({ "metadata": { "name": name }, "message": note })
    }

    fn open(path: &std::path::Path) -> Objects {
        Objects::open(Folder::open(path).unwrap()).unwrap()
    }

    #[test]
    fn versions_grow_over_restarts_and_what_says_the_same_is_no_write() {
        let place = tempfile::tempdir().unwrap();
        let objects = open(place.path());
        objects.put(kinds::EVENT, &event("a", "one")).unwrap();
        objects.put(kinds::EVENT, &event("a", "one")).unwrap();
        objects.put(kinds::EVENT, &event("a", "two")).unwrap();
        objects.put(kinds::RUN, &event("r", "")).unwrap();
        assert_eq!(objects.version(), 3);
        let refused = objects.put_if(kinds::EVENT, &event("a", "three"), |there| there.is_none()).unwrap();
        assert!(refused.is_none());
        drop(objects);

        let objects = open(place.path());
        let event = objects.get(kinds::EVENT, "a").unwrap();
        assert_eq!((event["message"].as_str(), event["kind"].as_str()), (Some("two"), Some("Event")));
        assert_eq!((objects.version(), objects.list(kinds::EVENT).1.len()), (3, 1));
    }

    #[test]
    fn a_watch_hears_what_it_missed_or_is_told_to_list_anew() {
        let place = tempfile::tempdir().unwrap();
        let objects = open(place.path());
        for note in ["one", "two", "three"] {
            objects.put(kinds::EVENT, &event("a", note)).unwrap();
        }
        objects.remove(kinds::EVENT, "a").unwrap();
        let heard =
            |since| objects.watch(since).unwrap().missed.iter().map(|c| (c.version, c.what)).collect::<Vec<_>>();
        assert_eq!(heard(2), [(3, "MODIFIED"), (4, "DELETED")]);
        assert_eq!(heard(4), []);
        assert!(objects.watch(9).is_none());
        let mut watch = objects.watch(4).unwrap();
        objects.put(kinds::EVENT, &event("b", "four")).unwrap();
        assert_eq!(watch.coming.try_recv().unwrap().what, "ADDED");

        drop(objects);
        let objects = open(place.path());
        assert!(objects.watch(2).is_none(), "what happened before a restart is not known any more");
        assert!(objects.watch(objects.version()).is_some());
    }

    #[test]
    fn an_object_is_replaced_only_where_nobody_wrote_meanwhile() {
        let place = tempfile::tempdir().unwrap();
        let objects = open(place.path());
        let first = objects.replace(kinds::RUN, &event("r", "one")).unwrap().unwrap();
        assert!(objects.replace(kinds::RUN, &event("r", "two")).unwrap().is_none(), "it is there already");
        let mut next = (*first).clone();
        next["message"] = "two".into();
        assert!(objects.replace(kinds::RUN, &next).unwrap().is_some());
        assert!(objects.replace(kinds::RUN, &next).unwrap().is_none(), "that version is gone");
    }

    #[test]
    fn only_the_newest_events_are_kept() {
        let place = tempfile::tempdir().unwrap();
        let objects = open(place.path());
        for number in 0..203 {
            objects.put(kinds::EVENT, &event(&format!("e{}", 999 - number), "")).unwrap();
        }
        let names: Vec<_> = objects.list(kinds::EVENT).1;
        assert_eq!((names.len(), names[199]["metadata"]["name"].as_str()), (200, Some("e996")));
    }
}
