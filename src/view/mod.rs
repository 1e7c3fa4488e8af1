//! What is shown of one Rollout, as pure functions of the object, its pods and the time: every verb shows the same.

pub mod phrases;
pub mod revision;
#[cfg(test)]
pub mod samples;
