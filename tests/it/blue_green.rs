//! Blue-green releases in the simulated world (rules S60 to S62), and the short way back (S32).

use glidepath::api::{
    RolloutSpec,
    analysis::{TemplateRef, Verdict},
    command::{CommandState, Verb},
    common::{HumanDuration, Percent},
    rollout::RollbackWindow,
    status::{Course, Outcome, Phase, Stage},
    strategy::{
        AnalysisStep, AutoPromotion, BlueGreenStrategy, CanaryStrategy, MirrorRoute, Pause, RequestMatch, Step,
        Strategy, ValueMatch,
    },
    traffic::{IstioTraffic, TrafficRouter, VirtualServiceRef},
};
use jiff::SignedDuration;

use crate::small_world::{Behaviour, SimWorld};

const HOUR: SignedDuration = SignedDuration::from_hours(1);
const SECOND: SignedDuration = SignedDuration::from_secs(1);

fn analysis() -> AnalysisStep {
    let templates = vec![TemplateRef { name: "golden-signals".into(), cluster_scope: false }];
    AnalysisStep { templates, ..AnalysisStep::default() }
}

fn blue_green(strategy: BlueGreenStrategy) -> RolloutSpec {
    let strategy = BlueGreenStrategy {
        active_service: Some("checkout".into()),
        preview_service: Some("checkout-preview".into()),
        ..strategy
    };
    RolloutSpec {
        strategy: Strategy { blue_green: Some(strategy), ..Strategy::default() },
        settle: Some(HumanDuration::secs(1)),
        scale_down_delay: Some(HumanDuration::secs(60)),
        ..RolloutSpec::default()
    }
}

fn by_route(mut spec: RolloutSpec) -> RolloutSpec {
    let service = VirtualServiceRef { name: "checkout".into(), ..VirtualServiceRef::default() };
    let istio = IstioTraffic { virtual_services: vec![service], destination_rule: None };
    spec.traffic = vec![TrafficRouter { istio: Some(istio), ..TrafficRouter::default() }];
    spec
}

fn stable(id: &'static str) -> impl Fn(&SimWorld) -> bool {
    move |world| {
        let stable = world.status.stable_revision.as_ref().is_some_and(|stable| stable.id == id);
        world.status.phase == Some(Phase::Healthy) && stable
    }
}

/// A world in which version 1 is stable with `replicas` pods.
fn at_version_one(spec: RolloutSpec, replicas: u32) -> SimWorld {
    let mut world = SimWorld::new(spec, "v1", replicas);
    assert!(world.run_until(HOUR, stable("v1")).unwrap(), "{}", world.status.message);
    world.run_until(SignedDuration::from_mins(2), |_| false).unwrap();
    world
}

fn release(world: &mut SimWorld, id: &str, done: impl Fn(&SimWorld) -> bool) {
    world.template = id.to_owned();
    let came = world.run_until(HOUR, done).unwrap();
    assert!(came, "it never came to that: {:?} {}", world.status.course(), world.status.message);
}

fn last_outcome(world: &SimWorld) -> Outcome {
    world.status.history[0].outcome
}

#[test]
fn s60_the_preview_stands_and_is_judged_before_anything_moves() {
    let manual = AutoPromotion { enabled: Some(false), after: None };
    let strategy = BlueGreenStrategy {
        preview_replicas: Some(1),
        pre_promotion_analysis: Some(analysis()),
        auto_promotion: Some(manual),
        ..BlueGreenStrategy::default()
    };
    for spec in [blue_green(strategy.clone()), by_route(blue_green(strategy))] {
        let mut world = at_version_one(spec, 4);
        release(&mut world, "v2", |world| world.status.phase == Some(Phase::Paused));
        assert_eq!((world.stable_target(), world.canary_target()), (Some("v1"), Some("v2")));
        assert_eq!((world.available("v1"), world.available("v2"), world.weight()), (4, 1, Percent::ZERO));
        world.command(Verb::Promote, false);
        assert!(world.run_until(HOUR, stable("v2")).unwrap(), "{}", world.status.message);
        assert_eq!((world.stable_target(), world.available("v2")), (Some("v2"), 4));
        assert_eq!(world.available("v1"), 4, "the old revision keeps its pods for scaleDownDelay");
        world.run_until(SECOND * 120, |_| false).unwrap();
        assert_eq!((world.available("v1"), last_outcome(&world)), (0, Outcome::Promoted));
    }
}

#[test]
fn s60_a_preview_that_fails_its_analysis_is_removed_and_active_never_moved() {
    let strategy = BlueGreenStrategy { pre_promotion_analysis: Some(analysis()), ..BlueGreenStrategy::default() };
    for spec in [blue_green(strategy.clone()), by_route(blue_green(strategy))] {
        let mut world = at_version_one(spec, 4);
        world.behaviours.insert("v2".into(), Behaviour { verdict: Verdict::Fail, ..Behaviour::default() });
        release(&mut world, "v2", |world| {
            assert_eq!(world.stable_target(), Some("v1"), "active stays");
            world.status.course() == Course::Aborted && world.available("v2") == 0
        });
        assert_eq!((last_outcome(&world), world.canary_target()), (Outcome::Aborted, Some("v1")));
    }
}

#[test]
fn s60_the_switch_waits_for_its_time() {
    let later = AutoPromotion { enabled: None, after: Some(HumanDuration::secs(300)) };
    let mut world =
        at_version_one(blue_green(BlueGreenStrategy { auto_promotion: Some(later), ..Default::default() }), 4);
    let start = world.now;
    release(&mut world, "v2", stable("v2"));
    let took = world.now.duration_since(start);
    assert!(took >= SECOND * 300 && took < SECOND * 330, "{took}");
}

#[test]
fn s61_a_failure_after_the_switch_moves_active_back_at_once() {
    let strategy = BlueGreenStrategy { post_promotion_analysis: Some(analysis()), ..BlueGreenStrategy::default() };
    for (spec, route) in [(blue_green(strategy.clone()), false), (by_route(blue_green(strategy)), true)] {
        let mut world = at_version_one(spec, 4);
        world.behaviours.insert("v2".into(), Behaviour { verdict: Verdict::Continue, ..Behaviour::default() });
        release(&mut world, "v2", |world| world.status.stage() == Some(Stage::PostAnalysis));
        let serves = |world: &SimWorld| {
            if route { world.weight() == Percent::FULL } else { world.stable_target() == Some("v2") }
        };
        assert!(serves(&world), "the new version has all traffic");
        assert_eq!(world.available("v1"), 4, "the old one keeps its pods");
        world.behaviours.insert("v2".into(), Behaviour { verdict: Verdict::Fail, ..Behaviour::default() });
        world.tick().unwrap();
        assert_eq!((world.stable_target(), world.weight()), (Some("v1"), Percent::ZERO), "in the same decision");
        assert_eq!((world.status.course(), last_outcome(&world)), (Course::Aborted, Outcome::Aborted));
    }
}

#[test]
fn s61_a_person_may_take_the_switch_back_or_confirm_it() {
    let strategy = BlueGreenStrategy { post_promotion_analysis: Some(analysis()), ..BlueGreenStrategy::default() };
    for (verb, active) in [(Verb::Abort, "v1"), (Verb::Promote, "v2")] {
        let mut world = at_version_one(blue_green(strategy.clone()), 4);
        world.behaviours.insert("v2".into(), Behaviour { verdict: Verdict::Continue, ..Behaviour::default() });
        release(&mut world, "v2", |world| world.status.stage() == Some(Stage::PostAnalysis));
        world.command(verb, false);
        world.settle().unwrap();
        assert_eq!(world.stable_target(), Some(active), "{verb:?}: {}", world.status.message);
        let ended = |world: &SimWorld| matches!(world.status.course(), Course::Idle | Course::Aborted);
        assert!(world.run_until(HOUR, ended).unwrap());
        let expected = if active == "v2" { Outcome::Promoted } else { Outcome::Aborted };
        assert_eq!(last_outcome(&world), expected);
    }
}

/// A second click of the promotion that ended the pause must not stand in for the verdict after the switch.
#[test]
fn s80_a_promotion_meant_for_the_preview_does_not_confirm_the_switch() {
    let strategy = BlueGreenStrategy {
        post_promotion_analysis: Some(analysis()),
        auto_promotion: Some(AutoPromotion { enabled: Some(false), after: None }),
        ..BlueGreenStrategy::default()
    };
    let mut world = at_version_one(blue_green(strategy), 4);
    world.behaviours.insert("v2".into(), Behaviour { verdict: Verdict::Continue, ..Behaviour::default() });
    release(&mut world, "v2", |world| world.status.phase == Some(Phase::Paused));
    let twice = |world: &mut SimWorld, step| {
        let mut command = world.command_spec(Verb::Promote);
        command.step = Some(step);
        command.stage = None;
        world.command_as(command)
    };
    let step = world.status.step_index;
    twice(&mut world, step);
    assert!(world.run_until(HOUR, |world| world.status.stage() == Some(Stage::PostAnalysis)).unwrap());
    for step in [step, world.status.step_index] {
        let late = twice(&mut world, step);
        world.settle().unwrap();
        assert_eq!(world.answers[&late].0, CommandState::Obsolete, "{}", world.answers[&late].1);
    }
    assert_eq!(world.status.stage(), Some(Stage::PostAnalysis));
}

#[test]
fn s62_going_back_while_the_old_pods_stand_needs_no_analysis() {
    let strategy = BlueGreenStrategy {
        pre_promotion_analysis: Some(analysis()),
        auto_promotion: Some(AutoPromotion { enabled: Some(false), after: None }),
        ..BlueGreenStrategy::default()
    };
    let mut world = at_version_one(blue_green(strategy), 4);
    release(&mut world, "v2", |world| world.status.phase == Some(Phase::Paused));
    world.command(Verb::Promote, false);
    assert!(world.run_until(HOUR, stable("v2")).unwrap());
    let start = world.now;
    world.behaviours.insert("v1".into(), Behaviour { verdict: Verdict::Fail, ..Behaviour::default() });
    release(&mut world, "v1", stable("v1"));
    assert!(world.now.duration_since(start) <= SECOND * 5, "{}", world.now.duration_since(start));
    assert_eq!((world.stable_target(), last_outcome(&world)), (Some("v1"), Outcome::RolledBack));

    // Once its pods are gone, the way is the long one.
    world.run_until(SECOND * 300, |_| false).unwrap();
    assert_eq!(world.available("v2"), 0);
    release(&mut world, "v2", |world| world.status.phase == Some(Phase::Paused));
}

#[test]
fn s30_a_newer_version_takes_the_place_of_the_preview() {
    let manual = AutoPromotion { enabled: Some(false), after: None };
    let mut world =
        at_version_one(blue_green(BlueGreenStrategy { auto_promotion: Some(manual), ..Default::default() }), 4);
    release(&mut world, "v2", |world| world.status.phase == Some(Phase::Paused));
    release(&mut world, "v3", |world| world.status.phase == Some(Phase::Paused) && world.canary_target() == Some("v3"));
    assert_eq!((world.stable_target(), last_outcome(&world)), (Some("v1"), Outcome::Superseded));
    world.run_until(SECOND * 120, |_| false).unwrap();
    assert_eq!((world.available("v1"), world.available("v2"), world.available("v3")), (4, 0, 4));
}

#[test]
fn s32_one_of_the_last_stable_versions_comes_back_without_steps() {
    let pause = Step { pause: Some(Pause { duration: None }), ..Step::default() };
    let weight = Step { set_weight: Some(Percent::whole(25)), ..Step::default() };
    let canary = CanaryStrategy { steps: vec![weight, pause], ..CanaryStrategy::default() };
    let spec = RolloutSpec {
        strategy: Strategy { canary: Some(canary), ..Strategy::default() },
        settle: Some(HumanDuration::secs(1)),
        scale_down_delay: Some(HumanDuration::secs(5)),
        rollback_window: Some(RollbackWindow { revisions: 1 }),
        ..RolloutSpec::default()
    };
    for spec in [spec.clone(), by_route(spec)] {
        let mut world = at_version_one(spec, 4);
        for id in ["v2", "v3"] {
            release(&mut world, id, |world| world.status.phase == Some(Phase::Paused));
            world.command(Verb::Promote, true);
            assert!(world.run_until(HOUR, |world| stable(if id == "v2" { "v2" } else { "v3" })(world)).unwrap());
            world.run_until(SECOND * 60, |_| false).unwrap();
        }
        release(&mut world, "v2", stable("v2"));
        assert_eq!(last_outcome(&world), Outcome::FastPromoted, "the one before the stable one");
        world.run_until(SECOND * 60, |_| false).unwrap();
        release(&mut world, "v1", |world| world.status.phase == Some(Phase::Paused));
        assert_eq!(world.status.step_index, 1, "the window ends there");

        // The short way can be rolled back too.
        world.command(Verb::Abort, false);
        world.run_until(SECOND * 60, |_| false).unwrap();
        world.behaviours.insert("v3".into(), Behaviour { ready_after: None, ..Behaviour::default() });
        release(&mut world, "v3", |world| world.status.course() == Course::Promoting);
        world.command(Verb::Abort, false);
        world.settle().unwrap();
        assert_eq!((world.status.course(), last_outcome(&world)), (Course::Aborted, Outcome::Aborted));
    }
}

#[test]
fn s63_testers_and_copies_reach_the_preview_until_the_switch() {
    let header = ValueMatch { name: "x-preview".into(), exact: Some("yes".into()), ..ValueMatch::default() };
    let manual = AutoPromotion { enabled: Some(false), after: None };
    let strategy = BlueGreenStrategy {
        auto_promotion: Some(manual),
        preview_match: vec![RequestMatch { header: Some(header), cookie: None }],
        preview_mirror: Some(MirrorRoute { percent: Percent::whole(10), matches: vec![] }),
        ..BlueGreenStrategy::default()
    };
    let mut world = at_version_one(by_route(blue_green(strategy)), 4);
    release(&mut world, "v2", |world| world.status.phase == Some(Phase::Paused));
    assert_eq!((world.headers(), world.mirror()), (vec!["preview".to_owned()], Some(Percent::whole(10))));
    assert_eq!((world.weight(), world.available("v2")), (Percent::ZERO, 4));
    world.command(Verb::Promote, false);
    let moved = |world: &SimWorld| {
        let all = world.weight() == Percent::FULL;
        assert_eq!(world.headers().is_empty() && world.mirror().is_none(), all, "one write moves everything");
        all
    };
    assert!(world.run_until(HOUR, moved).unwrap(), "{}", world.status.message);
    assert!(world.run_until(HOUR, stable("v2")).unwrap(), "{}", world.status.message);

    release(&mut world, "v3", |world| world.status.phase == Some(Phase::Paused));
    world.command(Verb::Abort, false);
    world.settle().unwrap();
    assert_eq!((world.headers().len(), world.mirror()), (0, None), "in the tick of the abort");
}
