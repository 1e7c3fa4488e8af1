//! Whether requests reach the canary in the planned share: a sequential test that may be looked at after every request.
//!
//! *Verified* means that a deviation which matters is ruled out: both "the share is at least the upper bound" and "at
//! most the lower bound" are rejected, each by the likelihood ratio of the planned share against that bound. *Broken*
//! means that the planned share itself is rejected by a Beta-binomial mixture around it (Lindon and Malek, "Anytime-Valid
//! Inference for Multinomial Count Data", 2022).

use statrs::function::gamma::ln_gamma;

/// How closely the mixture's alternatives lie around the plan.
const CONCENTRATION: f64 = 100.0;
/// A deviation by this part of the planned share, or by this much in all if that is more, matters.
const DEVIATION: f64 = 0.25;
const LEAST_DEVIATION: f64 = 0.005;
/// Evidence that verifies, and evidence that something is broken, as e-values.
const VERIFIED: f64 = 20.0;
const BROKEN: f64 = 1000.0;

/// Requests of the canary among all.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Split {
    /// The canary's.
    pub canary: u64,
    /// Both sides'.
    pub total: u64,
}

impl Split {
    /// Whether a deviation from the planned share (0 to 1) that matters is ruled out.
    #[must_use]
    pub fn is_verified(self, planned: f64) -> bool {
        let deviation = (planned * DEVIATION).max(LEAST_DEVIATION);
        let (lowest, highest) = (planned - deviation, planned + deviation);
        let not_below = if lowest <= 0.0 { self.canary > 0 } else { self.rejects(lowest, planned) };
        let not_above = highest >= 1.0 || self.rejects(highest, planned);
        not_below && not_above
    }

    /// Whether the planned share itself is ruled out. Shares of 0 and 1 are never judged by it.
    #[must_use]
    pub fn is_broken(self, planned: f64) -> bool {
        let judged = planned > 0.0 && planned < 1.0;
        judged && log_split([self.canary, self.rest()], [planned, 1.0 - planned], CONCENTRATION) >= BROKEN.ln()
    }

    /// Whether the bound is rejected by the likelihood ratio of an alternative on the other side of it.
    fn rejects(self, bound: f64, planned: f64) -> bool {
        // An alternative of 1 would be refuted by a single request to stable.
        let alternative = if planned < 1.0 { planned } else { (1.0 + bound) / 2.0 };
        let log = self.canary as f64 * (alternative / bound).ln()
            + self.rest() as f64 * ((1.0 - alternative) / (1.0 - bound)).ln();
        log >= VERIFIED.ln()
    }

    fn rest(self) -> u64 {
        self.total.saturating_sub(self.canary)
    }
}

/// ln e-value against "counts fall in these shares" (positive, summing to 1), over a Dirichlet prior of this concentration
/// around them.
#[must_use]
pub fn log_split(counts: [u64; 2], shares: [f64; 2], concentration: f64) -> f64 {
    let total = counts[0] as f64 + counts[1] as f64;
    let each = counts.iter().zip(shares).map(|(count, share)| {
        let (count, prior) = (*count as f64, concentration * share);
        ln_gamma(prior + count) - ln_gamma(prior) - count * share.ln()
    });
    ln_gamma(concentration) - ln_gamma(concentration + total) + each.sum::<f64>()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Requests that fall exactly as planned verify after so many; a grossly wrong split never does, and breaks.
    #[test]
    fn a_right_split_is_verified_and_a_wrong_one_is_broken() {
        for (planned, needed) in [(0.05, 2_200), (0.25, 330), (0.5, 100), (1.0, 20)] {
            let split = |share: f64, total: u64| Split { canary: (share * total as f64) as u64, total };
            assert!(!split(planned, needed / 10).is_verified(planned), "{planned} too early");
            assert!(split(planned, needed).is_verified(planned), "{planned} after {needed}");
            assert!(!split(planned, 1_000_000).is_broken(planned), "{planned}");
            let wrong = split(planned / 2.0, 10_000);
            assert!(!wrong.is_verified(planned), "{planned} at half");
            assert!(wrong.is_broken(planned) || planned >= 1.0, "{planned} at half");
        }
    }

    #[test]
    fn a_small_share_needs_one_request_to_be_there_at_all() {
        let none = Split { canary: 0, total: 100_000 };
        assert!(!none.is_verified(0.004));
        assert!(none.is_broken(0.004));
        assert!(Split { canary: 400, total: 100_000 }.is_verified(0.004));
    }

    /// E[e] <= 1 under the null, summed over every outcome of a sample.
    #[test]
    fn the_expectation_under_the_plan_is_at_most_one() {
        for (share, total) in [(0.01_f64, 40_u64), (0.2, 60), (0.5, 30)] {
            let log_choose =
                |k: u64| ln_gamma(total as f64 + 1.0) - ln_gamma(k as f64 + 1.0) - ln_gamma((total - k) as f64 + 1.0);
            let mean: f64 = (0..=total)
                .map(|k| {
                    let chance = log_choose(k) + k as f64 * share.ln() + (total - k) as f64 * (1.0 - share).ln();
                    (chance + log_split([k, total - k], [share, 1.0 - share], 100.0)).exp()
                })
                .sum();
            assert!((mean - 1.0).abs() < 1e-9, "{share}: {mean}");
        }
    }
}
