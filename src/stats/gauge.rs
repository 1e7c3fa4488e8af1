//! The gauge judge: is a gauge of the canary's pods (CPU, memory, queue) higher than stable's by more than a tolerance?
//!
//! Each minute gives one log ratio of the arms' means. Under "not higher than 1 + tau" its expectation is at most
//! ln(1 + tau); how much it varies is not known. The test is the t-test that may be looked at every minute: the right-Haar
//! mixture over the variance with a normal prior N(0, g^2) on the standardised effect (Lai, "On confidence sequences", 1976;
//! Wang and Ramdas, "Anytime-valid t-tests and confidence sequences for Gaussian means with unknown variance", 2023).
//! Minutes of a gauge resemble their neighbours, so n minutes count as n (1 - r)/(1 + r), r being the lag-1
//! autocorrelation of an AR(1) series with its small-sample bias removed (Kendall, 1954).
//!
//! ```
//! use glidepath::stats::gauge::{GaugeConfig, GaugeState, Minute};
//!
//! let config = GaugeConfig { alpha: 0.01, ..GaugeConfig::DEFAULT };
//! let mut state = GaugeState::default();
//! for canary in [610.0, 590.0, 640.0, 600.0, 580.0, 630.0, 590.0, 620.0, 600.0, 610.0, 640.0, 580.0, 600.0, 620.0] {
//!     state.observe(&config, Minute { canary, stable: 300.0, canary_pods: 3, stable_spread: None });
//! }
//! assert!(state.fails());
//! ```

use serde::{Deserialize, Serialize};

use super::sequence::Interval;

/// The prior's standard deviation of an effect in standard deviations.
pub const PRIOR: f64 = 3.0;
/// Minutes that any decision needs.
pub const FEWEST_MINUTES: u64 = 8;
/// With fewer effective minutes nothing is known of the variance.
const FEWEST_EFFECTIVE: f64 = 2.5;
/// The strongest autocorrelation that is assumed.
const STRONGEST: f64 = 0.9;
/// A log ratio that varies by less varies not at all: what is left is rounding.
const LEAST_VARIANCE: f64 = 1e-18;
/// Standard deviations between pods that chance may put between the arms.
const POD_DEVIATIONS: f64 = 3.0;
/// Squared deviations of one minute beyond which pods are not alike in any sense; it keeps sums finite.
const LARGEST_SPREAD: f64 = 1e12;
/// The largest tolerance that is worked with.
const LARGEST_TOLERANCE: f64 = 1e6;
/// The level of displayed intervals.
const SHOWN_ALPHA: f64 = 0.05;
/// No forecast goes further: a day.
const FURTHEST: u64 = 1440;

/// ln E of a t statistic of `n` observations against "the mean is 0", where the standardised effect is N(0, `g`^2)
/// otherwise. 0 where nothing is known: fewer than two observations, or no number.
#[must_use]
pub fn log_t_evidence(t: f64, n: f64, g: f64) -> f64 {
    if !(n > 1.0 && g.is_finite() && n.is_finite()) || t.is_nan() {
        return 0.0;
    }
    let wider = 1.0 + n * g * g;
    let u = t * t / (n - 1.0);
    let gain = if u.is_finite() { u.ln_1p() - (u / wider).ln_1p() } else { wider.ln() };
    n / 2.0 * gain - wider.ln() / 2.0
}

/// A series as far as its mean, variance and lag-1 autocorrelation need it. The sums are of differences from the first
/// value, so that a constant series has exactly no variance.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Series {
    n: u64,
    origin: f64,
    sum: f64,
    squares: f64,
    /// Sum of the products of neighbours.
    products: f64,
    last: f64,
}

/// How the autocorrelation is taken into account.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Autocorrelation {
    /// As estimated.
    Estimated,
    /// A standard error more: of few minutes the estimate is often too low, and then the evidence too strong.
    Cautious,
}

/// What a series says of "the mean is at most 0".
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct TTest {
    /// The mean.
    pub mean: f64,
    /// The variance, of n - 1.
    pub variance: f64,
    /// The lag-1 autocorrelation.
    pub r1: f64,
    /// The same, corrected and bounded.
    pub r1_corrected: f64,
    /// By how much it inflates the variance of the mean.
    pub inflation: f64,
    /// The t statistic, as if all were independent.
    pub t: f64,
    /// The same, with the inflation.
    pub t_effective: f64,
    /// How many independent observations these are worth.
    pub n_effective: f64,
    /// ln E.
    pub log_e: f64,
}

impl Series {
    /// Adds a value; what is no number is left out.
    pub fn add(&mut self, value: f64) {
        if !value.is_finite() {
            return;
        }
        if self.n == 0 {
            self.origin = value;
        }
        let y = value - self.origin;
        self.n += 1;
        self.sum += y;
        self.squares += y * y;
        self.products += self.last * y;
        self.last = y;
    }

    /// How many values there are.
    #[must_use]
    pub fn len(&self) -> u64 {
        self.n
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.n == 0
    }

    /// The t-test that may be looked at after each value.
    #[must_use]
    pub fn test(&self, g: f64, autocorrelation: Autocorrelation) -> TTest {
        let n = self.n as f64;
        if self.n < 2 {
            return TTest { mean: self.origin, inflation: 1.0, n_effective: n, ..TTest::default() };
        }
        let (mean, r1) = (self.sum / n, self.lag_one());
        let variance = ((self.squares - n * mean * mean) / (n - 1.0)).max(0.0);
        // A series that does not vary at all says nothing of its noise.
        let constant = variance <= LEAST_VARIANCE;
        let r1_corrected = if constant { STRONGEST } else { corrected(r1, n, autocorrelation) };
        let inflation = (1.0 + r1_corrected) / (1.0 - r1_corrected);
        let (n_effective, mean) = (n / inflation, self.origin + mean);
        let t = mean * (n / variance.max(LEAST_VARIANCE)).sqrt();
        let t_effective = t / inflation.sqrt();
        let log_e = if n_effective <= FEWEST_EFFECTIVE { 0.0 } else { log_t_evidence(t_effective, n_effective, g) };
        TTest { mean, variance, r1, r1_corrected, inflation, t, t_effective, n_effective, log_e }
    }

    fn lag_one(&self) -> f64 {
        let n = self.n as f64;
        let mean = self.sum / n;
        let around = self.squares - n * mean * mean;
        // The first of the differences is 0.
        let products = self.products - mean * (2.0 * self.sum - self.last) + (n - 1.0) * mean * mean;
        if around > LEAST_VARIANCE { (products / around).clamp(-1.0, 1.0) } else { 0.0 }
    }
}

fn corrected(r1: f64, n: f64, autocorrelation: Autocorrelation) -> f64 {
    let unbiased = r1 + (1.0 + 4.0 * r1) / n;
    let error = match autocorrelation {
        Autocorrelation::Estimated => 0.0,
        Autocorrelation::Cautious => ((1.0 - r1 * r1) / n).max(0.0).sqrt(),
    };
    (unbiased + error).clamp(0.0, STRONGEST)
}

impl TTest {
    /// Half the width of the confidence sequence of the mean: all means whose E is below 1/alpha. `None` where that is
    /// everything.
    #[must_use]
    pub fn half_width(&self, g: f64, alpha: f64) -> Option<f64> {
        if self.n_effective <= FEWEST_EFFECTIVE {
            return None;
        }
        let wider = 1.0 + self.n_effective * g * g;
        let quotient = (2.0 / self.n_effective * (-alpha.ln() + wider.ln() / 2.0)).exp();
        let u = (quotient - 1.0) / (1.0 - quotient / wider);
        let t = (u * (self.n_effective - 1.0)).sqrt();
        let width = t * (self.variance / self.n_effective).sqrt();
        (quotient < wider && width.is_finite()).then_some(width)
    }
}

/// What the judge is asked.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct GaugeConfig {
    /// Up to this part more than stable is accepted.
    pub tolerance: f64,
    /// Whether a lower value is the worse one.
    pub lower_is_worse: bool,
    /// Chance of a false Fail.
    pub alpha: f64,
    /// Chance of a false Pass.
    pub beta: f64,
}

impl GaugeConfig {
    /// A fifth, and 5 % each.
    pub const DEFAULT: Self = Self { tolerance: 0.2, lower_is_worse: false, alpha: 0.05, beta: 0.05 };
}

/// One minute of both arms.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Minute {
    /// The canary's value, above 0.
    pub canary: f64,
    /// Stable's value, above 0.
    pub stable: f64,
    /// The canary's pods, of which its value is the mean.
    pub canary_pods: u32,
    /// How much stable's pods differ among themselves; `None` where it has one alone.
    pub stable_spread: Option<Spread>,
}

/// How much values differ, relative to their mean.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Spread {
    /// Sum of squared deviations from the mean, divided by its square.
    squares: f64,
    /// Values less one.
    freedom: f64,
}

impl Spread {
    /// Of some values; `None` of fewer than two, or where their mean is not above 0.
    #[must_use]
    pub fn of(values: &[f64]) -> Option<Self> {
        let n = values.len() as f64;
        let mean = values.iter().sum::<f64>() / n;
        if values.len() < 2 || !mean.is_finite() || mean <= 0.0 {
            return None;
        }
        let squares = values.iter().map(|value| (value / mean - 1.0).powi(2)).sum::<f64>();
        squares.is_finite().then_some(Spread { squares: squares.min(LARGEST_SPREAD), freedom: n - 1.0 })
    }

    fn add(&mut self, other: Spread) {
        self.squares += other.squares;
        self.freedom += other.freedom;
    }

    /// The coefficient of variation; `None` before anything was seen.
    #[must_use]
    pub fn deviation(&self) -> Option<f64> {
        (self.freedom > 0.0).then(|| (self.squares / self.freedom).sqrt())
    }
}

/// All that was counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct GaugeState {
    /// Log ratios above ln(1 + tau), of the whole run.
    worse: Series,
    /// Log ratios below ln(1 + 2 tau), of this weight.
    better: Series,
    /// Sum of ln(1 + tau).
    tolerated: f64,
    /// Of stable's pods.
    spread: Spread,
    /// The highest ln E towards Fail.
    highest: f64,
    failed: bool,
    passed: bool,
    /// The last tau.
    tau: f64,
}

/// The evidence in numbers. The ratio is canary to stable.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct GaugeSeen {
    /// The geometric mean of the minutes' ratios; `None` before the first.
    pub ratio: Option<f64>,
    /// Its confidence sequence.
    pub interval: Option<Interval>,
    /// Always-valid p-value of "not worse than tolerated".
    pub p: f64,
    /// What is tolerated: the tolerance, or more where pods differ much.
    pub tau: f64,
    /// Minutes in all.
    pub minutes: u64,
    /// Minutes of this weight.
    pub minutes_of_weight: u64,
    /// Progress towards Fail, 0 to 1.
    pub fail_share: f64,
    /// How many more minutes like these a Pass takes; `None` when that is beyond a day.
    pub minutes_needed: Option<u64>,
}

impl GaugeState {
    /// Takes a minute in. One without two values above 0 has no ratio and is left out.
    pub fn observe(&mut self, config: &GaugeConfig, minute: Minute) {
        let up = (minute.canary / minute.stable).ln();
        if !(minute.canary > 0.0 && minute.stable > 0.0 && up.is_finite()) {
            return;
        }
        if let Some(spread) = minute.stable_spread {
            self.spread.add(spread);
        }
        let by_chance = self
            .spread
            .deviation()
            .map_or(0.0, |deviation| POD_DEVIATIONS * deviation / f64::from(minute.canary_pods.max(1)).sqrt());
        self.tau = config.tolerance.clamp(0.0, LARGEST_TOLERANCE).max(by_chance);
        let up = if config.lower_is_worse { -up } else { up };
        self.worse.add(up - self.tau.ln_1p());
        self.better.add((2.0 * self.tau).ln_1p() - up);
        self.tolerated += self.tau.ln_1p();
        let worse = evidence(&self.worse);
        self.highest = self.highest.max(worse);
        self.failed |= worse >= bound(config.alpha);
        self.passed |= evidence(&self.better) >= bound(config.beta);
    }

    /// A new weight: Pass evidence begins anew.
    pub fn begin_epoch(&mut self) {
        (self.better, self.passed) = (Series::default(), false);
    }

    /// Whether the canary was found worse.
    #[must_use]
    pub fn fails(&self) -> bool {
        self.failed
    }

    /// Whether twice the tolerance was ruled out at this weight.
    #[must_use]
    pub fn passes(&self) -> bool {
        self.passed
    }

    /// ln E towards Fail now: 0 before the fewest minutes, and while the canary is not worse.
    #[must_use]
    pub fn log_e(&self) -> f64 {
        evidence(&self.worse)
    }

    /// How much of the evidence that would fail, and of that which would pass, is there (0 to 1), at a part of the price of
    /// [`Self::assess`].
    #[must_use]
    pub fn shares(&self, config: &GaugeConfig) -> (f64, f64) {
        let fail = (self.highest / bound(config.alpha)).clamp(0.0, 1.0);
        let pass = if self.passed { 1.0 } else { (evidence(&self.better) / bound(config.beta)).clamp(0.0, 1.0) };
        (fail, pass)
    }

    /// The geometric mean of the minutes' ratios, and its confidence sequence; `None` before the first.
    #[must_use]
    pub fn ratio(&self, config: &GaugeConfig) -> Option<(f64, Option<Interval>)> {
        let test = self.worse.test(PRIOR, Autocorrelation::Cautious);
        let up = test.mean + self.tolerated / (self.worse.len() as f64).max(1.0);
        let sign = if config.lower_is_worse { -1.0 } else { 1.0 };
        let ratio = |log: f64| (sign * log).exp();
        let interval = test.half_width(PRIOR, SHOWN_ALPHA).map(|half| {
            let (one, other) = (ratio(up - half), ratio(up + half));
            Interval { low: one.min(other), high: Some(one.max(other)) }
        });
        (!self.worse.is_empty()).then(|| (ratio(up), interval))
    }

    /// The numbers that people see.
    #[must_use]
    pub fn assess(&self, config: &GaugeConfig) -> GaugeSeen {
        let ratio = self.ratio(config);
        GaugeSeen {
            ratio: ratio.map(|(ratio, _)| ratio),
            interval: ratio.and_then(|(_, interval)| interval),
            p: (-self.highest).exp().min(1.0),
            tau: self.tau,
            minutes: self.worse.len(),
            minutes_of_weight: self.better.len(),
            fail_share: self.shares(config).0,
            minutes_needed: self.minutes_needed(config.beta),
        }
    }

    /// As if the minutes went on as they were on average.
    fn minutes_needed(&self, beta: f64) -> Option<u64> {
        if self.passed {
            return Some(0);
        }
        let test = self.better.test(PRIOR, Autocorrelation::Cautious);
        let n = self.better.len();
        if test.mean <= 0.0 || n < 2 {
            return None;
        }
        let enough = |minutes: u64| {
            let more = minutes as f64 / n as f64;
            log_t_evidence(test.t_effective * more.sqrt(), test.n_effective * more, PRIOR) >= bound(beta)
        };
        let minutes = (n.max(FEWEST_MINUTES)..=FURTHEST).find(|minutes| enough(*minutes))?;
        Some((minutes - n).max(1))
    }
}

/// The ln E at which a chance of error is spent; out of reach where it is no chance.
fn bound(chance: f64) -> f64 {
    if chance > 0.0 && chance < 1.0 { -chance.ln() } else { f64::INFINITY }
}

/// ln E of "the mean is at most 0".
fn evidence(series: &Series) -> f64 {
    let test = series.test(PRIOR, Autocorrelation::Cautious);
    if series.len() < FEWEST_MINUTES || test.mean <= 0.0 { 0.0 } else { test.log_e.max(0.0) }
}

#[cfg(test)]
#[path = "gauge_tests.rs"]
mod tests;
