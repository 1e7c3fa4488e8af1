//! What the engine's drivers need from the world, as object-safe traits and plain structs.
//!
//! The controller's cluster, the demo's processes and the simulator's memory implement the same two traits: [`World`]
//! for workloads, routes and status, and [`Source`] for numbers.

mod clock;
pub mod gate;
pub mod replicas;
pub mod requests;
pub mod runs;
pub mod secrets;
pub mod source;
pub mod targets;
pub mod tick;
pub mod turns;
pub mod world;

pub use clock::Clock;
pub use gate::{GateAsker, GateDesk};
pub use source::{Source, SourceError};
pub use world::{Observation, RolloutKey, World, WorldError};
