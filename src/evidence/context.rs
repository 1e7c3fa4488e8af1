//! What the judges are told beside their answers.

use jiff::Timestamp;

use super::defaults::Frozen;
use crate::api::{
    analysis::{AnalysisRunSpec, AnalysisRunStatus, Measurement, MetricStatus, Trail},
    common::Percent,
};

/// The number of measurements that are kept for display.
const MEASUREMENTS: usize = 20;

/// The context of the judges in addition to the results.
#[derive(Clone, Copy, Debug)]
pub struct Context {
    /// The time.
    pub now: Timestamp,
    /// When the run began.
    pub started: Timestamp,
    /// The current epoch.
    pub epoch: u32,
    /// When it began.
    pub epoch_since: Timestamp,
    /// The settings.
    pub frozen: Frozen,
    /// Whether the stable side sees no comparable traffic.
    pub one_armed: bool,
    /// The planned share of the candidate's assignments.
    pub candidate_share: Option<Percent>,
    /// Whether the course of the evidence is kept.
    pub keeps_trails: bool,
}

impl Context {
    /// Times and epoch as they are once this step is done, with all of alpha.
    pub fn of(spec: &AnalysisRunSpec, status: &AnalysisRunStatus, now: Timestamp) -> Context {
        let started = status.started_at.unwrap_or(now);
        let since =
            if status.started_at.is_some() && spec.epoch == status.epoch { status.epoch_since } else { Some(now) };
        let epoch_since = since.unwrap_or(started);
        Context {
            now,
            started,
            epoch: spec.epoch,
            epoch_since,
            frozen: Frozen::of(&spec.settings, 1.0),
            one_armed: spec.one_armed,
            candidate_share: spec.candidate_share,
            keeps_trails: true,
        }
    }
}

impl Context {
    /// How long the current weight had lasted at this unix second, in seconds.
    pub fn weight_lasted(&self, until: i64) -> i64 {
        (until - self.epoch_since.max(self.started).as_second()).max(0)
    }

    /// So many seconds as a part of the bake, 0 to 1.
    pub fn part_of_bake(&self, seconds: i64) -> f64 {
        (seconds as f64 / self.frozen.bake_seconds.max(1) as f64).clamp(0.0, 1.0)
    }
}

/// The course of a metric's evidence, if it is kept.
pub fn trail<'s>(status: &'s mut MetricStatus, context: &Context) -> Option<&'s mut Trail> {
    context.keeps_trails.then(|| &mut **status.trail.get_or_insert_default())
}

/// Keeps the last 20 measurements.
pub fn keep_last(measurements: &mut Vec<Measurement>) {
    let surplus = measurements.len().saturating_sub(MEASUREMENTS);
    measurements.drain(..surplus);
}
