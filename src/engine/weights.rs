//! Targets and routes: which revision a target selects, what the routes say, and when either counts as settled
//! (semantics.md section 4 and rule S6). Traffic follows capacity: a weight rises only to what the canary's pods carry,
//! and leaves stable no more than stable's pods carry.

use jiff::Timestamp;

use crate::api::{
    common::{HumanDuration, Percent},
    conditions,
    status::{Course, Stage, TargetMemory},
};

use super::{
    beside,
    decision::{Action, Target},
    draft::Draft,
    input::{RouteSeen, TargetSeen},
    items::{self, Scale},
    replicas,
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

/// Repairs of foreign changes that are answered at once, and the time they are counted over (rule S53).
const REPAIRS_AT_ONCE: usize = 5;
const REPAIR_WINDOW: HumanDuration = HumanDuration::secs(300);
const REPAIR_PAUSE: HumanDuration = HumanDuration::secs(60);

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

/// Brings both targets where they belong and remembers since when they are there.
pub fn targets(draft: &mut Draft<'_>) {
    stable_target(draft);
    canary_target(draft);
}

fn stable_target(draft: &mut Draft<'_>) {
    let Some(seen) = draft.input.seen.stable_target.clone() else { return };
    let Some(wanted) = wanted_stable(draft) else { return };
    let replicas = draft.replicas();
    if seen.revision.as_deref() != Some(&wanted) {
        // The first pin waits for enough pods (S5); a wrong selector on a pinned target is drift and mended at once.
        let enough = draft.available(&wanted) >= replicas.max(1).min(replicas);
        if seen.revision.is_some() || enough {
            draft.ask(Action::EnsureTarget { target: Target::Stable, revision: wanted.clone() });
        }
    }
    let need = if moving_stable(draft) { replicas } else { replicas.min(1) };
    let good = seen.revision.as_deref() == Some(&wanted) && lists_only(draft, &seen, &wanted, need);
    let memory = draft.status.memory.stable_target.clone();
    draft.status.memory.stable_target = remember(draft, memory, &wanted, good);
}

fn moving_stable(draft: &Draft<'_>) -> bool {
    draft.status.course == Course::Promoting && draft.status.stage == Some(Stage::MoveStable)
}

/// The revision that the stable target should select.
fn wanted_stable(draft: &Draft<'_>) -> Option<String> {
    if draft.stable_moves() { draft.current_id() } else { draft.stable_id() }
}

fn canary_target(draft: &mut Draft<'_>) {
    let Some(seen) = draft.input.seen.canary_target.clone() else { return };
    let Some(stable) = wanted_stable(draft) else { return };
    let wanted = wanted_canary(draft, &seen, &stable);
    if seen.revision.as_deref() != Some(&wanted) && may_move_canary(draft, &seen) {
        let pinned = draft.available(&wanted) > 0 || draft.replicas() == 0;
        if seen.revision.is_some() || pinned {
            draft.ask(Action::EnsureTarget { target: Target::Canary, revision: wanted.clone() });
        }
    }
    let need = canary_need(draft, draft.step_weight());
    let good = seen.revision.as_deref() == Some(&wanted) && lists_only(draft, &seen, &wanted, need);
    let memory = draft.status.memory.canary_target.clone();
    draft.status.memory.canary_target = remember(draft, memory, &wanted, good);
}

/// The canary target rests on stable and moves to the canary when that has a pod (rule S6).
fn wanted_canary(draft: &Draft<'_>, seen: &TargetSeen, stable: &str) -> String {
    let active = matches!(draft.status.course, Course::Stepping | Course::Promoting);
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
    // Routes that cannot be read (their object is missing) send nothing we know of, once the others have returned.
    let returned = !draft.input.seen.route.as_ref().is_some_and(|route| route.returnable);
    weights.desired.is_zero()
        && !beside::is_meant(draft)
        && (weights.settled || weights.accepted.is_none() && !draft.input.seen.problems.is_empty() && returned)
}

fn remember(draft: &mut Draft<'_>, memory: TargetMemory, wanted: &str, good: bool) -> TargetMemory {
    if !good {
        return TargetMemory { revision: Some(wanted.to_owned()), since: None };
    }
    let same = memory.revision.as_deref() == Some(wanted);
    let since = if same { memory.since } else { None }.unwrap_or_else(|| draft.now());
    let until = draft.settle().after(since);
    if until > draft.now() {
        draft.wake(until, "target settles");
    }
    TargetMemory { revision: Some(wanted.to_owned()), since: Some(since) }
}

/// Whether a target has stood long enough; one that does not exist needs no time.
pub fn target_settled(draft: &Draft<'_>, target: Target) -> bool {
    let (seen, memory) = match target {
        Target::Stable => (&draft.input.seen.stable_target, &draft.status.memory.stable_target),
        Target::Canary => (&draft.input.seen.canary_target, &draft.status.memory.canary_target),
    };
    seen.is_none() || memory.since.is_some_and(|since| draft.settle().after(since) <= draft.now())
}

/// Pods the canary needs before it may get `weight`.
pub fn canary_need(draft: &Draft<'_>, weight: Percent) -> u32 {
    if draft.status.course == Course::Promoting {
        return draft.replicas();
    }
    let need = replicas::canary_with_mesh(draft.replicas(), weight, draft.step_scale());
    let need = if draft.step_scale() == Scale::MatchWeight { need.max(beside::pods(draft)) } else { need };
    // A floor for whoever gets traffic, not a reason to have pods.
    if need == 0 || draft.step_scale() != Scale::MatchWeight { need } else { need.max(min_pods(draft)) }
}

/// The least pods of a revision with traffic.
pub fn min_pods(draft: &Draft<'_>) -> u32 {
    let canary = draft.input.spec.strategy.canary.as_ref();
    canary.and_then(|canary| canary.min_pods_per_revision).unwrap_or(1).min(draft.replicas())
}

/// Without weights there is nothing to write, and nothing to wait for.
pub fn none(draft: &mut Draft<'_>) -> Route {
    draft.status.weights.desired = Percent::ZERO;
    draft.status.weights.accepted = None;
    draft.status.weights.settled = true;
    begin_epoch(draft, Percent::ZERO);
    Route { desired: Percent::ZERO, settled: true, goal: Percent::ZERO }
}

/// Decides what the routes say, with a mesh. `goal` is what the steps want.
pub fn route(draft: &mut Draft<'_>, goal: Percent) -> Route {
    let seen = draft.input.seen.route.clone().unwrap_or_default();
    let desired = within_capacity(draft, goal, seen.weight.unwrap_or(Percent::ZERO));
    let intent = beside::intent(draft, desired, &seen);
    let in_place = seen.weight == Some(desired) && beside::in_place(&intent, &seen) && !seen.drifted;
    let was_desired = draft.status.weights.desired;
    let was_accepted = draft.status.weights.accepted;
    let same_beside = beside::is_as_before(draft, &intent);
    if in_place {
        if was_desired != desired || !same_beside {
            draft.status.memory.route_since = None;
        }
    } else {
        draft.status.memory.route_since = None;
        let stood = was_desired == desired && was_accepted == Some(desired) && same_beside;
        let drifted = stood && !may_be_ours(draft, &seen);
        let unreadable = seen.weight.is_none() && !draft.input.seen.problems.is_empty();
        // With an object missing nothing moves but the way back, in those that are left (S33, S53).
        let writes = if unreadable { intent.is_nothing() && seen.returnable } else { !drifted || may_repair(draft) };
        if writes {
            draft.ask(Action::EnsureRoute(intent.clone()));
        }
    }
    let whole = beside::is_whole(draft, &intent);
    draft.status.weights.desired = desired;
    draft.status.weights.accepted = if seen.drifted { None } else { seen.weight };
    let settled = in_place && settle_route(draft);
    draft.status.weights.settled = settled;
    beside::remember(draft, &intent);
    if settled {
        begin_epoch(draft, desired);
    }
    Route { desired, settled: settled && whole, goal }
}

/// Whether the routes say what the recorded step was on its way to: a write of ours, then, whose record was lost with the
/// process, and no change from outside.
fn may_be_ours(draft: &Draft<'_>, seen: &RouteSeen) -> bool {
    let recorded = draft.input.status;
    let planned = match recorded.course {
        Course::Stepping => items::weight_at(&draft.items, recorded.step_index, recorded.sub_step),
        Course::Promoting => Percent::FULL,
        _ => return false,
    };
    !seen.drifted && seen.weight == Some(planned)
}

fn settle_route(draft: &mut Draft<'_>) -> bool {
    let now = draft.now();
    let since = *draft.status.memory.route_since.get_or_insert(now);
    let until = draft.settle().after(since);
    if until > now {
        draft.wake(until, "route settles");
    }
    until <= now
}

/// A settled change of weight starts a new epoch: what passed before says nothing about it.
pub fn begin_epoch(draft: &mut Draft<'_>, weight: Percent) {
    let routes = beside::text(draft);
    let memory = &mut draft.status.memory;
    if memory.settled_weight != Some(weight) || memory.settled_routes != routes {
        memory.settled_weight = Some(weight);
        memory.settled_routes = routes;
        memory.epoch += 1;
    }
}

/// Rule S53: five repairs in five minutes at once, then one a minute, with a condition that says so.
fn may_repair(draft: &mut Draft<'_>) -> bool {
    let now = draft.now();
    let recent = |since: &Timestamp| REPAIR_WINDOW.after(*since) > now;
    draft.status.memory.repairs.retain(recent);
    let repairs = &draft.status.memory.repairs;
    if repairs.len() >= REPAIRS_AT_ONCE {
        let other = draft.input.seen.route.as_ref().and_then(|route| route.other_manager.clone());
        let who = other.unwrap_or_else(|| "somebody else".to_owned());
        let message = format!("{who} keeps changing the weights that Glidepath owns; repairing once a minute");
        let generation = draft.input.generation;
        let next = repairs.last().map_or(now, |last| REPAIR_PAUSE.after(*last));
        conditions::set(
            &mut draft.status.conditions,
            conditions::ROUTE_DRIFT,
            true,
            ("RepairedOften", &message),
            generation,
            now,
        );
        if next > now {
            draft.wake(next, "repair the route");
            return false;
        }
        draft.status.memory.repairs.remove(0);
    } else {
        conditions::clear(&mut draft.status.conditions, conditions::ROUTE_DRIFT);
    }
    draft.status.memory.repairs.push(now);
    draft.tell(true, "RouteRepaired", "the routes were changed from outside; written back to the current step");
    true
}

/// The weight nearest to the goal that both sides' pods carry (rules S30, S33, S51, S56).
fn within_capacity(draft: &Draft<'_>, goal: Percent, at: Percent) -> Percent {
    if draft.replicas() == 0 {
        return at; // scaled to zero: weights stay (S37)
    }
    let serving = canary_serving(draft);
    // Traffic of another revision behind the canary target goes back to stable first, whatever the steps want (S6, S30).
    let ours = serving.is_some() && serving == draft.current_id();
    let goal = if ours { goal } else { Percent::ZERO };
    if goal > at {
        return if may_raise(draft, goal, &serving) { goal } else { keep(draft, at, &serving) };
    }
    if goal < at {
        return goal.max(at.min(stable_cannot(draft))).min(at);
    }
    keep(draft, at, &serving)
}

/// The revision behind the canary target.
pub fn canary_serving(draft: &Draft<'_>) -> Option<String> {
    draft.input.seen.canary_target.as_ref().and_then(|target| target.revision.clone())
}

fn may_raise(draft: &Draft<'_>, goal: Percent, serving: &Option<String>) -> bool {
    may_send(draft, canary_need(draft, goal).max(1), serving)
}

/// Whether the canary target may get more requests: it selects the canary alone, has its pods, and has settled.
pub fn may_send(draft: &Draft<'_>, need: u32, serving: &Option<String>) -> bool {
    let Some(canary) = draft.canary_id() else { return false };
    let Some(target) = &draft.input.seen.canary_target else { return false };
    // Never together with a move of the target it leads to.
    let moving =
        draft.actions.iter().any(|action| matches!(action, Action::EnsureTarget { target: Target::Canary, .. }));
    !moving
        && serving.as_deref() == Some(&canary)
        && draft.available(&canary) >= need
        && lists_only(draft, target, &canary, need)
        && target_settled(draft, Target::Canary)
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
    let carried = u64::from(available) * 10_000 / u64::from(replicas);
    Percent::from_basis_points(u32::try_from(carried).unwrap_or(10_000)).rest()
}
