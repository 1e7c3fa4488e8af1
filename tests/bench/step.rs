//! What one decision costs: `engine::step`.

use std::hint::black_box;

use criterion::Criterion;
use glidepath::api::{
    reason::Reason,
    status::{Course, Stage},
};

use crate::{
    moments::{DAY, Moment, release, released},
    small_world::SimWorld,
};

pub fn benchmarks(criterion: &mut Criterion) {
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
pub fn at_rest(world: &SimWorld) -> Moment {
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
pub fn beginning(mut world: SimWorld) -> Moment {
    world.template = "next".to_owned();
    Moment::of(&world)
}

/// The last tick of a promotion: stable changes hands, and the history is written.
pub fn promoting(mut world: SimWorld) -> Moment {
    let newest = world.status.history[0].clone();
    release(&mut world, "next", |world| world.status.stage() == Some(Stage::RouteToStable));
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
