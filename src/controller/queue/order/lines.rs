//! Keys that wait in a line of their namespace; namespaces take turns.

use std::collections::{BTreeSet, HashMap, VecDeque};

use tokio::time::Instant;

/// A key that belongs to a namespace.
pub trait Namespaced {
    /// The namespace.
    fn namespace(&self) -> &str;
}

/// The lines, by namespace.
#[derive(Debug)]
pub struct Lines<K> {
    /// Namespaces with a line, in turn, each once.
    turns: VecDeque<String>,
    /// Their keys, by when they became due. None is empty.
    lines: HashMap<String, BTreeSet<(Instant, K)>>,
}

impl<K> Default for Lines<K> {
    fn default() -> Self {
        Lines { turns: VecDeque::new(), lines: HashMap::new() }
    }
}

impl<K: Ord + Namespaced> Lines<K> {
    /// The key waits from then on.
    pub fn push(&mut self, at: Instant, key: K) {
        if !self.lines.contains_key(key.namespace()) {
            self.turns.push_back(key.namespace().to_owned());
        }
        self.lines.entry(key.namespace().to_owned()).or_default().insert((at, key));
    }

    /// The key does not wait any more.
    pub fn remove(&mut self, entry: &(Instant, K)) {
        let namespace = entry.1.namespace();
        let Some(line) = self.lines.get_mut(namespace) else { return };
        line.remove(entry);
        if line.is_empty() {
            self.lines.remove(namespace);
            self.turns.retain(|turn| turn != namespace);
        }
    }

    /// The oldest key of the first namespace that has room for one more. At most two namespaces hold half of the places or
    /// more, so this looks at no more than three.
    pub fn pop(&mut self, has_room: impl Fn(&str) -> bool) -> Option<K> {
        let turn = self.turns.iter().position(|namespace| has_room(namespace))?;
        let namespace = self.turns.remove(turn)?;
        let line = self.lines.get_mut(&namespace)?;
        let (_, key) = line.pop_first()?;
        if line.is_empty() {
            self.lines.remove(&namespace);
        } else {
            self.turns.push_back(namespace);
        }
        Some(key)
    }

    /// Whether several namespaces wait.
    pub fn others_wait(&self) -> bool {
        self.turns.len() > 1
    }

    /// How many keys wait.
    pub fn len(&self) -> usize {
        self.lines.values().map(BTreeSet::len).sum()
    }

    /// Since when the oldest waits.
    pub fn oldest(&self) -> Option<Instant> {
        self.lines.values().filter_map(|line| line.first()).map(|(at, _)| *at).min()
    }
}
