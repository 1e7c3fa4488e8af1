//! Analyses of their own (a step's, a test's goal, the one after a switch) are checked before a release sends any traffic
//! (rule S14): one that cannot be made would be found only when it is waited for, under traffic that is not judged.

use super::{
    decision::{Action, Goal, RunRequest},
    draft::Draft,
    fingerprint, refusals,
};

/// The field of the analysis that decides an A/B test.
const GOAL: &str = "abTest.goal";

/// Has every analysis of the spec checked once in each attempt, and again while one is refused.
pub fn ask(draft: &mut Draft<'_>) {
    let (Some(canary), Some(stable)) = (draft.canary_id(), draft.stable_id()) else { return };
    let both_there = draft.revision(&canary).is_some() && draft.revision(&stable).is_some();
    if draft.input.seen.file_invalid || !both_there {
        return; // its arms are the two versions
    }
    let requests = requests(draft, &canary, &stable);
    if requests.is_empty() {
        return;
    }
    let name = fingerprint(&requests);
    let Some(release) = draft.status.state.release_mut() else { return };
    let fresh = release.analyses_checked.as_ref() != Some(&name);
    release.analyses_checked = Some(name);
    for request in requests {
        let check = Action::CheckRun(request);
        if fresh || refusals::is_refused(draft, &check) {
            draft.ask(check);
        }
    }
}

/// Whether none is left to be checked in this tick.
pub fn are_done(draft: &Draft<'_>) -> bool {
    !draft.actions.iter().any(|action| matches!(action, Action::CheckRun(_)))
}

fn requests(draft: &Draft<'_>, canary: &str, stable: &str) -> Vec<RunRequest> {
    let judged = draft.input.spec.strategy.judged().into_iter();
    let request = judged.map(|(field, judged)| RunRequest {
        key: format!("{}/{canary}/{}", draft.input.uid, draft.status.attempt),
        templates: judged.templates,
        args: judged.args,
        background: field == GOAL,
        canary: canary.to_owned(),
        stable: stable.to_owned(),
        one_armed: draft.blue_green().is_some(),
        goal: (field == GOAL).then(Goal::default),
        name: field,
        ..RunRequest::default()
    });
    request.collect()
}

fn fingerprint(requests: &[RunRequest]) -> String {
    fingerprint::of(&format!("{requests:?}"))
}
