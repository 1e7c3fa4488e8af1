//! A work queue of keys: one key at a time, each with one due time, bounded work in parallel.

use std::{
    collections::{BTreeSet, HashMap, HashSet},
    hash::{DefaultHasher, Hash, Hasher},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::{sync::Notify, time::Instant};

/// What a piece of work says when it is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// It worked: look again after this long.
    After(Duration),
    /// It worked and left something to be seen: look again soon, less soon the more often in a row.
    Soon,
    /// It failed: try again, with growing patience.
    Failed,
    /// Its object is gone.
    Forget,
}

const FIRST_RETRY: Duration = Duration::from_secs(1);
const LAST_RETRY: Duration = Duration::from_secs(300);
const FIRST_SOON: Duration = Duration::from_millis(20);
const LAST_SOON: Duration = Duration::from_secs(2);

/// Keys with their due times.
#[derive(Debug)]
pub struct Queue<K> {
    state: Mutex<State<K>>,
    changed: Notify,
}

#[derive(Debug)]
struct State<K> {
    due: HashMap<K, Instant>,
    order: BTreeSet<(Instant, K)>,
    running: HashSet<K>,
    patience: HashMap<K, Patience>,
}

/// How often in a row a key failed, or was not done yet.
#[derive(Clone, Copy, Debug, Default)]
struct Patience {
    failures: u32,
    soon: u32,
}

impl<K: Clone + Ord + Hash> Default for Queue<K> {
    fn default() -> Self {
        let state =
            State { due: HashMap::new(), order: BTreeSet::new(), running: HashSet::new(), patience: HashMap::new() };
        Queue { state: Mutex::new(state), changed: Notify::new() }
    }
}

impl<K: Clone + Ord + Hash + Send + 'static> Queue<K> {
    /// Something changed: the key is due now.
    pub fn trigger(&self, key: K) {
        self.trigger_after(Duration::ZERO, key);
    }

    /// Something changed that rarely comes alone: the key is due a moment later, once for all of it.
    pub fn trigger_after(&self, delay: Duration, key: K) {
        self.lock().schedule(key, Instant::now() + delay);
        self.changed.notify_one();
    }

    /// How many keys wait or run.
    pub fn depth(&self) -> usize {
        let now = Instant::now();
        let state = self.lock();
        state.order.iter().take_while(|(at, _)| *at <= now).count() + state.running.len()
    }

    /// Takes the next key that is due and not being worked on; waits for one.
    pub async fn take(&self) -> K {
        loop {
            let changed = self.changed.notified();
            let wait = match self.lock().pop(Instant::now()) {
                Ok(key) => return key,
                Err(wait) => wait,
            };
            tokio::select! {
                () = changed => {}
                () = tokio::time::sleep(wait.unwrap_or(LAST_RETRY)) => {}
            }
        }
    }

    /// The work on a key is over.
    pub fn done(&self, key: K, next: Next) {
        let now = Instant::now();
        let mut state = self.lock();
        state.running.remove(&key);
        let patience = state.patience.entry(key.clone()).or_default();
        let delay = match next {
            Next::Forget => None,
            Next::After(delay) => {
                *patience = Patience::default();
                Some(jittered(delay, &key, 0))
            }
            Next::Soon => {
                let delay = doubled(FIRST_SOON, patience.soon, LAST_SOON);
                *patience = Patience { failures: 0, soon: patience.soon + 1 };
                Some(delay)
            }
            Next::Failed => {
                let delay = doubled(FIRST_RETRY, patience.failures, LAST_RETRY);
                let turn = patience.failures;
                *patience = Patience { failures: patience.failures + 1, soon: 0 };
                Some(jittered(delay, &key, turn))
            }
        };
        match delay {
            Some(delay) => state.schedule(key, now + delay),
            None => drop(state.patience.remove(&key)),
        }
        drop(state);
        self.changed.notify_one();
    }

    fn lock(&self) -> MutexGuard<'_, State<K>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<K: Clone + Ord + Hash> State<K> {
    /// The earlier of two due times counts.
    fn schedule(&mut self, key: K, at: Instant) {
        if let Some(known) = self.due.get(&key).copied() {
            if known <= at {
                return;
            }
            self.order.remove(&(known, key.clone()));
        }
        self.due.insert(key.clone(), at);
        self.order.insert((at, key));
    }

    fn pop(&mut self, now: Instant) -> Result<K, Option<Duration>> {
        let ready = self.order.iter().take_while(|(at, _)| *at <= now);
        let Some(key) = ready.map(|(_, key)| key).find(|key| !self.running.contains(*key)).cloned() else {
            let next = self.order.iter().find(|(at, _)| *at > now).map(|(at, _)| *at - now);
            return Err(next);
        };
        if let Some(at) = self.due.remove(&key) {
            self.order.remove(&(at, key.clone()));
        }
        self.running.insert(key.clone());
        Ok(key)
    }
}

/// Runs `work` for every due key, at most `limit` at once, until `stop`; then waits for what runs. Dropping this aborts it.
pub async fn serve<K, W>(queue: Arc<Queue<K>>, limit: usize, stop: tokio_util::sync::CancellationToken, work: W)
where
    K: Clone + Ord + Hash + Send + Sync + 'static,
    W: AsyncWork<K>,
{
    let mut tasks = tokio::task::JoinSet::new();
    loop {
        while tasks.try_join_next().is_some() {}
        let room = tasks.len() < limit.max(1);
        tokio::select! {
            () = stop.cancelled() => break,
            key = queue.take(), if room => {
                let (queue, work) = (Arc::clone(&queue), work.clone());
                tasks.spawn(async move {
                    let next = work.work(key.clone()).await;
                    queue.done(key, next);
                });
            }
            _ = tasks.join_next(), if !room => {}
        }
    }
    while tasks.join_next().await.is_some() {}
}

/// What is done for a key. It does not panic: whoever implements it catches.
#[async_trait::async_trait]
pub trait AsyncWork<K>: Clone + Send + Sync + 'static {
    /// Does it.
    async fn work(&self, key: K) -> Next;
}

fn doubled(first: Duration, times: u32, last: Duration) -> Duration {
    first.saturating_mul(1u32.checked_shl(times.min(20)).unwrap_or(u32::MAX)).min(last)
}

/// Up to 2 % and at most a second later, the same for the same key and turn: a fleet does not wake at once.
fn jittered<K: Hash>(delay: Duration, key: &K, turn: u32) -> Duration {
    let mut hasher = DefaultHasher::new();
    (key, turn).hash(&mut hasher);
    let share = f64::from((hasher.finish() % 1000) as u32) / 1000.0;
    delay + delay.mul_f64(0.02).min(Duration::from_secs(1)).mul_f64(share)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_key_is_never_worked_on_twice_at_once_and_a_trigger_meanwhile_counts() {
        let queue = Queue::<&str>::default();
        queue.trigger("a");
        queue.trigger("a");
        assert_eq!(queue.take().await, "a");
        queue.trigger("a");
        queue.trigger("b");
        assert_eq!(queue.take().await, "b", "a is being worked on");
        queue.done("a", Next::After(Duration::from_secs(600)));
        assert_eq!(queue.take().await, "a", "the trigger that came meanwhile");
    }

    #[tokio::test(start_paused = true)]
    async fn failures_are_retried_with_growing_patience_until_success() {
        let queue = Queue::<&str>::default();
        queue.trigger("a");
        let mut waits = Vec::new();
        for _ in 0..11 {
            let before = Instant::now();
            queue.take().await;
            waits.push(before.elapsed().as_secs());
            queue.done("a", Next::Failed);
        }
        assert_eq!(waits, [0, 1, 2, 4, 8, 16, 32, 64, 128, 256, 300].map(|s: u64| s));
        queue.take().await;
        queue.done("a", Next::After(Duration::ZERO));
        queue.take().await;
        queue.done("a", Next::Failed);
        let before = Instant::now();
        queue.take().await;
        assert_eq!(before.elapsed().as_secs(), 1, "success resets");
    }

    #[tokio::test(start_paused = true)]
    async fn a_key_that_is_gone_is_forgotten() {
        let queue = Queue::<&str>::default();
        queue.trigger("a");
        queue.take().await;
        queue.done("a", Next::Forget);
        assert_eq!(queue.depth(), 0);
        assert!(tokio::time::timeout(Duration::from_secs(3600), queue.take()).await.is_err());
    }
}
