//! Whether the watches live: when each stream last gave a sign of life, and what is in its way.

use std::{
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use tokio::{sync::Notify, time::Instant};

use super::{repeated::Repeated, watch::failure::Failure};

/// No response at all on a stream for this long, neither events nor errors: a restart may help, because it reloads
/// credentials and trust anchors and opens new connections. Below ten minutes kubelet would lengthen its own backoff
/// from restart to restart.
const UNHEARD: Duration = Duration::from_secs(600);
/// The start waits this much longer for kinds that the cluster may do without.
const OPTIONAL: Duration = Duration::from_secs(10);
/// A refusal may be over soon: an API server that has just begun knows no roles yet.
const REFUSED: Duration = Duration::from_secs(30);
/// A stream of an optional kind that was silent for this long shows what may not be so any more.
const STALE: Duration = Duration::from_secs(360);

/// An outage that was shorter ends without a word.
const WORTH_SAYING: Duration = Duration::from_secs(5);

/// One watch stream.
#[derive(Debug)]
pub struct Health {
    /// The kind it watches.
    pub kind: String,
    /// Whether the process works without it.
    optional: bool,
    /// How often a restore of etcd was found, by any stream. What was listed before the last one says nothing.
    restores: Arc<Restores>,
    /// The API server cannot be reached, by any stream.
    outage: Arc<Repeated>,
    state: Mutex<State>,
}

/// How often a restore of etcd was found. Who waits for the next is woken in turn, so that a history can be replayed.
#[derive(Debug, Default)]
struct Restores {
    count: AtomicU64,
    found: Notify,
}

impl Restores {
    fn count(&self) -> u64 {
        self.count.load(Ordering::SeqCst)
    }

    /// One more, unless another stream has counted it already.
    fn found_after(&self, known: u64) {
        if self.count.compare_exchange(known, known + 1, Ordering::SeqCst, Ordering::SeqCst).is_ok() {
            self.found.notify_waiters();
        }
    }
}

#[derive(Debug)]
struct State {
    /// The restores that the last complete list came after.
    listed: Option<u64>,
    /// There is nothing to watch: the cluster does not have the kind, or no Rollout needs it.
    absent: bool,
    /// When a Rollout first needed the kind.
    needed: Option<Instant>,
    /// The last sign of life; at first the beginning.
    lived: Instant,
    /// The last time that the API server said anything; at first the beginning.
    heard: Instant,
    trouble: Option<Trouble>,
    /// The server was away, not a connection alone: it may be back from a backup, so a new list is needed.
    away: bool,
    torn: u64,
}

impl State {
    /// No more than ten seconds, and never for a kind that is refused.
    fn is_first_listing(&self) -> bool {
        let recent = self.needed.is_some_and(|since| since.elapsed() < OPTIONAL);
        recent && self.listed.is_none() && !self.absent && !self.is_refused()
    }

    fn is_refused(&self) -> bool {
        self.trouble.as_ref().is_some_and(Trouble::is_refusal)
    }
}

/// What is in a stream's way.
#[derive(Clone, Debug)]
struct Trouble {
    since: Instant,
    code: Option<u16>,
    text: String,
    /// The connection broke, and was not re-established since.
    broken: bool,
}

impl Trouble {
    /// The server does not let us watch the kind, or says that it does not have it.
    fn is_refusal(&self) -> bool {
        matches!(self.code, Some(403 | 404))
    }
}

impl Health {
    fn new(kind: &str, optional: bool, restores: Arc<Restores>, outage: Arc<Repeated>) -> Self {
        let now = Instant::now();
        let state = State {
            listed: None,
            absent: false,
            needed: None,
            lived: now,
            heard: now,
            trouble: None,
            away: false,
            torn: 0,
        };
        Health { kind: kind.to_owned(), optional, restores, outage, state: Mutex::new(state) }
    }

    /// A page of a list, the answer to a watch, an event or a bookmark arrived.
    pub fn lives(&self) {
        let mut state = self.lock();
        (state.lived, state.heard) = (Instant::now(), Instant::now());
        (state.absent, state.trouble) = (false, None);
        drop(state);
        if let Some(lasted) = self.outage.over().filter(|lasted| *lasted >= WORTH_SAYING) {
            tracing::info!(after_seconds = lasted.as_secs(), "the API server responds again");
        }
    }

    /// The outage that all streams share.
    pub fn outage(&self) -> &Repeated {
        &self.outage
    }

    /// A list or a watch failed.
    pub fn fails(&self, failure: &Failure) {
        let mut state = self.lock();
        let code = failure.code();
        // Credentials that are not taken may be old ones: they are read when the process begins.
        if code.is_some_and(|code| code != 401) {
            state.heard = Instant::now();
        }
        state.torn += u64::from(matches!(failure, Failure::Endless(_)));
        let (broken, before) = (matches!(failure, Failure::Broken(_)), state.trouble.take());
        let was_broken = before.as_ref().is_some_and(|before| before.broken);
        state.away |= broken && was_broken;
        let since = before.map_or_else(Instant::now, |before| before.since);
        state.trouble = Some(Trouble { since, code, text: failure.to_string(), broken: broken || was_broken });
    }

    /// A list is complete that came after so many restores.
    pub fn listed(&self, restores: u64) {
        let mut state = self.lock();
        (state.listed, state.away) = (Some(restores), false);
    }

    /// Whether what is known was listed after the last restore, and the server has not been away since.
    pub fn is_listed(&self) -> bool {
        let restores = self.restores();
        let state = self.lock();
        state.listed == Some(restores) && !state.away
    }

    /// Whether it has to be listed before what is known is relied on: again, or for the first Rollout that needs it. An
    /// optional kind is waited for as long as a short trouble may last.
    fn is_relisting(&self) -> bool {
        let listed = self.is_listed();
        let state = self.lock();
        let again = state.listed.is_some() && (!self.optional || state.lived.elapsed() < REFUSED);
        !listed && (again || state.is_first_listing())
    }

    /// How many restores were found.
    pub fn restores(&self) -> u64 {
        self.restores.count()
    }

    /// Returns when a restore is found beyond so many.
    pub async fn restored_beyond(&self, known: u64) {
        let found = self.restores.found.notified();
        tokio::pin!(found);
        found.as_mut().enable();
        if self.restores() == known {
            found.await;
        }
    }

    /// This stream found that versions went back since its last list. The first to find it says so to all; gives the number
    /// of restores by now.
    pub fn restored(&self) -> u64 {
        let listed = self.lock().listed;
        if let Some(listed) = listed {
            self.restores.found_after(listed);
        }
        self.restores()
    }

    /// The cluster does not have the kind, or no Rollout needs it.
    pub fn absent(&self) {
        let mut state = self.lock();
        (state.absent, state.listed, state.away, state.trouble) = (true, None, false, None);
    }

    /// A Rollout needs the kind: from now on it is looked for.
    pub fn needed(&self) {
        let (mut state, now) = (self.lock(), Instant::now());
        (state.absent, state.needed, state.lived, state.heard) = (false, Some(now), now, now);
    }

    /// Whether the server says that it does not have the kind.
    pub fn is_missing(&self) -> bool {
        self.lock().trouble.as_ref().is_some_and(|trouble| trouble.code == Some(404))
    }

    /// Why what is known of the kind cannot be relied on; `None` when it can.
    pub fn unreliable(&self) -> Option<String> {
        let listed = self.is_listed() || self.is_relisting();
        let state = self.lock();
        let trouble = state.trouble.as_ref();
        let text = || trouble.map_or_else(|| "not listed yet".to_owned(), |trouble| trouble.text.clone());
        let refused = trouble.is_some_and(|trouble| trouble.is_refusal() && trouble.since.elapsed() >= REFUSED);
        (!listed || refused || state.lived.elapsed() >= STALE).then(text)
    }

    /// Whether the start need not wait for it any more.
    fn is_settled(&self, waited: bool) -> bool {
        let state = self.lock();
        let listed = state.listed.is_some();
        listed || self.optional && (state.absent || waited || state.is_refused())
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
    restores: Arc<Restores>,
    outage: Arc<Repeated>,
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
        self.insert(Health::new(kind, false, Arc::clone(&self.restores), Arc::clone(&self.outage)))
    }

    /// A stream of a kind that a cluster may lack, or not let us see.
    pub fn add_optional(&self, kind: &str) -> Arc<Health> {
        self.insert(Health::new(kind, true, Arc::clone(&self.restores), Arc::clone(&self.outage)))
    }

    fn insert(&self, health: Health) -> Arc<Health> {
        let health = Arc::new(health);
        self.lock().streams.push(Arc::clone(&health));
        health
    }

    /// How many restores were found.
    pub fn restores(&self) -> u64 {
        self.restores.count()
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
        if all.ready.is_none() && all.streams.iter().all(|health| health.optional || health.lock().listed.is_some()) {
            all.ready = Some(Instant::now());
        }
        let waited = all.ready.is_some_and(|since| since.elapsed() >= OPTIONAL);
        all.streams.iter().filter(|health| !health.is_settled(waited)).map(|health| health.told()).collect()
    }

    /// Kinds that all work waits for: after a restore of etcd some tables show what was before it and others what is now, and
    /// an API server that was away may be back from a backup.
    pub fn relisting(&self) -> Vec<String> {
        let all = self.lock();
        all.streams.iter().filter(|health| health.is_relisting()).map(|health| health.told()).collect()
    }

    /// The time since each stream's last sign of life, for the kinds that the cluster has.
    pub fn ages(&self) -> Vec<(String, Duration)> {
        let all = self.lock();
        let watched = all.streams.iter().filter(|health| !health.lock().absent);
        watched.map(|health| (health.kind.clone(), health.lock().lived.elapsed())).collect()
    }

    /// How often each stream was torn down because it did not end.
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
        pods.listed(0);
        routes.fails(&answered(403));
        assert_eq!(streams.unsynced(), ["DestinationRule"]);
        pass(11).await;
        assert!(streams.unsynced().is_empty());
        assert!(rules.unreliable().is_some() && routes.unreliable().is_some());
        rules.listed(0);
        rules.lives();
        assert_eq!(rules.unreliable(), None);
    }

    /// M6's kind: a connection that breaks is resumed; an API server that was away is relisted before anything is decided.
    #[tokio::test(start_paused = true)]
    async fn what_a_server_said_before_it_was_away_is_not_relied_on() {
        let streams = Streams::default();
        let (pods, routes) = (streams.add("Pod"), streams.add_optional("VirtualService"));
        let broken = || Failure::Broken("connection reset".into());
        for health in [&pods, &routes] {
            health.lives();
            health.listed(0);
            health.fails(&broken());
        }
        assert!(
            streams.relisting().is_empty() && routes.unreliable().is_none(),
            "a connection that broke, not a server"
        );
        pods.lives();
        pods.fails(&broken());
        assert!(streams.relisting().is_empty(), "it was re-established meanwhile");
        pods.fails(&broken());
        routes.fails(&broken());
        let both = ["Pod (connection reset)", "VirtualService (connection reset)"];
        assert_eq!(streams.relisting(), both);
        assert!(routes.unreliable().is_none(), "no Rollout reports a short outage");
        assert!(streams.unsynced().is_empty(), "nor is readiness lost");
        pass(31).await;
        assert_eq!(streams.relisting(), ["Pod (connection reset)"], "an optional kind is not waited for without end");
        assert!(routes.unreliable().is_some());
        pods.lives();
        assert_eq!(streams.relisting(), ["Pod"], "a watch that resumes may hide what a backup lacks");
        pods.listed(0);
        assert!(streams.relisting().is_empty());
    }

    /// A watch whose history is gone is relisted, and the cache stays in use in the meantime: a routine 410 stops no
    /// work.
    #[tokio::test(start_paused = true)]
    async fn a_watch_that_expired_stops_no_work() {
        let streams = Streams::default();
        let (pods, routes) = (streams.add("Pod"), streams.add_optional("VirtualService"));
        for (health, code) in [(&pods, 410), (&routes, 410), (&routes, 404)] {
            health.lives();
            health.listed(0);
            health.fails(&answered(code));
        }
        assert!(streams.relisting().is_empty() && routes.unreliable().is_none());
    }

    /// A brief refusal (an API server that has just started) blocks no Rollout (H3).
    #[tokio::test(start_paused = true)]
    async fn what_is_known_is_relied_on_through_a_short_refusal() {
        let streams = Streams::default();
        let health = streams.add_optional("VirtualService");
        health.lives();
        health.listed(0);
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

    /// M6's kind: after a restore, found by several streams in turn, nothing is decided until all are relisted, each once.
    #[tokio::test(start_paused = true)]
    async fn after_a_restore_the_work_waits_for_all_lists() {
        let streams = Streams::default();
        let all = ["Pod", "Service", "Rollout"].map(|kind| streams.add(kind));
        all.iter().for_each(|health| health.listed(0));
        assert!(streams.relisting().is_empty());
        // Each begins its list when the one before has found the restore, and its own list shows it too.
        for (place, health) in all.iter().enumerate() {
            let found = health.restored();
            health.listed(found);
            assert_eq!((found, streams.relisting().len()), (1, all.len() - place - 1));
        }
        assert!(streams.unsynced().is_empty());
    }
}
