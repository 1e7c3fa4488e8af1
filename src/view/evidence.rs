//! The evidence: one row per metric.

use serde::Serialize;

use super::{place::Place, waits::WaitsFor};
use crate::api::{
    Rollout,
    analysis::{MetricStatus, Verdict},
    reason::MetricReason,
    status::State,
};

/// Reasons that only say the verdict again.
const PLAIN_REASONS: [MetricReason; 5] = [
    MetricReason::NotWorse,
    MetricReason::WorseThanStable,
    MetricReason::Undecided,
    MetricReason::WithinBudget,
    MetricReason::Usual,
];

/// What one metric says.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct MetricRow<'a> {
    /// Its values and verdict.
    pub metric: &'a MetricStatus,
    /// The reason, where it says more than the verdict.
    pub reason: Option<&'a str>,
    /// What a verdict still needs, while one is to come.
    pub needs: Option<&'a str>,
    /// Whether the step in progress waits for it.
    pub is_awaited: bool,
}

/// The rows of a Rollout.
pub fn evidence(rollout: &Rollout) -> Vec<MetricRow<'_>> {
    // Once a release is over well, its evidence is of the past.
    let Some(status) = rollout.status.as_ref().filter(|status| !matches!(status.state, State::Idle(_))) else {
        return vec![];
    };
    let waits = WaitsFor::of(&Place::of(rollout), status).is_verdict();
    // Once the steps are over nothing is needed any more.
    let decides = matches!(status.state, State::Stepping(_));
    let rows = status.metrics.iter().map(|metric| {
        let (reason, verdict) = (&metric.reason, metric.verdict);
        let plain = reason.is_empty() || PLAIN_REASONS.contains(reason) || reason.as_str() == format!("{verdict:?}");
        let is_open = decides && !matches!(verdict, Verdict::Pass | Verdict::Fail);
        MetricRow {
            metric,
            reason: (!plain).then_some(reason.as_str()),
            needs: metric.needs.as_deref().filter(|_| is_open),
            is_awaited: waits && metric.required,
        }
    });
    rows.collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::view::samples;

    #[test]
    fn the_evidence_of_a_release_that_is_over_well_is_not_shown() {
        let mut healthy = samples::healthy().rollout;
        let metrics = samples::observing().rollout.status.unwrap().metrics;
        healthy.status.as_mut().unwrap().metrics = metrics;
        assert_eq!(evidence(&healthy), []);
        assert!(!evidence(&samples::aborted().rollout).is_empty(), "it says why");
    }
}
