//! The engine's world in memory: pods that take time to come up, targets, routes, runs, commands and crashes, under a
//! virtual clock. One seed, one exact replay.

pub mod world;

pub use world::SimWorld;
