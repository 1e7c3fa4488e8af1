//! Which key is next: due times, one piece of work per key at a time, and places shared fairly among namespaces.
//!
//! Keys that are due wait in a line of their namespace, and namespaces take turns. One namespace never has all places, and
//! no more than half of them while others wait, so that slow writes of one team (a hanging admission webhook) do not hold
//! up the others. No operation looks at more than the keys that it moves.

use std::{
    collections::{BTreeSet, HashMap, HashSet, VecDeque},
    hash::Hash,
    time::Duration,
};

use tokio::time::Instant;

/// A key that belongs to a namespace.
pub trait Namespaced {
    /// The namespace.
    fn namespace(&self) -> &str;
}

/// Fewer places than this are not worth keeping one free.
const SPARE_FROM: usize = 4;

/// Keys by when they are due.
#[derive(Debug)]
pub struct Order<K> {
    /// How many keys may be worked on at once.
    places: usize,
    /// When each key is due, wherever it is.
    due: HashMap<K, Instant>,
    /// Keys that are not due yet.
    later: BTreeSet<(Instant, K)>,
    /// Namespaces with keys that are due and not being worked on, in turn, each once.
    turns: VecDeque<String>,
    /// Those keys, by namespace. None is empty.
    lines: HashMap<String, BTreeSet<(Instant, K)>>,
    /// Keys in progress. One that is due again in the meantime is in no queue.
    running: HashSet<K>,
    /// How many of them each namespace has. None is 0.
    held: HashMap<String, usize>,
}

impl<K: Clone + Ord + Hash + Namespaced> Order<K> {
    /// Nothing is due yet.
    pub fn new(places: usize) -> Self {
        Order {
            places: places.max(1),
            due: HashMap::new(),
            later: BTreeSet::new(),
            turns: VecDeque::new(),
            lines: HashMap::new(),
            running: HashSet::new(),
            held: HashMap::new(),
        }
    }

    /// The key is due then. The earlier of two times counts.
    pub fn schedule(&mut self, key: K, at: Instant) {
        if let Some(known) = self.due.get(&key).copied() {
            if known <= at {
                return;
            }
            self.later.remove(&(known, key.clone()));
        }
        self.due.insert(key.clone(), at);
        if !self.running.contains(&key) {
            self.later.insert((at, key));
        }
    }

    /// The next key, which is being worked on from now on. Else how long until one is due, if any is.
    pub fn pop(&mut self, now: Instant) -> Result<K, Option<Duration>> {
        self.line_up(now);
        let Some(key) = self.next_in_turn() else {
            return Err(self.later.first().map(|(at, _)| at.saturating_duration_since(now)));
        };
        self.due.remove(&key);
        *self.held.entry(key.namespace().to_owned()).or_default() += 1;
        self.running.insert(key.clone());
        Ok(key)
    }

    /// The key is no longer in progress. If it became due in the meantime, it is due now.
    pub fn finish(&mut self, key: &K) {
        if !self.running.remove(key) {
            return;
        }
        if let Some(held) = self.held.get_mut(key.namespace()) {
            *held -= 1;
            if *held == 0 {
                self.held.remove(key.namespace());
            }
        }
        if let Some(at) = self.due.get(key) {
            self.later.insert((*at, key.clone()));
        }
    }

    /// How many keys are due or being worked on.
    pub fn depth(&mut self, now: Instant) -> usize {
        self.line_up(now);
        self.lines.values().map(BTreeSet::len).sum::<usize>() + self.running.len()
    }

    /// Since when the oldest key waits that is due, also for the end of its own work.
    pub fn oldest_due(&mut self, now: Instant) -> Option<Instant> {
        self.line_up(now);
        let waiting = self.lines.values().filter_map(|line| line.first()).map(|(at, _)| *at);
        let again = self.running.iter().filter_map(|key| self.due.get(key)).copied().filter(|at| *at <= now);
        waiting.chain(again).min()
    }

    /// Moves keys whose time has come into their lines.
    fn line_up(&mut self, now: Instant) {
        while let Some((at, key)) = self.later.pop_first() {
            if at > now {
                self.later.insert((at, key));
                return;
            }
            let line = self.lines.entry(key.namespace().to_owned()).or_default();
            if line.is_empty() {
                self.turns.push_back(key.namespace().to_owned());
            }
            line.insert((at, key));
        }
    }

    /// The oldest key of the first namespace that may have a place more. At most two namespaces hold half of the places or
    /// more, so this looks at no more than three.
    fn next_in_turn(&mut self) -> Option<K> {
        let others_wait = self.turns.len() > 1;
        let turn = self.turns.iter().position(|namespace| self.has_room(namespace, others_wait))?;
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

    fn has_room(&self, namespace: &str, others_wait: bool) -> bool {
        let most = match (others_wait, self.places) {
            (true, places) => places.div_ceil(2),
            // The next one that comes finds a place at once.
            (false, places) if places >= SPARE_FROM => places - 1,
            (false, places) => places,
        };
        self.held.get(namespace).copied().unwrap_or(0) < most
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A key `namespace/name`.
    #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
    struct Key(usize, usize);

    const NAMESPACES: [&str; 4] = ["a", "b", "c", "d"];

    impl Namespaced for Key {
        fn namespace(&self) -> &str {
            NAMESPACES[self.0]
        }
    }

    fn held(running: &[Key], namespace: usize) -> usize {
        running.iter().filter(|key| key.0 == namespace).count()
    }

    #[tokio::test(start_paused = true)]
    async fn m10_a_namespace_with_slow_work_leaves_places_to_the_others() {
        let now = Instant::now();
        let mut order = Order::new(16);
        (0..40).for_each(|name| order.schedule(Key(0, name), now));
        let slow: Vec<Key> = std::iter::from_fn(|| order.pop(now).ok()).collect();
        assert_eq!(slow.len(), 15, "one place is kept for whoever comes next");
        (0..20).for_each(|name| order.schedule(Key(1, name), now));
        assert_eq!(order.pop(now), Ok(Key(1, 0)), "at once");
        // The slow ones end one by one: the other namespace has half of the places before the first has one more.
        for (ended, key) in slow.iter().take(7).enumerate() {
            order.finish(key);
            assert_eq!(order.pop(now), Ok(Key(1, ended + 1)));
        }
        order.finish(&slow[7]);
        assert_eq!(order.pop(now).unwrap().0, 0);
    }

    #[tokio::test(start_paused = true)]
    async fn a_single_namespace_has_all_places_but_one() {
        let now = Instant::now();
        for (places, expected) in [(1, 1), (3, 3), (4, 3), (16, 15)] {
            let mut order = Order::new(places);
            (0..40).for_each(|name| order.schedule(Key(0, name), now));
            assert_eq!(std::iter::from_fn(|| order.pop(now).ok()).count(), expected, "of {places}");
        }
    }

    proptest! {
        /// Whatever is due and ends in whatever order: no key twice at once, none is forgotten, and a place stays free only
        /// while every namespace that waits has its share.
        #[test]
        fn m10_places_are_shared_fairly(
            places in 1usize..9,
            steps in prop::collection::vec((0usize..3, 0usize..4, 0usize..12, 0u64..3), 1..300),
        ) {
            let (mut now, mut order) = (Instant::now(), Order::new(places));
            let (mut running, mut due) = (Vec::<Key>::new(), BTreeSet::new());
            for (what, namespace, name, wait) in steps {
                match what {
                    0 => {
                        let key = Key(namespace, name);
                        order.schedule(key.clone(), now + Duration::from_secs(wait));
                        due.insert(key);
                    }
                    1 if !running.is_empty() => order.finish(&running.swap_remove(name % running.len())),
                    _ => now += Duration::from_secs(wait),
                }
                while running.len() < places {
                    let Ok(key) = order.pop(now) else { break };
                    prop_assert!(due.remove(&key) && !running.contains(&key));
                    running.push(key);
                }
                let waits = |key: &&Key| !running.contains(*key) && order.due[*key] <= now;
                let waiting: BTreeSet<usize> = due.iter().filter(waits).map(|key| key.0).collect();
                let share = match waiting.len() {
                    0 | 1 if places >= SPARE_FROM => places - 1,
                    0 | 1 => places,
                    _ => places.div_ceil(2),
                };
                for namespace in waiting.into_iter().filter(|_| running.len() < places) {
                    prop_assert!(held(&running, namespace) >= share, "{namespace} of {places}: {running:?}");
                }
            }
            // In the end all of it is done.
            now += Duration::from_secs(10);
            let mut left = due.len() + running.len() + 1;
            while left > 0 && !(due.is_empty() && running.is_empty()) {
                running.drain(..).for_each(|key| order.finish(&key));
                while running.len() < places {
                    let Ok(key) = order.pop(now) else { break };
                    due.remove(&key);
                    running.push(key);
                }
                left -= 1;
            }
            prop_assert!(due.is_empty(), "forgotten: {due:?}");
            prop_assert_eq!(order.depth(now), running.len());
        }
    }
}
