//! What the model check found, each in the fewest acts: it stays fixed.

use glidepath::api::{
    RolloutSpec,
    analysis::Verdict,
    command::Verb,
    common::Percent,
    reason::Reason,
    status::{Course, Phase},
};
use jiff::SignedDuration;

use crate::small_world::{Behaviour, Fault, SimWorld};

const MINUTE: SignedDuration = SignedDuration::from_mins(1);

fn stable(spec: RolloutSpec) -> SimWorld {
    let mut world = SimWorld::new(spec, "v1", 2);
    assert!(world.run_until(MINUTE, |world| world.status.phase == Some(Phase::Healthy)).unwrap());
    world
}

/// A pause stops the clock of an observation, also when something wakes the engine in the middle of it.
#[test]
fn s36_a_pause_stops_the_clock_of_an_observation() {
    let mut world = stable(super::spec(&[super::ROUTES, super::CANARY]));
    world.behaviours.insert("v2".into(), Behaviour { verdict: Verdict::Continue, ..Behaviour::default() });
    world.template = "v2".into();
    assert!(world.run_until(MINUTE, |world| world.status.phase == Some(Phase::Paused)).unwrap());
    world.command(Verb::Promote, false);
    world.settle().unwrap();
    assert_eq!(world.status.reason, Reason::Observe, "{}", world.status.message);
    world.command(Verb::Pause, false);
    world.settle().unwrap();
    world.now += MINUTE * 10;
    world.settle().unwrap();
    assert_eq!(
        (world.status.held().cloned(), world.status.state.extended()),
        (None, false),
        "{}",
        world.status.message
    );
    world.command(Verb::Resume, false);
    world.settle().unwrap();
    world.now += SignedDuration::from_secs(15);
    world.settle().unwrap();
    assert_eq!((world.status.course(), world.status.state.extended()), (Course::Stepping, false), "5 s of 20 are left");
    assert!(world.run_until(MINUTE, |world| world.status.state.extended()).unwrap(), "and then it runs out");
}

/// A raise was written and the controller died before it recorded that: when the way back follows, no one else is
/// blamed.
#[test]
fn s53_a_write_of_ours_that_was_never_recorded_is_no_change_from_outside() {
    let mut world = stable(super::spec(&[super::ROUTES, super::CANARY]));
    world.template = "v2".into();
    let mut before = world.clone();
    for _ in 0..600 {
        if !world.weight().is_zero() {
            break;
        }
        before = world.clone();
        let due = world.tick().unwrap().wake.is_some_and(|wake| wake.at <= world.now);
        if !due {
            world.now += SignedDuration::from_secs(1);
        }
    }
    let mut world = before;
    world.tick_with(Fault { status_lost: true, ..Fault::default() }).unwrap();
    assert_eq!(world.weight(), Percent::whole(50));
    assert!(world.status.weights.desired.is_zero(), "the raise is not on record");
    world.command(Verb::Abort, false);
    world.settle().unwrap();
    assert_eq!((world.status.course(), world.weight().is_zero()), (Course::Aborted, true));
    let blamed = world.notices.iter().find(|notice| notice.reason == Reason::RouteRepaired);
    assert_eq!(blamed, None);

    // A weight that no step asked for is a user's.
    world.drift(Percent::whole(7));
    world.settle().unwrap();
    assert!(world.weight().is_zero());
    assert!(world.notices.iter().any(|notice| notice.reason == Reason::RouteRepaired));
}
