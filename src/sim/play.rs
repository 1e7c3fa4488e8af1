//! Plays a scenario: virtual time leaps from event to event, and at each instant come world events, faults, the entries of
//! the file, ticks until quiet, and then the expectations.

mod judging;
mod telling;

use std::{
    collections::BTreeMap,
    future::Future,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard},
    task::{Context, Poll, Waker},
};

use serde_json::Value;

use super::{
    Millis,
    cluster::{Laws, SimCluster},
    entries, expect,
    faults::Faults,
    instant, millis, moment,
    process::{Crash, Process, Shared, locked},
    scenario::{Entry, Expect, FaultKind, Scenario},
    story::{Failure, Mark, Story},
};
use crate::{
    api::{Rollout, analysis::AnalysisTemplateSpec, status::Phase},
    engine::{self, Decision, Input},
    ports::{RolloutKey, WorldError, tick::tick},
};

/// Rounds at one instant at most; more is a loop that does not end.
const ROUNDS: u32 = 500;
/// Every Rollout is looked at this often, though nothing changed.
const RESYNC: Millis = 600_000;
/// After a lost race the next try comes so soon, at first and at last.
const SOON: (Millis, Millis) = (20, 2_000);
/// The same after another failure.
const RETRY: (Millis, Millis) = (1_000, 300_000);
/// How long a process that died is away.
const RESTART: Millis = 1_000;
/// The seed when neither file nor command line name one.
const USUAL_SEED: u64 = 1;
/// From a pod's creation to ready when the file does not say.
const USUAL_STARTUP: Millis = 2_000;

/// Everything that a scenario needs, read and checked.
#[derive(Clone, Debug, Default)]
pub struct Setting {
    /// The scenario.
    pub scenario: Scenario,
    /// The Rollout.
    pub rollout: Option<Rollout>,
    /// The pod template and the replicas of the Deployment that it refers to.
    pub deployment: Option<(Value, u32)>,
    /// AnalysisTemplates by name.
    pub templates: BTreeMap<String, AnalysisTemplateSpec>,
    /// Versions that turn bad after their first pod: (image, delay, error rate).
    pub late: Vec<(String, Millis, f64)>,
}

type Ticking = Pin<Box<dyn Future<Output = Result<Option<Decision>, WorldError>> + Send>>;
type Judging = Pin<Box<dyn Future<Output = Result<Option<Millis>, WorldError>> + Send>>;

/// Plays one scenario with one seed.
pub struct Player {
    pub(super) story: Story,
    pub(super) cluster: Shared,
    scenario: Scenario,
    key: RolloutKey,
    process: Arc<Process>,
    /// Ticks of leaders that stand still.
    deposed: Vec<(Arc<Process>, Ticking)>,
    /// Judges that wait for an answer.
    judging: BTreeMap<String, Judging>,
    run_wakes: BTreeMap<String, Millis>,
    wake: Option<Millis>,
    failures: u32,
    /// Ticks in a row that asked for something.
    asked: u32,
    /// Whether a tick has come since it was last checked that nothing is left to do.
    unchecked: bool,
    /// Until when no process is there.
    down: Option<Millis>,
    was_healthy: bool,
    throughout: Option<(usize, Expect)>,
    since: Millis,
    told: usize,
    last_place: String,
    /// Makes the story's lines; statistics do without.
    pub tells: bool,
}

/// A failure ends the play.
pub type Played<T = ()> = Result<T, Box<Failure>>;

impl Player {
    /// A world at its beginning. `None` without a Rollout.
    pub fn new(setting: &Setting, seed: Option<u64>) -> Option<Player> {
        let world = &setting.scenario.world;
        let seed = seed.or(world.seed).unwrap_or(USUAL_SEED);
        let laws = Laws {
            seed,
            startup: world.pod_startup.map_or(USUAL_STARTUP, millis),
            capacity: world.pod_capacity,
            traffic: world.traffic.clone(),
            versions: world.versions.clone(),
            late: setting.late.clone(),
            series: world.series.clone(),
            gates: world.gates.clone(),
            hpa: world.hpa.clone(),
        };
        let faults = Faults::new(&world.faults, seed);
        let rollout = setting.rollout.clone()?;
        let cluster = SimCluster::new(rollout, setting.deployment.clone(), setting.templates.clone(), laws, faults);
        let key = cluster.key.clone();
        let cluster: Shared = Arc::new(Mutex::new(cluster));
        Some(Player {
            story: Story { seed, ..Story::default() },
            process: Process::new(cluster.clone(), None, None),
            cluster,
            scenario: setting.scenario.clone(),
            key,
            deposed: Vec::new(),
            judging: BTreeMap::new(),
            run_wakes: BTreeMap::new(),
            wake: None,
            failures: 0,
            asked: 0,
            unchecked: false,
            down: None,
            was_healthy: false,
            throughout: None,
            since: 0,
            told: 0,
            last_place: String::new(),
            tells: true,
        })
    }

    /// Makes the first process die at one of its writes.
    pub fn crash_at(&mut self, crash: Crash) {
        self.process = Process::new(self.cluster.clone(), None, Some(crash));
    }

    /// The cluster as it is.
    pub fn cluster(&self) -> MutexGuard<'_, SimCluster> {
        locked(&self.cluster)
    }

    /// The time.
    pub fn now(&self) -> Millis {
        self.cluster().now
    }

    /// Plays the whole timeline.
    pub fn play(mut self) -> Story {
        let timeline = self.scenario.timeline.clone();
        self.faults_come();
        for (index, entry) in timeline.iter().enumerate() {
            if let Err(failure) = self.entry(index, entry) {
                let text = format!("{}: wanted {}", failure.path, failure.wanted);
                self.line(Mark::Failed, text);
                self.story.failure = Some(*failure);
                break;
            }
        }
        self.finish()
    }

    /// Does what an entry says, now.
    ///
    /// # Errors
    /// Why it cannot be done.
    pub fn act(&mut self, entry: &Entry) -> Played {
        let text = entries::apply(self, entry).map_err(|why| self.failure("", "to be carried out", vec![why]))?;
        self.line(Mark::Done, text);
        Ok(())
    }

    /// Something was not as it should be.
    pub fn fail(&mut self, failure: Failure) {
        self.story.failure = Some(failure);
    }

    /// What was seen.
    pub fn finish(mut self) -> Story {
        let writes = self.process.writes();
        {
            let mut cluster = locked(&self.cluster);
            cluster.count_up();
            let story = &mut self.story;
            story.versions = cluster.versions.iter().map(|v| (v.image.clone(), v.answered)).collect();
            (story.lost, story.status, story.end) = (cluster.lost, cluster.status(), cluster.now);
            (story.state, story.writes) = (cluster.state(), writes);
        }
        let open: Vec<usize> = (0..self.story.releases.len()).collect();
        for index in open {
            if self.story.releases[index].ended.is_none() {
                self.count_release(index);
            }
        }
        self.story
    }

    fn entry(&mut self, index: usize, entry: &Entry) -> Played {
        let path = format!("timeline[{index}]");
        if let Some(at) = entry.at.map(millis).or_else(|| entry.after.map(|after| self.now() + millis(after))) {
            if at < self.now() {
                let seen = vec![format!("the clock is at {} by now", shown(self.now()))];
                return Err(self.failure(&path, format!("to happen at {}", shown(at)), seen));
            }
            self.pass_to(at)?;
        }
        let Some(wanted) = &entry.expect else {
            let text =
                entries::apply(self, entry).map_err(|seen| self.failure(&path, "to be carried out", vec![seen]))?;
            self.line(Mark::Done, text);
            return Ok(());
        };
        let words = expect::words(wanted);
        if let Some(longest) = entry.within {
            self.comes_within(&path, wanted, millis(longest))?;
        } else if let Some(long) = entry.throughout {
            self.throughout = Some((index, wanted.clone()));
            let held = self.holds_throughout(millis(long));
            self.throughout = None;
            held?;
        } else {
            self.settle()?;
            self.check(&path, wanted, "now")?;
        }
        self.since = self.now();
        self.story.met += 1;
        self.line(Mark::Met, words);
        Ok(())
    }

    fn comes_within(&mut self, path: &str, wanted: &Expect, longest: Millis) -> Played {
        let limit = self.now() + longest;
        loop {
            self.settle()?;
            if expect::mismatches(wanted, &*self.cluster(), self.since).is_empty() {
                return Ok(());
            }
            if self.now() >= limit {
                return self.check(path, wanted, &format!("within {}", shown(longest)));
            }
            self.leap(limit);
        }
    }

    fn holds_throughout(&mut self, long: Millis) -> Played {
        let limit = self.now() + long;
        loop {
            self.settle()?;
            self.check_throughout()?;
            if self.now() >= limit {
                return Ok(());
            }
            self.leap(limit);
        }
    }

    fn check(&self, path: &str, wanted: &Expect, when: &str) -> Played {
        let seen = expect::mismatches(wanted, &*self.cluster(), self.since);
        if seen.is_empty() {
            return Ok(());
        }
        Err(self.failure(path, format!("{} {when}", expect::words(wanted)), seen))
    }

    fn check_throughout(&self) -> Played {
        match &self.throughout {
            Some((index, wanted)) => self.check(&format!("timeline[{index}]"), wanted, "throughout"),
            None => Ok(()),
        }
    }

    /// Something that is not as it should be, here and now.
    pub fn failure(&self, path: &str, wanted: impl Into<String>, seen: Vec<String>) -> Box<Failure> {
        let place = expect::place(&*self.cluster());
        Box::new(Failure { path: path.to_owned(), at: self.now(), wanted: wanted.into(), seen, place })
    }

    /// Lets everything happen up to `at`. What happens at that very instant has come, but nobody has ticked yet.
    pub fn pass_to(&mut self, at: Millis) -> Played {
        while self.now() < at {
            self.settle()?;
            self.leap(at);
        }
        Ok(())
    }

    /// Plays on until `done`, for at most so long. Says whether it came to that.
    pub fn play_until(&mut self, longest: Millis, mut done: impl FnMut(&SimCluster) -> bool) -> Played<bool> {
        let limit = self.now() + longest;
        loop {
            self.settle()?;
            if done(&self.cluster()) {
                return Ok(true);
            }
            if self.now() >= limit {
                return Ok(false);
            }
            self.leap(limit);
        }
    }

    /// Leaps to the next event, at most to `limit`.
    fn leap(&mut self, limit: Millis) {
        let next = self.next_event().unwrap_or(limit).min(limit);
        self.cluster().advance(next);
        self.faults_come();
    }

    fn next_event(&self) -> Option<Millis> {
        let now = self.now();
        let stalled = self.deposed.iter().filter_map(|(process, _)| process.stalled());
        let ours = match self.down {
            Some(back) => vec![back],
            None => {
                let judging = (!self.judging.is_empty()).then(|| self.process.stalled()).flatten();
                self.wake.into_iter().chain(self.run_wakes.values().copied()).chain(judging).collect()
            }
        };
        self.cluster().next_event().into_iter().chain(stalled).chain(ours).filter(|at| *at > now).min()
    }

    /// Faults that begin, end or come by themselves at this instant.
    fn faults_come(&mut self) {
        let (changes, due) = {
            let mut cluster = self.cluster();
            let now = cluster.now;
            (cluster.faults.changes(now), cluster.faults.due(now))
        };
        for text in changes {
            self.line(Mark::Fault, text);
        }
        for (kind, target) in due {
            let mut cluster = self.cluster();
            match kind {
                FaultKind::RouteDrift => entries::drift(&mut cluster),
                FaultKind::PodCrash => entries::crash(&mut cluster, &target),
                _ => {}
            }
        }
    }

    /// Judges and ticks at this instant until nothing more is due.
    pub fn settle(&mut self) -> Played {
        for _ in 0..ROUNDS {
            if !self.round()? {
                return self.rests();
            }
        }
        let seen = vec![format!("I8: {ROUNDS} rounds at one instant and no end")];
        Err(self.failure("invariants", "a fixed point", seen))
    }

    /// One thing that is due; `false` when there is none.
    fn round(&mut self) -> Played<bool> {
        let now = self.now();
        if let Some(index) = self.deposed.iter().position(|(p, _)| p.stalled().is_none_or(|until| until <= now)) {
            let (process, ticking) = self.deposed.remove(index);
            self.tick_on(process, ticking)?;
            return Ok(true);
        }
        let away = self.cluster().faults.away(now);
        if let Some(back) = away.filter(|_| self.down.is_none()) {
            self.die(true);
            self.down = Some(back);
        }
        match self.down {
            Some(back) if back > now => return Ok(false),
            Some(_) => self.lead_anew(),
            None => {}
        }
        let due = std::mem::take(&mut self.cluster().runs_due);
        self.run_wakes.extend(due.into_iter().map(|name| (name, now)));
        if let Some(name) = self.due_run(now) {
            self.judge(&name);
            return Ok(true);
        }
        let (news, deaf) = {
            let cluster = self.cluster();
            (cluster.news, cluster.faults.is_on(FaultKind::WatchGap, now))
        };
        if (news && !deaf) || self.wake.is_some_and(|wake| wake <= now) {
            self.cluster().news = false;
            self.wake = None;
            let (process, key) = (self.process.clone(), self.key.clone());
            let ticker = process.clone();
            let ticking: Ticking = Box::pin(async move { tick(&*ticker, &key, &*ticker).await });
            self.tick_on(process, ticking)?;
            return Ok(true);
        }
        Ok(false)
    }

    /// Lets a tick go on as far as it gets.
    fn tick_on(&mut self, process: Arc<Process>, mut ticking: Ticking) -> Played {
        let polled = ticking.as_mut().poll(&mut Context::from_waker(Waker::noop()));
        let leads = Arc::ptr_eq(&process, &self.process);
        match polled {
            Poll::Ready(result) if leads => self.ticked(&result),
            Poll::Ready(_) => {}
            Poll::Pending if process.stalled() == Some(Millis::MAX) => self.die(leads),
            Poll::Pending => {
                self.deposed.push((process.clone(), ticking));
                if leads {
                    self.line(Mark::Fault, "another leader begins; the old one stands still in the middle of a tick");
                    self.lead_anew();
                }
            }
        }
        self.after_tick(&process)
    }

    fn ticked(&mut self, result: &Result<Option<Decision>, WorldError>) {
        let now = self.now();
        let doubled = |(first, last): (Millis, Millis), times: u32| (first << times.min(12)).min(last);
        match result {
            Ok(Some(decision)) => {
                self.failures = 0;
                // What the actions changed is news by itself; a tick that asks for more looks again soon.
                self.asked = if decision.actions.is_empty() { 0 } else { self.asked + 1 };
                let at = match &decision.wake {
                    _ if self.asked > 0 => now + doubled(SOON, self.asked - 1),
                    Some(wake) => moment(wake.at).min(now + RESYNC),
                    None => now + RESYNC,
                };
                self.wake = Some(at.max(now + SOON.0));
            }
            Ok(None) => self.wake = None,
            Err(error) => {
                let delay = if matches!(error, WorldError::Conflict(_)) { SOON } else { RETRY };
                self.wake = Some(now + doubled(delay, self.failures));
                self.failures += 1;
            }
        }
    }

    /// What must hold after every tick, and what is told of it.
    fn after_tick(&mut self, process: &Process) -> Played {
        self.story.ticks += 1;
        self.unchecked = true;
        self.tell();
        let broken = process.take_broken();
        if !broken.is_empty() {
            return Err(self.failure("invariants", "every invariant to hold", broken));
        }
        self.follow_releases();
        let healthy = self.cluster().phase() == Some(Phase::Healthy);
        self.was_healthy |= healthy;
        if self.was_healthy {
            let broken = expect::broken(&self.scenario.always, &*self.cluster());
            if !broken.is_empty() {
                return Err(self.failure("always", "what must always hold", broken));
            }
        }
        self.check_throughout()
    }

    /// Nobody looks again now, so another look must find nothing to do (I8).
    fn rests(&mut self) -> Played {
        if !std::mem::take(&mut self.unchecked) {
            return Ok(());
        }
        let cluster = self.cluster();
        let soon = self.wake.is_some_and(|wake| wake <= cluster.now + SOON.0);
        let idle = !soon
            && self.down.is_none()
            && self.asked == 0
            && self.deposed.is_empty()
            && self.failures == 0
            && !cluster.news;
        let Some(rollout) = cluster.rollout.as_ref().filter(|_| idle && !cluster.faults.any_on(cluster.now)) else {
            return Ok(());
        };
        let (seen, status) = (self.process.look(&cluster), rollout.status.clone().unwrap_or_default());
        let input = Input {
            name: &cluster.key.name,
            uid: rollout.metadata.uid.as_deref().unwrap_or_default(),
            generation: rollout.metadata.generation,
            deleting: rollout.metadata.deletion_timestamp.is_some(),
            skip_hand_back: false,
            spec: &rollout.spec,
            status: &status,
            seen: &seen,
            now: instant(cluster.now),
        };
        let decision = engine::step(&input);
        drop(cluster);
        if decision.actions.is_empty() {
            return Ok(());
        }
        let seen = vec![format!("I8: nobody looks again, and there is {:?} to do", decision.actions)];
        Err(self.failure("invariants", "a quiet fixed point", seen))
    }

    /// The process is gone, with all that it had under way.
    fn die(&mut self, leads: bool) {
        if !leads {
            return;
        }
        self.line(Mark::Fault, "the controller dies");
        self.judging.clear();
        self.wake = None;
        self.down = Some(self.now() + RESTART);
    }

    /// A process that has seen nothing yet leads from now on.
    fn lead_anew(&mut self) {
        self.down = None;
        self.judging.clear();
        self.failures = 0;
        self.wake = None;
        self.process = Process::new(self.cluster.clone(), Some(self.now()), None);
        let names: Vec<String> = {
            let mut cluster = self.cluster();
            cluster.news = true;
            cluster.runs.keys().cloned().collect()
        };
        let now = self.now();
        self.run_wakes = names.into_iter().map(|name| (name, now)).collect();
    }
}

/// A span of virtual time: `1m30s`.
pub fn shown(span: Millis) -> String {
    let span = std::time::Duration::from_millis(span.unsigned_abs());
    crate::api::common::HumanDuration::from(span).to_string()
}
