//! A fault: what it becomes on a mesh ([`plan`], rule F1). Pure. Its end is part of what is written, so the mesh ends it with no
//! controller running.

pub(super) mod intent;
mod plan;

pub use intent::FaultIntent;
pub use plan::{end, plan};
