//! A canary that loses all its pods under traffic (rule S56): the traffic goes to stable until pods are there again, and a
//! release survives it twice. Without a mesh its Service does that by itself.

use crate::api::{common::Percent, reason::Reason};

use super::{
    draft::{Draft, Split},
    extra_routes,
    input::RouteSeen,
    pods, weights,
};

/// Losses of all canary pods under traffic that an attempt survives.
const SURVIVED: u32 = 2;

/// Takes in what happened to the canary's pods, and whether the traffic of an earlier attempt has returned.
pub fn follow(draft: &mut Draft<'_>) {
    let Some(canary) = draft.canary_id() else { return };
    if !draft.has_mesh() || draft.replicas() == 0 || has_traffic_returned(draft) {
        forget_shifting_back(draft);
    }
    note_pods(draft, &canary);
    if draft.split() != Split::Switch && draft.replicas() > 0 && !is_shifting_back(draft) {
        follow_pods(draft, &canary);
    }
}

/// Whether routes are at 0, and settled there.
fn has_traffic_returned(draft: &Draft<'_>) -> bool {
    let weights = &draft.status.weights;
    let settled = weights.desired.is_zero() && weights.settled;
    settled && draft.input.seen.route.as_ref().is_some_and(RouteSeen::leads_to_stable_alone)
}

/// Whether traffic of an earlier attempt returns first.
pub fn is_shifting_back(draft: &Draft<'_>) -> bool {
    draft.status.state.stepping().is_some_and(|stepping| stepping.taking_back)
}

fn forget_shifting_back(draft: &mut Draft<'_>) {
    if let Some(stepping) = draft.status.state.stepping_mut() {
        stepping.taking_back = false;
    }
}

/// Pods that are yet to come, at the start or after a scale from zero, are not lost (S37).
fn note_pods(draft: &mut Draft<'_>, canary: &str) {
    let (available, replicas) = (draft.available(canary), draft.replicas());
    if let Some(release) = draft.status.state.release_mut() {
        release.canary_up = replicas > 0 && (release.canary_up || available > 0);
    }
}

/// Notices that the canary has lost all its pods under traffic, or has them again.
fn follow_pods(draft: &mut Draft<'_>, canary: &str) {
    let lost = !draft.is_canary_lost() && loses_traffic(draft, canary);
    let needs_none = || pods::wanted_by_ratio(draft).0 == 0;
    let there = if draft.has_mesh() { canary_there(draft) } else { draft.available(canary) > 0 || needs_none() };
    if lost {
        let what = if draft.has_mesh() { ": shifting its traffic to stable" } else { "" };
        draft.emit(true, Reason::CanaryLost, format!("no canary pod is available{what}"));
    }
    if let Some(release) = draft.status.state.release_mut() {
        release.canary_losses += u32::from(lost);
        release.canary_lost = (release.canary_lost || lost) && !there;
    }
}

/// Whether the canary carries traffic, and has no pod for it.
fn loses_traffic(draft: &Draft<'_>, canary: &str) -> bool {
    let was_up = draft.release().is_some_and(|release| release.canary_up);
    if draft.available(canary) > 0 || !was_up {
        return false;
    }
    // With no pod on either side nothing is gained by moving (S57).
    if draft.has_mesh() {
        return stable_serves(draft) && is_routed_to(draft, canary);
    }
    let (canary, stable) = pods::wanted_by_ratio(draft);
    canary > 0 && !draft.settled_weight().is_zero() && (stable == 0 || stable_serves(draft))
}

fn is_routed_to(draft: &Draft<'_>, canary: &str) -> bool {
    let (route, target) = (draft.input.seen.route.as_ref(), draft.input.seen.canary_target.as_ref());
    route.and_then(RouteSeen::highest).is_some_and(|weight| !weight.is_zero() || extra_routes::any(draft))
        && target.is_some_and(|target| target.revision.as_deref() == Some(canary))
}

/// Whether stable has a pod.
pub fn stable_serves(draft: &Draft<'_>) -> bool {
    draft.stable_id().is_some_and(|id| draft.available(&id) > 0)
}

/// Whether the canary has the pods of its step.
pub fn canary_there(draft: &Draft<'_>) -> bool {
    let need = weights::canary_need(draft, draft.step_weight());
    draft.canary_id().is_some_and(|id| draft.available(&id) >= need)
}

/// The step's weight, or 0 while traffic of an earlier attempt returns, or the canary has lost its pods.
pub fn goal(draft: &Draft<'_>) -> Percent {
    let moves = draft.has_mesh() && draft.replicas() > 0 && draft.canary_id().is_some();
    if moves && (is_shifting_back(draft) || draft.is_canary_lost()) { Percent::ZERO } else { draft.step_weight() }
}

/// Why the release fails by it.
pub fn failure(draft: &Draft<'_>) -> Option<&'static str> {
    let lost = draft.release().is_some_and(|release| release.canary_losses > SURVIVED);
    lost.then_some("the canary lost all its pods three times")
}
