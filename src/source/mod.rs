//! Places that are asked over HTTP, each in its own file: adapters of [`crate::ports::Source`] for numbers and of
//! [`crate::ports::GateAsker`] for gates, under one policy for what may be asked ([`outbound`]).

mod access;
mod clients;
mod cloud_watch;
mod credentials;
mod datadog;
pub mod gate;
mod graphite;
mod http;
mod influxdb;
mod new_relic;
mod number;
mod oauth2;
pub mod outbound;
mod own_headers;
pub mod prometheus;
mod secrets;
pub mod servers;
mod sigv4;
mod sources;
pub mod trust;
mod web;

pub use gate::HttpGates;
pub use outbound::Outbound;
pub use prometheus::PrometheusSource;
pub use servers::OwnPrometheus;
pub use sources::Sources;

use crate::evidence::Dialect;

/// What runs are checked against before they start, in every world: the languages of the sources that there are.
pub const DIALECT: &dyn Dialect = &prometheus::PromQl;
