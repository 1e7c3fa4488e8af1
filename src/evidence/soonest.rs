//! How soon an analysis can pass: what a plan adds up before anything was counted.

use std::time::Duration;

use super::{
    defaults::{Defaults, Frozen},
    judges::{Since, judge_of},
    resolve::{Wanted, settled},
};
use crate::api::analysis::AnalysisTemplateSpec;

/// The shortest time in which a run of templates can pass.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Soonest {
    /// From the start of the run.
    pub from_start: Duration,
    /// From a new weight, for a run that is under way.
    pub from_new_weight: Duration,
    /// Whether a verdict counts at all: some metric is required.
    pub is_required: bool,
}

/// By the rules of the judges of all required metrics, of which the slowest decides.
pub fn soonest(templates: Vec<(String, AnalysisTemplateSpec)>) -> Soonest {
    let wanted = Wanted { templates, ..Wanted::default() };
    // Templates that disagree are refused elsewhere.
    let frozen = Frozen::of(&settled(&wanted).unwrap_or_else(|_| Defaults::settings()), 1.0);
    let metrics = wanted.templates.iter().flat_map(|(_, template)| &template.metrics);
    let required: Vec<_> = metrics.filter(|metric| metric.is_required()).filter_map(judge_of).collect();
    let slowest = |since| {
        let seconds = required.iter().map(|judge| judge.soonest(&frozen, since)).max().unwrap_or(0);
        Duration::from_secs(seconds.max(0).unsigned_abs())
    };
    Soonest {
        from_start: slowest(Since::Start),
        from_new_weight: slowest(Since::NewWeight),
        is_required: !required.is_empty(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::evidence::builtin;

    fn seconds(yaml: &str) -> (u64, u64) {
        let found = soonest(vec![("t".to_owned(), serde_yaml::from_str(yaml).unwrap())]);
        (found.from_start.as_secs(), found.from_new_weight.as_secs())
    }

    fn threshold(rest: &str) -> String {
        format!("metrics: [{{name: q, threshold: {{query: x, success: result < 1, {rest}}}}}]")
    }

    #[test]
    fn a_threshold_takes_its_measurements() {
        for (rest, wanted) in [
            ("interval: 1m", (0, 0)),
            ("count: 10, interval: 2m", (18 * 60, 18 * 60)),
            ("count: 3, interval: 1m, initialDelay: 30s", (150, 120)),
            ("consecutiveSuccessLimit: 4, interval: 10s", (30, 30)),
            ("consecutiveSuccessLimit: 4, count: 2, interval: 10s", (10, 10)),
        ] {
            assert_eq!(seconds(&threshold(rest)), wanted, "{rest}");
        }
    }

    #[test]
    fn a_comparison_takes_its_bake_in_whole_windows_and_the_last_is_read_late() {
        let golden = soonest(vec![("g".to_owned(), builtin("golden-signals").unwrap())]);
        assert_eq!(golden.from_start.as_secs(), 300 + 15);
        let errors = "metrics: [{name: e, ratio: {bad: {builtin: errors}, total: {builtin: requests}}}]";
        assert_eq!(
            seconds(&format!("settings: {{bake: {{duration: 40s}}, window: 15s, delay: 20s}}\n{errors}")),
            (80, 80)
        );
        assert_eq!(seconds(&format!("settings: {{bake: {{duration: 0s}}, window: 15s}}\n{errors}")).0, 30);
    }

    #[test]
    fn the_slowest_required_metric_decides() {
        let metric = |name: &str, rest: &str| {
            format!("{{name: {name}, {rest} threshold: {{query: x, success: result < 1, count: 5, interval: 1m}}}}")
        };
        assert_eq!(seconds(&format!("metrics: [{}]", metric("a", "required: false,"))), (0, 0));
        assert_eq!(seconds(&format!("metrics: [{}, {}]", metric("a", "required: false,"), metric("b", ""))).0, 240);
        assert!(!soonest(Vec::new()).is_required);
    }
}
