//! Slow requests at each bound: what a window shows of them, and how they are judged.

use super::choice::Chosen;
use crate::{
    api::analysis::LatencyMetric,
    evidence::{context::Context, defaults::Defaults},
    stats::{RatioConfig, Slow, bounds::Bound, histogram::Histogram},
};

/// Slow canary requests that a Fail needs at least.
const FEWEST_SLOW: u64 = 3;

/// What a window shows at the tested bounds, and at that of the Pass.
pub fn seen_at(metric: &LatencyMetric, chosen: &Chosen, arms: [&Histogram; 2], context: &Context) -> (Vec<Slow>, Slow) {
    let slow = |bound: &Bound, tolerance: f64| {
        let config = config(metric, chosen, bound, context);
        match chosen.bounds.slow(bound.at, tolerance, arms) {
            Some((window, r0)) => Slow { config: RatioConfig { r0, ..config }, window: Some(window) },
            None => Slow { config, window: None },
        }
    };
    let tolerance = Defaults::latency(metric).tolerance;
    let tested = chosen.bounds.tested.iter().map(|bound| slow(bound, tolerance)).collect();
    let config = pass_config(metric, chosen, context);
    let pass = match &chosen.bounds.pass {
        Some(bound) => Slow { config, ..slow(bound, 0.0) },
        None => Slow { config, window: None },
    };
    (tested, pass)
}

/// How each tested bound is judged.
pub fn configs(metric: &LatencyMetric, chosen: &Chosen, context: &Context) -> Vec<RatioConfig> {
    chosen.bounds.tested.iter().map(|bound| config(metric, chosen, bound, context)).collect()
}

/// How slow requests at a bound are judged. Without a concurrent baseline, as a share against stable's before.
fn config(metric: &LatencyMetric, chosen: &Chosen, bound: &Bound, context: &Context) -> RatioConfig {
    let (limits, frozen) = (Defaults::latency(metric), &context.frozen);
    let r0 = chosen.bounds.pair(bound.at, limits.tolerance, None).r0;
    RatioConfig {
        r0,
        floor: if context.one_armed { r0 * bound.before } else { 0.0 },
        one_armed: context.one_armed,
        pass_ratio: limits.pass_ratio,
        ceiling: limits.ceiling,
        phi: frozen.phi,
        alpha: frozen.alpha,
        beta: frozen.beta,
        min_errors: FEWEST_SLOW,
    }
}

/// How the bound of the Pass is judged.
pub fn pass_config(metric: &LatencyMetric, chosen: &Chosen, context: &Context) -> RatioConfig {
    let bound = chosen.bounds.pass.unwrap_or(Bound { at: 0.0, before: 0.0 });
    let config = config(metric, chosen, &bound, context);
    let before = (context.one_armed && bound.before > 0.0).then_some(config.pass_ratio * bound.before);
    RatioConfig { ceiling: config.ceiling.or(before), ..config }
}
