//! Other writers: whatever they change or delete, and however often, each object is repaired at once five times and then
//! once a minute (rule S53); routes that disagree are never taken for routes that send the canary nothing.

use glidepath::{
    api::{
        RolloutSpec,
        command::Verb,
        common::Percent,
        reason::{ConditionType, Reason},
        status::Course,
    },
    engine::Target,
};
use jiff::{SignedDuration, Timestamp};
use proptest::prelude::*;

use crate::engine::{
    HOUR, MINUTE, at_version_one, header_route, mirror, pause, release, set_weight, with_analysis, with_mesh,
};

use crate::small_world::SimWorld;

/// What another writer does to the routes.
#[derive(Clone, Debug)]
enum Foreign {
    Weight(u32),
    /// One of two routes alone.
    OneWeight(u32),
    /// What is ours next to the weight goes.
    Lose,
    /// What is ours next to the weight is changed.
    Spoil,
}

fn to_routes() -> impl Strategy<Value = Foreign> {
    prop_oneof![
        (0u32..=100).prop_map(Foreign::Weight),
        (0u32..=100).prop_map(Foreign::OneWeight),
        Just(Foreign::Lose),
        Just(Foreign::Spoil),
    ]
}

fn write(world: &mut SimWorld, foreign: &Foreign) {
    match foreign {
        Foreign::Weight(weight) => world.drift(Percent::whole(*weight)),
        Foreign::OneWeight(weight) => world.drift_one(Percent::whole(*weight)),
        Foreign::Lose => world.lose_routes(),
        Foreign::Spoil => world.spoil_routes(),
    }
}

/// A mirror, a header route, half of the traffic, and then a pause without an end.
fn spec() -> RolloutSpec {
    with_analysis(with_mesh(vec![header_route("testers", true), mirror(20), set_weight(50), pause(None)]))
}

/// Version 2 in its pause.
fn in_the_pause() -> SimWorld {
    let mut world = at_version_one(spec(), 4);
    release(&mut world, "v2", |world| world.status.step_index == 3);
    world.run_until(10 * MINUTE, |_| false).unwrap();
    world
}

/// Scaled to zero no pod carries anything: routes that another writer lowered, and then one of them alone, are made to agree
/// and not raised (S37, S53; a random history found it).
#[test]
fn s37_s53_scaled_to_zero_no_repair_raises_a_weight() {
    let mut world = in_the_pause();
    world.replicas = 0;
    world.run_until(10 * MINUTE, |_| false).unwrap();
    write(&mut world, &Foreign::Weight(0));
    world.settle().unwrap();
    write(&mut world, &Foreign::OneWeight(1));
    world.settle().unwrap();
    world.run_until(HOUR, |_| false).unwrap();
}

/// Another writer acts again and again, after the gaps given, for so long. Says when it began.
fn fight(
    world: &mut SimWorld,
    length: SignedDuration,
    gaps: &[i64],
    mut act: impl FnMut(&mut SimWorld, usize),
) -> Timestamp {
    let began = world.now;
    let mut turn = 0;
    while world.now.duration_since(began) < length {
        act(world, turn);
        world.settle().unwrap();
        world.run_until(SignedDuration::from_millis(gaps[turn % gaps.len()]), |_| false).unwrap();
        turn += 1;
    }
    began
}

/// At most five at once and one a minute.
fn allowed(world: &SimWorld, began: Timestamp) -> usize {
    5 + usize::try_from(world.now.duration_since(began).as_mins()).unwrap()
}

fn is_right(world: &SimWorld) -> bool {
    let beside = (world.headers(), world.mirror());
    world.weight() == Percent::whole(50) && beside == (vec!["testers".to_owned()], Some(Percent::whole(20)))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, failure_persistence: None, ..ProptestConfig::default() })]

    /// H1: whatever other writers do to the routes, whenever, our writes of them are bounded; and once they stop, the routes
    /// are right within a minute.
    #[test]
    fn s53_repairs_of_the_routes_are_bounded(
        acts in proptest::collection::vec(to_routes(), 1..6),
        gaps in proptest::collection::vec(prop_oneof![100i64..300, 500i64..5_000, 10_000i64..90_000], 1..4),
    ) {
        let mut world = in_the_pause();
        let began = fight(&mut world, 8 * MINUTE, &gaps, |world, turn| write(world, &acts[turn % acts.len()]));
        let written = world.writes_since(began, "route");
        prop_assert!(written <= allowed(&world, began), "{written} writes in {}", world.now.duration_since(began));
        let right = world.run_until(MINUTE, is_right).unwrap();
        prop_assert!(right, "{:?}", world.status.weights);
        prop_assert_eq!(world.status.step_index, 3);
    }

    /// H1: so are those of every other object that we own.
    #[test]
    fn s53_repairs_of_every_object_are_bounded(
        what in 0usize..5, gaps in proptest::collection::vec(prop_oneof![100i64..300, 500i64..20_000], 1..4), odd in any::<bool>(),
    ) {
        let object = ["Stable target", "Canary target", "replicas v1", "set v2", "run checkout-2-1-background"][what];
        let mut world = in_the_pause();
        let began = fight(&mut world, 8 * MINUTE, &gaps, |world, turn| match what {
            0 => world.retarget(Target::Stable, Some(if odd && turn % 2 == 0 { "v0" } else { "v2" })),
            1 => world.retarget(Target::Canary, (odd && turn % 2 == 0).then_some("v1")),
            2 => world.rescale("v1", if odd && turn % 2 == 0 { 9 } else { 3 }),
            3 => world.delete_set("v2"),
            _ => world.delete_runs(),
        });
        let written = world.writes_since(began, object);
        prop_assert!(written <= allowed(&world, began), "{object}: {written} in {}", world.now.duration_since(began));
        prop_assert!(written >= 5, "{object}: {written}");
        world.run_until(MINUTE, |_| false).unwrap();
        prop_assert_eq!(world.stable_target(), Some("v1"));
        prop_assert_eq!(world.wanted("v1"), 4);
        // Each move of the canary's selector takes its traffic away and brings it back.
        let routes = world.writes_since(began, "route");
        prop_assert!(routes <= 2 * allowed(&world, began), "{routes} writes of the routes");
    }
}

/// H1: the condition names who it is, the status is not written as often as others write, and both end with the fight.
#[test]
fn s53_a_fight_is_told_with_the_other_managers_name() {
    let mut world = in_the_pause();
    let mut statuses = Vec::new();
    fight(&mut world, 3 * MINUTE, &[100], |world, turn| {
        world.drift(Percent::whole(if turn % 2 == 0 { 10 } else { 90 }));
        statuses.push(world.status.clone());
    });
    statuses.dedup();
    assert!(statuses.len() < 40, "{} statuses", statuses.len());
    let condition = |world: &SimWorld, type_: ConditionType| {
        world.status.conditions.iter().find(|c| c.type_ == type_).map(|c| c.message.clone())
    };
    let message = condition(&world, ConditionType::RouteDrift).unwrap();
    assert_eq!(message, "field manager argocd keeps changing the routes: repaired once a minute");
    assert!(world.status.message.contains(&message), "{}", world.status.message);
    assert!(!world.status.weights.settled && world.status.weights.accepted.is_none(), "unverified meanwhile");
    assert!(world.run_until(6 * MINUTE, |world| condition(world, ConditionType::RouteDrift).is_none()).unwrap());
    assert!(is_right(&world) && !world.status.message.contains("argocd"), "{}", world.status.message);

    fight(&mut world, MINUTE, &[100], |world, _| world.rescale("v1", 1));
    let message = condition(&world, ConditionType::ObjectDrift).unwrap();
    assert_eq!(message, "field manager kubectl keeps changing the replicas of revision v1: repaired once a minute");
}

/// H1: an abort is written at once, however often others have changed the routes before.
#[test]
fn s33_s53_an_abort_does_not_wait_for_the_repairs() {
    let mut world = in_the_pause();
    fight(&mut world, MINUTE / 2, &[100], |world, _| world.drift(Percent::whole(90)));
    assert_eq!(world.weight(), Percent::whole(90), "no repair is left");
    world.command(Verb::Abort, false);
    world.settle().unwrap();
    assert_eq!((world.weight(), world.headers(), world.mirror()), (Percent::ZERO, Vec::new(), None));
}

/// Ten pods, 60 % on the canary, and a stable that gave its pods up.
fn dynamic() -> SimWorld {
    let mut spec = with_mesh(vec![set_weight(60), pause(None)]);
    spec.strategy.canary.as_mut().unwrap().dynamic_stable_scale = true;
    let mut world = at_version_one(spec, 10);
    release(&mut world, "v2", |world| world.status.step_index == 1);
    world.run_until(10 * MINUTE, |_| false).unwrap();
    assert_eq!((world.available("v1"), world.available("v2")), (4, 6));
    world
}

/// H2: one canary pod restarts while another writer sets one of two routes to 0 %: both say 60 % again, at once, since
/// stable has pods for 40 %; and users are notified.
#[test]
fn s51_s53_routes_that_disagree_are_not_read_as_nothing() {
    let mut world = dynamic();
    world.restart_pod("v2");
    world.drift_one(Percent::ZERO);
    let told = world.notices.len();
    world.settle().unwrap();
    assert_eq!((world.weight(), world.disagrees()), (Percent::whole(60), false));
    let repaired = world.notices[told..].iter().find(|notice| notice.reason == Reason::RouteRepaired).unwrap();
    assert!(repaired.message.contains("argocd") && repaired.message.contains("disagree"), "{}", repaired.message);
}

/// H2: an abort on routes that disagree gives stable what its pods carry, not everything.
#[test]
fn s33_s51_an_abort_on_routes_that_disagree_waits_for_stables_pods() {
    let mut world = dynamic();
    world.drift_one(Percent::whole(20));
    world.command(Verb::Abort, false);
    world.tick().unwrap();
    assert_eq!(world.weight(), Percent::whole(60), "stable has 4 of 10 pods");
    assert!(world.run_until(HOUR, |world| world.weight().is_zero()).unwrap());
    assert_eq!((world.available("v1"), world.status.course()), (10, Course::Aborted));
}

/// H2: the same where all routes were set to 0 % and the canary cannot carry 60 % just now: it gets what its pods carry.
#[test]
fn s51_s53_traffic_taken_from_the_canary_returns_as_far_as_its_pods_carry_it() {
    let mut world = dynamic();
    world.restart_pod("v2");
    world.drift(Percent::ZERO);
    world.settle().unwrap();
    assert_eq!(world.weight(), Percent::whole(50), "5 of 6 canary pods are available");
    assert!(world.run_until(MINUTE, |world| world.weight() == Percent::whole(60)).unwrap());
}

/// H2: the old routes of a file that names others are brought to stable first, also where they disagree.
#[test]
fn s20_routes_that_disagree_are_not_given_back() {
    let mut world = dynamic();
    world.drift_one(Percent::whole(10));
    world.spec.traffic[0].istio.as_mut().unwrap().virtual_services[0].name = "front".into();
    world.tick().unwrap();
    assert_eq!(world.weight(), Percent::whole(60), "stable has 4 of 10 pods");
    let begun = world.now;
    while !world.status.memory.giving_back {
        assert!(world.now < begun + HOUR, "{}", world.status.message);
        world.tick().unwrap();
        world.sleep(SignedDuration::from_secs(1));
    }
    assert_eq!((world.weight(), world.disagrees(), world.available("v1")), (Percent::ZERO, false, 10));
}
