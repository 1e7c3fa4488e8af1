//! How the judges of a run are set.

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::api::common::HumanDuration;

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
