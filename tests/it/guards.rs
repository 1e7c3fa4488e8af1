//! Guards from the status of pods: OOM kills and restarts of the new version's containers (rule S21).

use glidepath::api::{
    RolloutSpec,
    analysis::{Allowed, Guards},
    command::Verb,
    common::{Delay, Percent},
    reason::Reason,
    rollout::{BackgroundAnalysis, OnFailure},
    status::{Course, Outcome},
};
use serde_json::json;

use crate::{
    engine::{HOUR, MINUTE, at_version_one, pause, release, set_weight, with_mesh, without_mesh},
    small_world::SimWorld,
};

fn steps() -> RolloutSpec {
    with_mesh(vec![set_weight(50), pause(None), set_weight(60), pause(None)])
}

fn guarded(oom_kills: Allowed, restarts: Allowed) -> RolloutSpec {
    let guards = Guards { oom_kills: Some(oom_kills), restarts: Some(restarts) };
    RolloutSpec { analysis: Some(BackgroundAnalysis { guards: Some(guards), ..Default::default() }), ..steps() }
}

/// Version 2 is at its first pause.
fn at_pause(spec: RolloutSpec) -> SimWorld {
    let mut world = at_version_one(spec, 4);
    release(&mut world, "v2", |world| world.status.step_index == 1);
    world
}

fn restart(world: &mut SimWorld, oom_killed: bool) {
    world.restart_container("v2", oom_killed);
    world.settle().unwrap();
}

#[test]
fn s21_an_oom_kill_fails_in_the_decision_that_sees_it_with_its_evidence() {
    for spec in [steps(), without_mesh(vec![set_weight(50), pause(None)])] {
        let mut world = at_pause(spec);
        restart(&mut world, true);
        assert_eq!((world.status.course(), world.weight()), (Course::Aborted, Percent::ZERO));
        let ended = &world.status.history[0];
        assert_eq!(ended.outcome, Outcome::Aborted);
        assert!(ended.reason.starts_with("1 OOM kill, 0 allowed: container app of pod checkout-"), "{}", ended.reason);
        assert!(ended.reason.ends_with("was OOM-killed (exit code 137)"), "{}", ended.reason);
        assert!(world.notices.iter().any(|notice| notice.reason == Reason::OOMKilled));
    }
}

#[test]
fn s21_one_restart_is_allowed_and_shown_and_the_second_fails() {
    let mut world = at_pause(steps());
    restart(&mut world, false);
    let counts = world.status.guards.clone().unwrap();
    assert_eq!((world.status.course(), counts.restarts, counts.oom_kills), (Course::Stepping, 1, 0));
    restart(&mut world, false);
    assert_eq!(world.status.course(), Course::Aborted);
    assert!(
        world.status.history[0].reason.contains("2 container restarts, 1 allowed"),
        "{:?}",
        world.status.history[0]
    );
}

#[test]
fn s21_limits_are_the_files() {
    let mut world = at_pause(guarded(Allowed::UpTo(1), Allowed::Unlimited));
    restart(&mut world, true);
    for _ in 0..9 {
        restart(&mut world, false);
    }
    assert_eq!(world.status.course(), Course::Stepping, "{}", world.status.message);
    let mut world = at_pause(guarded(Allowed::Unlimited, Allowed::UpTo(0)));
    restart(&mut world, true);
    assert_eq!((world.status.course(), world.status.history[0].outcome), (Course::Aborted, Outcome::Aborted));
    assert!(world.status.history[0].reason.starts_with("1 container restart, 0 allowed"));
}

#[test]
fn s21_a_first_deploy_and_what_skips_the_steps_have_no_guards_nor_has_stable() {
    let mut world = SimWorld::new(steps(), "v1", 4);
    world.tick().unwrap();
    world.restart_container("v1", true);
    let stable = |world: &SimWorld| world.status.stable_revision.is_some();
    assert!(world.run_until(HOUR, stable).unwrap(), "{}", world.status.message);
    let mut world = at_pause(steps());
    world.restart_container("v1", true);
    world.run_until(MINUTE, |_| false).unwrap();
    assert_eq!((world.status.course(), &world.status.guards), (Course::Stepping, &None));
    world.command(Verb::Promote, true);
    world.settle().unwrap();
    restart(&mut world, true);
    assert!(world.run_until(HOUR, |world| world.status.course() == Course::Idle).unwrap(), "{}", world.status.message);
    assert_eq!(world.status.history[0].outcome, Outcome::Promoted);
}

#[test]
fn s21_a_new_attempt_and_an_override_count_from_then_on_also_with_the_same_pods() {
    let hold = RolloutSpec { on_failure: Some(OnFailure::Hold), ..steps() };
    let mut world = at_pause(hold);
    restart(&mut world, true);
    assert!(world.status.held().is_some(), "{}", world.status.message);
    world.command(Verb::Promote, false);
    assert!(world.run_until(HOUR, |world| world.status.step_index == 3).unwrap(), "{}", world.status.message);
    assert!(world.status.held().is_none() && world.status.guards.is_none(), "{}", world.status.message);
    restart(&mut world, true);
    assert!(world.status.held().is_some(), "the next one counts");

    let kept = RolloutSpec { abort_scale_down_delay: Some(Delay::Never), ..steps() };
    let mut world = at_pause(kept);
    restart(&mut world, false);
    restart(&mut world, false);
    assert_eq!((world.status.course(), world.available("v2")), (Course::Aborted, 2));
    world.command(Verb::Retry, false);
    assert!(world.run_until(HOUR, |world| world.status.step_index == 1).unwrap(), "{}", world.status.message);
    restart(&mut world, false);
    assert_eq!(world.status.course(), Course::Stepping, "one of this attempt: {}", world.status.message);
}

/// The record is all that another controller has.
#[test]
fn s21_what_was_before_the_attempt_is_on_record_and_survives_a_restart() {
    let hold = RolloutSpec { on_failure: Some(OnFailure::Hold), ..steps() };
    let mut world = at_pause(hold);
    restart(&mut world, true);
    world.command(Verb::Promote, false);
    world.settle().unwrap();
    let written = serde_json::to_value(&world.status).unwrap();
    let before = &written["state"]["stepping"]["release"]["endedBefore"]["containers"];
    assert_eq!(before.as_object().unwrap().values().collect::<Vec<_>>(), [&json!(1)], "{written}");
    world.status = serde_json::from_value(written).unwrap();
    world.deciding_since = Some(world.now);
    world.run_until(MINUTE, |_| false).unwrap();
    assert!(world.status.held().is_none(), "{}", world.status.message);
}
