//! From numbers to verdicts, without I/O: what to ask, how to count, and the judges joined to metrics.

mod builtin;
mod context;
mod course;
pub mod defaults;
mod dialect;
mod format;
mod judges;
pub mod load;
mod memory;
mod no_data;
mod plan;
mod query;
pub mod resolve;
#[cfg(test)]
mod restart_tests;
mod room;
pub mod run;
mod sample_ratio;
pub mod slo;
mod soonest;
mod windows;

pub use crate::stats::histogram::{Bucket, Histogram};
pub use builtin::{BUILTIN_NAMES, builtin};
pub use course::with_intervals;
pub use dialect::Dialect;
pub use format::grouped;
pub use no_data::source_error;
pub use plan::{Answered, Planned, RunPlan};
pub use query::{
    Answer, ArmCounts, BucketKind, BucketsQuery, IncrementsQuery, JobEnd, PodValue, PodsQuery, Query, Scope,
    SpreadQuery,
};
pub use resolve::{Workloads, needs_prometheus, resolve, workloads};
pub use soonest::{Soonest, soonest};
