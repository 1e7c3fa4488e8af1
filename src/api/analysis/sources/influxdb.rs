//! A number from InfluxDB.

use kube::KubeSchema;
use serde::{Deserialize, Serialize};

use crate::api::analysis::auth::{SecretKeyRef, Tls};

/// A number from InfluxDB 2: the last `_value` of the only table of a Flux query.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct InfluxdbQuery {
    /// Its base URL, for example `https://influxdb.monitoring:8086`.
    #[schemars(length(min = 1, max = 1024))]
    pub address: String,
    /// The organization.
    #[schemars(length(min = 1, max = 256))]
    pub org: String,
    /// A Flux query that gives one table, for example `from(bucket: "web") |> range(start: -5m) |> sum()`.
    #[schemars(length(min = 1, max = 8192))]
    pub query: String,
    /// The Secret and key with an API token. Default key: `token`.
    pub secret_ref: SecretKeyRef,
    /// TLS verification and the client certificate.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls: Option<Tls>,
}

impl InfluxdbQuery {
    /// The texts in which arguments are substituted, each with its field.
    pub fn texts_mut(&mut self) -> Vec<(String, &mut String)> {
        vec![("query".to_owned(), &mut self.query)]
    }
}
