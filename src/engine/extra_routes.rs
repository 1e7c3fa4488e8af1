//! The routes beside the weights: requests that go to the canary by what they carry, copies of requests (rule S15), and users
//! who stay on the version of their first answer (rule S70).
//!
//! The whole set is computed from the steps up to the current one in every tick, so a route that was lost comes back. It
//! comes and goes with the same care as a weight: only to a canary that can answer, and in one write with the weight.

use crate::api::{
    common::Percent,
    status::{Stage, State, Weights},
    strategy::MirrorRoute,
};

use super::{
    decision::{RouteIntent, Stickiness},
    draft::Draft,
    input::RouteSeen,
    items, replicas, stickiness,
    weights::{canary_serving, may_send, needs},
};

/// What the routes are to say in this tick beside this weight. `were_in_force`: all of them have been before.
pub fn intent(draft: &Draft<'_>, canary: Percent, seen: &RouteSeen, were_in_force: bool) -> RouteIntent {
    let wanted = wanted(draft, canary);
    if wanted == RouteIntent::weight(canary) {
        return wanted;
    }
    let serving = canary_serving(draft);
    let ours = serving.is_some() && serving == draft.canary_id();
    let alive = serving.as_deref().is_some_and(|id| draft.available(id) > 0);
    if !ours || !alive {
        return RouteIntent::weight(canary);
    }
    // The same pods as for a weight: what setCanaryScale asked for is enough (S15, S51).
    let need = replicas::pods_for(&needs(draft), Percent::ZERO).canary;
    let may_begin = may_send(draft, need.max(1), &serving, were_in_force);
    let RouteIntent { headers, mirror, sticky, .. } = wanted;
    RouteIntent {
        canary,
        headers: headers.into_iter().filter(|route| may_begin || seen.headers.contains(&route.name)).collect(),
        mirror: mirror.and_then(|mirror| if may_begin { Some(mirror) } else { no_more(mirror, seen.mirror?) }),
        sticky: sticky.filter(|_| may_begin || seen.sticky),
    }
}

/// As much of a mirror as there is already.
fn no_more(mirror: MirrorRoute, seen: Percent) -> Option<MirrorRoute> {
    Some(MirrorRoute { percent: mirror.percent.min(seen), ..mirror })
}

/// The steps' routes beside this weight: while they are walked, and in a promotion until the write that moves all traffic; from
/// then on the cookies of sticky users are cleared. A lost canary has none.
fn wanted(draft: &Draft<'_>, canary: Percent) -> RouteIntent {
    let (is_split, is_over) = match &draft.status.state {
        State::Stepping(stepping) => (!stepping.taking_back, false),
        State::Promoting(promoting) if promoting.way.shortcut().is_none() => match promoting.stage {
            Stage::Scale => (true, false),
            Stage::RouteToCanary => (canary != Percent::FULL, true),
            Stage::MoveStable | Stage::PostAnalysis => (false, true),
            Stage::RouteToStable => (false, false),
        },
        _ => (false, false),
    };
    let has_no_users = draft.replicas() == 0 || draft.is_canary_lost();
    if has_no_users || !is_split && !is_over {
        return RouteIntent::weight(canary);
    }
    let sticky = stickiness::of_release(draft.input.spec, &draft.status);
    // Only where users had cookies there are some to clear.
    let clears = |sticky: &Stickiness| sticky.clears(canary) && draft.status.weights.sticky;
    if !is_split {
        return RouteIntent { sticky: sticky.filter(clears), ..RouteIntent::weight(canary) };
    }
    let (headers, mirror) = items::routes_at(&draft.items, draft.step_index());
    // No user is to stay with a version that gets no users, and none has to with the one that gets all.
    let sticky = sticky.filter(|sticky| sticky.splits(canary) || clears(sticky));
    RouteIntent { canary, headers, mirror, sticky }
}

/// Whether the intent is all that the steps ask for.
pub fn is_whole(draft: &Draft<'_>, intent: &RouteIntent) -> bool {
    wanted(draft, intent.canary) == *intent
}

/// Whether the routes say what is meant beside the weight.
pub fn in_place(intent: &RouteIntent, seen: &RouteSeen) -> bool {
    names(intent) == seen.headers
        && intent.mirror.as_ref().map(|mirror| mirror.percent) == seen.mirror
        && intent.sticky.is_some() == seen.sticky
}

/// Whether the same was meant in the last tick.
pub fn is_as_before(draft: &Draft<'_>, intent: &RouteIntent) -> bool {
    let weights = &draft.status.weights;
    names(intent) == weights.headers
        && intent.mirror.as_ref().map(|mirror| mirror.percent) == weights.mirror
        && intent.sticky.is_some() == weights.sticky
}

/// Puts what is meant into the status.
pub fn remember(weights: &mut Weights, intent: &RouteIntent) {
    weights.headers = names(intent);
    weights.mirror = intent.mirror.as_ref().map(|mirror| mirror.percent);
    weights.sticky = intent.sticky.is_some();
}

/// Whether any route beside the weights was meant to lead to the canary when the status was last decided.
pub fn is_meant(draft: &Draft<'_>) -> bool {
    let weights = &draft.status.weights;
    !weights.headers.is_empty() || weights.mirror.is_some() || weights.sticky
}

/// Whether any route beside the weights leads to the canary, or is meant to.
pub fn any(draft: &Draft<'_>) -> bool {
    let there = draft.input.seen.route.as_ref().is_some_and(RouteSeen::has_extra_routes);
    there || is_meant(draft)
}

/// The routes that are meant, or else those that are there, as messages say them.
pub fn text_in_effect(draft: &Draft<'_>) -> String {
    let there = || draft.input.seen.route.as_ref().map(text_of_seen).unwrap_or_default();
    Some(text(draft)).filter(|text| !text.is_empty()).unwrap_or_else(there)
}

/// The routes of the status as one text, to tell sets apart.
pub fn text(draft: &Draft<'_>) -> String {
    let weights = &draft.status.weights;
    joined(&weights.headers, weights.mirror, weights.sticky)
}

/// The routes of an intent as one text.
pub fn text_of(intent: &RouteIntent) -> String {
    joined(&names(intent), intent.mirror.as_ref().map(|mirror| mirror.percent), intent.sticky.is_some())
}

/// The routes as read back, as one text.
pub fn text_of_seen(seen: &RouteSeen) -> String {
    joined(&seen.headers, seen.mirror, seen.sticky)
}

/// All that the file wants of the routes in this tick, as one text: this weight and what belongs beside it. The steps are edited
/// by a new attempt, sticky users by another plan: what is then written anew is no repair.
pub fn plan(draft: &Draft<'_>, goal: Percent) -> String {
    let wanted = wanted(draft, goal);
    let sticky = wanted.sticky.as_ref().map(|sticky| sticky.text(goal)).unwrap_or_default();
    format!("{goal} {} {sticky}", text_of(&wanted)).trim_end().to_owned()
}

/// As messages say it: `0 % with testers, mirror 20 %`.
pub fn shown(draft: &Draft<'_>, goal: Percent) -> String {
    let beside = text_of(&wanted(draft, goal));
    if beside.is_empty() { goal.to_string() } else { format!("{goal} with {beside}") }
}

fn joined(headers: &[String], mirror: Option<Percent>, sticky: bool) -> String {
    let mirror = mirror.map(|percent| format!("mirror {percent}"));
    let sticky = sticky.then(|| "sticky".to_owned());
    headers.iter().cloned().chain(mirror).chain(sticky).collect::<Vec<_>>().join(", ")
}

fn names(intent: &RouteIntent) -> Vec<String> {
    let mut names: Vec<String> = intent.headers.iter().map(|route| route.name.clone()).collect();
    names.sort();
    names
}
