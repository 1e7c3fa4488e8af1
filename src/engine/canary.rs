//! The walk over the steps of a canary (rules S10 to S20): each tick brings pods, targets and routes to what the step
//! wants, and completes at most one step.

use crate::api::{
    analysis::Verdict,
    common::{HumanDuration, Percent},
    reason::Reason,
    status::{Course, Phase},
    strategy::DEFAULT_AT_MOST,
};

use super::{
    ab_test, checks,
    decision::Target,
    draft::{Draft, Split},
    extra_routes, gate, inconclusive,
    input::RouteSeen,
    items::{self, Item},
    observing, outcome, pods, refusals, runs, settling, verification, walked,
    weights::{self, Route},
};

/// Losses of all canary pods under traffic that an attempt survives (rule S56).
const LOSSES_SURVIVED: u32 = 2;

/// Where traffic and pods are, against what the step wants.
#[derive(Clone, Copy, Debug)]
struct Place {
    /// The wanted weight is in force, with the pods it needs.
    reached: bool,
    /// The wanted weight.
    goal: Percent,
}

/// Begins again when the steps walked so far were edited (rule S20). Comes before commands: these move the step that the
/// remembered steps are compared by.
pub fn notice_edits(draft: &mut Draft<'_>) {
    if draft.course() == Course::Stepping && walked::are_edited(draft) {
        let attempt = draft.status.attempt + 1;
        if let Some(current) = draft.status.current_revision.clone() {
            draft.emit(false, Reason::StepsEdited, "completed steps were changed: restarting at step 1");
            outcome::begin(draft, current, attempt);
        }
    }
}

/// One tick of the steps.
pub fn walk(draft: &mut Draft<'_>) {
    stop_clocks(draft);
    checks::ask(draft);
    let place = bring(draft);
    runs::ensure(draft);
    runs::show(draft);
    verification::show(draft);
    if draft.replicas() == 0 {
        draft.set_phase(
            Phase::Progressing,
            Reason::ScaledToZero,
            "scaled to zero: steps, timers and analysis are suspended",
        );
    } else if !failed(draft) {
        complete(draft, place);
    }
    walked::remember(draft);
}

/// Brings targets, routes and pods towards the current step.
fn bring(draft: &mut Draft<'_>) -> Place {
    weights::targets(draft);
    let goal = guarded_goal(draft);
    if draft.split() == Split::Switch {
        weights::none(draft);
        pods::with_mesh(draft, Percent::ZERO, Percent::ZERO);
        Place { reached: canary_there(draft), goal }
    } else if draft.has_mesh() {
        let route = weights::route(draft, goal);
        pods::with_mesh(draft, goal, draft.step_weight());
        Place {
            // Traffic that is being shifted back is at 0, which says nothing about the step.
            reached: canary_there(draft) && route.reached() && goal == draft.step_weight() && !is_shifting_back(draft),
            goal: draft.step_weight(),
        }
    } else {
        let desired = within_evidence(draft, goal);
        let reached = pods::by_ratio(draft, desired);
        draft.status.weights.desired = desired;
        draft.status.weights.accepted = None;
        draft.status.weights.settled = reached;
        if reached {
            weights::begin_epoch(draft, desired);
        }
        Place { reached: reached && desired == goal, goal }
    }
}

/// Without a mesh pods are traffic: none more while the analysis allows no more (S14).
fn within_evidence(draft: &Draft<'_>, goal: Percent) -> Percent {
    if runs::allow_more_traffic(draft) {
        return goal;
    }
    // Where another version took the weight on record, this one has none yet.
    let has_pods = draft.canary_id().and_then(|id| draft.revision(&id)).is_some_and(|seen| seen.wanted > 0);
    let has_weight = has_pods || inconclusive::is_found(draft);
    if has_weight { goal.min(draft.status.weights.desired) } else { Percent::ZERO }
}

fn canary_there(draft: &Draft<'_>) -> bool {
    let need = weights::canary_need(draft, draft.step_weight());
    draft.canary_id().is_some_and(|id| draft.available(&id) >= need)
}

/// The step's weight, or 0 while the canary has lost its pods (rule S56).
fn guarded_goal(draft: &mut Draft<'_>) -> Percent {
    let goal = draft.step_weight();
    let Some(canary) = draft.canary_id() else { return goal };
    if !draft.has_mesh() || draft.replicas() == 0 {
        has_shifted_back(draft);
        return goal;
    }
    // At 0, and settled there.
    let weights = &draft.status.weights;
    let settled = weights.desired.is_zero() && weights.settled;
    let back = settled && draft.input.seen.route.as_ref().is_some_and(RouteSeen::leads_to_stable_alone);
    if back {
        has_shifted_back(draft);
    }
    if is_shifting_back(draft) {
        return Percent::ZERO;
    }
    if follow_losses(draft, &canary) { Percent::ZERO } else { goal }
}

/// Whether traffic of an earlier attempt returns first.
fn is_shifting_back(draft: &Draft<'_>) -> bool {
    draft.status.state.stepping().is_some_and(|stepping| stepping.taking_back)
}

fn has_shifted_back(draft: &mut Draft<'_>) {
    if let Some(stepping) = draft.status.state.stepping_mut() {
        stepping.taking_back = false;
    }
}

/// Notices that the canary has lost all its pods under traffic, or has them again. Says whether it is lost.
fn follow_losses(draft: &mut Draft<'_>, canary: &str) -> bool {
    let lost = draft.is_canary_lost();
    if !lost && loses_traffic(draft, canary) {
        draft.emit(true, Reason::CanaryLost, "no canary pod is available: shifting its traffic to stable");
        if let Some(release) = draft.status.state.release_mut() {
            (release.canary_lost, release.canary_losses) = (true, release.canary_losses + 1);
        }
    }
    let there = canary_there(draft);
    if let Some(release) = draft.status.state.release_mut().filter(|_| there) {
        release.canary_lost = false;
    }
    draft.is_canary_lost()
}

/// Whether the canary carries traffic, and has no pod for it.
fn loses_traffic(draft: &Draft<'_>, canary: &str) -> bool {
    let alive = draft.available(canary) > 0;
    // With no pod on either side nothing is gained by moving (S57).
    let stable_serves = draft.stable_id().is_some_and(|id| draft.available(&id) > 0);
    let carries = draft
        .input
        .seen
        .route
        .as_ref()
        .and_then(RouteSeen::highest)
        .is_some_and(|weight| !weight.is_zero() || extra_routes::any(draft))
        && draft.input.seen.canary_target.as_ref().is_some_and(|target| target.revision.as_deref() == Some(canary));
    !alive && stable_serves && carries
}

/// Whether the rollout failed in this tick.
fn failed(draft: &mut Draft<'_>) -> bool {
    if draft.release().is_some_and(|release| release.canary_losses > LOSSES_SURVIVED) {
        outcome::fail(draft, Reason::CanaryLost, "the canary lost all its pods three times");
    } else if let Some(evidence) = runs::failure(draft) {
        outcome::fail(draft, Reason::AnalysisFailed, &evidence);
    }
    has_left_the_step(draft)
}

/// After an abort the next tick shifts the traffic back; after a hold an operator decides.
fn has_left_the_step(draft: &Draft<'_>) -> bool {
    draft.course() != Course::Stepping || draft.is_held()
}

/// Completes the current item if it is over, else says what it waits for. While something that the user has to fix
/// stands in the way, no item completes, whatever it waits for (S53).
fn complete(draft: &mut Draft<'_>, place: Place) {
    // Nor without the canary's pods: an observation of nothing would never end (S56).
    if draft.is_canary_lost() {
        let available = draft.canary_id().map_or(0, |canary| draft.available(&canary));
        draft.wait_for_progress(
            Reason::CanaryLost,
            available,
            "no canary pod is available; stable receives all traffic",
        );
        return deadline(draft);
    }
    if let Some((reason, message)) = in_the_way(draft) {
        if draft.input.seen.file_invalid {
            return draft.wait(reason, message, None);
        }
        draft.wait_for_progress(reason, 0, message);
        return deadline(draft);
    }
    let over = is_over(draft, place);
    if has_left_the_step(draft) {
        return;
    }
    let unproved = is_unproved(draft);
    let over = over || unproved && is_held_back(draft, place);
    if !over {
        deadline(draft);
    } else if draft.is_paused() {
        draft.wait(Reason::Paused, "paused: the step is complete, resume to continue", None);
    } else if unproved {
        inconclusive::wait(draft, &observing::evidence(draft));
    } else if !refusals::writes_for_a_step(draft) {
        advance(draft);
    }
}

/// Whether the background analysis has no verdict where the step does not wait for one by itself (S14).
fn is_unproved(draft: &mut Draft<'_>) -> bool {
    let waits_itself = matches!(draft.item(), None | Some(Item::Observe { .. }));
    let unproved = !waits_itself && inconclusive::is_found(draft);
    if !unproved {
        inconclusive::forget(draft);
    }
    unproved
}

/// Whether nothing but a missing verdict keeps the step from its weight or routes.
fn is_held_back(draft: &Draft<'_>, place: Place) -> bool {
    let sub_step = draft.status.sub_step();
    let moves = match draft.item() {
        Some(Item::SetWeight(_) | Item::HeaderRoute(_) | Item::MirrorRoute(_)) => true,
        Some(Item::Ramp { .. }) => sub_step.is_multiple_of(2),
        _ => false,
    };
    let enough = if draft.has_mesh() { canary_there(draft) } else { place.goal > draft.status.weights.desired };
    moves && !place.reached && enough
}

/// What only an operator can fix: an object that is missing, or a write that is refused (S53).
fn in_the_way(draft: &Draft<'_>) -> Option<(Reason, String)> {
    let problem = draft.input.seen.problems.first().map(|problem| (problem.reason.clone(), problem.message.clone()));
    problem.or_else(|| refusals::blocker(draft).map(|refusal| (refusal.reason, refusal.message)))
}

fn is_over(draft: &mut Draft<'_>, place: Place) -> bool {
    match draft.item().cloned() {
        Some(Item::SetWeight(_) | Item::HeaderRoute(_) | Item::MirrorRoute(_)) => moved(draft, place),
        Some(Item::Pause(duration)) => paused(draft, duration),
        Some(Item::Observe { at_least, at_most }) => observed(draft, at_least, at_most),
        Some(Item::Analysis(step)) => {
            let name = runs::step_name(draft);
            analysed(draft, &name, step.at_most())
        }
        Some(Item::Gate(gate)) => gate::passed(draft, &gate),
        Some(Item::Decide(decide)) => ab_test::decided(draft, &decide),
        Some(Item::SetCanaryScale(_)) => scaled(draft),
        Some(Item::Ramp { every, .. }) if draft.status.sub_step() % 2 == 1 => paused(draft, Some(every)),
        Some(Item::Ramp { .. }) => moved(draft, place),
        None => last_observation(draft),
    }
}

fn moved(draft: &mut Draft<'_>, place: Place) -> bool {
    if place.reached {
        return verification::allows(draft);
    }
    waits_for_weight(draft, place.goal);
    false
}

/// Says what stands between the routes and the wanted weight.
fn waits_for_weight(draft: &mut Draft<'_>, goal: Percent) {
    let need = weights::canary_need(draft, goal);
    let canary = draft.canary_id().unwrap_or_default();
    let available = draft.available(&canary);
    if !draft.has_mesh() {
        let message = format!("scaling towards {goal}: {available} canary pods available");
        return draft.wait_for_progress(Reason::Pods, available, with_trouble(draft, &canary, message));
    }
    if available < need {
        let message = format!("waiting for {} of {need} canary pods", need - available);
        return draft.wait_for_progress(Reason::Pods, available, with_trouble(draft, &canary, message));
    }
    let on_canary =
        draft.input.seen.canary_target.as_ref().filter(|target| target.revision.as_deref() == Some(&canary));
    match on_canary.map(|target| weights::listed(draft, target, &canary)) {
        None if !draft.status.weights.settled => {
            let message = "shifting the traffic of the previous revision back to stable first";
            draft.wait_settling(settling::route(draft), Reason::Route, 0, message);
        }
        None => draft.wait_for_progress(Reason::Endpoints, 0, "switching the canary target to the new revision"),
        Some(listed) if listed < need => {
            draft.wait_for_progress(Reason::Endpoints, listed, format!("{listed} of {need} canary pods are endpoints"));
        }
        Some(_) if !weights::target_settled(draft, Target::Canary) => {
            let settles_at = settling::target(draft, Target::Canary);
            draft.wait_settling(settles_at, Reason::TargetSettles, 1, "waiting for the canary endpoints to settle");
        }
        Some(_) => {
            let message =
                format!("shifting traffic to {}, waiting for the routes to settle", extra_routes::shown(draft, goal));
            draft.wait_settling(settling::route(draft), Reason::Route, 1, message);
        }
    }
}

fn with_trouble(draft: &Draft<'_>, canary: &str, message: String) -> String {
    match draft.revision(canary).and_then(|revision| revision.trouble.clone()) {
        Some(trouble) => format!("{message}: {trouble}"),
        None => message,
    }
}

fn scaled(draft: &mut Draft<'_>) -> bool {
    let need = weights::canary_need(draft, draft.step_weight());
    let canary = draft.canary_id().unwrap_or_default();
    let (available, wanted) = draft.revision(&canary).map_or((0, 0), |seen| (seen.available, seen.wanted));
    if wanted == need && available >= need {
        return previewed(draft);
    }
    let message = format!("waiting to scale from {available} to {need} canary pods");
    draft.wait_for_progress(Reason::Pods, available, with_trouble(draft, &canary, message));
    false
}

/// Rule S60: a preview stands when its target leads to it.
fn previewed(draft: &mut Draft<'_>) -> bool {
    if draft.blue_green().is_none() || weights::target_settled(draft, Target::Canary) {
        return true;
    }
    let settles_at = settling::target(draft, Target::Canary);
    draft.wait_settling(settles_at, Reason::Preview, 0, "switching the preview target to the new revision");
    false
}

/// A pause is over by time, even if no tick saw its end; without a duration a promote ends it (S13).
fn paused(draft: &mut Draft<'_>, duration: Option<HumanDuration>) -> bool {
    let Some(duration) = duration else {
        draft.wait(Reason::Pause, "paused by its steps until an operator promotes", None);
        return false;
    };
    let until = duration.after(draft.status.state.since().unwrap_or(draft.now()));
    if until <= draft.now() {
        return true;
    }
    draft.wait(Reason::Pause, format!("paused by its steps for {duration}"), Some(until));
    false
}

fn observed(draft: &mut Draft<'_>, at_least: HumanDuration, at_most: HumanDuration) -> bool {
    let passed = runs::verdict(draft, &runs::background_name(draft)) == Verdict::Pass;
    let early = draft.step_elapsed() < at_least.signed();
    if passed && !early {
        return true;
    }
    if passed {
        let until = draft.while_clocks_run(draft.step_reaches(at_least));
        let weight = draft.step_weight();
        draft.wait(
            Reason::Observe,
            format!("observing at {weight}: passed; waiting for at least {at_least} in total"),
            until,
        );
        return false;
    }
    out_of_time(draft, at_most, Reason::Observe)
}

/// Before promotion there is an implicit observation, unless the evidence already passed at this weight or an operator
/// promoted.
fn last_observation(draft: &mut Draft<'_>) -> bool {
    if draft.is_overridden() || !runs::background_started(draft) {
        return true;
    }
    let required = draft.input.seen.runs.get(&runs::background_name(draft));
    let advisory = required
        .is_some_and(|run| !run.status.metrics.is_empty() && run.status.metrics.iter().all(|metric| !metric.required));
    advisory || observed(draft, HumanDuration::default(), DEFAULT_AT_MOST)
}

/// Waits for the verdict of a run of its own.
pub fn analysed(draft: &mut Draft<'_>, name: &str, at_most: HumanDuration) -> bool {
    match runs::verdict(draft, name) {
        Verdict::Pass => return true,
        Verdict::Inconclusive if draft.input.seen.runs.get(name).is_some_and(|run| run.phase != Default::default()) => {
            return outcome::inconclusive(draft, "the analysis ended without a verdict");
        }
        _ => {}
    }
    out_of_time(draft, at_most, Reason::Analysis)
}

/// At the end of its time a wait for a verdict is extended once, then the policy decides. Says whether it may end.
fn out_of_time(draft: &mut Draft<'_>, at_most: HumanDuration, reason: Reason) -> bool {
    let extended = draft.status.state.extended();
    let length = if extended { HumanDuration::from(at_most.get() * 2) } else { at_most };
    let end = draft.not_before_first_look(draft.step_reaches(length));
    if draft.clock_runs() && draft.step_elapsed() >= length.signed() && end <= draft.now() {
        if extended {
            let message = format!(
                "no verdict within {length} of observing {}: {}",
                observing::under(draft),
                observing::evidence(draft)
            );
            return outcome::inconclusive(draft, &message);
        }
        draft.status.state.extend();
        draft.emit(true, Reason::Extended, format!("no verdict within {at_most}: extended once by {at_most}"));
        return out_of_time(draft, at_most, reason);
    }
    let until = draft.while_clocks_run(end);
    let message = format!("observing {}: {}", observing::under(draft), observing::evidence(draft));
    draft.wait(reason, message, until);
    false
}

/// Ends the current item. The next one begins with a tick of its own.
pub fn advance(draft: &mut Draft<'_>) {
    let (index, sub_step, now) = (draft.step_index(), draft.status.sub_step(), draft.now());
    let Some(item) = draft.items.get(index as usize) else {
        outcome::promote(draft);
        draft.emit(false, Reason::Promoting, "all steps are complete: promoting the new version");
        return;
    };
    let within = sub_step + 1 < items::sub_steps(item);
    if !within {
        draft.emit(false, Reason::StepCompleted, format!("step {} of {} completed", index + 1, draft.items.len()));
    }
    if let Some(stepping) = draft.status.state.stepping_mut() {
        stepping.move_to(if within { (index, sub_step + 1) } else { (index + 1, 0) }, now);
    }
}

/// A wait for pods, routes or endpoints that makes no progress in time is a failure (S38).
fn deadline(draft: &mut Draft<'_>) {
    let Some(allowed) = draft.overdue() else { return };
    let message = draft.waiting.as_ref().map(|wait| wait.message.clone()).unwrap_or_default();
    outcome::fail(draft, Reason::ProgressDeadlineExceeded, &format!("no progress for {allowed}: {message}"));
}

/// Clocks of observations are stopped while paused or scaled to zero (S36, S37).
pub fn stop_clocks(draft: &mut Draft<'_>) {
    let now = draft.now();
    let stopped = draft.is_paused() || draft.replicas() == 0 || draft.is_held();
    let Some(clock) = draft.status.state.clock_mut() else { return };
    match (stopped, clock.stopped_since) {
        (true, None) => clock.stopped_since = Some(now),
        (false, Some(since)) => {
            clock.held_ms += i64::try_from(now.duration_since(since).as_millis()).unwrap_or(0);
            clock.stopped_since = None;
            inconclusive::add_suspended(draft, since);
        }
        _ => {}
    }
}

/// One tick towards stable: everywhere but in the steps and the promotion, stable gets all traffic.
pub fn rest(draft: &mut Draft<'_>) -> Option<Route> {
    weights::targets(draft);
    if draft.split() != Split::Ratio {
        let route = if draft.has_mesh() { weights::route(draft, Percent::ZERO) } else { weights::none(draft) };
        pods::with_mesh(draft, Percent::ZERO, Percent::ZERO);
        return Some(route);
    }
    let reached = pods::by_ratio(draft, Percent::ZERO);
    draft.status.weights.desired = Percent::ZERO;
    draft.status.weights.accepted = None;
    draft.status.weights.settled = reached;
    Some(Route { desired: Percent::ZERO, settled: reached, goal: Percent::ZERO })
}
