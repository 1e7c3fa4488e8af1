//! The engine is total: whatever the file, the last status and the cluster say, a decision comes out (W10).

use glidepath::{
    api::{
        RolloutSpec, RolloutStatus,
        common::Percent,
        pod_count::PodCount,
        status::{
            AtRest, Promoting, Release as UnderWay, Returning, ReturnsBecause, RevisionRef, Shortcut, ShortcutBecause,
            Stage, State, Stepping, StepsDone, Way, Weights,
        },
        strategy::{BlueGreenStrategy, CanaryScale, CanaryStrategy, MirrorRoute, Step, Sticky, Strategy as Release},
    },
    engine::{
        Input, RevisionSeen, RouteSeen, Seen, TargetSeen, TemplateSeen, TerminationSeen, WorkloadSeen, invariants,
        replicas::{Pods, PodsNeeded, Slack, next_move, split},
        step,
    },
};
use jiff::Timestamp;
use proptest::prelude::*;

use crate::engine::{pause, set_weight, with_mesh, without_mesh};

fn number() -> impl Strategy<Value = u32> {
    prop_oneof![4 => 0u32..12, 1 => Just(u32::MAX / 2), 1 => Just(u32::MAX - 1), 2 => Just(u32::MAX)]
}

fn percent() -> impl Strategy<Value = Percent> {
    (0u32..=100).prop_map(Percent::whole)
}

fn count() -> impl Strategy<Value = Option<PodCount>> {
    proptest::option::of(prop_oneof![number().prop_map(PodCount::Pods), (0u32..=9_999).prop_map(PodCount::Share)])
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let scale = (proptest::option::of(number()), proptest::option::of(percent())).prop_map(|(replicas, percent)| {
        Step { set_canary_scale: Some(CanaryScale { replicas, percent, ..CanaryScale::default() }), ..Step::default() }
    });
    let mirror = percent().prop_map(|percent| Step {
        set_mirror_route: Some(MirrorRoute { percent, matches: vec![] }),
        ..Step::default()
    });
    let weight = (0u32..=100).prop_map(set_weight);
    proptest::collection::vec(prop_oneof![weight, scale, mirror, Just(pause(None))], 0..4)
}

fn spec() -> impl Strategy<Value = RolloutSpec> {
    let canary = (steps(), count(), count(), proptest::option::of(number()), any::<bool>());
    let blue_green = proptest::option::weighted(0.3, (number(), percent()));
    (any::<bool>(), canary, blue_green).prop_map(|(mesh, (steps, surge, unavailable, least, dynamic), blue_green)| {
        let mut spec = if mesh { with_mesh(vec![]) } else { without_mesh(vec![]) };
        spec.strategy = match blue_green {
            Some((replicas, percent)) => {
                let preview_mirror = mesh.then_some(MirrorRoute { percent, matches: vec![] });
                let preview_replicas = Some(replicas);
                let strategy = BlueGreenStrategy { preview_replicas, preview_mirror, ..BlueGreenStrategy::default() };
                Release { blue_green: Some(strategy), ..Release::default() }
            }
            None => {
                let canary = CanaryStrategy {
                    steps,
                    max_surge: surge,
                    max_unavailable: unavailable,
                    min_pods_per_revision: least,
                    dynamic_stable_scale: dynamic,
                    sticky: dynamic.then(|| Sticky { cookie: "release".into(), ttl: None }),
                };
                Release { canary: Some(canary), ..Release::default() }
            }
        };
        spec
    })
}

fn revision(id: &'static str) -> impl Strategy<Value = RevisionSeen> {
    (number(), number(), number(), prop_oneof![Just(1u64), Just(u64::MAX)]).prop_map(
        move |(wanted, pods, available, number)| RevisionSeen {
            id: id.into(),
            number,
            wanted,
            pods,
            ready: available,
            available,
            terminations: vec![termination("a", wanted, available), termination("b", pods, pods)],
            ..RevisionSeen::default()
        },
    )
}

fn termination(pod: &str, ended: u32, restarts: u32) -> TerminationSeen {
    let oom_killed = ended % 2 == 1;
    TerminationSeen { pod: pod.into(), ended, restarts, oom_killed, ..TerminationSeen::default() }
}

fn target() -> impl Strategy<Value = TargetSeen> {
    (proptest::option::of(0usize..3), number()).prop_map(|(revision, listed)| {
        let revision = revision.map(|index| ["v1", "v2", "v0"][index].to_owned());
        let endpoints = revision.iter().map(|id| (id.clone(), listed)).collect();
        TargetSeen { revision, endpoints: Some(endpoints), ..TargetSeen::default() }
    })
}

fn seen() -> impl Strategy<Value = Seen> {
    let route = (proptest::option::of(percent()), percent(), proptest::option::of(percent()), any::<bool>());
    let route = route.prop_map(|(weight, other, mirror, drifted)| RouteSeen {
        weight,
        disagreement: weight.is_none().then_some((other, Percent::FULL)),
        mirror,
        drifted,
        ..RouteSeen::default()
    });
    let workload = proptest::option::of((number(), any::<bool>()));
    (number(), (revision("v0"), revision("v1"), revision("v2")), route, target(), target(), workload).prop_map(
        |(replicas, (old, stable, current), route, stable_target, canary_target, workload)| Seen {
            template: Some(TemplateSeen { id: "v2".into(), ..TemplateSeen::default() }),
            replicas,
            revisions: vec![old, stable, current],
            route: Some(route),
            stable_target: Some(stable_target),
            canary_target: Some(canary_target),
            workload: workload.map(|(pods, paused)| WorkloadSeen {
                wanted: pods,
                pods,
                available: pods,
                paused,
                ..WorkloadSeen::default()
            }),
            ..Seen::default()
        },
    )
}

fn state() -> impl Strategy<Value = State> {
    let stages = [Stage::Scale, Stage::RouteToCanary, Stage::MoveStable, Stage::PostAnalysis, Stage::RouteToStable];
    let rest = AtRest::default;
    let ways = [ReturnsBecause::BackAtStable, ReturnsBecause::ObjectsChanged];
    let promoting = (0..stages.len(), way()).prop_map(move |(stage, way)| {
        let begun = Promoting::begin(way, UnderWay::begin(Timestamp::UNIX_EPOCH), Timestamp::UNIX_EPOCH);
        State::Promoting(Box::new(Promoting { stage: stages[stage], ..begun }))
    });
    let stepping = (0u32..5, any::<bool>()).prop_map(|(step, taking_back)| {
        let begun = Stepping::begin(Timestamp::UNIX_EPOCH);
        State::Stepping(Box::new(Stepping { step, taking_back, ..begun }))
    });
    let returning = (0..ways.len()).prop_map(move |way| {
        State::Returning(Returning { because: ways[way], since: Timestamp::UNIX_EPOCH, progress: None })
    });
    let at_rest =
        prop_oneof![Just(State::Idle(rest())), Just(State::Aborted(rest())), Just(State::ControlKept(rest()))];
    prop_oneof![Just(State::default()), at_rest, stepping, promoting, returning]
}

fn way() -> impl Strategy<Value = Way> {
    let steps = (0u32..5).prop_map(|step| Way::Steps(StepsDone { step, sub_step: 0 }));
    let shortcut = |because| Just(Way::Shortcut(Shortcut { because }));
    prop_oneof![steps, shortcut(ShortcutBecause::RollbackWindow), shortcut(ShortcutBecause::StillRunning)]
}

fn status() -> impl Strategy<Value = RolloutStatus> {
    (state(), percent()).prop_map(|(state, desired)| {
        let revision = |id: &str, number| Some(RevisionRef { id: id.into(), number });
        RolloutStatus {
            stable_revision: if state == State::default() { None } else { revision("v1", 1) },
            current_revision: revision("v2", 2),
            state,
            attempt: 1,
            weights: Weights { desired, ..Weights::default() },
            ..RolloutStatus::default()
        }
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, failure_persistence: None, ..ProptestConfig::default() })]

    /// W10: numbers at the ends of their range never make the engine panic, nor what checks it.
    #[test]
    fn w10_a_decision_comes_out_of_any_numbers(
        spec in spec(), seen in seen(), status in status(), deleting in proptest::bool::weighted(0.1),
    ) {
        let mut status = status;
        for _ in 0..3 {
            let input = Input {
                name: "checkout",
                uid: "uid",
                generation: Some(i64::MAX),
                deleting,
                skip_hand_back: false,
                spec: &spec,
                status: &status,
                seen: &seen,
                now: Timestamp::MAX,
            };
            let decision = step(&input);
            let _ = invariants::broken(&input, &decision);
            status = decision.status;
        }
    }

    #[test]
    fn w10_replica_arithmetic_saturates(
        replicas in number(), weight in percent(), surge in number(), unavailable in number(),
        pods in proptest::collection::vec((number(), number()), 3),
    ) {
        let of = |index: usize| Pods { wanted: pods[index].0, available: pods[index].1 };
        let target = split(replicas, weight, surge);
        next_move(replicas, target, Slack { surge, unavailable }, of(0), of(1), &[of(2)]);
        let (one, other) = (PodsNeeded { canary: replicas, stable: surge }, PodsNeeded { canary: surge, stable: surge });
        prop_assert!(one.peak(other) >= u64::from(surge));
    }
}
