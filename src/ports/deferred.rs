//! What a tick saw and did not put on record: it is recorded with what follows.

use jiff::Timestamp;

use crate::api::{
    common::Percent,
    status::{Progress, RevisionRef, Stage},
};

/// Since when what was written last is in place. A process keeps it between two ticks; with the process it is lost, and what
/// had begun to settle settles anew.
#[derive(Clone, Debug, PartialEq)]
pub struct Deferred {
    /// Where the Rollout was; anywhere else it says nothing.
    pub place: Place,
    /// Since when the routes are as written.
    pub route_since: Option<Timestamp>,
    /// What the stable target selects, and since when.
    pub stable: Option<InPlace>,
    /// What the canary target selects, and since when.
    pub canary: Option<InPlace>,
    /// The deadline's clock.
    pub progress: Option<Progress>,
}

/// A revision that a target selects, with endpoints.
#[derive(Clone, Debug, PartialEq)]
pub struct InPlace {
    /// The revision's id.
    pub revision: String,
    /// Since when.
    pub since: Timestamp,
}

/// Where a Rollout is, as far as it decides what is written.
#[derive(Clone, Debug, PartialEq)]
pub struct Place {
    /// The generation of the spec.
    pub generation: Option<i64>,
    /// The revision in progress.
    pub revision: Option<RevisionRef>,
    /// Its attempt.
    pub attempt: u32,
    /// The step, and the sub-step of a ramp.
    pub step: (u32, u32),
    /// The stage of a promotion.
    pub stage: Option<Stage>,
    /// The weight that is wanted.
    pub weight: Percent,
}
