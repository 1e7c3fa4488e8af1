//! The commands people type. Each verb is a module with its `Args` and its `run`; here is the root that they hang on.

pub mod command;
pub mod completions;
pub mod connect;
pub mod controller;
pub mod crds;
pub mod demo;
pub mod doctor;
pub mod ending;
pub mod exit;
pub mod explain;
pub mod get;
pub mod global;
pub mod history;
pub mod interrupt;
pub mod lint;
pub mod local;
pub mod names;
pub mod output;
pub mod paint;
pub mod plan;
mod prometheus;
pub mod redraw;
pub mod root;
#[cfg(test)]
pub mod samples;
pub mod set_image;
pub mod simulate;
pub mod status;
pub mod table;
pub mod undo;
pub mod uninstall;
pub mod version;
pub mod view;
pub mod watch;
pub mod words;

pub use root::{command, main};
