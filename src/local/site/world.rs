//! The site as a world of the engine: what is seen, and how each desired state is brought about.

use std::{collections::BTreeMap, sync::Arc};

use async_trait::async_trait;
use jiff::Timestamp;
use kube::ResourceExt;

use super::{
    apply::Site,
    kinds,
    placement::Version,
    state::{Inner, State},
};
use crate::{
    api::{
        AnalysisRun, ROLLOUT_LABEL, Rollout, RolloutCommand, RolloutStatus,
        command::{CommandState, RolloutCommandStatus},
        reason::Reason,
        revision,
        status::Course,
    },
    engine::{Action, CommandSeen, Notice, RunRequest, Seen, TemplateSeen},
    local::{
        unsupported::{not_local, unknown_revision},
        world::run_seen,
    },
    ports::{Observation, RolloutKey, World, WorldError},
    reconcile::runs,
    source::DIALECT,
};

use super::folder::FolderError;

/// A write that did not reach the disk may do so later.
impl From<FolderError> for WorldError {
    fn from(error: FolderError) -> Self {
        WorldError::Transient(error.to_string())
    }
}

#[async_trait]
impl World for Site {
    type Snapshot = ();

    async fn observe(&self, key: &RolloutKey) -> Result<Option<Observation>, WorldError> {
        let Some(rollout) = self.rollout().filter(|_| *key == self.inner.key) else { return Ok(None) };
        let (mut seen, written) = {
            let mut state = self.inner.state();
            let health = state.health.clone();
            if state.placement.settle(&health) {
                self.inner.keep(&mut state)?;
            }
            (self.inner.seen(&state, &rollout), state.placement.route.clone())
        };
        if let Some(mesh) = &self.inner.mesh {
            mesh.fill(&mut seen, written.map(Into::into), rests(&rollout), self.inner.clock.now()).await;
        }
        Ok(Some(Observation { rollout: Arc::new(rollout), seen, snapshot: () }))
    }

    async fn carry_out(&self, observation: &Observation, action: &Action) -> Result<(), WorldError> {
        match action {
            Action::EnsureRun(request) => return self.inner.ensure_run(&observation.rollout, request),
            Action::CheckRun(request) => return self.inner.check_run(&observation.rollout, request),
            Action::StopRun { name } => return self.inner.stop_run(name),
            Action::AnswerCommand { name, state, message } => return self.inner.answer(name, *state, message),
            Action::AskGate(question) => {
                let changed = Arc::clone(&self.inner.changed);
                self.inner.gates.ensure_asked(&self.inner.key, question, move || changed.notify_one());
                return Ok(());
            }
            _ => {}
        }
        if let Some(mesh) = &self.inner.mesh {
            match action {
                Action::EnsureTarget { target, revision } => mesh.aim(*target, revision).await?,
                Action::EnsureRoute(intent) => mesh.route(intent).await?,
                _ => {}
            }
        }
        let mut state = self.inner.state();
        self.inner.change_placement(&mut state, &observation.rollout, action)?;
        self.inner.keep(&mut state)?;
        Ok(())
    }

    async fn record(&self, observation: &Observation, status: &RolloutStatus) -> Result<(), WorldError> {
        let mut rollout = (*observation.rollout).clone();
        rollout.status = Some(status.clone());
        match self.inner.objects.replace(kinds::ROLLOUT, &rollout)? {
            Some(_) => Ok(()),
            None => Err(WorldError::changed(&self.inner.key)),
        }
    }

    async fn tell(&self, _: &Observation, notice: &Notice) {
        self.inner.tell(&mut self.inner.state(), notice.clone());
    }
}

/// Whether no release is under way.
fn rests(rollout: &Rollout) -> bool {
    let course = rollout.status.as_ref().map(RolloutStatus::course);
    matches!(course, Some(Course::Idle | Course::Aborted | Course::ControlKept))
}

impl Site {
    /// Reads the windows that are due and runs the judges. Their numbers are persisted at once.
    pub async fn judge(&self, now: Timestamp) -> Result<(), WorldError> {
        for mut run in self.inner.objects.typed::<AnalysisRun>(kinds::RUN) {
            let source = self.inner.source.as_ref();
            if let Some(status) = runs::advance(&run, source, now).await {
                run.status = Some(status);
                self.inner.objects.put(kinds::RUN, &run)?;
            }
        }
        Ok(())
    }
}

impl Inner {
    fn seen(&self, state: &State, rollout: &Rollout) -> Seen {
        let (placement, health, now) = (&state.placement, &state.health, self.clock.now());
        let spec = &rollout.spec;
        let min_ready = spec.min_ready_seconds.unwrap_or(0);
        let template = spec.template.as_ref().map(|raw| TemplateSeen {
            id: revision::id(raw),
            images: revision::images(raw),
            ..TemplateSeen::default()
        });
        Seen {
            template,
            replicas: 1,
            revisions: placement
                .versions
                .iter()
                .map(|v| placement.seen(v, &self.key.name, health, min_ready, now))
                .collect(),
            route: Some(placement.route_seen()),
            stable_target: Some(placement.target_seen(placement.stable.as_ref(), health)),
            canary_target: Some(placement.target_seen(placement.canary.as_ref(), health)),
            runs: self.runs().iter().map(|(name, run)| (name.clone(), run_seen(run))).collect(),
            commands: self.commands(),
            gate: self.gates.seen(&self.key),
            deciding_since: self.deciding_since,
            selector: format!("app={}", self.key.name),
            ..Seen::default()
        }
    }

    fn runs(&self) -> BTreeMap<String, AnalysisRun> {
        let all = self.objects.typed::<AnalysisRun>(kinds::RUN);
        all.into_iter().map(|run| (run.metadata.name.clone().unwrap_or_default(), run)).collect()
    }

    /// Commands that wait for an answer, oldest first.
    fn commands(&self) -> Vec<CommandSeen> {
        let all = self.objects.typed::<RolloutCommand>(kinds::COMMAND);
        let waiting =
            all.into_iter().filter(|command| command.status.as_ref().is_none_or(|status| status.state.is_none()));
        let mut waiting: Vec<CommandSeen> = waiting
            .map(|command| CommandSeen {
                uid: command.metadata.uid.unwrap_or_default(),
                name: command.metadata.name.unwrap_or_default(),
                created: command.metadata.creation_timestamp.map(|time| time.0).unwrap_or_default(),
                spec: command.spec,
            })
            .collect();
        waiting.sort_by(|a, b| (a.created, &a.name).cmp(&(b.created, &b.name)));
        waiting
    }

    fn change_placement(&self, state: &mut State, rollout: &Rollout, action: &Action) -> Result<(), WorldError> {
        match action {
            Action::EnsureRevision { id, number, replicas } => {
                let is_new = state.placement.versions.iter().all(|version| version.id != *id);
                let wanted = || rollout.spec.template.clone().filter(|template| revision::id(template) == *id);
                if !state.placement.ensure_version(id, *number, wanted, self.clock.now()) {
                    return Err(unknown_revision(id));
                }
                if is_new {
                    state.placement.want(id, *replicas);
                }
            }
            Action::EnsureReplicas { id, replicas } => {
                let news = state.placement.want(id, *replicas).cloned();
                let runs =
                    |version: &Version| state.placement.places[version.place].occupant.as_deref() == Some(&version.id);
                if let Some(version) = news.filter(|version| version.wanted == 0 && runs(version)) {
                    self.tell_free(state, version.place, version.number);
                }
            }
            Action::EnsureTarget { target, revision } => state.placement.aim(*target, revision),
            Action::EnsureRoute(intent) => state.placement.route(intent),
            Action::RemoveRevision { id } => state.placement.versions.retain(|version| version.id != *id),
            Action::EnsureWorkload { .. }
            | Action::Restore(_)
            | Action::Evict { .. }
            | Action::EnsureMetadata { .. } => return Err(not_local(action)),
            Action::EnsureRun(_)
            | Action::CheckRun(_)
            | Action::StopRun { .. }
            | Action::AnswerCommand { .. }
            | Action::AskGate(_) => {}
        }
        Ok(())
    }

    fn tell_free(&self, state: &mut State, place: usize, number: u64) {
        let address = &state.placement.places[place].address;
        let message = format!(
            "#{number} at {address} no longer receives traffic and can be stopped; the next version goes there"
        );
        self.tell(state, Notice { warning: false, reason: Reason::AddressFree, message });
    }

    fn ensure_run(&self, rollout: &Rollout, request: &RunRequest) -> Result<(), WorldError> {
        let run = match self.objects.typed_one::<AnalysisRun>(kinds::RUN, &request.name) {
            Some(mut run) => {
                run.spec.epoch = request.epoch;
                run
            }
            None => {
                let templates = self.state().templates.clone();
                let mut run = runs::freeze(&self.key, rollout, request, &templates, DIALECT)?;
                run.metadata.creation_timestamp = Some(self.time());
                run.labels_mut().insert(ROLLOUT_LABEL.to_owned(), self.key.name.clone());
                run
            }
        };
        self.objects.put(kinds::RUN, &run)?;
        Ok(())
    }

    fn check_run(&self, rollout: &Rollout, request: &RunRequest) -> Result<(), WorldError> {
        let templates = self.state().templates.clone();
        runs::freeze(&self.key, rollout, request, &templates, DIALECT).map(|_| ())
    }

    fn stop_run(&self, name: &str) -> Result<(), WorldError> {
        let Some(mut run) = self.objects.typed_one::<AnalysisRun>(kinds::RUN, name) else { return Ok(()) };
        run.spec.stop = true;
        self.objects.put(kinds::RUN, &run)?;
        Ok(())
    }

    fn answer(&self, name: &str, state: CommandState, message: &str) -> Result<(), WorldError> {
        let Some(mut command) = self.objects.typed_one::<RolloutCommand>(kinds::COMMAND, name) else { return Ok(()) };
        if command.status.as_ref().is_some_and(|status| status.state.is_some()) {
            return Ok(());
        }
        let taken_at = Some(self.clock.now());
        command.status = Some(RolloutCommandStatus { state: Some(state), message: message.to_owned(), taken_at });
        self.objects.put(kinds::COMMAND, &command)?;
        Ok(())
    }
}
