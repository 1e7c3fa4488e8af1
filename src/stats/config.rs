//! What the ratio judge is asked: how much worse is accepted, and how sure it has to be.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The settings of one ratio metric, resolved and frozen for the rollout.
///
/// They are checked where users write them. A value out of its range is not an error here: it is read as the nearest
/// one that makes sense, so that no setting can give a NaN.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RatioConfig {
    /// Null ratio: up to this many times the baseline's error rate is accepted (1 + tolerance).
    pub r0: f64,
    /// Never fail below this absolute error rate, in (0, 0.5]; 0 for none.
    pub floor: f64,
    /// r1: what has to be ruled out to say Pass, above `r0`.
    pub pass_ratio: f64,
    /// A canary below this absolute error rate passes too; in (0, 1).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ceiling: Option<f64>,
    /// Dispersion, at least 1: every log term is divided by it.
    pub phi: f64,
    /// Chance of a false Fail this metric may spend.
    pub alpha: f64,
    /// Chance of a false Pass it may spend per weight epoch.
    pub beta: f64,
    /// Fewest canary errors that can fail.
    pub min_errors: u64,
    /// No baseline sees comparable traffic: the floor alone fails, the ceiling alone passes.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub one_armed: bool,
}

impl RatioConfig {
    /// The defaults against a stable arm, with all of alpha, unclustered.
    pub const DEFAULT: Self = Self {
        r0: 1.25,
        floor: 0.001,
        pass_ratio: 2.0,
        ceiling: Some(0.005),
        phi: 1.0,
        alpha: 0.05,
        beta: 0.05,
        min_errors: 3,
        one_armed: false,
    };

    /// The test that also runs while warming up: five times the baseline and above 5 %.
    #[must_use]
    pub const fn catastrophic(phi: f64, alpha: f64) -> Self {
        Self { r0: 5.0, floor: 0.05, pass_ratio: 10.0, ceiling: None, phi, alpha, ..Self::DEFAULT }
    }

    pub(super) fn r0(&self) -> f64 {
        positive_or(self.r0, Self::DEFAULT.r0)
    }

    pub(super) fn pass_ratio(&self) -> f64 {
        positive_or(self.pass_ratio, Self::DEFAULT.pass_ratio)
    }

    pub(super) fn ceiling(&self) -> Option<f64> {
        self.ceiling.filter(|ceiling| *ceiling > 0.0)
    }

    pub(super) fn phi(&self) -> f64 {
        if self.phi.is_finite() { self.phi.max(1.0) } else { super::dispersion::PHI_WITHOUT_HISTORY }
    }

    /// ln(1/alpha): where ln E fails.
    #[must_use]
    pub fn fail_bound(&self) -> f64 {
        bound(self.alpha)
    }

    /// ln(1/beta): where ln E passes.
    #[must_use]
    pub fn pass_bound(&self) -> f64 {
        bound(self.beta)
    }
}

impl Default for RatioConfig {
    fn default() -> Self {
        Self::DEFAULT
    }
}

fn positive_or(value: f64, otherwise: f64) -> f64 {
    if value.is_finite() && value > 0.0 { value.clamp(1e-6, 1e6) } else { otherwise }
}

/// An error chance of 0, above 1 or not a number would decide always or never: 5 % instead.
fn bound(chance: f64) -> f64 {
    let chance = if chance > 0.0 && chance < 1.0 { chance } else { 0.05 };
    -chance.ln()
}
