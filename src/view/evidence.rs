//! The evidence: one row per metric.

use serde::Serialize;

use super::{place::Place, waits::WaitsFor};
use crate::api::{Rollout, RolloutStatus, analysis::Verdict, status::State};

/// Reasons that only say the verdict again.
const PLAIN_REASONS: [&str; 3] = ["NotWorse", "WorseThanStable", "Undecided"];

/// What one metric says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct MetricRow {
    /// Its name.
    pub name: String,
    /// Whether it is required.
    pub required: bool,
    /// Its verdict.
    pub verdict: Verdict,
    /// The reason under the verdict; empty where there is none.
    pub reason: String,
    /// The canary's value.
    pub canary: String,
    /// Stable's value.
    pub stable: String,
    /// How they compare.
    pub comparison: String,
    /// What a verdict still needs, while one is to come.
    pub needs: Option<String>,
    /// What else is to be known.
    pub notes: Vec<String>,
    /// Whether the step in progress waits for it.
    pub is_awaited: bool,
}

impl MetricRow {
    /// The reason, where it says more than the verdict.
    pub fn telling_reason(&self) -> Option<&str> {
        let reason = self.reason.as_str();
        let plain = reason.is_empty() || PLAIN_REASONS.contains(&reason) || reason == format!("{:?}", self.verdict);
        (!plain).then_some(reason)
    }
}

/// The rows of a Rollout.
pub fn evidence(rollout: &Rollout) -> Vec<MetricRow> {
    let empty = RolloutStatus::default();
    let status = rollout.status.as_ref().unwrap_or(&empty);
    let waits = WaitsFor::of(&Place::of(rollout), status).is_verdict();
    // Once the steps are over nothing is needed any more.
    let decides = matches!(status.state, State::Stepping(_));
    let row = |metric: &crate::api::analysis::MetricStatus| MetricRow {
        name: metric.name.clone(),
        required: metric.required,
        verdict: metric.verdict,
        reason: metric.reason.clone(),
        canary: metric.canary.clone(),
        stable: metric.stable.clone(),
        comparison: metric.comparison.clone(),
        needs: metric.needs.clone().filter(|_| decides && !matches!(metric.verdict, Verdict::Pass | Verdict::Fail)),
        notes: metric.notes.clone(),
        is_awaited: waits && metric.required,
    };
    status.metrics.iter().map(row).collect()
}
