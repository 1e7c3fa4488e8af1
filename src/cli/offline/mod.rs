//! The verbs that need files and no cluster.

pub mod lint;
pub mod plan;
pub mod simulate;
