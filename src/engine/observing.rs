//! What is said of an observation: which traffic is observed, and what is known of it.

use crate::{
    api::{
        analysis::{MetricStatus, Verdict},
        reason::MetricReason,
        status::Stage,
    },
    evidence::source_error,
};

use super::draft::Draft;

/// Which traffic is observed.
pub fn under(draft: &Draft<'_>) -> String {
    match draft.stage() {
        Some(Stage::PostAnalysis) => "at 100 %".to_owned(),
        _ if draft.blue_green().is_some() => "the preview".to_owned(),
        _ => format!("at {}", draft.step_weight()),
    }
}

/// `errors Continue (0.12 % (9/7,412)), latency Pass`.
pub fn evidence(draft: &Draft<'_>) -> String {
    let texts: Vec<String> = draft
        .status
        .metrics
        .iter()
        .filter(|metric| metric.required && !metric.decides)
        .map(|metric| format!("{} {:?}{}", metric.name, metric.verdict, grounds(metric)))
        .collect();
    if texts.is_empty() { "no evidence yet".to_owned() } else { texts.join(", ") }
}

/// What a verdict rests on: the canary's numbers, or why there are none.
fn grounds(metric: &MetricStatus) -> String {
    match missing(metric).as_deref().unwrap_or(&metric.canary) {
        "" => String::new(),
        shown => format!(" ({shown})"),
    }
}

/// Why a metric has no numbers, with what its source said; `None`: it has some.
pub fn missing(metric: &MetricStatus) -> Option<String> {
    if let Some(error) = source_error(metric) {
        return Some(format!("{}: {error}", metric.reason));
    }
    let waits = metric.verdict == Verdict::NoData || metric.reason == MetricReason::WarmUp;
    (waits || metric.canary.is_empty()).then(|| metric.reason.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_numbers_a_verdict_says_why() {
        let metric = |verdict, canary: &str, reason: &str, note: &str| MetricStatus {
            verdict,
            canary: canary.to_owned(),
            reason: reason.into(),
            notes: vec![note.to_owned()],
            ..MetricStatus::default()
        };
        let refused = metric(Verdict::NoData, "no requests", "SourceError", "source: may not read Secret shop/thanos");
        assert_eq!(grounds(&refused), " (SourceError: may not read Secret shop/thanos)");
        let idle = metric(Verdict::NoData, "no requests", "NoCanaryRequests", "missed: 2 windows");
        assert_eq!(grounds(&idle), " (NoCanaryRequests)");
        let warm = metric(Verdict::Continue, "no requests", "WarmUp", "");
        assert_eq!(grounds(&warm), " (WarmUp)", "requests come, and do not count yet");
        let undecided = metric(Verdict::Continue, "0.12 % (9/7,412)", "Undecided", "");
        assert_eq!(grounds(&undecided), " (0.12 % (9/7,412))");
        assert_eq!(grounds(&metric(Verdict::Pass, "", "", "")), "");
    }
}
