//! What one metric says, as a sentence.

use crate::api::{
    analysis::{MetricStatus, Verdict},
    reason::MetricReason,
};

/// The verdict of a metric with its values, and what it still needs.
pub fn metric_words(metric: &MetricStatus) -> String {
    let name = &metric.name;
    let reason = if metric.reason.is_empty() { String::new() } else { format!(" ({})", metric.reason) };
    let needs = metric.needs.as_deref().map(|needs| format!(", needs {needs}")).unwrap_or_default();
    match (metric.verdict, &metric.reason) {
        (Verdict::Pass, MetricReason::CandidateWins) => {
            format!("{name}: the candidate converts more, {} against {}.", metric.canary, metric.stable)
        }
        (Verdict::Fail, MetricReason::ControlWins) => {
            format!("{name}: the control converts more, {} against the candidate's {}.", metric.stable, metric.canary)
        }
        (Verdict::Inconclusive, MetricReason::NoDifference) => {
            format!("{name} shows no relevant difference: {}.", metric.comparison)
        }
        (Verdict::Inconclusive, MetricReason::Invalid) => {
            format!("{name} cannot be judged, because users were not assigned as planned: {}.", metric.comparison)
        }
        (verdict, _) => verdict_words(metric, verdict, &reason, &needs),
    }
}

fn verdict_words(metric: &MetricStatus, verdict: Verdict, reason: &str, needs: &str) -> String {
    let name = &metric.name;
    match verdict {
        Verdict::Pass => format!("{name} has passed: {} against {}.", metric.canary, metric.stable),
        Verdict::Fail => format!("{name} has failed: {} against {}.", metric.canary, metric.stable),
        Verdict::Continue => format!("{name} has no verdict yet: {} against {}{needs}.", metric.canary, metric.stable),
        Verdict::NoData => format!("{name} has no data{reason}{needs}; this is neither a pass nor a failure."),
        Verdict::Inconclusive => format!("{name} reached no verdict in time{reason}{needs}."),
    }
}
