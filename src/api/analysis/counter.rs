//! Counters of events: those of a metric pack, and those of the user's own.

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A counter. Exactly one of `builtin`, `prometheus`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = ("has(self.builtin) != has(self.prometheus)", "a counter is either builtin or prometheus"))]
pub struct Counter {
    /// A counter of the metric pack.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub builtin: Option<Builtin>,
    /// Your own counter.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prometheus: Option<PrometheusCounter>,
}

impl Counter {
    /// A counter of the metric pack.
    pub fn of_pack(builtin: Builtin) -> Self {
        Counter { builtin: Some(builtin), ..Counter::default() }
    }

    /// The text that selects your own counter, with its field.
    pub fn own_mut(&mut self) -> Option<(&'static str, &mut String)> {
        self.prometheus.as_mut().map(|own| ("prometheus.counter", &mut own.counter))
    }
}

/// The counters of every metric pack.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Builtin {
    /// Logical requests.
    Requests,
    /// Requests that failed on the server side (5xx).
    Errors,
}

/// The label with a pod's name, where no other is named.
pub(super) const POD: &str = "pod";
/// The label with its namespace.
pub(super) const NAMESPACE: &str = "namespace";

/// A counter as a PromQL series selector.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct PrometheusCounter {
    /// A selector of counter series with the labels `namespace` and `pod`, for example
    /// `http_requests_total{code=~"5..",app="{{args.app}}"}`, or with quoted names `{"http.requests", "code"=~"5.."}`.
    /// No functions: Glidepath computes the increments.
    #[schemars(length(min = 1, max = 2048))]
    pub counter: String,
    /// The label that holds the name of the serving pod, for example `exported_pod`. Default `pod`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 128))]
    pub pod_label: Option<String>,
    /// The label that holds that pod's namespace, for example `exported_namespace`. Default `namespace`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 128))]
    pub namespace_label: Option<String>,
}

impl PrometheusCounter {
    /// A selector whose series have the usual labels.
    pub fn of(selector: &str) -> Self {
        PrometheusCounter { counter: selector.to_owned(), ..PrometheusCounter::default() }
    }

    /// The label with the pod's name.
    pub fn pod_label(&self) -> &str {
        self.pod_label.as_deref().unwrap_or(POD)
    }

    /// The label with the pod's namespace.
    pub fn namespace_label(&self) -> &str {
        self.namespace_label.as_deref().unwrap_or(NAMESPACE)
    }

    /// Labels that cannot be ones, with their field.
    pub fn problems(&self) -> Vec<(&'static str, &'static str)> {
        label_problems(self.pod_label.as_deref(), self.namespace_label.as_deref())
    }
}

/// What is wrong with the labels of a pod's series, with their field.
pub(super) fn label_problems(pod: Option<&str>, namespace: Option<&str>) -> Vec<(&'static str, &'static str)> {
    let mut problems = Vec::new();
    for (field, label) in [("podLabel", pod), ("namespaceLabel", namespace)] {
        if label.is_some_and(|label| label.is_empty() || label.chars().any(char::is_control)) {
            problems.push((field, "is not a label's name; remove it for the default"));
        }
    }
    if pod.unwrap_or(POD) == namespace.unwrap_or(NAMESPACE) {
        problems.push(("podLabel", "is the same label as namespaceLabel"));
    }
    problems
}
