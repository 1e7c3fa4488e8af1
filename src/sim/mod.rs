//! A cluster in memory under a virtual clock: pods that take time to come up, targets, routes, runs, commands, traffic,
//! metrics and faults. One seed, one exact replay.
//!
//! The production tick and the production judges run unchanged behind the production ports, and a scenario file says what
//! happens and what must be seen ([`play`]).

pub mod actions;
pub mod autoscaler;
pub mod cluster;
pub mod expect;
pub mod faults;
mod flow;
pub mod incidents;
pub mod latency;
pub mod load;
pub mod play;
mod pods;
pub mod process;
mod replicas;
pub mod rng;
pub mod scenario;
pub mod time;
pub mod trace;
pub mod work;

pub use play::{Player, Setting};
pub use time::{Millis, instant, millis, moment};
