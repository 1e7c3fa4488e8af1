//! Status writes, on condition that the object is still the one observed.

use kube::api::{Patch, PatchParams, PostParams};
use serde_json::json;

use super::{Cluster, call::is_missing, commands, key_of, rollouts};
use crate::{
    api::{Rollout, RolloutStatus, command::CommandState},
    ports::WorldError,
};

impl Cluster {
    /// Replaces the status as a whole: what is no longer said goes away.
    pub(super) async fn record_status(&self, rollout: &Rollout, status: &RolloutStatus) -> Result<(), WorldError> {
        let key = key_of(rollout);
        // The finalizer's removal and other writes of this tick moved the version; they are ours and in the table.
        let version = self.tables.rollouts.get(&key.namespace, &key.name).map(|entry| entry.version.clone());
        if version.is_none() && rollout.metadata.deletion_timestamp.is_some() {
            return Ok(());
        }
        let observed = rollout.metadata.resource_version.clone().unwrap_or_default();
        if version.is_some_and(|version| version != observed) {
            return Err(WorldError::Conflict(format!("Rollout {key} has changed")));
        }
        let resource = rollouts();
        let body = json!({
            "apiVersion": resource.api_version, "kind": resource.kind,
            "metadata": {"name": key.name, "namespace": key.namespace, "uid": rollout.metadata.uid, "resourceVersion": observed},
            "spec": {}, "status": status,
        });
        let object = serde_json::from_value(body).map_err(|error| WorldError::Transient(error.to_string()))?;
        let what = format!("write the status of Rollout {key}");
        let api = self.api(&resource, &key.namespace);
        match self.write(&what, api.replace_status(&key.name, &PostParams::default(), &object)).await {
            Ok(written) => {
                self.tables.rollouts.wrote(&written);
                Ok(())
            }
            Err(error) if is_missing(&error) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Counts the steps and the releases that a recorded status says are over.
    pub(super) fn count_progress(&self, rollout: &Rollout, new: &RolloutStatus) {
        let namespace = rollout.metadata.namespace.as_deref().unwrap_or_default();
        let old = rollout.status.clone().unwrap_or_default();
        let metrics = &self.settings.metrics;
        if (&old.current_revision, old.attempt) == (&new.current_revision, new.attempt) {
            metrics.steps_completed(namespace, new.step_index.saturating_sub(old.step_index));
        }
        if let Some(ended) = new.history.first().filter(|ended| old.history.first() != Some(ended)) {
            metrics.release_ended(namespace, format!("{:?}", ended.outcome));
        }
    }

    /// Writes what became of a command.
    pub(super) async fn answer_command(
        &self,
        namespace: &str,
        name: &str,
        state: CommandState,
        message: &str,
    ) -> Result<(), WorldError> {
        if self.tables.commands.get(namespace, name).is_none_or(|entry| entry.value.state.is_some()) {
            return Ok(());
        }
        let patch = json!({"status": {"state": state, "message": message, "takenAt": self.clock.now()}});
        let what = format!("answer RolloutCommand {namespace}/{name}");
        let params = PatchParams { field_manager: Some(super::MANAGER.into()), ..PatchParams::default() };
        let api = self.api(&commands(), namespace);
        match self.write(&what, api.patch_status(name, &params, &Patch::Merge(&patch))).await {
            Ok(written) => {
                self.tables.commands.wrote(&written);
                Ok(())
            }
            Err(error) if is_missing(&error) => Ok(()),
            Err(error) => Err(error),
        }
    }
}
