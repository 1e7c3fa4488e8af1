//! A real Consul agent with Envoy, without Kubernetes: the agent, a client whose sidecar leads to the service `web`, and
//! a sidecar for each instance that registers.
//!
//! Envoy is newer than the versions that this Consul supports, so that `consul connect envoy` does not start it: it only
//! prints the bootstrap, and we start Envoy ourselves.

pub mod instance;
pub mod local;
pub mod mesh;

pub use mesh::Mesh;

// The tests.
mod entries;
mod releases;
