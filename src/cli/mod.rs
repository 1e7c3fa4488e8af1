//! The commands people type. Each verb is a module with its `Args` and its `run`.

pub mod command;
pub mod connect;
pub mod demo;
pub mod doctor;
pub mod ending;
pub mod exit;
pub mod explain;
pub mod get;
pub mod global;
pub mod history;
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
