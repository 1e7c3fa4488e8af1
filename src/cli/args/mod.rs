//! What is typed after more than one verb.

pub mod global;
pub mod names;
pub(super) mod prometheus;
