//! The gate step in the simulated world (rule S16, with S33 to S36 and S82 where they meet it).

use glidepath::{
    api::{
        RolloutSpec,
        command::{CommandState, Verb},
        common::{HumanDuration, Percent},
        reason::Reason,
        rollout::OnFailure,
        status::{Course, Outcome, Phase},
        strategy::{CanaryStrategy, Gate, OnTimeout, Step, Strategy},
    },
    engine::GateAnswer,
};
use jiff::SignedDuration;

use crate::small_world::{Fault, SimWorld};

const MINUTE: SignedDuration = SignedDuration::from_mins(1);
const HOUR: SignedDuration = SignedDuration::from_hours(1);

fn endpoint() -> Gate {
    Gate { name: "window".into(), url: Some("https://gate.example.com/ask".into()), ..Gate::default() }
}

fn approval() -> Gate {
    Gate { name: "manager".into(), approval: Some(true), ..Gate::default() }
}

fn spec(gate: Gate) -> RolloutSpec {
    let weight = Step { set_weight: Some(Percent::whole(25)), ..Step::default() };
    let steps = vec![weight, Step { gate: Some(gate), ..Step::default() }];
    let canary = CanaryStrategy { steps, ..CanaryStrategy::default() };
    RolloutSpec {
        strategy: Strategy { canary: Some(canary), ..Strategy::default() },
        settle: Some(HumanDuration::secs(1)),
        scale_down_delay: Some(HumanDuration::secs(1)),
        ..RolloutSpec::default()
    }
}

fn unclear() -> GateAnswer {
    GateAnswer::Unclear("it responded HTTP 503".into())
}

/// Version 2 of 4 pods is before the gate, whose endpoint gives this answer.
fn at_gate(spec: RolloutSpec, answer: GateAnswer) -> SimWorld {
    let mut world = SimWorld::new(spec, "v1", 4);
    comes_to(&mut world, HOUR, |world| world.status.phase == Some(Phase::Healthy));
    let decides = !matches!(answer, GateAnswer::Unclear(_));
    world.gates.insert("window".into(), answer);
    world.template = "v2".to_owned();
    comes_to(&mut world, HOUR, |world| if decides { !world.asked.is_empty() } else { world.status.step_index == 1 });
    world
}

fn comes_to(world: &mut SimWorld, within: SignedDuration, done: impl Fn(&SimWorld) -> bool) {
    let came = world.run_until(within, done).unwrap();
    assert!(came, "it never came to that: {:?} {}", world.status.course(), world.status.message);
}

/// Lets so much time pass, with every wake on the way.
fn passes(world: &mut SimWorld, time: SignedDuration) {
    let end = world.now + time;
    assert!(!world.run_until(time, |_| false).unwrap());
    world.now = end;
    world.settle().unwrap();
}

fn promoted(world: &SimWorld) -> bool {
    world.status.phase == Some(Phase::Healthy) && world.status.stable_revision.as_ref().unwrap().id == "v2"
}

fn waits(world: &SimWorld) -> String {
    world.status.waiting_for.as_ref().map(|waiting| waiting.message.clone()).unwrap_or_default()
}

#[test]
fn s16_a_yes_opens_the_gate_and_is_asked_for_once() {
    let mut world = at_gate(spec(endpoint()), GateAnswer::Yes);
    comes_to(&mut world, HOUR, promoted);
    assert_eq!(world.asked.len(), 1);
    let question = &world.asked[0];
    assert_eq!((question.gate.as_str(), question.step, question.attempt), ("window", 1, 1));
    assert!(question.key.ends_with("/v2/1/1"), "{}", question.key);
    assert!(world.notices.iter().any(|notice| notice.reason == Reason::GateOpened));
}

#[test]
fn s16_anything_else_is_asked_again_less_and_less_often() {
    let mut world = at_gate(spec(endpoint()), unclear());
    passes(&mut world, MINUTE * 10);
    // After 0, 5, 15, 35 and 75 s, then once a minute: 5 and 8 within ten minutes.
    assert_eq!(world.asked.len(), 13);
    let numbers: Vec<u32> = world.asked.iter().map(|question| question.number).collect();
    assert_eq!(numbers, (0..13).collect::<Vec<_>>());
    assert_eq!(world.status.phase, Some(Phase::Progressing));
    assert_eq!(waits(&world), "waiting for gate window, asked 13 times: it responded HTTP 503");
    world.gates.insert("window".into(), GateAnswer::Yes);
    comes_to(&mut world, MINUTE * 2, promoted);
}

#[test]
fn s16_a_no_fails_the_release() {
    let no = GateAnswer::No("change freeze until Monday".into());
    let mut world = at_gate(spec(endpoint()), no.clone());
    comes_to(&mut world, HOUR, |world| world.status.course() == Course::Aborted && world.weight().is_zero());
    let entry = &world.status.history[0];
    assert_eq!(
        (entry.outcome, entry.reason.as_str()),
        (Outcome::Aborted, "gate window denied: change freeze until Monday")
    );
    assert_eq!(world.asked.len(), 1);
    // Rule S35: another attempt asks again.
    world.gates.insert("window".into(), GateAnswer::Yes);
    world.command(Verb::Retry, false);
    comes_to(&mut world, HOUR, promoted);
    assert!(world.asked[1].key.ends_with("/v2/1/2"), "{}", world.asked[1].key);

    let held = RolloutSpec { on_failure: Some(OnFailure::Hold), ..spec(endpoint()) };
    let mut world = at_gate(held, no);
    comes_to(&mut world, HOUR, |world| world.status.held().is_some());
    assert_eq!((world.status.reason.as_str(), world.status.step_index), ("GateRefused", 1));
    // Rule S34: an operator's word overrides it.
    world.command(Verb::Promote, false);
    comes_to(&mut world, HOUR, promoted);
    assert_eq!(world.asked.len(), 1);
}

#[test]
fn s16_a_gate_that_stays_shut_does_as_the_file_says() {
    let timed = |on_timeout| Gate { timeout: Some(HumanDuration::secs(600)), on_timeout, ..endpoint() };
    let mut world = at_gate(spec(timed(None)), unclear());
    passes(&mut world, MINUTE * 9);
    assert_eq!(world.status.held(), None);
    comes_to(&mut world, MINUTE * 2, |world| world.status.held().is_some());
    let held = world.status.held().cloned().unwrap();
    assert_eq!(held.reason, Reason::GateTimeout);
    assert!(held.message.starts_with("gate window did not approve within 10m, asked "), "{}", held.message);
    let asked = world.asked.len();
    passes(&mut world, HOUR);
    assert_eq!(world.asked.len(), asked, "nobody is asked while a person is");

    let mut world = at_gate(spec(timed(Some(OnTimeout::Abort))), unclear());
    comes_to(&mut world, HOUR, |world| world.status.course() == Course::Aborted);
    assert_eq!(world.status.history[0].outcome, Outcome::Aborted);
    let mut world = at_gate(spec(timed(Some(OnTimeout::Promote))), unclear());
    comes_to(&mut world, HOUR, promoted);
}

#[test]
fn s16_without_a_timeout_it_is_a_day() {
    let mut world = at_gate(spec(approval()), unclear());
    passes(&mut world, HOUR * 23);
    assert_eq!((world.status.held().cloned(), world.status.phase), (None, Some(Phase::Paused)));
    comes_to(&mut world, HOUR * 2, |world| world.status.held().is_some());
    assert!(world.status.message.contains("manager was not approved within 24h"), "{}", world.status.message);
}

#[test]
fn s82_promote_approves_and_a_second_click_does_nothing_more() {
    let mut world = at_gate(spec(approval()), unclear());
    passes(&mut world, MINUTE);
    assert_eq!((world.status.phase, world.status.reason.as_str()), (Some(Phase::Paused), "Approval"));
    assert_eq!(waits(&world), "waiting for manual approval: manager");
    assert_eq!(world.asked, vec![], "nobody is asked over HTTP");
    let click = world.command_spec(Verb::Promote);
    let (first, second) = (world.command_as(click.clone()), world.command_as(click));
    comes_to(&mut world, HOUR, promoted);
    assert_eq!((world.answers[&first].0, world.answers[&second].0), (CommandState::Done, CommandState::Obsolete));
}

#[test]
fn s82_promote_ends_the_wait_for_an_endpoint() {
    let mut world = at_gate(spec(endpoint()), unclear());
    world.command(Verb::Promote, false);
    comes_to(&mut world, HOUR, promoted);
}

#[test]
fn s36_while_paused_nobody_is_asked_and_the_clock_stands_still() {
    let gate = Gate { timeout: Some(HumanDuration::secs(600)), ..endpoint() };
    let mut world = at_gate(spec(gate), unclear());
    passes(&mut world, MINUTE * 5);
    world.command(Verb::Pause, false);
    world.settle().unwrap();
    let asked = world.asked.len();
    passes(&mut world, HOUR);
    assert_eq!((world.asked.len(), world.status.held().cloned()), (asked, None));
    assert_eq!(world.status.waiting_for.as_ref().and_then(|waiting| waiting.until), None);
    world.command(Verb::Resume, false);
    passes(&mut world, MINUTE * 4);
    assert_eq!(world.status.held(), None);
    assert!(world.asked.len() > asked);
    comes_to(&mut world, MINUTE * 2, |world| world.status.held().is_some());
}

/// A pause that is commanded when the time is over, and before any controller has seen that it is.
#[test]
fn s36_a_gate_does_not_time_out_in_a_pause_that_came_first() {
    let gate = Gate { timeout: Some(HumanDuration::secs(600)), ..endpoint() };
    let mut world = at_gate(spec(gate), unclear());
    world.now += HOUR;
    world.command(Verb::Pause, false);
    world.settle().unwrap();
    passes(&mut world, HOUR);
    assert_eq!(world.status.held(), None, "{}", world.status.message);
    world.command(Verb::Resume, false);
    comes_to(&mut world, MINUTE * 2, |world| world.status.held().is_some());
}

/// Rule S39: a yes that is on record is not asked for again; one that was lost with the process is.
#[test]
fn s16_a_yes_on_record_outlives_the_controller() {
    let mut world = at_gate(spec(endpoint()), unclear());
    world.command(Verb::Pause, false);
    world.settle().unwrap();
    world.gates.insert("window".into(), GateAnswer::Yes);
    world.command(Verb::Resume, false);
    comes_to(&mut world, MINUTE * 2, |world| {
        world.status.state.stepping().and_then(|stepping| stepping.gate.as_ref()).is_some_and(|gate| gate.open)
            || promoted(world)
    });
    let asked = world.asked.len();
    comes_to(&mut world, HOUR, promoted);
    assert_eq!(world.asked.len(), asked);

    let mut world = SimWorld::new(spec(endpoint()), "v1", 4);
    comes_to(&mut world, HOUR, |world| world.status.phase == Some(Phase::Healthy));
    world.template = "v2".to_owned();
    while world.asked.is_empty() {
        world.sleep(MINUTE);
        world.tick_with(Fault { status_lost: world.status.step_index == 1, ..Fault::default() }).unwrap();
    }
    comes_to(&mut world, HOUR, promoted);
    assert!(world.asked.iter().all(|question| question.number == 0), "{:?}", world.asked);
}
