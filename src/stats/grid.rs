//! Log-uniform grids of alternatives, and sums and means of numbers kept as logarithms.

/// Points in a judge's grid of alternatives.
pub const POINTS: usize = 24;

/// One number per grid point: the log-likelihood ratios of the alternatives, before division by phi.
pub type PerPoint = [f64; POINTS];

/// How far from the null the grid of rate ratios begins and ends.
pub const RATIO_SPAN: Span = Span { lo: 1.25, hi: 64.0 };

/// How far from the null rate the grids of floor and ceiling begin and, at most, end.
pub const RATE_SPAN: Span = Span { lo: 1.25, hi: 512.0 };

/// The ends of a log-uniform grid.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Span {
    /// First point, above 0.
    pub lo: f64,
    /// Last point.
    pub hi: f64,
}

impl Span {
    /// The natural logarithms of `points` points spread log-uniformly, ends included.
    pub fn log_points(self, points: usize) -> impl Iterator<Item = f64> {
        let first = self.lo.ln();
        let step = (self.hi.ln() - first) / points.saturating_sub(1).max(1) as f64;
        (0..points).map(move |j| (j as f64).mul_add(step, first))
    }

    /// `f` at the logarithm of each of the [`POINTS`] points.
    pub fn map_log_points(self, mut f: impl FnMut(f64) -> f64) -> PerPoint {
        let mut out = [0.0; POINTS];
        for (slot, log_rho) in out.iter_mut().zip(self.log_points(POINTS)) {
            *slot = f(log_rho);
        }
        out
    }
}

/// ln of the sum of exp over `logs`; minus infinity when there are none.
#[must_use]
pub fn log_sum_exp(logs: &[f64]) -> f64 {
    let top = logs.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    if top.is_infinite() {
        return top;
    }
    top + logs.iter().map(|log| (log - top).exp()).sum::<f64>().ln()
}

/// ln of the mean of exp over `logs`; 0 (E = 1, no evidence) when there are none.
#[must_use]
pub fn log_mean_exp(logs: &[f64]) -> f64 {
    if logs.is_empty() { 0.0 } else { log_sum_exp(logs) - (logs.len() as f64).ln() }
}

/// The ln e-value of an equal-weight mixture: ln mean exp(l_j / phi).
#[must_use]
pub fn mixture(log_ratios: &PerPoint, phi: f64) -> f64 {
    log_mean_exp(&log_ratios.map(|log| log / phi))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_grid_holds_its_ends_and_equal_steps() {
        let logs: Vec<f64> = RATIO_SPAN.log_points(POINTS).collect();
        assert_eq!(logs.len(), POINTS);
        assert!((logs[0] - 1.25_f64.ln()).abs() < 1e-15 && (logs[23] - 64.0_f64.ln()).abs() < 1e-14);
        assert!(logs.windows(2).all(|pair| (pair[1] - pair[0] - (logs[1] - logs[0])).abs() < 1e-14));
        assert_eq!(RATIO_SPAN.log_points(1).count(), 1);
        assert_eq!(RATIO_SPAN.log_points(0).count(), 0);
    }

    #[test]
    fn sums_of_exponentials_do_not_overflow() {
        assert!((log_sum_exp(&[1000.0, 1000.0]) - (1000.0 + 2.0_f64.ln())).abs() < 1e-12);
        assert!((log_sum_exp(&[-1e20, -1e20 + 0.0]) + 1e20).abs() < 1e5);
        assert_eq!(log_sum_exp(&[]), f64::NEG_INFINITY);
        assert_eq!(log_sum_exp(&[f64::NEG_INFINITY, f64::NEG_INFINITY]), f64::NEG_INFINITY);
        assert_eq!(log_sum_exp(&[f64::INFINITY, 0.0]), f64::INFINITY);
        assert_eq!(log_mean_exp(&[]), 0.0);
        assert_eq!(log_mean_exp(&[0.0; 24]), 0.0);
    }
}
