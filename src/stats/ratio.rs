//! The canary's error rate against the baseline's.
//!
//! Given how many errors both arms had together, the canary's share of them depends only on the rate ratio r and the
//! window's traffic split. The common error rate cancels, so an incident that hits both arms is no evidence, and the
//! weight may change from window to window.
//!
//! Source: conditional Poisson rate ratio test, as a mixture e-process (test martingale) over alternatives.

use super::counts::Counts;
use super::grid::{POINTS, PerPoint, RATIO_SPAN};

/// ln of the likelihood of rate ratio `r0 * exp(log_rho)` over that of `r0`, for one window; 0 without both arms.
#[must_use]
pub fn log_likelihood_ratio(window: Counts, r0: f64, log_rho: f64) -> f64 {
    Window::new(window, r0).map_or(0.0, |window| window.log_ratio(log_rho))
}

/// What one window adds towards Fail, per alternative r = r0 rho above the null "r <= r0".
#[must_use]
pub fn towards_fail(window: Counts, r0: f64) -> PerPoint {
    Window::new(window, r0)
        .map_or([0.0; POINTS], |window| RATIO_SPAN.map_log_points(|log_rho| window.log_ratio(log_rho)))
}

/// What one window adds towards Pass, per alternative r = r1 / rho below the null "r >= r1".
#[must_use]
pub fn towards_pass(window: Counts, r1: f64) -> PerPoint {
    Window::new(window, r1)
        .map_or([0.0; POINTS], |window| RATIO_SPAN.map_log_points(|log_rho| window.log_ratio(-log_rho)))
}

/// Add one window's terms to the running sums.
pub fn add(sums: &mut PerPoint, terms: &PerPoint) {
    for (sum, term) in sums.iter_mut().zip(terms) {
        *sum += term;
    }
}

/// A window in which both arms saw traffic, as the likelihood sees it.
struct Window {
    canary_errors: f64,
    errors: f64,
    /// The chance that an error is the canary's when r is the null ratio.
    null_share: f64,
}

impl Window {
    fn new(counts: Counts, null: f64) -> Option<Self> {
        let Counts { kc, nc, kb, nb } = counts.clamped();
        let exposure = null * nc as f64;
        counts.is_comparable().then(|| Self {
            canary_errors: kc as f64,
            errors: kc as f64 + kb as f64,
            null_share: exposure / (exposure + nb as f64),
        })
    }

    /// k_c ln rho - (k_c + k_b) ln((r n_c + n_b) / (r0 n_c + n_b)) with r = r0 rho; the quotient is 1 + share (rho - 1).
    fn log_ratio(&self, log_rho: f64) -> f64 {
        self.canary_errors * log_rho - self.errors * (self.null_share * log_rho.exp_m1()).ln_1p()
    }
}

#[cfg(test)]
mod tests {
    use super::super::grid::mixture;
    use super::*;
    use proptest::prelude::*;

    fn log_e(window: Counts) -> f64 {
        mixture(&towards_fail(window, 1.25), 1.0)
    }

    #[test]
    fn a_window_without_both_arms_is_no_evidence() {
        for window in [
            Counts::default(),
            Counts { kc: 5, nc: 9, kb: 0, nb: 0 },
            Counts { kc: 0, nc: 0, kb: 5, nb: 9 },
            Counts { kc: 0, nc: 50, kb: 0, nb: 90 },
        ] {
            assert_eq!(towards_fail(window, 1.25), [0.0; 24], "{window:?}");
            assert_eq!(towards_pass(window, 2.0), [0.0; 24], "{window:?}");
        }
    }

    proptest! {
        #[test]
        fn splitting_a_window_at_an_equal_split_changes_nothing(
            (kc1, kc2, kb1, kb2) in (0_u64..50, 0_u64..50, 0_u64..50, 0_u64..50),
            (nc, nb, parts) in (100_u64..1000, 100_u64..10_000, 2_u64..5),
        ) {
            let first = Counts { kc: kc1, nc, kb: kb1, nb };
            let rest = Counts { kc: kc2, nc: nc * parts, kb: kb2, nb: nb * parts };
            let mut split = towards_fail(first, 1.25);
            add(&mut split, &towards_fail(rest, 1.25));
            for (one, two) in towards_fail(first.plus(rest), 1.25).iter().zip(split) {
                prop_assert!((one - two).abs() <= 1e-9 * (1.0 + one.abs()));
            }
        }

        #[test]
        fn one_more_canary_error_never_lowers_the_evidence(
            (kc, nc, kb, nb) in (0_u64..2000, 1_u64..100_000, 0_u64..2000, 1_u64..100_000),
        ) {
            let less = log_e(Counts { kc, nc, kb, nb });
            let more = log_e(Counts { kc: kc + 1, nc, kb, nb });
            prop_assert!(more >= less - 1e-9, "{less} {more}");
        }

        #[test]
        fn any_counts_give_a_number((kc, nc, kb, nb) in any::<(u64, u64, u64, u64)>()) {
            let window = Counts { kc, nc, kb, nb };
            prop_assert!(towards_fail(window, 1.25).iter().chain(&towards_pass(window, 2.0)).all(|x| x.is_finite()));
        }
    }
}
