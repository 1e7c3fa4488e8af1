//! The canary's error rate against a fixed rate: the floor under which nothing fails, the ceiling under which all passes.
//!
//! Only the canary's totals matter, so K errors in N requests are all that is kept.

use super::grid::{PerPoint, RATE_SPAN, Span, mixture};

/// No error rate of an alternative goes past this, or a single success would refute it.
const HIGHEST_RATE: f64 = 0.9;

/// Floors lie in (0, 0.5], so that a grid remains above them.
const HIGHEST_FLOOR: f64 = 0.5;

/// Keeps ln(1 - ceiling) finite.
const HIGHEST_CEILING: f64 = 1.0 - 1e-9;

/// ln e-value against "the error rate is at most `floor`" after `errors` in `requests`, each log term divided by `phi`.
///
/// A floor of 0 (or below, or not a number) means there is none: plus infinity, which no other evidence is held back by.
#[must_use]
pub fn above_floor(errors: u64, requests: u64, floor: f64, phi: f64) -> f64 {
    RateTest::above_floor(floor).map_or(f64::INFINITY, |test| test.log_e(errors, requests, phi))
}

/// ln e-value against "the error rate is at least `ceiling`" after `errors` in `requests`; the ceiling lies in (0, 1).
#[must_use]
pub fn below_ceiling(errors: u64, requests: u64, ceiling: f64, phi: f64) -> f64 {
    RateTest::below_ceiling(ceiling).log_e(errors, requests, phi)
}

/// A null rate with its grid of alternatives, for asking about many counts.
#[derive(Clone, Copy, Debug)]
pub struct RateTest {
    /// ln(p_j / null): what an error adds.
    error: PerPoint,
    /// ln((1 - p_j) / (1 - null)): what a success adds.
    success: PerPoint,
}

impl RateTest {
    /// Against "at most `floor`": p = floor rho with rho up to 512, but p no higher than 0.9. `None` without a floor.
    #[must_use]
    pub fn above_floor(floor: f64) -> Option<Self> {
        (floor > 0.0).then(|| {
            let floor = floor.clamp(f64::MIN_POSITIVE, HIGHEST_FLOOR);
            let span = Span { hi: RATE_SPAN.hi.min(HIGHEST_RATE / floor), ..RATE_SPAN };
            Self::new(floor, span.map_log_points(|log_rho| log_rho))
        })
    }

    /// Against "at least `ceiling`": p = ceiling / rho.
    #[must_use]
    pub fn below_ceiling(ceiling: f64) -> Self {
        let ceiling = ceiling.clamp(f64::MIN_POSITIVE, HIGHEST_CEILING);
        Self::new(ceiling, RATE_SPAN.map_log_points(|log_rho| -log_rho))
    }

    fn new(null: f64, error: PerPoint) -> Self {
        let odds = null / (1.0 - null);
        Self { error, success: error.map(|log_rho| (-odds * log_rho.exp_m1()).ln_1p()) }
    }

    /// ln of the e-value, each log term divided by `phi`: k ln(p/null) + (n - k) ln((1 - p)/(1 - null)) in the mean.
    #[must_use]
    pub fn log_e(&self, errors: u64, requests: u64, phi: f64) -> f64 {
        let errors = errors.min(requests);
        let (errors, successes) = (errors as f64, (requests - errors) as f64);
        let mut terms = self.error;
        for (term, success) in terms.iter_mut().zip(&self.success) {
            *term = errors * *term + successes * success;
        }
        mixture(&terms, phi)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// ln C(n, k) p^k (1-p)^(n-k) for small n.
    fn binomial(n: u64, k: u64, p: f64) -> f64 {
        let choose = (0..k).fold(1.0, |acc, i| acc * (n - i) as f64 / (i + 1) as f64);
        choose * p.powi(k as i32) * (1.0 - p).powi((n - k) as i32)
    }

    #[test]
    fn expectation_under_the_null_is_at_most_one() {
        for null in [1e-6, 0.001, 0.01, 0.1, 0.3, 0.5] {
            for n in 0..=38 {
                let floor: f64 = (0..=n).map(|k| binomial(n, k, null) * above_floor(k, n, null, 1.0).exp()).sum();
                let ceiling: f64 = (0..=n).map(|k| binomial(n, k, null) * below_ceiling(k, n, null, 1.0).exp()).sum();
                assert!(floor <= 1.0 + 1e-12, "floor {null} n {n}: {floor}");
                assert!(ceiling <= 1.0 + 1e-12, "ceiling {null} n {n}: {ceiling}");
            }
        }
    }

    #[test]
    fn no_requests_are_no_evidence() {
        assert_eq!(above_floor(0, 0, 0.001, 1.0), 0.0);
        assert_eq!(above_floor(7, 0, 0.001, 1.0), 0.0);
        assert_eq!(below_ceiling(0, 0, 0.005, 1.0), 0.0);
    }

    #[test]
    fn without_a_floor_nothing_holds_back() {
        for none in [0.0, -1.0, f64::NAN] {
            assert_eq!(above_floor(0, 10, none, 1.0), f64::INFINITY);
        }
    }

    proptest! {
        #[test]
        fn any_counts_and_rates_give_a_number(k in any::<u64>(), n in any::<u64>(), rate in 1e-300_f64..2.0) {
            prop_assert!(above_floor(k, n, rate, 1.0).is_finite());
            prop_assert!(below_ceiling(k, n, rate, 1.0).is_finite());
        }

        #[test]
        fn one_more_error_speaks_for_the_higher_rate(k in 0_u64..500, n in 1_u64..10_000, rate in 1e-5_f64..0.5) {
            prop_assert!(above_floor(k + 1, n, rate, 1.0) >= above_floor(k, n, rate, 1.0) - 1e-9);
            prop_assert!(below_ceiling(k + 1, n, rate, 1.0) <= below_ceiling(k, n, rate, 1.0) + 1e-9);
        }
    }
}
