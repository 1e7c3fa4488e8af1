//! From which course and stage a rollout may go to which. The model check compares this list with what the engine does: a
//! new line is a decision that somebody has to make.
//!
//! `[*]` is before anything; a line that leads to itself begins anew: another template, or a retry.

pub const CANARY_BY_ROUTES: &str = "";
pub const CANARY_BY_RATIO: &str = "";
pub const BLUE_GREEN_BY_ROUTES: &str = "";
pub const BLUE_GREEN_BY_SERVICE: &str = "";
