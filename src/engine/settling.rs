//! Waits for nothing but our own `settle` time (rule S52): they never count against the progress deadline (S38).

use jiff::Timestamp;

use crate::api::reason::Reason;

use super::{decision::Target, draft::Draft, wait::Wait, weights};

/// Until when a target that is in place settles; `None` when it is not in place, or has settled.
pub fn target(draft: &Draft<'_>, target: Target) -> Option<Timestamp> {
    let memory = match target {
        Target::Stable => &draft.status.memory.stable_target,
        Target::Canary => &draft.status.memory.canary_target,
    };
    still_to_come(draft, memory.since)
}

/// Until when routes that are in place settle; `None` when they are not in place, or have settled.
pub fn route(draft: &Draft<'_>) -> Option<Timestamp> {
    still_to_come(draft, draft.status.memory.route_since)
}

/// The wait for routes to be taken over by their controllers, which is progress, and then to settle.
pub fn of_routes(draft: &Draft<'_>, reached: u32, message: impl Into<String>) -> Wait {
    match weights::pending(draft) {
        Some(why) => Wait::progress(Reason::Route, reached, format!("{}: {why}", message.into())),
        None => Wait::settling(route(draft), Reason::Route, reached, message),
    }
}

fn still_to_come(draft: &Draft<'_>, since: Option<Timestamp>) -> Option<Timestamp> {
    let until = draft.settle().after(since?);
    (until > draft.now()).then_some(until)
}
