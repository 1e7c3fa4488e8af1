//! The spec references other Services, routes or another strategy (rule S20): first all traffic returns to stable on the
//! old objects, these are restored as they were found, and then the new ones are adopted at step 1.
//!
//! Meanwhile the engine is shown the old objects, and the spec as if it still referenced them.

use crate::api::{
    reason::Reason,
    status::{Course, Returning, ReturnsBecause, State},
};

use super::{
    decision::{Action, Restore},
    draft::Draft,
    outcome,
    wait::Wait,
};

/// Whether old objects have to be restored first. A promotion past its point of no return ends on them.
pub fn is_due(draft: &Draft<'_>) -> bool {
    draft.input.seen.objects_changed && !draft.past_return()
}

/// Remembers which objects are written to.
pub fn remember(draft: &mut Draft<'_>) {
    if !draft.input.seen.objects_changed {
        draft.status.memory.objects = Some(draft.input.spec.objects());
    }
}

/// One tick of the way from old objects to new ones.
pub fn walk(draft: &mut Draft<'_>) {
    begin(draft);
    draft.keep_runs();
    if draft.status.memory.giving_back {
        return restore(draft);
    }
    let route = super::rest(draft);
    // Routes that disagree can be read, and are brought to stable first.
    let unreadable = draft.input.seen.route.as_ref().is_some_and(|route| route.highest().is_none() && !route.unseen);
    let returned = unreadable || route.is_some_and(|route| route.reached());
    if returned && alone(draft) {
        draft.status.memory.giving_back = true;
    }
    let why = super::weights::pending(draft).map(|why| format!(": {why}")).unwrap_or_default();
    let message = format!(
        "the spec references other objects: shifting traffic to stable before the old objects are restored{why}"
    );
    draft.wait(Wait::progress(Reason::HandingOver, 0, message));
}

/// Ends the release in progress, once.
fn begin(draft: &mut Draft<'_>) {
    if !matches!(draft.course(), Course::Stepping | Course::Promoting | Course::Idle) {
        return;
    }
    let since = draft.now();
    draft.status.state = State::Returning(Returning { because: ReturnsBecause::ObjectsChanged, since, progress: None });
    draft.emit(false, Reason::ObjectsChanged, "the spec references other objects: restoring the old ones first");
}

/// Whether stable has all its pods, and nothing but stable has any: once selectors are restored they reach every pod. Pods
/// of other revisions are scaled down now, whatever keeps them otherwise.
fn alone(draft: &mut Draft<'_>) -> bool {
    let Some(stable) = draft.stable_id() else { return true };
    if draft.available(&stable) < draft.replicas() {
        return false;
    }
    let others: Vec<_> = draft.input.seen.revisions.iter().filter(|seen| seen.id != stable).collect();
    for other in &others {
        draft.ask_replicas(&other.id, 0);
    }
    others.iter().all(|other| other.wanted == 0 && other.pods == 0)
}

fn restore(draft: &mut Draft<'_>) {
    let targets = [&draft.input.seen.stable_target, &draft.input.seen.canary_target];
    let restored = targets.into_iter().flatten().all(|target| target.revision.is_none());
    if !restored {
        draft.ask(Action::Restore(Restore::Unreferenced));
        return draft.wait(Wait::until(Reason::HandingOver, "restoring the old objects", None));
    }
    draft.status.memory.giving_back = false;
    draft.status.memory.objects = None;
    draft.status.memory.route_written = None;
    draft.status.memory.stable_target = Default::default();
    draft.status.memory.canary_target = Default::default();
    draft.emit(false, Reason::ObjectsGivenBack, "the old objects are restored; adopting the new ones");
    if draft.course() == Course::Returning {
        has_returned(draft);
    }
}

/// Traffic is back at stable: the rollout is at rest, or begins again the release that it had stopped for other objects.
pub fn has_returned(draft: &mut Draft<'_>) {
    match draft.status.current_revision.clone().filter(|_| draft.canary_id().is_some()) {
        Some(current) => {
            let attempt = draft.status.attempt + 1;
            outcome::begin(draft, current, attempt);
        }
        None => draft.status.state = State::Idle(outcome::at_rest(draft)),
    }
}
