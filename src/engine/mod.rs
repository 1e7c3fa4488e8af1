//! The pure engine: `step(&Input) -> Decision`.
//!
//! No clock, no I/O, no randomness: the same code runs in the controller, in the demo, in the simulator and in the
//! property tests. `step` is total; it never fails and never panics. Actions are desired states, not deltas, so replaying
//! one after a crash is harmless; and everything that must be remembered is in the status that the decision carries.

pub mod decision;
pub mod input;

pub use decision::{Action, Decision, Notice, RouteIntent, RunRequest, Target, Wake};
pub use input::{
    CommandSeen, Input, Problem, RevisionSeen, RouteSeen, RunSeen, Seen, TargetSeen, TemplateSeen, WorkloadSeen,
};

/// Decides what must be so now. Total, deterministic, synchronous.
pub fn step(input: &Input<'_>) -> Decision {
    Decision { status: input.status.clone(), ..Decision::default() }
}
