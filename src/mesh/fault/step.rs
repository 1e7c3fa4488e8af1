//! One step: which state follows.

use jiff::{SignedDuration, Timestamp};

use super::{
    decision::{Decision, Desired},
    input::{GuardSeen, Input},
};
use crate::{
    api::fault::{Active, EndReason, Ended, Evidence, FaultResult, FaultState, Pending, PendingReason},
    mesh::change::PlanSeen,
};

/// A fault that has not begun this long after its creation does not begin any more: whoever asked for it no longer watches.
pub const BEGINS_WITHIN: SignedDuration = SignedDuration::from_mins(10);
/// How long a fault continues while its guard cannot be evaluated.
pub const UNGUARDED: SignedDuration = SignedDuration::from_mins(1);
/// With fewer faulted requests, a fault shows nothing.
pub const LEAST_FAULTED: u64 = 100;

/// Decides which state follows.
pub fn step(input: &Input<'_>) -> Decision {
    let state = match input.state {
        None | Some(FaultState::Pending(_)) => begin(input),
        Some(FaultState::Active(active)) => proceed(input, active),
        Some(FaultState::Ended(ended)) => FaultState::Ended(ended.clone()),
    };
    let desired = state.until().map_or(Desired::Nothing, Desired::Until);
    Decision { desired, wake: wake(input, &state), state }
}

fn begin(input: &Input<'_>) -> FaultState {
    let now = input.now;
    let not_begun =
        |because| FaultState::Ended(Ended { result: FaultResult::Inconclusive, because, at: now, evidence: None });
    if input.is_canceled {
        return not_begun(EndReason::Canceled);
    }
    if now >= last_begin(input) {
        return not_begun(EndReason::NotBegun);
    }
    match blocker(input) {
        None => {
            let duration = SignedDuration::try_from(input.settings.duration).unwrap_or(SignedDuration::ZERO);
            FaultState::Active(Active { since: now, until: after(now, duration), unguarded_since: None })
        }
        Some(because) => {
            let before = match input.state {
                Some(FaultState::Pending(pending)) if pending.because == because => Some(pending.since),
                _ => None,
            };
            FaultState::Pending(Pending { because, since: before.unwrap_or(now) })
        }
    }
}

fn last_begin(input: &Input<'_>) -> Timestamp {
    after(input.created, BEGINS_WITHIN)
}

/// What is in the way of a beginning: first what its author has to change, last what ends by itself.
fn blocker(input: &Input<'_>) -> Option<PendingReason> {
    let reasons = [
        (!input.is_allowed, PendingReason::NotAllowed),
        (input.plan == PlanSeen::Refused, PendingReason::Refused),
        (input.is_busy, PendingReason::TargetBusy),
        (input.plan == PlanSeen::Conflicted, PendingReason::Conflicted),
        (input.is_releasing, PendingReason::Releasing),
    ];
    let guard = match input.guard {
        _ if !input.settings.has_guard => None,
        GuardSeen::Holds => None,
        GuardSeen::Failed | GuardSeen::Burning => Some(PendingReason::GuardFailing),
        GuardSeen::Unknown => Some(PendingReason::GuardUnknown),
    };
    reasons.into_iter().find(|(is_so, _)| *is_so).map(|(_, reason)| reason).or(guard)
}

/// Rule F3: the guard comes first, since a failure that it sees at the end is one too.
fn proceed(input: &Input<'_>, active: &Active) -> FaultState {
    let guard = if input.settings.has_guard { input.guard } else { GuardSeen::Holds };
    let is_over = input.now >= active.until;
    let ended = |result, because| ended(input, active, result, because);
    match guard {
        GuardSeen::Failed => return ended(FaultResult::Stopped, EndReason::GuardFailed),
        GuardSeen::Burning => return ended(FaultResult::Stopped, EndReason::BudgetBurned),
        GuardSeen::Unknown if is_over => return ended(FaultResult::Inconclusive, EndReason::GuardUnknown),
        GuardSeen::Holds if is_over && input.faulted >= LEAST_FAULTED => {
            return ended(FaultResult::Survived, EndReason::Elapsed);
        }
        GuardSeen::Holds if is_over => return ended(FaultResult::Inconclusive, EndReason::Elapsed),
        GuardSeen::Holds | GuardSeen::Unknown => {}
    }
    let others = [
        (input.is_canceled, EndReason::Canceled),
        (!input.is_allowed, EndReason::NotAllowed),
        (input.is_releasing, EndReason::Releasing),
    ];
    if let Some((_, because)) = others.into_iter().find(|(is_so, _)| *is_so) {
        return ended(FaultResult::Inconclusive, because);
    }
    let unguarded_since =
        (guard == GuardSeen::Unknown).then(|| active.unguarded_since.unwrap_or(input.now).min(input.now));
    if unguarded_since.is_some_and(|since| input.now >= after(since, UNGUARDED)) {
        return ended(FaultResult::Inconclusive, EndReason::GuardUnknown);
    }
    FaultState::Active(Active { unguarded_since, ..active.clone() })
}

/// The mesh has ended the fault at `until`, whenever this is seen.
fn ended(input: &Input<'_>, active: &Active, result: FaultResult, because: EndReason) -> FaultState {
    let evidence = Evidence { since: active.since, until: active.until, faulted: input.faulted };
    FaultState::Ended(Ended { result, because, at: input.now.min(active.until), evidence: Some(evidence) })
}

fn wake(input: &Input<'_>, state: &FaultState) -> Option<Timestamp> {
    match state {
        FaultState::Pending(_) => Some(last_begin(input)),
        FaultState::Active(active) => {
            let blind = active.unguarded_since.map(|since| after(since, UNGUARDED));
            Some(blind.map_or(active.until, |blind| blind.min(active.until)))
        }
        FaultState::Ended(_) => None,
    }
}

fn after(time: Timestamp, duration: SignedDuration) -> Timestamp {
    time.saturating_add(duration).unwrap_or(Timestamp::MAX)
}
