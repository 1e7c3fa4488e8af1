//! The stable version counts as Healthy only while callers reach it (rule S57).

use glidepath::api::{
    reason::{ConditionType, Reason},
    status::{Course, Phase},
};

use crate::engine::{HOUR, MINUTE, at_version_one, pause, release, set_weight, with_mesh};

/// A Service that lists none of the pods it selects is an outage: never Healthy, and no new release begins on it. All is well
/// again once they are listed (S57).
#[test]
fn s57_stable_without_endpoints_is_not_healthy_and_begins_no_release() {
    let mut world = at_version_one(with_mesh(vec![set_weight(50), pause(None)]), 4);
    world.list_endpoints(false);
    world.settle().unwrap();
    let said = |world: &crate::small_world::SimWorld| (world.status.phase, world.status.reason.clone());
    assert_eq!(said(&world), (Some(Phase::Progressing), Reason::StableUnreachable));
    let ready = world.status.conditions.iter().find(|condition| condition.type_ == ConditionType::Ready).unwrap();
    assert_eq!(ready.status, "False");
    world.run_until(11 * MINUTE, |_| false).unwrap();
    assert_eq!(said(&world), (Some(Phase::Degraded), Reason::StableUnreachable), "past the deadline");
    world.template = "v2".into();
    world.run_until(HOUR, |_| false).unwrap();
    assert_eq!((world.status.course(), world.wanted("v2")), (Course::Idle, 0), "nothing begins");
    world.list_endpoints(true);
    release(&mut world, "v2", |world| world.status.step_index == 1);
}

/// Nor is a stable version without any available pod. A new version may be the way out (S57).
#[test]
fn s57_stable_without_pods_is_not_healthy() {
    let mut world = at_version_one(with_mesh(vec![set_weight(50), pause(None)]), 4);
    world.kill_pods("v1");
    world.settle().unwrap();
    assert_eq!((world.status.phase, world.status.reason.clone()), (Some(Phase::Progressing), Reason::StableLost));
    assert!(world.run_until(MINUTE, |world| world.status.phase == Some(Phase::Healthy)).unwrap());
}

/// Scaled to zero there is nothing to reach (S37).
#[test]
fn s37_scaled_to_zero_is_not_unreachable() {
    let mut world = at_version_one(with_mesh(vec![]), 4);
    world.replicas = 0;
    world.list_endpoints(false);
    world.run_until(HOUR, |_| false).unwrap();
    assert_eq!(world.status.phase, Some(Phase::Healthy), "{}", world.status.message);
}
