//! The commands people type. Each verb is a module with its `Args` and its `run`.
pub mod exit;
pub mod global;
