//! Response times: a histogram, and how much slower than stable the canary may be.

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::counter::{NAMESPACE, POD, label_problems};
use crate::api::common::{HumanDuration, Percent};

/// A judge that compares response times: how many of the canary's requests are slower than each of several bounds of a
/// histogram, against stable's. It fails when the canary is slower, and passes when its share of requests slower than the
/// SLO is below `slo.share` or not twice stable's.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct LatencyMetric {
    /// The histogram of response times.
    pub histogram: Histogram,
    /// How much slower than stable the canary may be. Default 20 %. Honored with native histograms; with classic buckets,
    /// up to 1.25 times as many slow requests as stable's are accepted, whatever is set here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tolerance: Option<Percent>,
    /// The objective that a Pass is about. Default: twice as many slow requests as stable's are ruled out, at the bound
    /// that about 5 % of stable's requests exceed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub slo: Option<LatencySlo>,
}

/// An objective for response times.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct LatencySlo {
    /// Requests slower than this are slow; in effect the next bound of the histogram.
    pub under: HumanDuration,
    /// The share of slow requests that must be ruled out for a Pass. Default 1 %.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub share: Option<Percent>,
}

/// A histogram. Exactly one of `builtin`, `prometheus`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = ("has(self.builtin) != has(self.prometheus)", ONE_HISTOGRAM))]
pub struct Histogram {
    /// A histogram of the metric pack.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub builtin: Option<BuiltinHistogram>,
    /// Your own histogram.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prometheus: Option<PrometheusHistogram>,
}

/// The message for a histogram with no source or with two.
pub const ONE_HISTOGRAM: &str = "a histogram is either builtin or prometheus";

/// The histograms of every metric pack.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum BuiltinHistogram {
    /// Response times of requests.
    Duration,
}

/// A histogram as a PromQL series selector.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct PrometheusHistogram {
    /// A selector of the histogram without `_bucket`, with the labels `namespace` and `pod` or those named below, for example
    /// `http_request_duration_seconds{app="{{args.app}}"}`. It may be native or classic. No functions: Glidepath computes
    /// the increments.
    #[schemars(length(min = 1, max = 2048))]
    pub histogram: String,
    /// The unit of its bounds. Default `milliseconds` if its name ends in `_milliseconds` or `_ms`, else `seconds`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unit: Option<TimeUnit>,
    /// The label that holds the name of the serving pod, for example `exported_pod`. Default `pod`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 128))]
    pub pod_label: Option<String>,
    /// The label that holds that pod's namespace, for example `exported_namespace`. Default `namespace`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 128))]
    pub namespace_label: Option<String>,
}

impl PrometheusHistogram {
    /// A selector whose series have the usual labels.
    pub fn of(selector: &str) -> Self {
        PrometheusHistogram { histogram: selector.to_owned(), ..PrometheusHistogram::default() }
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

/// The unit of a histogram's bounds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum TimeUnit {
    /// Seconds.
    #[default]
    Seconds,
    /// Milliseconds.
    Milliseconds,
}

impl TimeUnit {
    /// By the ending of a metric's name, as Prometheus' conventions have it.
    pub fn of_name(name: &str) -> Self {
        let milliseconds = name.ends_with("_milliseconds") || name.ends_with("_ms");
        if milliseconds { TimeUnit::Milliseconds } else { TimeUnit::Seconds }
    }

    /// How many seconds it is.
    pub const fn seconds(self) -> f64 {
        match self {
            TimeUnit::Seconds => 1.0,
            TimeUnit::Milliseconds => 0.001,
        }
    }
}

impl LatencyMetric {
    /// Invalid values, with their field; the selector is validated elsewhere.
    pub fn problems(&self) -> Vec<(&'static str, &'static str)> {
        let mut problems = Vec::new();
        let histogram = &self.histogram;
        if histogram.builtin.is_some() == histogram.prometheus.is_some() {
            problems.push(("histogram", ONE_HISTOGRAM));
        }
        if self.tolerance.is_some_and(Percent::is_zero) {
            problems.push(("tolerance", "must be above 0: equal versions would be on the bound"));
        }
        if let Some(slo) = &self.slo {
            if slo.under.get().is_zero() {
                problems.push(("slo.under", "must be above 0"));
            }
            if slo.share.is_some_and(|share| share.is_zero() || share == Percent::FULL) {
                problems.push(("slo.share", "must be above 0 and below 100 %"));
            }
        }
        problems
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_follow_the_name() {
        for (name, unit) in [
            ("http_request_duration_seconds", TimeUnit::Seconds),
            ("istio_request_duration_milliseconds", TimeUnit::Milliseconds),
            ("rpc_ms", TimeUnit::Milliseconds),
            ("items", TimeUnit::Seconds),
        ] {
            assert_eq!(TimeUnit::of_name(name), unit, "{name}");
        }
    }
}
