//! The error budget of a service: how fast it burns, for the service as a whole and for the canary alone.

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::counter::{Builtin, Counter};
use crate::api::common::{HumanDuration, Percent};

/// The shortest period: in a shorter one an hour is too much of the budget to be a warning.
const SHORTEST_PERIOD_DAYS: u64 = 7;
/// The longest period: most Prometheus servers keep no more.
const LONGEST_PERIOD_DAYS: u64 = 90;
const DAY: u64 = 86_400;

/// A judge of a service level objective by its burn rates: how many times faster than allowed the error budget is spent.
/// The whole service fails above 14.4 over 1h and 5m, or above 6 over 6h and 30m; the canary alone above 14.4 over 5m and 1m
/// with at least 10 bad events and evidence that it is no accident. The rates are those of a period of 30 days. While the
/// service's budget burns that fast nothing is promoted.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct BurnRateMetric {
    /// The counter of bad events. Default: `errors` of the metric pack.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bad: Option<Counter>,
    /// The counter of all events. Default: `requests` of the metric pack.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub total: Option<Counter>,
    /// The share of events that has to be good, above 0 and below 100 %, for example `99.9%`.
    pub objective: Percent,
    /// The period that the objective holds over, 7d to 90d. Default 30d.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub period: Option<HumanDuration>,
    /// Whose burn is judged. Default: both.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scope: Option<BurnScope>,
}

/// Whose burn rate is judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum BurnScope {
    /// The service: the pods of all revisions.
    Service,
    /// The canary alone.
    Canary,
}

impl BurnRateMetric {
    /// The counters of bad and of all events, of the pack where they are not set.
    pub fn counters(&self) -> (Counter, Counter) {
        let or = |own: &Option<Counter>, builtin| own.clone().unwrap_or_else(|| Counter::of_pack(builtin));
        (or(&self.bad, Builtin::Errors), or(&self.total, Builtin::Requests))
    }

    /// Whether this scope is judged.
    pub fn judges(&self, scope: BurnScope) -> bool {
        self.scope.is_none_or(|only| only == scope)
    }

    /// Invalid values, with their field; the selectors are validated elsewhere.
    pub fn problems(&self) -> Vec<(&'static str, String)> {
        let mut problems = Vec::new();
        if self.objective.is_zero() || self.objective == Percent::FULL {
            problems.push(("objective", format!("must be above 0 and below 100 %, got {}", self.objective)));
        }
        let days = |days: u64| std::time::Duration::from_secs(days * DAY);
        let allowed = days(SHORTEST_PERIOD_DAYS)..=days(LONGEST_PERIOD_DAYS);
        if let Some(period) = self.period.filter(|period| !allowed.contains(&period.get())) {
            let bounds = format!("{SHORTEST_PERIOD_DAYS}d to {LONGEST_PERIOD_DAYS}d");
            problems.push(("period", format!("must be from {bounds}, got {period}")));
        }
        if self.period.is_some_and(|period| period.get().subsec_nanos() != 0 || period.get().as_secs() % 3600 != 0) {
            problems.push(("period", "is not a whole number of hours".to_owned()));
        }
        let (bad, total) = self.counters();
        if bad == total {
            problems.push(("bad", "bad and total are the same counter".to_owned()));
        }
        problems
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_an_objective_is_refused_with_its_field() {
        let of = |yaml: &str| -> Vec<String> {
            let metric: BurnRateMetric = serde_yaml::from_str(yaml).unwrap();
            metric.problems().into_iter().map(|(field, problem)| format!("{field}: {problem}")).collect()
        };
        assert_eq!(of("{objective: 99.9%}"), Vec::<String>::new());
        assert_eq!(of("{objective: 100%}"), ["objective: must be above 0 and below 100 %, got 100 %"]);
        assert_eq!(of("{objective: 0}").len(), 1);
        assert_eq!(of("{objective: 99, period: 1d}"), ["period: must be from 7d to 90d, got 24h"]);
        assert_eq!(of("{objective: 99, period: 10d30m}"), ["period: is not a whole number of hours"]);
        assert_eq!(of("{objective: 99, bad: {builtin: requests}}"), ["bad: bad and total are the same counter"]);
    }
}
