//! What users read in the status: phase, reason, one line, counts, conditions (semantics.md section 9).

use crate::api::{
    common::Percent,
    conditions,
    reason::{ConditionType, Reason},
    status::{Course, Phase, past_weights},
};

use super::{
    draft::{Draft, named},
    drift,
    input::{Problem, RevisionSeen},
    reach,
    wait::Wait,
    weights,
};

/// Fills in everything that follows from the state of the tick.
pub fn report(draft: &mut Draft<'_>) {
    draft.status.observed_generation = draft.input.generation;
    counts(draft);
    if draft.status.memory.deleting_since.is_none() {
        phase(draft);
        note_contested(draft);
    }
    refused(draft);
    report_problem(draft, draft.input.seen.problems.first());
    draft.status.waiting_for = draft.waiting();
    draft.keep_progress();
    shown(draft);
    drift::conditions(draft);
    conditions(draft);
}

/// A write that has to wait is shown beside any other message.
fn note_contested(draft: &mut Draft<'_>) {
    let Some(note) = drift::note(draft) else { return };
    if draft.status.reason == Reason::Stable {
        draft.status.reason = drift::reason(draft);
    }
    let message = &mut draft.status.message;
    if message.contains(&note) {
        return; // some messages stay from tick to tick
    }
    *message = if message.is_empty() { note } else { format!("{message}; {note}") };
}

/// A blocker is reported once, also while the rollout waits for something else.
pub fn report_problem(draft: &mut Draft<'_>, problem: Option<&Problem>) {
    let message = problem.map(|problem| problem.message.clone());
    if draft.status.memory.problem_told == message {
        return;
    }
    if let Some(problem) = problem {
        draft.emit(true, problem.reason.clone(), problem.message.clone());
    }
    draft.status.memory.problem_told = message;
}

/// What blocks everything in the spec.
fn blocking(draft: &Draft<'_>) -> Option<Problem> {
    draft.input.seen.problems.iter().find(|problem| problem.blocks_all).cloned()
}

/// What was refused, in place of anything else but a hold, which waits for an operator, and a missed deadline, which names it.
fn refused(draft: &mut Draft<'_>) {
    let late = draft.status.reason == Reason::ProgressDeadlineExceeded;
    if draft.is_held() || late || blocking(draft).is_some() {
        return;
    }
    if let Some(refusal) = draft.refusal.clone() {
        let phase = draft.status.phase.unwrap_or_default();
        draft.set_phase(phase, refusal.reason, refusal.message);
    }
}

/// The pods of all revisions but old ones that are about to go.
fn counts(draft: &mut Draft<'_>) {
    let seen = draft.input.seen;
    let older = draft.older();
    let is_leaving =
        |id: &str| older.iter().any(|old| old.id == id && (old.wanted == 0 || draft.leaving.iter().any(|l| l == id)));
    let counted: Vec<_> = seen.revisions.iter().filter(|seen| !is_leaving(&seen.id)).collect();
    let sum = |count: fn(&RevisionSeen) -> u32| counted.iter().map(|seen| count(seen)).fold(0, u32::saturating_add);
    let (pods, ready, available) = (sum(|seen| seen.pods), sum(|seen| seen.ready), sum(|seen| seen.available));
    let updated = draft.current_id().and_then(|id| draft.revision(&id)).map_or(0, |seen| seen.pods);
    let status = &mut draft.status;
    status.desired_replicas = seen.replicas;
    status.replicas = pods.min(seen.replicas);
    status.ready_replicas = ready;
    status.available_replicas = available;
    status.updated_replicas = updated;
    status.selector.clone_from(&seen.selector);
}

/// The phase, which is never Healthy while clients cannot reach the stable version (S57).
fn phase(draft: &mut Draft<'_>) {
    if let Some(problem) = blocking(draft) {
        return draft.set_phase(Phase::Degraded, problem.reason, problem.message);
    }
    if let Some((phase, reason, message)) = said(draft) {
        draft.set_phase(phase, reason, message);
    }
    if draft.status.phase == Some(Phase::Healthy)
        && let Some((reason, message)) = reach::lacks(draft)
    {
        draft.wait(Wait::progress(reason.clone(), 0, message.clone()));
        match draft.overdue() {
            None => draft.set_phase(Phase::Progressing, reason, message),
            Some(allowed) => draft.set_phase(Phase::Degraded, reason, format!("{message}; no progress for {allowed}")),
        }
    }
}

/// Phase, reason and message of a status.
type Said = (Phase, Reason, String);

/// What the status says of the state; `None`: what the tick has said already.
fn said(draft: &Draft<'_>) -> Option<Said> {
    if let Some(held) = draft.status.held() {
        let message = format!("held, waiting for an operator: {}", held.message);
        return Some((Phase::Paused, held.reason.clone(), message));
    }
    let waited = draft.waits.as_ref().map(|wait| (wait.reason.clone(), wait.message.clone()));
    let current = named(draft.status.current_revision.as_ref());
    Some(match draft.course() {
        Course::FirstDeploy if draft.status.reason == Reason::ProgressDeadlineExceeded => return None,
        Course::FirstDeploy => progressing(waited?),
        Course::Idle => idle(draft),
        Course::Returning if draft.input.seen.objects_changed => progressing(waited.unwrap_or_default()),
        Course::Returning => {
            let message = format!("the spec returned to stable: shifting traffic and pods back{}", pending(draft));
            progressing((Reason::Returning, message))
        }
        Course::Aborted => {
            let message = format!("{current} was rolled back: {}{}", last_reason(draft), pending(draft));
            (Phase::Degraded, Reason::Aborted, message)
        }
        Course::ControlKept => {
            let stable = named(draft.status.stable_revision.as_ref());
            let (why, pending) = (last_reason(draft), pending(draft));
            let message = format!("{stable} stays stable after the A/B test of {current}: {why}{pending}");
            (Phase::Healthy, Reason::KeptControl, message)
        }
        Course::Stepping | Course::Promoting if draft.replicas() == 0 => return None,
        Course::Stepping | Course::Promoting => {
            let next = || (Reason::Progressing, "continuing with the next step".to_owned());
            let (reason, message) = waited.unwrap_or_else(next);
            let phase = if is_pause(draft, &reason) { Phase::Paused } else { Phase::Progressing };
            (phase, reason, message)
        }
    })
}

/// Why traffic that goes back to stable has not arrived there.
fn pending(draft: &Draft<'_>) -> String {
    weights::pending(draft).map(|why| format!("; its traffic has not returned to stable: {why}")).unwrap_or_default()
}

fn progressing((reason, message): (Reason, String)) -> Said {
    (Phase::Progressing, reason, message)
}

/// Why the last rollout ended.
fn last_reason(draft: &Draft<'_>) -> String {
    draft.status.history.first().map(|entry| entry.reason.clone()).unwrap_or_default()
}

fn is_pause(draft: &Draft<'_>, reason: &Reason) -> bool {
    draft.is_paused() || reason.is_pause()
}

fn idle(draft: &Draft<'_>) -> Said {
    if let Some(wait) = draft.waits.as_ref().filter(|_| draft.status.state.restart().is_some()) {
        return progressing((wait.reason.clone(), wait.message.clone()));
    }
    if let Some(problem) = draft.input.seen.problems.first() {
        return (Phase::Healthy, problem.reason.clone(), problem.message.clone());
    }
    let stable = named(draft.status.stable_revision.as_ref());
    let pinned = if draft.status.pinned.is_some() { ", pinned by undo until the template changes" } else { "" };
    (Phase::Healthy, Reason::Stable, format!("{stable} is stable{pinned}"))
}

fn shown(draft: &mut Draft<'_>) {
    if draft.input.seen.file_invalid {
        return; // its steps are not those that are walked
    }
    let (steps, step_index) = (draft.items.len(), draft.step_index());
    // After a rollback the column shows where the release ended, as the history does.
    let ended = draft.status.history.first().filter(|_| draft.course().is_rolled_back()).map(|entry| entry.step_index);
    let at = steps.min((ended.unwrap_or(step_index) as usize).saturating_add(1));
    // Late in a promotion the routes lead to stable again, which is the new version by then.
    let weight = if draft.stable_moves() { Percent::FULL } else { draft.status.weights.desired };
    let now = draft.now();
    let status = &mut draft.status;
    if let Some(release) = status.state.release_mut() {
        past_weights::note(&mut release.weights, now, weight);
    }
    status.step_index = step_index;
    status.step_shown = format!("{at}/{steps}");
    status.weight_shown = weight.to_string();
    status.ready_shown = ready(status.ready_replicas, status.desired_replicas);
}

/// `3/4`, and `4/4 +1` while pods of another revision run beside the desired ones.
fn ready(ready: u32, desired: u32) -> String {
    match ready.checked_sub(desired) {
        Some(more @ 1..) => format!("{desired}/{desired} +{more}"),
        _ => format!("{ready}/{desired}"),
    }
}

fn conditions(draft: &mut Draft<'_>) {
    let (now, generation) = (draft.now(), draft.input.generation);
    let status = &mut draft.status;
    let phase = status.phase.unwrap_or_default();
    let (reason, message) = (status.reason.clone(), status.message.clone());
    let said = || (reason.clone(), message.as_str());
    let list = &mut status.conditions;
    conditions::set(list, ConditionType::Ready, phase == Phase::Healthy, said(), generation, now);
    let enough = status.available_replicas >= status.desired_replicas;
    let available = format!("{} of {} pods are available", status.available_replicas, status.desired_replicas);
    conditions::set(
        list,
        ConditionType::Available,
        enough,
        (if enough { Reason::Available } else { Reason::PodsMissing }, &available),
        generation,
        now,
    );
    toggle(
        list,
        ConditionType::Reconciling,
        matches!(phase, Phase::Progressing | Phase::Paused),
        said(),
        generation,
        now,
    );
    toggle(list, ConditionType::Stalled, phase == Phase::Degraded, said(), generation, now);
    toggle(
        list,
        ConditionType::Pinned,
        status.pinned.is_some(),
        (Reason::Undo, "undo pinned this revision over the spec's"),
        generation,
        now,
    );
}

/// Conditions that are shown only while true.
pub fn toggle(
    list: &mut Vec<conditions::Condition>,
    type_: ConditionType,
    on: bool,
    said: (Reason, &str),
    generation: Option<i64>,
    now: jiff::Timestamp,
) {
    if on { conditions::set(list, type_, true, said, generation, now) } else { conditions::clear(list, &type_) }
}

#[cfg(test)]
mod tests {
    use super::ready;

    #[test]
    fn pods_above_the_desired_ones_are_shown_apart() {
        for (is_ready, desired, shown) in
            [(0, 4, "0/4"), (3, 4, "3/4"), (4, 4, "4/4"), (5, 4, "4/4 +1"), (1, 0, "0/0 +1")]
        {
            assert_eq!(ready(is_ready, desired), shown);
        }
    }
}
