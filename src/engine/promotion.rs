//! Promotion as a recorded sequence of stages, each waiting for the one before (rules S18 and S61).

use crate::api::{
    common::Percent,
    reason::Reason,
    status::{Course, Stage, State},
    strategy::{AnalysisStep, DEFAULT_AT_MOST},
};

use super::{
    by_operator, canary,
    decision::Target,
    draft::{Draft, Split},
    outcome, pods, refusals, runs, settling,
    standing::{self, Standing},
    wait::Wait,
    weights::{self, Route},
};

const PAUSED: &str = "paused before the promotion continues";

/// One tick of the promotion, whose verdict was read before.
pub fn walk(draft: &mut Draft<'_>) {
    draft.keep_runs();
    draft.show_evidence();
    let Some(stage) = draft.stage() else { return };
    match draft.split() {
        Split::Routes => by_routes(draft, stage),
        Split::Ratio => by_ratio(draft, stage),
        Split::Switch => by_switch(draft, stage),
    }
    if draft.course() == Course::Promoting {
        deadline(draft);
    }
}

fn by_routes(draft: &mut Draft<'_>, stage: Stage) {
    let goal = match stage {
        Stage::Scale => draft.step_weight(),
        Stage::RouteToCanary | Stage::PostAnalysis | Stage::MoveStable => Percent::FULL,
        Stage::RouteToStable => Percent::ZERO,
    };
    draft.point_targets();
    let route = weights::route(draft, goal);
    draft.scale(pods::with_mesh(draft, goal, goal));
    let done = canary::follow(draft, |draft| match stage {
        Stage::Scale => scaled(draft),
        Stage::RouteToCanary if draft.is_paused() && !route.reached() => {
            Standing::Waits(Wait::until(Reason::Paused, PAUSED, None))
        }
        Stage::RouteToCanary => routed(draft, route, 0, "promoting: shifting all traffic to the new version"),
        Stage::PostAnalysis => analysed(draft),
        Stage::MoveStable => stable_moved(draft),
        Stage::RouteToStable => routed(draft, route, 1, "promoting: routing back through the stable target"),
    });
    let judged = is_judged(draft);
    let following = match stage {
        Stage::Scale => Some(Stage::RouteToCanary),
        Stage::RouteToCanary if judged => Some(Stage::PostAnalysis),
        Stage::RouteToCanary | Stage::PostAnalysis => Some(Stage::MoveStable),
        Stage::MoveStable => Some(Stage::RouteToStable),
        Stage::RouteToStable => None,
    };
    if done {
        next(draft, following);
    }
}

/// Blue-green without a router: the active Service moves in one write, and moves back when the analysis after it fails.
fn by_switch(draft: &mut Draft<'_>, stage: Stage) {
    draft.point_targets();
    weights::none(draft);
    draft.scale(pods::with_mesh(draft, Percent::ZERO, Percent::ZERO));
    let judged = is_judged(draft);
    let done = canary::follow(draft, |draft| match stage {
        Stage::Scale => scaled(draft),
        Stage::MoveStable => stable_moved(draft),
        Stage::PostAnalysis => analysed(draft),
        Stage::RouteToCanary | Stage::RouteToStable => Standing::Over,
    });
    let following = match stage {
        Stage::Scale | Stage::RouteToCanary | Stage::RouteToStable => Some(Stage::MoveStable),
        Stage::MoveStable if judged => Some(Stage::PostAnalysis),
        Stage::MoveStable | Stage::PostAnalysis => None,
    };
    if done {
        next(draft, following);
    }
}

/// Whether an analysis follows the switch; the short way has none (S32, S62).
fn is_judged(draft: &Draft<'_>) -> bool {
    let asked = draft.blue_green().is_some_and(|strategy| strategy.post_promotion_analysis.is_some());
    asked && !draft.is_shortcut()
}

fn by_ratio(draft: &mut Draft<'_>, stage: Stage) {
    draft.point_targets();
    // From the point of no return on a promotion is only finished.
    let paused = draft.is_paused() && !draft.past_return();
    let weight = if paused { pods::share_in_force(draft) } else { Percent::FULL };
    let (counts, there) = pods::by_ratio(draft, weight);
    draft.scale(counts);
    draft.status.weights.desired = weight;
    draft.status.weights.settled = there;
    let (replicas, current) = (draft.replicas(), draft.current_id().unwrap_or_default());
    let available = draft.available(&current);
    // The stable Service moves once the new version can carry everything, before the old one's last pod goes.
    let may_move = available >= replicas && draft.input.seen.stable_target.is_some();
    if stage == Stage::Scale && may_move && !paused {
        return next(draft, Some(Stage::MoveStable));
    }
    if paused {
        return draft.wait(Wait::until(Reason::Paused, PAUSED, None));
    }
    if there && weights::target_settled(draft, Target::Stable) {
        return next(draft, None);
    }
    let message = format!("promoting: {available} of {replicas} pods of the new version are available");
    let settles_at = settling::target(draft, Target::Stable).filter(|_| there);
    draft.wait(Wait::settling(settles_at, Reason::Pods, available, message));
}

fn scaled(draft: &Draft<'_>) -> Standing {
    let (replicas, current) = (draft.replicas(), draft.current_id().unwrap_or_default());
    let available = draft.available(&current);
    if available >= replicas {
        return Standing::Over;
    }
    let message = format!("promoting: waiting for {} of {replicas} pods", replicas - available);
    Standing::Waits(Wait::progress(Reason::Pods, available, message))
}

fn routed(draft: &Draft<'_>, route: Route, mark: u32, message: &str) -> Standing {
    if route.reached() {
        return Standing::Over;
    }
    // The routes follow once the target that they lead to has settled.
    let on_the_way = settling::target(draft, Target::Canary).filter(|_| settling::route(draft).is_none());
    Standing::Waits(match on_the_way {
        Some(settles_at) => Wait::settling(Some(settles_at), Reason::Route, mark, message),
        None => settling::of_routes(draft, mark, message),
    })
}

fn stable_moved(draft: &Draft<'_>) -> Standing {
    if weights::target_settled(draft, Target::Stable) {
        return Standing::Over;
    }
    let message = "promoting: switching the stable target to the new version";
    Standing::Waits(Wait::settling(settling::target(draft, Target::Stable), Reason::Endpoints, 0, message))
}

/// After a blue-green switch: the verdict, unless an operator's command replaces it.
fn analysed(draft: &Draft<'_>) -> Standing {
    if draft.is_overridden() {
        return Standing::Over;
    }
    let analysis = draft.blue_green().and_then(|strategy| strategy.post_promotion_analysis.as_ref());
    standing::analysed(draft, &runs::post_name(draft), analysis.map_or(DEFAULT_AT_MOST, AnalysisStep::at_most))
}

/// Goes to the next stage, or ends the promotion. Before the point of no return a pause and a hold stop it.
fn next(draft: &mut Draft<'_>, stage: Option<Stage>) {
    if draft.course() != Course::Promoting {
        return;
    }
    if !draft.past_return() {
        if draft.is_held() {
            return draft.wait(Wait::until(Reason::Held, "held before the promotion continues", None));
        }
        if draft.is_paused() {
            return draft.wait(Wait::until(Reason::Paused, PAUSED, None));
        }
    }
    if refusals::blocker(draft).is_some() {
        return; // the deadline says so
    }
    match stage {
        Some(stage) => move_to(draft, stage),
        None => {
            let reason = by_operator::reason(draft);
            outcome::promoted(draft, &reason);
        }
    }
}

/// Begins a stage, or the one in progress anew.
pub fn move_to(draft: &mut Draft<'_>, stage: Stage) {
    let now = draft.now();
    if let State::Promoting(promoting) = &mut draft.status.state {
        promoting.move_to(stage, now);
    }
}

fn deadline(draft: &mut Draft<'_>) {
    if let Some(refusal) = refusals::blocker(draft).filter(|_| !draft.is_held()) {
        draft.wait(Wait::progress(refusal.reason, 0, refusal.message));
    }
    canary::deadline(draft);
}
