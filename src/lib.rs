//! Glidepath: progressive delivery for Kubernetes and service meshes.
//!
//! The crate is layered; an arrow points only downward (`tests/it/layers.rs` holds it):
//!
//! ```text
//!                  main.rs
//!       ┌─────────────┼──────────────┐
//!      cli        controller       server          drivers: async, side effects
//!       └──────┬──────┴──────┬───────┘
//!         sim · local     adapters: cluster  router  source  mesh
//!              └──► reconcile ◄┘                   one tick, one step of a run: the same in every world
//!                       │
//!         ports · routing · view · chart         traits and plain structs; a split of traffic; what is shown, drawn
//!                       │
//!                    engine                        pure: step(&Input) -> Decision
//!                       │
//!                   evidence                       pure: query plans, samples -> windows -> judges
//!                  ┌────┴────┐
//!                stats      expr                   pure numerics, pure conditions
//!                  └────┬────┘
//!                      api                         CRD types, validation, conditions
//! ```
//!
//! Start reading at [`engine::step`]: everything else gathers its input or carries out its decision.

pub mod api;
mod chart;
pub mod cli;
mod clock;
#[cfg(test)]
mod closed;
pub mod cluster;
pub mod controller;
pub mod engine;
pub mod evidence;
pub mod expr;
pub mod local;
pub mod mesh;
pub mod metrics;
pub mod ports;
pub mod reconcile;
pub mod router;
pub mod routing;
mod server;
pub mod sim;
pub mod source;
pub mod stats;
mod view;
pub mod yaml;
