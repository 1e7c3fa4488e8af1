//! What settings mean when they are left out: the one place that knows the defaults.

use std::time::Duration;

use crate::{
    api::{
        analysis::{
            AnomalyMetric, Bake, BurnRateMetric, ConversionMetric, GaugeMetric, KayentaMetric, LatencyMetric,
            OnAnomaly, Pack, RatioMetric, Settings,
        },
        common::{HumanDuration, Percent},
    },
    stats::{dispersion::PHI_WITHOUT_HISTORY, slo::Slo},
};

/// The share of alpha that metrics divide; the tenth is kept for the catastrophic test and the canary's burn rate.
const ALPHA_FOR_METRICS: f64 = 0.9;

/// The period of an objective.
pub const BURN_RATE_PERIOD: HumanDuration = HumanDuration::secs(30 * 86_400);

/// The defaults of analysis.md section 1.
pub struct Defaults;

impl Defaults {
    /// Every setting but the pack, which the mesh decides.
    pub fn settings() -> Settings {
        Settings {
            alpha: Some(0.05),
            beta: Some(0.05),
            warm_up: Some(HumanDuration::secs(120)),
            no_data_timeout: Some(HumanDuration::secs(300)),
            window: Some(HumanDuration::secs(15)),
            delay: Some(HumanDuration::secs(0)),
            bake: Some(Bake { duration: Some(HumanDuration::secs(300)), requests: Some(100) }),
            phi: None,
            pack: None,
        }
    }

    /// A conversion metric's limits.
    pub fn conversion(metric: &ConversionMetric) -> ConversionLimits {
        ConversionLimits {
            difference: metric.difference.unwrap_or(Percent::whole(5)).share(),
            planned_users: metric.planned_users.unwrap_or(20_000) as f64,
        }
    }

    /// A latency metric's limits.
    pub fn latency(metric: &LatencyMetric) -> LatencyLimits {
        let slo = metric.slo.as_ref();
        LatencyLimits {
            tolerance: metric.tolerance.unwrap_or(Percent::whole(20)).share(),
            slo_seconds: slo.map(|slo| slo.under.get().as_secs_f64()),
            ceiling: slo.map(|slo| slo.share.unwrap_or(Percent::whole(1)).share()),
            pass_ratio: 2.0,
        }
    }

    /// A burn rate metric's objective.
    pub fn burn_rate(metric: &BurnRateMetric) -> Slo {
        let period = metric.period.unwrap_or(BURN_RATE_PERIOD);
        Slo { objective: metric.objective.share(), period_seconds: period.get().as_secs() }
    }

    /// An anomaly metric's history and its effect.
    pub fn anomaly(metric: &AnomalyMetric) -> AnomalyLimits {
        AnomalyLimits {
            season: metric.season(),
            lookback: metric.lookback(),
            aborts: metric.on_anomaly.unwrap_or_default() == OnAnomaly::Abort,
        }
    }

    /// How much worse than stable a gauge may be.
    pub fn gauge(metric: &GaugeMetric) -> f64 {
        metric.tolerance.unwrap_or(Percent::whole(20)).share()
    }

    /// The scores of a kayenta metric.
    pub fn kayenta(metric: &KayentaMetric) -> KayentaLimits {
        KayentaLimits {
            pass: metric.pass.unwrap_or(Percent::whole(95)).share() * 100.0,
            marginal: metric.marginal.unwrap_or(Percent::whole(75)).share() * 100.0,
        }
    }

    /// A ratio metric's limits.
    pub fn ratio(metric: &RatioMetric) -> RatioLimits {
        let pass = metric.pass.clone().unwrap_or_default();
        RatioLimits {
            r0: 1.0 + metric.tolerance.unwrap_or(Percent::whole(25)).share(),
            floor: metric.floor.unwrap_or(Percent::from_basis_points(10)).share(),
            pass_ratio: pass.ratio.unwrap_or(2.0),
            ceiling: pass.ceiling.unwrap_or(Percent::from_basis_points(50)).share(),
        }
    }
}

/// A conversion metric's limits with defaults filled in.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ConversionLimits {
    /// Differences up to this part of the control's share do not matter.
    pub difference: f64,
    /// Users of both variants at which the interval is narrowest.
    pub planned_users: f64,
}

/// A latency metric's limits with defaults filled in.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LatencyLimits {
    /// How much slower the canary may be, 0.2 for 20 %.
    pub tolerance: f64,
    /// Requests slower than this are slow, where there is an SLO.
    pub slo_seconds: Option<f64>,
    /// The share of slow requests that must be ruled out to pass, where there is an SLO.
    pub ceiling: Option<f64>,
    /// How many times stable's slow requests must be ruled out to pass.
    pub pass_ratio: f64,
}

/// An anomaly metric's settings with defaults filled in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AnomalyLimits {
    /// After how long the number repeats itself.
    pub season: Duration,
    /// How far the history goes back.
    pub lookback: Duration,
    /// Whether an anomaly fails the metric.
    pub aborts: bool,
}

impl AnomalyLimits {
    /// The earlier seasons that are compared with, at least 1.
    pub fn seasons(&self) -> u64 {
        (self.lookback.as_secs() / self.season.as_secs().max(1)).max(1)
    }
}

/// The scores of a kayenta metric, 0 to 100, with defaults filled in.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct KayentaLimits {
    /// It passes from here up.
    pub pass: f64,
    /// It fails below.
    pub marginal: f64,
}

/// A ratio metric's limits with defaults filled in.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RatioLimits {
    /// Up to this many times stable's rate is accepted.
    pub r0: f64,
    /// Never fail below this rate.
    pub floor: f64,
    /// What must be ruled out to pass.
    pub pass_ratio: f64,
    /// The rate that must be ruled out to pass.
    pub ceiling: f64,
}

/// The settings as plain numbers; times in seconds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Frozen {
    /// Alpha of this ratio metric.
    pub alpha: f64,
    /// Alpha of its test during warm-up, and of one burn rate metric's test of the canary.
    pub alpha_catastrophic: f64,
    /// Alpha of this conversion metric, which has no test during warm-up.
    pub alpha_conversion: f64,
    /// Beta per epoch.
    pub beta: f64,
    /// A new pod's requests are left out for this long.
    pub warm_up: i64,
    /// Without data for this long: Inconclusive.
    pub no_data_timeout: i64,
    /// A window's length, at least 1.
    pub window: i64,
    /// How much later windows are read.
    pub delay: i64,
    /// Counted time that a Pass needs.
    pub bake_seconds: i64,
    /// Canary requests that a Pass needs.
    pub bake_requests: u64,
    /// Dispersion.
    pub phi: f64,
    /// Whether it is measured on stable's pods.
    pub measures_phi: bool,
    /// Where builtin counters come from.
    pub pack: Pack,
}

impl Frozen {
    /// With the tenth of alpha that is kept shared with burn rates of the canary: this part of it is this metric's.
    /// Conversions have no part in that tenth, and give theirs.
    #[must_use]
    pub fn sharing_reserve(self, settings: &Settings, part: f64) -> Self {
        let alpha = settings.alpha.or(Defaults::settings().alpha).unwrap_or(0.05);
        Frozen {
            alpha_catastrophic: alpha * (1.0 - ALPHA_FOR_METRICS) * part,
            alpha_conversion: self.alpha_conversion * ALPHA_FOR_METRICS,
            ..self
        }
    }

    /// Of a run's settings, with this part of their alpha.
    pub fn of(settings: &Settings, part: f64) -> Self {
        let default = Defaults::settings();
        let seconds = |own: Option<HumanDuration>, default: Option<HumanDuration>| {
            i64::try_from(own.or(default).unwrap_or_default().get().as_secs()).unwrap_or(i64::MAX)
        };
        let bake = settings.bake.clone().unwrap_or_default();
        let default_bake = default.bake.unwrap_or_default();
        let alpha = settings.alpha.or(default.alpha).unwrap_or(0.05) * part;
        Frozen {
            alpha: alpha * ALPHA_FOR_METRICS,
            alpha_conversion: alpha,
            alpha_catastrophic: alpha * (1.0 - ALPHA_FOR_METRICS),
            beta: settings.beta.or(default.beta).unwrap_or(0.05),
            warm_up: seconds(settings.warm_up, default.warm_up),
            no_data_timeout: seconds(settings.no_data_timeout, default.no_data_timeout),
            window: seconds(settings.window, default.window).max(1),
            delay: seconds(settings.delay, default.delay),
            bake_seconds: seconds(bake.duration, default_bake.duration),
            bake_requests: bake.requests.or(default_bake.requests).unwrap_or(0),
            phi: settings.phi.unwrap_or(PHI_WITHOUT_HISTORY),
            measures_phi: settings.phi.is_none(),
            pack: settings.pack.unwrap_or(Pack::Application),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_season_has_a_long_lookback() {
        let metric = |season| AnomalyMetric { season, ..AnomalyMetric::default() };
        assert_eq!(Defaults::anomaly(&metric(None)).seasons(), 7);
        assert_eq!(Defaults::anomaly(&metric(Some(HumanDuration::secs(7_200)))).seasons(), 28);
        assert_eq!(Defaults::anomaly(&metric(Some(HumanDuration::secs(7 * 86_400)))).seasons(), 4);
    }
}
