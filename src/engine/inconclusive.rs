//! A background analysis without a verdict (rule S14): while a required metric is Inconclusive, which NoData becomes after
//! `noDataTimeout`, no weight rises and no step completes.
//!
//! That wait is an implicit observation: 30 minutes, extended once, then the file's `onInconclusive`. A promote ends it, as
//! it ends an observation among the steps.

use jiff::{SignedDuration, Timestamp};

use crate::api::{
    analysis::Verdict, common::HumanDuration, reason::Reason, status::EvidenceWait, strategy::DEFAULT_AT_MOST,
};

use super::{draft::Draft, outcome, runs, wait::Wait};

/// Whether the background analysis has ended up without a verdict on the traffic that is settled now.
pub fn is_found(draft: &Draft<'_>) -> bool {
    let memory = &draft.status.memory;
    // Without traffic there is nothing to judge: the first of it is what a verdict is about (S37).
    let is_sent = !draft.settled_weight().is_zero() || !memory.settled_routes.is_empty();
    if draft.replicas() == 0
        || !is_sent
        || !runs::background_started(draft)
        || draft.is_overridden()
        || draft.release().is_some_and(|release| release.excused_epoch == Some(memory.epoch))
    {
        return false;
    }
    let run = draft.input.seen.runs.get(&runs::background_name(draft));
    run.is_some_and(|run| run.verdict == Verdict::Inconclusive && run.status.epoch == memory.epoch)
}

/// Whether a step that is over otherwise waits for a verdict.
pub fn is_waited_for(draft: &Draft<'_>) -> bool {
    known(draft).is_some()
}

fn known<'d>(draft: &'d Draft<'_>) -> Option<&'d EvidenceWait> {
    draft.status.state.stepping()?.evidence_wait.as_ref()
}

fn keep(draft: &mut Draft<'_>, wait: Option<EvidenceWait>) {
    if let Some(stepping) = draft.status.state.stepping_mut() {
        stepping.evidence_wait = wait;
    }
}

/// The step continues without a verdict on this traffic: an operator or the spec says so.
pub fn excuse(draft: &mut Draft<'_>) {
    keep(draft, None);
    let epoch = draft.status.memory.epoch;
    if let Some(release) = draft.status.state.release_mut() {
        release.excused_epoch = Some(epoch);
    }
}

/// There is a verdict, or something else to wait for.
pub fn forget(draft: &mut Draft<'_>) {
    keep(draft, None);
}

/// Waits for a verdict. At the end of its time the wait is extended once, then the policy of the spec decides.
pub fn wait(draft: &mut Draft<'_>, evidence: &str) {
    let weight = draft.settled_weight();
    let known = known(draft).cloned();
    let mut wait = known.unwrap_or(EvidenceWait { since: draft.now(), ..EvidenceWait::default() });
    let runs = draft.clock_runs();
    if runs && is_over(draft, &wait) && !wait.extended {
        wait.extended = true;
        let message = format!("no verdict within {DEFAULT_AT_MOST}: extended once by {DEFAULT_AT_MOST}");
        draft.emit(true, Reason::Extended, message);
    }
    if runs && is_over(draft, &wait) {
        let message = format!("no verdict within {} of observing at {weight}: {evidence}", length(&wait));
        keep(draft, None);
        if outcome::inconclusive(draft, &message) {
            excuse(draft);
        }
        return;
    }
    let until = draft.while_clocks_run(end(draft, &wait));
    keep(draft, Some(wait));
    let message = format!("observing at {weight}; waiting for a verdict before the weight rises: {evidence}");
    draft.wait(Wait::until(Reason::Observe, message, until));
}

/// The clock of the wait was stopped from then until now (S36, S37).
pub fn add_suspended(draft: &mut Draft<'_>, from: Timestamp) {
    let now = draft.now();
    let wait = draft.status.state.stepping_mut().and_then(|stepping| stepping.evidence_wait.as_mut());
    if let Some(wait) = wait {
        wait.held_ms += i64::try_from(now.duration_since(from.max(wait.since)).as_millis()).unwrap_or(0);
    }
}

fn length(wait: &EvidenceWait) -> HumanDuration {
    let once = DEFAULT_AT_MOST;
    if wait.extended { HumanDuration::from(once.get() * 2) } else { once }
}

fn is_over(draft: &Draft<'_>, wait: &EvidenceWait) -> bool {
    end(draft, wait) <= draft.now()
}

fn end(draft: &Draft<'_>, wait: &EvidenceWait) -> Timestamp {
    let held = SignedDuration::from_millis(wait.held_ms.max(0));
    let end = length(wait).after(wait.since);
    draft.not_before_first_look(end.saturating_add(held).unwrap_or(end))
}
