//! The interval of a ratio or latency metric in its course, from the counts of its trail: at every window it would cost more than
//! all else.

use crate::{
    api::analysis::{AnalysisRunSpec, Metric, Trail, TrailPoint, TrailWindow},
    stats::{Counts, RatioConfig, RatioState},
};

use super::judges::frozen;

/// The points of a metric's trail, those of counts of both arms with the interval of canary over stable.
pub fn with_intervals(spec: &AnalysisRunSpec, metric: &Metric, trail: &Trail) -> Vec<TrailPoint> {
    let mut points = trail.points();
    if metric.ratio.is_none() && metric.latency.is_none() {
        return points;
    }
    let phi = trail.phi.unwrap_or_else(|| frozen(spec, metric).phi);
    let config = RatioConfig { phi, one_armed: spec.one_armed, ..RatioConfig::DEFAULT };
    let stretches: Vec<Counts> = points.iter().map(counts).collect();
    for (point, interval) in points.iter_mut().zip(RatioState::intervals(&stretches, &config)) {
        point.evidence.interval = interval.map(|interval| (interval.low, interval.high));
    }
    points
}

fn counts(point: &TrailPoint) -> Counts {
    match point.window {
        Some(TrailWindow::Counts { canary: [kc, nc], stable: [kb, nb] }) => Counts { kc, nc, kb, nb },
        _ => Counts::default(),
    }
}
