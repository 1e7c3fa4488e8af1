//! A controller's process: what it has seen, and its calls, which may go wrong. The cluster outlives it.

mod answers;
mod series;
mod writes;

use std::{
    collections::BTreeMap,
    future::poll_fn,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::Poll,
};

use async_trait::async_trait;
use jiff::Timestamp;

use writes::{check_run, ensure_revision, ensure_run, gate_answer, hand_back, label, merge_written};

use super::{
    cluster::{ObjectId, SimCluster},
    scenario::FaultKind,
    time::{Millis, instant, moment},
};
use crate::{
    api::{
        RolloutStatus,
        analysis::{AnalysisRunSpec, AnalysisRunStatus},
        reason::Reason,
    },
    engine::{Action, Decision, GateSeen, Input, Notice, Seen, Target, invariants},
    ports::{Clock, Deferred, Observation, RolloutKey, World, WorldError},
    reconcile::{replicas, runs::Judged},
};

/// A cache that is behind hears of what happened so much later.
const CATCH_UP: Millis = 2_000;

/// The cluster, shared by the processes that come and go.
pub type Shared = Arc<Mutex<SimCluster>>;

/// Locks the cluster.
pub fn locked(cluster: &Mutex<SimCluster>) -> MutexGuard<'_, SimCluster> {
    cluster.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Where in the course of its writes a process dies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Crash {
    /// The number of the write, from 0.
    pub write: u64,
    /// Before it is carried out, or just after.
    pub before: bool,
}

/// A controller's process.
pub struct Process {
    cluster: Shared,
    /// Since when it decides; `None`: for long.
    since: Option<Millis>,
    kept: Mutex<Kept>,
    /// The gate that it asked last.
    gate: Mutex<Option<GateSeen>>,
}

/// What the process has in its memory.
#[derive(Default)]
struct Kept {
    /// What it observed last, and the versions of it.
    observed: Option<Observation>,
    versions: BTreeMap<ObjectId, u64>,
    /// What its last tick did not record.
    deferred: Option<Deferred>,
    /// Runs as they were judged last.
    judged: BTreeMap<String, (Arc<AnalysisRunSpec>, Judged)>,
    /// Whether runs are put on record only when something is decided.
    records_rarely: bool,
    /// Broken invariants.
    broken: Vec<String>,
    /// Until when its call in progress is suspended; `Millis::MAX` forever.
    stalled: Option<Millis>,
    /// Whether another process leads by now.
    deposed: bool,
    crash: Option<Crash>,
    /// Writes so far.
    writes: u64,
}

/// As the controller reports that it restored a count.
fn restored(message: String) -> Notice {
    Notice { warning: true, reason: Reason::ReplicasRestored, message }
}

/// How a call continues.
enum Pass {
    /// As it should.
    Go,
    /// It is carried out and its answer is lost.
    LoseAnswer,
    /// It is carried out, and the process dies.
    Die,
}

impl Process {
    /// A process that has seen nothing yet.
    pub fn new(cluster: Shared, since: Option<Millis>, crash: Option<Crash>) -> Arc<Self> {
        Arc::new(Process {
            cluster,
            since,
            kept: Mutex::new(Kept { crash, ..Kept::default() }),
            gate: Mutex::default(),
        })
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn cluster(&self) -> MutexGuard<'_, SimCluster> {
        locked(&self.cluster)
    }

    /// Puts runs on record only when something is decided: for statistics, where no process takes over.
    pub fn record_rarely(&self) {
        self.kept().records_rarely = true;
    }

    /// What it would see now.
    pub fn look(&self, cluster: &SimCluster) -> Seen {
        let gate = self.gate.lock().unwrap_or_else(PoisonError::into_inner).clone();
        Seen { deciding_since: self.since.map(instant), gate, ..cluster.seen() }
    }

    /// Until when the call in progress is suspended.
    pub fn stalled(&self) -> Option<Millis> {
        self.kept().stalled
    }

    /// Whether it is the leader no more.
    pub fn is_deposed(&self) -> bool {
        self.kept().deposed
    }

    /// Writes so far: the places where it may be made to die.
    pub fn writes(&self) -> u64 {
        self.kept().writes
    }

    /// The invariants that were broken since the last call.
    pub fn take_broken(&self) -> Vec<String> {
        std::mem::take(&mut self.kept().broken)
    }

    /// Stands still until then.
    async fn stand_still(&self, until: Millis) {
        self.kept().stalled = Some(until);
        poll_fn(|_| if self.cluster().now >= until { Poll::Ready(()) } else { Poll::Pending }).await;
        self.kept().stalled = None;
    }

    /// What happens to a write.
    async fn write(&self) -> Result<Pass, WorldError> {
        let dies = {
            let mut kept = self.kept();
            let here = kept.crash.filter(|crash| crash.write == kept.writes);
            kept.writes += 1;
            here
        };
        if let Some(crash) = dies {
            if crash.before {
                self.stand_still(Millis::MAX).await;
            }
            return Ok(Pass::Die);
        }
        let (restart, change) = {
            let mut cluster = self.cluster();
            let now = cluster.now;
            let restart = cluster.faults.strikes(FaultKind::ControllerRestart, now);
            let leads = !self.kept().deposed;
            let change = leads && !restart && cluster.faults.changes_leader(now);
            (restart.then(|| cluster.faults.below(FaultKind::ControllerRestart, 2)), change)
        };
        match restart {
            Some(0) => self.stand_still(Millis::MAX).await,
            Some(_) => return Ok(Pass::Die),
            None => {}
        }
        if change {
            self.kept().deposed = true;
            let until = {
                let mut cluster = self.cluster();
                cluster.now + cluster.faults.stall()
            };
            self.stand_still(until).await;
        }
        let mut cluster = self.cluster();
        let now = cluster.now;
        if cluster.faults.strikes(FaultKind::ApiConflict, now) {
            return Err(WorldError::Conflict("another writer was first (a fault of the scenario)".into()));
        }
        if cluster.faults.strikes(FaultKind::ApiTimeout, now) {
            return Err(WorldError::Transient("the API server does not respond (a fault of the scenario)".into()));
        }
        Ok(if cluster.faults.strikes(FaultKind::LostResponse, now) { Pass::LoseAnswer } else { Pass::Go })
    }

    /// What follows a write that was carried out.
    async fn written(&self, pass: Pass) -> Result<(), WorldError> {
        match pass {
            Pass::Go => Ok(()),
            Pass::LoseAnswer => {
                Err(WorldError::Transient("the API server's response was lost (a fault of the scenario)".into()))
            }
            Pass::Die => {
                self.stand_still(Millis::MAX).await;
                Ok(())
            }
        }
    }

    /// The object must still be the one that was observed (rule S58).
    fn unchanged(&self, cluster: &SimCluster, named: &ObjectId) -> Result<(), WorldError> {
        let (seen, is) = (self.kept().versions.get(named).copied().unwrap_or(0), cluster.version_of(named));
        if seen == is { Ok(()) } else { Err(WorldError::changed(format_args!("{named:?}"))) }
    }

    fn apply(&self, cluster: &mut SimCluster, action: &Action) -> Result<(), WorldError> {
        match action {
            Action::EnsureRevision { id, number, replicas } => ensure_revision(cluster, id, *number, *replicas)?,
            Action::EnsureReplicas { id, replicas } => {
                let named = ObjectId::Replicas(id.clone());
                let wanted = cluster.set(id).map(|set| set.wanted);
                match wanted {
                    None => return Err(WorldError::Conflict(format!("revision {id} has no ReplicaSet"))),
                    Some(wanted) if *replicas < wanted => self.unchanged(cluster, &named)?,
                    _ => {}
                }
                cluster.scale(id, *replicas);
            }
            Action::EnsureMetadata { id, metadata } => {
                self.unchanged(cluster, &ObjectId::Replicas(id.clone()))?;
                label(cluster, id, metadata);
            }
            Action::EnsureTarget { target, revision } => {
                let stable = *target == Target::Stable;
                self.unchanged(cluster, if stable { &ObjectId::Stable } else { &ObjectId::Canary })?;
                cluster.move_target(stable, Some(revision.clone()));
            }
            Action::EnsureRoute(intent) => {
                self.unchanged(cluster, &ObjectId::Route)?;
                cluster.write_route(intent);
            }
            Action::EnsureWorkload { replicas, paused } => {
                self.unchanged(cluster, &ObjectId::Deployment)?;
                cluster.write_deployment(*replicas, *paused, None);
            }
            Action::AskGate(question) => {
                let seen = GateSeen { question: question.clone(), answer: Some(gate_answer(cluster, question)) };
                *self.gate.lock().unwrap_or_else(PoisonError::into_inner) = Some(seen);
            }
            Action::EnsureRun(request) => ensure_run(cluster, request)?,
            Action::CheckRun(request) => check_run(cluster, request)?,
            Action::StopRun { name } => {
                if let Some(run) = cluster.runs.get_mut(name) {
                    run.spec.stop = true;
                    cluster.runs_due.insert(name.clone());
                }
            }
            Action::AnswerCommand { name, state, message } => {
                cluster.commands.retain(|command| command.name != *name);
                cluster.answers.push((name.clone(), *state, message.clone()));
            }
            Action::RemoveRevision { id } => cluster.remove_set(id),
            Action::Restore(stage) => hand_back(cluster, *stage),
            Action::Evict { uid, .. } => cluster.evict(uid),
        }
        Ok(())
    }

    /// Our own writes are known at once, whatever the watches say.
    fn reflect(&self, cluster: &SimCluster, action: &Action) {
        let mut kept = self.kept();
        let named = match action {
            Action::EnsureReplicas { id, .. }
            | Action::EnsureRevision { id, .. }
            | Action::EnsureMetadata { id, .. } => ObjectId::Replicas(id.clone()),
            Action::EnsureTarget { target: Target::Stable, .. } => ObjectId::Stable,
            Action::EnsureTarget { .. } => ObjectId::Canary,
            Action::EnsureRoute(_) => ObjectId::Route,
            Action::EnsureWorkload { .. } => ObjectId::Deployment,
            _ => ObjectId::Rollout,
        };
        if named != ObjectId::Rollout {
            let version = cluster.version_of(&named);
            kept.versions.insert(named, version);
        }
        if kept.observed.is_none() {
            return;
        }
        let fresh = self.look(cluster);
        let Some(observed) = &mut kept.observed else { return };
        merge_written(&mut observed.seen, fresh, action);
    }

    /// Judges a run. Gives when to judge it again, unless it has ended.
    pub async fn judge(&self, name: &str) -> Result<Option<Millis>, WorldError> {
        let Some((spec, mut judged, is_recorded)) = self.take_up(name) else { return Ok(None) };
        let look = judged.look(&spec, is_recorded, self, &|| self.now()).await;
        if let Some(status) = look.record {
            self.record_run(name, &spec, status).await?;
        }
        self.kept().judged.insert(name.to_owned(), (spec, judged));
        Ok(look.wake.map(moment))
    }

    /// A run as it stands, and whether it has a status. A spec that is known is not copied again.
    fn take_up(&self, name: &str) -> Option<(Arc<AnalysisRunSpec>, Judged, bool)> {
        let cluster = self.cluster();
        let run = cluster.runs.get(name)?;
        let (rarely, known) = {
            let mut kept = self.kept();
            (kept.records_rarely, kept.judged.remove(name))
        };
        let (known_spec, known) = known.unzip();
        let spec = known_spec.filter(|spec| **spec == run.spec).unwrap_or_else(|| Arc::new(run.spec.clone()));
        let judged = Judged::newest(known, &spec, run.status.as_ref()).without_trails();
        let judged = if rarely { judged.recorded_rarely() } else { judged };
        Some((spec, judged, run.status.is_some()))
    }

    async fn record_run(
        &self,
        name: &str,
        spec: &AnalysisRunSpec,
        status: AnalysisRunStatus,
    ) -> Result<(), WorldError> {
        let pass = self.write().await?;
        {
            let mut cluster = self.cluster();
            let Some(run) = cluster.runs.get_mut(name) else { return Ok(()) };
            if run.spec != *spec {
                return Err(WorldError::changed(format_args!("AnalysisRun {name}")));
            }
            run.status = Some(status);
            cluster.news = true;
        }
        self.written(pass).await
    }
}

impl Clock for Process {
    fn now(&self) -> Timestamp {
        instant(self.cluster().now)
    }
}

#[async_trait]
impl World for Process {
    type Snapshot = ();

    async fn observe(&self, _: &RolloutKey) -> Result<Option<Observation>, WorldError> {
        let mut cluster = self.cluster();
        let now = cluster.now;
        let mut kept = self.kept();
        if kept.observed.is_some() {
            let behind = cluster.faults.strikes(FaultKind::StaleCache, now);
            if behind {
                cluster.late_news.get_or_insert(now + CATCH_UP);
            }
            if behind || cluster.faults.strikes(FaultKind::WatchGap, now) {
                return Ok(kept.observed.clone());
            }
        }
        let Some(mut rollout) = cluster.rollout.clone() else { return Ok(None) };
        if rollout.spec.replicas.is_none() {
            let own = cluster.deployment.as_ref().map(|deployment| deployment.own.wanted);
            let count = replicas::absent(&rollout, cluster.sets.iter().map(|set| set.wanted), own);
            if let (Some(count), Some(known)) = (count, &mut cluster.rollout) {
                known.spec.replicas = Some(count.get());
                let told = count.notice().map(|message| (now, restored(message)));
                cluster.notices.extend(told);
                cluster.touch();
                rollout = cluster.rollout.clone().unwrap_or(rollout);
            }
        }
        if cluster.file_invalid() {
            rollout = cluster.in_force(&rollout);
        }
        let observation = Observation { rollout: Arc::new(rollout), seen: self.look(&cluster), snapshot: () };
        kept.versions = cluster.versions_of_all();
        // Only a cache that can be behind needs to be remembered.
        kept.observed = cluster.faults.blur_the_view().then(|| observation.clone());
        Ok(Some(observation))
    }

    async fn carry_out(&self, _: &Observation, action: &Action) -> Result<(), WorldError> {
        let pass = self.write().await?;
        let deposed = self.is_deposed();
        {
            let mut cluster = self.cluster();
            self.apply(&mut cluster, action)?;
            // What another process writes is heard of by the one that leads.
            cluster.news |= deposed;
            if !matches!(pass, Pass::LoseAnswer) {
                self.reflect(&cluster, action);
            }
        }
        self.written(pass).await
    }

    async fn record(&self, observation: &Observation, status: &RolloutStatus) -> Result<(), WorldError> {
        let pass = self.write().await?;
        let deposed = self.is_deposed();
        {
            let mut cluster = self.cluster();
            let version = cluster.rollout.as_ref().and_then(|rollout| rollout.metadata.resource_version.clone());
            if version != observation.rollout.metadata.resource_version {
                return Err(WorldError::changed(&cluster.key));
            }
            cluster.touch();
            cluster.news |= deposed;
            if let Some(rollout) = &mut cluster.rollout {
                rollout.status = Some(status.clone());
            }
            if matches!(pass, Pass::Go) {
                let mut kept = self.kept();
                if let (Some(observed), Some(rollout)) = (&mut kept.observed, &cluster.rollout) {
                    observed.rollout = Arc::new(rollout.clone());
                }
            }
        }
        self.written(pass).await
    }

    fn take_deferred(&self, _: &RolloutKey) -> Option<Deferred> {
        self.kept().deferred.take()
    }

    fn defer(&self, _: &RolloutKey, deferred: Deferred) {
        self.kept().deferred = Some(deferred);
    }

    fn keeps_deferred(&self) -> bool {
        true
    }

    fn decided(&self, input: &Input<'_>, decision: &Decision) {
        let broken = invariants::broken(input, decision);
        self.kept().broken.extend(broken);
    }

    async fn tell(&self, _: &Observation, notice: &Notice) {
        let mut cluster = self.cluster();
        let now = cluster.now;
        cluster.notices.push((now, notice.clone()));
    }
}
