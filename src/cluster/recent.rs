//! Rollouts that were decoded a moment ago. One that is at work is looked at several times in a tick, and again when its
//! event comes; one at rest is kept as text alone.

use std::{collections::VecDeque, sync::Arc, sync::Mutex};

use super::{cached_rollout::CachedRollout, locks::lock, table::Entry, unreadable::Unreadable};
use crate::api::Rollout;

/// So many are kept decoded: more than are worked on at the same time.
const KEPT: usize = 32;

/// A Rollout as it is kept, and decoded.
type Decoded = (Arc<Entry<CachedRollout>>, Arc<Rollout>);

/// The last Rollouts that were decoded, the newest last.
#[derive(Default)]
pub struct Recent(Mutex<VecDeque<Decoded>>);

impl Recent {
    /// The Rollout, or what is at fault.
    pub fn read(&self, entry: &Arc<Entry<CachedRollout>>) -> Result<Arc<Rollout>, Box<Unreadable>> {
        if let Some(known) = self.known(entry) {
            return Ok(known);
        }
        let rollout = Arc::new(entry.value.read()?);
        let mut recent = lock(&self.0);
        if recent.len() >= KEPT {
            recent.pop_front();
        }
        recent.push_back((Arc::clone(entry), Arc::clone(&rollout)));
        Ok(rollout)
    }

    /// An entry is of one version and never changes.
    fn known(&self, entry: &Arc<Entry<CachedRollout>>) -> Option<Arc<Rollout>> {
        let recent = lock(&self.0);
        let found = recent.iter().rev().find(|(known, _)| Arc::ptr_eq(known, entry));
        found.map(|(_, rollout)| Arc::clone(rollout))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::cluster::{objects::Answer, table::Table};

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
        let first = recent.read(&web).unwrap();
        assert!(Arc::ptr_eq(&first, &recent.read(&web).unwrap()));
        assert!(!Arc::ptr_eq(&first, &recent.read(&entry("web")).unwrap()), "another version is another Rollout");
    }

    #[test]
    fn a_fleet_is_not_kept_decoded() {
        let (recent, web) = (Recent::default(), entry("web"));
        let first = Arc::downgrade(&recent.read(&web).unwrap());
        for number in 0..KEPT {
            recent.read(&entry(&format!("other-{number}"))).unwrap();
        }
        assert!(first.upgrade().is_none() && Arc::strong_count(&web) == 1);
    }
}
