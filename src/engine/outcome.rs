//! How a rollout ends or stops: abort, failure, hold, superseded, rolled back, promoted; and the record of it.

use jiff::Timestamp;

use crate::api::{
    common::Percent,
    reason::Reason,
    rollout::{OnFailure, OnInconclusive},
    status::{
        AtRest, FirstDeploy, Held, HistoryEntry, Outcome, Promoting, Release, RevisionRef, Shortcut, State, Stepping,
        Way,
    },
};

use super::{
    draft::{Draft, Split, named},
    guards,
    standing::Ending,
    weights,
};

const HISTORY: usize = 10;

/// Rolls the current revision back (rule S33). The state alone says it: targets, routes and pods follow.
pub fn abort(draft: &mut Draft<'_>, reason: Reason, message: &str) {
    record(draft, Outcome::Aborted, message);
    draft.status.state = State::Aborted(at_rest(draft));
    draft.emit(true, reason, format!("{} aborted: {message}", named(draft.status.current_revision.as_ref())));
}

/// A state without a release, from now on.
pub fn at_rest(draft: &Draft<'_>) -> AtRest {
    AtRest { since: draft.now(), ..AtRest::default() }
}

/// A failure: rolled back or held, as the spec says (S34). Past the point of no return it can only be reported.
pub fn fail(draft: &mut Draft<'_>, reason: Reason, message: &str) {
    if draft.past_return() || draft.is_held() {
        return;
    }
    match draft.input.spec.on_failure.unwrap_or_default() {
        OnFailure::Rollback => abort(draft, reason, message),
        OnFailure::Hold => hold(draft, reason, message),
    }
}

/// Ends a step otherwise than the steps say. Says whether the step is over all the same.
pub fn end(draft: &mut Draft<'_>, ending: Ending) -> bool {
    match ending {
        Ending::Inconclusive(message) => return inconclusive(draft, &message),
        Ending::Fails(reason, message) => fail(draft, reason, &message),
        Ending::Aborts(reason, message) => abort(draft, reason, &message),
        Ending::Holds(reason, message) => hold(draft, reason, &message),
        Ending::KeepsControl(reason, message) => keep_control(draft, reason, &message),
    }
    false
}

/// Ends an A/B test for control: traffic returns to stable, and that is no error.
fn keep_control(draft: &mut Draft<'_>, reason: Reason, message: &str) {
    record(draft, Outcome::KeptControl, message);
    draft.status.state = State::ControlKept(at_rest(draft));
    let current = named(draft.status.current_revision.as_ref());
    draft.emit(false, reason, format!("{current} is not promoted: {message}"));
}

/// No verdict in time: as the spec says.
pub fn inconclusive(draft: &mut Draft<'_>, message: &str) -> bool {
    match draft.input.spec.on_inconclusive.unwrap_or_default() {
        OnInconclusive::Promote => return true,
        OnInconclusive::Abort => abort(draft, Reason::Inconclusive, message),
        OnInconclusive::Hold => hold(draft, Reason::Inconclusive, message),
    }
    false
}

/// Suspends the rollout where it is until an operator decides.
pub fn hold(draft: &mut Draft<'_>, reason: Reason, message: &str) {
    let since = draft.now();
    let Some(release) = draft.status.state.release_mut().filter(|release| release.held.is_none()) else { return };
    release.held = Some(Held { reason: reason.clone(), message: message.to_owned(), since });
    draft.emit(true, reason, format!("held: {message}"));
}

/// Begins a revision at step 0 (a new template, a retry, edited steps).
pub fn begin(draft: &mut Draft<'_>, current: RevisionRef, attempt: u32) {
    let now = draft.now();
    enter(draft, current, attempt);
    draft.status.state = match draft.status.stable_revision {
        Some(_) => State::Stepping(Box::new(Stepping::begin(now))),
        None => State::FirstDeploy(FirstDeploy { since: Some(now), progress: None }),
    };
    guards::begin(draft);
}

/// Begins a revision that was stable before: at its promotion.
pub fn begin_shortcut(draft: &mut Draft<'_>, current: RevisionRef, shortcut: Shortcut) {
    let now = draft.now();
    enter(draft, current, 1);
    let promoting = Promoting::begin(Way::Shortcut(shortcut), Release::begin(now), now);
    draft.status.state = State::Promoting(Box::new(promoting));
}

fn enter(draft: &mut Draft<'_>, current: RevisionRef, attempt: u32) {
    if draft.split() == Split::Ratio {
        // Pods are traffic: what another version or attempt had says nothing of this one's.
        draft.status.memory.settled_weight = None;
    }
    draft.status.current_revision = Some(current);
    draft.status.attempt = attempt;
    draft.status.metrics.clear();
    draft.status.guards = None;
}

/// Goes from the steps to the promotion.
pub fn promote(draft: &mut Draft<'_>) {
    let now = draft.now();
    if let State::Stepping(stepping) = &draft.status.state {
        let done = Way::Steps(stepping.done());
        let promoting = Promoting::begin(done, stepping.release.clone(), now);
        draft.status.state = State::Promoting(Box::new(promoting));
    }
}

/// Makes the current revision stable (the end of S18, S4 and of a promotion without a mesh).
pub fn promoted(draft: &mut Draft<'_>, message: &str) {
    let shortcut = draft.status.state.promoting().and_then(|promoting| promoting.way.shortcut());
    let message = if shortcut.is_some() { "it was stable before: fast rollback" } else { message };
    record(draft, shortcut.map_or(Outcome::Promoted, |shortcut| shortcut.because.outcome()), message);
    let Some(current) = draft.status.current_revision.clone() else { return };
    draft.status.stable_revision = Some(current.clone());
    draft.status.promoted.retain(|revision| revision.id != current.id);
    draft.status.promoted.insert(0, current.clone());
    draft.status.promoted.truncate(20);
    draft.status.guards = None;
    draft.status.state = State::Idle(at_rest(draft));
    draft.emit(false, Reason::Promoted, format!("{} is stable: {message}", named(Some(&current))));
}

/// Writes the rollout in progress into the history.
pub fn record(draft: &mut Draft<'_>, outcome: Outcome, reason: &str) {
    let Some(revision) = draft.status.current_revision.clone() else { return };
    let now = draft.now();
    let entry = HistoryEntry {
        images: draft.revision(&revision.id).map(|seen| seen.images.clone()).unwrap_or_default(),
        revision,
        started_at: started_at(draft).unwrap_or(now),
        ended_at: now,
        outcome,
        reason: reason.to_owned(),
        attempt: draft.status.attempt,
        step_index: draft.step_index(),
        weight: weight(draft).filter(|_| !matches!(outcome, Outcome::Promoted | Outcome::FastPromoted)),
        weights: draft.status.state.release().map(|release| release.weights.clone()).unwrap_or_default(),
    };
    draft.status.history.insert(0, entry);
    draft.status.history.truncate(HISTORY);
}

/// The share of traffic that the canary has before this decision takes it away.
fn weight(draft: &Draft<'_>) -> Option<Percent> {
    let before = draft.input.status;
    before.state.release()?;
    match draft.split() {
        Split::Routes => before.weights.accepted.or_else(|| draft.input.seen.route.as_ref()?.highest()),
        Split::Ratio if before.weights.settled => Some(before.weights.desired),
        Split::Ratio => {
            let available = draft.current_id().map_or(0, |id| draft.available(&id));
            Some(weights::share_of_pods(available, draft.replicas().max(1)))
        }
        Split::Switch => None,
    }
}

/// When the rollout in progress began.
fn started_at(draft: &Draft<'_>) -> Option<Timestamp> {
    match &draft.status.state {
        State::FirstDeploy(first) => first.since,
        state => state.release().map(|release| release.since),
    }
}
