//! A watch event, from its JSON text to what is kept of the object.

use std::hint::black_box;

use criterion::{BatchSize, Bencher, BenchmarkGroup, Criterion, Throughput, measurement::WallTime};
use glidepath::cluster::{
    cached_pod::CachedPod,
    cached_rollout::CachedRollout,
    kinds::{CachedReplicaSet, CachedRoute, CachedService, CachedSlice},
    raw_object::RawObject,
    table::{Kept, Row, Table},
};
use kube::core::TypeMeta;
use serde::Deserialize;
use serde_json::{Value, value::RawValue};

use crate::events;

#[derive(Deserialize)]
struct Frame<'a> {
    #[serde(borrow)]
    object: &'a RawValue,
}

pub fn benchmarks(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("decode");
    event::<CachedRollout>(&mut group, &events::rollout());
    event::<CachedReplicaSet>(&mut group, &events::replica_set());
    event::<CachedService>(&mut group, &events::service());
    event::<CachedSlice>(&mut group, &events::endpoint_slice());
    event::<CachedPod>(&mut group, &events::pod());
    event::<CachedRoute>(&mut group, &events::virtual_service());
    group.finish();
}

/// The event of a new version of the object, and that of a write of ours whose answer is kept already.
fn event<T: Kept>(group: &mut BenchmarkGroup<'_, WallTime>, object: &Value) {
    let text = |field: &str| object[field].as_str().unwrap().to_owned();
    let types = TypeMeta { api_version: text("apiVersion"), kind: text("kind") };
    let event = format!(r#"{{"type":"MODIFIED","object":{object}}}"#);
    let known = Table::<T>::default();
    assert!(seen(&known, &event, &types), "{} is kept", types.kind);
    assert!(!seen(&known, &event, &types), "{} is known", types.kind);
    assert_eq!(known.all().len(), 1);
    group.throughput(Throughput::Bytes(event.len() as u64));
    let new = |table: Table<T>| {
        seen(&table, black_box(&event), &types);
        table
    };
    group.bench_function(&types.kind, |bencher| bencher.iter_batched(Table::default, new, BatchSize::SmallInput));
    let echo = |bencher: &mut Bencher<'_>| bencher.iter(|| seen(&known, black_box(&event), &types));
    group.bench_function(format!("{}, known", types.kind), echo);
}

/// What the stream of a watch does with an event. Whether it changed the table.
fn seen<T: Kept>(table: &Table<T>, event: &str, types: &TypeMeta) -> bool {
    let frame: Frame<'_> = serde_json::from_str(event).unwrap();
    let object = RawObject::item(frame.object.get(), types).unwrap();
    !table.knows(object.metadata()) && table.seen(Row::of(&object)).is_some()
}
