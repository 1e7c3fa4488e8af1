//! The election against a Lease in memory, in virtual time: slow, hanging and lost answers, pauses, clocks that are off.

use std::{
    collections::BTreeSet,
    future::poll_fn,
    ops::Range,
    pin::pin,
    sync::{Mutex, atomic::AtomicU64, atomic::Ordering},
    task::Poll,
};

use async_trait::async_trait;
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::coordination::v1::Lease;
use rand::{Rng, SeedableRng, rngs::StdRng};
use tokio::time::{sleep, sleep_until};
use tokio_util::task::AbortOnDropHandle;

use super::{
    election::{DELETED, NOT_RENEWED, RENEW_DEADLINE, RETRY_PERIOD, TAKEN},
    record::{LEASE_DURATION, Record, Stored},
    *,
};

const fn s(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// The API server: one Lease, replaced on condition of its version.
#[derive(Default)]
struct Server {
    lease: Mutex<Option<Lease>>,
    version: AtomicU64,
}

impl Server {
    fn get(&self) -> Option<Lease> {
        self.lease.lock().unwrap().clone()
    }

    fn record(&self) -> Record {
        self.get().map(|lease| Stored::from(lease).record).unwrap_or_default()
    }

    fn holder(&self) -> Option<String> {
        self.record().holder
    }

    fn delete(&self) {
        *self.lease.lock().unwrap() = None;
    }

    fn put(&self, mut new: Lease, create: bool) -> Result<Stored, StoreError> {
        let mut lease = self.lease.lock().unwrap();
        let known = lease.as_ref().map(|lease| lease.metadata.resource_version.clone());
        let expected = (!create).then(|| new.metadata.resource_version.clone());
        if known != expected {
            return Err(StoreError::Conflict);
        }
        new.metadata.resource_version = Some((1 + self.version.fetch_add(1, Ordering::Relaxed)).to_string());
        *lease = Some(new.clone());
        Ok(new.into())
    }
}

/// What happens to a call.
#[derive(Clone, Copy, Debug)]
enum Fate {
    /// Answered at once.
    Well,
    /// Answered with an error after this long, without effect.
    Fails(Duration),
    /// Takes effect after this long, and is answered only then.
    Late(Duration),
    /// Takes effect at once and is not answered for this long.
    Mute(Duration),
}

/// One process's way to the server. What happens to a call depends on when it is made.
struct Line {
    server: Arc<Server>,
    fates: Vec<(Range<Instant>, Fate)>,
}

impl Line {
    fn fate(&self) -> Fate {
        let now = Instant::now();
        self.fates.iter().find(|(when, _)| when.contains(&now)).map_or(Fate::Well, |(_, fate)| *fate)
    }

    /// The effect does not depend on whether the caller still waits.
    async fn call<T, F>(&self, effect: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: FnOnce(&Server) -> Result<T, StoreError> + Send + 'static,
    {
        let (fate, server) = (self.fate(), Arc::clone(&self.server));
        let call = async move {
            match fate {
                Fate::Well => effect(&server),
                Fate::Fails(after) => {
                    sleep(after).await;
                    Err(StoreError::Failed("500".into()))
                }
                Fate::Late(after) => {
                    sleep(after).await;
                    effect(&server)
                }
                Fate::Mute(after) => {
                    let answer = effect(&server);
                    sleep(after).await;
                    answer
                }
            }
        };
        tokio::spawn(call).await.unwrap()
    }
}

#[async_trait]
impl LeaseStore for Line {
    async fn read(&self) -> Result<Option<Stored>, StoreError> {
        self.call(|server| Ok(server.get().map(Stored::from))).await
    }
    async fn create(&self, record: &Record) -> Result<Stored, StoreError> {
        let new = Stored::from(Lease::default()).with(record);
        self.call(|server| server.put(new, true)).await
    }
    async fn replace(&self, stored: &Stored, record: &Record) -> Result<Stored, StoreError> {
        let new = stored.with(record);
        self.call(|server| server.put(new, false)).await
    }
}

/// A wall clock that is off by so much.
struct OffBy {
    began: Instant,
    seconds: i64,
}

impl Clock for OffBy {
    fn now(&self) -> Timestamp {
        let passed = SignedDuration::try_from(self.began.elapsed()).unwrap();
        Timestamp::from_second(1_800_000_000 + self.seconds).unwrap() + passed
    }
}

/// Does not run its future during the pauses, as a machine that is suspended.
async fn paused<F: Future>(pauses: Vec<Range<Instant>>, future: F) -> F::Output {
    let mut future = pin!(future);
    let mut wake = pin!(sleep(Duration::ZERO));
    poll_fn(|context| {
        let now = Instant::now();
        if let Some(pause) = pauses.iter().find(|pause| pause.contains(&now)) {
            wake.as_mut().reset(pause.end);
            if wake.as_mut().poll(context).is_pending() {
                return Poll::Pending;
            }
        }
        future.as_mut().poll(context)
    })
    .await
}

/// A process that contends and, while it may, writes all the time.
/// It ends when it is dropped.
struct Process {
    _tasks: [AbortOnDropHandle<()>; 2],
    leadership: watch::Receiver<Leadership>,
    fence: Fence,
    stop: CancellationToken,
}

#[derive(Default)]
struct Setting {
    fates: Vec<(Range<Instant>, Fate)>,
    pauses: Vec<Range<Instant>>,
    clock: i64,
}

/// Who wrote when.
type Writes = Arc<Mutex<Vec<(Instant, &'static str)>>>;

fn start(server: &Arc<Server>, writes: &Writes, name: &'static str, setting: Setting) -> Process {
    let (leads, leadership) = watch::channel(Leadership::Standby);
    let (fence, stop) = (Fence::default(), CancellationToken::new());
    let candidate = Candidate {
        lease: Some(Arc::new(Line { server: Arc::clone(server), fates: setting.fates })),
        identity: name.to_owned(),
        clock: Arc::new(OffBy { began: Instant::now(), seconds: setting.clock }),
        fence: fence.clone(),
        leadership: leads,
        metrics: Metrics::default(),
    };
    let ended = stop.clone();
    let election = tokio::spawn(paused(setting.pauses.clone(), async move { candidate.elect(&ended).await }));
    let (door, writes) = (fence.clone(), Arc::clone(writes));
    let writer = tokio::spawn(paused(setting.pauses, async move {
        loop {
            if door.is_open() {
                writes.lock().unwrap().push((Instant::now(), name));
            }
            sleep(Duration::from_millis(50)).await;
        }
    }));
    Process { _tasks: [election, writer].map(AbortOnDropHandle::new), leadership, fence, stop }
}

impl Process {
    fn is(&self) -> Leadership {
        *self.leadership.borrow()
    }

    async fn becomes(&self, wanted: Leadership) -> Instant {
        let mut leadership = self.leadership.clone();
        let waited = tokio::time::timeout(s(300), leadership.wait_for(|state| *state == wanted)).await;
        assert!(waited.is_ok(), "{wanted:?} never came; it is {:?}", self.is());
        Instant::now()
    }
}

/// Who wrote, in order. Whoever was followed by another never writes again.
fn writers(writes: &Writes) -> Vec<&'static str> {
    let writes = writes.lock().unwrap();
    let mut order: Vec<&'static str> = writes.iter().map(|(_, who)| *who).collect();
    order.dedup();
    let once: BTreeSet<_> = order.iter().collect();
    assert_eq!(once.len(), order.len(), "two processes wrote at one time: {order:?}");
    order
}

#[tokio::test(start_paused = true)]
async fn m1_of_many_contenders_one_leads_also_when_writes_are_held_up() {
    let (server, writes) = (Arc::<Server>::default(), Writes::default());
    let began = Instant::now();
    let held_up = Setting { fates: vec![(began..began + s(1), Fate::Late(s(2)))], ..Setting::default() };
    let slow = start(&server, &writes, "slow", held_up);
    let quick = start(&server, &writes, "quick", Setting::default());
    let third = start(&server, &writes, "third", Setting::default());
    sleep(s(60)).await;
    let leading = [&slow, &quick, &third].iter().filter(|process| process.is() == Leadership::Leading).count();
    assert_eq!((leading, writers(&writes).len()), (1, 1));
}

#[tokio::test(start_paused = true)]
async fn c6_renewals_answered_500_after_four_seconds_end_leadership_in_time() {
    let (server, writes) = (Arc::<Server>::default(), Writes::default());
    let began = Instant::now();
    let bad = began + s(21);
    let fails = Setting { fates: vec![(bad..bad + s(600), Fate::Fails(s(4)))], ..Setting::default() };
    let old = start(&server, &writes, "old", fails);
    old.becomes(Leadership::Leading).await;
    let new = start(&server, &writes, "new", Setting::default());
    let lost = old.becomes(Leadership::Lost(NOT_RENEWED)).await;
    assert!(lost - bad <= RENEW_DEADLINE, "lost after {:?}", lost - bad);
    let taken = new.becomes(Leadership::Leading).await;
    assert!(taken - bad <= LEASE_DURATION + RETRY_PERIOD && taken - lost >= s(3), "taken after {:?}", taken - bad);
    sleep(s(60)).await;
    assert_eq!(writers(&writes), ["old", "new"]);
}

#[tokio::test(start_paused = true)]
async fn c6_a_renewal_that_hangs_for_a_minute_ends_leadership_in_time() {
    for late in [Fate::Late(s(60)), Fate::Mute(s(60))] {
        let (server, writes) = (Arc::<Server>::default(), Writes::default());
        let began = Instant::now();
        let hangs = Setting { fates: vec![(began + s(21)..began + s(600), late)], ..Setting::default() };
        let old = start(&server, &writes, "old", hangs);
        old.becomes(Leadership::Leading).await;
        let new = start(&server, &writes, "new", Setting::default());
        old.becomes(Leadership::Lost(NOT_RENEWED)).await;
        new.becomes(Leadership::Leading).await;
        sleep(s(120)).await;
        assert_eq!(writers(&writes), ["old", "new"], "{late:?}");
        assert_eq!(server.holder().as_deref(), Some("new"), "a late renewal changes nothing: {late:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn c6_a_process_that_sleeps_for_a_minute_does_not_write_when_it_wakes() {
    let (server, writes) = (Arc::<Server>::default(), Writes::default());
    let sleeps = Instant::now() + s(30);
    let pauses = vec![sleeps..sleeps + s(60)];
    let old = start(&server, &writes, "old", Setting { pauses, ..Setting::default() });
    old.becomes(Leadership::Leading).await;
    let new = start(&server, &writes, "new", Setting::default());
    new.becomes(Leadership::Leading).await;
    sleep_until(sleeps + s(60)).await;
    assert!(!old.fence.is_open());
    sleep(s(60)).await;
    assert_eq!(writers(&writes), ["old", "new"]);
    assert_eq!(old.is(), Leadership::Lost(NOT_RENEWED));
}

#[tokio::test(start_paused = true)]
async fn m2_clocks_that_are_off_do_not_cost_a_healthy_leader_its_lease() {
    for (mine, theirs) in [(-4, 4), (4, -4), (-3600, 3600)] {
        let (server, writes) = (Arc::<Server>::default(), Writes::default());
        let old = start(&server, &writes, "old", Setting { clock: mine, ..Setting::default() });
        old.becomes(Leadership::Leading).await;
        let new = start(&server, &writes, "new", Setting { clock: theirs, ..Setting::default() });
        sleep(s(600)).await;
        assert_eq!((old.is(), new.is()), (Leadership::Leading, Leadership::Standby), "{mine} {theirs}");
        assert_eq!(server.record().transitions, 0);
    }
}

#[tokio::test(start_paused = true)]
async fn a_renewal_whose_answer_was_lost_costs_nothing() {
    let (server, writes) = (Arc::<Server>::default(), Writes::default());
    let bad = Instant::now() + s(21);
    let mute = Setting { fates: vec![(bad..bad + s(2), Fate::Mute(s(60)))], ..Setting::default() };
    let leader = start(&server, &writes, "leader", mute);
    sleep(s(120)).await;
    assert_eq!((leader.is(), server.record().transitions), (Leadership::Leading, 0));
}

#[tokio::test(start_paused = true)]
async fn m3_a_lease_that_another_took_or_that_is_gone_is_lost_with_the_next_renewal() {
    for (why, change) in [(TAKEN, true), (DELETED, false)] {
        let (server, writes) = (Arc::<Server>::default(), Writes::default());
        let leader = start(&server, &writes, "leader", Setting::default());
        leader.becomes(Leadership::Leading).await;
        sleep(s(20)).await;
        let changed = Instant::now();
        if change {
            let stored = Stored::from(server.get().unwrap());
            let other = Record::taken("other", Some(&stored.record), Timestamp::UNIX_EPOCH);
            server.put(stored.with(&other), false).unwrap();
        } else {
            server.delete();
        }
        let lost = leader.becomes(Leadership::Lost(why)).await;
        assert!(lost - changed <= RETRY_PERIOD && !leader.fence.is_open(), "{:?}", lost - changed);
    }
}

#[tokio::test(start_paused = true)]
async fn a_note_on_the_lease_is_no_loss_and_is_kept() {
    let (server, writes) = (Arc::<Server>::default(), Writes::default());
    let leader = start(&server, &writes, "leader", Setting::default());
    leader.becomes(Leadership::Leading).await;
    let mut noted = server.get().unwrap();
    noted.metadata.labels = Some([("team".to_owned(), "shop".to_owned())].into());
    server.put(noted, false).unwrap();
    sleep(s(60)).await;
    assert_eq!(leader.is(), Leadership::Leading);
    assert!(server.get().unwrap().metadata.labels.is_some());
}

#[tokio::test(start_paused = true)]
async fn an_orderly_end_releases_the_lease_and_the_next_leads_within_two_seconds() {
    // A renewal that is under way at that moment is stored before the release, after it, or not at all.
    let fates = [Fate::Well, Fate::Mute(s(60)), Fate::Late(s(1)), Fate::Fails(s(60))];
    for fate in fates {
        let (server, writes) = (Arc::<Server>::default(), Writes::default());
        let began = Instant::now();
        // Renewals are sent at even seconds.
        let fates = vec![(began + s(20)..began + Duration::from_millis(20_050), fate)];
        let old = start(&server, &writes, "old", Setting { fates, ..Setting::default() });
        old.becomes(Leadership::Leading).await;
        let new = start(&server, &writes, "new", Setting::default());
        sleep_until(began + Duration::from_millis(20_100)).await;
        old.stop.cancel();
        let released = Instant::now();
        let taken = new.becomes(Leadership::Leading).await;
        assert!(taken - released <= s(2), "{fate:?}: taken after {:?}", taken - released);
        sleep(s(60)).await;
        assert_eq!((server.holder().as_deref(), writers(&writes)), (Some("new"), vec!["old", "new"]), "{fate:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_container_that_starts_again_in_its_pod_has_its_lease_back_at_once() {
    let (server, writes) = (Arc::<Server>::default(), Writes::default());
    let crashed = Record::taken("pod-1", None, Timestamp::UNIX_EPOCH);
    server.put(Stored::from(Lease::default()).with(&crashed), true).unwrap();
    let began = Instant::now();
    let other = start(&server, &writes, "pod-2", Setting::default());
    let again = start(&server, &writes, "pod-1", Setting::default());
    assert!(again.becomes(Leadership::Leading).await - began < s(1));
    sleep(s(60)).await;
    assert_eq!(other.is(), Leadership::Standby);
}

/// Random faults and pauses on three processes: at no moment may two of them write, and when the faults are over one does.
#[tokio::test(start_paused = true)]
async fn c6_there_are_never_two_writers_whatever_happens() {
    for seed in 0..200 {
        let mut random = StdRng::seed_from_u64(seed);
        let (server, writes) = (Arc::<Server>::default(), Writes::default());
        let names = ["a", "b", "c"];
        let processes = names.map(|name| start(&server, &writes, name, bad_times(&mut random)));
        let mut two = None;
        for _ in 0..1_500 {
            sleep(Duration::from_millis(100)).await;
            let open = processes.iter().filter(|process| process.fence.is_open()).count();
            if open > 1 {
                two = Some(Instant::now());
            }
        }
        assert_eq!(two, None, "seed {seed}: two fences are open");
        let order = writers(&writes);
        let all_lost = processes.iter().all(|process| matches!(process.is(), Leadership::Lost(_)));
        let leads = processes.iter().any(|process| process.is() == Leadership::Leading);
        assert!(leads || all_lost, "seed {seed}: no one leads after {order:?}");
    }
}

/// Two minutes in which calls fail, hang and take effect late, and the process sleeps.
fn bad_times(random: &mut StdRng) -> Setting {
    let began = Instant::now();
    let mut setting = Setting { clock: random.random_range(-5..=5), ..Setting::default() };
    let mut at = began + Duration::from_millis(random.random_range(0..20_000));
    while at < began + s(90) {
        let end = at + Duration::from_millis(random.random_range(100..25_000));
        let wait = Duration::from_millis(random.random_range(0..30_000));
        match random.random_range(0..4) {
            0 => setting.fates.push((at..end, Fate::Fails(wait))),
            1 => setting.fates.push((at..end, Fate::Late(wait))),
            2 => setting.fates.push((at..end, Fate::Mute(wait))),
            _ => setting.pauses.push(at..end),
        }
        at = end + Duration::from_millis(random.random_range(0..20_000));
    }
    setting
}
