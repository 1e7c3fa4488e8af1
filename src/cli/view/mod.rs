//! What is shown of one Rollout, as pure functions of the object, its pods and the time: every verb shows the same.

pub mod ending;
mod evidence;
#[cfg(test)]
pub mod samples;
pub mod screen;
mod traffic;
pub mod words;
