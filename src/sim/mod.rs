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
pub mod users;
pub mod work;
pub mod world;

pub use play::{Player, Setting};
pub use world::SimWorld;

/// Virtual time: milliseconds since the start of the world.
pub type Millis = i64;

/// When a world begins: 2026-01-01 00:00:00 UTC, on the grid of all windows.
const BEGINNING: i64 = 1_767_225_600_000;

/// A moment of the world as a time.
pub fn instant(at: Millis) -> jiff::Timestamp {
    jiff::Timestamp::from_millisecond(BEGINNING.saturating_add(at)).unwrap_or(jiff::Timestamp::MAX)
}

/// A time as a moment of the world, rounded up to the next millisecond.
pub fn moment(at: jiff::Timestamp) -> Millis {
    let whole = at.as_millisecond().saturating_sub(BEGINNING);
    whole + i64::from(at.subsec_nanosecond() % 1_000_000 > 0)
}

/// A duration in milliseconds.
pub fn millis(duration: crate::api::common::HumanDuration) -> Millis {
    i64::try_from(duration.get().as_millis()).unwrap_or(i64::MAX)
}
