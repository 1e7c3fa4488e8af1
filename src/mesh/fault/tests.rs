//! The rules F1 to F4, by example and in random histories.

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use proptest::{prelude::*, strategy::ValueTree as _};

use super::*;
use crate::{
    api::{
        MeshFault,
        fault::{
            EndReason, Ended, FaultPhase, FaultResult, FaultState, FaultTarget, MeshFaultSpec, MeshFaultStatus,
            PendingReason,
        },
    },
    mesh::{Facts, change::PlanSeen},
};

const MINUTES_10: i64 = 600;

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

/// What a step sees of a fault of ten minutes, created at 0, while nothing is wrong.
fn input(state: Option<&FaultState>, second: i64) -> Input<'_> {
    Input {
        now: at(second),
        created: at(0),
        state,
        settings: Settings { duration: std::time::Duration::from_secs(600), has_guard: true },
        is_allowed: true,
        plan: PlanSeen::Clear,
        is_busy: false,
        is_releasing: false,
        guard: GuardSeen::Holds,
        faulted: 1000,
        is_canceled: false,
    }
}

/// One that began at 5.
fn active() -> FaultState {
    let begun = step(&input(None, 5));
    assert_eq!((begun.desired, begun.wake), (Desired::Until(at(605)), Some(at(605))));
    begun.state
}

/// How it ends with what is seen.
fn end(seen: &Input<'_>) -> (FaultResult, EndReason) {
    let decision = step(seen);
    let FaultState::Ended(Ended { result, because, .. }) = decision.state else { panic!("{decision:?}") };
    assert_eq!((decision.desired, decision.wake), (Desired::Nothing, None));
    (result, because)
}

#[test]
fn f3_a_fault_that_took_its_time_survived_if_enough_requests_had_it() {
    let active = active();
    assert_eq!(end(&input(Some(&active), 605)), (FaultResult::Survived, EndReason::Elapsed));
    let few = Input { faulted: 99, ..input(Some(&active), 605) };
    assert_eq!(end(&few), (FaultResult::Inconclusive, EndReason::Elapsed));
    let late = step(&input(Some(&active), 9000));
    let FaultState::Ended(ended) = &late.state else { panic!("{late:?}") };
    assert_eq!((ended.at, ended.evidence.as_ref().unwrap().faulted), (at(605), 1000), "the mesh has ended it in time");
    assert_eq!(step(&input(Some(&late.state), 9001)).state, late.state, "and it does not begin again");
}

#[test]
fn f3_a_guard_that_fails_stops_it_at_once() {
    let active = active();
    for (guard, because) in [(GuardSeen::Failed, EndReason::GuardFailed), (GuardSeen::Burning, EndReason::BudgetBurned)]
    {
        for (second, faulted) in [(6, 1), (605, 1000)] {
            let seen = Input { guard, faulted, ..input(Some(&active), second) };
            assert_eq!(end(&seen), (FaultResult::Stopped, because), "at {second}");
        }
        let unguarded = Settings { has_guard: false, ..input(None, 0).settings };
        let seen = Input { guard, settings: unguarded, ..input(Some(&active), 605) };
        assert_eq!(end(&seen), (FaultResult::Survived, EndReason::Elapsed), "without a guard");
    }
}

#[test]
fn f3_a_guard_that_is_blind_for_a_minute_ends_it_without_a_result() {
    let begun = active();
    let blind = |state: &FaultState, second| step(&Input { guard: GuardSeen::Unknown, ..input(Some(state), second) });
    let first = blind(&begun, 100);
    assert_eq!((first.state.phase(), first.wake), (FaultPhase::Active, Some(at(160))));
    assert_eq!(first.desired, Desired::Until(at(605)));
    let seen = Input { guard: GuardSeen::Unknown, ..input(Some(&first.state), 160) };
    assert_eq!(end(&seen), (FaultResult::Inconclusive, EndReason::GuardUnknown));
    let back = step(&input(Some(&first.state), 159));
    assert_eq!(back.state, begun, "it sees again");
    assert_eq!(blind(&back.state, 161).state.phase(), FaultPhase::Active, "the minute begins anew");
}

#[test]
fn what_is_in_the_way_of_a_beginning_is_named_and_waited_for() {
    let base = || input(None, 5);
    for (seen, because) in [
        (Input { is_allowed: false, is_busy: true, ..base() }, PendingReason::NotAllowed),
        (Input { plan: PlanSeen::Refused, ..base() }, PendingReason::Refused),
        (Input { plan: PlanSeen::Conflicted, ..base() }, PendingReason::Conflicted),
        (Input { is_busy: true, plan: PlanSeen::Conflicted, ..base() }, PendingReason::TargetBusy),
        (Input { is_releasing: true, ..base() }, PendingReason::Releasing),
        (Input { guard: GuardSeen::Burning, ..base() }, PendingReason::GuardFailing),
        (Input { guard: GuardSeen::Unknown, ..base() }, PendingReason::GuardUnknown),
    ] {
        let decision = step(&seen);
        let FaultState::Pending(pending) = &decision.state else { panic!("{decision:?}") };
        assert_eq!((pending.because, pending.since), (because, at(5)));
        assert_eq!((decision.desired, decision.wake), (Desired::Nothing, Some(at(MINUTES_10))));
        let still = Input { now: at(300), state: Some(&decision.state), ..seen.clone() };
        assert_eq!(step(&still).state, decision.state, "since when it waits for this");
        assert_eq!(step(&input(Some(&decision.state), 300)).desired, Desired::Until(at(900)));
        let late = Input { now: at(MINUTES_10), state: Some(&decision.state), ..seen };
        assert_eq!(end(&late), (FaultResult::Inconclusive, EndReason::NotBegun));
    }
}

#[test]
fn a_fault_that_no_controller_saw_in_time_does_not_begin() {
    assert_eq!(end(&input(None, MINUTES_10)), (FaultResult::Inconclusive, EndReason::NotBegun));
}

#[test]
fn f4_a_release_a_missing_label_and_an_operator_end_it_without_a_result() {
    let active = active();
    let base = || input(Some(&active), 100);
    for (seen, because) in [
        (Input { is_releasing: true, ..base() }, EndReason::Releasing),
        (Input { is_allowed: false, ..base() }, EndReason::NotAllowed),
        (Input { is_canceled: true, ..base() }, EndReason::Canceled),
    ] {
        assert_eq!(end(&seen), (FaultResult::Inconclusive, because));
        let guarded = Input { guard: GuardSeen::Failed, ..seen };
        assert_eq!(end(&guarded), (FaultResult::Stopped, EndReason::GuardFailed), "what it has shown counts");
    }
    assert_eq!(end(&Input { is_canceled: true, ..input(None, 5) }).1, EndReason::Canceled);
}

#[test]
fn what_is_on_the_mesh_does_not_end_a_fault_that_is_active() {
    let active = active();
    for plan in [PlanSeen::Refused, PlanSeen::Conflicted] {
        let seen = Input { plan, is_busy: true, ..input(Some(&active), 100) };
        assert_eq!(step(&seen).desired, Desired::Until(at(605)));
    }
}

fn fault(name: &str, service: &str, created: i64) -> MeshFault {
    let target = FaultTarget { service: service.to_owned(), ..FaultTarget::default() };
    let mut fault = MeshFault::new(name, MeshFaultSpec { target, ..MeshFaultSpec::default() });
    fault.metadata.namespace = Some("shop".to_owned());
    fault.metadata.creation_timestamp = Some(Time(at(created)));
    fault
}

#[test]
fn two_services_of_one_workload_are_one_target() {
    let mut facts = Facts::default();
    for (name, app) in [("web", "web"), ("web-canary", "web"), ("cart", "cart")] {
        facts.add(&serde_json::json!({"kind": "Service", "metadata": {"namespace": "shop", "name": name},
            "spec": {"selector": {"app": app}, "ports": []}}));
        facts.add(&serde_json::json!({"kind": "Deployment", "metadata": {"namespace": "shop", "name": app},
            "spec": {"template": {"metadata": {"labels": {"app": app}}, "spec": {}}}}));
    }
    let same = |one, other| is_same_target(&fault("a", one, 0), &fault("b", other, 0), &facts);
    assert!(same("web", "web") && same("web", "web-canary") && !same("web", "cart") && same("gone", "gone"));
}

/// What happens in a history.
#[derive(Clone, Debug)]
enum Event {
    /// Time passes, in seconds.
    Passes(i64),
    /// The controller steps, records and writes.
    Steps(usize),
    /// It steps, records and dies.
    DiesBeforeWriting(usize),
    /// It dies before it records.
    DiesBeforeRecording(usize),
    /// What it sees changes.
    Allowed(bool),
    Releasing(usize, bool),
    Guard(GuardSeen),
    Canceled(usize),
}

const FAULTS: usize = 6;
const TARGETS: usize = 2;

fn event() -> impl Strategy<Value = Event> {
    let guard = prop_oneof![
        8 => Just(GuardSeen::Holds), 1 => Just(GuardSeen::Failed), 1 => Just(GuardSeen::Burning), 2 => Just(GuardSeen::Unknown)
    ];
    prop_oneof![
        6 => (0..200i64).prop_map(Event::Passes),
        12 => (0..FAULTS).prop_map(Event::Steps),
        4 => (0..FAULTS).prop_map(Event::DiesBeforeWriting),
        2 => (0..FAULTS).prop_map(Event::DiesBeforeRecording),
        1 => prop::bool::weighted(0.8).prop_map(Event::Allowed),
        1 => (0..TARGETS, prop::bool::weighted(0.3)).prop_map(|(target, is)| Event::Releasing(target, is)),
        2 => guard.prop_map(Event::Guard),
        1 => (0..FAULTS).prop_map(Event::Canceled),
    ]
}

/// Faults with what is recorded of them, and what the mesh does.
struct World {
    now: i64,
    faults: Vec<MeshFault>,
    /// The end that is written into the mesh, by fault.
    mesh: Vec<Option<Timestamp>>,
    /// The first end that was recorded.
    first: Vec<Option<Timestamp>>,
    is_allowed: bool,
    is_releasing: [bool; TARGETS],
    guard: GuardSeen,
    is_canceled: [bool; FAULTS],
}

impl World {
    fn new() -> Self {
        let fault =
            |index: usize| fault(&format!("f{index}"), &format!("s{}", index % TARGETS), (index as i64 % 3) * 60);
        World {
            now: 120,
            faults: (0..FAULTS).map(fault).collect(),
            mesh: vec![None; FAULTS],
            first: vec![None; FAULTS],
            is_allowed: true,
            is_releasing: [false; TARGETS],
            guard: GuardSeen::Holds,
            is_canceled: [false; FAULTS],
        }
    }

    fn decide(&self, index: usize) -> Decision {
        let fault = &self.faults[index];
        let others = self.faults.iter().zip(&self.mesh);
        let others = others.map(|(fault, written)| Competitor { fault, is_written: written.is_some() });
        step(&Input {
            created: fault.metadata.creation_timestamp.as_ref().unwrap().0,
            is_allowed: self.is_allowed,
            is_busy: is_busy(fault, others, &Facts::default()),
            is_releasing: self.is_releasing[index % TARGETS],
            guard: self.guard,
            is_canceled: self.is_canceled[index],
            ..input(fault.status.as_ref().and_then(|status| status.state.as_ref()), self.now)
        })
    }

    fn record(&mut self, index: usize, decision: &Decision) {
        let status = MeshFaultStatus { state: Some(decision.state.clone()), ..MeshFaultStatus::default() };
        self.faults[index].status = Some(status);
        if let Some(until) = decision.state.until() {
            assert_eq!(*self.first[index].get_or_insert(until), until, "the end is fixed when it begins");
        }
    }

    fn write(&mut self, index: usize, desired: Desired) {
        self.mesh[index] = match desired {
            Desired::Nothing => None,
            Desired::Until(until) => Some(until),
        };
    }

    fn happens(&mut self, event: &Event) {
        match *event {
            Event::Passes(seconds) => self.now += seconds,
            Event::Steps(index) => {
                let decision = self.decide(index);
                self.record(index, &decision);
                self.write(index, decision.desired);
            }
            Event::DiesBeforeWriting(index) => {
                let decision = self.decide(index);
                self.record(index, &decision);
            }
            Event::DiesBeforeRecording(index) => drop(self.decide(index)),
            Event::Allowed(is) => self.is_allowed = is,
            Event::Releasing(target, is) => self.is_releasing[target] = is,
            Event::Guard(guard) => self.guard = guard,
            Event::Canceled(index) => self.is_canceled[index] = true,
        }
        self.check();
    }

    fn check(&self) {
        for target in 0..TARGETS {
            let of_target = (target..FAULTS).step_by(TARGETS);
            let on: Vec<usize> =
                of_target.filter(|index| self.mesh[*index].is_some_and(|until| until > at(self.now))).collect();
            assert!(on.len() <= 1, "two faults on one target: {on:?}");
        }
        for (index, until) in self.mesh.iter().enumerate() {
            let created = self.faults[index].metadata.creation_timestamp.as_ref().unwrap().0;
            let latest = created + BEGINS_WITHIN + SignedDuration::from_secs(MINUTES_10);
            assert!(until.is_none_or(|until| until < latest && Some(until) == self.first[index]), "{index}: {until:?}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    /// Over by the recorded end always, never two on one target, whatever dies; and in the end nothing is left on the mesh.
    #[test]
    fn random_histories_with_crashes(events in prop::collection::vec(event(), 1..120)) {
        let mut world = World::new();
        events.iter().for_each(|event| world.happens(event));
        world.happens(&Event::Passes(3600));
        prop_assert!(world.mesh.iter().flatten().all(|until| *until <= at(world.now)), "the mesh ends it without a controller");
        (0..FAULTS).for_each(|index| world.happens(&Event::Steps(index)));
        let phase = |fault: &MeshFault| fault.status.as_ref().unwrap().state.as_ref().unwrap().phase();
        prop_assert!(world.faults.iter().all(|fault| phase(fault) == FaultPhase::Ended));
        prop_assert!(world.mesh.iter().all(Option::is_none));
    }
}

/// Faults begin in these histories at all: otherwise they would show nothing.
#[test]
fn faults_of_both_targets_begin_in_histories() {
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let mut begun = [0; TARGETS];
    for _ in 0..50 {
        let events = prop::collection::vec(event(), 120).new_tree(&mut runner).unwrap().current();
        let mut world = World::new();
        events.iter().for_each(|event| world.happens(event));
        (0..FAULTS).filter(|index| world.first[*index].is_some()).for_each(|index| begun[index % TARGETS] += 1);
    }
    assert!(begun.iter().all(|count| *count > 20), "{begun:?}");
}
