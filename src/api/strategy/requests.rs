//! Requests that go to the new version by what they carry, and those that it gets copies of.

use kube::KubeSchema;
use serde::{Deserialize, Serialize};

use crate::api::common::Percent;

/// The names that header routes cannot have: what is ours in a route object beside them is called so (`glidepath-mirror`).
pub const OWN_ROUTES: [&str; 3] = ["mirror", "sticky-control", "sticky-candidate"];

/// Requests that go to the new version by what they carry.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = (
    "!(self.name in ['mirror', 'sticky-control', 'sticky-candidate'])",
    "mirror, sticky-control and sticky-candidate are names of routes of Glidepath's own"
))]
pub struct HeaderRoute {
    /// Its name; the route in the mesh is called `glidepath-<name>`.
    #[schemars(length(min = 1, max = 53))]
    pub name: String,
    /// A request that fulfils any of these. Without any the route of this name is taken away.
    #[serde(default, rename = "match", skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16))]
    pub matches: Vec<RequestMatch>,
}

/// Requests that are copied to the new version.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct MirrorRoute {
    /// The share of requests that is copied. 0 takes the mirror away.
    pub percent: Percent,
    /// Only requests that fulfil any of these. Default: all.
    #[serde(default, rename = "match", skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16))]
    pub matches: Vec<RequestMatch>,
}

/// What a request carries. Exactly one key.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = ("has(self.header) != has(self.cookie)", "a match has exactly one of header and cookie"))]
pub struct RequestMatch {
    /// A header.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub header: Option<ValueMatch>,
    /// A cookie.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cookie: Option<ValueMatch>,
}

/// A named value and how it must look. Exactly one of `exact`, `prefix`, `regex`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = (
    "[has(self.exact), has(self.prefix), has(self.regex)].filter(x, x).size() == 1",
    "a match has exactly one of exact, prefix and regex"
))]
pub struct ValueMatch {
    /// The header's or cookie's name.
    #[schemars(length(min = 1, max = 256))]
    pub name: String,
    /// The whole value.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 1024))]
    pub exact: Option<String>,
    /// How the value begins.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 1024))]
    pub prefix: Option<String>,
    /// An RE2 expression that the whole value fulfils.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 1024))]
    pub regex: Option<String>,
}
