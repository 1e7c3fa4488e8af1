//! Places that have numbers, each in its own file: adapters of [`crate::ports::source::Source`].

mod gather;
pub mod prometheus;

pub use prometheus::PrometheusSource;
