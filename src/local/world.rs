//! The demo's cluster, in memory: one Rollout, its pods as real servers, and the proxy as its router.
//!
//! The proxy replaces a mesh's routes: it has a stable and a canary target, and what the routes say. Without any router in the
//! file it spreads requests over all ready pods, as a Service does, and the ratio of replicas determines the weight.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use async_trait::async_trait;
use jiff::Timestamp;
use tokio::sync::Notify;
use tokio_util::task::TaskTracker;

use super::{
    chance::Chance,
    counters::Counters,
    pods::{Behaviour, Pod},
    proxy::{Backend, Choice, Proxy, Table},
    replicas::{Moves, Replicas},
    template,
    unsupported::{not_local, unknown_revision},
};
use crate::{
    api::{
        AnalysisRun, Percent, Rollout, RolloutStatus,
        analysis::AnalysisTemplateSpec,
        command::{CommandState, RolloutCommandSpec},
        revision,
    },
    engine::{
        Action, CommandSeen, Notice, RouteIntent, RouteSeen, RunRequest, RunSeen, Seen, Target, TargetSeen,
        TemplateSeen,
    },
    ports::{Clock, Observation, RolloutKey, World, WorldError},
    reconcile::runs,
    source::DIALECT,
};

/// One Rollout with everything around it, on this machine.
#[derive(Clone)]
pub struct LocalWorld {
    inner: Arc<Inner>,
}

struct Inner {
    key: RolloutKey,
    clock: Arc<dyn Clock>,
    counters: Arc<Counters>,
    proxy: Arc<Proxy>,
    chance: Arc<Chance>,
    templates: BTreeMap<String, AnalysisTemplateSpec>,
    state: Mutex<State>,
    changed: Notify,
    tasks: TaskTracker,
}

/// What may change, behind one lock that is never held across a wait.
struct State {
    rollout: Rollout,
    version: u64,
    behaviours: BTreeMap<String, Behaviour>,
    revisions: Vec<Replicas>,
    stable_target: Option<String>,
    canary_target: Option<String>,
    route: Option<RouteIntent>,
    runs: BTreeMap<String, AnalysisRun>,
    commands: Vec<CommandSeen>,
    notices: Vec<(Timestamp, Notice)>,
    serials: u64,
}

impl LocalWorld {
    /// A world around `rollout`, which has its own template. Analysis templates are looked up in `templates`, then among
    /// the built-in ones.
    pub fn new(
        rollout: Rollout,
        templates: BTreeMap<String, AnalysisTemplateSpec>,
        proxy: Arc<Proxy>,
        clock: Arc<dyn Clock>,
        seed: u64,
    ) -> Self {
        let metadata = &rollout.metadata;
        let key = RolloutKey {
            namespace: metadata.namespace.clone().unwrap_or_else(|| "demo".into()),
            name: metadata.name.clone().unwrap_or_else(|| "demo".into()),
        };
        let counters = Arc::new(Counters::new(clock.clone()));
        let state = Mutex::new(State::new(rollout, &key));
        let inner = Inner {
            key,
            clock,
            counters,
            proxy,
            chance: Arc::new(Chance::new(seed)),
            templates,
            state,
            changed: Notify::new(),
            tasks: TaskTracker::new(),
        };
        LocalWorld { inner: Arc::new(inner) }
    }

    /// The Rollout's name.
    pub fn key(&self) -> RolloutKey {
        self.inner.key.clone()
    }

    /// What the pods have counted.
    pub fn counters(&self) -> &Arc<Counters> {
        &self.inner.counters
    }

    /// The Rollout as it is.
    pub fn rollout(&self) -> Rollout {
        self.inner.state().rollout.clone()
    }

    /// The AnalysisRuns as they are, by name.
    pub fn runs(&self) -> BTreeMap<String, AnalysisRun> {
        self.inner.state().runs.clone()
    }

    /// A user changes the image: the version, its pods behaving like this, is wanted from now on.
    pub fn release(&self, behaviour: Behaviour) {
        let mut state = self.inner.state();
        let Some(old) = state.rollout.spec.template.clone() else { return };
        let new = template::with_tag(&old, &behaviour.version);
        state.behaviours.insert(revision::id(&new), behaviour);
        state.rollout.spec.template = Some(new);
        let generation = state.rollout.metadata.generation.unwrap_or(0) + 1;
        state.rollout.metadata.generation = Some(generation);
        state.touch();
        self.inner.changed.notify_one();
    }

    /// A user gives a command.
    pub fn command(&self, spec: RolloutCommandSpec) {
        let created = self.inner.clock.now();
        let mut state = self.inner.state();
        state.serials += 1;
        let name = format!("{}-{}-{}", self.inner.key.name, spec.verb.as_str(), state.serials);
        state.commands.push(CommandSeen { uid: name.clone(), name, created, spec });
        self.inner.changed.notify_one();
    }

    /// The transitions since the last call, oldest first.
    pub fn take_notices(&self) -> Vec<(Timestamp, Notice)> {
        std::mem::take(&mut self.inner.state().notices)
    }

    /// Waits until something outside the engine has changed: a pod is up or gone, a version or command has come.
    pub async fn changed(&self) {
        self.inner.changed.notified().await;
    }

    /// Reads the windows that are due and runs the judges.
    pub async fn judge(&self, now: Timestamp) {
        for (name, run) in self.runs() {
            if let Some(status) = runs::advance(&run, self.inner.counters.as_ref(), now).await {
                let mut state = self.inner.state();
                if let Some(run) = state.runs.get_mut(&name) {
                    run.status = Some(status);
                }
            }
        }
    }

    /// Drains all pods. The traffic must have stopped.
    pub async fn shut_down(&self) {
        {
            let mut state = self.inner.state();
            let ids: Vec<String> = state.revisions.iter().map(|revision| revision.id.clone()).collect();
            for id in ids {
                self.scale(&mut state, &id, 0);
            }
        }
        self.inner.tasks.close();
        self.inner.tasks.wait().await;
    }

    fn scale(&self, state: &mut State, id: &str, replicas: u32) {
        let State { revisions, serials, .. } = state;
        let Some(revision) = revisions.iter_mut().find(|revision| revision.id == id) else { return };
        let Moves { start, drain } = revision.scale(replicas, serials);
        let (workload, behaviour) = (revision.workload.clone(), revision.behaviour.clone());
        // Out of the table first: then a pod that drains gets no more requests.
        self.inner.reroute(state);
        for serial in start {
            let (inner, id, workload, behaviour) =
                (self.inner.clone(), id.to_owned(), workload.clone(), behaviour.clone());
            self.inner.tasks.spawn(bring_up(inner, id, workload, serial, behaviour));
        }
        for (serial, pod) in drain {
            self.inner.tasks.spawn(take_down(self.inner.clone(), id.to_owned(), serial, pod));
        }
    }

    fn ensure_revision(&self, state: &mut State, id: &str, number: u64, replicas: u32) -> Result<(), WorldError> {
        if let Some(known) = state.revisions.iter_mut().find(|revision| revision.id == id) {
            known.number = number;
            return Ok(());
        }
        let wanted = state.rollout.spec.template.clone().filter(|template| revision::id(template) == id);
        let (Some(template), Some(behaviour)) = (wanted, state.behaviours.get(id).cloned()) else {
            return Err(unknown_revision(id));
        };
        let workload = format!("{}-{id}", self.inner.key.name);
        state.revisions.push(Replicas::new(id, number, workload, revision::images(&template), behaviour));
        self.scale(state, id, replicas);
        Ok(())
    }

    fn ensure_run(&self, state: &mut State, request: &RunRequest) -> Result<(), WorldError> {
        if let Some(run) = state.runs.get_mut(&request.name) {
            (run.spec.epoch, run.spec.candidate_share) = (request.epoch, request.candidate_share());
            return Ok(());
        }
        let run = runs::freeze(&self.inner.key, &state.rollout, request, &self.inner.templates, DIALECT)?;
        state.runs.insert(request.name.clone(), run);
        Ok(())
    }
}

async fn bring_up(inner: Arc<Inner>, id: String, workload: String, serial: u64, behaviour: Behaviour) {
    let started = Pod::start(&behaviour, &workload, &inner.counters, inner.chance.clone()).await;
    let unwanted = {
        let mut state = inner.state();
        let Some(revision) = state.revisions.iter_mut().find(|revision| revision.id == id) else { return };
        let unwanted = match started {
            Ok(pod) => revision.started(serial, pod, inner.clock.now()).err(),
            Err(error) => {
                revision.trouble = Some(format!("a pod could not listen on loopback: {error}"));
                None
            }
        };
        inner.reroute(&state);
        unwanted
    };
    inner.changed.notify_one();
    if let Some(pod) = unwanted {
        take_down(inner, id, serial, pod).await;
    }
}

async fn take_down(inner: Arc<Inner>, id: String, serial: u64, pod: Pod) {
    pod.drain().await;
    if let Some(revision) = inner.state().revisions.iter_mut().find(|revision| revision.id == id) {
        revision.gone(serial);
    }
    inner.changed.notify_one();
}

impl Inner {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Brings the proxy's table in line with pods, targets and weight.
    fn reroute(&self, state: &State) {
        self.proxy.set(if state.has_router() { state.split_by_route() } else { state.split_by_replicas() });
    }
}

impl State {
    fn new(mut rollout: Rollout, key: &RolloutKey) -> Self {
        rollout.metadata.uid = Some(format!("local-{}", key.name));
        rollout.metadata.namespace = Some(key.namespace.clone());
        rollout.metadata.name = Some(key.name.clone());
        let mut state = State {
            rollout,
            version: 0,
            behaviours: BTreeMap::new(),
            revisions: Vec::new(),
            stable_target: None,
            canary_target: None,
            route: None,
            runs: BTreeMap::new(),
            commands: Vec::new(),
            notices: Vec::new(),
            serials: 0,
        };
        state.touch();
        state
    }

    /// Another version of the object.
    fn touch(&mut self) {
        self.version += 1;
        self.rollout.metadata.resource_version = Some(self.version.to_string());
    }

    fn has_router(&self) -> bool {
        !self.rollout.spec.traffic.is_empty()
    }

    fn split_by_route(&self) -> Table {
        let of = |target: &String| -> Vec<Backend> {
            let selected = self.revisions.iter().filter(|revision| revision.id == *target);
            selected.flat_map(Replicas::endpoints).collect()
        };
        Table {
            stable: self.stable_target.as_ref().map(of).unwrap_or_default(),
            canary: self.canary_target.as_ref().map(of),
            choice: self.route.as_ref().map(Choice::new).unwrap_or_default(),
        }
    }

    fn split_by_replicas(&self) -> Table {
        Table { stable: self.revisions.iter().flat_map(Replicas::endpoints).collect(), ..Table::default() }
    }

    fn target_seen(&self, target: &Option<String>) -> Option<TargetSeen> {
        let listed = |revision: &&Replicas| Some(&revision.id) == target.as_ref();
        let count =
            |revision: &Replicas| (revision.id.clone(), u32::try_from(revision.endpoints().len()).unwrap_or(u32::MAX));
        let endpoints = self.revisions.iter().filter(listed).map(count).collect();
        self.has_router().then(|| TargetSeen {
            revision: target.clone(),
            endpoints: Some(endpoints),
            ..TargetSeen::default()
        })
    }

    fn route_seen(&self) -> RouteSeen {
        let Some(route) = &self.route else { return RouteSeen::default() };
        let mut headers: Vec<String> = route.headers.iter().map(|header| header.name.clone()).collect();
        headers.sort();
        RouteSeen {
            weight: Some(route.canary),
            headers,
            mirror: route.mirror.as_ref().map(|mirror| mirror.percent),
            sticky: route.sticky.is_some(),
            ..RouteSeen::default()
        }
    }

    fn seen(&self, now: Timestamp) -> Seen {
        let spec = &self.rollout.spec;
        let template = spec.template.as_ref();
        Seen {
            template: template.map(|raw| TemplateSeen {
                id: revision::id(raw),
                images: revision::images(raw),
                ..TemplateSeen::default()
            }),
            replicas: spec.replicas.unwrap_or(1),
            revisions: self.revisions.iter().map(|r| r.seen(spec.min_ready_seconds.unwrap_or(0), now)).collect(),
            pods: None,
            route: self.has_router().then(|| self.route_seen()),
            grain: Percent::ZERO,
            stable_target: self.target_seen(&self.stable_target),
            canary_target: self.target_seen(&self.canary_target),
            workload: None,
            runs: self.runs.iter().map(|(name, run)| (name.clone(), run_seen(run))).collect(),
            commands: self.commands.clone(),
            gate: None,
            problems: Vec::new(),
            objects_changed: false,
            file_invalid: false,
            deciding_since: None,
            selector: format!("app={}", self.rollout.metadata.name.as_deref().unwrap_or_default()),
        }
    }

    fn answer_command(&mut self, name: &str, state: CommandState, message: &str) {
        self.commands.retain(|command| command.name != name);
        tracing::debug!(name, ?state, message, "a command was answered");
    }
}

pub(super) fn run_seen(run: &AnalysisRun) -> RunSeen {
    let status: Arc<_> = run.status.clone().unwrap_or_default().into();
    RunSeen { phase: status.phase, verdict: status.verdict, epoch_wanted: run.spec.epoch, stop: run.spec.stop, status }
}

#[async_trait]
impl World for LocalWorld {
    type Snapshot = ();

    async fn observe(&self, key: &RolloutKey) -> Result<Option<Observation>, WorldError> {
        if *key != self.inner.key {
            return Ok(None);
        }
        let state = self.inner.state();
        let seen = state.seen(self.inner.clock.now());
        Ok(Some(Observation { rollout: Arc::new(state.rollout.clone()), seen, snapshot: () }))
    }

    async fn carry_out(&self, _: &Observation, action: &Action) -> Result<(), WorldError> {
        let mut guard = self.inner.state();
        let state = &mut *guard;
        match action {
            Action::EnsureRevision { id, number, replicas } => {
                self.ensure_revision(state, id, *number, *replicas)?;
            }
            Action::EnsureReplicas { id, replicas } => self.scale(state, id, *replicas),
            Action::EnsureMetadata { id, metadata } => {
                let known = state.revisions.iter_mut().find(|revision| revision.id == *id);
                known.into_iter().for_each(|revision| revision.metadata.clone_from(metadata));
            }
            Action::EnsureTarget { target: Target::Stable, revision } => state.stable_target = Some(revision.clone()),
            Action::EnsureTarget { target: Target::Canary, revision } => state.canary_target = Some(revision.clone()),
            Action::EnsureRoute(intent) => state.route = Some(intent.clone()),
            Action::EnsureRun(request) => self.ensure_run(state, request)?,
            Action::CheckRun(request) => {
                runs::freeze(&self.inner.key, &state.rollout, request, &self.inner.templates, DIALECT)?;
            }
            Action::StopRun { name } => {
                if let Some(run) = state.runs.get_mut(name) {
                    run.spec.stop = true;
                }
            }
            Action::AnswerCommand { name, state: end, message } => state.answer_command(name, *end, message),
            Action::RemoveRevision { id } => state.revisions.retain(|revision| &revision.id != id),
            Action::EnsureWorkload { .. } | Action::Restore(_) | Action::AskGate(_) | Action::Evict { .. } => {
                return Err(not_local(action));
            }
        }
        self.inner.reroute(state);
        Ok(())
    }

    async fn record(&self, observation: &Observation, status: &RolloutStatus) -> Result<(), WorldError> {
        let mut state = self.inner.state();
        if state.rollout.metadata.resource_version != observation.rollout.metadata.resource_version {
            return Err(WorldError::changed(&self.inner.key));
        }
        state.rollout.status = Some(status.clone());
        state.touch();
        Ok(())
    }

    async fn tell(&self, _: &Observation, notice: &Notice) {
        let now = self.inner.clock.now();
        self.inner.state().notices.push((now, notice.clone()));
    }
}

#[cfg(test)]
#[path = "world_tests.rs"]
mod tests;
