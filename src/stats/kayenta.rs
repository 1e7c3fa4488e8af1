//! The judge of Spinnaker's Kayenta: per metric a Mann-Whitney test of canary's values against stable's, then a score of the
//! metrics that passed.
//!
//! A metric is high (low) when the confidence interval of the shift between the two, after Hodges and Lehmann ("Estimates of
//! location based on rank tests", 1963), lies above (below) a quarter of the shift's own estimate, and the means differ by
//! the effect size that is allowed. This is Kayenta's `NetflixACAJudge`; where that adds noise to values that are the same,
//! the variance is corrected for ties instead (Lehmann, "Nonparametrics", 1975), so that the same values always give the
//! same result.
//!
//! ```
//! use glidepath::stats::kayenta::{Classification, Judged, Rules, classify};
//!
//! let stable = [1.0, 1.1, 0.9, 1.2, 1.0, 1.1, 0.95, 1.05];
//! let twice: Vec<f64> = stable.iter().map(|value| 2.0 * value).collect();
//! assert!(matches!(classify(&twice, &stable, &Rules::default()), Judged { class: Classification::High, .. }));
//! ```

use statrs::function::erf::{erfc, erfc_inv};

/// Kayenta's level of the interval.
const CONFIDENCE: f64 = 0.98;
/// Kayenta's part of the estimate that the interval must exceed.
const TOLERANCE: f64 = 0.25;
/// Samples below this size, without ties, have their exact distribution computed.
const EXACT: usize = 50;
/// Kayenta's factor of the interquartile range beyond which a value is an outlier.
pub const OUTLIER_FACTOR: f64 = 3.0;

/// The Mann-Whitney test of two samples.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct MannWhitney {
    /// How often a value of the first exceeds one of the second; a tie counts half.
    pub u: f64,
    /// Its distance from what is expected, in standard deviations, with continuity correction.
    pub z: f64,
    /// The two-sided p-value by the normal approximation.
    pub p_asymptotic: f64,
    /// The exact one: of small samples without ties.
    pub p_exact: Option<f64>,
}

impl MannWhitney {
    /// The better of the two p-values.
    #[must_use]
    pub fn p(&self) -> f64 {
        self.p_exact.unwrap_or(self.p_asymptotic)
    }
}

/// Tests whether values of `x` tend to exceed those of `y`. `None` when one of them has no number.
#[must_use]
pub fn mann_whitney(x: &[f64], y: &[f64]) -> Option<MannWhitney> {
    let (x, y) = (numbers(x), numbers(y));
    let both = Sizes::of(&x, &y)?;
    let above = |value: &f64| {
        let (below, ties) = (y.partition_point(|other| other < value), y.partition_point(|other| other <= value));
        (below + ties) as f64 / 2.0
    };
    let u: f64 = x.iter().map(above).sum();
    let distance = ((u - both.mean()).abs() - 0.5).max(0.0);
    let z = if both.deviation > 0.0 { distance / both.deviation } else { 0.0 };
    let p_asymptotic = erfc(z / std::f64::consts::SQRT_2).min(1.0);
    Some(MannWhitney { u, z: z.copysign(u - both.mean()), p_asymptotic, p_exact: both.exact().map(|exact| exact.p(u)) })
}

/// How much `x` is shifted against `y`, with its confidence interval.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Shift {
    /// The median of all differences.
    pub estimate: f64,
    /// The interval's lower end.
    pub low: f64,
    /// Its upper end.
    pub high: f64,
}

/// The Hodges-Lehmann estimate of the shift. `None` when there are too few values for an interval of this confidence.
#[must_use]
pub fn shift(x: &[f64], y: &[f64], confidence: f64) -> Option<Shift> {
    let (x, y) = (numbers(x), numbers(y));
    let both = Sizes::of(&x, &y)?;
    let mut differences: Vec<f64> = x.iter().flat_map(|x| y.iter().map(move |y| x - y)).collect();
    differences.sort_unstable_by(f64::total_cmp);
    let beyond = both.beyond((1.0 - confidence) / 2.0)?;
    let (low, high) = (differences.get(beyond - 1)?, differences.get(differences.len().checked_sub(beyond)?)?);
    Some(Shift { estimate: percentile_of_sorted(&differences, 50.0)?, low: *low, high: *high })
}

/// What is known of U before its value.
struct Sizes {
    n: usize,
    m: usize,
    /// The standard deviation of U, corrected for ties.
    deviation: f64,
    ties: bool,
}

impl Sizes {
    /// Of two sorted samples.
    fn of(x: &[f64], y: &[f64]) -> Option<Sizes> {
        let (n, m) = (x.len(), y.len());
        if n == 0 || m == 0 {
            return None;
        }
        let mut all = [x, y].concat();
        all.sort_unstable_by(f64::total_cmp);
        let tied = all.chunk_by(|one, other| one == other).map(|same| same.len() as f64);
        let (both, excess) = ((n + m) as f64, tied.map(|t| t * t * t - t).sum::<f64>());
        let variance = n as f64 * m as f64 / 12.0 * (both + 1.0 - excess / (both * (both - 1.0)));
        Some(Sizes { n, m, deviation: variance.max(0.0).sqrt(), ties: excess > 0.0 })
    }

    fn mean(&self) -> f64 {
        self.n as f64 * self.m as f64 / 2.0
    }

    fn exact(&self) -> Option<Exact> {
        (self.n < EXACT && self.m < EXACT && !self.ties).then(|| Exact::of(self.n, self.m))
    }

    /// How many of the sorted differences lie beyond each end of the interval, the end included; `None` where even all do
    /// not leave so little chance.
    fn beyond(&self, chance: f64) -> Option<usize> {
        if let Some(exact) = self.exact() {
            return exact.beyond(chance);
        }
        let z = std::f64::consts::SQRT_2 * erfc_inv(2.0 * chance);
        let rank = (self.mean() - z * self.deviation).floor();
        (rank >= 1.0).then_some(rank as usize)
    }
}

/// The distribution of U without ties: by the recursion of Mann and Whitney (1947).
struct Exact {
    /// Chances of U = 0, 1, ...
    chances: Vec<f64>,
}

impl Exact {
    fn of(n: usize, m: usize) -> Exact {
        // Coefficients of the Gaussian binomial, factor by factor, with chances in place of counts.
        let mut chances = vec![0.0; n * m + 1];
        if let Some(first) = chances.first_mut() {
            *first = 1.0;
        }
        for i in 1..=m {
            multiply(&mut chances, n + i);
            divide(&mut chances, i);
            let share = i as f64 / (n + i) as f64;
            chances.iter_mut().for_each(|chance| *chance *= share);
        }
        Exact { chances }
    }

    fn at_most(&self, u: f64) -> f64 {
        self.chances.iter().zip(0_u32..).take_while(|(_, value)| f64::from(*value) <= u).map(|(chance, _)| chance).sum()
    }

    /// Two-sided.
    fn p(&self, u: f64) -> f64 {
        let most = (self.chances.len() - 1) as f64;
        (2.0 * self.at_most(u.min(most - u))).clamp(0.0, 1.0)
    }

    fn beyond(&self, chance: f64) -> Option<usize> {
        let mut sum = 0.0;
        let below = self.chances.iter().take_while(|of| {
            sum += **of;
            sum <= chance
        });
        match below.count() {
            0 => None,
            count => Some(count),
        }
    }
}

/// Multiplies a polynomial by 1 - q^power, as far as it reaches.
fn multiply(coefficients: &mut [f64], power: usize) {
    for index in (power..coefficients.len()).rev() {
        let lower = coefficients.get(index - power).copied().unwrap_or_default();
        if let Some(own) = coefficients.get_mut(index) {
            *own -= lower;
        }
    }
}

/// Divides it by 1 - q^power.
fn divide(coefficients: &mut [f64], power: usize) {
    for index in power..coefficients.len() {
        let lower = coefficients.get(index - power).copied().unwrap_or_default();
        if let Some(own) = coefficients.get_mut(index) {
            *own += lower;
        }
    }
}

/// The percentile `p` (0 to 100) by linear interpolation, R's type 7. `None` of nothing.
#[must_use]
pub fn percentile(data: &[f64], p: f64) -> Option<f64> {
    percentile_of_sorted(&numbers(data), p)
}

fn percentile_of_sorted(sorted: &[f64], p: f64) -> Option<f64> {
    let place = (p / 100.0).clamp(0.0, 1.0) * sorted.len().checked_sub(1)? as f64;
    let (low, part) = (place.floor(), place.fract());
    let below = sorted.get(low as usize)?;
    let above = sorted.get(low as usize + 1).unwrap_or(below);
    Some(if part > 0.0 { below + part * (above - below) } else { *below })
}

/// The values outside Tukey's fences: further than `factor` interquartile ranges from the quartiles.
#[must_use]
pub fn outliers(data: &[f64], factor: f64) -> Vec<f64> {
    data.iter().copied().filter(|value| !is_within(fences(data, factor), *value)).collect()
}

/// The values inside of them.
#[must_use]
pub fn without_outliers(data: &[f64], factor: f64) -> Vec<f64> {
    data.iter().copied().filter(|value| is_within(fences(data, factor), *value)).collect()
}

fn fences(data: &[f64], factor: f64) -> Option<(f64, f64)> {
    let sorted = numbers(data);
    let (low, high) = (percentile_of_sorted(&sorted, 25.0)?, percentile_of_sorted(&sorted, 75.0)?);
    Some((low - factor * (high - low), high + factor * (high - low)))
}

fn is_within(fences: Option<(f64, f64)>, value: f64) -> bool {
    fences.is_none_or(|(low, high)| low <= value && value <= high)
}

/// The numbers among values, sorted.
fn numbers(values: &[f64]) -> Vec<f64> {
    let mut numbers: Vec<f64> = values.iter().copied().filter(|value| value.is_finite()).collect();
    numbers.sort_unstable_by(f64::total_cmp);
    numbers
}

/// How a metric is judged.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rules {
    /// Whether a rise is a regression.
    pub increase: bool,
    /// Whether a fall is one.
    pub decrease: bool,
    /// A rise of the mean to less than so many times stable's is allowed.
    pub allowed_increase: f64,
    /// A fall to more than so many times stable's is allowed.
    pub allowed_decrease: f64,
}

impl Default for Rules {
    /// Either way, of any size.
    fn default() -> Self {
        Rules { increase: true, decrease: true, allowed_increase: 1.0, allowed_decrease: 1.0 }
    }
}

/// What became of a metric.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Classification {
    /// No difference that matters.
    Pass,
    /// The canary's values are higher.
    High,
    /// They are lower.
    Low,
    /// Too few values to say.
    NoData,
}

/// A metric with its numbers.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Judged {
    /// What became of it.
    pub class: Classification,
    /// The shift; `None` with too few values.
    pub shift: Option<Shift>,
    /// The two-sided p-value of "both are alike".
    pub p: f64,
}

/// Judges the canary's values by stable's.
#[must_use]
pub fn classify(canary: &[f64], stable: &[f64], rules: &Rules) -> Judged {
    let p = mann_whitney(canary, stable).map_or(1.0, |test| test.p());
    let Some(shift) = shift(canary, stable, CONFIDENCE) else {
        return Judged { class: Classification::NoData, shift: None, p };
    };
    let bound = TOLERANCE * shift.estimate.abs();
    let size = effect(canary, stable);
    // Where stable's mean is 0 there is no ratio, and any size counts.
    let high = shift.low > bound && size.is_none_or(|size| size >= rules.allowed_increase);
    let low = shift.high < -bound && size.is_none_or(|size| size <= rules.allowed_decrease);
    let class = match (high && rules.increase, low && rules.decrease) {
        (true, _) => Classification::High,
        (_, true) => Classification::Low,
        _ => Classification::Pass,
    };
    Judged { class, shift: Some(shift), p }
}

/// The ratio of the means.
fn effect(canary: &[f64], stable: &[f64]) -> Option<f64> {
    let mean = |values: &[f64]| {
        let numbers = numbers(values);
        numbers.iter().sum::<f64>() / numbers.len() as f64
    };
    let ratio = mean(canary) / mean(stable);
    ratio.is_finite().then_some(ratio)
}

/// A group of metrics.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Group {
    /// Its metrics that passed.
    pub passed: u32,
    /// Its metrics with data.
    pub judged: u32,
    /// Its weight, 0 to 100; groups without one share what the others leave.
    pub weight: Option<f64>,
}

/// The score, 0 to 100: each group's share of metrics that passed, weighted. `None` when no metric has data.
#[must_use]
pub fn score(groups: &[Group]) -> Option<f64> {
    let given: f64 = groups.iter().filter_map(|group| group.weight).sum();
    let without = groups.iter().filter(|group| group.weight.is_none()).count();
    let rest = (100.0 - given).max(0.0) / without.max(1) as f64;
    let (mut points, mut weights) = (0.0, 0.0);
    for group in groups.iter().filter(|group| group.judged > 0) {
        let weight = group.weight.unwrap_or(rest);
        points += weight * 100.0 * f64::from(group.passed) / f64::from(group.judged);
        weights += weight;
    }
    (weights > 0.0).then(|| points / weights)
}

#[cfg(test)]
#[path = "kayenta_tests.rs"]
mod tests;
