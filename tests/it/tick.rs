//! The tick over a simulated world: what is recorded, when, and in which order with the writes.

use std::sync::{
    Arc, Mutex, MutexGuard,
    atomic::{AtomicBool, Ordering},
};

use async_trait::async_trait;
use glidepath::{
    api::{
        Rollout, RolloutSpec, RolloutStatus,
        command::Verb,
        common::{HumanDuration, Percent},
        reason::Reason,
        status::{Course, Phase},
        strategy::{CanaryStrategy, Pause, Step, Strategy},
        traffic::{IstioTraffic, TrafficRouter, VirtualServiceRef},
    },
    engine::{Action, Notice},
    ports::{Clock, Deferred, Observation, RolloutKey, World, WorldError},
    reconcile::tick::tick,
};
use jiff::{SignedDuration, Timestamp};

use crate::small_world::SimWorld;

mod records;

/// A simulated world behind the door that the controller uses.
struct Watched {
    sim: Mutex<SimWorld>,
    /// Every status that was recorded.
    records: Mutex<Vec<RolloutStatus>>,
    /// What the last tick did not record.
    deferred: Mutex<Option<Deferred>>,
    /// Whether the API server answers no write.
    mute: AtomicBool,
    /// Refuses such actions.
    refuses: fn(&Action) -> bool,
    /// When actions were refused.
    refused: Mutex<Vec<Timestamp>>,
}

impl Watched {
    fn new(spec: RolloutSpec) -> Self {
        let sim = Mutex::new(SimWorld::new(spec, "v1", 1));
        Watched {
            sim,
            records: Mutex::default(),
            deferred: Mutex::default(),
            mute: AtomicBool::new(false),
            refuses: |_| false,
            refused: Mutex::default(),
        }
    }

    fn sim(&self) -> MutexGuard<'_, SimWorld> {
        self.sim.lock().unwrap()
    }

    fn answers(&self) -> Result<(), WorldError> {
        let mute = self.mute.load(Ordering::Relaxed);
        if mute { Err(WorldError::Transient("no response from the API server".into())) } else { Ok(()) }
    }

    fn record(&self) -> RolloutStatus {
        self.sim().status.clone()
    }

    fn key(&self) -> RolloutKey {
        RolloutKey { namespace: "shop".into(), name: "checkout".into() }
    }

    /// Ticks as the controller does: when a decision falls due, and when pods come.
    async fn run_until(&self, done: impl Fn(&RolloutStatus) -> bool) -> Result<(), WorldError> {
        for _ in 0..200 {
            let decision = tick(self, &self.key(), self).await?.unwrap();
            if done(&self.sim().status) {
                return Ok(());
            }
            let now = self.now();
            let wake = decision.wake.map_or(now + SignedDuration::from_secs(1), |wake| wake.at);
            let longest = wake.duration_since(now).max(SignedDuration::from_millis(20));
            self.sim().sleep(longest.min(SignedDuration::from_secs(1)));
        }
        panic!("it never came to that: {}", self.sim().status.message);
    }

    /// Releases version 2 from rest, and gives what was recorded on the way.
    async fn release(&self) -> Vec<RolloutStatus> {
        let stable_is = |id: &'static str| {
            move |status: &RolloutStatus| {
                status.phase == Some(Phase::Healthy)
                    && status.stable_revision.as_ref().is_some_and(|seen| seen.id == id)
            }
        };
        self.run_until(stable_is("v1")).await.unwrap();
        self.sim().sleep(SignedDuration::from_mins(1));
        tick(self, &self.key(), self).await.unwrap();
        self.records.lock().unwrap().clear();
        self.sim().template = "v2".into();
        self.run_until(stable_is("v2")).await.unwrap();
        self.records.lock().unwrap().clone()
    }
}

impl Clock for Watched {
    fn now(&self) -> Timestamp {
        self.sim().now
    }
}

#[async_trait]
impl World for Watched {
    type Snapshot = ();

    async fn observe(&self, key: &RolloutKey) -> Result<Option<Observation>, WorldError> {
        let sim = self.sim();
        let mut rollout = Rollout::new(&key.name, sim.spec.clone());
        rollout.metadata.namespace = Some(key.namespace.clone());
        rollout.metadata.uid = Some("uid".into());
        rollout.status = Some(sim.status.clone());
        Ok(Some(Observation { rollout: Arc::new(rollout), seen: sim.seen(), snapshot: () }))
    }

    async fn carry_out(&self, _: &Observation, action: &Action) -> Result<(), WorldError> {
        self.answers()?;
        if (self.refuses)(action) {
            self.refused.lock().unwrap().push(self.now());
            return Err(WorldError::Refused { reason: Reason::Forbidden, message: "cannot write".into() });
        }
        if let Action::EnsureRoute(intent) = action {
            let recorded = self.sim().status.clone();
            let allowed = match (recorded.course(), recorded.step_index) {
                (Course::Promoting, _) => Percent::FULL,
                (_, 0 | 1) => Percent::whole(20),
                _ => Percent::whole(50),
            };
            assert!(intent.canary <= allowed, "{} is written, {allowed} is on record", intent.canary);
        }
        self.sim().carry_out(action);
        Ok(())
    }

    async fn record(&self, _: &Observation, status: &RolloutStatus) -> Result<(), WorldError> {
        self.answers()?;
        self.sim().status = status.clone();
        self.records.lock().unwrap().push(status.clone());
        Ok(())
    }

    fn take_deferred(&self, _: &RolloutKey) -> Option<Deferred> {
        self.deferred.lock().unwrap().take()
    }

    fn defer(&self, _: &RolloutKey, deferred: Deferred) {
        *self.deferred.lock().unwrap() = Some(deferred);
    }

    fn keeps_deferred(&self) -> bool {
        true
    }

    async fn tell(&self, _: &Observation, notice: &Notice) {
        self.sim().notices.push(notice.clone());
    }
}

fn two_weights(mesh: bool) -> RolloutSpec {
    let weight = |percent| Step { set_weight: Some(Percent::whole(percent)), ..Step::default() };
    let pause = || Step { pause: Some(Pause { duration: Some(HumanDuration::secs(10)) }), ..Step::default() };
    let canary = CanaryStrategy { steps: vec![weight(20), pause(), weight(50), pause()], ..CanaryStrategy::default() };
    let service = VirtualServiceRef { name: "checkout".into(), ..VirtualServiceRef::default() };
    let istio = IstioTraffic { virtual_services: vec![service], destination_rule: None };
    let traffic =
        if mesh { vec![TrafficRouter { istio: Some(istio), ..TrafficRouter::default() }] } else { Vec::new() };
    RolloutSpec {
        strategy: Strategy { canary: Some(canary), ..Strategy::default() },
        traffic,
        ..RolloutSpec::default()
    }
}

#[tokio::test]
async fn s11_every_step_is_on_record_and_none_with_another() {
    for mesh in [false, true] {
        let records = Watched::new(two_weights(mesh)).release().await;
        let mut steps: Vec<u32> = records
            .iter()
            .filter(|status| status.course() == Course::Stepping)
            .map(|status| status.step_index)
            .collect();
        steps.dedup();
        assert!(steps == [0, 1, 2, 3] || steps == [0, 1, 2, 3, 4], "{steps:?}");
    }
}

#[tokio::test]
async fn what_follows_without_news_is_recorded_together() {
    for (mesh, most) in [(false, 6), (true, 9)] {
        let records = Watched::new(two_weights(mesh)).release().await;
        assert!(records.len() <= most, "{} records", records.len());
    }
}

/// A Rollout at the moment when its second weight is written, and that it begins to settle is not on record.
async fn settling() -> Watched {
    let world = Watched::new(two_weights(true));
    world.run_until(|status| status.phase == Some(Phase::Healthy)).await.unwrap();
    world.sim().template = "v2".into();
    world.run_until(|status| status.step_index == 2).await.unwrap();
    assert!(world.deferred.lock().unwrap().is_some(), "it is kept in the process");
    let weight = world.sim().weight();
    let status = world.record();
    assert_eq!((weight, status.memory.route_since), (Percent::whole(50), None));
    assert!(status.waiting_for.unwrap().until.is_some(), "the status says when it has settled");
    world
}

/// A Rollout at the moment when its second weight is written, and no controller has taken that over.
async fn pending() -> Watched {
    let world = Watched::new(two_weights(true));
    world.run_until(|status| status.phase == Some(Phase::Healthy)).await.unwrap();
    world.sim().template = "v2".into();
    world.run_until(|status| status.step_index == 1).await.unwrap();
    world.sim().pending = true;
    world.run_until(|status| status.step_index == 2).await.unwrap();
    world
}

/// How long it takes from now until the next step begins.
async fn until_settled(world: &Watched) -> SignedDuration {
    let from = world.now();
    world.run_until(|status| status.step_index == 3).await.unwrap();
    world.now().duration_since(from)
}

const SETTLE: SignedDuration = SignedDuration::from_secs(10);

#[tokio::test]
async fn s52_what_settles_is_not_on_record_and_ends_in_its_time() {
    let took = until_settled(&settling().await).await;
    assert!(took >= SETTLE && took < SETTLE + SignedDuration::from_secs(2), "{took:#}");
}

#[tokio::test]
async fn s39_what_settles_settles_anew_in_another_process() {
    let world = settling().await;
    world.sim().sleep(SignedDuration::from_secs(1));
    *world.deferred.lock().unwrap() = None;
    let took = until_settled(&world).await;
    assert!(took >= SETTLE && took < SETTLE + SignedDuration::from_secs(2), "{took:#}");
}

#[tokio::test]
async fn s53_a_change_from_outside_while_it_settles_begins_it_anew() {
    let world = settling().await;
    for _ in 0..3 {
        world.sim().sleep(SignedDuration::from_secs(1));
        tick(&world, &world.key(), &world).await.unwrap();
    }
    world.sim().drift(Percent::whole(20));
    let took = until_settled(&world).await;
    assert_eq!(world.sim().weight(), Percent::whole(50));
    assert!(took >= SETTLE && took < SETTLE + SignedDuration::from_secs(2), "{took:#}");
}

impl Watched {
    /// Looks once a second for a minute.
    async fn for_a_minute(&self) {
        for _ in 0..60 {
            self.sim().sleep(SignedDuration::from_secs(1));
            tick(self, &self.key(), self).await.unwrap();
        }
    }
}

#[tokio::test]
async fn s52_routes_settle_once_their_controllers_have_taken_them_over() {
    let world = pending().await;
    let records = world.records.lock().unwrap().len();
    world.for_a_minute().await;
    let status = world.record();
    assert_eq!((status.step_index, status.weights.settled), (2, false));
    assert!(status.message.ends_with("waiting for the routes to settle: the gateway has not seen it"), "{status:?}");
    assert!(world.records.lock().unwrap().len() <= records + 2, "they are recorded once");
    world.sim().pending = false;
    let took = until_settled(&world).await;
    assert!(took >= SETTLE && took < SETTLE + SignedDuration::from_secs(2), "{took:#}");
    world.sim().pending = true;
    tick(&world, &world.key(), &world).await.unwrap();
    assert!(world.sim().status.weights.settled, "what has settled stays so, whatever is written beside it");
}

#[tokio::test]
async fn s38_routes_that_no_controller_takes_over_miss_the_deadline() {
    let world = pending().await;
    let begun = world.now();
    for _ in 0..9 {
        world.for_a_minute().await;
    }
    assert_eq!(world.record().course(), Course::Stepping);
    world.run_until(|status| status.course() == Course::Aborted).await.unwrap();
    let took = world.now().duration_since(begun);
    assert!(took >= SignedDuration::from_mins(10) && took < SignedDuration::from_mins(11), "{took:#}");
}

#[tokio::test]
async fn s19_the_canary_keeps_its_pods_until_the_way_back_is_taken_over() {
    let world = settling().await;
    world.sim().pending = true;
    world.sim().command(Verb::Abort, false);
    world.for_a_minute().await;
    world.for_a_minute().await;
    let weight = world.sim().weight();
    assert_eq!((weight, world.record().course()), (Percent::ZERO, Course::Aborted));
    assert!(world.sim().wanted("v2") > 0, "requests still reach them");
    let message = world.record().message;
    assert!(message.ends_with("its traffic has not returned to stable: the gateway has not seen it"), "{message}");
    world.sim().pending = false;
    world.for_a_minute().await;
    assert_eq!(world.sim().wanted("v2"), 0);
}

/// A controller that was uninstalled never sees it: there is no other end on the way back.
#[tokio::test]
async fn s19_the_way_back_waits_for_a_controller_no_longer_than_the_deadline() {
    let world = settling().await;
    world.sim().pending = true;
    world.sim().command(Verb::Abort, false);
    for _ in 0..9 {
        world.for_a_minute().await;
    }
    assert!(world.sim().wanted("v2") > 0);
    for _ in 0..3 {
        world.for_a_minute().await;
    }
    assert_eq!(world.sim().wanted("v2"), 0);
    let given_up = |notice: &Notice| notice.reason == Reason::RouteNotAccepted;
    assert_eq!(world.sim().notices.iter().filter(|notice| given_up(notice)).count(), 1);
}

/// Others write into a shared route as well: the clock that runs is not theirs to begin anew.
#[tokio::test]
async fn s52_what_has_begun_to_settle_settles_whatever_is_written_beside_it() {
    let world = settling().await;
    tick(&world, &world.key(), &world).await.unwrap();
    world.sim().pending = true;
    let took = until_settled(&world).await;
    assert!(took < SETTLE + SignedDuration::from_secs(2), "{took:#}");
}

#[tokio::test]
async fn s39_what_settles_continues_while_no_write_is_answered() {
    let world = settling().await;
    world.mute.store(true, Ordering::Relaxed);
    for _ in 0..15 {
        world.sim().sleep(SignedDuration::from_secs(1));
        let _unanswered = tick(&world, &world.key(), &world).await;
    }
    assert_eq!(world.record().step_index, 2);
    world.mute.store(false, Ordering::Relaxed);
    let took = until_settled(&world).await;
    assert!(took < SignedDuration::from_secs(2), "{took:#}");
}

/// An abort does not wait for the record of what settles.
#[tokio::test]
async fn s33_an_abort_while_it_settles_is_written_first() {
    let world = settling().await;
    let records = world.records.lock().unwrap().len();
    world.sim().command(Verb::Abort, false);
    tick(&world, &world.key(), &world).await.unwrap();
    assert_eq!(world.sim().weight(), Percent::ZERO);
    assert!(world.records.lock().unwrap().len() <= records + 2);
}

/// W2: what only carrying out finds blocks the step like anything else that is in its way, and is tried again on its
/// own.
#[tokio::test]
async fn s53_a_refused_write_is_on_record_and_blocks_its_step_until_it_succeeds() {
    let mut world = Watched::new(two_weights(true));
    world.run_until(|status| status.phase == Some(Phase::Healthy)).await.unwrap();
    world.refuses = |action| matches!(action, Action::EnsureRoute(intent) if !intent.canary.is_zero());
    world.sim().template = "v2".into();
    let begun = world.now();
    let later = begun + SignedDuration::from_mins(3);
    world.run_until(|status| status.reason == Reason::Forbidden).await.unwrap();
    while world.now() < later {
        let decision = tick(&world, &world.key(), &world).await.unwrap().unwrap();
        let status = world.sim().status.clone();
        assert_eq!((status.reason.as_str(), status.message.as_str()), ("Forbidden", "cannot write"));
        assert_eq!((status.step_index, status.phase), (0, Some(Phase::Progressing)));
        let wake = decision.wake.unwrap().at.duration_since(world.now());
        world.sim().sleep(wake.clamp(SignedDuration::from_millis(20), SignedDuration::from_secs(5)));
    }
    let tried = world.refused.lock().unwrap().len();
    assert!((5..=12).contains(&tried), "{tried} tries in 3 minutes");
    world.refuses = |_| false;
    world.run_until(|status| status.stable_revision.as_ref().is_some_and(|stable| stable.id == "v2")).await.unwrap();
    assert!(world.sim().status.memory.refused.is_empty());
}

/// W2: a refusal keeps nothing back that does not build on it, least of all the way back to stable.
#[tokio::test]
async fn s33_an_abort_is_carried_out_whatever_else_is_refused() {
    let mut world = Watched::new(two_weights(true));
    world.run_until(|status| status.phase == Some(Phase::Healthy)).await.unwrap();
    world.sim().template = "v2".into();
    world.run_until(|status| status.step_index == 1).await.unwrap();
    world.refuses = |action| matches!(action, Action::EnsureRevision { .. } | Action::EnsureTarget { .. });
    world.sim().template = "v3".into();
    world.run_until(|status| status.reason == Reason::Forbidden).await.unwrap();
    world.sim().command(Verb::Abort, false);
    world.run_until(|status| status.course() == Course::Aborted && status.weights.settled).await.unwrap();
    assert_eq!(world.sim().seen().route.unwrap().weight, Some(Percent::ZERO));
}

#[tokio::test]
async fn the_fixed_point_records_nothing() {
    let world = Watched::new(two_weights(true));
    world.release().await;
    world.sim().sleep(SignedDuration::from_mins(5));
    tick(&world, &world.key(), &world).await.unwrap();
    world.sim().sleep(SignedDuration::from_mins(5));
    tick(&world, &world.key(), &world).await.unwrap();
    let before = world.records.lock().unwrap().len();
    tick(&world, &world.key(), &world).await.unwrap();
    assert_eq!(world.records.lock().unwrap().len(), before);
}
