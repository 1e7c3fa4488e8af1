//! The invariants I1 to I14 of semantics.md section 10 that can be told from one decision: the simulator, the model check and
//! the property tests all check this one list.

use crate::api::{
    common::Percent,
    status::{Course, Outcome, RevisionRef, RolloutStatus, State},
};

use super::{
    decision::{Action, Decision, RouteIntent},
    draft::{Draft, Split},
    input::{Input, PodSeen, RouteSeen},
    items,
    replicas::{self, Slack},
    runs,
};

/// The invariants that this decision breaks, by name with what was seen. Empty in a correct engine.
pub fn broken(input: &Input<'_>, decision: &Decision) -> Vec<String> {
    let mut found = Vec::new();
    raised_within_step(input, decision, &mut found);
    weight_is_carried(input, decision, &mut found);
    mirror_is_carried(input, decision, &mut found);
    stable_carries_its_share(input, decision, &mut found);
    raise_has_its_analysis(input, decision, &mut found);
    abort_never_raises(input, decision, &mut found);
    promotion_has_a_reason(input, decision, &mut found);
    one_step_at_a_time(input, decision, &mut found);
    pause_holds(input, decision, &mut found);
    pause_holds_traffic(input, decision, &mut found);
    minimum_is_kept(input, decision, &mut found);
    evictions_leave_enough(input, decision, &mut found);
    somebody_wakes_it(input, decision, &mut found);
    found
}

fn written_route(decision: &Decision) -> Option<&RouteIntent> {
    decision
        .actions
        .iter()
        .find_map(|action| if let Action::EnsureRoute(intent) = action { Some(intent) } else { None })
}

fn written_weight(decision: &Decision) -> Option<Percent> {
    written_route(decision).map(|intent| intent.canary)
}

fn seen_weight(input: &Input<'_>) -> Percent {
    input.seen.route.as_ref().and_then(RouteSeen::highest).unwrap_or(Percent::ZERO)
}

/// I1: the canary is raised only to the step's weight or promotion's 100.
fn raised_within_step(input: &Input<'_>, decision: &Decision, found: &mut Vec<String>) {
    let Some(weight) = written_weight(decision).filter(|weight| *weight > seen_weight(input)) else { return };
    let steps = items::items(&input.spec.strategy.steps());
    // The route is decided before the step completes: the step of the input is the one that wrote it, or a new start.
    let before = items::weight_in(&steps, &input.status.state);
    let after = items::weight_in(&steps, &decision.status.state);
    let promoting = [&decision.status, input.status].iter().any(|status| status.course() == Course::Promoting);
    let allowed = if promoting { Percent::FULL } else { before.max(after) };
    if weight > allowed {
        found.push(format!("I1: weight raised to {weight}, the step allows {allowed}"));
    }
}

/// I2: no raise gives the canary more than its available pods carry.
fn weight_is_carried(input: &Input<'_>, decision: &Decision, found: &mut Vec<String>) {
    let Some(weight) = written_weight(decision).filter(|weight| *weight > seen_weight(input)) else { return };
    let serving = input.seen.canary_target.as_ref().and_then(|target| target.revision.clone()).unwrap_or_default();
    let available = input.seen.revisions.iter().find(|seen| seen.id == serving).map_or(0, |seen| seen.available);
    let steps = items::items(&input.spec.strategy.steps());
    let scaled = items::scale_at(&steps, step_of(input.status)) != items::Scale::MatchWeight;
    let need = if scaled { 1 } else { weight.ceil_of(input.seen.replicas).max(1) };
    if available < need {
        found.push(format!("I2: weight raised to {weight} with {available} of {need} pods"));
    }
}

/// I2: no raise copies more requests to the canary than its available pods carry.
fn mirror_is_carried(input: &Input<'_>, decision: &Decision, found: &mut Vec<String>) {
    let seen = input.seen.route.as_ref().and_then(|route| route.mirror).unwrap_or_default();
    let written = written_route(decision).and_then(|intent| intent.mirror.as_ref()).map(|mirror| mirror.percent);
    let Some(mirror) = written.filter(|mirror| *mirror > seen) else { return };
    let steps = items::items(&input.spec.strategy.steps());
    let scaled = items::scale_at(&steps, step_of(input.status)) != items::Scale::MatchWeight;
    let serving = input.seen.canary_target.as_ref().and_then(|target| target.revision.as_ref());
    let (available, need) = (available(input, serving), mirror.ceil_of(input.seen.replicas).max(1));
    if available < if scaled { 1 } else { need } {
        found.push(format!("I2: mirror raised to {mirror} with {available} of {need} pods"));
    }
}

/// I2: no write gives stable more than its available pods carry, unless the canary has none.
fn stable_carries_its_share(input: &Input<'_>, decision: &Decision, found: &mut Vec<String>) {
    let before = seen_weight(input);
    let Some(weight) = written_weight(decision).filter(|weight| *weight < before) else { return };
    let canary = input.seen.canary_target.as_ref().and_then(|target| target.revision.as_ref());
    let id = |revision: &Option<RevisionRef>| revision.as_ref().map(|revision| revision.id.clone());
    let (stable, current) = (id(&input.status.stable_revision), id(&input.status.current_revision));
    // Late in a promotion the new version is behind the stable target, and from the start in a first deploy.
    let moves = matches!(input.status.course(), Course::Promoting | Course::FirstDeploy);
    let pods = available(input, stable.as_ref()).max(if moves { available(input, current.as_ref()) } else { 0 });
    let replicas = input.seen.replicas;
    let enough = pods > 0 && pods >= replicas.saturating_sub(max_unavailable(input));
    let carried = u64::from(pods) * 10_000;
    let share = u64::from(weight.rest().basis_points()) * u64::from(replicas);
    if available(input, canary) > 0 && !enough && share > carried {
        found.push(format!("I2: stable is given {} with {pods} of {replicas} pods", weight.rest()));
    }
}

/// The step whose settings hold.
fn step_of(status: &RolloutStatus) -> u32 {
    let otherwise = if status.state.release().is_some() { u32::MAX } else { 0 };
    status.state.steps().map_or(otherwise, |at| at.step)
}

fn available(input: &Input<'_>, id: Option<&String>) -> u32 {
    let found = input.seen.revisions.iter().find(|seen| Some(&seen.id) == id);
    found.map_or(0, |seen| seen.available)
}

/// S14: no raise before the background analysis is there, and none while it is Inconclusive.
fn raise_has_its_analysis(input: &Input<'_>, decision: &Decision, found: &mut Vec<String>) {
    let after = Input { status: &decision.status, ..input.clone() };
    // What another writer took away comes back without.
    let before = input.status.memory.route_written.as_ref().map_or(Percent::ZERO, |last| last.weight);
    let raised = written_weight(decision).filter(|weight| *weight > seen_weight(input).max(before));
    if let Some(weight) = raised.filter(|_| !runs::allow_more_traffic(&Draft::new(&after))) {
        found.push(format!("S14: weight raised to {weight} without the analysis"));
    }
}

/// I3: after an abort no write raises the canary's weight.
fn abort_never_raises(input: &Input<'_>, decision: &Decision, found: &mut Vec<String>) {
    let aborted = input.status.course().is_rolled_back() && decision.status.course() == input.status.course();
    if aborted && written_weight(decision).is_some_and(|weight| weight > seen_weight(input)) {
        found.push("I3: weight raised after an abort".to_owned());
    }
}

/// I4: nothing becomes stable but by the end of a promotion, as the first, or by a recorded command in this very tick.
fn promotion_has_a_reason(input: &Input<'_>, decision: &Decision, found: &mut Vec<String>) {
    if decision.status.stable_revision == input.status.stable_revision {
        return;
    }
    let commanded = input.status.commands.first() != decision.status.commands.first();
    let came_from = matches!(input.status.course(), Course::Promoting | Course::FirstDeploy) || commanded;
    let outcome = decision.status.history.first().map(|entry| entry.outcome);
    // The short way may begin and end in one tick: all its pods are there (S32, S62).
    let short = matches!(outcome, Some(Outcome::FastPromoted | Outcome::RolledBack));
    let recorded = short || outcome == Some(Outcome::Promoted);
    if !(came_from || short) || !recorded {
        found.push(format!("I4: stable changed in course {:?}", input.status.course()));
    }
}

/// I5: at most one step completes per tick, and only commands jump.
fn one_step_at_a_time(input: &Input<'_>, decision: &Decision, found: &mut Vec<String>) {
    let (Some(before), Some(after)) = (input.status.state.stepping(), decision.status.state.stepping()) else { return };
    let same_rollout = before.release.since == after.release.since
        && input.status.current_revision == decision.status.current_revision
        && input.status.attempt == decision.status.attempt;
    let commanded = input.status.commands.len() != decision.status.commands.len()
        || input.status.commands.first() != decision.status.commands.first();
    let (before, after) = (before.step, after.step);
    if same_rollout && !commanded && !(before..=before.saturating_add(1)).contains(&after) {
        found.push(format!("I5: step went from {before} to {after}"));
    }
}

/// I6: the canary gets no more traffic in a pause than it had. What another writer took away comes back.
fn pause_holds_traffic(input: &Input<'_>, decision: &Decision, found: &mut Vec<String>) {
    if !is_paused(input, decision) {
        return;
    }
    let same = decision.status.current_revision == input.status.current_revision;
    let last = input.status.memory.route_written.as_ref().filter(|_| same).map_or(Percent::ZERO, |last| last.weight);
    if let Some(weight) = written_weight(decision).filter(|weight| *weight > seen_weight(input).max(last)) {
        found.push(format!("I6: weight raised to {weight} in a pause"));
    }
    let seen = input.seen.route.clone().unwrap_or_default();
    let is_repair = decision.status.memory.route_written.as_ref().is_some_and(|written| written.reached);
    if let Some(route) = written_route(decision).filter(|_| !is_repair) {
        let begins = |name: &String| !seen.headers.contains(name);
        let mirror = route.mirror.as_ref().map(|mirror| mirror.percent).unwrap_or_default();
        let mirrors = mirror > seen.mirror.unwrap_or_default();
        if mirrors || route.headers.iter().any(|header| begins(&header.name)) {
            found.push("I6: a header route or a mirror began or rose in a pause".to_owned());
        }
    }
    if Split::of(input.spec) == Split::Ratio && decision.status.course() == Course::Stepping {
        let settled = decision.status.memory.settled_weight.unwrap_or_default();
        pods_hold(input, decision, settled, found);
    }
}

/// Without a mesh the canary gets no pod but those that keep the weight that was reached last.
fn pods_hold(input: &Input<'_>, decision: &Decision, settled: Percent, found: &mut Vec<String>) {
    let Some(canary) = decision.status.current_revision.as_ref().map(|revision| &revision.id) else { return };
    let asked = decision.actions.iter().rev().find_map(|action| match action {
        Action::EnsureReplicas { id, replicas } | Action::EnsureRevision { id, replicas, .. } if id == canary => {
            Some(*replicas)
        }
        _ => None,
    });
    let wanted = input.seen.revisions.iter().find(|seen| seen.id == *canary).map_or(0, |seen| seen.wanted);
    let strategy = input.spec.strategy.canary.clone().unwrap_or_default();
    let surge = Slack::of(&strategy, input.seen.replicas).surge;
    let most = wanted.max(replicas::split(input.seen.replicas, settled, surge).0);
    if let Some(asked) = asked.filter(|asked| *asked > most) {
        found.push(format!("I6: {asked} canary pods in a pause, of {most}"));
    }
}

fn is_paused(input: &Input<'_>, decision: &Decision) -> bool {
    input.spec.paused || input.seen.file_invalid || input.status.paused_by_command && decision.status.paused_by_command
}

/// I6: a paused rollout does not advance.
fn pause_holds(input: &Input<'_>, decision: &Decision, found: &mut Vec<String>) {
    let paused = is_paused(input, decision);
    let Some(before) = input.status.state.stepping() else { return };
    let same = decision.status.current_revision == input.status.current_revision;
    let advanced = match &decision.status.state {
        State::Stepping(after) => after.step > before.step,
        State::Promoting(_) => true,
        _ => false,
    };
    if paused && same && advanced {
        found.push("I6: a paused rollout advanced".to_owned());
    }
}

/// I7: no eviction of ours takes available pods under N - maxUnavailable, of which a restart needs one (S83).
fn evictions_leave_enough(input: &Input<'_>, decision: &Decision, found: &mut Vec<String>) {
    let pods = input.seen.pods.iter().flatten();
    let ready = pods.filter(|pod| pod.ready && decision.actions.contains(&eviction(pod)));
    let evicted = u32::try_from(ready.count()).unwrap_or(u32::MAX);
    let stable = input.status.stable_revision.as_ref();
    let available = input.seen.revisions.iter().find(|seen| Some(&seen.id) == stable.map(|stable| &stable.id));
    let available = available.map_or(0, |seen| seen.available);
    let minimum = input.seen.replicas.saturating_sub(max_unavailable(input).max(1));
    if evicted > 0 && available.saturating_sub(evicted) < minimum {
        found.push(format!("I7: {evicted} of {available} available pods evicted"));
    }
}

fn max_unavailable(input: &Input<'_>) -> u32 {
    let strategy = input.spec.strategy.canary.clone().unwrap_or_default();
    Slack::of(&strategy, input.seen.replicas).unavailable
}

fn eviction(pod: &PodSeen) -> Action {
    Action::Evict { pod: pod.name.clone(), uid: pod.uid.clone() }
}

/// I7: no scale-down of ours takes available pods under N - maxUnavailable.
fn minimum_is_kept(input: &Input<'_>, decision: &Decision, found: &mut Vec<String>) {
    if input.status.stable_revision.is_none() || input.deleting {
        return;
    }
    let minimum = input.seen.replicas.saturating_sub(max_unavailable(input));
    let wanted_after = |id: &str, wanted: u32| {
        let asked = decision.actions.iter().rev().find_map(|action| match action {
            Action::EnsureReplicas { id: other, replicas } if other == id => Some(*replicas),
            _ => None,
        });
        asked.unwrap_or(wanted)
    };
    let before = input.seen.revisions.iter().map(|seen| seen.available.min(seen.wanted)).fold(0, u32::saturating_add);
    let after = input
        .seen
        .revisions
        .iter()
        .map(|seen| seen.available.min(seen.wanted).min(wanted_after(&seen.id, seen.wanted)))
        .fold(0, u32::saturating_add);
    if after < before && after < minimum {
        found.push(format!("I7: {before} available pods shrink to {after}, under {minimum}"));
    }
}

/// I9: every state that is not final has a wake, an action in progress, or waits for something outside.
fn somebody_wakes_it(input: &Input<'_>, decision: &Decision, found: &mut Vec<String>) {
    let moving = matches!(
        decision.status.course(),
        Course::Stepping | Course::Promoting | Course::Returning | Course::FirstDeploy
    );
    let named = decision.status.waiting_for.is_some()
        || decision.status.held().is_some()
        || input.seen.replicas == 0
        || !input.seen.problems.is_empty();
    if moving && !named && decision.wake.is_none() && decision.actions.is_empty() && !input.deleting {
        found.push(format!("I9: nobody wakes a rollout in course {:?}", decision.status.course()));
    }
}
