//! The verbs that need files and no cluster.

pub(super) mod format;
mod junit;
pub mod lint;
pub(super) mod objects;
pub mod plan;
pub(super) mod refusal;
pub mod simulate;
