//! The judges: each turns the answers about one kind of metric into its verdict. A new judge is a file here and its line in
//! [`judge_of`].

mod conversion;
mod judge;
mod latency;
mod ratio;
mod threshold;

pub use judge::{Judge, Memory, Problems, Since};

use super::defaults::Frozen;
use crate::api::analysis::{AnalysisRunSpec, Metric};

/// The judge of a metric; none for a metric that names none.
pub fn judge_of(metric: &Metric) -> Option<&dyn Judge> {
    let judges: [Option<&dyn Judge>; _] = [
        metric.ratio.as_ref().map(|judge| judge as _),
        metric.latency.as_ref().map(|judge| judge as _),
        metric.threshold.as_ref().map(|judge| judge as _),
        metric.conversion.as_ref().map(|judge| judge as _),
    ];
    judges.into_iter().flatten().next()
}

/// A run's settings as plain numbers for one of its metrics: the required metrics that are tests divide alpha by their
/// weights. An advisory one takes as much as if it were one of them, and spends nothing of theirs.
pub fn frozen(spec: &AnalysisRunSpec, metric: &Metric) -> Frozen {
    let is_test = |metric: &&Metric| judge_of(metric).is_some_and(|judge| judge.takes_alpha());
    let tests = spec.metrics.iter().filter(|metric| metric.is_required()).filter(is_test);
    let all: f64 = tests.map(|metric| f64::from(metric.weight())).sum();
    let own = f64::from(metric.weight());
    Frozen::of(&spec.settings, own / all.max(own))
}
