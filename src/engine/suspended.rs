//! An invalid spec: the release is suspended on what is on record, and an abort is executed all the same.
//!
//! It is a pause on the objects that were written to last: their routes are repaired, scaling is followed, lost pods and
//! failed evidence shift the traffic back. Nothing of the spec itself is started: no version, no step, no other objects.
//! Where the spec no longer has the steps that were completed, the release stays as it is until it is aborted.

use crate::api::status::Course;

use super::{canary, commands, draft::Draft, promotion, verdict, walked};

/// One tick of a suspended release.
pub fn walk(draft: &mut Draft<'_>) {
    commands::execute_abort(draft);
    if walked::are_as_recorded(draft) {
        verdict::read(draft);
    }
    match draft.course() {
        Course::Stepping if walked::are_as_recorded(draft) => canary::walk(draft),
        Course::Promoting if walked::are_as_recorded(draft) => promotion::walk(draft),
        Course::FirstDeploy | Course::Stepping | Course::Promoting => {}
        Course::Idle | Course::Returning | Course::Aborted | Course::ControlKept => {
            draft.keep_runs();
            super::rest(draft);
        }
    }
}
