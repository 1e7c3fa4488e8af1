//! The engine's world in memory: pods that take time to come up, targets, routes, runs, commands and crashes, under a
//! virtual clock. One seed, one exact replay.
//!
//! Two worlds share the name. [`SimWorld`] is small and calls `engine::step` itself: it is for properties over millions of
//! ticks. [`play`] is whole: the production tick and the production judges run unchanged behind the production ports, with
//! traffic, metrics and faults, and a scenario file says what happens and what must be seen.

pub mod autoscaler;
pub mod cluster;
pub mod dice;
pub mod entries;
pub mod expect;
pub mod faults;
mod flow;
pub mod play;
mod pods;
pub mod process;
mod replicas;
pub mod scenario;
pub mod story;
pub mod time;
pub mod users;
pub mod work;
pub mod world;

pub use play::{Player, Setting};
pub use time::{Millis, instant, millis, moment};
pub use world::SimWorld;
