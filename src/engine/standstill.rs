//! An invalid file: the release stands still on what is on record, and an abort is taken all the same.
//!
//! It is a pause on the objects that were written to last: their routes are repaired, scaling is followed, lost pods and
//! failed evidence take the traffic back. Nothing of the file itself is begun: no version, no step, no other objects. Where
//! the file no longer says what was asked for up to here, the release stays as it is until it is aborted.

use crate::api::status::Course;

use super::{canary, commands, draft::Draft, promotion, runs, walked};

/// One tick of the standstill.
pub fn walk(draft: &mut Draft<'_>) {
    commands::take_abort(draft);
    match draft.course() {
        Course::Stepping if walked::are_as_recorded(draft) => canary::walk(draft),
        Course::Promoting if walked::are_as_recorded(draft) => promotion::walk(draft),
        Course::FirstDeploy | Course::Stepping | Course::Promoting => {}
        Course::Idle | Course::Returning | Course::Aborted | Course::Kept => {
            runs::ensure(draft);
            canary::rest(draft);
        }
    }
}
