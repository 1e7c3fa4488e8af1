//! The status of a policy after a look.

use super::{callers, message, seen::Seen, wanted::Wanted};
use crate::{
    api::{
        conditions,
        policy::{CallerOnRecord, HeldAt, MeshPolicyStatus, Phase, PolicyState, RevertReason},
        reason::{ConditionType, Reason},
    },
    mesh::{change::Decision, check::Checked, facts::Service},
};

/// So many specs before the one in force stay on record.
const FORMER: usize = 2;
/// So many problems and notes are recorded.
const MOST: usize = 20;

/// What is recorded.
pub(super) fn status(
    seen: &Seen<'_>,
    wanted: &Wanted,
    decision: &Decision,
    checked: Option<&[(&Service, Checked)]>,
    is_written: bool,
) -> MeshPolicyStatus {
    let mut before = seen.policy.status.clone().unwrap_or_default();
    let generation = seen.policy.metadata.generation;
    let state = decision.standing.state.clone();
    let phase = state.as_ref().map(PolicyState::phase);
    let callers = callers_of(seen, wanted, state.as_ref(), checked, std::mem::take(&mut before.callers));
    let problems = problems(wanted, phase);
    let message = message::of(seen, decision, (&callers, &problems), is_written);
    let mut conditions = std::mem::take(&mut before.conditions);
    set_conditions(&mut conditions, seen, phase, is_written, &message);
    MeshPolicyStatus {
        observed_generation: generation,
        phase,
        mesh: mesh(&before, wanted),
        former: former(&before, decision),
        in_force: decision.standing.in_force.clone(),
        state,
        notes: bounded(notes(wanted)),
        message,
        callers,
        problems,
        conditions,
        command: before.command,
    }
}

/// The mesh that has the objects, as long as it has any.
fn mesh(before: &MeshPolicyStatus, wanted: &Wanted) -> Option<String> {
    let there = before.mesh.clone().filter(|_| before.in_force.is_some());
    there.or_else(|| wanted.kind.map(|kind| kind.key.to_owned()))
}

/// The specs before the one in force.
fn former(before: &MeshPolicyStatus, decision: &Decision) -> Vec<String> {
    let now = &decision.standing.in_force;
    let replaced = before.in_force.iter().filter(|_| before.in_force != *now);
    let mut former: Vec<String> =
        replaced.chain(&before.former).filter(|id| now.as_ref() != Some(*id)).cloned().collect();
    former.truncate(FORMER);
    former
}

/// The callers that the state rests on: what was known of them stays while the metrics are not asked.
fn callers_of(
    seen: &Seen<'_>,
    wanted: &Wanted,
    state: Option<&PolicyState>,
    checked: Option<&[(&Service, Checked)]>,
    before: Vec<CallerOnRecord>,
) -> Vec<CallerOnRecord> {
    match state {
        Some(state) if is_checked(state) => checked.map_or(before, callers::on_record),
        Some(PolicyState::Reverting(of) | PolicyState::Reverted(of)) if of.because == RevertReason::CallerDenied => {
            wanted.cut(seen).map_or(before, |cut| vec![callers::cut_on_record(cut)])
        }
        _ => Vec::new(),
    }
}

/// Whether a state rests on what the check said.
fn is_checked(state: &PolicyState) -> bool {
    match state {
        PolicyState::Checking(_) => true,
        PolicyState::Held(held) => held.at == HeldAt::Check {},
        _ => false,
    }
}

fn problems(wanted: &Wanted, phase: Option<Phase>) -> Vec<String> {
    match phase {
        Some(Phase::Refused) => bounded(wanted.problems.clone()),
        Some(Phase::Conflicted) => bounded(wanted.plan.conflicts.iter().map(ToString::to_string).collect()),
        _ => Vec::new(),
    }
}

fn notes(wanted: &Wanted) -> Vec<String> {
    let mut notes = wanted.plan.notes.clone();
    if !wanted.settings.audit.is_zero() && !wanted.settings.is_now {
        notes.push(
            "spec.change.audit is skipped: this version does not count denials before they take effect".to_owned(),
        );
    }
    notes
}

fn bounded(mut texts: Vec<String>) -> Vec<String> {
    texts.truncate(MOST);
    texts
}

fn set_conditions(
    conditions: &mut Vec<conditions::Condition>,
    seen: &Seen<'_>,
    phase: Option<Phase>,
    is_written: bool,
    message: &str,
) {
    let generation = seen.policy.metadata.generation;
    let reason = reason(phase);
    let is_ready = phase == Some(Phase::Active) && is_written;
    let is_stalled = matches!(phase, Some(Phase::Held | Phase::Reverted | Phase::Refused | Phase::Conflicted));
    conditions::set(conditions, ConditionType::Ready, is_ready, (reason.clone(), message), generation, seen.now);
    for (condition, holds) in
        [(ConditionType::Reconciling, !is_ready && !is_stalled), (ConditionType::Stalled, is_stalled)]
    {
        match holds {
            true => conditions::set(conditions, condition, true, (reason.clone(), message), generation, seen.now),
            false => conditions::clear(conditions, &condition),
        }
    }
}

/// The phase as the reason of a condition and of an event.
pub fn reason(phase: Option<Phase>) -> Reason {
    match phase {
        Some(Phase::Active) => Reason::PolicyInForce,
        Some(Phase::Held) => Reason::PolicyHeld,
        Some(Phase::Reverting | Phase::Reverted) => Reason::PolicyReverted,
        Some(Phase::Refused) => Reason::PolicyRefused,
        Some(Phase::Conflicted) => Reason::PolicyConflicted,
        Some(Phase::Checking | Phase::Auditing | Phase::Applying | Phase::Baking) | None => Reason::PolicyChanging,
    }
}
