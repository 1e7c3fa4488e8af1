//! The doors between the engine's drivers and the world: object-safe traits and plain structs, and nothing that walks.
//!
//! The controller's cluster, the demo's processes and the simulator's memory implement the same traits: [`World`] for
//! workloads, routes and status, [`Source`] for numbers, [`GateAsker`] for gates.

mod clock;
mod deferred;
pub mod gate;
pub mod jobs;
pub mod secrets;
pub mod source;
pub mod world;

pub use clock::Clock;
pub use deferred::{Deferred, InPlace, Place};
pub use gate::GateAsker;
pub use source::{Source, SourceError};
pub use world::{Observation, RolloutKey, World, WorldError};
