//! Settings of the judges of an AnalysisRun.

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::api::common::HumanDuration;

/// Settings of the judges of an AnalysisRun.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct Settings {
    /// Bound on the probability of a false abort in one attempt, over all metrics together. Default 0.05.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0.000001, max = 0.5))]
    pub alpha: Option<f64>,
    /// Bound on the probability of a false Pass per weight. Default 0.05.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0.000001, max = 0.5))]
    pub beta: Option<f64>,
    /// How long the requests of a new pod are excluded. Default 2m.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub warm_up: Option<HumanDuration>,
    /// Without data for this long, the verdict is Inconclusive. Default 5m.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub no_data_timeout: Option<HumanDuration>,
    /// The length of a window in which events are counted, in whole seconds. Default 15s.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub window: Option<HumanDuration>,
    /// The delay after its end until a window is read, for sources with ingestion lag (Thanos, Mimir: 60s). Default 0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delay: Option<HumanDuration>,
    /// Minimum evidence for a Pass.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bake: Option<Bake>,
    /// Overdispersion of errors, 1 (independent) to 20: it divides all evidence. By default it is measured for ratio metrics on
    /// stable's pods over the 6 hours before the analysis, and 2 where that is not possible.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1.0, max = 20.0))]
    pub phi: Option<f64>,
    /// The metric pack of builtin counters. Default: the pack of the mesh.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pack: Option<Pack>,
}

/// Minimum evidence for a Pass.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct Bake {
    /// Measured time. Default 5m.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub duration: Option<HumanDuration>,
    /// Canary requests. Default 100.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub requests: Option<u64>,
}

/// The built-in metric packs (`analysis/packs/`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Pack {
    /// Istio's `istio_requests_total`, reported by the destination's sidecar.
    Istio,
    /// Istio's `istio_requests_total` in ambient mode, reported by the waypoint.
    Ambient,
    /// Linkerd's `response_total`, reported by the proxy of the serving pod.
    Linkerd,
    /// Consul service mesh: Envoy's `envoy_cluster_upstream_rq`, reported by the sidecar of the serving pod.
    Consul,
    /// Envoy's `envoy_cluster_upstream_rq`, on the client side.
    Envoy,
    /// Contour's Envoys: `envoy_cluster_upstream_rq`, by Service.
    Contour,
    /// Traefik's `traefik_service_requests_total`, by Service.
    Traefik,
    /// ingress-nginx' `nginx_ingress_controller_requests`, by Service.
    Nginx,
    /// The application's own `http_requests_total` by pod.
    Application,
    /// The application's own `http.server.request.duration` of OpenTelemetry by pod.
    Otel,
    /// The application's own `http.server.requests` of Micrometer (Spring Boot) by pod.
    Micrometer,
    /// The gRPC server's own `grpc_server_handled_total` by pod.
    Grpc,
}

impl Pack {
    /// Every pack.
    pub const ALL: [Pack; 12] = [
        Pack::Istio,
        Pack::Ambient,
        Pack::Linkerd,
        Pack::Consul,
        Pack::Envoy,
        Pack::Contour,
        Pack::Traefik,
        Pack::Nginx,
        Pack::Application,
        Pack::Otel,
        Pack::Micrometer,
        Pack::Grpc,
    ];
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_packs_are_listed() {
        let schema = serde_json::to_value(schemars::schema_for!(Pack)).unwrap();
        let named = |pack: &Pack| serde_json::to_value(pack).unwrap().to_string();
        assert!(Pack::ALL.iter().all(|pack| schema.to_string().contains(&named(pack))), "{schema}");
        assert_eq!(schema["oneOf"].as_array().unwrap().len(), Pack::ALL.len(), "{schema}");
    }
}
