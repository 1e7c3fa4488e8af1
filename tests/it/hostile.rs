//! Files from strangers (issue: hostile files): whatever is in them, `lint`, `plan`, `simulate` and `local` end soon, in
//! little memory, and never by a panic.
//!
//! [`shipped`] mutates every file that ships, by fixed seeds, and runs what the commands do in process; [`inputs`] runs the
//! program itself on files made to exhaust it.

#![allow(clippy::disallowed_methods, reason = "processes and their time are what is tested")]

mod inputs;
pub mod mutate;
mod shipped;

use std::time::Duration;

/// What a run may take of a processor's time. The bound is the repository's own build's; without an optimiser everything takes
/// some times as long.
fn longest() -> Duration {
    let unoptimised = std::env::var("CARGO_PROFILE_TEST_OPT_LEVEL").is_ok_and(|level| level == "0");
    Duration::from_secs(if unoptimised { 60 } else { 10 })
}
