//! A change of a policy: checked against the callers seen, audited, in waves, watched, taken back (rules P1 to P7, F4).
//!
//! Pure, like the engine of releases: [`step`] looks at what is seen and says which state follows and what the objects of the
//! mesh have to say in it. The state is all that outlives a step, so a controller can resume from it wherever the one before it
//! died.

mod decision;
mod input;
mod step;

#[cfg(test)]
mod tests;

pub use decision::{Decision, Desired, Refused, Wait};
pub use input::{Command, GUARD, Input, Judged, PlanSeen, Settings, Standing};
pub use step::step;
