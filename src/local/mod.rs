//! A cluster on one machine: real HTTP servers as pods, a splitter as the router, and counters as the metrics.
//!
//! [`LocalWorld`] stands behind the same door as a Kubernetes cluster ([`crate::ports::World`]), so the engine and
//! the judges that `glidepath demo` shows are the ones that the controller runs.

pub mod chance;
pub mod counters;
pub mod pods;
pub mod replicas;
pub mod serve;
pub mod splitter;
pub mod template;
pub mod traffic;
pub mod world;

pub use world::LocalWorld;
