//! What one decision costs: `engine::step` on the shipped rollouts, played to the moments that matter.
//!
//! `make bench`. A Rollout has a full history here and old ReplicaSets, as one that has been in use for a while.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a benchmark, as a test")]

#[path = "../it/small_world/mod.rs"]
#[allow(dead_code, reason = "the benchmark needs a part of it")]
mod small_world;

use std::{hint::black_box, path::Path, sync::Arc, time::Duration};

use criterion::{Criterion, criterion_group, criterion_main};
use glidepath::{
    api::{
        Rollout, RolloutSpec, RolloutStatus,
        analysis::{Measurement, MetricStatus, Verdict},
        command::Verb,
        reason::Reason,
        status::{Course, Phase},
    },
    engine::{Decision, Input, Seen, step},
};
use jiff::{SignedDuration, Timestamp};
use serde::Deserialize;
use serde_json::json;
use small_world::SimWorld;

const DAY: SignedDuration = SignedDuration::from_hours(24);
const REPLICAS: u32 = 10;
/// Releases before the one that is looked at: the status keeps the last ten.
const RELEASES: u32 = 12;

/// One tick's input, owned.
struct Moment {
    spec: RolloutSpec,
    status: RolloutStatus,
    seen: Seen,
    now: Timestamp,
}

impl Moment {
    fn of(world: &SimWorld) -> Self {
        let mut seen = world.seen();
        seen.selector = "app=checkout".to_owned();
        seen.runs.values_mut().for_each(|run| Arc::make_mut(&mut run.status).metrics = golden_signals(world.now));
        Moment { spec: world.spec.clone(), status: world.status.clone(), seen, now: world.now }
    }

    fn decide(&self) -> Decision {
        step(&Input {
            name: "checkout",
            uid: "5d8c3f0e-8b0f-4c3e-9d53-6f6a3d0a7c11",
            generation: Some(13),
            deleting: false,
            skip_hand_back: false,
            spec: &self.spec,
            status: &self.status,
            seen: &self.seen,
            now: self.now,
        })
    }

    /// The same moment with what its first decision wrote down: the fixed point, if nothing is to be done.
    fn written_down(mut self) -> Self {
        self.status = self.decide().status;
        self
    }
}

fn benchmarks(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("step");
    let plain = released("canary.yaml");
    let mesh = released("canary-istio.yaml");
    for (name, moment) in [
        ("at rest, no mesh", at_rest(&plain)),
        ("at rest, mesh and analysis", at_rest(&mesh)),
        ("observing, no mesh and analysis", observing(plain.clone())),
        ("observing, mesh and analysis", observing(mesh.clone())),
        ("beginning a new version, mesh and analysis", beginning(mesh.clone())),
        ("the tick that promotes, mesh and analysis", promoting(mesh)),
    ] {
        group.bench_function(name, |bencher| bencher.iter(|| black_box(black_box(&moment).decide())));
    }
    group.finish();
}

/// Nothing to do: what every Rollout of a fleet costs when it is looked at.
fn at_rest(world: &SimWorld) -> Moment {
    let moment = Moment::of(world).written_down();
    let decision = moment.decide();
    assert!(decision.actions.is_empty() && decision.status == moment.status, "this is no fixed point");
    moment
}

/// In the middle of an observation: the tick of every change of its pods, routes and evidence.
fn observing(mut world: SimWorld) -> Moment {
    world.template = "next".to_owned();
    let waits = |world: &SimWorld| world.status.waiting_for.as_ref().is_some_and(|wait| wait.reason == Reason::Observe);
    assert!(world.run_until(DAY, waits).unwrap(), "{}", world.status.message);
    let moment = Moment::of(&world).written_down();
    assert_eq!((moment.status.course(), moment.status.metrics.len()), (Course::Stepping, 4));
    moment
}

/// The template has just changed.
fn beginning(mut world: SimWorld) -> Moment {
    world.template = "next".to_owned();
    Moment::of(&world)
}

/// The last tick of a promotion: stable changes hands, and the history is written.
fn promoting(mut world: SimWorld) -> Moment {
    let newest = world.status.history[0].clone();
    release(&mut world, "next", |world| world.status.stage() == Some(glidepath::api::status::Stage::RouteToStable));
    loop {
        let moment = Moment::of(&world);
        let decision = moment.decide();
        if decision.status.history[0] != newest {
            assert_eq!(decision.status.stable_revision.unwrap().id, "next");
            return moment;
        }
        world.tick().unwrap();
        world.sleep(DAY);
    }
}

/// A shipped Rollout that has seen a dozen releases and is at rest.
fn released(file: &str) -> SimWorld {
    let mut world = SimWorld::new(shipped(file), "v0", REPLICAS);
    for number in 0..RELEASES {
        let id = format!("v{number}");
        release(&mut world, &id, |world| {
            world.status.phase == Some(Phase::Healthy) && world.status.stable_revision.as_ref().unwrap().id == id
        });
        world.run_until(DAY, |_| false).unwrap();
    }
    assert_eq!(world.status.history.len(), 10);
    world
}

/// Lets a release run until `done`, promoting it out of every pause.
fn release(world: &mut SimWorld, id: &str, done: impl Fn(&SimWorld) -> bool) {
    world.template = id.to_owned();
    let pauses = |world: &SimWorld| world.status.waiting_for.as_ref().is_some_and(|wait| wait.reason == Reason::Pause);
    while world.run_until(DAY, |world| done(world) || pauses(world)).unwrap() {
        if done(world) {
            return;
        }
        world.command(Verb::Promote, false);
        world.settle().unwrap();
    }
    panic!("{id} never came that far: {}", world.status.message);
}

/// The first Rollout in a file of `rollouts/`.
fn shipped(file: &str) -> RolloutSpec {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("rollouts").join(file);
    let text = std::fs::read_to_string(path).unwrap();
    let first = serde_yaml::Deserializer::from_str(&text).next().unwrap();
    Rollout::deserialize(first).unwrap().spec
}

/// What a run of the golden-signals template holds after a while.
fn golden_signals(now: Timestamp) -> Vec<MetricStatus> {
    let measurement = |turn: i64| Measurement {
        at: Some(now - SignedDuration::from_secs(15 * turn)),
        value: "0.12 % (9/7,412) vs 0.10 % (141/140,828)".into(),
        verdict: Verdict::Continue,
    };
    let metric = |name: &str| MetricStatus {
        name: name.into(),
        verdict: Verdict::Continue,
        required: true,
        reason: "Comparing".into(),
        canary: "0.12 % (9/7,412)".into(),
        stable: "0.10 % (141/140,828)".into(),
        comparison: "ratio 1.2, 95 % CS 0.5-2.9, p = 1.0".into(),
        needs: Some("about 1,900 more canary requests".into()),
        accumulator: Some(json!({"canary": {"bad": 9, "all": 7412}, "stable": {"bad": 141, "all": 140828},
            "grid": (0..32).map(|n| f64::from(n) * 0.37).collect::<Vec<_>>()})),
        measurements: (0..20).map(measurement).collect(),
        ..MetricStatus::default()
    };
    ["errors", "latency", "restarts", "readiness"].map(metric).to_vec()
}

criterion_group! {
    name = benches;
    config = Criterion::default().warm_up_time(Duration::from_secs(1)).measurement_time(Duration::from_secs(3));
    targets = benchmarks
}
criterion_main!(benches);
