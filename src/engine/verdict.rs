//! What fails a release is read before its traffic is decided: the same decision that finds a failure shifts the traffic
//! back (rules S14, S33, S34 and S56).

use crate::api::{
    reason::Reason,
    status::{Course, Stage},
};

use super::{canary, draft::Draft, losses, outcome, runs};

/// Reads what the analyses and the canary's pods say of a release in progress.
pub fn read(draft: &mut Draft<'_>) {
    match draft.course() {
        Course::Stepping => {
            canary::stop_clocks(draft);
            losses::follow(draft);
        }
        Course::Promoting => canary::stop_clocks(draft),
        _ => return,
    }
    let Some((reason, message)) = failure(draft) else { return };
    runs::show(draft);
    outcome::fail(draft, reason, &message);
}

/// Why the release fails in this tick. Scaled to zero it is suspended; a promotion is judged by the analysis after a switch.
fn failure(draft: &Draft<'_>) -> Option<(Reason, String)> {
    let steps = draft.course() == Course::Stepping;
    if steps && draft.replicas() == 0 || !steps && draft.stage() != Some(Stage::PostAnalysis) {
        return None;
    }
    if let Some(message) = losses::failure(draft).filter(|_| steps) {
        return Some((Reason::CanaryLost, message.to_owned()));
    }
    runs::failure(draft).map(|evidence| (Reason::AnalysisFailed, evidence))
}
