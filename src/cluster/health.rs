//! Whether the watches live: when each stream last gave a sign of life, and what is in its way.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::time::Instant;

use super::watch::Failure;

/// Nothing at all was heard on a stream for this long, neither events nor refusals: a new process may do better, for it
/// reads credentials and trust anchors anew and opens new connections. Below ten minutes kubelet would lengthen its own
/// backoff from restart to restart.
const UNHEARD: Duration = Duration::from_secs(600);
/// The start waits this much longer for kinds that the cluster may do without.
const OPTIONAL: Duration = Duration::from_secs(10);
/// A refusal may be over soon: an API server that has just begun knows no roles yet.
const REFUSED: Duration = Duration::from_secs(30);
/// A stream of an optional kind that was silent for this long shows what may not be so any more.
const STALE: Duration = Duration::from_secs(360);

/// One watch stream.
#[derive(Debug)]
pub struct Health {
    /// The kind it watches.
    pub kind: String,
    /// Whether the process works without it.
    optional: bool,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    listed: bool,
    /// There is nothing to watch: the cluster does not have the kind.
    absent: bool,
    /// The last sign of life; at first the beginning.
    lived: Instant,
    /// The last time that the API server said anything; at first the beginning.
    heard: Instant,
    trouble: Option<Trouble>,
    torn: u64,
}

/// What is in a stream's way.
#[derive(Clone, Debug)]
struct Trouble {
    since: Instant,
    code: Option<u16>,
    text: String,
}

impl Health {
    fn new(kind: &str, optional: bool) -> Self {
        let now = Instant::now();
        let state = State { listed: false, absent: false, lived: now, heard: now, trouble: None, torn: 0 };
        Health { kind: kind.to_owned(), optional, state: Mutex::new(state) }
    }

    /// A page of a list, the answer to a watch, an event or a bookmark arrived.
    pub fn lives(&self) {
        let mut state = self.lock();
        (state.lived, state.heard) = (Instant::now(), Instant::now());
        (state.absent, state.trouble) = (false, None);
    }

    /// A list or a watch failed.
    pub fn fails(&self, failure: &Failure) {
        let mut state = self.lock();
        let code = failure.code();
        // Credentials that are not taken may be old ones: they are read when the process begins.
        if code.is_some_and(|code| code != 401) {
            state.heard = Instant::now();
        }
        state.torn += u64::from(matches!(failure, Failure::Silent(_)));
        let since = state.trouble.as_ref().map_or_else(Instant::now, |trouble| trouble.since);
        state.trouble = Some(Trouble { since, code, text: failure.to_string() });
    }

    /// A list is complete.
    pub fn listed(&self) {
        self.lock().listed = true;
    }

    /// The cluster does not have the kind.
    pub fn absent(&self) {
        let mut state = self.lock();
        (state.absent, state.listed, state.trouble) = (true, false, None);
    }

    /// Whether the server says that it does not have the kind.
    pub fn is_missing(&self) -> bool {
        self.lock().trouble.as_ref().is_some_and(|trouble| trouble.code == Some(404))
    }

    /// Why what is known of the kind cannot be relied on; `None` when it can.
    pub fn unreliable(&self) -> Option<String> {
        let state = self.lock();
        let trouble = state.trouble.as_ref();
        let text = || trouble.map_or_else(|| "its list has not come yet".to_owned(), |trouble| trouble.text.clone());
        let refused = trouble.is_some_and(|t| matches!(t.code, Some(403 | 404)) && t.since.elapsed() >= REFUSED);
        (!state.listed || refused || state.lived.elapsed() >= STALE).then(text)
    }

    /// Whether the start need not wait for it any more.
    fn is_settled(&self, waited: bool) -> bool {
        let state = self.lock();
        let refused = || state.trouble.as_ref().is_some_and(|trouble| matches!(trouble.code, Some(403 | 404)));
        state.listed || self.optional && (state.absent || waited || refused())
    }

    /// The kind, and what is in its way.
    fn told(&self) -> String {
        match &self.lock().trouble {
            Some(trouble) => format!("{} ({})", self.kind, trouble.text),
            None => self.kind.clone(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// All watch streams.
#[derive(Clone, Debug, Default)]
pub struct Streams {
    all: Arc<Mutex<All>>,
}

#[derive(Debug, Default)]
struct All {
    streams: Vec<Arc<Health>>,
    /// When everything that is needed was listed.
    ready: Option<Instant>,
}

impl Streams {
    /// A stream that the process cannot work without.
    pub fn add(&self, kind: &str) -> Arc<Health> {
        self.insert(Health::new(kind, false))
    }

    /// A stream of a kind that a cluster may lack, or not let us see.
    pub fn add_optional(&self, kind: &str) -> Arc<Health> {
        self.insert(Health::new(kind, true))
    }

    fn insert(&self, health: Health) -> Arc<Health> {
        let health = Arc::new(health);
        self.lock().streams.push(Arc::clone(&health));
        health
    }

    /// Kinds that a new process may hear of again: nothing was heard of them for ten minutes, not even a refusal. An API
    /// server that refuses or is overloaded is heard, and a restart would change nothing.
    pub fn dead(&self) -> Vec<String> {
        let needed = |health: &&Arc<Health>| !health.optional && health.lock().heard.elapsed() >= UNHEARD;
        self.lock().streams.iter().filter(needed).map(|health| health.told()).collect()
    }

    /// Kinds that the start waits for.
    pub fn unsynced(&self) -> Vec<String> {
        let mut all = self.lock();
        if all.ready.is_none() && all.streams.iter().all(|health| health.optional || health.lock().listed) {
            all.ready = Some(Instant::now());
        }
        let waited = all.ready.is_some_and(|ready| ready.elapsed() >= OPTIONAL);
        all.streams.iter().filter(|health| !health.is_settled(waited)).map(|health| health.told()).collect()
    }

    /// The time since each stream's last sign of life, for the kinds that the cluster has.
    pub fn ages(&self) -> Vec<(String, Duration)> {
        let all = self.lock();
        let watched = all.streams.iter().filter(|health| !health.lock().absent);
        watched.map(|health| (health.kind.clone(), health.lock().lived.elapsed())).collect()
    }

    /// How often each stream was torn down because it gave no sign of life.
    pub fn torn(&self) -> Vec<(String, u64)> {
        self.lock().streams.iter().map(|health| (health.kind.clone(), health.lock().torn)).collect()
    }

    fn lock(&self) -> MutexGuard<'_, All> {
        self.all.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use kube::core::Status;

    use super::*;

    fn answered(code: u16) -> Failure {
        Failure::Answered(Status { code, ..Status::default() }.boxed())
    }

    async fn pass(seconds: u64) {
        tokio::time::advance(Duration::from_secs(seconds)).await;
    }

    /// H4: a watch that fails once and resumes is well, though no event comes for hours.
    #[tokio::test(start_paused = true)]
    async fn a_resumed_watch_is_well_without_any_event() {
        let streams = Streams::default();
        let health = streams.add("HorizontalPodAutoscaler");
        health.fails(&Failure::Broken("connection reset".into()));
        pass(1).await;
        health.lives();
        for _ in 0..120 {
            pass(60).await;
            health.lives();
            assert!(streams.dead().is_empty());
        }
    }

    /// H4: `/livez` fails when a restart may help, and not when the API server says no, or too much, or has trouble itself.
    #[tokio::test(start_paused = true)]
    async fn only_silence_makes_a_process_dead() {
        for (failure, dies) in [
            (Failure::Broken("tls: unknown authority".into()), true),
            (Failure::NoAnswer(Duration::from_secs(60)), true),
            (answered(401), true),
            (answered(403), false),
            (answered(429), false),
            (answered(500), false),
        ] {
            let streams = Streams::default();
            let (needed, optional) = (streams.add("Pod"), streams.add_optional("VirtualService"));
            for _ in 0..20 {
                pass(30).await;
                needed.fails(&failure);
                optional.fails(&failure);
            }
            assert_eq!(streams.dead(), if dies { vec![format!("Pod ({failure})")] } else { Vec::new() });
            needed.lives();
            assert!(streams.dead().is_empty());
        }
    }

    /// H3: the start waits for optional kinds until they are refused, or for ten seconds.
    #[tokio::test(start_paused = true)]
    async fn the_start_does_not_wait_long_for_optional_kinds() {
        let streams = Streams::default();
        let (pods, routes, rules) =
            (streams.add("Pod"), streams.add_optional("VirtualService"), streams.add_optional("DestinationRule"));
        pass(60).await;
        assert_eq!(streams.unsynced(), ["Pod", "VirtualService", "DestinationRule"]);
        pods.listed();
        routes.fails(&answered(403));
        assert_eq!(streams.unsynced(), ["DestinationRule"]);
        pass(11).await;
        assert!(streams.unsynced().is_empty());
        assert!(rules.unreliable().is_some() && routes.unreliable().is_some());
        rules.listed();
        rules.lives();
        assert_eq!(rules.unreliable(), None);
    }

    /// H3: a refusal of a moment (an API server that has just begun) blocks nobody.
    #[tokio::test(start_paused = true)]
    async fn what_is_known_is_relied_on_through_a_short_refusal() {
        let streams = Streams::default();
        let health = streams.add_optional("VirtualService");
        health.lives();
        health.listed();
        health.fails(&answered(403));
        assert_eq!(health.unreliable(), None);
        pass(31).await;
        health.fails(&answered(403));
        assert!(health.unreliable().unwrap().contains("403"));
        health.lives();
        assert_eq!(health.unreliable(), None);
        pass(400).await;
        assert!(health.unreliable().is_some(), "nothing was heard for longer than any watch is silent");
    }
}
