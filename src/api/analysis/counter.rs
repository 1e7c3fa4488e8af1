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
