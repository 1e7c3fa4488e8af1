//! What the controller's work on one Rollout costs, each part apart: a watch event until it is kept, a decision, a plan of
//! routes, a record of the status, a window of evidence, a mesh policy.
//!
//! `make bench`; one part of it: `cargo bench --bench costs -- decode`.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a benchmark, as a test")]

mod decode;
mod events;
mod judges;
mod mesh;
mod moments;
mod plan;
mod record;
#[path = "../it/small_world/mod.rs"]
#[allow(dead_code, reason = "the benchmark needs a part of it")]
mod small_world;
mod step;

use std::time::Duration;

use criterion::{Criterion, criterion_group, criterion_main};

/// The program's own allocator.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

criterion_group! {
    name = benches;
    config = Criterion::default().warm_up_time(Duration::from_secs(1)).measurement_time(Duration::from_secs(3));
    targets = decode::benchmarks, step::benchmarks, plan::benchmarks, record::benchmarks, judges::benchmarks,
        mesh::benchmarks
}
criterion_main!(benches);
