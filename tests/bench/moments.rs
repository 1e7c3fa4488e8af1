//! Shipped Rollouts that have been in use for a while, played to the moments that matter.
//!
//! They have a full history, and old ReplicaSets.

use std::{path::Path, sync::Arc};

use glidepath::{
    api::{
        Rollout, RolloutSpec, RolloutStatus,
        analysis::{Measurement, MetricStatus, Verdict},
        command::Verb,
        reason::Reason,
        status::Phase,
    },
    engine::{Decision, Input, Seen, step},
};
use jiff::{SignedDuration, Timestamp};
use serde::Deserialize;
use serde_json::json;

use crate::small_world::SimWorld;

/// Longer than any release here.
pub const DAY: SignedDuration = SignedDuration::from_hours(24);
const REPLICAS: u32 = 10;
/// Releases before the one that is looked at: the status keeps the last ten.
const RELEASES: u32 = 12;

/// One tick's input, owned.
pub struct Moment {
    spec: RolloutSpec,
    pub status: RolloutStatus,
    seen: Seen,
    now: Timestamp,
}

impl Moment {
    pub fn of(world: &SimWorld) -> Self {
        let mut seen = world.seen();
        seen.selector = "app=checkout".to_owned();
        seen.runs.values_mut().for_each(|run| Arc::make_mut(&mut run.status).metrics = golden_signals(world.now));
        Moment { spec: world.spec.clone(), status: world.status.clone(), seen, now: world.now }
    }

    pub fn decide(&self) -> Decision {
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
    pub fn written_down(mut self) -> Self {
        self.status = self.decide().status;
        self
    }
}

/// A shipped Rollout that has seen a dozen releases and is at rest.
pub fn released(file: &str) -> SimWorld {
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
pub fn release(world: &mut SimWorld, id: &str, done: impl Fn(&SimWorld) -> bool) {
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
pub fn shipped(file: &str) -> RolloutSpec {
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
