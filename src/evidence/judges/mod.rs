//! The judges: each turns the answers about one kind of metric into its verdict. A new judge is a file here and its line in
//! [`judge_of`].

mod anomaly;
mod bake;
mod burn_rate;
mod conversion;
mod gauge;
mod judge;
mod kayenta;
mod latency;
mod presence;
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
        metric.gauge.as_ref().map(|judge| judge as _),
        metric.threshold.as_ref().map(|judge| judge as _),
        metric.conversion.as_ref().map(|judge| judge as _),
        metric.burn_rate.as_ref().map(|judge| judge as _),
        metric.anomaly.as_ref().map(|judge| judge as _),
        metric.kayenta.as_ref().map(|judge| judge as _),
    ];
    judges.into_iter().flatten().next()
}

/// A run's settings as plain numbers for one of its metrics: the required metrics that are tests divide alpha by their
/// weights. An advisory one takes as much as if it were one of them, and spends nothing of theirs. Of the tenth that is kept
/// burn rates of the canary have a part by their weights, too.
pub fn frozen(spec: &AnalysisRunSpec, metric: &Metric) -> Frozen {
    let weights = |has_part: fn(&dyn Judge) -> bool| -> f64 {
        let has_part = |metric: &&Metric| metric.is_required() && judge_of(metric).is_some_and(has_part);
        spec.metrics.iter().filter(has_part).map(|metric| f64::from(metric.weight())).sum()
    };
    let (tests, burns) = (weights(|judge| judge.takes_alpha()), weights(|judge| judge.takes_reserve()));
    let own = f64::from(metric.weight());
    let frozen = Frozen::of(&spec.settings, own / tests.max(own));
    if burns > 0.0 { frozen.sharing_reserve(&spec.settings, own / (tests + burns).max(own)) } else { frozen }
}
