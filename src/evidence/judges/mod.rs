//! The judges: each turns the answers about one kind of metric into its verdict. A new judge is a file here and its line in
//! [`judge_of`].

mod conversion;
mod judge;
mod ratio;
mod threshold;

pub use judge::{Judge, Memory, Problems, Since};

use super::defaults::Frozen;
use crate::api::analysis::{AnalysisRunSpec, Metric};

/// The judge of a metric; none for a metric that names none.
pub fn judge_of(metric: &Metric) -> Option<&dyn Judge> {
    let judges: [Option<&dyn Judge>; _] = [
        metric.ratio.as_ref().map(|judge| judge as _),
        metric.threshold.as_ref().map(|judge| judge as _),
        metric.conversion.as_ref().map(|judge| judge as _),
    ];
    judges.into_iter().flatten().next()
}

/// A run's settings as plain numbers: its required metrics that are tests divide alpha.
pub fn frozen(spec: &AnalysisRunSpec) -> Frozen {
    let required = spec.metrics.iter().filter(|metric| metric.is_required());
    let tests = required.filter_map(judge_of).filter(|judge| judge.takes_alpha()).count();
    Frozen::of(&spec.settings, tests)
}
