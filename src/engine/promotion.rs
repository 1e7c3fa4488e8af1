//! Promotion as a recorded sequence of stages, each waiting for the one before (rule S18).

use crate::api::{
    common::Percent,
    status::{Course, Stage},
};

use super::{decision::Target, draft::Draft, outcome, pods, runs, weights};

/// One tick of the promotion.
pub fn walk(draft: &mut Draft<'_>) {
    runs::ensure(draft);
    if draft.has_mesh() {
        with_mesh(draft)
    } else {
        by_ratio(draft)
    }
    if draft.status.course == Course::Promoting {
        deadline(draft);
    }
}

fn with_mesh(draft: &mut Draft<'_>) {
    let stage = draft.status.stage.unwrap_or(Stage::Scale);
    let goal = match stage {
        Stage::Scale => draft.step_weight(),
        Stage::RouteToCanary | Stage::MoveStable => Percent::FULL,
        Stage::RouteToStable => Percent::ZERO,
    };
    weights::targets(draft);
    let route = weights::route(draft, goal);
    pods::with_mesh(draft, goal);
    let (replicas, current) = (draft.replicas(), draft.current_id().unwrap_or_default());
    let available = draft.available(&current);
    match stage {
        Stage::Scale if available < replicas => {
            draft.wait_for_progress(
                "Pods",
                available,
                format!("promoting: waiting for {} of {replicas} pods", replicas - available),
            );
        }
        Stage::Scale => next(draft, Some(Stage::RouteToCanary)),
        Stage::RouteToCanary if !route.reached() => {
            draft.wait_for_progress("Route", 0, "promoting: the routes move to the new version and settle");
        }
        Stage::RouteToCanary => next(draft, Some(Stage::MoveStable)),
        Stage::MoveStable if !weights::target_settled(draft, Target::Stable) => {
            draft.wait_for_progress(
                "Endpoints",
                0,
                "promoting: the stable target moves to the new version and settles",
            );
        }
        Stage::MoveStable => next(draft, Some(Stage::RouteToStable)),
        Stage::RouteToStable if !route.reached() => {
            draft.wait_for_progress("Route", 1, "promoting: the routes move back to the stable target and settle");
        }
        Stage::RouteToStable => next(draft, None),
    }
}

fn by_ratio(draft: &mut Draft<'_>) {
    weights::targets(draft);
    let paused = draft.is_paused();
    let weight = if paused { draft.step_weight() } else { Percent::FULL };
    let there = pods::by_ratio(draft, weight);
    draft.status.weights.desired = weight;
    draft.status.weights.settled = there;
    let (replicas, current) = (draft.replicas(), draft.current_id().unwrap_or_default());
    let available = draft.available(&current);
    // The stable Service moves once the new version can carry everything, before the old one's last pod goes.
    let may_move = available >= replicas && draft.input.seen.stable_target.is_some();
    if draft.status.stage == Some(Stage::Scale) && may_move && !paused {
        return next(draft, Some(Stage::MoveStable));
    }
    if there && !paused && weights::target_settled(draft, Target::Stable) {
        return next(draft, None);
    }
    draft.wait_for_progress(
        "Pods",
        available,
        format!("promoting: {available} of {replicas} pods of the new version are available"),
    );
}

/// Goes to the next stage, or ends the promotion. Before stable has begun to move, a pause holds it.
fn next(draft: &mut Draft<'_>, stage: Option<Stage>) {
    if draft.is_paused() && !draft.past_return() {
        return draft.wait("Paused", "paused before the promotion goes on", None);
    }
    match stage {
        Some(stage) => {
            draft.status.stage = Some(stage);
            draft.begin_step();
        }
        None => outcome::promoted(draft, "all steps passed"),
    }
}

fn deadline(draft: &mut Draft<'_>) {
    let Some(allowed) = draft.overdue() else { return };
    let message = draft.waiting.as_ref().map(|wait| wait.message.clone()).unwrap_or_default();
    outcome::fail(draft, "ProgressDeadlineExceeded", &format!("no progress for {allowed}: {message}"));
}
