//! Actions that the world refused (rule S53): each stays on record until it succeeds or is no longer asked for, is tried
//! again with a growing wait, and blocks the step that builds on it.
//!
//! Only carrying an action out finds such a refusal: an admission webhook, missing permissions, a template that is not
//! there. The record makes it a fact like any other, so that no process has to remember it.

use std::time::Duration;

use jiff::Timestamp;

use crate::api::{
    RolloutStatus,
    common::HumanDuration,
    reason::{Reason, WakeReason},
    status::Refusal,
};

use super::{decision::Action, draft::Draft, drift, fingerprint};

/// The first wait before a refused action is tried again, in seconds; each later one is twice as long.
const FIRST_WAIT: u64 = 1;
/// The longest.
const LONGEST_WAIT: u64 = 60;
/// Refusals that are kept.
const KEPT: usize = 8;
/// How much of a message is kept, in characters.
const LONGEST_MESSAGE: usize = 1_000;

/// Why an action was refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Why<'a> {
    /// A CamelCase reason.
    pub reason: &'a Reason,
    /// What is wrong, where, and what to do.
    pub message: &'a str,
}

/// Puts a refusal on record. Says whether it has not been reported yet.
pub fn refused(
    status: &mut RolloutStatus,
    action: &Action,
    why: &Why<'_>,
    generation: Option<i64>,
    now: Timestamp,
) -> bool {
    let name = fingerprint(action);
    let message: String = why.message.chars().take(LONGEST_MESSAGE).collect();
    let refusals = &mut status.memory.refused;
    let told = refusals.iter().any(|known| known.message == message);
    let place = refusals.iter().position(|known| known.action == name);
    let times = place.map_or(0, |place| refusals.remove(place).times).saturating_add(1);
    let again_at = wait_after(times).after(now);
    let refusal = Refusal { action: name, reason: why.reason.clone(), message, times, again_at, generation };
    refusals.insert(place.unwrap_or(refusals.len()), refusal);
    refusals.truncate(KEPT);
    !told
}

/// An action has succeeded.
pub fn succeeded(status: &mut RolloutStatus, action: &Action) {
    if !status.memory.refused.is_empty() {
        let name = fingerprint(action);
        status.memory.refused.retain(|refusal| refusal.action != name);
    }
}

/// Whether later actions of the same decision must not come without this one. All others stand for themselves: the engine
/// goes by what it has seen, not by what it has asked for.
pub fn stops_the_rest(action: &Action) -> bool {
    matches!(action, Action::Restore(_))
}

/// Whether a step builds on this action.
fn carries_a_step(action: &Action) -> bool {
    matches!(
        action,
        Action::EnsureRevision { .. }
            | Action::EnsureReplicas { .. }
            | Action::EnsureTarget { .. }
            | Action::EnsureRoute(_)
            | Action::EnsureRun(_)
            | Action::CheckRun(_)
    )
}

/// Whether the decision still writes what a step builds on: it completes once that has succeeded.
pub fn writes_for_a_step(draft: &Draft<'_>) -> bool {
    let moves = |action: &Action| {
        matches!(
            action,
            Action::EnsureTarget { .. } | Action::EnsureRoute(_) | Action::EnsureRun(_) | Action::CheckRun(_)
        )
    };
    draft.actions.iter().any(moves)
}

/// Whether this very action was refused when it was last tried.
pub fn is_refused(draft: &Draft<'_>, action: &Action) -> bool {
    let refusals = &draft.status.memory.refused;
    !refusals.is_empty() && refusals.iter().any(|refusal| refusal.action == fingerprint(action))
}

/// Actions that were not carried out, for a reason that passes: what was taken for done in advance is not.
pub fn not_carried_out(status: &mut RolloutStatus, actions: &[Action]) {
    let checks = actions.iter().any(|action| matches!(action, Action::CheckRun(_)));
    if let Some(release) = status.state.release_mut().filter(|_| checks) {
        release.analyses_checked = None;
    }
}

/// What was refused and the step builds on.
pub fn blocker(draft: &Draft<'_>) -> Option<Refusal> {
    let asked = |refusal: &&Refusal| {
        draft.actions.iter().any(|action| carries_a_step(action) && fingerprint(action) == refusal.action)
    };
    draft.status.memory.refused.iter().find(asked).cloned()
}

/// What is shown to users: what a step builds on before anything else.
fn shown(draft: &Draft<'_>) -> Option<Refusal> {
    let asked = |refusal: &&Refusal| draft.actions.iter().any(|action| fingerprint(action) == refusal.action);
    blocker(draft).or_else(|| draft.status.memory.refused.iter().find(asked).cloned())
}

/// Takes out of the decision what was refused a short while ago, unless the spec has changed, and forgets refusals of what
/// is no longer asked for.
pub fn withhold(draft: &mut Draft<'_>) {
    if draft.status.memory.refused.is_empty() {
        return;
    }
    draft.refusal = shown(draft);
    let (now, generation) = (draft.now(), draft.input.generation);
    let (mut asked, mut kept) = (Vec::new(), Vec::new());
    let mut stopped = false;
    for action in std::mem::take(&mut draft.actions) {
        let name = fingerprint(&action);
        let known = draft.status.memory.refused.iter().find(|refusal| refusal.action == name);
        let again_at = known.filter(|known| known.generation == generation).map(|known| known.again_at);
        match again_at.filter(|at| *at > now) {
            Some(at) => {
                draft.wake(at, WakeReason::Retry);
                // It is not being written: what was taken for written in advance is not, and to write it later is no repair.
                drift::forget(&mut draft.status, draft.input.status, &action);
                stopped |= stops_the_rest(&action);
            }
            None if stopped => {}
            None => kept.push(action),
        }
        asked.push(name);
    }
    draft.actions = kept;
    draft.status.memory.refused.retain(|refusal| asked.contains(&refusal.action));
}

fn wait_after(times: u32) -> HumanDuration {
    let doubled = FIRST_WAIT << times.saturating_sub(1).min(10);
    HumanDuration::from(Duration::from_secs(doubled.min(LONGEST_WAIT)))
}

/// Tells one action from another, by all that it asks for.
fn fingerprint(action: &Action) -> String {
    // How many pods a revision is made with changes with everything around it.
    let action = match action {
        Action::EnsureRevision { id, number, .. } => {
            &Action::EnsureRevision { id: id.clone(), number: *number, replicas: 0 }
        }
        other => other,
    };
    fingerprint::of(&format!("{action:?}"))
}
