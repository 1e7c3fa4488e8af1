//! The verbs that ask a cluster, and those that install and run the controller: one file each, with its `Args` and its `run`.
//!
//! `promote`, `abort`, `pause`, `resume`, `retry` and `restart` share [`command`]; following a Rollout until it ends
//! ([`watch`]) is shared by `status` and `set image`.

pub mod command;
pub mod completions;
pub mod controller;
pub mod crds;
pub mod doctor;
pub mod explain;
pub mod get;
pub mod help;
pub mod history;
pub mod man;
pub mod report;
pub mod runs;
pub mod set_image;
pub mod slo;
pub mod status;
pub mod undo;
pub mod uninstall;
pub mod version;
pub mod watch;
