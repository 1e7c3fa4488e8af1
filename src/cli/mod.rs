//! The commands people type. Each verb is a module with its `Args` and its `run`; here is the root that they hang on.

pub mod command;
pub mod connect;
pub mod doctor;
pub mod ending;
pub mod exit;
pub mod explain;
pub mod get;
pub mod global;
pub mod history;
pub mod names;
pub mod output;
pub mod paint;
#[cfg(test)]
pub mod samples;
pub mod set_image;
pub mod status;
pub mod table;
pub mod view;
pub mod watch;
pub mod words;
pub mod completions;
pub mod crds;
pub mod lint;
pub mod plan;
pub mod root;
pub mod version;

pub use root::{command, main};
