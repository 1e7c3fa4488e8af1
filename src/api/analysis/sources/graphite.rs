//! A number from Graphite.

use kube::KubeSchema;
use serde::{Deserialize, Serialize};

use super::interval::seconds;
use crate::api::{
    analysis::auth::{Auth, Tls},
    common::HumanDuration,
};

/// A number from Graphite: the last point of a target's only series.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct GraphiteQuery {
    /// Its base URL, for example `https://graphite.monitoring`.
    #[schemars(length(min = 1, max = 1024))]
    pub address: String,
    /// A target of the render API that gives one series, for example `sumSeries(web.*.errors)`.
    #[schemars(length(min = 1, max = 8192))]
    pub target: String,
    /// The range before the measurement that is queried. Default 5m.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub interval: Option<HumanDuration>,
    /// Authentication. The Secrets are in the Rollout's namespace, and the controller must be allowed to read them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub auth: Option<Auth>,
    /// TLS verification and the client certificate.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls: Option<Tls>,
}

impl GraphiteQuery {
    /// The seconds of the range.
    pub fn seconds(&self) -> i64 {
        seconds(self.interval)
    }

    /// The texts in which arguments are substituted, each with its field.
    pub fn texts_mut(&mut self) -> Vec<(String, &mut String)> {
        vec![("target".to_owned(), &mut self.target)]
    }
}
