//! Status writes, on condition that the object is still the one observed.

use kube::{api::Patch, core::ObjectMeta};
use serde::Serialize;
use serde_json::{Map, Value, json};

use super::{
    call::is_missing,
    resources::{commands, rollouts},
    shared::Cluster,
    workload::params,
};
use crate::{
    api::{Rollout, RolloutStatus, command::CommandState},
    ports::{RolloutKey, WorldError},
};

impl Cluster {
    /// Writes what differs from the status that was observed: what is no longer said goes away, and fields that this version
    /// does not know, of a newer one, stay.
    pub(super) async fn record_status(&self, rollout: &Rollout, status: &RolloutStatus) -> Result<(), WorldError> {
        let key = RolloutKey::of(rollout);
        // The finalizer's removal and other writes of this tick moved the version; they are ours and in the table.
        let version = self.tables.rollouts.get(&key.namespace, &key.name).map(|entry| entry.version.clone());
        if version.is_none() && rollout.metadata.deletion_timestamp.is_some() {
            return Ok(());
        }
        let observed = rollout.metadata.resource_version.clone().unwrap_or_default();
        if version.is_some_and(|version| version != observed) {
            return Err(WorldError::Conflict(format!("Rollout {key} has changed")));
        }
        let Some(patch) = rollout_patch(rollout, status)? else { return Ok(()) };
        let what = format!("write the status of Rollout {key}");
        let api = self.api(&rollouts(), &key.namespace);
        match self.write(&what, api.patch_status(&key.name, &params(), &Patch::Merge(patch))).await {
            Ok(written) => {
                self.wrote_rollout(&written);
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
        let known = self.tables.commands.get(namespace, name);
        let Some(command) = known.filter(|command| command.value.state.is_none()) else { return Ok(()) };
        // It may have been answered by another process since.
        let patch = json!({
            "metadata": command.condition(),
            "status": {"state": state, "message": message, "takenAt": self.clock.now()},
        });
        let what = format!("answer RolloutCommand {namespace}/{name}");
        let api = self.api(&commands(), namespace);
        match self.write(&what, api.patch_status(name, &params(), &Patch::Merge(patch))).await {
            Ok(written) => {
                self.tables.commands.wrote(&written);
                Ok(())
            }
            Err(error) if is_missing(&error) => Ok(()),
            Err(error) => Err(error),
        }
    }
}

/// The patch of a Rollout's status; `None` when nothing changes. What an earlier version wrote in its own form goes with the
/// first.
pub fn rollout_patch(rollout: &Rollout, status: &RolloutStatus) -> Result<Option<Value>, WorldError> {
    let patch = status_patch(&rollout.metadata, &rollout.status, status)?;
    if !rollout.status.as_ref().is_some_and(|status| status.is_old) {
        return Ok(patch);
    }
    let replaced = status.in_place_of_earlier().map_err(unwritable)?;
    let mut patch = patch.unwrap_or_else(|| json!({"metadata": condition(&rollout.metadata), "status": {}}));
    merge(&mut patch["status"], replaced);
    Ok(Some(patch))
}

/// Puts one patch over another: unlike to apply it, this keeps what it takes away.
fn merge(patch: &mut Value, over: Value) {
    match (patch, over) {
        (Value::Object(patch), Value::Object(over)) => {
            over.into_iter().for_each(|(name, value)| merge(patch.entry(name).or_insert(Value::Null), value));
        }
        (patch, over) => *patch = over,
    }
}

fn condition(observed: &ObjectMeta) -> Value {
    json!({"uid": observed.uid, "resourceVersion": observed.resource_version})
}

fn unwritable(error: serde_json::Error) -> WorldError {
    WorldError::Transient(error.to_string())
}

/// The patch of a status, on condition that the object is still the one that was observed; `None` when nothing changes.
pub(super) fn status_patch<S: Serialize>(
    observed: &ObjectMeta,
    old: &Option<S>,
    new: &S,
) -> Result<Option<Value>, WorldError> {
    let (old, new) = (serde_json::to_value(old).map_err(unwritable)?, serde_json::to_value(new).map_err(unwritable)?);
    Ok(difference(&old, &new).map(|status| json!({"metadata": condition(observed), "status": status})))
}

/// The JSON merge patch that makes `new` of `old`; `None` when they are the same. It names nothing that neither of them has.
fn difference(old: &Value, new: &Value) -> Option<Value> {
    let (Value::Object(old), Value::Object(new)) = (old, new) else {
        return (old != new).then(|| new.clone());
    };
    let mut patch = Map::new();
    for (name, value) in new {
        if let Some(changed) = difference(old.get(name).unwrap_or(&Value::Null), value) {
            patch.insert(name.clone(), changed);
        }
    }
    for name in old.keys().filter(|name| !new.contains_key(*name)) {
        patch.insert(name.clone(), Value::Null);
    }
    (!patch.is_empty()).then_some(Value::Object(patch))
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use proptest::prelude::*;

    use super::*;
    use crate::api::{
        reason::Reason,
        status::{AtRest, Held, Phase, State, Stepping},
    };

    fn value(status: &RolloutStatus) -> Value {
        serde_json::to_value(status).unwrap()
    }

    /// What the API server makes of our write.
    fn written(mut stored: Value, new: &RolloutStatus) -> Value {
        let old: RolloutStatus = serde_json::from_value(stored.clone()).unwrap();
        json_patch::merge(&mut stored, &difference(&value(&old), &value(new)).unwrap_or(json!({})));
        stored
    }

    /// M14: what only a newer version knows outlives a downgrade and our own writes.
    #[test]
    fn fields_of_a_newer_version_are_kept() {
        let since = "2026-01-01T00:00:00Z";
        let release = json!({"since": since, "held": {"reason": "x", "message": "y", "since": since}});
        let stepping = json!({"step": 2, "clock": {"since": since}, "release": release});
        let newer = json!({"phase": "Progressing", "state": {"stepping": stepping}, "stepIndex": 2,
            "oven": {"degrees": 180}, "weights": {"desired": "25%", "zones": ["a", "b"]}, "memory": {"ovenSince": since}});
        let status: RolloutStatus = serde_json::from_value(newer.clone()).unwrap();
        let next = RolloutStatus {
            phase: Some(Phase::Healthy),
            state: State::Idle(AtRest::default()),
            step_index: 3,
            ..status.clone()
        };
        let stored = written(newer.clone(), &next);
        assert_eq!(stored["oven"].to_string(), newer["oven"].to_string());
        assert_eq!(stored["weights"]["zones"].to_string(), newer["weights"]["zones"].to_string());
        assert_eq!(stored["memory"]["ovenSince"], newer["memory"]["ovenSince"]);
        assert_eq!(serde_json::from_value::<RolloutStatus>(stored.clone()).unwrap(), next);
        assert!(stored["state"].get("stepping").is_none(), "one state at a time: {}", stored["state"]);
        assert_eq!(difference(&value(&next), &value(&next)), None, "the same status is no write");
    }

    fn any_status() -> impl Strategy<Value = RolloutStatus> {
        let held = proptest::option::of(("[a-c]{0,2}", "[a-c]{0,2}"));
        (proptest::option::of(0..9_i64), 0..4_u32, any::<bool>(), held, "[a-c]{0,3}").prop_map(
            |(observed_generation, step_index, paused_by_command, held, reason)| {
                let since = Timestamp::UNIX_EPOCH;
                let mut stepping = Stepping::begin(since);
                stepping.release.held =
                    held.map(|(reason, message)| Held { reason: Reason::from(reason.as_str()), message, since });
                let stepping = State::Stepping(Box::new(stepping));
                let state = if observed_generation.is_some() { stepping } else { State::default() };
                let status = RolloutStatus { observed_generation, step_index, state, ..RolloutStatus::default() };
                RolloutStatus { paused_by_command, reason: Reason::from(reason.as_str()), ..status }
            },
        )
    }

    proptest! {
        #[test]
        fn what_is_stored_after_a_write_is_what_was_meant(old in any_status(), new in any_status()) {
            let stored = written(value(&old), &new);
            prop_assert_eq!(serde_json::from_value::<RolloutStatus>(stored).unwrap(), new);
        }
    }
}
