//! What one window, or a sum of windows, counted in both arms.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Bad events `k` out of all events `n`, for the canary (`c`) and its baseline (`b`, the stable arm).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Counts {
    /// Bad canary requests.
    pub kc: u64,
    /// Canary requests.
    pub nc: u64,
    /// Bad baseline requests.
    pub kb: u64,
    /// Baseline requests.
    pub nb: u64,
}

impl Counts {
    /// Both arms saw traffic: without that a window says nothing about the one against the other.
    #[must_use]
    pub const fn is_comparable(self) -> bool {
        self.nc > 0 && self.nb > 0
    }

    /// More errors than requests, as happens when the two metrics are scraped apart.
    #[must_use]
    pub const fn needs_clamp(self) -> bool {
        self.kc > self.nc || self.kb > self.nb
    }

    /// The same counts with no more errors than requests.
    #[must_use]
    pub fn clamped(self) -> Self {
        Self { kc: self.kc.min(self.nc), kb: self.kb.min(self.nb), ..self }
    }

    /// Sum, saturating.
    #[must_use]
    pub const fn plus(self, other: Self) -> Self {
        Self {
            kc: self.kc.saturating_add(other.kc),
            nc: self.nc.saturating_add(other.nc),
            kb: self.kb.saturating_add(other.kb),
            nb: self.nb.saturating_add(other.nb),
        }
    }

    /// The canary's share of bad requests, `None` without requests.
    #[must_use]
    pub fn canary_rate(self) -> Option<f64> {
        (self.nc > 0).then(|| self.kc as f64 / self.nc as f64)
    }

    /// The baseline's share of bad requests, `None` without requests.
    #[must_use]
    pub fn baseline_rate(self) -> Option<f64> {
        (self.nb > 0).then(|| self.kb as f64 / self.nb as f64)
    }
}

impl std::iter::Sum for Counts {
    fn sum<I: Iterator<Item = Self>>(iter: I) -> Self {
        iter.fold(Self::default(), Self::plus)
    }
}
