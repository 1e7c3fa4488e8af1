//! Places that are asked over HTTP, each in its own file: adapters of [`crate::ports::Source`] for numbers and of
//! [`crate::ports::GateAsker`] for gates, under one policy for what may be asked ([`outbound`]).

mod access;
mod clients;
mod credentials;
pub mod gate;
mod oauth2;
pub mod outbound;
pub mod prometheus;
mod secrets;
pub mod servers;
mod sigv4;
pub mod trust;

pub use gate::HttpGates;
pub use outbound::Outbound;
pub use prometheus::PrometheusSource;
pub use servers::OwnPrometheus;

use crate::evidence::Dialect;

/// What runs are checked against before they start, in every world: the languages of the sources that there are.
pub const DIALECT: &dyn Dialect = &prometheus::PromQl;
