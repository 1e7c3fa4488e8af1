//! When a command that waits for a Rollout ends, and with which exit code.

pub mod ending;
