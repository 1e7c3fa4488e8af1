//! Ended AnalysisRuns and answered RolloutCommands beyond their limits are deleted (rules S81 and S84): after a tick that
//! had nothing to do, a few at a time, and never one that a decision may still rest on.

use std::{sync::Arc, time::Duration};

use futures::{StreamExt, stream};
use jiff::{SignedDuration, Timestamp};
use kube::api::{ApiResource, DeleteParams, Preconditions, PropagationPolicy};

use super::{
    cached_rollout::CachedRollout,
    call::is_missing,
    locks::lock,
    records::{CachedCommand, CachedRun, EndedRun, ended_of},
    resources::runs_resource,
    shared::Cluster,
    table::{Entry, Kept, Table},
};
use crate::{
    api::{Rollout, RolloutStatus, status::Course},
    engine,
    ports::{RolloutKey, WorldError},
};

/// Ended runs that are kept of either outcome, unless the Rollout says otherwise; as Argo Rollouts does.
const RUNS: u32 = 5;
/// Answered commands that are kept of each Rollout.
const COMMANDS: usize = 20;
/// How long the answer to a command for an unknown Rollout can be read.
const UNKNOWN_ROLLOUT: SignedDuration = SignedDuration::from_hours(1);
/// Deletions after one tick.
const AT_A_TIME: usize = 10;
/// They may not keep the next tick waiting.
const DEADLINE: Duration = Duration::from_secs(3);
/// After a deletion that failed.
const BACKOFF: SignedDuration = SignedDuration::from_mins(10);

impl Cluster {
    /// Deletes some of what is beyond the limits. Says when there is more to do, if that has no event of its own.
    pub async fn prune_history(&self, key: &RolloutKey) -> Option<Duration> {
        let now = self.clock.now();
        if lock(&self.not_pruned_before).get(key).is_some_and(|until| *until > now) {
            return None;
        }
        let (runs, commands, wait) = match self.tables.rollouts.get(&key.namespace, &key.name) {
            Some(_) if !self.serves(&key.namespace, &key.name) => return None,
            Some(entry) => {
                if entry.value.fault().is_some() {
                    return None;
                }
                (self.surplus_runs(key, &entry.value), self.surplus_commands(key), None)
            }
            None => {
                let (over, wait) = self.unclaimed_commands(key, now);
                (Vec::new(), over, wait)
            }
        };
        let commands_resource = super::resources::commands();
        let left = runs.len() + commands.len() > AT_A_TIME;
        let deletions = async {
            self.delete_some(&runs_resource(), &self.tables.runs, &runs).await?;
            let room = AT_A_TIME.saturating_sub(runs.len());
            self.delete_some(&commands_resource, &self.tables.commands, &commands[..commands.len().min(room)]).await
        };
        let done = tokio::time::timeout(DEADLINE, deletions).await;
        match done.unwrap_or_else(|_| Err(WorldError::Transient("no response from the API server in time".into()))) {
            Ok(()) if left => self.triggers.rollout_counts(key.clone()),
            Ok(()) => drop(lock(&self.not_pruned_before).remove(key)),
            Err(error) => {
                lock(&self.not_pruned_before).insert(key.clone(), now + BACKOFF);
                tracing::warn!(rollout = %key, %error, "cannot delete old AnalysisRuns or RolloutCommands");
            }
        }
        wait
    }

    /// Ended runs of this Rollout beyond its limits, the oldest first. Runs made by hand are none of its own.
    fn surplus_runs(&self, key: &RolloutKey, rollout: &CachedRollout) -> Vec<Arc<Entry<CachedRun>>> {
        let mut ended = self.tables.runs.group(&key.namespace, &ended_of(&key.name));
        if ended.is_empty() {
            return ended;
        }
        let Ok(rollout) = rollout.read() else { return Vec::new() };
        let uid = rollout.metadata.uid.as_deref().unwrap_or_default();
        let in_use = evidence_prefix(key, &rollout);
        ended.retain(|run| {
            let ours = run.value.identity.is_some_and(|identity| identity.is_of(uid));
            ours && !run.deleting && in_use.as_ref().is_none_or(|prefix| !run.key.name.starts_with(prefix))
        });
        ended.sort_by(|a, b| (b.created, &b.key.name).cmp(&(a.created, &a.key.name)));
        let limits = rollout.spec.analysis.as_ref();
        let mut good = limits.and_then(|limits| limits.successful_run_history_limit).unwrap_or(RUNS);
        let mut bad = limits.and_then(|limits| limits.unsuccessful_run_history_limit).unwrap_or(RUNS);
        let mut surplus: Vec<_> = ended.into_iter().filter(|run| !fits(run, &mut good, &mut bad)).collect();
        surplus.reverse();
        surplus
    }

    fn surplus_commands(&self, key: &RolloutKey) -> Vec<Arc<Entry<CachedCommand>>> {
        let mut answered = self.tables.commands.group(&key.namespace, &ended_of(&key.name));
        answered.retain(|command| !command.deleting);
        answered.sort_by(|a, b| (a.created, &a.key.name).cmp(&(b.created, &b.key.name)));
        answered.truncate(answered.len().saturating_sub(COMMANDS));
        answered
    }

    /// Commands for a Rollout that is not there, an hour after their answer; and when the next is due.
    fn unclaimed_commands(
        &self,
        key: &RolloutKey,
        now: Timestamp,
    ) -> (Vec<Arc<Entry<CachedCommand>>>, Option<Duration>) {
        let mut answered = self.tables.commands.group(&key.namespace, &ended_of(&key.name));
        answered.retain(|command| !command.deleting);
        let end = |command: &Entry<CachedCommand>| {
            command.value.taken_at.or(command.created).unwrap_or(now) + UNKNOWN_ROLLOUT
        };
        let (over, young): (Vec<_>, Vec<_>) = answered.into_iter().partition(|command| end(command) <= now);
        let next = young.iter().map(|command| end(command).duration_since(now)).min();
        (over, next.and_then(|wait| Duration::try_from(wait).ok()))
    }

    pub(super) async fn delete_some<T: Kept>(
        &self,
        resource: &ApiResource,
        table: &Table<T>,
        surplus: &[Arc<Entry<T>>],
    ) -> Result<(), WorldError> {
        let some: Vec<Arc<Entry<T>>> = surplus.iter().take(AT_A_TIME).cloned().collect();
        let deletions = some.into_iter().map(|entry| self.delete_one(resource, table, entry));
        let answers: Vec<_> = stream::iter(deletions).buffer_unordered(4).collect().await;
        answers.into_iter().collect()
    }

    /// On condition that it is still the object that was seen.
    async fn delete_one<T: Kept>(
        &self,
        resource: &ApiResource,
        table: &Table<T>,
        entry: Arc<Entry<T>>,
    ) -> Result<(), WorldError> {
        let (namespace, name) = (&entry.key.namespace, &entry.key.name);
        let params = DeleteParams {
            propagation_policy: Some(PropagationPolicy::Background),
            preconditions: Some(Preconditions { uid: Some(entry.uid.clone()), resource_version: None }),
            ..DeleteParams::default()
        };
        let what = format!("delete {} {namespace}/{name}", resource.kind);
        match self.write(&what, self.api(resource, namespace).delete(name, &params)).await {
            Ok(_) => {}
            Err(error) if is_missing(&error) => {}
            Err(error) => return Err(error),
        }
        table.gone(namespace, name);
        Ok(())
    }
}

/// Takes a place among those that are kept, if there is one left.
fn fits(run: &Entry<CachedRun>, good: &mut u32, bad: &mut u32) -> bool {
    let succeeded = run.value.ended().is_some_and(EndedRun::succeeded);
    let room = if succeeded { good } else { bad };
    let fits = *room > 0;
    *room = room.saturating_sub(1);
    fits
}

/// How the names of the runs begin that a decision may rest on now; `None` when none does.
pub(super) fn evidence_prefix(key: &RolloutKey, rollout: &Rollout) -> Option<String> {
    let status = rollout.status.as_ref().filter(|status| reads_evidence(rollout, status))?;
    Some(engine::run_prefix(&key.name, status))
}

/// At rest no evidence is read, except that of an A/B test, whose result stays in the status.
fn reads_evidence(rollout: &Rollout, status: &RolloutStatus) -> bool {
    matches!(status.course(), Course::Stepping | Course::Promoting) || rollout.spec.strategy.ab_test.is_some()
}
