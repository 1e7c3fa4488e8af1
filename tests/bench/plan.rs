//! The plan of a route object, from the object observed to the object to write.

use std::hint::black_box;

use criterion::Criterion;
use glidepath::{
    api::{RolloutSpec, common::Percent},
    engine::RouteIntent,
    router::{Objects, RouteContext, routers},
};

use serde_json::{Value, json};

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
    let mut spec = spec;
    for (name, entry, object) in [
        ("a VirtualService of 100 routes", virtual_services(), many(events::virtual_service(), "http")),
        ("an HTTPRoute of 100 rules", routes(), many(events::http_route(), "rules")),
    ] {
        spec.traffic = vec![serde_json::from_value(entry).unwrap()];
        let objects: Objects = [object].into_iter().collect();
        let intent = RouteIntent::weight(Percent::whole(20));
        assert_eq!(plan(&spec, &objects, &intent), 1, "{name}");
        group.bench_function(name, |bencher| bencher.iter(|| plan(black_box(&spec), &objects, &intent)));
    }
    group.finish();
}

fn virtual_services() -> Value {
    json!({"istio": {"virtualServices": [{"name": events::NAME, "routes": ["primary"]}]}})
}

fn routes() -> Value {
    json!({"gateway": {"routes": [{"name": events::NAME}]}})
}

/// The object with 99 more entries like its first.
fn many(mut object: Value, list: &str) -> Value {
    let entries = object["spec"][list].as_array_mut().unwrap();
    let first = entries[0].clone();
    entries.splice(0..0, std::iter::repeat_n(first, 98));
    object
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
