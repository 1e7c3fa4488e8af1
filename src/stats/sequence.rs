//! The displayed rate ratio, with an interval that is valid at every look (a confidence sequence).
//!
//! All r with mean_j L(r_j) / L(r) < 1/alpha, r_j on a log-uniform grid: for each r the quotient is an e-process against
//! "the ratio is r", so the chance that the true ratio ever leaves the set is at most alpha. The likelihood needs sums
//! per weight epoch only. It is concave in ln r, so the set is an interval and bisection finds its ends.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::counts::Counts;
use super::grid::{Span, log_mean_exp};

/// Grid of the mixture.
const SPAN: Span = Span { lo: 0.01, hi: 100.0 };
const GRID_POINTS: usize = 161;

/// No ratio outside e^-60 .. e^60 is distinguished from 0 or from infinity.
const FARTHEST: f64 = 60.0;

/// Halvings of an interval 120 wide: to 1e-12, far below the last bit anyone reads.
const HALVINGS: usize = 47;

/// A confidence interval for the rate ratio.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Interval {
    /// Lower end; 0 while the canary had no error that sets one.
    pub low: f64,
    /// Upper end; `None` while the baseline had too few errors to set one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub high: Option<f64>,
}

/// The conditional likelihood of the rate ratio over several weight epochs.
#[derive(Clone, Debug)]
pub struct RatioLikelihood {
    epochs: Vec<Counts>,
    canary_errors: f64,
    phi: f64,
}

impl RatioLikelihood {
    /// From sums per weight epoch; logarithms are divided by `phi` (at least 1).
    #[must_use]
    pub fn new(epochs: &[Counts], phi: f64) -> Self {
        let epochs: Vec<Counts> =
            epochs.iter().filter(|epoch| epoch.is_comparable()).map(|epoch| epoch.clamped()).collect();
        let canary_errors = epochs.iter().map(|epoch| epoch.kc as f64).sum();
        Self { epochs, canary_errors, phi }
    }

    /// The most likely ratio. `None` without errors, or when only the canary had any (it would be infinite).
    #[must_use]
    pub fn most_likely(&self) -> Option<f64> {
        match (self.canary_errors > 0.0, self.baseline_errors() > 0.0) {
            (_, false) => None,
            (false, true) => Some(0.0),
            (true, true) => Some(self.peak().exp()),
        }
    }

    /// The interval at confidence 1 - `alpha`; `None` before the first error, when it would hold every ratio.
    #[must_use]
    pub fn interval(&self, alpha: f64) -> Option<Interval> {
        if self.canary_errors + self.baseline_errors() <= 0.0 {
            return None;
        }
        let grid: Vec<f64> = SPAN.log_points(GRID_POINTS).map(|log_r| self.log(log_r)).collect();
        let lowest = log_mean_exp(&grid) + alpha.ln();
        let holds = |log_r: f64| self.log(log_r) > lowest;
        let peak = self.peak();
        let low = if holds(-FARTHEST) { 0.0 } else { edge(peak, -FARTHEST, holds).exp() };
        let high = (!holds(FARTHEST)).then(|| edge(peak, FARTHEST, holds).exp());
        Some(Interval { low, high })
    }

    /// ln L(r) / phi up to a constant: sum over epochs of k_c ln r - (k_c + k_b) ln(r n_c + n_b).
    fn log(&self, log_r: f64) -> f64 {
        let r = log_r.exp();
        let terms = self.epochs.iter().map(|epoch| {
            let (errors, share) = (epoch.kc as f64 + epoch.kb as f64, epoch.nc as f64 / epoch.nb as f64);
            epoch.kc as f64 * log_r - errors * (r * share).ln_1p()
        });
        terms.sum::<f64>() / self.phi
    }

    /// Where the likelihood is highest, in ln r within the farthest ends: its derivative falls through 0 there.
    fn peak(&self) -> f64 {
        let rises = |log_r: f64| self.expected_canary_errors(log_r) < self.canary_errors;
        match (rises(-FARTHEST), rises(FARTHEST)) {
            (false, _) => -FARTHEST,
            (_, true) => FARTHEST,
            (true, false) => edge(-FARTHEST, FARTHEST, rises),
        }
    }

    fn expected_canary_errors(&self, log_r: f64) -> f64 {
        let r = log_r.exp();
        let terms = self.epochs.iter().map(|epoch| {
            let exposure = r * epoch.nc as f64;
            (epoch.kc as f64 + epoch.kb as f64) * (exposure / (exposure + epoch.nb as f64))
        });
        terms.sum()
    }

    fn baseline_errors(&self) -> f64 {
        self.epochs.iter().map(|epoch| epoch.kb as f64).sum()
    }
}

/// Where `holds` ends on the way from `inside`, where it holds, to `outside`, where it does not.
fn edge(mut inside: f64, mut outside: f64, holds: impl Fn(f64) -> bool) -> f64 {
    for _ in 0..HALVINGS {
        let middle = f64::midpoint(inside, outside);
        if holds(middle) {
            inside = middle;
        } else {
            outside = middle;
        }
    }
    f64::midpoint(inside, outside)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn of(kc: u64, nc: u64, kb: u64, nb: u64) -> RatioLikelihood {
        RatioLikelihood::new(&[Counts { kc, nc, kb, nb }], 1.0)
    }

    #[test]
    fn one_epoch_gives_the_plain_quotient() {
        let ratio = of(9, 671, 6, 6039).most_likely().unwrap();
        assert!((ratio - 13.5).abs() < 1e-9, "{ratio}");
    }

    #[test]
    fn arms_without_errors_leave_an_end_open() {
        assert_eq!(of(0, 100, 0, 900).most_likely(), None);
        assert_eq!(of(0, 100, 0, 900).interval(0.05), None);
        assert_eq!(of(0, 0, 5, 900).interval(0.05), None);

        assert_eq!(of(0, 1000, 50, 900).most_likely(), Some(0.0));
        let below = of(0, 1000, 50, 900).interval(0.05).unwrap();
        assert!(below.low == 0.0 && below.high.unwrap() < 1.0, "{below:?}");

        assert_eq!(of(50, 1000, 0, 900).most_likely(), None);
        let above = of(50, 1000, 0, 900).interval(0.05).unwrap();
        assert!(above.low > 1.0 && above.high.is_none(), "{above:?}");
    }

    #[test]
    fn dispersion_widens() {
        let epochs = [Counts { kc: 40, nc: 1000, kb: 40, nb: 9000 }];
        let narrow = RatioLikelihood::new(&epochs, 1.0).interval(0.05).unwrap();
        let wide = RatioLikelihood::new(&epochs, 5.0).interval(0.05).unwrap();
        assert!(wide.low < narrow.low && wide.high > narrow.high, "{narrow:?} {wide:?}");
    }

    proptest! {
        #[test]
        fn any_counts_give_an_ordered_interval_round_the_estimate(
            windows in prop::collection::vec(any::<(u64, u64, u64, u64)>(), 0..4), phi in 1.0_f64..20.0,
        ) {
            let epochs: Vec<Counts> =
                windows.into_iter().map(|(kc, nc, kb, nb)| Counts { kc, nc, kb, nb }).collect();
            let likelihood = RatioLikelihood::new(&epochs, phi);
            if let Some(Interval { low, high }) = likelihood.interval(0.05) {
                prop_assert!(low >= 0.0 && low.is_finite());
                prop_assert!(high.is_none_or(|high| high.is_finite() && high >= low));
                if let Some(ratio) = likelihood.most_likely() {
                    prop_assert!(low <= ratio * (1.0 + 1e-6));
                    prop_assert!(high.is_none_or(|high| ratio <= high * (1.0 + 1e-6)));
                }
            }
        }
    }
}
