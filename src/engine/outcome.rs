//! How a rollout ends or stops: abort, failure, hold, superseded, rolled back, promoted; and the record of it.

use crate::api::{
    rollout::{OnFailure, OnInconclusive},
    status::{Course, Held, HistoryEntry, Outcome, RevisionRef},
};

use super::draft::{Draft, named};

const HISTORY: usize = 10;

/// Takes the current revision's traffic back (rule S33). The course alone says it: targets, routes and pods follow.
pub fn abort(draft: &mut Draft<'_>, reason: &str, message: &str) {
    record(draft, Outcome::Aborted, message);
    take_back(draft, Course::Aborted);
    draft.tell(true, reason, format!("{} aborted: {message}", named(draft.status.current_revision.as_ref())));
}

/// Ends the release in favour of stable.
pub fn take_back(draft: &mut Draft<'_>, course: Course) {
    draft.status.course = course;
    draft.status.stage = None;
    draft.status.step_index = 0;
    draft.status.sub_step = 0;
    draft.status.held = None;
    draft.begin_step();
}

/// A failure: rolled back or held, as the file says (S34). Past the point of no return it can only be reported.
pub fn fail(draft: &mut Draft<'_>, reason: &str, message: &str) {
    if draft.past_return() || draft.status.held.is_some() {
        return;
    }
    match draft.input.spec.on_failure.unwrap_or_default() {
        OnFailure::Rollback => abort(draft, reason, message),
        OnFailure::Hold => hold(draft, reason, message),
    }
}

/// No verdict in time: as the file says.
pub fn inconclusive(draft: &mut Draft<'_>, message: &str) -> bool {
    match draft.input.spec.on_inconclusive.unwrap_or_default() {
        OnInconclusive::Promote => return true,
        OnInconclusive::Abort => abort(draft, "Inconclusive", message),
        OnInconclusive::Hold => hold(draft, "Inconclusive", message),
    }
    false
}

/// Freezes the rollout where it is until a person decides.
pub fn hold(draft: &mut Draft<'_>, reason: &str, message: &str) {
    if draft.status.held.is_none() {
        let since = draft.now();
        draft.status.held = Some(Held { reason: reason.to_owned(), message: message.to_owned(), since });
        draft.tell(true, reason, format!("held: {message}"));
    }
}

/// Begins a revision at step 0 (a new template, a retry, edited steps).
pub fn begin(draft: &mut Draft<'_>, current: RevisionRef, attempt: u32) {
    let now = draft.now();
    let status = &mut draft.status;
    status.current_revision = Some(current);
    status.attempt = attempt;
    status.step_index = 0;
    status.sub_step = 0;
    status.stage = None;
    status.held = None;
    status.metrics.clear();
    status.course = if status.stable_revision.is_some() { Course::Stepping } else { Course::FirstDeploy };
    let memory = &mut status.memory;
    memory.rollout_since = Some(now);
    memory.overridden = false;
    memory.fast = None;
    memory.evidence_round = 0;
    memory.canary_losses = 0;
    memory.canary_lost = false;
    memory.steps_walked = None;
    memory.taking_back = true;
    memory.excused_epoch = None;
    draft.begin_step();
}

/// Makes the current revision stable (the end of S18, S4 and of a promotion without a mesh).
pub fn promoted(draft: &mut Draft<'_>, message: &str) {
    let fast = draft.status.memory.fast.take();
    let message = if fast.is_some() { "it was stable before: the short way" } else { message };
    record(draft, fast.unwrap_or(Outcome::Promoted), message);
    let Some(current) = draft.status.current_revision.clone() else { return };
    draft.status.stable_revision = Some(current.clone());
    draft.status.promoted.retain(|revision| revision.id != current.id);
    draft.status.promoted.insert(0, current.clone());
    draft.status.promoted.truncate(20);
    draft.status.course = Course::Idle;
    draft.status.stage = None;
    draft.status.memory.steps_walked = None;
    draft.status.step_index = u32::try_from(draft.items.len()).unwrap_or(u32::MAX);
    draft.status.sub_step = 0;
    draft.begin_step();
    draft.tell(false, "Promoted", format!("{} is stable: {message}", named(Some(&current))));
}

/// Writes the rollout in progress into the history.
pub fn record(draft: &mut Draft<'_>, outcome: Outcome, reason: &str) {
    let Some(revision) = draft.status.current_revision.clone() else { return };
    let now = draft.now();
    let entry = HistoryEntry {
        images: draft.revision(&revision.id).map(|seen| seen.images.clone()).unwrap_or_default(),
        revision,
        started_at: draft.status.memory.rollout_since.unwrap_or(now),
        ended_at: now,
        outcome,
        reason: reason.to_owned(),
        attempt: draft.status.attempt,
        step_index: draft.status.step_index,
    };
    draft.status.history.insert(0, entry);
    draft.status.history.truncate(HISTORY);
}
