//! A number from Datadog.

use kube::KubeSchema;
use serde::{Deserialize, Serialize};

use super::interval::seconds;
use crate::api::common::HumanDuration;

/// A number from Datadog: the last point of a query's only series.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct DatadogQuery {
    /// A metrics query that returns one series, for example `sum:trace.http.request.errors{service:web}.as_rate()`.
    #[schemars(length(min = 1, max = 8192))]
    pub query: String,
    /// The range before the measurement that is queried. Default 5m.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub interval: Option<HumanDuration>,
    /// The base URL of the site, for example `https://api.datadoghq.eu`. Default `https://api.datadoghq.com`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 1024))]
    pub address: Option<String>,
    /// The Secret with the API key and the application key.
    pub secret_ref: DatadogSecretRef,
}

/// A Secret with the keys of a Datadog organization.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct DatadogSecretRef {
    /// The Secret's name.
    #[schemars(length(min = 1, max = 253))]
    pub name: String,
    /// The key of the API key. Default `api-key`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253))]
    pub api_key_key: Option<String>,
    /// The key of the application key. Default `app-key`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253))]
    pub app_key_key: Option<String>,
}

impl DatadogQuery {
    /// The seconds of the range.
    pub fn seconds(&self) -> i64 {
        seconds(self.interval)
    }

    /// The texts in which arguments are substituted, each with its field.
    pub fn texts_mut(&mut self) -> Vec<(String, &mut String)> {
        vec![("query".to_owned(), &mut self.query)]
    }
}
