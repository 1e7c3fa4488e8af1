//! The engine in its simulated world: the course of a canary by the rules of semantics.md, and random histories under
//! which every invariant holds.

use glidepath::{
    api::{
        RolloutSpec, RolloutStatus,
        analysis::{ShareVerdict, TemplateRef, Verdict},
        command::{CommandState, Verb},
        common::{HumanDuration, Percent},
        pod_count::PodCount,
        reason::{ConditionType, Reason},
        rollout::{BackgroundAnalysis, OnFailure, RollbackWindow, Verification},
        status::{Course, Outcome, Phase, Stage},
        strategy::{
            AbTestStrategy, AnalysisStep, AutoPromotion, BlueGreenStrategy, CanaryStrategy, Gate, HeaderRoute, Judged,
            MirrorRoute, Observe, OnNoDifference, OnTimeout, OnWin, Pause, Ramp, RequestMatch, Step, Sticky, Strategy,
            ValueMatch,
        },
        traffic::{IstioTraffic, TrafficRouter, VirtualServiceRef},
    },
    engine::{Action, Decision, GateAnswer, Input, Problem, RouteSeen, Seen, Target, step as decide},
};
use jiff::{SignedDuration, Timestamp};
use proptest::prelude::*;

use crate::soak::Soak;

use crate::small_world::{Behaviour, Fault, SimWorld};

pub const HOUR: SignedDuration = SignedDuration::from_hours(1);
pub const MINUTE: SignedDuration = SignedDuration::from_mins(1);

pub fn set_weight(percent: u32) -> Step {
    Step { set_weight: Some(Percent::whole(percent)), ..Step::default() }
}

pub fn pause(seconds: Option<u64>) -> Step {
    Step { pause: Some(Pause { duration: seconds.map(HumanDuration::secs) }), ..Step::default() }
}

fn observe(at_most: u64) -> Step {
    Step { observe: Some(Observe { at_least: None, at_most: Some(HumanDuration::secs(at_most)) }), ..Step::default() }
}

fn ramp(from: u32, to: u32, by: u32) -> Step {
    let percent = Percent::whole;
    let ramp = Ramp { from: percent(from), to: percent(to), by: percent(by), every: HumanDuration::secs(5) };
    Step { ramp: Some(ramp), ..Step::default() }
}

/// A route by header, or its removal.
pub fn header_route(name: &str, there: bool) -> Step {
    let value = ValueMatch { name: "x-canary".into(), exact: Some("true".into()), ..ValueMatch::default() };
    let matches = vec![RequestMatch { header: Some(value), cookie: None }];
    let route = HeaderRoute { name: name.to_owned(), matches: if there { matches } else { Vec::new() } };
    Step { set_header_route: Some(route), ..Step::default() }
}

pub fn mirror(percent: u32) -> Step {
    let mirror = MirrorRoute { percent: Percent::whole(percent), matches: Vec::new() };
    Step { set_mirror_route: Some(mirror), ..Step::default() }
}

pub fn without_mesh(steps: Vec<Step>) -> RolloutSpec {
    let canary = CanaryStrategy { steps, ..CanaryStrategy::default() };
    RolloutSpec { strategy: Strategy { canary: Some(canary), ..Strategy::default() }, ..RolloutSpec::default() }
}

pub fn with_mesh(steps: Vec<Step>) -> RolloutSpec {
    let service = VirtualServiceRef { name: "checkout".into(), ..VirtualServiceRef::default() };
    let istio = IstioTraffic { virtual_services: vec![service], destination_rule: None };
    RolloutSpec {
        traffic: vec![TrafficRouter { istio: Some(istio), ..TrafficRouter::default() }],
        settle: Some(HumanDuration::secs(1)),
        scale_down_delay: Some(HumanDuration::secs(5)),
        ..without_mesh(steps)
    }
}

pub fn with_analysis(spec: RolloutSpec) -> RolloutSpec {
    let templates = vec![TemplateRef { name: "golden-signals".into(), cluster_scope: false }];
    RolloutSpec { analysis: Some(BackgroundAnalysis { templates, ..BackgroundAnalysis::default() }), ..spec }
}

fn healthy(world: &SimWorld) -> bool {
    world.status.phase == Some(Phase::Healthy)
}

/// A world in which version 1 is stable with `replicas` pods.
pub fn at_version_one(spec: RolloutSpec, replicas: u32) -> SimWorld {
    let mut world = SimWorld::new(spec, "v1", replicas);
    assert!(world.run_until(HOUR, |world| healthy(world) && world.weight().is_zero()).unwrap());
    world.run_until(MINUTE, |_| false).unwrap();
    assert_eq!(world.status.stable_revision.as_ref().unwrap().id, "v1");
    world
}

/// Version 2 is wanted, and the world runs until `done`.
pub fn release(world: &mut SimWorld, id: &str, done: impl Fn(&SimWorld) -> bool) {
    world.template = id.to_owned();
    let came = world.run_until(HOUR, done).unwrap();
    assert!(came, "it never came to that: {:?} {}", world.status.course(), world.status.message);
}

fn outcomes(world: &SimWorld) -> Vec<Outcome> {
    world.status.history.iter().map(|entry| entry.outcome).collect()
}

#[test]
fn s4_the_first_deploy_goes_straight_to_all_pods() {
    for spec in [without_mesh(vec![set_weight(10), pause(None)]), with_mesh(vec![set_weight(10), pause(None)])] {
        let world = at_version_one(spec, 4);
        assert_eq!((world.available("v1"), world.status.step_index), (4, 2));
        assert_eq!(outcomes(&world), [Outcome::Promoted]);
    }
}

#[test]
fn s10_s18_a_good_version_walks_every_step_and_becomes_stable() {
    let steps = vec![set_weight(25), pause(Some(30)), ramp(30, 50, 10), observe(60)];
    for spec in [without_mesh(steps.clone()), with_mesh(steps)] {
        let mut world = at_version_one(with_analysis(spec), 4);
        release(&mut world, "v2", |world| healthy(world) && world.status.stable_revision.as_ref().unwrap().id == "v2");
        world.run_until(MINUTE, |_| false).unwrap();
        assert_eq!((world.available("v2"), world.wanted("v1")), (4, 0), "old pods drain");
        assert_eq!(world.weight(), Percent::ZERO);
        assert_eq!(outcomes(&world)[0], Outcome::Promoted);
        let walked: Vec<_> = world.steps.iter().map(|(_, step, sub)| (*step, *sub)).collect();
        let ramp = (1..6).map(|sub| (2, sub));
        let wanted: Vec<_> = [(0, 0), (1, 0), (2, 0)].into_iter().chain(ramp).chain([(3, 0), (4, 0)]).collect();
        assert!(walked.ends_with(&wanted), "no step is skipped and none done twice: {walked:?}");
    }
}

#[test]
fn s33_the_decision_that_finds_failed_evidence_takes_all_traffic_back_and_it_is_not_retried() {
    let mut world = at_version_one(with_analysis(with_mesh(vec![set_weight(25), observe(600)])), 4);
    world.behaviours.insert("v2".into(), Behaviour { verdict: Verdict::Continue, ..Behaviour::default() });
    release(&mut world, "v2", |world| world.weight() == Percent::whole(25));
    world.behaviours.insert("v2".into(), Behaviour { verdict: Verdict::Fail, ..Behaviour::default() });
    let decision = world.tick().unwrap();
    assert_eq!((decision.status.course(), decision.status.phase), (Course::Aborted, Some(Phase::Degraded)));
    assert_eq!(world.weight(), Percent::ZERO, "no record stands between the verdict and the route");
    world.settle().unwrap();
    world.run_until(HOUR, |_| false).unwrap();
    assert_eq!((world.wanted("v2"), world.available("v1")), (0, 4), "the canary's pods go after the delay");
    assert_eq!(outcomes(&world)[0], Outcome::Aborted);
}

#[test]
fn s33_s39_a_crash_between_the_route_write_and_the_record_of_an_abort_loses_neither() {
    let mut world = at_version_one(with_analysis(with_mesh(vec![set_weight(25), observe(600)])), 4);
    world.behaviours.insert("v2".into(), Behaviour { verdict: Verdict::Continue, ..Behaviour::default() });
    release(&mut world, "v2", |world| world.weight() == Percent::whole(25));
    world.behaviours.insert("v2".into(), Behaviour { verdict: Verdict::Fail, ..Behaviour::default() });
    world.tick_with(Fault { crash_after: Some(usize::MAX), ..Fault::default() }).unwrap();
    assert_eq!((world.weight(), world.status.course()), (Percent::ZERO, Course::Stepping), "written, not recorded");
    let told = world.notices.len();
    world.settle().unwrap();
    assert_eq!((world.weight(), outcomes(&world)[0]), (Percent::ZERO, Outcome::Aborted));
    let repaired = world.notices[told..].iter().any(|notice| notice.reason == Reason::RouteRepaired);
    assert!(!repaired, "our own write is no change by another writer");
}

#[test]
fn s34_hold_keeps_the_traffic_until_a_person_decides() {
    let spec = RolloutSpec {
        on_failure: Some(OnFailure::Hold),
        ..with_analysis(with_mesh(vec![set_weight(25), observe(600)]))
    };
    let mut world = at_version_one(spec, 4);
    world.behaviours.insert("v2".into(), Behaviour { verdict: Verdict::Fail, ..Behaviour::default() });
    release(&mut world, "v2", |world| world.status.held().is_some());
    world.run_until(HOUR, |_| false).unwrap();
    assert_eq!((world.weight(), world.status.phase), (Percent::whole(25), Some(Phase::Paused)));
    world.command(Verb::Abort, false);
    world.settle().unwrap();
    assert_eq!((world.weight(), world.status.course()), (Percent::ZERO, Course::Aborted));
}

#[test]
fn s30_a_newer_template_supersedes_and_the_old_canary_drains() {
    let mut world = at_version_one(with_mesh(vec![set_weight(50), pause(None)]), 4);
    release(&mut world, "v2", |world| world.weight() == Percent::whole(50));
    release(&mut world, "v3", |world| world.weight() == Percent::whole(50) && world.wanted("v2") == 0);
    assert_eq!(outcomes(&world)[0], Outcome::Superseded);
    assert_eq!(world.status.current_revision.as_ref().unwrap().number, 3);
}

#[test]
fn s31_back_to_the_stable_template_returns_the_traffic() {
    let mut world = at_version_one(with_mesh(vec![set_weight(50), pause(None)]), 4);
    release(&mut world, "v2", |world| world.weight() == Percent::whole(50));
    release(&mut world, "v1", healthy);
    assert_eq!((world.weight(), outcomes(&world)[0]), (Percent::ZERO, Outcome::RolledBack));
}

#[test]
fn s13_s82_a_promote_meant_for_one_pause_never_ends_the_next() {
    let mut world = at_version_one(with_mesh(vec![set_weight(10), pause(None), set_weight(20), pause(None)]), 10);
    release(&mut world, "v2", |world| world.status.step_index == 1);
    let first = world.command(Verb::Promote, false);
    let second = world.command(Verb::Promote, false);
    assert!(world.run_until(MINUTE, |world| world.status.step_index == 3).unwrap());
    world.run_until(HOUR, |_| false).unwrap();
    assert_eq!(world.status.step_index, 3, "the second click did nothing");
    assert_eq!(world.answers[&first].0, CommandState::Done);
    assert_eq!(world.answers[&second].0, CommandState::Obsolete);
}

#[test]
fn s35_s36_s82_commands_do_what_they_say_or_are_refused() {
    let mut world = at_version_one(with_mesh(vec![set_weight(10), pause(None)]), 10);
    let nothing = world.command(Verb::Abort, false);
    world.settle().unwrap();
    assert_eq!(world.answers[&nothing].0, CommandState::Refused);

    release(&mut world, "v2", |world| world.status.step_index == 1);
    world.command(Verb::Pause, false);
    world.settle().unwrap();
    let paused = world.command(Verb::Promote, true);
    world.settle().unwrap();
    assert_eq!(world.answers[&paused].0, CommandState::Refused);
    world.command(Verb::Abort, false);
    world.settle().unwrap();
    assert_eq!(
        (world.status.course(), world.weight()),
        (Course::Aborted, Percent::ZERO),
        "an abort works while paused"
    );

    world.command(Verb::Resume, false);
    world.command(Verb::Retry, false);
    world.run_until(HOUR, |world| world.status.step_index == 1).unwrap();
    assert_eq!(world.status.attempt, 2);
    world.command(Verb::Promote, true);
    let promoted = |world: &SimWorld| healthy(world) && world.status.stable_revision.as_ref().unwrap().id == "v2";
    assert!(world.run_until(HOUR, promoted).unwrap());
}

/// The routes lead to stable again at its end, which is the new version by then.
#[test]
fn s18_the_weight_that_is_shown_never_falls_in_a_promotion() {
    for spec in [with_mesh(vec![set_weight(50)]), without_mesh(vec![set_weight(50)])] {
        let mut world = at_version_one(spec, 4);
        release(&mut world, "v2", |world| world.status.course() == Course::Promoting);
        let shown = std::cell::RefCell::new(Vec::new());
        let promoted = world.run_until(HOUR, |world| {
            if world.status.course() == Course::Promoting {
                shown.borrow_mut().push(world.status.weight_shown.clone());
            }
            healthy(world)
        });
        assert!(promoted.unwrap());
        let mut shown = shown.into_inner();
        shown.dedup();
        // Without a mesh the promotion wants all pods at once.
        assert!(shown == ["50 %", "100 %"] || shown == ["100 %"], "{shown:?}");
    }
}

/// Where the pause comes after the release has begun, and before its first traffic or its promotion's.
#[test]
fn s36_no_traffic_begins_or_rises_in_a_pause() {
    let rests = |world: &mut SimWorld| {
        world.command(Verb::Pause, false);
        world.run_until(HOUR, |_| false).unwrap();
        (world.headers().len(), world.weight(), world.status.reason.clone())
    };
    for (steps, at) in [
        (vec![header_route("testers", true), set_weight(20)], Percent::ZERO),
        (vec![set_weight(20)], Percent::ZERO),
        (vec![ramp(20, 60, 10)], Percent::ZERO),
    ] {
        let mut world = at_version_one(with_mesh(steps), 10);
        world.template = "v2".into();
        world.tick().unwrap();
        assert_eq!(rests(&mut world), (0, at, Reason::Paused), "{}", world.status.message);
        assert_eq!(world.status.course(), Course::Stepping, "{}", world.status.message);
        world.command(Verb::Resume, false);
        assert!(world.run_until(HOUR, healthy).unwrap());
    }
    for spec in [with_mesh(vec![set_weight(20), pause(None)]), without_mesh(vec![set_weight(20), pause(None)])] {
        let mut world = at_version_one(spec, 10);
        release(&mut world, "v2", |world| world.status.step_index == 1);
        world.command(Verb::Promote, true);
        world.tick().unwrap();
        let (routed, pods) = (world.weight(), world.wanted("v2"));
        assert_eq!(rests(&mut world).2, Reason::Paused, "{}", world.status.message);
        assert_eq!(world.status.course(), Course::Promoting, "a pause misses no deadline: {}", world.status.message);
        assert_eq!(world.weight(), routed);
        // With a mesh pods are made ready in a pause; without one they are traffic.
        assert!(world.wanted("v2") == pods || !world.spec.traffic.is_empty(), "{pods} before");
        world.command(Verb::Resume, false);
        assert!(world.run_until(HOUR, healthy).unwrap());
        assert_eq!(world.status.stable_revision.as_ref().unwrap().id, "v2");
    }
}

/// The step's weight is on record from its first tick on, before any pod moves: a pause holds the pods that there are.
#[test]
fn s36_without_a_mesh_a_pause_holds_the_pods_while_they_are_added() {
    let mut spec = without_mesh(vec![set_weight(10), pause(Some(1)), set_weight(50)]);
    spec.strategy.canary.as_mut().unwrap().max_surge = Some(PodCount::Pods(1));
    spec.strategy.canary.as_mut().unwrap().max_unavailable = Some(PodCount::Pods(0));
    let mut world = at_version_one(spec, 20);
    release(&mut world, "v2", |world| world.wanted("v2") > 4);
    let there = world.wanted("v2");
    assert!(there < 10, "{there} of 10");
    world.command(Verb::Pause, false);
    world.run_until(HOUR, |_| false).unwrap();
    assert_eq!((world.wanted("v2"), world.status.reason.clone()), (there, Reason::Paused), "{}", world.status.message);
    world.command(Verb::Resume, false);
    assert!(world.run_until(HOUR, healthy).unwrap());
}

#[test]
fn s54_s56_a_weight_too_small_for_a_pod_is_no_lost_canary() {
    let mut spec = without_mesh(vec![set_weight(20), pause(Some(30))]);
    let canary = spec.strategy.canary.as_mut().unwrap();
    canary.max_surge = Some(PodCount::Pods(0));
    canary.max_unavailable = Some(PodCount::Pods(1));
    let mut world = at_version_one(spec, 1);
    world.template = "v2".into();
    assert!(
        world
            .run_until(HOUR, |world| healthy(world) && world.status.stable_revision.as_ref().unwrap().id == "v2")
            .unwrap()
    );
    assert_eq!(world.status.history[0].outcome, Outcome::Promoted);
}

#[test]
fn s37_s56_pods_that_come_back_from_zero_were_not_lost() {
    for spec in [without_mesh(vec![set_weight(20), pause(None)]), with_mesh(vec![set_weight(20), pause(None)])] {
        let mut world = at_version_one(spec, 6);
        release(&mut world, "v2", |world| world.status.step_index == 1);
        for _ in 0..4 {
            world.replicas = 0;
            world.run_until(MINUTE, |_| false).unwrap();
            // The canary's pods take longer than stable's.
            world.behaviours.insert(
                "v2".into(),
                Behaviour { ready_after: Some(SignedDuration::from_secs(9)), ..Behaviour::default() },
            );
            world.replicas = 6;
            world.run_until(MINUTE, |_| false).unwrap();
        }
        let release = world.status.state.release().unwrap();
        assert_eq!((release.canary_losses, world.status.step_index), (0, 1), "{}", world.status.message);
    }
}

#[test]
fn s34_s56_a_promote_after_a_hold_forgives_the_losses() {
    let mut spec = with_mesh(vec![set_weight(50), pause(None), set_weight(60), pause(None)]);
    spec.on_failure = Some(OnFailure::Hold);
    let mut world = at_version_one(spec, 4);
    release(&mut world, "v2", |world| world.status.step_index == 1);
    for _ in 0..3 {
        world.kill_pods("v2");
        world.run_until(MINUTE, |_| false).unwrap();
    }
    assert!(world.status.held().is_some(), "{}", world.status.message);
    world.command(Verb::Promote, false);
    world.run_until(MINUTE, |_| false).unwrap();
    assert!(world.status.held().is_none(), "{}", world.status.message);
}

#[test]
fn s36_s56_a_canary_lost_in_a_pause_gets_its_traffic_back_when_resumed() {
    let mut world = at_version_one(with_mesh(vec![header_route("testers", true), set_weight(20), pause(None)]), 10);
    release(&mut world, "v2", |world| world.status.step_index == 2);
    world.command(Verb::Pause, false);
    world.settle().unwrap();
    world.kill_pods("v2");
    world.run_until(HOUR, |_| false).unwrap();
    assert_eq!((world.headers().len(), world.weight()), (0, Percent::ZERO), "{}", world.status.message);
    assert_eq!(world.status.course(), Course::Stepping);
    world.command(Verb::Resume, false);
    world.run_until(MINUTE, |_| false).unwrap();
    assert_eq!((world.headers().len(), world.weight()), (1, Percent::whole(20)));
}

/// The newest entry of the history, and the events of promotions.
fn told(world: &SimWorld) -> String {
    world.status.history.first().map(|entry| entry.reason.clone()).unwrap_or_default()
}

#[test]
fn s82_the_record_of_a_promotion_says_what_was_skipped_and_who_decided() {
    let promoted = |world: &SimWorld| healthy(world) && world.status.stable_revision.as_ref().unwrap().id == "v2";
    let at_step = |step: u32, steps: Vec<Step>| {
        let mut world = at_version_one(with_mesh(steps), 10);
        release(&mut world, "v2", move |world| world.status.step_index == step);
        world
    };
    let steps = || vec![set_weight(10), pause(None), set_weight(50), pause(Some(3600)), set_weight(80)];

    let mut full = at_step(1, steps());
    let answer = full.command(Verb::Promote, true);
    assert!(full.run_until(HOUR, promoted).unwrap());
    assert_eq!(full.answers[&answer].1, "skipping steps 2 to 5");
    assert_eq!(told(&full), "promoted by ann with --full: steps 2 to 5 skipped");

    let mut reasoned = at_step(1, steps());
    let mut spec = reasoned.command_spec(Verb::Promote);
    (spec.full, spec.reason) = (true, Some("load test\nok".into()));
    reasoned.command_as(spec);
    assert!(reasoned.run_until(HOUR, promoted).unwrap());
    assert_eq!(told(&reasoned), "promoted by ann with --full: steps 2 to 5 skipped (\"load test ok\")");

    // A pause for an operator is passed by one; a timed one is cut short.
    let mut once = at_step(1, steps());
    once.command(Verb::Promote, false);
    assert!(once.run_until(HOUR, |world| world.status.step_index == 3).unwrap());
    once.command(Verb::Promote, false);
    assert!(once.run_until(HOUR, promoted).unwrap());
    assert_eq!(told(&once), "all other steps passed; step 2 promoted by ann; step 4 ended early by ann");

    let mut approved = at_step(1, vec![set_weight(10), pause(None)]);
    approved.command(Verb::Promote, false);
    assert!(approved.run_until(HOUR, promoted).unwrap());
    assert_eq!(told(&approved), "all steps passed; step 2 promoted by ann");

    let mut alone = at_step(1, vec![set_weight(10), pause(Some(5))]);
    assert!(alone.run_until(HOUR, promoted).unwrap());
    assert_eq!(told(&alone), "all steps passed");
}

#[test]
fn s84_undo_says_what_it_does() {
    let stable = |id: &'static str| {
        move |world: &SimWorld| healthy(world) && world.status.stable_revision.as_ref().unwrap().id == id
    };
    let mut world = at_version_one(with_mesh(vec![set_weight(50), pause(None)]), 4);
    release(&mut world, "v2", |world| world.status.step_index == 1);
    world.command(Verb::Promote, false);
    assert!(world.run_until(HOUR, stable("v2")).unwrap());
    let undo = world.command(Verb::Undo, false);
    assert!(world.run_until(HOUR, |world| world.status.step_index == 1).unwrap());
    let said = "#1's template is released again as #3, through 2 steps; 'glidepath promote checkout --full' skips them; \
                pinned until the template changes";
    assert_eq!(world.answers[&undo].1, said);

    let back = world.command(Verb::Undo, false);
    world.settle().unwrap();
    assert_eq!(world.answers[&back].1, "shifting all traffic back to revision #2, which is stable");
    let (ended, undo) = (&world.status.history[0], &world.status.commands[0]);
    assert_eq!((ended.ended_at, undo.verb), (undo.taken_at, Verb::Undo), "so that the history knows who ended it");
}

#[test]
fn s84_undo_pins_an_earlier_revision_until_the_file_changes() {
    let mut world = at_version_one(with_mesh(vec![set_weight(50)]), 4);
    let stable = |id: &'static str| {
        move |world: &SimWorld| healthy(world) && world.status.stable_revision.as_ref().unwrap().id == id
    };
    release(&mut world, "v2", stable("v2"));
    world.command(Verb::Undo, false);
    assert!(world.run_until(HOUR, stable("v1")).unwrap());
    assert!(world.status.pinned.is_some());
    release(&mut world, "v3", stable("v3"));
    assert!(world.status.pinned.is_none());
}

#[test]
fn s38_pods_that_never_come_up_miss_the_deadline() {
    let mut world = at_version_one(with_mesh(vec![set_weight(50)]), 4);
    world.behaviours.insert("v2".into(), Behaviour { ready_after: None, ..Behaviour::default() });
    let start = world.now;
    release(&mut world, "v2", |world| world.status.course() == Course::Aborted);
    assert_eq!(world.now.duration_since(start), SignedDuration::from_mins(10));
    assert!(world.status.message.contains("waiting for 2 of 2 canary pods"), "{}", world.status.message);
}

/// The columns, the history and `explain` read where a release ended and what its canary had from the same record.
#[test]
fn s33_a_release_ends_at_its_step_with_the_traffic_that_its_canary_had() {
    let steps = || vec![set_weight(25), pause(Some(30)), set_weight(50)];
    for spec in [with_mesh(steps()), without_mesh(steps())] {
        let mut world = at_version_one(spec, 4);
        let broken = Behaviour { ready_after: None, ..Behaviour::default() };
        world.behaviours.insert("v2".into(), broken);
        release(&mut world, "v2", |world| world.status.course() == Course::Stepping);
        world.command(Verb::Abort, false);
        assert!(world.run_until(HOUR, |world| world.status.course() == Course::Aborted).unwrap());
        assert_eq!((world.status.history[0].weight, world.status.step_shown.as_str()), (Some(Percent::ZERO), "1/3"));

        release(&mut world, "v3", |world| world.status.step_index == 2);
        world.command(Verb::Abort, false);
        assert!(world.run_until(HOUR, |world| world.status.course() == Course::Aborted).unwrap());
        world.settle().unwrap();
        assert_eq!(
            (world.status.history[0].weight, world.status.step_shown.as_str()),
            (Some(Percent::whole(25)), "3/3")
        );
    }
}

#[test]
fn s15_header_routes_and_mirrors_hold_until_they_are_taken_away_or_the_steps_end() {
    let steps = vec![
        header_route("testers", true),
        mirror(30),
        pause(None),
        header_route("testers", false),
        mirror(0),
        pause(None),
        header_route("testers", true),
        pause(None),
    ];
    let mut world = at_version_one(with_mesh(steps), 10);
    let there = |world: &SimWorld| (world.headers().join(","), world.mirror(), world.weight());
    let testers = || "testers".to_owned();
    release(&mut world, "v2", |world| world.status.step_index == 1);
    assert_eq!(there(&world), (testers(), None, Percent::ZERO));
    assert!(world.available("v2") >= 1, "a header route needs a pod");
    assert!(world.run_until(HOUR, |world| world.status.step_index == 2).unwrap());
    assert_eq!((there(&world), world.wanted("v2")), ((testers(), Some(Percent::whole(30)), Percent::ZERO), 3));
    world.lose_routes();
    world.settle().unwrap();
    assert_eq!(there(&world), (testers(), Some(Percent::whole(30)), Percent::ZERO), "a lost route comes back at once");

    world.command(Verb::Promote, false);
    assert!(world.run_until(HOUR, |world| world.status.step_index == 5).unwrap());
    assert_eq!(there(&world), (String::new(), None, Percent::ZERO));
    world.command(Verb::Promote, false);
    assert!(world.run_until(HOUR, |world| world.status.step_index == 7).unwrap());
    assert_eq!(there(&world).0, "testers");
    world.command(Verb::Promote, false);
    let moved = |world: &SimWorld| {
        assert_ne!(there(world), (String::new(), None, Percent::ZERO), "they go with the write that moves all traffic");
        world.weight() == Percent::FULL
    };
    assert!(world.run_until(HOUR, moved).unwrap());
    assert_eq!((there(&world).0, world.status.stage()), (String::new(), Some(Stage::RouteToCanary)));
    assert!(world.run_until(HOUR, healthy).unwrap());
}

#[test]
fn s33_s56_routes_go_with_an_abort_and_with_the_canarys_pods() {
    let steps = vec![header_route("testers", true), set_weight(20), pause(None)];
    let mut world = at_version_one(with_mesh(steps), 10);
    release(&mut world, "v2", |world| world.status.step_index == 2);
    world.kill_pods("v2");
    world.tick().unwrap();
    assert_eq!((world.headers().len(), world.weight()), (0, Percent::ZERO), "a lost canary has no routes");
    world.run_until(MINUTE, |_| false).unwrap();
    assert_eq!((world.headers().len(), world.weight()), (1, Percent::whole(20)), "they return with its pods");
    world.command(Verb::Abort, false);
    world.settle().unwrap();
    assert_eq!((world.headers().len(), world.weight()), (0, Percent::ZERO));
}

#[test]
fn s30_a_newer_version_begins_without_the_routes_of_the_older() {
    let mut world = at_version_one(with_mesh(vec![header_route("testers", true), pause(None)]), 4);
    release(&mut world, "v2", |world| world.status.step_index == 1);
    world.template = "v3".into();
    world.settle().unwrap();
    assert_eq!(world.headers().len(), 0, "v2's route goes at once");
    assert!(world.run_until(HOUR, |world| world.status.step_index == 1).unwrap());
    assert_eq!((world.headers().len(), world.canary_target()), (1, Some("v3")));
}

#[test]
fn s55_stable_gives_up_pods_only_when_its_traffic_is_settled_away_and_grows_before_it_returns() {
    let mut spec = with_mesh(vec![set_weight(20), pause(None), set_weight(60), pause(None)]);
    spec.strategy.canary.as_mut().unwrap().dynamic_stable_scale = true;
    let mut world = at_version_one(spec, 10);
    let counts = |world: &SimWorld| (world.wanted("v1"), world.wanted("v2"));
    release(&mut world, "v2", |world| world.status.step_index == 1);
    assert_eq!(counts(&world), (10, 2), "the delay is not over");
    world.run_until(MINUTE, |_| false).unwrap();
    assert_eq!(counts(&world), (8, 2));
    world.command(Verb::Promote, false);
    assert!(world.run_until(HOUR, |world| world.status.step_index == 3).unwrap());
    world.run_until(MINUTE, |_| false).unwrap();
    assert_eq!(counts(&world), (4, 6));
    world.command(Verb::Abort, false);
    world.settle().unwrap();
    assert_eq!(world.weight(), Percent::whole(60), "stable cannot carry more yet");
    assert_eq!(counts(&world), (10, 6), "it grows at once");
    world.run_until(MINUTE * 2, |_| false).unwrap();
    assert_eq!((world.weight(), counts(&world)), (Percent::ZERO, (10, 0)));
}

#[test]
fn s55_a_promotion_ends_with_all_pods() {
    let mut spec = with_mesh(vec![set_weight(50)]);
    let canary = spec.strategy.canary.as_mut().unwrap();
    (canary.dynamic_stable_scale, canary.min_pods_per_revision) = (true, Some(3));
    let mut world = at_version_one(spec, 4);
    release(&mut world, "v2", |world| world.status.stage().is_some());
    assert_eq!(world.wanted("v2"), 4);
    assert!(world.run_until(HOUR, |world| healthy(world) && world.wanted("v1") == 0).unwrap());
    assert_eq!(world.available("v2"), 4);
}

#[test]
fn a_revision_with_traffic_has_the_least_pods_that_the_file_says() {
    let mut spec = with_mesh(vec![set_weight(1), pause(None)]);
    spec.strategy.canary.as_mut().unwrap().min_pods_per_revision = Some(2);
    let mut world = at_version_one(spec, 4);
    release(&mut world, "v2", |world| world.status.step_index == 1);
    assert_eq!(world.wanted("v2"), 2);
}

#[test]
fn s41_what_was_fulfilled_while_nobody_looked_is_not_late() {
    let away = SignedDuration::from_secs(700);
    // The pods came in the meantime; they come within the new controller's first minute; they never come.
    for (ready_after, promoted) in [(Some(620), true), (Some(730), true), (None, false)] {
        let mut world = at_version_one(with_mesh(vec![set_weight(50)]), 4);
        let ready_after = ready_after.map(SignedDuration::from_secs);
        world.behaviours.insert("v2".into(), Behaviour { ready_after, ..Behaviour::default() });
        release(&mut world, "v2", |world| world.status.waiting_for.is_some());
        world.now += away;
        world.deciding_since = Some(world.now);
        world.settle().unwrap();
        assert_eq!(world.status.course(), Course::Stepping, "nothing is called late at first sight");
        let ended = world.run_until(HOUR, |world| world.status.course() != Course::Stepping).unwrap();
        assert_eq!((ended, world.status.course() == Course::Promoting), (true, promoted), "{ready_after:?}");
        if !promoted {
            assert_eq!(world.now.duration_since(world.deciding_since.unwrap()), MINUTE, "a minute later it is late");
        }
    }
}

#[test]
fn s56_a_lost_canary_gives_its_traffic_back_and_the_third_loss_fails() {
    let mut world = at_version_one(with_mesh(vec![set_weight(50), pause(None)]), 4);
    release(&mut world, "v2", |world| world.status.step_index == 1);
    for loss in 1..=3 {
        world.kill_pods("v2");
        world.tick().unwrap();
        assert_eq!(world.weight(), Percent::ZERO, "loss {loss} is answered in one tick");
        world.run_until(MINUTE, |_| false).unwrap();
        let wanted = if loss < 3 { Percent::whole(50) } else { Percent::ZERO };
        assert_eq!(world.weight(), wanted, "after loss {loss}");
    }
    assert_eq!(world.status.course(), Course::Aborted);
}

#[test]
fn s52_steps_wait_for_counted_requests_where_the_file_says_so() {
    let mut spec = with_analysis(with_mesh(vec![set_weight(25), pause(None)]));
    spec.verification = Some(Verification::Observed);
    let share = |share| Behaviour { share, ..Behaviour::default() };
    let verified = |world: &SimWorld| {
        let conditions = &world.status.conditions;
        conditions.iter().find(|c| c.type_ == ConditionType::ShareVerified).map(|c| c.status.clone())
    };
    let mut world = at_version_one(spec.clone(), 4);
    world.behaviours.insert("v2".into(), share(ShareVerdict::Counting));
    release(&mut world, "v2", |world| world.status.reason == Reason::Verification);
    world.run_until(HOUR, |_| false).unwrap();
    assert_eq!((world.status.step_index, verified(&world)), (0, None), "without requests it waits, and nothing fails");
    assert!(world.status.message.contains("25 % of 10000 so far"), "{}", world.status.message);
    world.behaviours.insert("v2".into(), share(ShareVerdict::Verified));
    assert!(world.run_until(MINUTE, |world| world.status.step_index == 1).unwrap());
    assert_eq!(world.status.weights.observed, Some(Percent::whole(25)));
    assert_eq!(verified(&world).as_deref(), Some("True"));

    let mut world = at_version_one(spec.clone(), 4);
    world.keeps_sessions = true;
    world.behaviours.insert("v2".into(), share(ShareVerdict::Counting));
    release(&mut world, "v2", |world| world.status.reason == Reason::Verification);
    assert!(world.status.message.contains("a rule keeps sessions (sessionPersistence)"), "{}", world.status.message);

    let beside = |steps| {
        let mut spec = with_analysis(with_mesh(steps));
        spec.verification = Some(Verification::Observed);
        let mut world = at_version_one(spec, 4);
        world.behaviours.insert("v2".into(), share(ShareVerdict::Counting));
        world
    };
    // A header route and a mirror change no weight.
    let mut world =
        beside(vec![header_route("testers", true), mirror(10), header_route("testers", false), pause(None)]);
    release(&mut world, "v2", |world| world.status.step_index == 3);
    // A release of an earlier version, in which this was no error.
    let mut world = beside(vec![header_route("testers", true), mirror(10), set_weight(25), pause(None)]);
    release(&mut world, "v2", |world| world.status.reason == Reason::Verification);
    let why =
        "is not compared: requests reach the canary beside the weight (testers, mirror 10 %); set spec.verification";
    assert!(world.status.message.contains(why), "{}", world.status.message);

    let mut world = at_version_one(spec, 4);
    world.behaviours.insert("v2".into(), share(ShareVerdict::Broken));
    release(&mut world, "v2", |world| world.status.course() == Course::Aborted);
    let reason = &world.status.history[0].reason;
    assert!(reason.contains("clients bypass the mesh"), "{reason}");
}

#[test]
fn s56_a_canary_that_stays_lost_is_told_and_misses_the_deadline_at_any_step() {
    for waits in [observe(3600), pause(None)] {
        let mut world = at_version_one(with_analysis(with_mesh(vec![set_weight(50), waits])), 4);
        world.behaviours.insert("v2".into(), Behaviour { verdict: Verdict::Continue, ..Behaviour::default() });
        release(&mut world, "v2", |world| world.status.step_index == 1);
        world.behaviours.insert("v2".into(), Behaviour { ready_after: None, ..Behaviour::default() });
        world.kill_pods("v2");
        world.settle().unwrap();
        assert_eq!((world.weight(), world.status.reason.as_str()), (Percent::ZERO, "CanaryLost"));
        let start = world.now;
        assert!(world.run_until(HOUR, |world| world.status.course() == Course::Aborted).unwrap());
        assert_eq!(world.now.duration_since(start), SignedDuration::from_mins(10));
    }
}

#[test]
fn s53_drift_is_repaired_within_one_tick() {
    let mut world = at_version_one(with_mesh(vec![set_weight(50), pause(None)]), 4);
    release(&mut world, "v2", |world| world.status.step_index == 1);
    world.drift(Percent::whole(90));
    world.tick().unwrap();
    assert_eq!(world.weight(), Percent::whole(50));
}

/// What is decided when the engine is shown something that the simulated world cannot come to.
fn shown(world: &SimWorld, status: &RolloutStatus, seen: &Seen, now: Timestamp) -> Decision {
    decide(&Input {
        name: "checkout",
        uid: "uid",
        generation: Some(2),
        deleting: false,
        skip_hand_back: false,
        spec: &world.spec,
        status,
        seen,
        now,
    })
}

/// Also at a step that waits for nothing but time, or for an operator.
#[test]
fn s53_no_step_completes_while_an_object_is_missing_and_the_deadline_runs() {
    let at_least = Some(HumanDuration::secs(30));
    let observed = Step { observe: Some(Observe { at_least, at_most: None }), ..Step::default() };
    for waits in [pause(Some(30)), pause(None), observed] {
        let spec = RolloutSpec {
            progress_deadline: Some(HumanDuration::secs(60)),
            ..with_analysis(with_mesh(vec![set_weight(50), waits.clone(), set_weight(80)]))
        };
        let mut world = at_version_one(spec, 4);
        release(&mut world, "v2", |world| world.status.step_index == 1);
        let mut seen = world.seen();
        let message = "VirtualService shop/checkout does not exist".to_owned();
        seen.problems = vec![Problem { reason: Reason::MissingVirtualService, message, blocks_all: false }];
        seen.route = Some(RouteSeen::default());
        let (mut status, mut now) = (world.status.clone(), world.now);
        for (seconds, course) in [(0, Course::Stepping), (59, Course::Stepping), (2, Course::Aborted)] {
            now += SignedDuration::from_secs(seconds);
            status = shown(&world, &status, &seen, now).status;
            assert_eq!(status.course(), course, "{waits:?} {}", status.message);
            if course == Course::Stepping {
                assert_eq!((status.step_index, status.reason.as_str()), (1, "MissingVirtualService"), "{waits:?}");
                assert!(status.message.contains("does not exist"), "{}", status.message);
            }
        }
    }
}

/// Of several route objects one is missing: the others return first, then the canary's target.
#[test]
fn s33_an_abort_with_an_object_missing_returns_those_that_are_left() {
    let mut world = at_version_one(with_mesh(vec![set_weight(50), pause(None)]), 4);
    release(&mut world, "v2", |world| world.status.step_index == 1);
    world.command(Verb::Abort, false);
    world.tick().unwrap();
    let mut seen = world.seen();
    let message = "VirtualService shop/front does not exist".to_owned();
    seen.problems = vec![Problem { reason: Reason::MissingVirtualService, message, blocks_all: false }];
    let mut status = world.status.clone();
    // One that cannot be seen may still lead to the canary.
    for (returnable, unseen, route, target) in [
        (true, false, true, false),
        (true, true, true, false),
        (false, true, false, false),
        (false, false, false, true),
    ] {
        seen.route = Some(RouteSeen { returnable, unseen, ..RouteSeen::default() });
        let decision = shown(&world, &status, &seen, world.now);
        assert_eq!(decision.status.course(), Course::Aborted);
        let asks = |wanted: fn(&Action) -> bool| decision.actions.iter().any(wanted);
        assert_eq!(asks(|a| matches!(a, Action::EnsureRoute(intent) if intent.canary.is_zero())), route);
        assert_eq!(asks(|a| matches!(a, Action::EnsureTarget { target: Target::Canary, .. })), target);
        status = decision.status;
    }
}

/// Found by a random history: another writer sends the canary's target and a share of the traffic to the first version.
#[test]
fn s4_traffic_that_another_writer_moves_during_the_first_deploy_returns_to_stable() {
    let mut world = SimWorld::new(with_mesh(vec![]), "v1", 1);
    let spoils = [Event::SpoilRoutes, Event::SpoilRoutes, Event::SpoilRoutes];
    let before = [Event::Retarget(false, Some(1)), Event::Route(true), Event::Drift(1)];
    for event in before.into_iter().chain(spoils).chain([Event::Drift(1), Event::Drift(1)]) {
        happen(&mut world, &event).and_then(|()| world.settle()).unwrap();
    }
    assert!(comes_to_rest(&mut world).unwrap());
    assert_eq!((world.status.course(), world.weight()), (Course::Idle, Percent::ZERO));
}

#[test]
fn s3_a_crash_before_the_record_skips_no_number() {
    let mut world = at_version_one(with_mesh(vec![set_weight(50), pause(None)]), 4);
    world.template = "v2".into();
    world.tick_with(Fault { crash_after: None, status_lost: true }).unwrap();
    assert_eq!(world.seen().revisions.len(), 2, "the ReplicaSet is there, the record is not");
    release(&mut world, "v2", |world| world.status.step_index == 1);
    assert_eq!(world.status.current_revision.as_ref().unwrap().number, 2);
    release(&mut world, "v1", |world| healthy(world) && world.status.history.len() == 2);
    release(&mut world, "v3", |world| world.status.step_index == 1);
    assert_eq!(world.status.current_revision.as_ref().unwrap().number, 3);
}

#[test]
fn s20_a_new_attempt_begins_once_the_old_weight_is_settled_back() {
    let mut world = at_version_one(with_mesh(vec![set_weight(50), pause(None)]), 4);
    release(&mut world, "v2", |world| world.status.step_index == 1);
    world.spec.strategy.canary.as_mut().unwrap().steps[0] = set_weight(20);
    let changed = world.now;
    let again = |world: &SimWorld| world.status.attempt == 2 && world.weight() == Percent::whole(20);
    assert!(world.run_until(HOUR, again).unwrap());
    assert!(world.now.duration_since(changed) >= SignedDuration::from_secs(1), "0 stands for as long as `settle`");
}

#[test]
fn s20_other_objects_are_taken_over_once_the_old_ones_are_given_back() {
    let mut world = at_version_one(with_mesh(vec![set_weight(50), pause(None)]), 4);
    release(&mut world, "v2", |world| world.status.step_index == 1);
    world.spec.traffic[0].istio.as_mut().unwrap().virtual_services[0].name = "front".into();
    let mut given_back = false;
    let steps = |world: &SimWorld| world.status.step_index == 1 && world.weight() == Percent::whole(50);
    for _ in 0..600 {
        world.settle().unwrap();
        if !given_back && world.stable_target().is_none() {
            given_back = true;
        }
        let old = world.status.memory.objects.as_ref().is_some_and(|old| *old != world.spec.objects());
        if old && world.weight().is_zero() && world.status.memory.giving_back {
            assert_eq!((world.available("v2"), world.available("v1")), (0, 4), "selectors then reach stable alone");
        }
        if world.status.attempt == 2 && steps(&world) {
            break;
        }
        world.sleep(SignedDuration::from_secs(1));
    }
    let told = |reason: Reason| world.notices.iter().any(|notice| notice.reason == reason);
    assert!(told(Reason::ObjectsChanged) && told(Reason::ObjectsGivenBack), "{:?}", world.notices);
    assert_eq!((world.status.attempt, world.status.step_index, world.weight()), (2, 1, Percent::whole(50)));
    assert_eq!(world.status.memory.objects, Some(world.spec.objects()));
}

/// A release that returned for other objects begins again, also when the file names the old ones after all.
#[test]
fn s20_objects_that_are_named_again_do_not_end_the_release() {
    let mut world = at_version_one(with_mesh(vec![set_weight(50), pause(None)]), 4);
    release(&mut world, "v2", |world| world.status.step_index == 1);
    let name = |world: &mut SimWorld, name: &str| {
        world.spec.traffic[0].istio.as_mut().unwrap().virtual_services[0].name = name.into();
    };
    let before = world.spec.traffic[0].istio.as_ref().unwrap().virtual_services[0].name.clone();
    name(&mut world, "front");
    assert!(world.run_until(MINUTE, |world| world.status.course() == Course::Returning).unwrap());
    name(&mut world, &before);
    let again = |world: &SimWorld| world.status.step_index == 1 && world.weight() == Percent::whole(50);
    assert!(world.run_until(HOUR, again).unwrap(), "{:?} {}", world.status.course(), world.status.message);
    assert_eq!(world.status.attempt, 2);
}

#[test]
fn s20_a_live_object_goes_from_one_strategy_to_another() {
    let blue_green = BlueGreenStrategy { active_service: Some("checkout".into()), ..BlueGreenStrategy::default() };
    let other = Strategy { blue_green: Some(blue_green), ..Strategy::default() };
    let mut world = at_version_one(with_mesh(vec![set_weight(50), pause(None)]), 4);
    release(&mut world, "v2", |world| world.status.step_index == 1);
    world.spec = RolloutSpec { strategy: other, traffic: vec![], ..world.spec.clone() };
    let stable = |id: &'static str| {
        move |world: &SimWorld| healthy(world) && world.status.stable_revision.as_ref().unwrap().id == id
    };
    assert!(world.run_until(HOUR, stable("v2")).unwrap(), "{}", world.status.message);
    assert_eq!((world.stable_target(), world.weight()), (Some("v2"), Percent::ZERO));

    // And back, at rest: nothing is released by it.
    let steps = vec![set_weight(50), pause(None)];
    world.spec = with_mesh(steps);
    assert!(world.run_until(HOUR, |world| world.status.memory.objects == Some(world.spec.objects())).unwrap());
    assert!(world.run_until(HOUR, stable("v2")).unwrap());
    assert_eq!((world.stable_target(), world.status.attempt), (Some("v2"), 2));
}

#[test]
fn s20_editing_a_walked_step_begins_again_and_editing_a_later_one_does_not() {
    let mut world = at_version_one(with_mesh(vec![set_weight(10), pause(None), set_weight(50)]), 10);
    release(&mut world, "v2", |world| world.status.step_index == 1);
    world.spec.strategy.canary.as_mut().unwrap().steps[2] = set_weight(60);
    world.settle().unwrap();
    assert_eq!((world.status.step_index, world.status.attempt), (1, 1));
    world.spec.strategy.canary.as_mut().unwrap().steps[0] = set_weight(20);
    world.settle().unwrap();
    assert_eq!((world.status.step_index, world.status.attempt), (0, 2));
    assert!(world.run_until(MINUTE, |world| world.weight() == Percent::whole(20)).unwrap());
}

#[test]
fn s37_scaling_in_the_middle_keeps_the_weight_and_the_step() {
    let mut world = at_version_one(with_mesh(vec![set_weight(50), pause(None)]), 4);
    release(&mut world, "v2", |world| world.status.step_index == 1);
    for replicas in [10, 2, 0, 6] {
        world.replicas = replicas;
        world.run_until(MINUTE, |_| false).unwrap();
        assert_eq!((world.weight(), world.status.step_index), (Percent::whole(50), 1), "{replicas}");
        assert_eq!((world.wanted("v1"), world.wanted("v2")), (replicas, replicas.div_ceil(2)));
    }
}

#[test]
fn s83_a_restart_replaces_all_pods_and_keeps_enough() {
    let mut world = at_version_one(with_mesh(vec![]), 8);
    let before = world.now;
    world.run_until(MINUTE, |_| false).unwrap();
    world.command(Verb::Restart, false);
    let restarted = |world: &SimWorld| {
        assert!(world.available("v1") >= 6, "{}", world.available("v1"));
        world.notices.iter().any(|notice| notice.reason == Reason::Restarted)
    };
    assert!(world.run_until(HOUR, restarted).unwrap(), "{}", world.status.message);
    assert!(world.now > before + MINUTE && world.status.phase == Some(Phase::Healthy));
    assert_eq!((world.available("v1"), world.status.history.len()), (8, 1), "no release");
}

/// One thing that happens to a rollout.
#[derive(Clone, Debug)]
enum Event {
    Template(u8),
    Command(Verb, bool),
    Replicas(u32),
    Kill(u8),
    Behave(u8, Option<i64>, Verdict),
    Drift(u32),
    /// One of two routes alone.
    DriftOne(u32),
    LoseRoutes,
    SpoilRoutes,
    /// Another writer moves the stable or the canary target.
    Retarget(bool, Option<u8>),
    /// Another writer scales a revision.
    Rescale(u8, u32),
    PausedInFile(bool),
    Route(bool),
    Crash(usize),
    StatusLost,
    /// The controller's clock jumps to so many seconds off.
    Clock(i64),
    Wait(i64),
}

fn event() -> impl Strategy2 {
    let verb = prop_oneof![
        Just(Verb::Promote),
        Just(Verb::Abort),
        Just(Verb::Pause),
        Just(Verb::Resume),
        Just(Verb::Retry),
        Just(Verb::Undo),
        Just(Verb::Restart)
    ];
    let verdict = prop_oneof![Just(Verdict::Pass), Just(Verdict::Continue), Just(Verdict::Fail), Just(Verdict::NoData)];
    prop_oneof![
        2 => (1u8..5).prop_map(Event::Template),
        3 => (verb, any::<bool>()).prop_map(|(verb, full)| Event::Command(verb, full)),
        1 => (0u32..12).prop_map(Event::Replicas),
        1 => (1u8..5).prop_map(Event::Kill),
        1 => (1u8..5, proptest::option::of(0i64..20), verdict).prop_map(|(id, ready, verdict)| Event::Behave(id, ready, verdict)),
        1 => (0u32..=100).prop_map(Event::Drift),
        1 => (0u32..=100).prop_map(Event::DriftOne),
        1 => Just(Event::LoseRoutes),
        1 => Just(Event::SpoilRoutes),
        1 => (any::<bool>(), proptest::option::of(1u8..5)).prop_map(|(stable, id)| Event::Retarget(stable, id)),
        1 => (1u8..5, 0u32..12).prop_map(|(id, replicas)| Event::Rescale(id, replicas)),
        1 => any::<bool>().prop_map(Event::PausedInFile),
        1 => any::<bool>().prop_map(Event::Route),
        2 => (0usize..4).prop_map(Event::Crash),
        1 => Just(Event::StatusLost),
        1 => (-5i64..=5).prop_map(Event::Clock),
        6 => (1i64..120).prop_map(Event::Wait),
    ]
}

use proptest::strategy::Strategy as Strategy2Base;
trait Strategy2: Strategy2Base<Value = Event> {}
impl<T: Strategy2Base<Value = Event>> Strategy2 for T {}

fn step() -> impl Strategy2Base<Value = Step> {
    prop_oneof![
        3 => (0u32..=100).prop_map(set_weight),
        2 => proptest::option::of(1u64..60).prop_map(pause),
        1 => (10u64..100).prop_map(observe),
        1 => (1u32..30, 30u32..100, 5u32..40).prop_map(|(from, to, by)| ramp(from, to, by)),
        1 => ("[ab]", any::<bool>()).prop_map(|(name, there)| header_route(&name, there)),
        1 => (0u32..50).prop_map(mirror),
        1 => (prop_oneof!["yes", "no", "late", "person"], 1u64..200, 0u8..3).prop_map(|(name, s, then)| gate(name, s, then)),
    ]
}

fn gate(name: String, seconds: u64, then: u8) -> Step {
    let then = [OnTimeout::Hold, OnTimeout::Abort, OnTimeout::Promote][usize::from(then)];
    let gate = match name.as_str() {
        "person" => Gate { approval: Some(true), ..Gate::default() },
        _ => Gate { url: Some("https://gate.example.com".into()), ..Gate::default() },
    };
    let timeout = Some(HumanDuration::secs(seconds));
    Step { gate: Some(Gate { name, timeout, on_timeout: Some(then), ..gate }), ..Step::default() }
}

fn ab_test() -> impl Strategy2Base<Value = AbTestStrategy> {
    let templates = vec![TemplateRef { name: "golden-signals".into(), cluster_scope: false }];
    let judged = Judged { templates, args: vec![] };
    let times = (0u64..600, 600u64..7200);
    (proptest::option::of(1u32..100), any::<bool>(), times, any::<bool>(), any::<bool>(), any::<bool>()).prop_map(
        move |(weight, sticky, (least, most), guarded, hold, takes)| AbTestStrategy {
            matches: if weight.is_none() { vec![beta()] } else { vec![] },
            weight: weight.map(Percent::whole),
            sticky: (sticky && weight.is_some()).then(|| Sticky { cookie: "variant".into(), ttl: None }),
            min_duration: Some(HumanDuration::secs(least)),
            max_duration: Some(HumanDuration::secs(most)),
            goal: judged.clone(),
            guardrails: guarded.then(|| judged.clone()),
            on_win: hold.then_some(OnWin::Hold),
            on_no_difference: takes.then_some(OnNoDifference::Promote),
        },
    )
}

fn beta() -> RequestMatch {
    let header = ValueMatch { name: "x-beta".into(), exact: Some("yes".into()), ..ValueMatch::default() };
    RequestMatch { header: Some(header), cookie: None }
}

fn blue_green() -> impl Strategy2Base<Value = BlueGreenStrategy> {
    let analysis = || {
        let templates = vec![TemplateRef { name: "golden-signals".into(), cluster_scope: false }];
        let at_most = Some(HumanDuration::secs(60));
        proptest::option::of(Just(AnalysisStep { templates, at_most, ..AnalysisStep::default() }))
    };
    let promotion = proptest::option::of((any::<bool>(), proptest::option::of(0u64..60)));
    let reached = (any::<bool>(), proptest::option::of(1u32..50));
    (analysis(), analysis(), proptest::option::of(1u32..4), promotion, any::<bool>(), reached).prop_map(
        |(before, after, replicas, promotion, preview, (header, mirror))| BlueGreenStrategy {
            preview_match: if header { vec![beta()] } else { vec![] },
            preview_mirror: mirror.map(|percent| MirrorRoute { percent: Percent::whole(percent), matches: vec![] }),
            active_service: Some("checkout".into()),
            preview_service: preview.then(|| "preview".to_owned()),
            preview_replicas: replicas,
            pre_promotion_analysis: before,
            post_promotion_analysis: after,
            auto_promotion: promotion.map(|(enabled, after)| AutoPromotion {
                enabled: Some(enabled),
                after: after.filter(|_| enabled).map(HumanDuration::secs),
            }),
        },
    )
}

fn happen(world: &mut SimWorld, event: &Event) -> Result<(), Vec<String>> {
    match event {
        Event::Template(id) => world.template = format!("v{id}"),
        Event::Command(verb, full) => {
            world.command(*verb, *full);
        }
        Event::Replicas(replicas) => world.replicas = *replicas,
        Event::Kill(id) => world.kill_pods(&format!("v{id}")),
        Event::Behave(id, ready, verdict) => {
            let ready_after = ready.map(SignedDuration::from_secs);
            let goal = match verdict {
                Verdict::Pass => (Verdict::Pass, "CandidateWins"),
                Verdict::Fail => (Verdict::Fail, "ControlWins"),
                Verdict::NoData => (Verdict::Inconclusive, if *id % 2 == 0 { "NoDifference" } else { "Invalid" }),
                verdict => (*verdict, ""),
            };
            let behaviour = Behaviour { ready_after, verdict: *verdict, goal, ..Behaviour::default() };
            world.behaviours.insert(format!("v{id}"), behaviour);
        }
        Event::Drift(weight) => world.drift(Percent::whole(*weight)),
        Event::DriftOne(weight) => world.drift_one(Percent::whole(*weight)),
        Event::LoseRoutes => world.lose_routes(),
        Event::SpoilRoutes => world.spoil_routes(),
        Event::Retarget(stable, id) => {
            let target = if *stable { Target::Stable } else { Target::Canary };
            world.retarget(target, id.map(|id| format!("v{id}")).as_deref());
        }
        Event::Rescale(id, replicas) => world.rescale(&format!("v{id}"), *replicas),
        Event::PausedInFile(paused) => world.spec.paused = *paused,
        Event::Route(other) => {
            let named = if *other { "front" } else { "checkout" };
            let istio = world.spec.traffic.iter_mut().filter_map(|router| router.istio.as_mut());
            istio.for_each(|istio| istio.virtual_services[0].name = named.into());
        }
        Event::Crash(after) => {
            world.tick_with(Fault { crash_after: Some(*after), status_lost: false })?;
        }
        Event::StatusLost => {
            world.tick_with(Fault { crash_after: None, status_lost: true })?;
        }
        Event::Clock(seconds) => world.skew = SignedDuration::from_secs(*seconds),
        Event::Wait(seconds) => {
            world.run_until(SignedDuration::from_secs(*seconds), |_| false)?;
        }
    }
    Ok(())
}

/// Whatever happened: when it stops, the rollout comes to rest or waits for an operator by name (I10).
fn comes_to_rest(world: &mut SimWorld) -> Result<bool, Vec<String>> {
    world.spec.paused = false;
    world.end_faults();
    world.run_until(HOUR * 24, |world| {
        let rests = matches!(world.status.course(), Course::Idle | Course::Aborted | Course::ControlKept);
        rests || world.status.phase == Some(Phase::Paused) || world.replicas == 0
    })
}

static SOAK: Soak = Soak::new("engine", "GLIDEPATH_HISTORIES", 20_000);

proptest! {
    #![proptest_config(ProptestConfig { cases: SOAK.histories(), failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_history_keeps_the_invariants_and_comes_to_rest(
        mesh in any::<bool>(), analysed in any::<bool>(), hold in any::<bool>(), replicas in 1u32..12,
        blue_green in proptest::option::weighted(0.3, blue_green()), dynamic in any::<bool>(), window in 0u32..3,
        test in proptest::option::weighted(0.2, ab_test()), sticky in proptest::bool::weighted(0.3),
        steps in proptest::collection::vec(step(), 0..6), events in proptest::collection::vec(event(), 1..25),
    ) {
        let pods_cannot = |step: &Step| step.set_header_route.is_some() || step.set_mirror_route.is_some();
        let spec = if mesh {
            with_mesh(steps)
        } else {
            without_mesh(steps.into_iter().filter(|step| !pods_cannot(step)).collect())
        };
        let spec = if analysed { with_analysis(spec) } else { spec };
        let on_failure = hold.then_some(OnFailure::Hold);
        let rollback_window = (window > 0).then_some(RollbackWindow { revisions: window });
        let mut spec = RolloutSpec { on_failure, rollback_window, ..spec };
        if let Some(canary) = &mut spec.strategy.canary {
            canary.dynamic_stable_scale = dynamic;
            canary.sticky = sticky.then(|| Sticky { cookie: "release".into(), ttl: None });
        }
        if let Some(mut blue_green) = blue_green {
            if !mesh {
                (blue_green.preview_match, blue_green.preview_mirror) = (vec![], None);
            }
            spec.strategy = Strategy { blue_green: Some(blue_green), ..Strategy::default() };
            spec.analysis = None;
        } else if let Some(test) = test.filter(|_| mesh) {
            spec.strategy = Strategy { ab_test: Some(test), ..Strategy::default() };
            spec.analysis = None;
        }
        let mut world = SimWorld::new(spec, "v1", replicas);
        let began = world.now;
        world.gates.insert("no".into(), GateAnswer::No("not today".into()));
        world.gates.insert("late".into(), GateAnswer::Unclear("it responded HTTP 503".into()));
        for event in &events {
            if let Err(broken) = happen(&mut world, event).and_then(|()| world.settle()) {
                return Err(TestCaseError::fail(format!("{event:?}: {broken:?}")));
            }
        }
        let rests = comes_to_rest(&mut world);
        SOAK.count(world.ticks, world.now.duration_since(began).unsigned_abs().as_secs());
        match rests {
            Ok(rests) => prop_assert!(rests, "stuck in {:?}: {}", world.status.course(), world.status.message),
            Err(broken) => return Err(TestCaseError::fail(format!("{broken:?}"))),
        }
    }
}
