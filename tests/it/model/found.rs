//! What the model check found, each in the fewest acts: it stays mended.

use glidepath::{
    api::{
        RolloutSpec,
        analysis::Verdict,
        command::Verb,
        status::{Course, Phase},
    },
    sim::{SimWorld, world::Behaviour},
};
use jiff::SignedDuration;

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
    assert_eq!(world.status.reason, "Observe", "{}", world.status.message);
    world.command(Verb::Pause, false);
    world.settle().unwrap();
    world.now += MINUTE * 10;
    world.settle().unwrap();
    assert_eq!((world.status.held.clone(), world.status.memory.extended), (None, false), "{}", world.status.message);
    world.command(Verb::Resume, false);
    world.settle().unwrap();
    world.now += SignedDuration::from_secs(15);
    world.settle().unwrap();
    assert_eq!((world.status.course, world.status.memory.extended), (Course::Stepping, false), "5 s of 20 are left");
    assert!(world.run_until(MINUTE, |world| world.status.memory.extended).unwrap(), "and then it runs out");
}
