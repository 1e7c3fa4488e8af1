//! `glidepath local`: a Rollout file against two HTTP addresses of the user's own, without a cluster.
//!
//! Everything that is decided is decided in [`crate::local::site`]; here are the command line, the lines that are printed,
//! and an orderly beginning and end.

mod args;
mod consul;
mod file;
mod gates;
mod log;
pub mod place;
mod run;
mod show;

pub use args::LocalArgs;
pub use file::{Manifest, load};
pub use run::run;
