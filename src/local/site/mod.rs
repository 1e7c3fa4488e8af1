//! One Rollout on two addresses of the user's own: what `glidepath local` runs.
//!
//! [`Site`] is a world ([`crate::ports::World`]) next to the cluster and the demo, so that engine, judges and commands
//! are the controller's. Its pods are the processes at the two addresses, its router is a splitter before them, its
//! metrics are what the splitter counts, and its API server ([`rest`]) answers the calls that the commands make. All
//! that must survive is in a folder.

pub mod accept;
pub mod address;
mod apply;
pub mod choice;
pub mod drive;
pub mod folder;
pub mod ground;
pub mod health;
mod keep;
pub mod kinds;
pub mod objects;
pub mod private;
pub mod proxy;
pub mod random;
mod refusal;
pub mod rest;
mod world;
mod writes;

pub use apply::{Setup, Site, SiteError};
