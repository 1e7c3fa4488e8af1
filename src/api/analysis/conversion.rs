//! The goal of an A/B test: which variant has the higher conversion rate.

use kube::KubeSchema;
use serde::{Deserialize, Serialize};

use super::counter::Counter;
use crate::api::common::Percent;

/// A judge that compares two conversion rates. `Pass` means that the candidate wins, `Fail` that control wins,
/// `Inconclusive` with the reason `NoDifference` neither; `Inconclusive` with the reason `Invalid` means that users
/// were not assigned as planned. There is no verdict before each variant has 100 conversions.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct ConversionMetric {
    /// The counter of conversions: each user at most once.
    pub successes: Counter,
    /// The counter of users that see a variant for the first time, incremented by the application at that moment.
    pub trials: Counter,
    /// Differences up to this part of the control's rate do not matter: once a larger one is ruled out, the reason is
    /// `NoDifference`. Default 5 %.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub difference: Option<Percent>,
    /// The expected number of users of both variants together; the interval is narrowest there and valid everywhere.
    /// Default 20000.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1))]
    pub planned_users: Option<u64>,
}

impl ConversionMetric {
    /// Invalid numbers, with their field; the selectors are validated elsewhere.
    pub fn problems(&self) -> Vec<(&'static str, &'static str)> {
        let mut problems = Vec::new();
        if self.difference.is_some_and(|difference| difference.is_zero() || difference == Percent::FULL) {
            problems.push(("difference", "must be above 0 and below 100 %"));
        }
        if self.planned_users == Some(0) {
            problems.push(("plannedUsers", "must be at least 1; remove it for the default"));
        }
        if self.successes == self.trials {
            problems.push(("successes", "successes and trials are the same counter"));
        }
        problems
    }
}
