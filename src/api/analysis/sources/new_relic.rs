//! A number from New Relic.

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::api::analysis::auth::SecretKeyRef;

/// A number from New Relic: the only value of the only row of an NRQL query.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct NewRelicQuery {
    /// The account's ID.
    #[schemars(range(min = 1))]
    pub account_id: u64,
    /// An NRQL query that selects one number, for example
    /// `SELECT percentage(count(*), WHERE error IS true) FROM Transaction WHERE appName = 'web' SINCE 5 minutes ago`.
    #[schemars(length(min = 1, max = 4096))]
    pub query: String,
    /// The region of the account. Default `US`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub region: Option<NewRelicRegion>,
    /// The base URL of NerdGraph. Default: that of the region.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 1024))]
    pub address: Option<String>,
    /// The Secret and key with a user key (`NRAK-...`). Default key: `personal-api-key`.
    pub secret_ref: SecretKeyRef,
}

/// Where an account's data is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "UPPERCASE")]
pub enum NewRelicRegion {
    /// The United States.
    #[default]
    Us,
    /// The European Union.
    Eu,
}

impl NewRelicQuery {
    /// The texts in which arguments are substituted, each with its field.
    pub fn texts_mut(&mut self) -> Vec<(String, &mut String)> {
        vec![("query".to_owned(), &mut self.query)]
    }
}
