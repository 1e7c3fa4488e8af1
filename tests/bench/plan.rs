//! The plan of a VirtualService, from the object observed to the object to write.

use std::hint::black_box;

use criterion::Criterion;
use glidepath::{
    api::{RolloutSpec, common::Percent},
    engine::RouteIntent,
    router::{Objects, RouteContext, routers},
};

use crate::{events, moments::shipped};

pub fn benchmarks(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("plan");
    let spec = shipped("canary-istio.yaml");
    let mut objects = Objects::default();
    objects.insert(events::virtual_service());
    for (name, canary, writes) in [("a new weight", 20, 1), ("the weight that it has", 0, 0)] {
        let intent = RouteIntent::weight(Percent::whole(canary));
        assert_eq!(plan(&spec, &objects, &intent), writes);
        group.bench_function(name, |bencher| bencher.iter(|| plan(black_box(&spec), &objects, &intent)));
    }
    group.finish();
}

/// How many objects are to be written.
fn plan(spec: &RolloutSpec, objects: &Objects, intent: &RouteIntent) -> usize {
    let context = RouteContext {
        namespace: events::NAMESPACE.to_owned(),
        stable_service: format!("{}-stable", events::NAME),
        canary_service: format!("{}-canary", events::NAME),
        rollout_name: events::NAME.to_owned(),
        rollout_uid: events::UID.to_owned(),
        ..RouteContext::default()
    };
    routers(spec).iter().map(|router| black_box(router.plan(&context, objects, intent).unwrap()).len()).sum()
}
