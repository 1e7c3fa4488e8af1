//! Plays a scenario: virtual time leaps from event to event, and at each instant come world events, faults, the entries of
//! the file, ticks until quiet, and then the expectations.

mod judging;
mod telling;
mod ticking;

use std::{
    collections::BTreeMap,
    future::Future,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard},
};

use serde_json::Value;

use super::{
    actions,
    cluster::{Laws, SimCluster},
    expect,
    faults::Faults,
    incidents::Incidents,
    process::{Crash, Process, Shared, locked},
    scenario::{Entry, Expect, FaultKind, Scenario},
    time::{Millis, millis, shown},
    trace::{Failure, Mark, Trace, WITHIN_BOUNDS},
    work::{TooMuch, Work},
};
use crate::{
    api::{Rollout, analysis::AnalysisTemplateSpec},
    engine::Decision,
    ports::{RolloutKey, WorldError},
    reconcile::retry::Retries,
};

/// Rounds at one instant at most; more is a loop that does not end.
const ROUNDS: u32 = 500;
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
    pub(super) story: Trace,
    pub(super) cluster: Shared,
    scenario: Scenario,
    key: RolloutKey,
    process: Arc<Process>,
    /// Ticks of suspended leaders.
    deposed: Vec<(Arc<Process>, Ticking)>,
    /// Judges that wait for an answer.
    judging: BTreeMap<String, Judging>,
    run_wakes: BTreeMap<String, Millis>,
    wake: Option<Millis>,
    retries: Retries,
    run_retries: BTreeMap<String, Retries>,
    /// Whether a tick has come since it was last checked that nothing is left to do.
    unchecked: bool,
    /// Until when no process is there.
    down: Option<Millis>,
    was_healthy: bool,
    throughout: Option<(usize, Expect)>,
    since: Millis,
    told: usize,
    last_place: String,
    /// The entry that is played.
    current: usize,
    work: Work,
    /// Makes the story's lines; statistics do without.
    tells: bool,
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
            incidents: Incidents::new(&world.incidents),
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
            story: Trace { seed, ..Trace::default() },
            process: Process::new(cluster.clone(), None, None),
            cluster,
            scenario: setting.scenario.clone(),
            key,
            deposed: Vec::new(),
            judging: BTreeMap::new(),
            run_wakes: BTreeMap::new(),
            wake: None,
            retries: Retries::default(),
            run_retries: BTreeMap::new(),
            unchecked: false,
            down: None,
            was_healthy: false,
            throughout: None,
            since: 0,
            told: 0,
            last_place: String::new(),
            current: 0,
            work: Work::default(),
            tells: true,
        })
    }

    /// For statistics: without the story's lines, and without records of runs that nothing follows from. They are kept
    /// where a process may have to take over.
    #[must_use]
    pub fn for_statistics(mut self) -> Self {
        self.tells = false;
        if self.scenario.world.faults.is_empty() {
            self.process.record_rarely();
        }
        self
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
    pub fn play(mut self) -> Trace {
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
        let text = self.apply(entry).map_err(|why| self.failure("", "to be carried out", vec![why]))?;
        self.line(Mark::Done, text);
        Ok(())
    }

    fn apply(&mut self, entry: &Entry) -> Result<String, String> {
        if let Some(deploy) = &entry.deploy {
            self.begin_release(&deploy.image);
        }
        actions::apply(&mut self.cluster(), entry)
    }

    /// Something was not as it should be.
    pub fn fail(&mut self, failure: Failure) {
        self.story.failure = Some(failure);
    }

    /// What was seen.
    pub fn finish(mut self) -> Trace {
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
        self.current = index;
        if let Some(at) = entry.at.map(millis).or_else(|| entry.after.map(|after| self.now() + millis(after))) {
            if at < self.now() {
                let seen = vec![format!("the clock is at {} by now", shown(self.now()))];
                return Err(self.failure(&path, format!("to happen at {}", shown(at)), seen));
            }
            self.pass_to(at)?;
        }
        let Some(wanted) = &entry.expect else {
            let text = self.apply(entry).map_err(|seen| self.failure(&path, "to be carried out", vec![seen]))?;
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
            // Most of a long wait is in another phase, which is cheaper to see.
            let elsewhere = wanted.phase.is_some_and(|phase| self.cluster().phase() != Some(phase));
            if !elsewhere && expect::mismatches(wanted, &*self.cluster(), self.since).is_empty() {
                return Ok(());
            }
            if self.now() >= limit {
                return self.check(path, wanted, &format!("within {}", shown(longest)));
            }
            self.leap(limit)?;
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
            self.leap(limit)?;
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

    /// Lets everything happen up to `at`. Events at that very instant have happened, but no tick has run yet.
    pub fn pass_to(&mut self, at: Millis) -> Played {
        while self.now() < at {
            self.settle()?;
            self.leap(at)?;
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
            self.leap(limit)?;
        }
    }

    /// Leaps to the next event, at most to `limit`.
    fn leap(&mut self, limit: Millis) -> Played {
        let next = self.next_event().unwrap_or(limit).min(limit);
        let (pods, span, scrape, samples) = {
            let cluster = self.cluster();
            (cluster.pod_count(), next - cluster.now, cluster.scrape, cluster.samples)
        };
        self.work.leap(pods, span, scrape, samples).map_err(|much| self.too_much(much))?;
        self.cluster().advance(next);
        self.faults_come();
        Ok(())
    }

    /// The play ends: it would take too long or too much memory.
    fn too_much(&self, much: TooMuch) -> Box<Failure> {
        self.failure(&format!("timeline[{}]", self.current), WITHIN_BOUNDS, vec![much.to_string()])
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
            let changes = [cluster.faults.changes(now), cluster.laws.incidents.changes(now)].concat();
            (changes, cluster.faults.due(now))
        };
        for text in changes {
            self.line(Mark::Fault, text);
        }
        for (kind, target) in due {
            let mut cluster = self.cluster();
            match kind {
                FaultKind::RouteDrift => actions::drift(&mut cluster),
                kind if kind.hits_pods() => actions::crash(&mut cluster, kind, &target),
                _ => {}
            }
        }
    }
}
