//! A/B tests in the simulated world (rules S70 to S73).

use glidepath::api::{
    RolloutSpec,
    analysis::{TemplateRef, Verdict},
    command::{CommandState, Verb},
    common::{HumanDuration, Percent},
    reason::Reason,
    rollout::OnInconclusive,
    status::{Course, Outcome, Phase, Stage},
    strategy::{AbTestStrategy, Judged, OnNoDifference, OnWin, RequestMatch, Sticky, Strategy, ValueMatch},
    traffic::{IstioTraffic, TrafficRouter, VirtualServiceRef},
};
use jiff::SignedDuration;

use crate::small_world::{Behaviour, SimWorld};

const HOUR: SignedDuration = SignedDuration::from_hours(1);

fn judged(name: &str) -> Judged {
    Judged { templates: vec![TemplateRef { name: name.into(), cluster_scope: false }], args: vec![] }
}

/// Half of the users each, who stay; an hour at least, a day at most.
fn by_weight() -> AbTestStrategy {
    AbTestStrategy {
        weight: Some(Percent::whole(50)),
        sticky: Some(Sticky { cookie: "variant".into(), ttl: None }),
        min_duration: Some(HumanDuration::secs(3600)),
        max_duration: Some(HumanDuration::secs(24 * 3600)),
        goal: judged("orders"),
        ..AbTestStrategy::default()
    }
}

fn by_header() -> AbTestStrategy {
    let header = ValueMatch { name: "x-beta".into(), exact: Some("yes".into()), ..ValueMatch::default() };
    let matches = vec![RequestMatch { header: Some(header), cookie: None }];
    AbTestStrategy { matches, weight: None, sticky: None, ..by_weight() }
}

fn spec(test: AbTestStrategy) -> RolloutSpec {
    let service = VirtualServiceRef { name: "checkout".into(), ..VirtualServiceRef::default() };
    let istio = IstioTraffic { virtual_services: vec![service], destination_rule: None };
    RolloutSpec {
        strategy: Strategy { ab_test: Some(test), ..Strategy::default() },
        traffic: vec![TrafficRouter { istio: Some(istio), ..TrafficRouter::default() }],
        settle: Some(HumanDuration::secs(1)),
        scale_down_delay: Some(HumanDuration::secs(60)),
        ..RolloutSpec::default()
    }
}

/// A test of version 2 against version 1, with 4 pods, in which the goal metric says this.
fn test_of(spec: RolloutSpec, goal: (Verdict, &'static str)) -> SimWorld {
    let mut world = SimWorld::new(spec, "v1", 4);
    let first = world.run_until(HOUR, |world| world.status.phase == Some(Phase::Healthy)).unwrap();
    assert!(first, "{}", world.status.message);
    says(&mut world, goal);
    world.template = "v2".to_owned();
    world
}

fn says(world: &mut SimWorld, goal: (Verdict, &'static str)) {
    let before = world.behaviours.get("v2").copied().unwrap_or_default();
    world.behaviours.insert("v2".into(), Behaviour { goal, ..before });
}

fn comes_to(world: &mut SimWorld, within: SignedDuration, done: impl Fn(&SimWorld) -> bool) {
    let came = world.run_until(within, done).unwrap();
    assert!(came, "it never came to that: {:?} {}", world.status.course(), world.status.message);
}

fn promoted(world: &SimWorld) -> bool {
    world.status.phase == Some(Phase::Healthy) && world.stable_target() == Some("v2")
}

const OPEN: (Verdict, &str) = (Verdict::Continue, "");
const WON: (Verdict, &str) = (Verdict::Pass, "CandidateWins");
const LOST: (Verdict, &str) = (Verdict::Fail, "ControlWins");
const SAME: (Verdict, &str) = (Verdict::Inconclusive, "NoDifference");
const BROKEN: (Verdict, &str) = (Verdict::Inconclusive, "Invalid");

#[test]
fn s70_users_are_drawn_and_stay() {
    let mut world = test_of(spec(by_weight()), OPEN);
    comes_to(&mut world, HOUR, |world| world.weight() == Percent::whole(50));
    assert_eq!((world.available("v1"), world.available("v2")), (4, 2), "the candidate has what its share needs");
    assert_eq!(world.sticky(), Some("v2-1".to_owned()));
    assert!(world.status.weights.sticky);

    world.command(Verb::Abort, false);
    comes_to(&mut world, HOUR, |world| world.status.course() == Course::Aborted && world.weight().is_zero());
    assert_eq!((world.sticky(), world.status.weights.sticky), (None, false), "nobody stays with what is taken back");
    world.command(Verb::Retry, false);
    comes_to(&mut world, HOUR, |world| world.sticky() == Some("v2-2".to_owned()));
}

#[test]
fn s70_users_are_told_apart_by_what_they_send() {
    let mut world = test_of(spec(by_header()), OPEN);
    comes_to(&mut world, HOUR, |world| world.headers() == ["candidate"]);
    assert_eq!((world.available("v2"), world.weight(), world.sticky()), (4, Percent::ZERO, None));
    says(&mut world, WON);
    comes_to(&mut world, HOUR * 2, promoted);
    assert!(world.headers().is_empty());
}

#[test]
fn s70_no_decision_before_its_time() {
    for goal in [WON, LOST, SAME] {
        let mut world = test_of(spec(by_weight()), goal);
        comes_to(&mut world, HOUR, |world| {
            world.status.waiting_for.as_ref().is_some_and(|w| w.reason == Reason::Testing)
        });
        let began = world.now;
        comes_to(&mut world, HOUR * 2, |world| world.status.course() != Course::Stepping);
        assert_eq!(world.now.duration_since(began), HOUR, "{goal:?}");
    }
}

#[test]
fn s71_a_broken_split_holds_at_once_and_a_failed_guardrail_aborts() {
    let mut world = test_of(spec(by_weight()), BROKEN);
    comes_to(&mut world, HOUR / 2, |world| world.status.held().is_some());
    assert_eq!((world.status.reason.as_str(), world.weight()), ("SampleRatio", Percent::whole(50)));
    says(&mut world, OPEN);
    world.command(Verb::Retry, false);
    comes_to(&mut world, HOUR / 2, |world| world.status.held().is_none() && world.sticky() == Some("v2-2".to_owned()));

    let guarded = AbTestStrategy { guardrails: Some(judged("golden-signals")), ..by_weight() };
    let mut world = test_of(spec(guarded), OPEN);
    comes_to(&mut world, HOUR, |world| world.weight() == Percent::whole(50));
    let behaviour = Behaviour { verdict: Verdict::Fail, goal: WON, ..Behaviour::default() };
    world.behaviours.insert("v2".into(), behaviour);
    comes_to(&mut world, HOUR / 2, |world| world.status.course() == Course::Aborted);
    assert_eq!(world.status.history[0].outcome, Outcome::Aborted);
}

#[test]
fn s72_the_candidate_wins() {
    let mut world = test_of(spec(by_weight()), WON);
    comes_to(&mut world, HOUR * 2, promoted);
    assert_eq!((world.status.history[0].outcome, world.sticky()), (Outcome::Promoted, None));

    let held = AbTestStrategy { on_win: Some(OnWin::Hold), ..by_weight() };
    let mut world = test_of(spec(held), WON);
    comes_to(&mut world, HOUR * 2, |world| world.status.held().is_some());
    assert_eq!((world.status.reason.as_str(), world.weight()), ("CandidateWins", Percent::whole(50)));
    world.command(Verb::Promote, false);
    comes_to(&mut world, HOUR, promoted);
}

#[test]
fn s72_control_wins_and_that_is_no_error() {
    let mut world = test_of(spec(by_weight()), LOST);
    comes_to(&mut world, HOUR * 2, |world| world.status.course() == Course::ControlKept && world.available("v2") == 0);
    assert_eq!((world.status.history[0].outcome, world.status.phase), (Outcome::KeptControl, Some(Phase::Healthy)));
    assert_eq!((world.stable_target(), world.canary_target()), (Some("v1"), Some("v1")));
    assert!(world.status.message.contains("control won: orders: 12 %"), "{}", world.status.message);
    let promote = world.command(Verb::Promote, false);
    world.settle().unwrap();
    assert_eq!(world.answers[&promote].0, CommandState::Obsolete);
    world.command(Verb::Retry, false);
    comes_to(&mut world, HOUR, |world| world.sticky() == Some("v2-2".to_owned()));
}

#[test]
fn s72_no_difference_keeps_control_or_promotes() {
    let mut world = test_of(spec(by_weight()), SAME);
    comes_to(&mut world, HOUR * 2, |world| world.status.course() == Course::ControlKept);
    assert_eq!(world.status.history[0].outcome, Outcome::KeptControl);
    let takes = AbTestStrategy { on_no_difference: Some(OnNoDifference::Promote), ..by_weight() };
    let mut world = test_of(spec(takes), SAME);
    comes_to(&mut world, HOUR * 2, promoted);
}

#[test]
fn s72_without_a_decision_the_policy_decides() {
    let day = HOUR * 25;
    let mut world = test_of(spec(by_weight()), OPEN);
    comes_to(&mut world, day, |world| world.status.held().is_some());
    assert!(world.status.message.contains("no decision within 24h"), "{}", world.status.message);
    for (policy, course) in [(OnInconclusive::Abort, Course::Aborted), (OnInconclusive::Promote, Course::Promoting)] {
        let spec = RolloutSpec { on_inconclusive: Some(policy), ..spec(by_weight()) };
        let mut world = test_of(spec, OPEN);
        comes_to(&mut world, day, |world| world.status.course() == course);
    }
}

/// Rule S36: a test that is paused over its end does not end in the meantime.
#[test]
fn s36_while_paused_the_tests_time_stands_still() {
    let mut world = test_of(spec(by_weight()), OPEN);
    comes_to(&mut world, HOUR, |world| world.weight() == Percent::whole(50));
    world.command(Verb::Pause, false);
    assert!(!world.run_until(HOUR * 48, |world| world.status.held().is_some()).unwrap());
    world.now += HOUR * 48;
    world.settle().unwrap();
    assert_eq!(world.status.held(), None, "{}", world.status.message);
    world.command(Verb::Resume, false);
    comes_to(&mut world, HOUR * 25, |world| world.status.held().is_some());
}

/// A pause that is commanded when the time is over, and before any controller has seen that it is.
#[test]
fn s36_a_test_does_not_end_in_a_pause_that_came_first() {
    let mut world = test_of(spec(by_weight()), OPEN);
    comes_to(&mut world, HOUR, |world| world.status.waiting_for.as_ref().is_some_and(|w| w.reason == Reason::Testing));
    world.now += HOUR * 24 * 15;
    world.command(Verb::Pause, false);
    world.settle().unwrap();
    world.run_until(HOUR, |_| false).unwrap();
    assert_eq!(world.status.held(), None, "{}", world.status.message);
    world.command(Verb::Resume, false);
    comes_to(&mut world, HOUR, |world| world.status.held().is_some());
}

#[test]
fn s73_users_stay_until_the_candidate_is_everywhere() {
    let mut world = test_of(spec(by_weight()), OPEN);
    comes_to(&mut world, HOUR, |world| world.weight() == Percent::whole(50));
    let behaviour = Behaviour { ready_after: Some(SignedDuration::from_secs(60)), goal: WON, ..Behaviour::default() };
    world.behaviours.insert("v2".into(), behaviour);
    comes_to(&mut world, HOUR * 2, |world| world.status.stage() == Some(Stage::Scale) && world.available("v2") == 2);
    assert_eq!((world.weight(), world.sticky()), (Percent::whole(50), Some("v2-1".to_owned())));
    // One write moves everyone, and takes the cookies with it.
    comes_to(&mut world, HOUR, |world| {
        let moved = world.weight() == Percent::FULL;
        assert_eq!(world.sticky().is_none(), moved, "at {}", world.weight());
        moved
    });
    assert_eq!((world.available("v1"), world.available("v2")), (4, 4), "control never rolls in place");
    comes_to(&mut world, HOUR, promoted);
}

#[test]
fn s70_a_lost_candidate_gives_its_users_back_and_gets_them_again() {
    let mut world = test_of(spec(by_weight()), OPEN);
    comes_to(&mut world, HOUR, |world| world.weight() == Percent::whole(50));
    world.kill_pods("v2");
    comes_to(&mut world, HOUR, |world| world.weight().is_zero());
    assert_eq!(world.sticky(), None);
    comes_to(&mut world, HOUR, |world| world.weight() == Percent::whole(50));
    assert_eq!(world.sticky(), Some("v2-1".to_owned()), "the same test: its users keep their cookies");
}
