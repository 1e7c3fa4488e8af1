//! Which Prometheus is asked, and how it knows us. Credentials are never written here: they are named by their Secret.

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What is said of authentication with no way or with two.
pub const ONE_AUTH: &str = "authenticate by basic or by bearer, one of them";
/// What is said of an address that holds credentials.
pub const NO_USERINFO: &str =
    "must not hold credentials, which every reader of this object would see; name a Secret under auth";

/// A Prometheus server, or what answers like one (Thanos, Mimir, VictoriaMetrics).
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = ("!self.address.matches('^[^/]*//[^/?#]*@')", NO_USERINFO))]
pub struct Prometheus {
    /// Its base URL, for instance `http://prometheus.monitoring:9090`, without credentials.
    #[schemars(length(min = 1, max = 1024))]
    pub address: String,
    /// How to authenticate. The Secrets are in the Rollout's namespace, and the controller has to be allowed to read them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub auth: Option<PrometheusAuth>,
    /// How its certificate is checked. Default: against the CAs that the controller's machine trusts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls: Option<PrometheusTls>,
}

/// How to authenticate. Exactly one of `basic`, `bearer`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = ("has(self.basic) != has(self.bearer)", ONE_AUTH))]
pub struct PrometheusAuth {
    /// A user name and a password.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub basic: Option<BasicAuth>,
    /// A token.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bearer: Option<BearerAuth>,
}

/// A user name and a password from a Secret.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct BasicAuth {
    /// Where they are.
    pub secret_ref: BasicSecretRef,
}

/// A Secret with a user name and a password, such as one of type `kubernetes.io/basic-auth`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct BasicSecretRef {
    /// The Secret's name.
    #[schemars(length(min = 1, max = 253))]
    pub name: String,
    /// The key of the user name. Default `username`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253))]
    pub username_key: Option<String>,
    /// The key of the password. Default `password`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253))]
    pub password_key: Option<String>,
}

/// A token from a Secret.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct BearerAuth {
    /// Where it is. The key is `token` when absent.
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

/// How a server's certificate is checked.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct PrometheusTls {
    /// The CA certificates (PEM) that it must be signed by, and no others. The key is `ca.crt` when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca_secret_ref: Option<SecretKeyRef>,
    /// The name on its certificate, where that is not the address's host.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253))]
    pub server_name: Option<String>,
}

/// The Prometheus of a run: the controller's own by name, or the Rollout's by its address.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct RunPrometheus {
    /// Whose it is. Runs from before this field have an address.
    #[serde(default)]
    pub source: PrometheusOwner,
    /// The Rollout's Prometheus: its base URL. Empty for the controller's own, which is nobody else's business.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    #[schemars(length(max = 1024))]
    pub address: String,
    /// How to authenticate there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub auth: Option<PrometheusAuth>,
    /// How its certificate is checked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls: Option<PrometheusTls>,
}

/// Who named a Prometheus.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum PrometheusOwner {
    /// The Rollout, under `analysis.prometheus`.
    #[default]
    Rollout,
    /// Whoever runs the controller, by its `--prometheus`.
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

    /// H9: runs that were made before they named their source are judged on.
    #[test]
    fn a_run_of_an_older_release_still_has_its_address() {
        let old: RunPrometheus = serde_json::from_str(r#"{"address": "http://prometheus:9090"}"#).unwrap();
        assert_eq!((old.source, old.address.as_str()), (PrometheusOwner::Rollout, "http://prometheus:9090"));
        let own = serde_json::to_string(&RunPrometheus::controller()).unwrap();
        assert_eq!(own, r#"{"source":"controller"}"#, "its address is in no run");
    }
}
