//! Places that are asked over HTTP, each in its own file: adapters of [`crate::ports::Source`] for numbers and of
//! [`crate::ports::GateAsker`] for gates.

pub mod gate;
mod gather;
pub mod prometheus;

pub use gate::HttpGates;
pub use prometheus::PrometheusSource;
