//! Which key is next: due times, one piece of work per key at a time, and places shared fairly among namespaces.
//!
//! Keys that are due wait in a line of their namespace, and namespaces take turns. One namespace never has all places, and
//! no more than half of them while others wait, so that slow writes of one team (a hanging admission webhook) do not hold
//! up the others. An urgent key, one whose users or operators wait, goes before all that are not, and finds one of a few
//! places that are kept for such keys: an abort does not wait for a fleet that is being updated. No operation looks at
//! more than the keys that it moves.

mod lines;

use std::{
    collections::{BTreeSet, HashMap, HashSet},
    hash::Hash,
    time::Duration,
};

use lines::Lines;
pub use lines::Namespaced;
use tokio::time::Instant;

/// Fewer places than this are not worth keeping one free.
const SPARE_FROM: usize = 4;

/// One place more for urgent keys for so many.
const PLACES_PER_URGENT: usize = 8;

/// Keys by when they are due.
#[derive(Debug)]
pub struct Order<K> {
    /// How many keys may be worked on at once, urgent ones apart.
    places: usize,
    /// When each key is due, wherever it is.
    due: HashMap<K, Instant>,
    /// Those that go first.
    urgent: HashSet<K>,
    /// Keys that are not due yet.
    later: BTreeSet<(Instant, K)>,
    /// Keys that are due and not being worked on.
    waiting: Lines<K>,
    /// Urgent ones.
    first: Lines<K>,
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
            urgent: HashSet::new(),
            later: BTreeSet::new(),
            waiting: Lines::default(),
            first: Lines::default(),
            running: HashSet::new(),
            held: HashMap::new(),
        }
    }

    /// How many keys may be worked on at once, with the urgent ones.
    pub fn most(&self) -> usize {
        self.places + if self.places < SPARE_FROM { 0 } else { self.places.div_ceil(PLACES_PER_URGENT) }
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

    /// The key is due now, and goes before all that are not urgent.
    pub fn schedule_first(&mut self, key: K, now: Instant) {
        if self.urgent.insert(key.clone())
            && let Some(known) = self.due.remove(&key)
        {
            let entry = (known, key.clone());
            if !self.later.remove(&entry) {
                self.waiting.remove(&entry);
            }
        }
        self.schedule(key, now);
    }

    /// The next key, which is being worked on from now on. Else how long until one is due, if any is.
    pub fn pop(&mut self, now: Instant) -> Result<K, Option<Duration>> {
        self.line_up(now);
        let Some(key) = self.next_in_turn() else {
            return Err(self.later.first().map(|(at, _)| at.saturating_duration_since(now)));
        };
        self.due.remove(&key);
        self.urgent.remove(&key);
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
        self.first.len() + self.waiting.len() + self.running.len()
    }

    /// Since when the oldest key waits that is due, also for the end of its own work.
    pub fn oldest_due(&mut self, now: Instant) -> Option<Instant> {
        self.line_up(now);
        let again = self.running.iter().filter_map(|key| self.due.get(key)).copied().filter(|at| *at <= now);
        again.chain(self.first.oldest()).chain(self.waiting.oldest()).min()
    }

    /// Moves keys whose time has come into their lines.
    fn line_up(&mut self, now: Instant) {
        while let Some((at, key)) = self.later.pop_first() {
            if at > now {
                self.later.insert((at, key));
                return;
            }
            let lines = if self.urgent.contains(&key) { &mut self.first } else { &mut self.waiting };
            lines.push(at, key);
        }
    }

    fn next_in_turn(&mut self) -> Option<K> {
        let (running, extra) = (self.running.len(), self.most() - self.places);
        let held = |namespace: &str| self.held.get(namespace).copied().unwrap_or(0);
        if running < self.places + extra {
            let most = share(self.places, self.first.others_wait()) + extra;
            if let Some(key) = self.first.pop(|namespace| held(namespace) < most) {
                return Some(key);
            }
        }
        let most = share(self.places, self.waiting.others_wait());
        (running < self.places).then(|| self.waiting.pop(|namespace| held(namespace) < most))?
    }
}

/// How many places a namespace may have.
fn share(places: usize, others_wait: bool) -> usize {
    match (others_wait, places) {
        (true, places) => places.div_ceil(2),
        // The next one that comes finds a place at once.
        (false, places) if places >= SPARE_FROM => places - 1,
        (false, places) => places,
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

    #[tokio::test(start_paused = true)]
    async fn an_urgent_key_goes_before_those_that_wait_longer_and_finds_a_place() {
        let now = Instant::now();
        let mut order = Order::new(16);
        for namespace in 0..3 {
            (0..40).for_each(|name| order.schedule(Key(namespace, name), now));
        }
        let running: Vec<Key> = std::iter::from_fn(|| order.pop(now).ok()).collect();
        assert_eq!(running.len(), 16);
        let later = now + Duration::from_secs(1);
        order.schedule_first(Key(1, 39), later);
        assert_eq!(order.pop(later), Ok(Key(1, 39)), "all places are taken, but one is kept for it");
        order.schedule_first(Key(2, 50), later);
        order.schedule_first(Key(2, 51), later);
        assert_eq!(order.pop(later), Ok(Key(2, 50)), "also one that was not due");
        assert_eq!(order.pop(later), Err(None), "there are two such places");
        order.finish(&running[0]);
        assert_eq!(order.pop(later), Ok(Key(2, 51)), "and it goes first");
        order.finish(&Key(1, 39));
        assert_eq!(order.pop(later), Err(None), "the others have their 16 places, not more");
    }

    #[tokio::test(start_paused = true)]
    async fn a_key_that_becomes_urgent_while_it_is_worked_on_is_first_afterwards() {
        let now = Instant::now();
        let mut order = Order::new(1);
        order.schedule(Key(0, 0), now);
        assert_eq!(order.pop(now), Ok(Key(0, 0)));
        (1..9).for_each(|name| order.schedule(Key(0, name), now));
        order.schedule_first(Key(0, 0), now + Duration::from_secs(1));
        order.finish(&Key(0, 0));
        assert_eq!(order.pop(now + Duration::from_secs(1)), Ok(Key(0, 0)));
        order.finish(&Key(0, 0));
        order.schedule(Key(0, 0), now + Duration::from_secs(1));
        assert_eq!(order.pop(now + Duration::from_secs(1)), Ok(Key(0, 1)), "urgent once");
    }

    #[tokio::test(start_paused = true)]
    async fn m10_urgent_keys_of_one_namespace_leave_places_to_the_others() {
        let now = Instant::now();
        let mut order = Order::new(16);
        (0..40).for_each(|name| order.schedule_first(Key(0, name), now));
        (0..40).for_each(|name| order.schedule(Key(1, name), now));
        let taken: Vec<Key> = std::iter::from_fn(|| order.pop(now).ok()).collect();
        assert!(held(&taken, 1) == 0 && held(&taken, 0) == 17, "alone it has all but one: {taken:?}");
        (0..40).for_each(|name| order.schedule_first(Key(1, name), now));
        taken.iter().take(9).for_each(|key| order.finish(key));
        let more: Vec<Key> = std::iter::from_fn(|| order.pop(now).ok()).collect();
        assert!(held(&more, 1) >= 8, "urgent ones of two share: {more:?}");
    }

    proptest! {
        /// Whatever is due and ends in whatever order: no key twice at once, none is forgotten, and a place stays free only
        /// while every namespace that waits has its share.
        #[test]
        fn m10_places_are_shared_fairly(
            places in 1usize..9,
            steps in prop::collection::vec((0usize..4, 0usize..4, 0usize..12, 0u64..3), 1..300),
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
                    3 => {
                        let key = Key(namespace, name);
                        order.schedule_first(key.clone(), now);
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
