//! One Rollout on two addresses of the user's own: what `glidepath local` runs.
//!
//! [`Site`] is a world ([`crate::ports::World`]) next to the cluster and the demo, so that engine, judges and commands
//! are the controller's. Its pods are the processes at the two addresses, its router is the proxy before them, its
//! metrics are what the proxy counts (a mesh of Consul may replace both, [`enroll`]), and its API server ([`rest`]) answers the calls that the commands make. All
//! that must survive is in a folder.

pub mod admission;
mod apply;
pub mod drive;
mod enroll;
pub mod folder;
mod handlers;
pub mod health;
pub mod kinds;
pub mod objects;
pub mod placement;
pub mod private;
pub mod random;
mod refusal;
pub mod rest;
mod state;
mod world;

pub use apply::{Setup, Site, SiteError};
pub use state::News;
