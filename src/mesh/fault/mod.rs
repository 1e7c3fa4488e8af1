//! A fault: what it becomes on a mesh ([`plan`]), and when it begins and ends ([`step`], rules F1 to F4).
//!
//! Pure, like [`change`](super::change). The end of a fault is fixed when it begins and is part of what is written, so the mesh
//! ends it with no controller running. The state is all that outlives a step: it is recorded before anything is written, and a
//! controller resumes from it wherever the one before it died.

mod decision;
mod input;
pub(super) mod intent;
mod plan;
mod step;
mod target;

#[cfg(test)]
mod tests;

pub use decision::{Decision, Desired};
pub use input::{GuardSeen, Input, Settings};
pub use intent::FaultIntent;
pub use plan::{end, plan};
pub use step::{BEGINS_WITHIN, LEAST_FAULTED, UNGUARDED, step};
pub use target::{Competitor, is_busy, is_same_target};
