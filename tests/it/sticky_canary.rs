//! Sticky users of a canary in the simulated world (rule S22).

use glidepath::api::{
    RolloutSpec,
    command::Verb,
    common::{HumanDuration, Percent},
    reason::Reason,
    status::{Course, Outcome, Phase},
    strategy::{CanaryStrategy, Pause, Step, Sticky, Strategy},
    traffic::{IstioTraffic, TrafficRouter, VirtualServiceRef},
};
use jiff::SignedDuration;

use crate::small_world::SimWorld;

const HOUR: SignedDuration = SignedDuration::from_hours(1);

/// To 25 %, then 50 %, an operator after each; users stay.
fn spec() -> RolloutSpec {
    let to = |percent| Step { set_weight: Some(Percent::whole(percent)), ..Step::default() };
    let pause = || Step { pause: Some(Pause::default()), ..Step::default() };
    let canary = CanaryStrategy {
        steps: vec![to(25), pause(), to(50), pause()],
        sticky: Some(Sticky { cookie: "release".into(), ttl: None }),
        ..CanaryStrategy::default()
    };
    let service = VirtualServiceRef { name: "checkout".into(), ..VirtualServiceRef::default() };
    let istio = IstioTraffic { virtual_services: vec![service], destination_rule: None };
    RolloutSpec {
        strategy: Strategy { canary: Some(canary), ..Strategy::default() },
        traffic: vec![TrafficRouter { istio: Some(istio), ..TrafficRouter::default() }],
        settle: Some(HumanDuration::secs(1)),
        scale_down_delay: Some(HumanDuration::secs(60)),
        ..RolloutSpec::default()
    }
}

/// Version 2 at its first weight.
fn at_a_quarter() -> SimWorld {
    let mut world = SimWorld::new(spec(), "v1", 4);
    comes_to(&mut world, |world| world.status.phase == Some(Phase::Healthy));
    world.template = "v2".to_owned();
    comes_to(&mut world, |world| waits_at(world, 1));
    world
}

fn waits_at(world: &SimWorld, step: u32) -> bool {
    world.status.step_index == step && world.status.phase == Some(Phase::Paused)
}

fn comes_to(world: &mut SimWorld, done: impl Fn(&SimWorld) -> bool) {
    let came = world.run_until(HOUR, done).unwrap();
    assert!(came, "it never came to that: {:?} {}", world.status.course(), world.status.message);
}

fn kept(world: &SimWorld) -> (Percent, Option<String>, bool) {
    (world.weight(), world.sticky(), world.status.weights.sticky)
}

#[test]
fn s22_users_are_kept_from_the_first_weight_until_all_are_on_the_new_version() {
    let mut world = at_a_quarter();
    assert_eq!(kept(&world), (Percent::whole(25), Some("v2-1".to_owned()), true));
    world.command(Verb::Promote, false);
    comes_to(&mut world, |world| waits_at(world, 3));
    assert_eq!(kept(&world), (Percent::whole(50), Some("v2-1".to_owned()), true));
    world.command(Verb::Promote, false);
    comes_to(&mut world, |world| world.weight() == Percent::FULL);
    assert_eq!(world.sticky(), Some("v2-1".to_owned()), "whoever comes now loses the cookie");
    comes_to(&mut world, |world| world.weight().is_zero());
    assert_eq!(world.sticky(), None);
    comes_to(&mut world, |world| world.status.phase == Some(Phase::Healthy));
    assert_eq!(kept(&world), (Percent::ZERO, None, false));
    assert_eq!(world.status.history[0].outcome, Outcome::Promoted);
}

#[test]
fn s22_a_promotion_without_any_cookie_clears_none() {
    let mut world = SimWorld::new(spec(), "v1", 4);
    comes_to(&mut world, |world| world.status.phase == Some(Phase::Healthy));
    world.template = "v2".to_owned();
    world.tick().unwrap();
    world.command(Verb::Promote, true);
    comes_to(&mut world, |world| world.weight() == Percent::FULL);
    assert_eq!(world.sticky(), None);
    comes_to(&mut world, |world| world.status.phase == Some(Phase::Healthy));
}

#[test]
fn s22_an_abort_keeps_no_user_and_another_attempt_assigns_all_again() {
    let mut world = at_a_quarter();
    world.command(Verb::Abort, false);
    comes_to(&mut world, |world| world.status.course() == Course::Aborted && world.weight().is_zero());
    assert_eq!(kept(&world), (Percent::ZERO, None, false));
    world.command(Verb::Retry, false);
    comes_to(&mut world, |world| waits_at(world, 1));
    assert_eq!(kept(&world), (Percent::whole(25), Some("v2-2".to_owned()), true));
}

#[test]
fn s22_a_canary_that_comes_back_gets_its_users_again() {
    let mut world = at_a_quarter();
    world.kill_pods("v2");
    comes_to(&mut world, |world| world.weight().is_zero());
    assert_eq!(world.sticky(), None, "users of a lost canary are served by stable");
    comes_to(&mut world, |world| world.weight() == Percent::whole(25));
    assert_eq!(world.sticky(), Some("v2-1".to_owned()), "the same release: its cookies count");
}

#[test]
fn s53_an_edit_of_the_cookie_is_no_drift() {
    let repairs = |world: &SimWorld| world.notices.iter().filter(|told| told.reason == Reason::RouteRepaired).count();
    let sticky = |ttl| Some(Sticky { cookie: "release".into(), ttl: Some(HumanDuration::secs(ttl)) });
    let mut world = at_a_quarter();
    for ttl in 1..=10 {
        world.spec.strategy.canary.as_mut().unwrap().sticky = sticky(ttl);
        // The routes do not say what is meant now.
        world.spoil_routes();
        let writes = world.writes_since(world.now, "route");
        world.tick().unwrap();
        assert_eq!(world.writes_since(world.now, "route"), writes + 1, "edit {ttl} is written at once");
        comes_to(&mut world, |world| waits_at(world, 1) && world.status.weights.settled);
    }
    assert_eq!(repairs(&world), 0);
    world.spoil_routes();
    world.tick().unwrap();
    assert_eq!(repairs(&world), 1, "what another writer edits is drift");
}
