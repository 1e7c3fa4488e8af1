//! What a report is made from, and which release it is about.

use jiff::Timestamp;

use crate::api::{AnalysisRun, Rollout, RolloutCommand};

/// What a report is made from, all of one namespace.
#[derive(Clone, Copy, Debug)]
pub struct Sources<'a> {
    /// The Rollout.
    pub rollout: &'a Rollout,
    /// Its AnalysisRuns, of any release.
    pub runs: &'a [AnalysisRun],
    /// Its commands, of any release.
    pub commands: &'a [RolloutCommand],
    /// The time, on which only the report of a release in progress depends.
    pub now: Timestamp,
    /// Whether it was released without a cluster, by `glidepath local`, which counts requests itself.
    pub is_local: bool,
}

/// A release that is asked for: by its revision's number, and the attempt; the newest where they are left out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Which {
    /// The number of the revision.
    pub release: Option<u64>,
    /// The attempt at it.
    pub attempt: Option<u32>,
}
