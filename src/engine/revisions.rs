//! Follows the wanted template: a first deploy, a new revision, back to stable, superseding (S3, S4, S30, S31, S84).

use crate::api::{
    reason::Reason,
    status::{Course, Outcome, Returning, ReturnsBecause, RevisionRef, Shortcut, ShortcutBecause, State},
};

use super::{
    decision::Action,
    draft::{Draft, named},
    outcome, reach,
};

/// Compares the wanted template with the revision in progress and begins what follows from a difference.
pub fn follow_template(draft: &mut Draft<'_>) {
    lift_pin(draft);
    let Some(wanted) = wanted_id(draft) else { return };
    if draft.current_id().as_ref() == Some(&wanted) {
        if draft.status.current_revision.is_some() && draft.status.attempt == 0 {
            draft.status.attempt = 1;
        }
        return;
    }
    if draft.past_return() {
        return; // the promotion in progress ends first; the new template follows at once
    }
    match draft.course() {
        Course::FirstDeploy => first(draft, wanted),
        _ if Some(&wanted) == draft.stable_id().as_ref() => back_to_stable(draft),
        // What is released next to a version that clients do not reach would be judged by nothing, and have no way back.
        Course::Idle if reach::is_unreachable(draft) => {}
        _ => begin_new(draft, wanted),
    }
}

/// The template in force: the spec's, or the one that `undo` pinned against it.
fn wanted_id(draft: &Draft<'_>) -> Option<String> {
    let template = draft.input.seen.template.as_ref()?;
    match &draft.status.pinned {
        Some(pinned) if pinned.against == template.id => Some(pinned.revision.clone()),
        _ => Some(template.id.clone()),
    }
}

/// A pin holds until the spec has another template.
fn lift_pin(draft: &mut Draft<'_>) {
    let file = draft.input.seen.template.as_ref().map(|template| template.id.clone());
    if let (Some(pinned), Some(file)) = (&draft.status.pinned, file)
        && pinned.against != file
    {
        draft.status.pinned = None;
    }
}

fn first(draft: &mut Draft<'_>, wanted: String) {
    let adopting = draft.input.spec.workload_ref.is_some() && draft.status.current_revision.is_some();
    if adopting {
        return; // a template changed during adoption waits (S5)
    }
    let number = draft.next_number(&wanted);
    outcome::begin(draft, RevisionRef { id: wanted, number }, 1);
    draft.emit(false, Reason::FirstDeploy, format!("first deploy of revision #{number}: scaling to all pods"));
}

fn back_to_stable(draft: &mut Draft<'_>) {
    let stable = draft.status.stable_revision.clone();
    let message = format!("the spec returned to {}", named(stable.as_ref()));
    if draft.release().is_some() {
        outcome::record(draft, Outcome::RolledBack, &message);
        draft.emit(false, Reason::RolledBack, message);
    }
    draft.status.current_revision = stable;
    let since = draft.now();
    draft.status.state = State::Returning(Returning { because: ReturnsBecause::BackAtStable, since, progress: None });
}

fn begin_new(draft: &mut Draft<'_>, wanted: String) {
    let number = draft.next_number(&wanted);
    if draft.release().is_some() {
        outcome::record(draft, Outcome::Superseded, &format!("superseded by revision #{number}"));
    }
    let shortcut = shortcut(draft, &wanted);
    let revision = RevisionRef { id: wanted, number };
    let Some(shortcut) = shortcut else {
        outcome::begin(draft, revision, 1);
        return draft.emit(false, Reason::NewRevision, format!("starting revision #{number} at step 1"));
    };
    outcome::begin_shortcut(draft, revision, shortcut);
    draft.emit(
        false,
        Reason::ShortWay,
        format!("revision #{number} was stable before: promoting it without steps and analysis"),
    );
}

/// Whether a revision needs no steps and no analysis: one of the last that were stable (S32), or, in blue-green, one that
/// still has all its pods (S62).
pub fn shortcut(draft: &Draft<'_>, wanted: &str) -> Option<Shortcut> {
    let stable = draft.stable_id();
    let mut earlier = draft.status.promoted.iter().filter(|revision| Some(&revision.id) != stable.as_ref());
    let window = draft.input.spec.rollback_window.as_ref().map_or(0, |window| window.revisions as usize);
    let place = earlier.position(|revision| revision.id == wanted)?;
    let (replicas, available) = (draft.replicas(), draft.available(wanted));
    if draft.blue_green().is_some() && replicas > 0 && available >= replicas {
        return Some(Shortcut { because: ShortcutBecause::StillRunning });
    }
    (place < window).then_some(Shortcut { because: ShortcutBecause::RollbackWindow })
}

/// The current revision's ReplicaSet exists and bears its number.
pub fn ensure_current(draft: &mut Draft<'_>) {
    let Some(current) = draft.status.current_revision.clone() else { return };
    let right = draft.revision(&current.id).is_some_and(|seen| seen.number == current.number);
    if !right {
        draft.ask(Action::EnsureRevision { id: current.id, number: current.number, replicas: 0 });
    }
}

/// Old ReplicaSets beyond the history limit go, once they have no pods.
pub fn forget_old(draft: &mut Draft<'_>) {
    let limit = draft.input.spec.revision_history_limit.unwrap_or(5) as usize;
    let mut old: Vec<_> = draft.older().into_iter().filter(|seen| seen.wanted == 0 && seen.pods == 0).collect();
    old.sort_by_key(|seen| std::cmp::Reverse(seen.number));
    let gone: Vec<String> = old.into_iter().skip(limit).map(|seen| seen.id.clone()).collect();
    for id in gone {
        draft.ask(Action::RemoveRevision { id });
    }
}
