//! Where a policy stands, in one sentence.

use super::seen::Seen;
use crate::{
    api::policy::{CallerOnRecord, Held, HeldAt, HoldReason, PolicyState, RevertReason},
    mesh::change::Decision,
};

/// What it says, and what to do.
pub(super) fn of(
    seen: &Seen<'_>,
    decision: &Decision,
    (callers, problems): (&[CallerOnRecord], &[String]),
    is_written: bool,
) -> String {
    let writing = match seen.failure {
        _ if is_written => String::new(),
        Some(why) => format!("; the objects of the mesh cannot be written: {why}"),
        None => "; the objects of the mesh are being written".to_owned(),
    };
    match &decision.standing.state {
        None => "not looked at yet".to_owned(),
        Some(PolicyState::Checking(_)) => match seen.releasing {
            Some(rollout) => format!("waiting for the release of Rollout {rollout} to end"),
            None => format!("checking who would be cut{writing}"),
        },
        Some(PolicyState::Auditing(auditing)) => format!("counting what would be denied until {}", auditing.until),
        Some(PolicyState::Applying(applying)) => format!("wave {}{writing}", applying.wave + 1),
        Some(PolicyState::Baking(baking)) => match seen.releasing {
            Some(rollout) => {
                format!("watching wave {}; it is watched anew once Rollout {rollout} has ended", baking.wave + 1)
            }
            None => format!("watching wave {} until {}", baking.wave + 1, baking.until),
        },
        Some(PolicyState::Active(_)) => format!("in force{writing}"),
        Some(PolicyState::Held(held)) => self::held(held, seen, callers),
        Some(PolicyState::Reverting(reverted)) => {
            format!("{}; the former policy is being written back{}", because(reverted.because, callers), failed(seen))
        }
        Some(PolicyState::Reverted(reverted)) => format!(
            "{}; the former policy is back, and this one is not tried again before it is edited, or `glidepath mesh retry`",
            because(reverted.because, callers)
        ),
        Some(PolicyState::Refused(_) | PolicyState::Conflicted(_)) => {
            let first = problems.first().map(String::as_str).unwrap_or_default();
            let more = problems.len().saturating_sub(1);
            if more == 0 { first.to_owned() } else { format!("{first}; and {more} more") }
        }
    }
}

fn held(held: &Held, seen: &Seen<'_>, callers: &[CallerOnRecord]) -> String {
    let at = match held.at {
        HeldAt::Check {} => "nothing is written yet".to_owned(),
        HeldAt::Audit {} => "denials are counted and take no effect".to_owned(),
        HeldAt::Wave { wave } => format!("wave {} is written", wave + 1),
    };
    let first = callers.first();
    let named =
        first.map(|one| format!(" ({} to Service {}: {})", one.caller, one.service, one.answer)).unwrap_or_default();
    let why = match held.because {
        HoldReason::WouldCut => format!("a caller would be cut{named}"),
        HoldReason::Depends => format!("it depends on what no metric tells whether a caller would be cut{named}"),
        HoldReason::Unknown => match seen.metrics {
            Some(Err(why)) => format!("it is not known who calls: {why}"),
            _ => "it is not known who calls: no metrics of callers were found".to_owned(),
        },
        HoldReason::Denials => "the audit counted denials".to_owned(),
        HoldReason::JudgedBad => "the change was judged bad".to_owned(),
        HoldReason::Inconclusive => "the change could not be judged".to_owned(),
    };
    format!("{why}; {at}: `glidepath mesh promote` to continue, `glidepath mesh abort` to revert, or edit the policy")
}

fn because(reason: RevertReason, callers: &[CallerOnRecord]) -> String {
    match (reason, callers.first()) {
        (RevertReason::Aborted, _) => "an operator aborted the change".to_owned(),
        (RevertReason::JudgedBad, _) => "the change was judged bad".to_owned(),
        (RevertReason::CallerDenied, Some(caller)) => format!(
            "{} was denied {} requests to Service {} that it could make before",
            caller.caller, caller.count, caller.service
        ),
        (RevertReason::CallerDenied, None) => "a caller was denied requests that it could make before".to_owned(),
    }
}

fn failed(seen: &Seen<'_>) -> String {
    seen.failure.map(|why| format!(", which fails: {why}")).unwrap_or_default()
}
