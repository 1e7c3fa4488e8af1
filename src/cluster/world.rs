//! The cluster as the engine's world: each action goes to the file that carries it out.

use std::sync::Arc;

use async_trait::async_trait;
use jiff::{SignedDuration, Timestamp};

use super::{action_log::described, call, locks::lock, shared::Cluster, snapshot::Snapshot};
use crate::{
    api::{RolloutStatus, reason::Reason},
    engine::{Action, Notice},
    ports::{Deferred, Observation, RolloutKey, World, WorldError},
};

/// Pods that come one by one change counts and messages with each: they are recorded this often at most.
const STATUS_WAIT: SignedDuration = SignedDuration::from_secs(2);

#[async_trait]
impl World for Cluster {
    type Snapshot = Arc<Snapshot>;

    async fn observe(&self, key: &RolloutKey) -> Result<Option<Observation<Arc<Snapshot>>>, WorldError> {
        self.is_consistent()?;
        self.observe_rollout(key).await
    }

    async fn carry_out(&self, observation: &Observation<Arc<Snapshot>>, action: &Action) -> Result<(), WorldError> {
        self.is_consistent()?;
        let snapshot = &observation.snapshot;
        let done = self.perform(snapshot, action).await;
        if let Err(WorldError::Refused { reason, .. }) = &done {
            self.settings.metrics.action_refused(&snapshot.key.namespace, reason.as_str());
        }
        done
    }

    async fn record(&self, observation: &Observation<Arc<Snapshot>>, status: &RolloutStatus) -> Result<(), WorldError> {
        self.is_consistent()?;
        lock(&self.pending_summary).remove(&RolloutKey::of(&observation.rollout));
        self.record_status(&observation.rollout, status).await?;
        self.count_progress(&observation.rollout, status);
        Ok(())
    }

    fn defers_words_until(&self, key: &RolloutKey) -> Option<Timestamp> {
        let now = self.clock.now();
        let since = *lock(&self.pending_summary).entry(key.clone()).or_insert(now);
        since.checked_add(STATUS_WAIT).ok()
    }

    fn take_deferred(&self, key: &RolloutKey) -> Option<Deferred> {
        lock(&self.deferred).remove(key)
    }

    fn defer(&self, key: &RolloutKey, deferred: Deferred) {
        lock(&self.deferred).insert(key.clone(), deferred);
    }

    fn keeps_deferred(&self) -> bool {
        true
    }

    async fn tell(&self, observation: &Observation<Arc<Snapshot>>, notice: &Notice) {
        if notice.reason == Reason::RouteRepaired {
            self.settings.metrics.route_repaired(&RolloutKey::of(&observation.rollout).namespace);
        }
        self.events.send(&observation.rollout, notice);
    }
}

impl Cluster {
    /// Makes one desired state so.
    async fn perform(&self, snapshot: &Snapshot, action: &Action) -> Result<(), WorldError> {
        let key = &snapshot.key;
        tracing::debug!(rollout = %key, action = described(action), "carry out");
        match action {
            Action::EnsureRevision { id, number, replicas } => {
                self.ensure_revision(snapshot, id, *number, *replicas).await
            }
            Action::EnsureReplicas { id, replicas } => self.ensure_replicas(snapshot, id, *replicas).await,
            Action::EnsureMetadata { id, metadata } => self.ensure_metadata(snapshot, id, metadata).await,
            Action::Evict { pod, uid } => self.evict(snapshot, pod, uid).await,
            Action::RemoveRevision { id } => self.remove_revision(snapshot, id).await,
            Action::EnsureTarget { target, revision } => self.ensure_target(snapshot, *target, revision).await,
            Action::EnsureRoute(intent) => self.ensure_route(snapshot, intent).await,
            Action::EnsureWorkload { replicas, paused } => self.ensure_workload(snapshot, *replicas, *paused).await,
            Action::AskGate(_) if !self.fence.is_open() => Err(call::not_leading("ask a gate")),
            Action::AskGate(question) => {
                let (triggers, rollout) = (Arc::clone(&self.triggers), key.clone());
                self.gates.ensure_asked(key, question, move || triggers.rollout(rollout));
                Ok(())
            }
            Action::EnsureRun(request) => self.ensure_run(snapshot, request).await,
            Action::CheckRun(request) => self.check_run(snapshot, request).await,
            Action::StopRun { name } => self.stop_run(snapshot, name).await,
            Action::AnswerCommand { name, state, message } => {
                self.answer_command(&key.namespace, name, *state, message).await
            }
            Action::Restore(stage) => self.hand_back(snapshot, *stage).await,
        }
    }
}
