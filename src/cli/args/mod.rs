//! What is typed after more than one verb.

pub mod dry_run;
pub mod files;
mod format;
pub mod global;
pub mod known;
pub mod local;
pub mod names;
pub(super) mod pack;
pub(super) mod prometheus;
pub(super) mod secrets;
pub(super) mod template_args;
