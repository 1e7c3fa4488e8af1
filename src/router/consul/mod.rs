//! Consul: the weights of a service-splitter between two subsets of a service-resolver.
//!
//! Pure functions of one service, [`ConsulService`], plan its config entries, in both spellings: as custom resources of
//! consul-k8s and as the HTTP API has them. [`splitter`] has the weights, [`resolver`] the revisions of the two subsets,
//! [`service_router`] the header routes and [`protocol`] whether Consul can split the service at all.
//!
//! The order that loses no request: the filters of both subsets first ([`resolver::with_revision`], for instances that carry
//! the revision in their Meta), then weights. A filter changes only while its subset carries nothing, and is never emptied.

pub mod error;
pub mod protocol;
pub mod resolver;
mod service;
pub mod service_router;
mod spelling;
pub mod splitter;

pub use service::{ConsulService, META_KEY};
pub use spelling::Spelling;

#[cfg(test)]
mod plans_tests;
