//! The Prometheus to query and its authentication. Credentials are never written here: they are referenced by Secret.

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The message for authentication with no method or with two.
pub const ONE_AUTH: &str = "set exactly one of basic and bearer";
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
    pub auth: Option<PrometheusAuth>,
    /// TLS verification. Default: the CAs that the controller's host trusts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls: Option<PrometheusTls>,
}

/// Authentication. Exactly one of `basic`, `bearer`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = ("has(self.basic) != has(self.bearer)", ONE_AUTH))]
pub struct PrometheusAuth {
    /// Basic authentication.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub basic: Option<BasicAuth>,
    /// A bearer token.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bearer: Option<BearerAuth>,
}

/// Basic authentication with a username and a password from a Secret.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct BasicAuth {
    /// The Secret.
    pub secret_ref: BasicSecretRef,
}

/// A Secret with a username and a password, such as one of type `kubernetes.io/basic-auth`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct BasicSecretRef {
    /// The Secret's name.
    #[schemars(length(min = 1, max = 253))]
    pub name: String,
    /// The key of the username. Default `username`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253))]
    pub username_key: Option<String>,
    /// The key of the password. Default `password`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253))]
    pub password_key: Option<String>,
}

/// A bearer token from a Secret.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct BearerAuth {
    /// The Secret and key. Default key: `token`.
    pub secret_ref: SecretKeyRef,
}

/// One key of a Secret.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct SecretKeyRef {
    /// The Secret's name.
    #[schemars(length(min = 1, max = 253))]
    pub name: String,
    /// The key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253))]
    pub key: Option<String>,
}

/// TLS verification of a server.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct PrometheusTls {
    /// The CA certificates (PEM) to trust, instead of the host's. Default key: `ca.crt`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca_secret_ref: Option<SecretKeyRef>,
    /// The expected name on the certificate, if it differs from the host of the address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253))]
    pub server_name: Option<String>,
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
    pub auth: Option<PrometheusAuth>,
    /// TLS verification.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls: Option<PrometheusTls>,
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
