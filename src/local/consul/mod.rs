//! Consul as the router of a local rollout: the two versions are instances of one service in its catalog, and the sidecars of
//! its mesh split their requests.
//!
//! [`Mesh`] reads and writes that service over Consul's HTTP API: its two instances at the agent, and its config entries as
//! [`crate::router::consul`] plans them.

mod access;
mod chain;
mod client;
mod entries;
mod error;
mod instances;
mod mesh;
mod writes;

#[cfg(test)]
mod client_tests;
#[cfg(test)]
mod fake;
#[cfg(test)]
mod mesh_tests;

pub use access::{Access, AccessError, Names};
pub use instances::Instance;
pub use mesh::Mesh;
