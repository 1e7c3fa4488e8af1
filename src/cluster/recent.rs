//! Objects that were decoded a moment ago. A Rollout at work is looked at several times in a tick, and again when its event
//! comes, and so are its routes; at rest both are kept as text alone.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, OnceLock},
};

use super::{
    cached_rollout::CachedRollout, findings::invalid, locks::lock, snapshot::WantedTemplate, table::Entry,
    unreadable::Unreadable,
};
use crate::{
    api::{Rollout, revision},
    engine::Problem,
};

/// So many of a kind are kept decoded: about as many as are worked on at the same time.
const KEPT: usize = 16;

/// An object as it is kept, which is of one version and never changes, and decoded.
type Pair<T, V> = (Arc<Entry<T>>, Arc<V>);

/// The last objects of a kind that were decoded, the newest last.
pub struct Recent<T, V>(Mutex<VecDeque<Pair<T, V>>>);

impl<T, V> Default for Recent<T, V> {
    fn default() -> Self {
        Recent(Mutex::default())
    }
}

impl<T, V> Recent<T, V> {
    /// What `decode` makes of an entry.
    pub fn get<E>(&self, entry: &Arc<Entry<T>>, decode: impl FnOnce(&T) -> Result<V, E>) -> Result<Arc<V>, E> {
        if let Some(known) = self.known(entry) {
            return Ok(known);
        }
        let value = Arc::new(decode(&entry.value)?);
        let mut recent = lock(&self.0);
        if recent.len() >= KEPT {
            recent.pop_front();
        }
        recent.push_back((Arc::clone(entry), Arc::clone(&value)));
        Ok(value)
    }

    fn known(&self, entry: &Arc<Entry<T>>) -> Option<Arc<V>> {
        let recent = lock(&self.0);
        let found = recent.iter().rev().find(|(known, _)| Arc::ptr_eq(known, entry));
        found.map(|(_, value)| Arc::clone(value))
    }
}

/// A Rollout as its author wrote it, and what follows from it alone.
pub struct Decoded {
    /// The Rollout.
    pub rollout: Arc<Rollout>,
    findings: OnceLock<Option<Problem>>,
    template: OnceLock<Option<Arc<WantedTemplate>>>,
}

impl Recent<CachedRollout, Decoded> {
    /// A Rollout, or what is at fault.
    pub fn read(&self, entry: &Arc<Entry<CachedRollout>>) -> Result<Arc<Decoded>, Box<Unreadable>> {
        self.get(entry, |kept| Ok(Decoded::of(Arc::new(kept.read()?))))
    }

    /// The Rollout alone.
    pub fn rollout(&self, entry: &Arc<Entry<CachedRollout>>) -> Option<Arc<Rollout>> {
        self.read(entry).ok().map(|decoded| Arc::clone(&decoded.rollout))
    }
}

impl Decoded {
    fn of(rollout: Arc<Rollout>) -> Self {
        Decoded { rollout, findings: OnceLock::new(), template: OnceLock::new() }
    }

    /// The same, or what follows from the Rollout that it has become.
    pub fn with(self: Arc<Self>, rollout: Arc<Rollout>) -> Arc<Self> {
        if Arc::ptr_eq(&self.rollout, &rollout) { self } else { Arc::new(Decoded::of(rollout)) }
    }

    /// What `lint` finds in it.
    pub fn findings(&self) -> Option<Problem> {
        self.findings.get_or_init(|| invalid(&self.rollout)).clone()
    }

    /// The template that it states itself.
    pub fn template(&self) -> Option<Arc<WantedTemplate>> {
        let own = || self.rollout.spec.template.as_ref();
        let named = |raw| Arc::new(WantedTemplate { id: revision::id(raw), raw: raw.clone() });
        self.template.get_or_init(|| own().map(named)).clone()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::cluster::{answer::Answer, table::Table};

    fn entry(name: &str) -> Arc<Entry<CachedRollout>> {
        let object = json!({"apiVersion": "glidepath.dev/v1alpha1", "kind": "Rollout", "metadata": {"name": name},
            "spec": {"strategy": {"canary": {"steps": []}}}});
        let table = Table::default();
        table.wrote(&Answer::new(object.to_string()).unwrap());
        table.get("", name).unwrap()
    }

    #[test]
    fn what_was_decoded_a_moment_ago_is_not_decoded_again() {
        let (recent, web) = (Recent::default(), entry("web"));
        let first = recent.read(&web).ok().unwrap();
        assert!(Arc::ptr_eq(&first, &recent.read(&web).ok().unwrap()));
        let other = recent.read(&entry("web")).ok().unwrap();
        assert!(!Arc::ptr_eq(&first, &other), "another version is another Rollout");
    }

    #[test]
    fn a_fleet_is_not_kept_decoded() {
        let (recent, web) = (Recent::default(), entry("web"));
        let first = Arc::downgrade(&recent.read(&web).ok().unwrap());
        for number in 0..KEPT {
            recent.rollout(&entry(&format!("other-{number}"))).unwrap();
        }
        assert!(first.upgrade().is_none() && Arc::strong_count(&web) == 1);
    }
}
