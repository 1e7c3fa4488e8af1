//! A policy as a controller drives it: what is seen goes in, what to record and to write comes out.
//!
//! Pure. [`look`] joins the plan of a mesh with the [step](super::change::step) of a change: it says which objects are not yet as the
//! state wants them, what has to be asked of the metrics first, and what the status says. What it decides is recorded before it
//! is written, so that a controller that dies is followed by one that resumes from the record.

mod callers;
mod desired;
mod look;
mod message;
mod narrow;
mod record;
mod seen;
#[cfg(test)]
mod tests;
mod wanted;

pub use callers::callers;
pub use desired::released;
pub use look::{Look, look};
pub use narrow::WAVE_LABEL;
pub use record::reason;
pub use seen::{Ask, Metrics, Seen, ServiceCallers, Specs, spec_id};
