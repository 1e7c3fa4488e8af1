//! The command line. A guide to the folders:
//!
//! - [`root`]: which verbs there are, and where each goes. Begin there. [`usage`] writes the help.
//! - [`args`]: what several verbs take: the options of all, names of Rollouts, how to reach Prometheus.
//! - [`verbs`]: one file per verb that asks a cluster, or installs and runs the controller.
//! - [`offline`]: `lint`, `plan` and `simulate`, which need files and no cluster.
//! - [`analyze`]: a template judged by any Prometheus, without a cluster.
//! - [`complete`]: what a word of a half-typed line can be, for the shells.
//! - [`demo`] and [`local`]: releases on this machine, without a cluster.
//! - [`render`]: how text reaches the terminal: the status screen, columns, color, redrawing, `-o`.
//!
//! Shared by all of them: [`connect`] (the connection to the API server), [`pods`] (of a Rollout's revisions),
//! [`request_timeout`] (of each call), [`deadline`] (of a whole command), [`exit`] (exit codes and errors), [`program`] (the
//! name in which hints are written), [`target`] (the connection options that hints repeat), [`answer`] (what another server
//! says), [`interrupt`] (Ctrl-C), [`keys`] (`q`) and [`changes`] (the log of [`demo`] and
//! [`local`]).

pub mod analyze;
pub mod answer;
pub mod args;
pub mod changes;
pub mod complete;
pub mod connect;
pub mod deadline;
pub mod demo;
pub mod exit;
pub mod interrupt;
pub mod keys;
pub mod local;
pub mod mesh;
pub mod offline;
pub mod pods;
pub mod program;
pub mod render;
pub mod request_timeout;
pub mod root;
pub mod target;
pub mod usage;
pub mod verbs;

pub use root::{command, main};
