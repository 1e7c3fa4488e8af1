//! Whether requests fall as the weights say, by the counts of the background run (rule S52).

use crate::api::{
    analysis::{ShareStatus, ShareVerdict},
    common::Percent,
    conditions,
    reason::{ConditionType, Reason},
    rollout::Verification,
};

use super::{draft::Draft, extra_routes, runs, standing::Standing, wait::Wait};

/// Shows the counted share: in the weights, and as a condition once the counts say something.
pub fn show(draft: &mut Draft<'_>) {
    let counted = counted(draft);
    draft.status.weights.observed = counted.as_ref().and_then(share);
    let said = counted.filter(|counted| counted.verdict != ShareVerdict::Counting);
    let (now, generation) = (draft.now(), draft.input.generation);
    match said {
        None => conditions::clear(&mut draft.status.conditions, &ConditionType::ShareVerified),
        Some(counted) => {
            let verified = counted.verdict == ShareVerdict::Verified;
            let reason = if verified { Reason::RequestsFollow } else { Reason::RequestsDoNotFollow };
            let message = text(draft, &counted);
            conditions::set(
                &mut draft.status.conditions,
                ConditionType::ShareVerified,
                verified,
                (reason, &message),
                generation,
                now,
            );
        }
    }
}

/// Where a step that reached its weight stands by the counts. Requests that do not come are waited for without a deadline;
/// requests that go elsewhere are a failure in time (S38).
pub fn standing(draft: &Draft<'_>) -> Standing {
    if draft.input.spec.verification.unwrap_or_default() == Verification::Settled {
        return Standing::Over;
    }
    let counted = counted(draft).unwrap_or_default();
    match counted.verdict {
        ShareVerdict::Verified => Standing::Over,
        ShareVerdict::Counting => {
            let message = match not_compared(draft) {
                Some(why) => {
                    format!("the share of requests is not compared: {why}; set spec.verification to settled")
                }
                None => {
                    format!("verifying that the canary gets {} of the requests: {}", planned(draft), seen(&counted))
                }
            };
            Standing::Waits(Wait::until(Reason::Verification, message, None))
        }
        ShareVerdict::Broken => Standing::Waits(Wait::progress(Reason::Verification, 0, text(draft, &counted))),
    }
}

/// Why the canary's share of the requests says nothing about the weight, where it does not.
pub fn not_compared(draft: &Draft<'_>) -> Option<String> {
    if draft.input.seen.keeps_sessions() {
        return Some("a rule keeps sessions (sessionPersistence), whose users do not follow the weight".to_owned());
    }
    let routes = extra_routes::any(draft).then(|| extra_routes::text_in_effect(draft))?;
    Some(format!("requests reach the canary beside the weight ({routes})"))
}

/// What the background run has counted at the settled weight.
fn counted(draft: &Draft<'_>) -> Option<ShareStatus> {
    let run = draft.input.seen.runs.get(&runs::background_name(draft)).filter(|_| runs::background_started(draft))?;
    run.status.share.clone().filter(|share| share.epoch == draft.status.memory.epoch)
}

fn planned(draft: &Draft<'_>) -> Percent {
    draft.status.memory.settled_weight.unwrap_or_default()
}

fn share(counted: &ShareStatus) -> Option<Percent> {
    let basis_points =
        counted.canary.saturating_mul(10_000).saturating_add(counted.total / 2).checked_div(counted.total)?;
    Some(Percent::from_basis_points(u32::try_from(basis_points).unwrap_or(10_000)))
}

fn seen(counted: &ShareStatus) -> String {
    match share(counted) {
        Some(share) => format!("{share} of {} so far", counted.total),
        None => "none counted so far".to_owned(),
    }
}

fn text(draft: &Draft<'_>, counted: &ShareStatus) -> String {
    let (planned, share, total) = (planned(draft), share(counted).unwrap_or_default(), counted.total);
    match counted.verdict {
        ShareVerdict::Broken => format!(
            "planned {planned}, but the canary got {share} of {total} requests: another route sends traffic to it, or \
             clients bypass the mesh"
        ),
        _ => format!("planned {planned}, the canary gets {share}"),
    }
}
