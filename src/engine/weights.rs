//! Targets and routes: which revision a target selects, what the routes say, and when either counts as settled
//! (semantics.md section 4 and rule S6). Traffic follows capacity: a weight rises only to what the canary's pods carry,
//! and leaves stable no more than stable's pods carry.

use crate::api::{
    common::Percent,
    reason::{Reason, WakeReason},
    status::{Course, RouteWritten, Stage, State, TargetMemory},
};

use super::{
    decision::{Action, RouteIntent, Target, Wake},
    draft::Draft,
    drift, extra_routes,
    input::{RouteSeen, TargetSeen},
    items,
    replicas::{self, Needs},
    runs,
};

/// Where the routes are after this tick's decision.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Route {
    /// What the routes were asked to say.
    pub desired: Percent,
    /// Whether they say what was wanted, and have for long enough.
    pub settled: bool,
    /// The wanted weight itself, before capacity was looked at.
    pub goal: Percent,
}

impl Route {
    /// Whether the wanted weight is in force and settled.
    pub fn reached(self) -> bool {
        self.settled && self.desired == self.goal
    }
}

/// Ready endpoints that a target lists of one revision; `None` endpoints mean that pods stand in for them.
pub fn listed(draft: &Draft<'_>, target: &TargetSeen, revision: &str) -> u32 {
    match &target.endpoints {
        Some(endpoints) => endpoints.get(revision).copied().unwrap_or(0),
        None => draft.available(revision),
    }
}

/// Whether a target lists at least `need` endpoints of one revision and none of any other.
fn lists_only(draft: &Draft<'_>, target: &TargetSeen, revision: &str, need: u32) -> bool {
    let foreign = target.endpoints.iter().flatten().any(|(id, count)| id != revision && *count > 0);
    !foreign && listed(draft, target, revision) >= need
}

/// What a tick wants of a target.
#[derive(Clone, Debug, PartialEq)]
pub struct Pointed {
    /// Since when it is where it belongs.
    pub memory: TargetMemory,
    /// Where it is to move.
    pub moves: Option<Action>,
    /// When it will have settled.
    pub settles: Option<Wake>,
}

/// Where the stable target belongs; `None`: there is none.
pub fn stable_target(draft: &Draft<'_>) -> Option<Pointed> {
    let seen = draft.input.seen.stable_target.as_ref()?;
    let wanted = wanted_stable(draft)?;
    let replicas = draft.replicas();
    // The first pin waits for enough pods (S5); a wrong selector on a pinned target is drift and repaired at once.
    let enough = draft.available(&wanted) >= replicas;
    let may_move = seen.revision.is_some() || enough;
    let need = if moving_stable(draft) { replicas } else { replicas.min(1) };
    Some(pointed(draft, Target::Stable, wanted, (may_move, need)))
}

fn moving_stable(draft: &Draft<'_>) -> bool {
    draft.stage() == Some(Stage::MoveStable)
}

/// The revision that the stable target should select.
fn wanted_stable(draft: &Draft<'_>) -> Option<String> {
    if draft.stable_moves() { draft.current_id() } else { draft.stable_id() }
}

/// Where the canary target belongs; `None`: there is none.
pub fn canary_target(draft: &Draft<'_>) -> Option<Pointed> {
    let seen = draft.input.seen.canary_target.as_ref()?;
    let stable = wanted_stable(draft)?;
    let wanted = wanted_canary(draft, seen, &stable);
    let pinned = seen.revision.is_some() || draft.available(&wanted) > 0 || draft.replicas() == 0;
    let may_move = pinned && may_move_canary(draft, seen);
    let need = canary_need(draft, draft.step_weight());
    Some(pointed(draft, Target::Canary, wanted, (may_move, need)))
}

/// A target that is to select a revision: it moves if it may, and settles from the moment on that it lists so many of its
/// endpoints and no others.
fn pointed(draft: &Draft<'_>, target: Target, wanted: String, (may_move, need): (bool, u32)) -> Pointed {
    let (seen, before) = target_seen(draft, target);
    let there = seen.is_some_and(|seen| seen.revision.as_deref() == Some(&wanted));
    let moves = (!there && may_move).then(|| Action::EnsureTarget { target, revision: wanted.clone() });
    if !there || !seen.is_some_and(|seen| lists_only(draft, seen, &wanted, need)) {
        let memory = TargetMemory { revision: Some(wanted), since: None, written: before.written.clone() };
        return Pointed { memory, moves, settles: None };
    }
    let same = before.revision.as_ref() == Some(&wanted);
    let since = before.since.filter(|_| same).unwrap_or_else(|| draft.now());
    let until = draft.settle().after(since);
    let settles = (until > draft.now()).then_some(Wake { at: until, reason: WakeReason::TargetSettles });
    let memory = TargetMemory { revision: Some(wanted.clone()), since: Some(since), written: Some(wanted) };
    Pointed { memory, moves, settles }
}

fn target_seen<'d, 'a>(draft: &'d Draft<'a>, target: Target) -> (Option<&'a TargetSeen>, &'d TargetMemory) {
    let (seen, memory) = (draft.input.seen, &draft.status.memory);
    match target {
        Target::Stable => (seen.stable_target.as_ref(), &memory.stable_target),
        Target::Canary => (seen.canary_target.as_ref(), &memory.canary_target),
    }
}

/// The canary target rests on stable and moves to the canary when that has a pod (rule S6).
fn wanted_canary(draft: &Draft<'_>, seen: &TargetSeen, stable: &str) -> String {
    let active = draft.release().is_some();
    match draft.canary_id() {
        Some(canary) if active => {
            let stays = seen.revision.as_deref() == Some(&canary);
            if stays || draft.available(&canary) > 0 { canary } else { stable.to_owned() }
        }
        _ => stable.to_owned(),
    }
}

/// A selector moves only while the target carries nothing: weight 0, settled.
fn may_move_canary(draft: &Draft<'_>, seen: &TargetSeen) -> bool {
    if !draft.has_mesh() || seen.revision.is_none() {
        return true;
    }
    let weights = &draft.status.weights;
    let route = draft.input.seen.route.as_ref();
    let returned = route.is_none_or(RouteSeen::sends_nothing_known);
    weights.desired.is_zero()
        && !extra_routes::is_meant(draft)
        && (weights.settled || returned && !draft.input.seen.problems.is_empty())
}

/// Whether a target has stood long enough; one that does not exist needs no time.
pub fn target_settled(draft: &Draft<'_>, target: Target) -> bool {
    let (seen, memory) = target_seen(draft, target);
    seen.is_none() || memory.since.is_some_and(|since| draft.settle().after(since) <= draft.now())
}

/// Pods the canary needs before it may get `weight`.
pub fn canary_need(draft: &Draft<'_>, weight: Percent) -> u32 {
    if draft.course() == Course::Promoting {
        return draft.replicas();
    }
    replicas::pods_for(&needs(draft), weight).canary
}

/// What the pods of both roles depend on in this step.
pub fn needs(draft: &Draft<'_>) -> Needs {
    if draft.release().is_some() && !draft.is_shortcut() {
        Needs::at_step(draft.input.spec, &draft.items, draft.step_index(), draft.replicas())
    } else {
        Needs::before_steps(draft.input.spec, draft.replicas())
    }
}

/// Without weights there is nothing to write, and nothing to wait for.
pub fn none(draft: &mut Draft<'_>) -> Route {
    let weights = &mut draft.status.weights;
    (weights.desired, weights.accepted, weights.settled) = (Percent::ZERO, None, true);
    begin_epoch(draft, Percent::ZERO);
    Route { desired: Percent::ZERO, settled: true, goal: Percent::ZERO }
}

/// What the routes are to say, and what they say.
struct Look {
    seen: RouteSeen,
    /// All that the steps want of the routes, as one text.
    plan: String,
    intent: RouteIntent,
    /// The routes say what they are to say.
    in_place: bool,
    /// Another writer has changed them.
    contested: bool,
    /// The intent is all that the steps ask for, at the goal.
    to_goal: bool,
    /// The routes beside the weight are all that the steps ask for.
    whole: bool,
}

fn look(draft: &Draft<'_>, goal: Percent) -> Look {
    let seen = draft.input.seen.route.clone().unwrap_or_default();
    let plan = extra_routes::plan(draft, goal);
    let desired = within_capacity(draft, goal, where_it_is(draft, goal, &seen), &plan);
    let intent = extra_routes::intent(draft, desired, &seen, was_reached(draft, &plan));
    let in_place = seen.weight == Some(desired) && extra_routes::in_place(&intent, &seen) && !seen.drifted;
    let (contested, whole) = (is_contested(draft, &seen, &plan), extra_routes::is_whole(draft, &intent));
    Look { to_goal: desired == goal && whole, seen, plan, intent, in_place, contested, whole }
}

/// Decides what the routes say, with a mesh. `goal` is what the steps want.
pub fn route(draft: &mut Draft<'_>, goal: Percent) -> Route {
    let look = look(draft, goal);
    let desired = look.intent.canary;
    let as_before = draft.status.weights.desired == desired && extra_routes::is_as_before(draft, &look.intent);
    if !look.in_place || !as_before {
        (draft.status.memory.route_since, draft.status.memory.route_pending_since) = (None, None);
    }
    let begun = as_before && draft.status.weights.settled || draft.status.memory.route_since.is_some();
    let pending = look.in_place && !begun && is_pending(draft, &look);
    if let Some(written) = &mut draft.status.memory.route_written {
        written.confirmed |= says(&look.seen, written);
    }
    let reached = look.in_place && look.to_goal;
    let writes = !look.in_place && may_write(draft, &look);
    if look.contested && !writes && !reached {
        // What others write comes and goes. The status says none of it, or it would be written as often.
        let weights = &mut draft.status.weights;
        (weights.accepted, weights.settled) = (None, false);
        return Route { desired: weights.desired, settled: false, goal };
    }
    if writes {
        draft.ask(Action::EnsureRoute(look.intent.clone()));
    }
    if writes || reached {
        draft.status.memory.route_written = Some(written(draft, &look, reached));
    }
    let settled = look.in_place && !pending && settle_route(draft);
    let weights = &mut draft.status.weights;
    weights.desired = desired;
    weights.accepted = match pending {
        true => weights.accepted,
        false => look.seen.weight.filter(|_| !look.seen.drifted && !look.contested),
    };
    weights.settled = settled;
    extra_routes::remember(weights, &look.intent);
    if settled {
        begin_epoch(draft, desired);
    }
    Route { desired, settled: settled && look.whole, goal }
}

/// The canary's weight as it is. Routes that disagree send it the most that any of them says: they are never taken for
/// routes that send it nothing, or stable would get everything at once.
fn where_it_is(draft: &Draft<'_>, goal: Percent, seen: &RouteSeen) -> Percent {
    match seen.highest() {
        // Scaled to zero nothing carries anything, and weights stay as they were meant (S37): what another writer once made
        // of them is not, so nothing rises above the goal. Nor above what any route says: there is no pod for more.
        Some(highest) if seen.weight.is_none() && draft.replicas() == 0 => {
            draft.status.weights.desired.min(goal.max(seen.lowest().unwrap_or_default())).min(highest)
        }
        Some(highest) => highest,
        None => Percent::ZERO,
    }
}

/// Whether another writer has changed the routes: they do not say what was last written for the same plan. Whatever that
/// write was, undoing the change is a repair.
fn is_contested(draft: &Draft<'_>, seen: &RouteSeen, plan: &str) -> bool {
    let Some(written) = &draft.status.memory.route_written else { return false };
    written.plan == plan && !says(seen, written)
}

fn says(seen: &RouteSeen, written: &RouteWritten) -> bool {
    seen.weight == Some(written.weight) && extra_routes::text_of_seen(seen) == written.beside && !seen.drifted
}

/// Whether the routes may be written now (S33, S53). A change from outside is repaired at once for a few times, then once a
/// minute. A move back to a goal that was reached before counts too: another writer may have caused the move away.
fn may_write(draft: &mut Draft<'_>, look: &Look) -> bool {
    let seen = &look.seen;
    if seen.highest().is_none() && !draft.input.seen.problems.is_empty() {
        // With an object missing nothing moves but the way back, in those that are left.
        return look.intent.is_nothing() && seen.returnable;
    }
    let again = was_reached(draft, &look.plan);
    match (look.contested, again) {
        (true, _) => repair(draft, seen),
        (false, true) if look.to_goal => drift::may_repair(draft, drift::ROUTES, seen.other_manager.clone()),
        (false, true) => {
            drift::count(draft, drift::ROUTES);
            true
        }
        (false, false) => true,
    }
}

/// Whether the routes have said before all that this plan wants.
fn was_reached(draft: &Draft<'_>, plan: &str) -> bool {
    draft.status.memory.route_written.as_ref().is_some_and(|last| last.reached && last.plan == plan)
}

/// Rule S53: writes the routes back if that may be now, and emits an event.
fn repair(draft: &mut Draft<'_>, seen: &RouteSeen) -> bool {
    let confirmed = draft.status.memory.route_written.as_ref().is_some_and(|written| written.confirmed);
    let ours = !confirmed || may_be_ours(draft, seen);
    let may = drift::may_repair(draft, drift::ROUTES, seen.other_manager.clone());
    if may && !ours {
        let who =
            seen.other_manager.as_ref().map_or_else(|| "by another writer".to_owned(), |name| format!("by {name}"));
        let message = match seen.disagreement {
            Some((lowest, highest)) => format!(
                "the routes were changed {who} and disagree (canary {lowest} to {highest}): repaired to the current step"
            ),
            None => format!("the routes were changed {who}: repaired to the current step"),
        };
        draft.emit(true, Reason::RouteRepaired, message);
    }
    may
}

/// What is remembered of a write, or of routes that say all they are to say.
fn written(draft: &Draft<'_>, look: &Look, reached: bool) -> RouteWritten {
    RouteWritten {
        weight: look.intent.canary,
        beside: extra_routes::text_of(&look.intent),
        plan: look.plan.clone(),
        confirmed: reached,
        reached: reached || was_reached(draft, &look.plan),
    }
}

/// Whether the routes say what the recorded step was on its way to: a write of ours, then, whose record was lost with the
/// process, and no change from outside.
fn may_be_ours(draft: &Draft<'_>, seen: &RouteSeen) -> bool {
    let recorded = &draft.input.status.state;
    let planned = match recorded {
        State::Stepping(_) => items::weight_in(&draft.items, recorded),
        State::Promoting(_) => Percent::FULL,
        _ => return false,
    };
    !seen.drifted && seen.weight == Some(planned)
}

/// Whether the routes' controllers are still to take over what was written (rule S52). Once they have, it settles and stays
/// so, whatever is written beside it later: the proxies keep what they have. On the way back there is no deadline that would end
/// the wait for a controller that has gone for good; it ends like one.
fn is_pending(draft: &mut Draft<'_>, look: &Look) -> bool {
    let Some(why) = &look.seen.pending else {
        draft.status.memory.route_pending_since = None;
        return false;
    };
    let now = draft.now();
    let since = *draft.status.memory.route_pending_since.get_or_insert(now);
    if !look.intent.is_nothing() {
        return true;
    }
    let allowed = draft.input.spec.progress_deadline();
    let until = draft.not_before_first_look(allowed.after(since));
    if until > now {
        draft.wake(until, WakeReason::RouteSettles);
        return true;
    }
    let message = format!("{why} after {allowed}: the way back to stable is taken for settled without it");
    draft.emit(true, Reason::RouteNotAccepted, message);
    false
}

/// Why routes that are written do not begin to settle: their controllers have not taken them over.
pub fn pending<'a>(draft: &Draft<'a>) -> Option<&'a str> {
    draft.input.seen.route.as_ref()?.pending.as_deref().filter(|_| !draft.status.weights.settled)
}

fn settle_route(draft: &mut Draft<'_>) -> bool {
    let now = draft.now();
    let since = *draft.status.memory.route_since.get_or_insert(now);
    let until = draft.settle().after(since);
    if until > now {
        draft.wake(until, WakeReason::RouteSettles);
    }
    until <= now
}

/// A settled change of weight starts a new epoch: what passed before says nothing about it.
pub fn begin_epoch(draft: &mut Draft<'_>, weight: Percent) {
    let routes = extra_routes::text(draft);
    let memory = &mut draft.status.memory;
    if memory.settled_weight != Some(weight) || memory.settled_routes != routes {
        memory.settled_weight = Some(weight);
        memory.settled_routes = routes;
        memory.epoch += 1;
    }
}

/// The weight nearest to the goal that both sides' pods carry (rules S30, S33, S51, S56).
fn within_capacity(draft: &Draft<'_>, goal: Percent, at: Percent, plan: &str) -> Percent {
    if draft.replicas() == 0 {
        return at; // scaled to zero: weights stay (S37)
    }
    let serving = canary_serving(draft);
    // Traffic of another revision behind the canary target goes back to stable first, whatever the steps want (S6, S30).
    let ours = serving.is_some() && serving == draft.current_id();
    let goal = if ours { goal } else { Percent::ZERO };
    if goal > at {
        if may_raise(draft, goal, plan, &serving) {
            return goal;
        }
        return restored(draft, at, plan, &serving).unwrap_or_else(|| keep(draft, at, &serving));
    }
    if goal < at {
        return goal.max(at.min(stable_cannot(draft))).min(at);
    }
    keep(draft, at, &serving)
}

/// The canary's part of what another writer took from it, where stable's pods cannot carry that: as much as its available
/// pods carry.
fn restored(draft: &Draft<'_>, at: Percent, plan: &str, serving: &Option<String>) -> Option<Percent> {
    let written = draft.status.memory.route_written.as_ref().filter(|last| last.plan == plan && last.weight > at)?;
    let carried = share_of_pods(draft.available(serving.as_deref()?), draft.replicas());
    let share = stable_cannot(draft).min(carried).min(written.weight);
    let need = share.ceil_of(draft.replicas()).max(1);
    (share > at && carries(draft, need, serving)).then_some(share)
}

/// The share of the traffic that so many pods carry.
pub fn share_of_pods(pods: u32, replicas: u32) -> Percent {
    let carried = (u64::from(pods) * 10_000).checked_div(u64::from(replicas)).unwrap_or(10_000);
    Percent::from_basis_points(u32::try_from(carried.min(10_000)).unwrap_or(10_000))
}

/// The revision behind the canary target.
pub fn canary_serving(draft: &Draft<'_>) -> Option<String> {
    draft.input.seen.canary_target.as_ref().and_then(|target| target.revision.clone())
}

/// A weight that was in force and was taken away by another writer needs no analysis to come back.
fn may_raise(draft: &Draft<'_>, goal: Percent, plan: &str, serving: &Option<String>) -> bool {
    let written = draft.status.memory.route_written.as_ref();
    let was_in_force = written.is_some_and(|last| last.plan == plan && last.weight >= goal);
    let need = canary_need(draft, goal).max(1);
    let settled = carries(draft, need, serving) && target_settled(draft, Target::Canary);
    settled && (was_in_force || may_rise(draft))
}

/// Whether the canary target may get requests that it did not get before, or that another writer took from it: it selects
/// the canary alone, has its pods, and has settled.
pub fn may_send(draft: &Draft<'_>, need: u32, serving: &Option<String>, was_in_force: bool) -> bool {
    carries(draft, need, serving) && target_settled(draft, Target::Canary) && (was_in_force || may_rise(draft))
}

/// Whether the canary may get more traffic than it had: not in a pause (S36), and not before the analyses allow it (S14).
pub fn may_rise(draft: &Draft<'_>) -> bool {
    !draft.is_paused() && runs::allow_more_traffic(draft)
}

/// Whether the canary target selects the canary alone, with so many pods.
fn carries(draft: &Draft<'_>, need: u32, serving: &Option<String>) -> bool {
    let Some(canary) = draft.canary_id() else { return false };
    let Some(target) = &draft.input.seen.canary_target else { return false };
    // Never together with a move of the target it leads to.
    let moving =
        draft.actions.iter().any(|action| matches!(action, Action::EnsureTarget { target: Target::Canary, .. }));
    !moving
        && serving.as_deref() == Some(&canary)
        && draft.available(&canary) >= need
        && lists_only(draft, target, &canary, need)
}

/// A weight in force stays unless its revision has no pod left (S56).
fn keep(draft: &Draft<'_>, at: Percent, serving: &Option<String>) -> Percent {
    let alive = serving.as_deref().is_some_and(|id| draft.available(id) > 0);
    let stable_alive = wanted_stable(draft).is_some_and(|id| draft.available(&id) > 0);
    if alive || !stable_alive { at } else { Percent::ZERO }
}

/// The share that stable cannot carry. Stable carries everything while it has what the strategy lets it have while it
/// moves (N - maxUnavailable); with less it carries its pods' share. With nothing on either side nothing is gained by
/// moving.
fn stable_cannot(draft: &Draft<'_>) -> Percent {
    let replicas = draft.replicas();
    let Some(stable) = wanted_stable(draft) else { return Percent::ZERO };
    let available = draft.available(&stable);
    let slack = draft.slack();
    let canary_alive = canary_serving(draft).is_some_and(|id| draft.available(&id) > 0);
    if replicas == 0 || !canary_alive || available > 0 && available >= replicas.saturating_sub(slack.unavailable) {
        return Percent::ZERO;
    }
    share_of_pods(available, replicas).rest()
}
