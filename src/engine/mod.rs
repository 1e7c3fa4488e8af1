//! The pure engine: `step(&Input) -> Decision`.
//!
//! No clock, no I/O, no randomness: the same code runs in the controller, in the demo, in the simulator and in the
//! property tests. `step` is total; it never fails and never panics. Actions are desired states, not deltas, so replaying
//! one after a crash is harmless; and everything that must be remembered is in the status that the decision carries.

mod ab_test;
mod by_operator;
mod canary;
mod checks;
mod commands;
pub mod decision;
mod draft;
mod drift;
mod extra_routes;
mod fingerprint;
mod gate;
mod guards;
mod inconclusive;
pub mod input;
pub mod invariants;
pub mod items;
mod losses;
mod metadata;
mod observing;
mod outcome;
pub mod peak;
mod pods;
mod promotion;
mod reach;
pub mod refusals;
pub mod replicas;
mod report;
mod restart;
mod retarget;
mod revisions;
mod runs;
mod settling;
mod standing;
mod stickiness;
mod suspended;
mod target;
mod teardown;
mod verdict;
mod verification;
mod wait;
mod walked;
mod weights;

pub use commands::answer_to;
pub use decision::{
    Action, Decision, GateQuestion, Goal, Notice, Restore, RouteIntent, RunRequest, Stickiness, Target, Wake,
};
pub use draft::{DEFAULT_SCALE_DOWN_DELAY, Split};
pub use input::{
    CommandSeen, GateAnswer, GateSeen, Input, PodSeen, Problem, RevisionSeen, RouteSeen, RunSeen, Seen, TargetSeen,
    TemplateSeen, TerminationSeen, WorkloadSeen,
};
pub use stickiness::{Assignment, StickyUsers, of_release as stickiness_of_release, stickiness};

pub use runs::run_prefix;

use crate::api::{
    common::Percent,
    reason::{ConditionType, Reason},
    status::{Course, Phase},
};
use draft::Draft;
pub use drift::forget as forget_write;
use wait::Wait;
use weights::Route;

/// Decides what must be so now. Total, deterministic, synchronous.
pub fn step(input: &Input<'_>) -> Decision {
    let mut draft = Draft::new(input);
    if input.deleting {
        teardown::walk(&mut draft);
        refusals::withhold(&mut draft);
    } else if let Some(problem) = input.seen.problems.iter().find(|problem| problem.blocks_all) {
        if !input.seen.file_invalid {
            blocked(&mut draft, problem);
            return draft.finish();
        }
        suspended::walk(&mut draft);
        refusals::withhold(&mut draft);
        drift::limit(&mut draft);
    } else {
        release(&mut draft);
        refusals::withhold(&mut draft);
        drift::limit(&mut draft);
    }
    report::report(&mut draft);
    draft.finish()
}

/// Nothing is written while something is wrong that only an operator can fix.
fn blocked(draft: &mut Draft<'_>, problem: &Problem) {
    let (generation, now) = (draft.input.generation, draft.now());
    report::report_problem(draft, Some(problem));
    draft.status.observed_generation = generation;
    draft.set_phase(Phase::Degraded, problem.reason.clone(), problem.message.clone());
    report::toggle(
        &mut draft.status.conditions,
        ConditionType::Stalled,
        true,
        (problem.reason.clone(), &problem.message),
        generation,
        now,
    );
}

fn release(draft: &mut Draft<'_>) {
    if retarget::is_due(draft) {
        return retarget::walk(draft);
    }
    retarget::remember(draft);
    canary::notice_edits(draft);
    commands::execute(draft);
    revisions::follow_template(draft);
    revisions::ensure_current(draft);
    verdict::read(draft);
    match draft.course() {
        Course::FirstDeploy => first_deploy(draft),
        Course::Stepping => canary::walk(draft),
        Course::Promoting => promotion::walk(draft),
        Course::Returning => returning(draft),
        Course::Idle | Course::Aborted | Course::ControlKept => {
            draft.keep_runs();
            rest(draft);
        }
    }
    restart::walk(draft);
    draft.actions.extend(pods::adoption(draft));
    draft.status.memory.adopted |= pods::is_adopted(draft);
    revisions::forget_old(draft);
    metadata::ensure(draft);
}

/// One tick towards stable: everywhere but in the steps and the promotion, stable gets all traffic.
fn rest(draft: &mut Draft<'_>) -> Option<Route> {
    draft.point_targets();
    if draft.split() != Split::Ratio {
        let route = if draft.has_mesh() { weights::route(draft, Percent::ZERO) } else { weights::none(draft) };
        draft.scale(pods::with_mesh(draft, Percent::ZERO, Percent::ZERO));
        return Some(route);
    }
    let (counts, reached) = pods::by_ratio(draft, Percent::ZERO);
    draft.scale(counts);
    draft.status.weights.desired = Percent::ZERO;
    draft.status.weights.accepted = None;
    draft.status.weights.settled = reached;
    Some(Route { desired: Percent::ZERO, settled: reached, goal: Percent::ZERO })
}

/// Rule S4: straight to all pods; steps and analysis are skipped.
fn first_deploy(draft: &mut Draft<'_>) {
    let Some(current) = draft.current_id() else {
        let message = "waiting for the workload that holds the template";
        return draft.wait(Wait::until(Reason::NoTemplate, message, None));
    };
    let (replicas, available) = (draft.replicas(), draft.available(&current));
    draft.ask_replicas(&current, replicas);
    for old in draft.older().iter().map(|old| old.id.clone()).collect::<Vec<_>>() {
        draft.ask_replicas(&old, 0);
    }
    if draft.revision(&current).is_some() && available >= replicas {
        outcome::promoted(draft, "first deploy");
        return;
    }
    let (reason, message) = first_wait(draft, &current);
    draft.wait(Wait::progress(reason.clone(), available, message.clone()));
    match draft.overdue() {
        None => draft.set_phase(Phase::Progressing, reason, message),
        Some(allowed) => {
            let message = format!("no progress for {allowed}: {message}; nothing to roll back to");
            draft.set_phase(Phase::Degraded, Reason::ProgressDeadlineExceeded, message);
        }
    }
}

/// What the first version waits for: a refused write, or its pods.
fn first_wait(draft: &Draft<'_>, current: &str) -> (Reason, String) {
    if let Some(refusal) = refusals::blocker(draft) {
        return (refusal.reason, refusal.message);
    }
    let (replicas, available) = (draft.replicas(), draft.available(current));
    let trouble = draft.revision(current).and_then(|seen| seen.trouble.clone()).map(|text| format!(": {text}"));
    let message = format!("first deploy: {available} of {replicas} pods are available{}", trouble.unwrap_or_default());
    (Reason::Pods, message)
}

/// Traffic and pods return to stable, then the rollout is at rest (rule S31).
fn returning(draft: &mut Draft<'_>) {
    draft.keep_runs();
    let route = rest(draft);
    let stable = draft.stable_id().unwrap_or_default();
    let back = route.is_some_and(Route::reached) && draft.available(&stable) >= draft.replicas();
    if back {
        retarget::has_returned(draft);
    } else {
        draft.wait(Wait::until(Reason::Returning, "shifting traffic and pods back to stable", None));
    }
}
