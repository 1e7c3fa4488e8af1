//! A gauge of the pods of both arms, such as CPU, memory or a queue's length.

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::api::common::Percent;

/// What a label of Prometheus is called.
const LABEL: &str = "^[a-zA-Z_][a-zA-Z0-9_]*$";

/// A judge that compares a gauge of the canary's pods with that of stable's pods, once a minute, by a sequential t-test of
/// the logarithm of their ratio. Values that are zero or negative have no ratio and are left out.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct GaugeMetric {
    /// A PromQL query with one value per pod, for example `sum by (namespace, pod)
    /// (rate(container_cpu_usage_seconds_total{namespace="shop"}[2m]))`. At most 2,000 series.
    #[schemars(length(min = 1, max = 8192))]
    pub query: String,
    /// What is compared: the mean of an arm's pods (`pod`, the default), or the sum of its pods divided by the arm's
    /// requests in the same minute (`request`), for arms whose pods get different traffic.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub per: Option<GaugePer>,
    /// How much worse than stable the canary may be. Default 20 %. At least three standard errors of what stable's pods
    /// differ by are tolerated.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tolerance: Option<Percent>,
    /// Which way is worse: `increase` (default) or `decrease`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub direction: Option<GaugeDirection>,
    /// The label with the pod's name, for example `exported_pod`. Default `pod`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 128), regex(pattern = LABEL))]
    pub pod_label: Option<String>,
    /// The label with the pod's namespace. Default `namespace`; a series without it counts for the Rollout's namespace.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 128), regex(pattern = LABEL))]
    pub namespace_label: Option<String>,
}

/// What a gauge is divided by.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum GaugePer {
    /// An arm's pods.
    #[default]
    Pod,
    /// An arm's requests.
    Request,
}

/// Which way a gauge gets worse.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum GaugeDirection {
    /// More is worse: CPU, memory.
    #[default]
    Increase,
    /// Less is worse: a hit rate, free space.
    Decrease,
}

impl GaugeMetric {
    /// Invalid values, with their field.
    pub fn problems(&self) -> Vec<(&'static str, &'static str)> {
        let mut problems = Vec::new();
        if self.query.trim().is_empty() {
            problems.push(("query", "is empty"));
        }
        if self.tolerance.is_some_and(Percent::is_zero) {
            problems.push(("tolerance", "must be above 0: two versions never use exactly the same"));
        }
        for (field, label) in [("podLabel", &self.pod_label), ("namespaceLabel", &self.namespace_label)] {
            if label.as_deref().is_some_and(|label| !is_label(label)) {
                problems.push((field, "is not a label's name: letters (A-Z, a-z), digits and '_' only"));
            }
        }
        problems
    }
}

fn is_label(text: &str) -> bool {
    let word = |letter: char| letter.is_ascii_alphanumeric() || letter == '_';
    !text.is_empty() && text.chars().all(word) && !text.starts_with(|letter: char| letter.is_ascii_digit())
}
