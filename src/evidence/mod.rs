//! From numbers to verdicts, without I/O: what to ask, how to count, and the judges joined to metrics.

mod builtin;
mod context;
pub mod defaults;
mod dialect;
mod judges;
mod memory;
mod plan;
mod query;
pub mod resolve;
#[cfg(test)]
mod restart_tests;
pub mod run;
mod share;
mod silence;
mod texts;
mod windows;

pub use builtin::{BUILTIN_NAMES, builtin};
pub use dialect::Dialect;
pub use plan::{Answered, Planned, RunPlan};
pub use query::{Answer, ArmCounts, IncrementsQuery, Query};
pub use resolve::resolve;
pub use silence::source_error;
pub use texts::grouped;
