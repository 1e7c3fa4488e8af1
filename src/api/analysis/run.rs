//! The AnalysisRun: its frozen inputs, and its measurements.

use jiff::Timestamp;
use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    load::{Load, LoadStatus},
    metric::Metric,
    prometheus::RunPrometheus,
    settings::Settings,
    trail::Trail,
};
use crate::api::{common::Percent, reason::MetricReason};

/// One analysis, in progress or finished, with its evidence.
#[derive(CustomResource, Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[kube(
    group = "glidepath.dev",
    version = "v1alpha1",
    kind = "AnalysisRun",
    namespaced,
    derive = "PartialEq",
    shortname = "gar",
    category = "glidepath",
    status = "AnalysisRunStatus",
    doc = "One judgement in progress or done, with its evidence.",
    printcolumn(name = "Phase", type_ = "string", json_path = ".status.phase"),
    printcolumn(name = "Verdict", type_ = "string", json_path = ".status.verdict"),
    printcolumn(name = "Message", type_ = "string", json_path = ".status.message", priority = 1),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp")
)]
#[serde(rename_all = "camelCase")]
pub struct AnalysisRunSpec {
    /// The two arms that are compared.
    pub arms: Arms,
    /// The resolved metrics: arguments are substituted, names are unique.
    #[schemars(length(max = 64))]
    pub metrics: Vec<Metric>,
    /// The resolved settings.
    #[serde(default)]
    pub settings: Settings,
    /// The metric source.
    #[serde(default)]
    pub prometheus: RunPrometheus,
    /// Whether the run ends with its verdict (an analysis step) or continues until it is stopped (background).
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub background: bool,
    /// Ends the run: no more queries are sent and its verdict is final.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub stop: bool,
    /// Counts settled changes of the route set. Pass evidence starts from scratch with each.
    #[serde(default)]
    pub epoch: u32,
    /// The stable arm receives no comparable traffic (blue-green): the canary is compared with stable's rate in the
    /// hour before.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub one_armed: bool,
    /// The canary's planned share of the requests in this epoch, with which the measured share is compared.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub share: Option<Percent>,
    /// The share of assignments (users) planned for the candidate of an A/B test in this epoch, with which `conversion`
    /// metrics check the sample ratio. Absent if variants are selected by header or cookie: then there is no such
    /// check, and the metric's notes say so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub candidate_share: Option<Percent>,
    /// Synthetic traffic while it runs, resolved.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32))]
    pub load: Vec<Load>,
}

/// The two arms of a run, by workload: ReplicaSet names are the arm labels of the packs.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct Arms {
    /// The namespace of both.
    pub namespace: String,
    /// The canary's ReplicaSet.
    pub canary: String,
    /// The stable version's ReplicaSet.
    pub stable: String,
    /// The canary's Service, for client-side packs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub canary_service: Option<String>,
    /// The stable Service, for client-side packs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stable_service: Option<String>,
    /// Compares one workload with itself: `canary` and `stable` are the same, and the pods whose whole names match this
    /// regular expression are the canary's. Not for client-side packs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253))]
    pub canary_pods: Option<String>,
}

/// The phase of a run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum RunPhase {
    /// It is measuring.
    #[default]
    Running,
    /// It reached its verdict.
    Finished,
    /// It was stopped.
    Stopped,
}

/// The five verdicts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub enum Verdict {
    /// Nothing to judge: never a pass, never a failure.
    #[default]
    NoData,
    /// Not decided yet: waits for the next window.
    Continue,
    /// The degradation that `pass` defines is ruled out.
    Pass,
    /// The canary is significantly worse.
    Fail,
    /// No verdict in the given time.
    Inconclusive,
}

/// The measurements and verdict of a run.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct AnalysisRunStatus {
    /// The phase of the run.
    #[serde(default)]
    pub phase: RunPhase,
    /// The verdict over all required metrics.
    #[serde(default)]
    pub verdict: Verdict,
    /// A human-readable summary in one line.
    #[serde(default)]
    pub message: String,
    /// When it started.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub started_at: Option<Timestamp>,
    /// The end of the last counted window.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub windows_through: Option<Timestamp>,
    /// The epoch that the Pass evidence belongs to.
    #[serde(default)]
    pub epoch: u32,
    /// When the current epoch started.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub epoch_since: Option<Timestamp>,
    /// Each metric with its evidence.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub metrics: Vec<MetricStatus>,
    /// The canary's measured share of the requests.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub share: Option<ShareStatus>,
    /// The Jobs of each load, in the order of the spec.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32))]
    pub load: Vec<LoadStatus>,
}

impl AnalysisRunStatus {
    /// The results that the Rollout's decisions and status need. The judges' state and the measurements are most of a
    /// status and stay with the run.
    pub fn shown(&self) -> AnalysisRunStatus {
        let metrics = self.metrics.iter().map(|metric| MetricStatus {
            name: metric.name.clone(),
            reason: metric.reason.clone(),
            canary: metric.canary.clone(),
            stable: metric.stable.clone(),
            comparison: metric.comparison.clone(),
            needs: metric.needs.clone(),
            notes: metric.notes.clone(),
            accumulator: None,
            measurements: Vec::new(),
            trail: None,
            ..*metric
        });
        let (message, share) = (self.message.clone(), self.share.clone());
        AnalysisRunStatus { metrics: metrics.collect(), message, share, load: Vec::new(), ..*self }
    }
}

/// The canary's share of the requests in one epoch.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct ShareStatus {
    /// The epoch that is counted.
    pub epoch: u32,
    /// The canary's requests.
    pub canary: u64,
    /// All requests.
    pub total: u64,
    /// Whether they match the plan.
    pub verdict: ShareVerdict,
    /// Windows in a row in which stable had requests and the canary had none.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub silent_windows: u32,
    /// The end of the last window.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub through: Option<Timestamp>,
}

/// Whether the measured share of requests matches the planned share.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum ShareVerdict {
    /// Too few requests to decide.
    #[default]
    Counting,
    /// A relevant deviation (a quarter of the share, at least half a percent of all) is ruled out.
    Verified,
    /// The requests do not follow the plan.
    Broken,
}

/// The evidence of one metric, in human-readable form.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct MetricStatus {
    /// The metric's name.
    pub name: String,
    /// Its verdict.
    pub verdict: Verdict,
    /// Whether the metric is required.
    #[serde(default = "yes")]
    pub required: bool,
    /// The metric is the goal of an A/B test: its verdict ends the test and is not a failure.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub decides: bool,
    /// A CamelCase reason under the verdict (`WarmUp`, `SourceError`, `NoCanaryRequests`...).
    #[serde(default)]
    pub reason: MetricReason,
    /// The canary's value, for example `0.12 % (9/7,412)`.
    #[serde(default)]
    pub canary: String,
    /// Stable's value.
    #[serde(default)]
    pub stable: String,
    /// The comparison, for example `ratio 1.2, 95 % CS 0.5-2.9, p = 1.0`.
    #[serde(default)]
    pub comparison: String,
    /// What a verdict still needs, for example `about 1,900 more canary requests`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub needs: Option<String>,
    /// Progress of the evidence towards Fail, 0 to 1.
    #[serde(default)]
    pub fail_progress: f64,
    /// Consecutive source errors.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub errors_in_a_row: u32,
    /// Notes, such as `resets were seen`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16))]
    pub notes: Vec<String>,
    /// The judge's state; opaque.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-kubernetes-preserve-unknown-fields" = true))]
    pub accumulator: Option<serde_json::Value>,
    /// The last 20 measurements.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 20))]
    pub measurements: Vec<Measurement>,
    /// How the evidence developed, for charts: at most 60 points, absent where the judge keeps none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trail: Option<Box<Trail>>,
}

/// One window or one query's result.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct Measurement {
    /// The window's end or the query's time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<Timestamp>,
    /// The measured value, human-readable.
    pub value: String,
    /// The verdict of this measurement alone.
    pub verdict: Verdict,
}

fn yes() -> bool {
    true
}

fn is_zero(value: &u32) -> bool {
    *value == 0
}
