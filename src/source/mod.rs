//! Places that are asked over HTTP, each in its own file: adapters of [`crate::ports::Source`] for numbers and of
//! [`crate::ports::GateAsker`] for gates, under one policy for what may be asked ([`outbound`]).

pub mod gate;
mod gather;
pub mod outbound;
pub mod prometheus;
mod secrets;
pub mod servers;
pub mod trust;

pub use gate::HttpGates;
pub use outbound::Outbound;
pub use prometheus::PrometheusSource;
pub use servers::OwnPrometheus;
