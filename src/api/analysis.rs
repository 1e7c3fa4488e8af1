//! What is measured and how it is judged: templates, and the runs that apply them.

use jiff::Timestamp;
use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::common::{HumanDuration, Percent};

/// Reusable metrics with arguments, for the Rollouts of one namespace.
#[derive(CustomResource, Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[kube(
    group = "glidepath.dev",
    version = "v1alpha1",
    kind = "AnalysisTemplate",
    namespaced,
    derive = "PartialEq",
    shortname = "gat",
    category = "glidepath",
    doc = "Reusable metrics and how they are judged, for the Rollouts of one namespace.",
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp")
)]
#[serde(rename_all = "camelCase")]
pub struct AnalysisTemplateSpec {
    /// Arguments that `{{args.name}}` in the metrics' texts stands for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64))]
    pub args: Vec<Arg>,
    /// The metrics. All are evaluated in every window.
    #[schemars(length(max = 32))]
    pub metrics: Vec<Metric>,
    /// How the judges are set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub settings: Option<Settings>,
}

/// Reusable metrics with arguments, for the Rollouts of the whole cluster.
#[derive(CustomResource, Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[kube(
    group = "glidepath.dev",
    version = "v1alpha1",
    kind = "ClusterAnalysisTemplate",
    derive = "PartialEq",
    shortname = "gcat",
    category = "glidepath",
    doc = "Reusable metrics and how they are judged, for the Rollouts of the whole cluster.",
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp")
)]
#[serde(rename_all = "camelCase")]
pub struct ClusterAnalysisTemplateSpec {
    /// Arguments that `{{args.name}}` in the metrics' texts stands for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64))]
    pub args: Vec<Arg>,
    /// The metrics. All are evaluated in every window.
    #[schemars(length(max = 32))]
    pub metrics: Vec<Metric>,
    /// How the judges are set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub settings: Option<Settings>,
}

impl From<ClusterAnalysisTemplateSpec> for AnalysisTemplateSpec {
    fn from(spec: ClusterAnalysisTemplateSpec) -> Self {
        AnalysisTemplateSpec { args: spec.args, metrics: spec.metrics, settings: spec.settings }
    }
}

/// A named value. In a template, a value is the default and none means that the user must give one.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
pub struct Arg {
    /// The argument's name.
    #[schemars(length(min = 1, max = 63))]
    pub name: String,
    /// Its value, put into texts literally.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 1024))]
    pub value: Option<String>,
}

/// A template by name: the namespace's, or the cluster's with `clusterScope`, else the one built into the binary.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct TemplateRef {
    /// The template's name.
    #[schemars(length(min = 1, max = 253))]
    pub name: String,
    /// Whether a ClusterAnalysisTemplate is meant.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub cluster_scope: bool,
}

/// One metric: where its numbers come from and its judge. Exactly one of `ratio`, `threshold`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = ("has(self.ratio) != has(self.threshold)", "a metric has exactly one judge: ratio or threshold"))]
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
}

impl Metric {
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

/// A counter. Exactly one of `builtin`, `prometheus`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = ("has(self.builtin) != has(self.prometheus)", "a counter is either builtin or prometheus"))]
pub struct Counter {
    /// A counter of the metric pack.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub builtin: Option<Builtin>,
    /// A counter of the user's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prometheus: Option<PrometheusCounter>,
}

/// The counters that every metric pack has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Builtin {
    /// Logical requests.
    Requests,
    /// Requests that failed on the server's side (5xx).
    Errors,
}

/// A counter as a PromQL series selector.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct PrometheusCounter {
    /// A selector of counter series that carry `namespace` and `pod` labels, for instance
    /// `http_requests_total{code=~"5..",app="{{args.app}}"}`. No functions: increments are counted by Glidepath.
    #[schemars(length(min = 1, max = 2048))]
    pub counter: String,
}

/// A condition on a query's result.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = ("has(self.success) || has(self.failure)", "give a success or a failure condition"))]
pub struct ThresholdMetric {
    /// The PromQL query; its first value is `result`.
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

/// How the judges of a run are set.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct Settings {
    /// Bound on the chance of a false abort in one attempt, over all metrics together. Default 0.05.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0.000001, max = 0.5))]
    pub alpha: Option<f64>,
    /// Bound on the chance of a false Pass per weight. Default 0.05.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0.000001, max = 0.5))]
    pub beta: Option<f64>,
    /// How long a new pod's requests are left out. Default 2m.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub warm_up: Option<HumanDuration>,
    /// After this long without data the verdict is Inconclusive. Default 5m.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub no_data_timeout: Option<HumanDuration>,
    /// The length of a counting window, whole seconds. Default 15s.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub window: Option<HumanDuration>,
    /// How much later than its end a window is read, for sources that lag (Thanos, Mimir: 60s). Default 0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delay: Option<HumanDuration>,
    /// What a Pass needs at least.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bake: Option<Bake>,
    /// Dispersion of clustered errors, 1 to 20: it divides all evidence. Default 2.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1.0, max = 20.0))]
    pub phi: Option<f64>,
    /// Where builtin counters come from. Default: the mesh's own pack.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pack: Option<Pack>,
}

/// What a Pass needs at least.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct Bake {
    /// Counted time. Default 5m.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub duration: Option<HumanDuration>,
    /// Canary requests. Default 100.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub requests: Option<u64>,
}

/// The metric packs that ship with Glidepath (`analysis/packs/`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Pack {
    /// Istio's `istio_requests_total`, server side.
    Istio,
    /// Plain Envoy's `envoy_cluster_upstream_rq`, caller side.
    Envoy,
    /// The application's own `http_requests_total` by pod.
    Application,
}

/// A Prometheus server.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct Prometheus {
    /// Its base URL, for instance `http://prometheus.monitoring:9090`.
    #[schemars(length(min = 1, max = 1024))]
    pub address: String,
}

/// One judgement in progress or done, with its evidence.
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
    /// The two sides that are compared.
    pub arms: Arms,
    /// The resolved metrics: arguments are filled in, names are unique.
    #[schemars(length(max = 64))]
    pub metrics: Vec<Metric>,
    /// The resolved settings.
    #[serde(default)]
    pub settings: Settings,
    /// Where the numbers come from.
    pub prometheus: Prometheus,
    /// The run ends with this verdict's arrival (an analysis step) or goes on until it is stopped (background).
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub background: bool,
    /// Ends the run: nothing is asked any more and its verdict stands as it is.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub stop: bool,
    /// Counts settled changes of the route set. Pass evidence starts anew with each.
    #[serde(default)]
    pub epoch: u32,
    /// The stable side sees no comparable traffic (blue-green): the canary is judged by its own rates alone, against
    /// stable's in the hour before.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub one_armed: bool,
    /// The canary's planned share of the requests in this epoch; whether it gets it is counted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub share: Option<Percent>,
}

/// The two sides that a run compares, by workload: ReplicaSet names are the arm labels of the packs.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct Arms {
    /// The namespace of both.
    pub namespace: String,
    /// The canary's ReplicaSet.
    pub canary: String,
    /// The stable version's ReplicaSet.
    pub stable: String,
    /// The canary's Service, for caller-side packs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub canary_service: Option<String>,
    /// The stable Service, for caller-side packs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stable_service: Option<String>,
}

/// Whether a run goes on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum RunPhase {
    /// It measures.
    #[default]
    Running,
    /// It reached its verdict.
    Finished,
    /// It was ended from outside.
    Stopped,
}

/// The five verdicts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub enum Verdict {
    /// Nothing to judge: never a pass, never a failure.
    #[default]
    NoData,
    /// Neither proved: the next window is awaited.
    Continue,
    /// What `pass` names is ruled out.
    Pass,
    /// Proved worse.
    Fail,
    /// No verdict in the given time.
    Inconclusive,
}

/// What a run has seen and says.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct AnalysisRunStatus {
    /// Whether it goes on.
    #[serde(default)]
    pub phase: RunPhase,
    /// The verdict over all required metrics.
    #[serde(default)]
    pub verdict: Verdict,
    /// One line for people.
    #[serde(default)]
    pub message: String,
    /// When it began.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub started_at: Option<Timestamp>,
    /// The end of the last counted window.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub windows_through: Option<Timestamp>,
    /// The epoch that the Pass evidence belongs to.
    #[serde(default)]
    pub epoch: u32,
    /// When the current epoch began.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub epoch_since: Option<Timestamp>,
    /// Each metric with its evidence.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub metrics: Vec<MetricStatus>,
    /// The canary's share of the requests as counted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub share: Option<ShareStatus>,
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
    /// What they say about the plan.
    pub verdict: ShareVerdict,
    /// Windows in a row in which stable had requests and the canary had none.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub silent_windows: u32,
    /// The end of the last window.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub through: Option<Timestamp>,
}

/// What counted requests say about the planned share.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum ShareVerdict {
    /// Too few to say.
    #[default]
    Counting,
    /// No deviation that matters: a quarter of the share, at least half a percent of all.
    Verified,
    /// They do not follow the plan.
    Broken,
}

/// One metric's evidence, in the words and numbers that people are shown.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct MetricStatus {
    /// The metric's name.
    pub name: String,
    /// Its verdict.
    pub verdict: Verdict,
    /// Whether the verdict counts.
    #[serde(default = "yes")]
    pub required: bool,
    /// It decides an A/B test: its verdict ends the test and is no failure.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub decides: bool,
    /// A CamelCase reason under the verdict (`WarmUp`, `SourceError`, `NoCanaryRequests`...).
    #[serde(default)]
    pub reason: String,
    /// What the canary shows, for instance `0.12 % (9/7,412)`.
    #[serde(default)]
    pub canary: String,
    /// What stable shows.
    #[serde(default)]
    pub stable: String,
    /// The comparison, for instance `ratio 1.2, 95 % CS 0.5-2.9, p = 1.0`.
    #[serde(default)]
    pub comparison: String,
    /// What a verdict still needs, for instance `about 1,900 more canary requests`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub needs: Option<String>,
    /// How far towards Fail the evidence is, 0 to 1.
    #[serde(default)]
    pub fail_progress: f64,
    /// Source errors in a row.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub errors_in_a_row: u32,
    /// Notes, such as `resets were seen`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16))]
    pub notes: Vec<String>,
    /// The judge's memory; opaque.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-kubernetes-preserve-unknown-fields" = true))]
    pub accumulator: Option<serde_json::Value>,
    /// The last 20 measurements.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 20))]
    pub measurements: Vec<Measurement>,
}

/// One window or one query's result.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct Measurement {
    /// The window's end or the query's time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<Timestamp>,
    /// What was seen, for people.
    pub value: String,
    /// What it says by itself.
    pub verdict: Verdict,
}

fn yes() -> bool {
    true
}

fn is_zero(value: &u32) -> bool {
    *value == 0
}
