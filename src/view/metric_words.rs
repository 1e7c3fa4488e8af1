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
    let seen = values(metric);
    match verdict {
        Verdict::Pass => format!("{name} has passed{seen}."),
        Verdict::Fail => format!("{name} has failed{seen}."),
        Verdict::Continue => format!("{name} has no verdict yet{seen}{needs}."),
        Verdict::Inconclusive if is_held_up(metric) => format!("{name} holds the release{reason}{seen}{needs}."),
        Verdict::NoData => format!("{name} has no data{reason}{needs}; this is neither a pass nor a failure."),
        Verdict::Inconclusive => format!("{name} reached no verdict in time{reason}{needs}."),
    }
}

/// Both arms' values; of a metric without arms, what was measured of it.
fn values(metric: &MetricStatus) -> String {
    let own = [&metric.canary, &metric.comparison].map(String::as_str).into_iter().filter(|text| !text.is_empty());
    match own.collect::<Vec<_>>().join(", ") {
        _ if !metric.stable.is_empty() => format!(": {} against {}", metric.canary, metric.stable),
        own if own.is_empty() => String::new(),
        own => format!(": {own}"),
    }
}

/// Inconclusive by what was found, not by what is missing.
fn is_held_up(metric: &MetricStatus) -> bool {
    matches!(metric.reason, MetricReason::BurnedBefore | MetricReason::Anomalous)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_metric_without_arms_is_compared_with_none() {
        let metric = |verdict, reason, comparison: &str| MetricStatus {
            name: "availability".into(),
            verdict,
            reason,
            canary: "service 99.9 % over 6h".into(),
            comparison: comparison.into(),
            ..MetricStatus::default()
        };
        let passed = metric(Verdict::Pass, MetricReason::WithinBudget, "");
        assert_eq!(metric_words(&passed), "availability has passed: service 99.9 % over 6h.");
        let held = metric(Verdict::Inconclusive, MetricReason::BurnedBefore, "");
        assert_eq!(metric_words(&held), "availability holds the release (BurnedBefore): service 99.9 % over 6h.");
        let failed = metric(Verdict::Fail, MetricReason::ServiceBurns, "burn 20x");
        assert_eq!(metric_words(&failed), "availability has failed: service 99.9 % over 6h, burn 20x.");
    }
}
