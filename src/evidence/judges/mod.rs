//! The judges: each turns the answers about one kind of metric into its verdict.

pub mod conversion;
pub mod ratio;
pub mod threshold;
