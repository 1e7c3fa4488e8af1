//! One metric: where its numbers come from, and which judge reads them.

use kube::KubeSchema;
use serde::{Deserialize, Serialize};

use super::{conversion::ConversionMetric, counter::Counter};
use crate::api::common::{HumanDuration, Percent};

/// What is said of a metric without a judge, or with more than one.
pub const ONE_JUDGE: &str = "a metric has exactly one judge: ratio, threshold or conversion";

/// One metric: where its numbers come from and its judge. Exactly one of `ratio`, `threshold`, `conversion`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = (
    "(has(self.ratio) ? 1 : 0) + (has(self.threshold) ? 1 : 0) + (has(self.conversion) ? 1 : 0) == 1",
    ONE_JUDGE
))]
pub struct Metric {
    /// Its name, unique among the metrics of a run.
    #[schemars(length(min = 1, max = 63))]
    pub name: String,
    /// `false` makes it advisory: shown, but it neither passes nor fails anything. Default true.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub required: Option<bool>,
    /// Bad events per event, canary against stable, by an always-valid sequential test.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ratio: Option<RatioMetric>,
    /// A condition on a query's result, as Argo Rollouts and Flagger have it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub threshold: Option<ThresholdMetric>,
    /// The share of users that convert, candidate against control of an A/B test, by an always-valid interval.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub conversion: Option<ConversionMetric>,
}

impl Metric {
    /// Whether it has one judge, no more and no less.
    pub fn has_one_judge(&self) -> bool {
        let judges = [self.ratio.is_some(), self.threshold.is_some(), self.conversion.is_some()];
        judges.into_iter().filter(|given| *given).count() == 1
    }

    /// Whether its verdict counts.
    pub fn is_required(&self) -> bool {
        self.required.unwrap_or(true)
    }
}

/// A judge of two error rates.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct RatioMetric {
    /// The counter of bad events.
    pub bad: Counter,
    /// The counter of all events.
    pub total: Counter,
    /// How much worse than stable is still accepted. Default 25 %.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tolerance: Option<Percent>,
    /// Never fail below this absolute rate. Default 0.1 %, at most 50 %.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub floor: Option<Percent>,
    /// What must be ruled out to say Pass.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pass: Option<RatioPass>,
}

/// What must be ruled out before a ratio metric passes.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct RatioPass {
    /// Canary at this many times stable's rate; above 1 + tolerance. Default 2.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ratio: Option<f64>,
    /// Canary at this absolute rate; above the floor. Default 0.5 %.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ceiling: Option<Percent>,
}

/// A condition on a query's result.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = ("has(self.success) || has(self.failure)", "give a success or a failure condition"))]
pub struct ThresholdMetric {
    /// The PromQL query; its one value is `result`. An answer with several series is no data: aggregate it.
    #[schemars(length(min = 1, max = 8192))]
    pub query: String,
    /// A CEL condition on `result` that a good measurement fulfils.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 1024))]
    pub success: Option<String>,
    /// A CEL condition on `result` that a bad measurement fulfils.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 1024))]
    pub failure: Option<String>,
    /// Time between measurements. Default 1m.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub interval: Option<HumanDuration>,
    /// Time before the first measurement. Default 0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub initial_delay: Option<HumanDuration>,
    /// The metric passes after this many good measurements. Default 1 in an analysis step; a background run never ends by count.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub count: Option<u32>,
    /// It fails with more than this many bad measurements. Default 0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure_limit: Option<u32>,
    /// It is inconclusive with more than this many that are neither good nor bad. Default 0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub inconclusive_limit: Option<u32>,
    /// It has no data with more than this many source errors in a row. Default 4.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub consecutive_error_limit: Option<u32>,
    /// It passes after this many good measurements in a row. Off when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub consecutive_success_limit: Option<u32>,
}
