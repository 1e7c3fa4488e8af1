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

/// A counter as a PromQL series selector.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct PrometheusCounter {
    /// A selector of counter series with the labels `namespace` and `pod`, for example
    /// `http_requests_total{code=~"5..",app="{{args.app}}"}`. No functions: Glidepath computes the increments.
    #[schemars(length(min = 1, max = 2048))]
    pub counter: String,
}
