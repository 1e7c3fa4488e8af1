//! Dispersion between stable pods: how many errors come in clusters.
//!
//! Errors that come five at a time carry a fifth of the evidence. phi measures it on the stable arm before the rollout,
//! as Pearson's X2 over its degrees of freedom, conditional on each window's total: an incident that hits all pods alike
//! does not count as clustering.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// phi where there is no history to measure it on.
pub const PHI_WITHOUT_HISTORY: f64 = 2.0;

/// phi is never below 1 (evidence is never multiplied) and never above this.
pub const PHI_HIGHEST: f64 = 20.0;

/// Fewest errors in a window that say something about their spread.
const FEWEST_ERRORS: u64 = 2;

/// Running sums over five-minute windows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Dispersion {
    /// Pearson's X2.
    pub x2: f64,
    /// Its degrees of freedom.
    pub df: u64,
}

impl Dispersion {
    /// Take in one window: errors and requests of each stable pod. Windows with under 2 errors or 2 pods say nothing.
    pub fn observe(&mut self, pods: &[(u64, u64)]) {
        let served = || pods.iter().filter(|(_, requests)| *requests > 0);
        let errors: u64 = served().fold(0, |sum, (errors, _)| sum.saturating_add(*errors));
        let requests: f64 = served().map(|(_, requests)| *requests as f64).sum();
        let count = served().count();
        if errors < FEWEST_ERRORS || count < 2 {
            return;
        }
        for (bad, total) in served() {
            let expected = errors as f64 * (*total as f64 / requests);
            self.x2 += (*bad as f64 - expected).powi(2) / expected;
        }
        self.df = self.df.saturating_add(count as u64 - 1);
    }

    /// X2/df as it is; `None` before any window counted.
    #[must_use]
    pub fn raw(&self) -> Option<f64> {
        (self.df > 0).then(|| self.x2 / self.df as f64)
    }

    /// phi = clamp((X2 + 40)/(df + 20), 1, 20): drawn towards 2 while there is little to go by.
    #[must_use]
    pub fn phi(&self) -> f64 {
        ((self.x2 + 40.0) / (self.df as f64 + 20.0)).clamp(1.0, PHI_HIGHEST)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_history_phi_is_two() {
        assert_eq!(Dispersion::default().phi(), PHI_WITHOUT_HISTORY);
        assert_eq!(Dispersion::default().raw(), None);
    }

    #[test]
    fn windows_that_say_nothing_are_left_out() {
        let mut dispersion = Dispersion::default();
        dispersion.observe(&[]);
        dispersion.observe(&[(9, 100)]);
        dispersion.observe(&[(1, 100), (0, 100)]);
        dispersion.observe(&[(9, 100), (3, 0)]);
        assert_eq!(dispersion, Dispersion::default());
    }

    #[test]
    fn even_errors_give_one_and_clusters_more() {
        let (mut even, mut clustered) = (Dispersion::default(), Dispersion::default());
        for window in 0..200 {
            even.observe(&[(5, 100), (4 + window % 3, 100)]);
            clustered.observe(&[(10, 100), (0, 100)]);
        }
        assert_eq!(even.phi(), 1.0);
        assert!(clustered.phi() > 9.0 && clustered.phi() <= PHI_HIGHEST);
    }

    #[test]
    fn the_largest_counts_give_a_number() {
        let mut dispersion = Dispersion::default();
        dispersion.observe(&[(u64::MAX, u64::MAX), (u64::MAX, 1)]);
        assert!(dispersion.phi() >= 1.0 && dispersion.phi() <= PHI_HIGHEST);
    }
}
