//! A cluster on one machine: real HTTP servers as pods, a proxy as the router, and counters as the metrics.
//!
//! [`LocalWorld`] implements the same trait as a Kubernetes cluster ([`crate::ports::World`]), so the engine and the
//! judges that `glidepath demo` shows are the ones that the controller runs. [`site`] is the second world of this kind:
//! two addresses of the user's own, for `glidepath local`, behind the proxy or in a mesh of [`consul`].

pub mod address;
pub mod chance;
pub mod consul;
pub mod counters;
pub mod pods;
pub mod proxy;
pub mod replicas;
pub mod serve;
pub mod site;
pub mod template;
pub mod traffic;
mod unsupported;
pub mod world;

pub use world::LocalWorld;
