//! A work queue of keys: one key at a time, each with one due time, bounded work in parallel, failures retried with backoff.

mod order;

use std::{
    collections::HashMap,
    hash::{DefaultHasher, Hash, Hasher},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::{sync::Notify, time::Instant};

pub use order::Namespaced;
use order::Order;

use crate::{
    cluster::table::ObjectKey,
    ports::RolloutKey,
    reconcile::retry::{Next, Retries},
    server::Backlog,
};

/// Without a key that is due the queue looks again this often.
const IDLE: Duration = Duration::from_secs(300);

impl Namespaced for RolloutKey {
    fn namespace(&self) -> &str {
        &self.namespace
    }
}

impl Namespaced for ObjectKey {
    fn namespace(&self) -> &str {
        &self.namespace
    }
}

/// Keys with their due times.
#[derive(Debug)]
pub struct Queue<K> {
    /// How many keys are worked on at once, at most.
    most: usize,
    state: Mutex<State<K>>,
    changed: Notify,
}

#[derive(Debug)]
struct State<K> {
    order: Order<K>,
    retries: HashMap<K, Retries>,
}

impl<K: Clone + Ord + Hash + Namespaced + Send + 'static> Queue<K> {
    /// An empty queue whose keys are worked on so many at once, and a few more that are urgent.
    pub fn new(places: usize) -> Self {
        let order = Order::new(places);
        let (most, state) = (order.most(), State { order, retries: HashMap::new() });
        Queue { most, state: Mutex::new(state), changed: Notify::new() }
    }

    /// Something changed: the key is due now.
    pub fn trigger(&self, key: K) {
        self.trigger_after(Duration::ZERO, key);
    }

    /// Something changed that rarely comes alone: the key is due a moment later, once for all of it.
    pub fn trigger_after(&self, delay: Duration, key: K) {
        self.lock().order.schedule(key, Instant::now() + delay);
        self.changed.notify_one();
    }

    /// Users or operators wait for this: the key is due now and goes first.
    pub fn trigger_first(&self, key: K) {
        self.lock().order.schedule_first(key, Instant::now());
        self.changed.notify_one();
    }

    /// Takes the next key that is due and not being worked on; waits for one.
    pub async fn take(&self) -> K {
        loop {
            let changed = self.changed.notified();
            let wait = match self.lock().order.pop(Instant::now()) {
                Ok(key) => return key,
                Err(wait) => wait,
            };
            tokio::select! {
                biased;
                () = changed => {}
                () = tokio::time::sleep(wait.unwrap_or(IDLE)) => {}
            }
        }
    }

    /// The work on a key is over.
    pub fn done(&self, key: K, next: Next) {
        let now = Instant::now();
        let mut state = self.lock();
        let retries = state.retries.entry(key.clone()).or_default();
        let wait = retries.wait(next);
        let turn = retries.failures();
        let delay = wait.map(|wait| if next == Next::Soon { wait } else { jittered(wait, &key, turn) });
        state.order.finish(&key);
        match delay {
            Some(delay) => state.order.schedule(key, now + delay),
            None => drop(state.retries.remove(&key)),
        }
        drop(state);
        self.changed.notify_one();
    }

    fn lock(&self) -> MutexGuard<'_, State<K>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<K: Clone + Ord + Hash + Namespaced + Send + 'static> Backlog for Queue<K> {
    fn depth(&self) -> usize {
        self.lock().order.depth(Instant::now())
    }

    fn oldest_due_age(&self) -> Duration {
        let now = Instant::now();
        self.lock().order.oldest_due(now).map_or(Duration::ZERO, |at| now.saturating_duration_since(at))
    }
}

/// Runs `work` for every due key, as many at once as the queue has places for, until `stop`; then waits for what runs. Dropping
/// this aborts it.
pub async fn serve<K, W>(queue: Arc<Queue<K>>, stop: tokio_util::sync::CancellationToken, work: W)
where
    K: Clone + Ord + Hash + Namespaced + Send + Sync + 'static,
    W: AsyncWork<K>,
{
    let mut tasks = tokio::task::JoinSet::new();
    loop {
        while tasks.try_join_next().is_some() {}
        let room = tasks.len() < queue.most;
        tokio::select! {
            biased;
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

/// What is done for a key. It does not panic: implementations catch panics.
#[async_trait::async_trait]
pub trait AsyncWork<K>: Clone + Send + Sync + 'static {
    /// Does it.
    async fn work(&self, key: K) -> Next;
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

    impl Namespaced for &str {
        fn namespace(&self) -> &str {
            "shop"
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_key_is_never_worked_on_twice_at_once_and_a_trigger_meanwhile_counts() {
        let queue = Queue::<&str>::new(16);
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
    async fn failures_are_retried_with_backoff_until_success() {
        let queue = Queue::<&str>::new(16);
        queue.trigger("a");
        let mut waits = Vec::new();
        for _ in 0..11 {
            let before = Instant::now();
            queue.take().await;
            waits.push(before.elapsed().as_secs());
            queue.done("a", Next::Failed);
        }
        assert_eq!(waits, [0, 1, 2, 4, 8, 16, 32, 60, 60, 60, 60].map(|s: u64| s));
        queue.take().await;
        queue.done("a", Next::After(Duration::ZERO));
        queue.take().await;
        queue.done("a", Next::Failed);
        let before = Instant::now();
        queue.take().await;
        assert_eq!(before.elapsed().as_secs(), 1, "success resets");
    }

    #[tokio::test(start_paused = true)]
    async fn m13_the_age_of_the_oldest_due_key_counts_what_waits_for_its_own_work() {
        let queue = Queue::<&str>::new(16);
        assert_eq!(queue.oldest_due_age(), Duration::ZERO);
        queue.trigger("a");
        queue.take().await;
        queue.trigger("a");
        tokio::time::advance(Duration::from_secs(40)).await;
        queue.trigger("b");
        assert_eq!((queue.oldest_due_age(), queue.depth()), (Duration::from_secs(40), 2));
        queue.done("a", Next::After(Duration::from_secs(600)));
        assert_eq!(queue.take().await, "a");
        assert_eq!(queue.take().await, "b");
        assert_eq!(queue.oldest_due_age(), Duration::ZERO);
    }

    #[tokio::test(start_paused = true)]
    async fn a_key_that_is_gone_is_forgotten() {
        let queue = Queue::<&str>::new(16);
        queue.trigger("a");
        queue.take().await;
        queue.done("a", Next::Forget);
        assert_eq!(queue.depth(), 0);
        assert!(tokio::time::timeout(Duration::from_secs(3600), queue.take()).await.is_err());
    }
}
