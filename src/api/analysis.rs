//! What is measured and how it is judged: templates, and the runs that apply them.

use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::common::{HumanDuration, Percent};

mod conversion;
mod prometheus;
mod run;

pub use conversion::{ConversionMetric, ConversionReason};
pub use prometheus::{
    BasicAuth, BasicSecretRef, BearerAuth, NO_USERINFO, ONE_AUTH, Prometheus, PrometheusAuth, PrometheusOwner,
    PrometheusTls, RunPrometheus, SecretKeyRef,
};
pub use run::{
    AnalysisRun, AnalysisRunSpec, AnalysisRunStatus, Arms, Measurement, MetricStatus, RunPhase, ShareStatus,
    ShareVerdict, Verdict,
};

/// What an argument may be called: only such a name is found in `{{args.NAME}}`.
pub const ARGUMENT_NAME: &str = "^[A-Za-z0-9_.-]+$";

/// What is said of a metric without a judge, or with more than one.
pub const ONE_JUDGE: &str = "a metric has exactly one judge: ratio, threshold or conversion";

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
    #[schemars(length(min = 1, max = 63), regex(pattern = ARGUMENT_NAME))]
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
