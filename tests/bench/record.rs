//! The write of a status: the patch of what changed, as the text that is sent.

use std::hint::black_box;

use criterion::Criterion;
use glidepath::{
    api::{Rollout, RolloutStatus},
    cluster::rollout_patch,
};

use crate::{events, moments::Moment, moments::released, step};

pub fn benchmarks(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("record");
    let mesh = released("canary-istio.yaml");
    for (name, moment) in [
        ("a new version, mesh and analysis", step::beginning(mesh.clone())),
        ("a promotion, mesh and analysis", step::promoting(mesh.clone())),
        ("nothing new, mesh and analysis", step::at_rest(&mesh)),
    ] {
        let (observed, new) = (observed(&moment), moment.decide().status);
        group.bench_function(name, |bencher| bencher.iter(|| record(black_box(&observed), black_box(&new))));
    }
    group.finish();
}

fn observed(moment: &Moment) -> Rollout {
    let mut rollout: Rollout = serde_json::from_value(events::rollout()).unwrap();
    rollout.status = Some(moment.status.clone());
    rollout
}

/// The bytes of the patch; none when nothing changed.
fn record(observed: &Rollout, new: &RolloutStatus) -> Option<Vec<u8>> {
    let patch = rollout_patch(observed, new).unwrap()?;
    Some(serde_json::to_vec(&patch).unwrap())
}
