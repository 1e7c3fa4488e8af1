//! Whether the watches live: each stream says when it works and when it fails.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tokio::time::Instant;

/// A stream that has only failed for this long makes the process unhealthy (kube rule 2).
const PATIENCE: Duration = Duration::from_secs(300);

/// One watch stream.
#[derive(Debug)]
pub struct Health {
    /// The kind it watches.
    pub kind: String,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    synced: bool,
    failing_since: Option<Instant>,
}

impl Health {
    /// An event arrived.
    pub fn works(&self) {
        self.lock().failing_since = None;
    }

    /// An error arrived.
    pub fn fails(&self) {
        self.lock().failing_since.get_or_insert_with(Instant::now);
    }

    /// The first list is complete.
    pub fn is_synced(&self) {
        self.lock().synced = true;
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// All watch streams.
#[derive(Clone, Debug, Default)]
pub struct Streams {
    all: Arc<Mutex<Vec<Arc<Health>>>>,
}

impl Streams {
    /// A new stream of this kind.
    pub fn add(&self, kind: &str) -> Arc<Health> {
        let health = Arc::new(Health { kind: kind.to_owned(), state: Mutex::default() });
        self.lock().push(Arc::clone(&health));
        health
    }

    /// A stream has ended for good.
    pub fn remove(&self, health: &Arc<Health>) {
        self.lock().retain(|other| !Arc::ptr_eq(other, health));
    }

    /// Kinds whose stream has only failed for five minutes.
    pub fn dead(&self) -> Vec<String> {
        let dead = |state: &State| state.failing_since.is_some_and(|since| since.elapsed() >= PATIENCE);
        self.lock().iter().filter(|health| dead(&health.lock())).map(|health| health.kind.clone()).collect()
    }

    /// Kinds whose first list is not complete.
    pub fn unsynced(&self) -> Vec<String> {
        self.lock().iter().filter(|health| !health.lock().synced).map(|health| health.kind.clone()).collect()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<Arc<Health>>> {
        self.all.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_stream_is_dead_only_after_five_minutes_of_nothing_but_errors() {
        let streams = Streams::default();
        let health = streams.add("Pod");
        health.fails();
        tokio::time::advance(Duration::from_secs(299)).await;
        assert!(streams.dead().is_empty());
        tokio::time::advance(Duration::from_secs(2)).await;
        health.fails();
        assert_eq!(streams.dead(), ["Pod"]);
        health.works();
        assert!(streams.dead().is_empty());
        assert_eq!(streams.unsynced(), ["Pod"]);
        health.is_synced();
        assert!(streams.unsynced().is_empty());
    }
}
