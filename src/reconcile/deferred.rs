//! What of a new status is not worth a write of its own, and until when it may wait for the next.
//!
//! Nothing of it decides what is written before it is recorded: counts and words are derived anew by each tick, and what
//! begins to settle settles anew when a process ends before the record.

use jiff::{SignedDuration, Timestamp};

use crate::{
    api::{
        RolloutStatus,
        status::{Memory, RouteWritten, State, TargetMemory, Waiting, Weights},
    },
    ports::{Deferred, Place},
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
    /// That what was written is in place and begins to settle: it is recorded with what follows when it has.
    Settling,
}

impl Worth {
    /// Of this status after that one.
    pub fn of(old: &RolloutStatus, new: &RolloutStatus, now: Timestamp) -> Self {
        if settles_soon(new, now) && begins_to_settle(old, new) {
            Worth::Settling
        } else if differ_in_words_only(old, new) {
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

/// Whether two statuses differ only in what is in place by now, and since when.
fn begins_to_settle(old: &RolloutStatus, new: &RolloutStatus) -> bool {
    let (past, memory) = (&old.memory, &new.memory);
    let same_since = RolloutStatus {
        waiting_for: new.waiting_for.as_ref().map(|waiting| Waiting {
            until: old.waiting_for.as_ref().and_then(|waiting| waiting.until),
            ..waiting.clone()
        }),
        weights: Weights { accepted: old.weights.accepted, ..new.weights.clone() },
        state: with_progress_of(&old.state, &new.state),
        memory: Memory {
            route_since: past.route_since.and(memory.route_since),
            route_written: as_confirmed(past.route_written.as_ref(), memory.route_written.as_ref()),
            stable_target: in_place_since(&past.stable_target, &memory.stable_target),
            canary_target: in_place_since(&past.canary_target, &memory.canary_target),
            ..memory.clone()
        },
        ..new.clone()
    };
    same_since == *old
}

/// What was written to the routes, confirmed as far as it was.
fn as_confirmed(old: Option<&RouteWritten>, new: Option<&RouteWritten>) -> Option<RouteWritten> {
    let (confirmed, reached) = old.map_or((false, false), |old| (old.confirmed, old.reached));
    new.map(|new| RouteWritten { confirmed, reached, ..new.clone() })
}

/// A target that was recorded as written, without that it is in place by now.
fn in_place_since(old: &TargetMemory, new: &TargetMemory) -> TargetMemory {
    TargetMemory { since: old.since.and(new.since), ..new.clone() }
}

/// Whether two statuses differ only in counts, messages, and marks that take effect later.
fn differ_in_words_only(old: &RolloutStatus, new: &RolloutStatus) -> bool {
    let target = |old: &TargetMemory, new: &TargetMemory| {
        let not_there_yet = new.since.is_none() && new.revision != old.revision;
        if not_there_yet { old.clone() } else { new.clone() }
    };
    let (past, memory) = (&old.memory, &new.memory);
    let fewer_drained = memory.drained.iter().all(|drained| past.drained.contains(drained));
    let same_words = RolloutStatus {
        reason: old.reason.clone(),
        message: old.message.clone(),
        waiting_for: old.waiting_for.clone(),
        replicas: old.replicas,
        ready_replicas: old.ready_replicas,
        available_replicas: old.available_replicas,
        updated_replicas: old.updated_replicas,
        ready_shown: old.ready_shown.clone(),
        conditions: old.conditions.clone(),
        state: with_progress_of(&old.state, &new.state),
        memory: Memory {
            stable_target: target(&past.stable_target, &memory.stable_target),
            canary_target: target(&past.canary_target, &memory.canary_target),
            route_pending_since: past.route_pending_since,
            route_written: as_confirmed(past.route_written.as_ref(), memory.route_written.as_ref()),
            drained: if fewer_drained { past.drained.clone() } else { memory.drained.clone() },
            ..memory.clone()
        },
        ..new.clone()
    };
    same_words == *old
}

/// A state with the deadline's clock of another.
fn with_progress_of(old: &State, new: &State) -> State {
    let mut state = new.clone();
    *state.progress_mut() = old.progress().cloned();
    state
}

/// What is kept of a status that was not recorded.
pub fn defer(status: &RolloutStatus) -> Deferred {
    Deferred {
        place: place(status),
        route_since: status.memory.route_since,
        stable_since: status.memory.stable_target.since,
        canary_since: status.memory.canary_target.since,
        progress: status.state.progress().cloned(),
    }
}

/// The status on record, with what the last tick saw and did not record.
pub fn resume(recorded: &RolloutStatus, deferred: Option<&Deferred>) -> RolloutStatus {
    let mut status = recorded.clone();
    let Some(deferred) = deferred.filter(|deferred| deferred.place == place(recorded)) else { return status };
    let memory = &mut status.memory;
    memory.route_since = memory.route_since.or(deferred.route_since);
    memory.stable_target.since = memory.stable_target.since.or(deferred.stable_since);
    memory.canary_target.since = memory.canary_target.since.or(deferred.canary_since);
    status.state.progress_mut().clone_from(&deferred.progress);
    status
}

/// Whether a status is still about the place of that one.
pub fn is_in_place(status: &RolloutStatus, recorded: &RolloutStatus) -> bool {
    place(status) == place(recorded)
}

fn place(status: &RolloutStatus) -> Place {
    let memory = &status.memory;
    Place {
        generation: status.observed_generation,
        revision: status.current_revision.clone(),
        attempt: status.attempt,
        step: (status.step_index, status.sub_step()),
        stage: status.stage(),
        weight: status.weights.desired,
        targets: [memory.stable_target.revision.clone(), memory.canary_target.revision.clone()],
    }
}
