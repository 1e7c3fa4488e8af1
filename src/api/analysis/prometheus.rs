//! The Prometheus to query. Credentials are never written here: they are referenced by Secret.

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    auth::{Auth, Tls},
    header::Header,
};

/// The message for an address that contains credentials.
pub const NO_USERINFO: &str =
    "must not contain credentials, which every reader of this object would see; name a Secret under auth";

/// A Prometheus server, or one with a compatible API (Thanos, Mimir, VictoriaMetrics).
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = ("!self.address.matches('^[^/]*//[^/?#]*@')", NO_USERINFO))]
pub struct Prometheus {
    /// Its base URL, for example `http://prometheus.monitoring:9090`, without credentials.
    #[schemars(length(min = 1, max = 1024))]
    pub address: String,
    /// Authentication. The Secrets are in the Rollout's namespace, and the controller must be allowed to read them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub auth: Option<Auth>,
    /// TLS verification and the client certificate. Default: the CAs that the controller's host trusts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls: Option<Tls>,
    /// The tenant of Mimir, Cortex or Loki, sent as `X-Scope-OrgID`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 150))]
    pub tenant: Option<String>,
    /// More headers of every request.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16))]
    pub headers: Vec<Header>,
    /// Sent to Thanos as `partial_response`: `false` makes a query fail when a store is down. A response that warns of
    /// partial data is no data in any case.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub partial_response: Option<bool>,
}

/// The Prometheus of an AnalysisRun: the controller's, or the Rollout's by its address.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct RunPrometheus {
    /// Where it is configured. AnalysisRuns from before this field have an address.
    #[serde(default)]
    pub source: PrometheusOwner,
    /// The base URL of the Rollout's Prometheus. Empty for the controller's, whose address is not exposed.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    #[schemars(length(max = 1024))]
    pub address: String,
    /// Authentication.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub auth: Option<Auth>,
    /// TLS verification and the client certificate.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls: Option<Tls>,
    /// The tenant, sent as `X-Scope-OrgID`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 150))]
    pub tenant: Option<String>,
    /// More headers of every request.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16))]
    pub headers: Vec<Header>,
    /// Sent to Thanos as `partial_response`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub partial_response: Option<bool>,
}

/// Where a Prometheus is configured.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum PrometheusOwner {
    /// In the Rollout, under `analysis.prometheus`.
    #[default]
    Rollout,
    /// In the controller's `--prometheus`.
    Controller,
}

impl RunPrometheus {
    /// The controller's own.
    pub fn controller() -> Self {
        RunPrometheus { source: PrometheusOwner::Controller, ..RunPrometheus::default() }
    }
}

impl From<&Prometheus> for RunPrometheus {
    fn from(named: &Prometheus) -> Self {
        RunPrometheus {
            source: PrometheusOwner::Rollout,
            address: named.address.trim_end_matches('/').to_owned(),
            auth: named.auth.clone(),
            tls: named.tls.clone(),
            tenant: named.tenant.clone(),
            headers: named.headers.clone(),
            partial_response: named.partial_response,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Runs that were created before they recorded their source are still judged (H9).
    #[test]
    fn a_run_of_an_older_release_still_has_its_address() {
        let old: RunPrometheus = serde_json::from_str(r#"{"address": "http://prometheus:9090"}"#).unwrap();
        assert_eq!((old.source, old.address.as_str()), (PrometheusOwner::Rollout, "http://prometheus:9090"));
        let own = serde_json::to_string(&RunPrometheus::controller()).unwrap();
        assert_eq!(own, r#"{"source":"controller"}"#, "its address is in no run");
    }
}
