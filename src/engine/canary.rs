//! The walk over the steps of a canary (rules S10 to S20): each tick brings pods, targets and routes to what the step
//! wants, and completes at most one step.

use crate::api::{
    common::Percent,
    reason::Reason,
    status::{Course, Phase},
};

use super::{
    checks,
    draft::{Draft, Split},
    gate, inconclusive,
    items::{self, Item},
    losses, observing, outcome, pods, refusals,
    standing::{self, Arrival, Standing},
    verification,
    wait::Wait,
    walked, weights,
};

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

/// One tick of the steps, whose verdicts were read before.
pub fn walk(draft: &mut Draft<'_>) {
    checks::ask(draft);
    let arrival = bring(draft);
    draft.keep_runs();
    draft.show_evidence();
    verification::show(draft);
    if draft.replicas() == 0 {
        draft.set_phase(
            Phase::Progressing,
            Reason::ScaledToZero,
            "scaled to zero: steps, timers and analysis are suspended",
        );
    } else if !draft.is_held() {
        complete(draft, arrival);
    }
    walked::remember(draft);
}

/// Brings targets, routes and pods towards the current step.
fn bring(draft: &mut Draft<'_>) -> Arrival {
    draft.point_targets();
    let goal = losses::goal(draft);
    if draft.split() == Split::Switch {
        weights::none(draft);
        draft.scale(pods::with_mesh(draft, Percent::ZERO, Percent::ZERO));
        Arrival { reached: losses::canary_there(draft), goal }
    } else if draft.has_mesh() {
        let route = weights::route(draft, goal);
        draft.scale(pods::with_mesh(draft, goal, draft.step_weight()));
        Arrival {
            // Traffic that is being shifted back is at 0, which says nothing about the step.
            reached: losses::canary_there(draft)
                && route.reached()
                && goal == draft.step_weight()
                && !losses::is_shifting_back(draft),
            goal: draft.step_weight(),
        }
    } else {
        let desired = allowed(draft, goal);
        let (counts, reached) = pods::by_ratio(draft, desired);
        draft.scale(counts);
        draft.status.weights.desired = desired;
        draft.status.weights.accepted = None;
        draft.status.weights.settled = reached;
        // At 0 replicas nothing is in force.
        if reached && draft.replicas() > 0 {
            weights::begin_epoch(draft, desired);
        }
        Arrival { reached: reached && desired == goal, goal }
    }
}

/// Without a mesh pods are traffic: none more in a pause (S36), nor while the analysis allows no more (S14).
fn allowed(draft: &Draft<'_>, goal: Percent) -> Percent {
    if weights::may_rise(draft) { goal } else { goal.min(pods::share_in_force(draft)) }
}

/// Completes the current item if it is over, else says what it waits for. While something that the user has to fix
/// stands in the way, no item completes, whatever it waits for (S53).
fn complete(draft: &mut Draft<'_>, arrival: Arrival) {
    if let Some(wait) = obstacle(draft) {
        draft.wait(wait);
        return deadline(draft);
    }
    gate::follow(draft);
    let over = is_over(draft, arrival);
    if has_left_the_step(draft) {
        return;
    }
    let unproved = is_unproved(draft);
    let over = over || unproved && is_held_back(draft, arrival);
    if let Some(message) = paused(draft, arrival, over) {
        draft.wait(Wait::until(Reason::Paused, message, None));
    } else if !over {
        deadline(draft);
    } else if unproved {
        inconclusive::wait(draft, &observing::evidence(draft));
    } else if !refusals::writes_for_a_step(draft) {
        advance(draft);
    }
}

/// What a pause holds up: the next step, or the traffic of this one (S36).
fn paused(draft: &Draft<'_>, arrival: Arrival, over: bool) -> Option<String> {
    if !draft.is_paused() {
        return None;
    }
    if over {
        return Some("paused: the step is complete, resume to continue".to_owned());
    }
    let weight = draft.status.weights.desired;
    is_held_back(draft, arrival).then(|| format!("paused: the canary stays at {weight}, resume to continue"))
}

/// What no step completes beside: the loss of the canary's pods, as an observation of nothing would never end (S56), and
/// what only an operator can fix (S53).
fn obstacle(draft: &Draft<'_>) -> Option<Wait> {
    if draft.is_canary_lost() {
        let available = draft.canary_id().map_or(0, |canary| draft.available(&canary));
        let rest = if losses::stable_serves(draft) { "; stable receives all traffic" } else { "" };
        return Some(Wait::progress(Reason::CanaryLost, available, format!("no canary pod is available{rest}")));
    }
    let (reason, message) = in_the_way(draft)?;
    if draft.input.seen.file_invalid {
        return Some(Wait::until(reason, message, None));
    }
    Some(Wait::progress(reason, 0, message))
}

/// What only an operator can fix: an object that is missing, or a write that is refused (S53).
fn in_the_way(draft: &Draft<'_>) -> Option<(Reason, String)> {
    let problem = draft.input.seen.problems.first().map(|problem| (problem.reason.clone(), problem.message.clone()));
    problem.or_else(|| refusals::blocker(draft).map(|refusal| (refusal.reason, refusal.message)))
}

/// After an abort the next tick shifts the traffic back; after a hold an operator decides.
fn has_left_the_step(draft: &Draft<'_>) -> bool {
    draft.course() != Course::Stepping || draft.is_held()
}

/// Whether the step is over; else what it waits for is said, or it has ended otherwise.
fn is_over(draft: &mut Draft<'_>, arrival: Arrival) -> bool {
    follow(draft, |draft| standing::of_step(draft, arrival))
}

/// Acts on where a step or stage stands. Says whether it is over.
pub fn follow(draft: &mut Draft<'_>, standing: impl Fn(&Draft<'_>) -> Standing) -> bool {
    let mut now = standing(draft);
    if let Standing::Extends(at_most) = now {
        draft.status.state.extend();
        draft.emit(true, Reason::Extended, format!("no verdict within {at_most}: extended once by {at_most}"));
        now = standing(draft);
    }
    match now {
        Standing::Over => return true,
        Standing::Told(notice) => {
            draft.notices.push(notice);
            return true;
        }
        Standing::Waits(wait) => draft.wait(wait),
        Standing::Ends(ending) => return outcome::end(draft, ending),
        Standing::Extends(_) => {} // once
    }
    false
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

/// Whether nothing but a missing verdict or a pause keeps the step from its weight or routes.
fn is_held_back(draft: &Draft<'_>, arrival: Arrival) -> bool {
    let sub_step = draft.status.sub_step();
    let moves = match draft.item() {
        Some(Item::SetWeight(_) | Item::HeaderRoute(_) | Item::MirrorRoute(_)) => true,
        Some(Item::Ramp { .. }) => sub_step.is_multiple_of(2),
        _ => false,
    };
    let enough =
        if draft.has_mesh() { losses::canary_there(draft) } else { arrival.goal > draft.status.weights.desired };
    moves && !arrival.reached && enough
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
        let reason = if matches!(item, Item::Pause(Some(_))) { Reason::PauseOver } else { Reason::StepCompleted };
        draft.emit(false, reason, format!("step {} of {} completed", index + 1, draft.items.len()));
    }
    if let Some(stepping) = draft.status.state.stepping_mut() {
        stepping.move_to(if within { (index, sub_step + 1) } else { (index + 1, 0) }, now);
    }
}

/// A wait for pods, routes or endpoints that makes no progress in time is a failure (S38).
pub fn deadline(draft: &mut Draft<'_>) {
    let Some(allowed) = draft.overdue() else { return };
    let message = draft.waits.as_ref().map(|wait| wait.message.clone()).unwrap_or_default();
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
