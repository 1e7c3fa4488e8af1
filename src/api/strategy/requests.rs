//! Requests that go to the new version by what they carry, and those that it gets copies of.

use kube::KubeSchema;
use serde::{Deserialize, Serialize};

use crate::api::common::Percent;

/// Names that header routes cannot have, because Glidepath's other entries in a route object use them
/// (`glidepath-mirror`).
pub const OWN_ROUTES: [&str; 4] = ["mirror", "sticky-control", "sticky-candidate", "sticky-reassign"];

/// Routes requests with a header or cookie to the new version.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = (
    "!(self.name in ['mirror', 'sticky-control', 'sticky-candidate', 'sticky-reassign'])",
    "mirror, sticky-control, sticky-candidate and sticky-reassign are reserved for routes of Glidepath"
))]
pub struct HeaderRoute {
    /// The name of the route; in the mesh it is `glidepath-<name>`.
    #[schemars(length(min = 1, max = 53))]
    pub name: String,
    /// A request that matches any of these is routed to the new version. If absent, the route of this name is removed.
    #[serde(default, rename = "match", skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16))]
    pub matches: Vec<RequestMatch>,
}

/// Mirrors requests to the new version.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct MirrorRoute {
    /// The share of requests to mirror. 0 removes the mirror.
    pub percent: Percent,
    /// Mirror only requests that match any of these. Default: all.
    #[serde(default, rename = "match", skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16))]
    pub matches: Vec<RequestMatch>,
}

/// A header or cookie of a request. Exactly one key.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = ("has(self.header) != has(self.cookie)", "a match must have exactly one of header and cookie"))]
pub struct RequestMatch {
    /// A header.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub header: Option<ValueMatch>,
    /// A cookie.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cookie: Option<ValueMatch>,
}

impl RequestMatch {
    /// The header that a request must have, in lower case: cookies are in one.
    pub fn header_name(&self) -> String {
        self.header.as_ref().map_or_else(|| "cookie".to_owned(), |header| header.name.to_ascii_lowercase())
    }
}

/// A match on a named value. Exactly one of `exact`, `prefix`, `regex`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = (
    "[has(self.exact), has(self.prefix), has(self.regex)].filter(x, x).size() == 1",
    "a match must have exactly one of exact, prefix and regex"
))]
pub struct ValueMatch {
    /// The name of the header or cookie.
    #[schemars(length(min = 1, max = 256))]
    pub name: String,
    /// The whole value.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 1024))]
    pub exact: Option<String>,
    /// A prefix of the value.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 1024))]
    pub prefix: Option<String>,
    /// An RE2 regular expression that must match the whole value.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 1024))]
    pub regex: Option<String>,
}
