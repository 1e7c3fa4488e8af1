//! What of a new status is not worth a write of its own, and until when it may wait for the next.
//!
//! Nothing of it decides what is written before it is recorded: counts and words are derived anew by each tick, and what
//! begins to settle settles anew when a process ends before the record.

use jiff::{SignedDuration, Timestamp};

use crate::{
    api::{
        RolloutStatus,
        status::{Memory, RouteWritten, State, TargetMemory, Weights},
    },
    ports::{Deferred, InPlace, Place},
};

/// What settles for longer is shown meanwhile.
const LONGEST_SETTLE: SignedDuration = SignedDuration::from_secs(15);

/// What the record of a new status is worth.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Worth {
    /// It says something new.
    News,
    /// Counts, messages, and marks that take effect later.
    Words,
    /// That what was written is in place and begins to settle: it is recorded with what follows when it has, and so are the
    /// counts and messages that brought it about.
    Settling,
    /// That an old revision's pods are gone: they were not counted any more, and nothing but this waits for a record.
    Nothing,
}

impl Worth {
    /// Of this status after that one.
    pub fn of(old: &RolloutStatus, new: &RolloutStatus, now: Timestamp) -> Self {
        let as_drained = with_drained_of(old, new.clone());
        if as_drained == *old {
            return Worth::Nothing;
        }
        let as_worded = with_words_of(old, as_drained);
        if settles_soon(new, now) && with_settling_of(old, as_worded.clone()) == *old {
            Worth::Settling
        } else if as_worded == *old {
            Worth::Words
        } else {
            Worth::News
        }
    }
}

fn settles_soon(status: &RolloutStatus, now: Timestamp) -> bool {
    let until = status.waiting_for.as_ref().and_then(|waiting| waiting.until);
    until.is_some_and(|until| until > now && until.duration_since(now) <= LONGEST_SETTLE)
}

/// A status that has lost no drained revision since that one.
fn with_drained_of(old: &RolloutStatus, mut new: RolloutStatus) -> RolloutStatus {
    if new.memory.drained.iter().all(|drained| old.memory.drained.contains(drained)) {
        new.memory.drained.clone_from(&old.memory.drained);
    }
    new
}

/// A status with the counts, messages and marks that take effect later of that one.
fn with_words_of(old: &RolloutStatus, new: RolloutStatus) -> RolloutStatus {
    let target = |old: &TargetMemory, new: TargetMemory| {
        let not_there_yet = new.since.is_none() && new.revision != old.revision;
        if not_there_yet { old.clone() } else { new }
    };
    let (past, memory) = (&old.memory, new.memory);
    RolloutStatus {
        reason: old.reason.clone(),
        message: old.message.clone(),
        waiting_for: old.waiting_for.clone(),
        replicas: old.replicas,
        ready_replicas: old.ready_replicas,
        available_replicas: old.available_replicas,
        updated_replicas: old.updated_replicas,
        ready_shown: old.ready_shown.clone(),
        conditions: old.conditions.clone(),
        state: with_marks_of(&old.state, new.state),
        memory: Memory {
            stable_target: target(&past.stable_target, memory.stable_target),
            canary_target: target(&past.canary_target, memory.canary_target),
            route_pending_since: past.route_pending_since,
            route_written: as_confirmed(past.route_written.as_ref(), memory.route_written),
            ..memory
        },
        ..new
    }
}

/// A status in which nothing has come into place since that one.
fn with_settling_of(old: &RolloutStatus, new: RolloutStatus) -> RolloutStatus {
    let (past, memory) = (&old.memory, new.memory);
    RolloutStatus {
        weights: Weights { accepted: old.weights.accepted, ..new.weights },
        memory: Memory {
            route_since: past.route_since.and(memory.route_since),
            stable_target: before_it_was_in_place(&past.stable_target, memory.stable_target),
            canary_target: before_it_was_in_place(&past.canary_target, memory.canary_target),
            ..memory
        },
        ..new
    }
}

/// What was written to the routes, confirmed as far as it was.
fn as_confirmed(old: Option<&RouteWritten>, new: Option<RouteWritten>) -> Option<RouteWritten> {
    let (confirmed, reached) = old.map_or((false, false), |old| (old.confirmed, old.reached));
    new.map(|new| RouteWritten { confirmed, reached, ..new })
}

/// A target as it was, if it has come into place since.
fn before_it_was_in_place(old: &TargetMemory, new: TargetMemory) -> TargetMemory {
    let is_new = old.since.is_none() || old.revision != new.revision;
    if is_new && new.since.is_some() { old.clone() } else { new }
}

/// A state with the deadline's clock of another, and without that the canary's pods have come.
fn with_marks_of(old: &State, mut new: State) -> State {
    *new.progress_mut() = old.progress().cloned();
    let was_up = old.release().is_some_and(|release| release.canary_up);
    if let Some(release) = new.release_mut() {
        release.canary_up &= was_up;
    }
    new
}

/// What is kept of a status that was not recorded.
pub fn defer(status: &RolloutStatus) -> Deferred {
    let memory = &status.memory;
    Deferred {
        place: place(status),
        route_since: memory.route_since,
        stable: in_place(&memory.stable_target),
        canary: in_place(&memory.canary_target),
        progress: status.state.progress().cloned(),
    }
}

fn in_place(target: &TargetMemory) -> Option<InPlace> {
    Some(InPlace { revision: target.revision.clone()?, since: target.since? })
}

/// The status on record, with what the last tick saw and did not record.
pub fn resume(recorded: &RolloutStatus, deferred: Option<&Deferred>) -> RolloutStatus {
    let mut status = recorded.clone();
    let Some(deferred) = deferred.filter(|deferred| deferred.place == place(recorded)) else { return status };
    let memory = &mut status.memory;
    memory.route_since = memory.route_since.or(deferred.route_since);
    put_in_place(&mut memory.stable_target, deferred.stable.as_ref());
    put_in_place(&mut memory.canary_target, deferred.canary.as_ref());
    status.state.progress_mut().clone_from(&deferred.progress);
    status
}

/// What is in place was written, whoever wrote it.
fn put_in_place(target: &mut TargetMemory, seen: Option<&InPlace>) {
    let Some(InPlace { revision, since }) = seen else { return };
    let (revision, since) = (Some(revision.clone()), Some(*since));
    if target.since.is_none() || target.revision != revision {
        *target = TargetMemory { written: revision.clone(), revision, since };
    }
}

/// Whether a status is still about the place of that one.
pub fn is_in_place(status: &RolloutStatus, recorded: &RolloutStatus) -> bool {
    place(status) == place(recorded)
}

fn place(status: &RolloutStatus) -> Place {
    Place {
        generation: status.observed_generation,
        revision: status.current_revision.clone(),
        attempt: status.attempt,
        step: (status.step_index, status.sub_step()),
        stage: status.stage(),
        weight: status.weights.desired,
    }
}
