//! The whole faulty cluster: what is stored, what goes wrong, what was asked, and the checks on it, under one lock. Time is
//! tokio's virtual time.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use glidepath::ports::Clock;
use jiff::{SignedDuration, Timestamp};
use serde_json::Value;
use tokio::{sync::watch, time::Instant};

use super::{
    checks::Checks,
    faults::{Faults, Window, dice},
    life::Life,
    patches::Applied,
    store::{Key, Store},
    verbs::note_manager,
};

/// Everything behind the lock.
#[derive(Default)]
pub struct Inner {
    pub store: Store,
    pub applied: Applied,
    pub faults: Faults,
    pub life: Life,
    pub checks: Checks,
    /// Kinds whose definition exists and whose version is not served.
    pub unserved: Vec<&'static str>,
    /// Processes that were killed: nothing of theirs arrives any more. By process and incarnation.
    pub killed: Vec<(usize, u32)>,
    /// What a restore goes back to.
    pub backup: Option<Box<Store>>,
    /// From when to when the API server was, or is, not there.
    pub down: Option<(Duration, Duration)>,
    /// Every request and deed, with its time.
    pub told: Vec<String>,
    pub counts: BTreeMap<(usize, String), u64>,
    /// All requests so far.
    pub requested: u64,
}

/// A cluster that fails as its seed says.
pub struct FaultyCluster {
    inner: Mutex<Inner>,
    version: watch::Sender<u64>,
    start: Instant,
    base: Timestamp,
    pub seed: u64,
}

impl FaultyCluster {
    /// An empty one, with the definitions of Istio's kinds.
    pub fn new(seed: u64) -> Arc<FaultyCluster> {
        fastrand::seed(seed);
        let base = Timestamp::from_second(1_800_000_000).unwrap();
        let inner = Inner { faults: Faults { seed, windows: Vec::new() }, ..Inner::default() };
        let (version, _) = watch::channel(0);
        Arc::new(FaultyCluster { inner: Mutex::new(inner), version, start: Instant::now(), base, seed })
    }

    /// Looks at, or changes, what is there; watches are notified of what is new.
    pub fn with<R>(&self, change: impl FnOnce(&mut Inner) -> R) -> R {
        let (result, version) = {
            let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
            let result = change(&mut inner);
            (result, inner.store.watched + (u64::from(inner.store.restored) << 40))
        };
        self.version.send_if_modified(|known| std::mem::replace(known, version) != version);
        result
    }

    /// Changes the stored objects at this moment, as anyone but a controller does.
    pub fn edit<R>(&self, change: impl FnOnce(&mut Store, Timestamp) -> R) -> R {
        let time = self.time();
        self.with(|inner| change(&mut inner.store, time))
    }

    /// Another tool, or an operator, changes an object by a merge patch.
    pub fn patch_as(&self, manager: &str, key: &Key, patch: &Value) {
        self.note(format!("{manager} patches {key}"));
        self.edit(|store, now| {
            store.edit(key, now, |object| {
                let before = object.clone();
                json_patch::merge(object, patch);
                note_manager(&before, object, (manager, "Update", ""), now);
            });
        });
    }

    /// Adds a fault, and has open watches look at it.
    pub fn add_fault(&self, window: Window) {
        self.with(|inner| inner.faults.windows.push(window));
        self.version.send_modify(|_| {});
    }

    /// etcd is restored: the API server ends, with all that is under way, and comes back with what was.
    pub fn restore(&self, backup: &Store) {
        let now = self.now();
        let lasts = Duration::from_millis(2_000 + dice(self.seed, "down") % 18_000);
        self.with(|c| {
            c.down = Some((now, now + lasts));
            c.store.restore(backup);
            c.life.restored(&c.store, now);
            c.checks.restored();
        });
    }

    /// Whether a connection of this age is not there any more, or none comes about.
    pub fn is_cut(&self, since: Duration) -> bool {
        let now = self.now();
        self.with(|c| c.down.is_some_and(|(from, until)| since <= from || now < until))
    }

    /// Tells of every change of what is stored.
    pub fn changed(&self) -> watch::Receiver<u64> {
        self.version.subscribe()
    }

    /// Since the start.
    pub fn now(&self) -> Duration {
        self.start.elapsed()
    }

    /// The server's time.
    pub fn time(&self) -> Timestamp {
        self.base + SignedDuration::try_from(self.now()).unwrap()
    }

    /// No one runs, and then it is so much later: what a stopped process sees.
    pub async fn leap(&self, time: Duration) {
        tokio::time::advance(time).await;
    }

    /// A line for whoever reads a failure.
    pub fn note(&self, line: impl AsRef<str>) {
        let at = self.now().as_secs_f64();
        self.with(|inner| inner.told.push(format!("{at:9.3} {}", line.as_ref())));
    }
}

/// A process's own clock: the server's, and how far it is off.
pub struct SkewedClock {
    pub cluster: Arc<FaultyCluster>,
    pub skew: SignedDuration,
}

impl Clock for SkewedClock {
    fn now(&self) -> Timestamp {
        self.cluster.time() + self.skew
    }
}
