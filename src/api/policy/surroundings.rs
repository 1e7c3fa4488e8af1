//! Calls that leave the mesh, and observability: egress, traces, access logs.

use std::collections::BTreeMap;

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::api::common::Percent;

/// Which hosts outside of the mesh the target may call.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct Egress {
    /// What happens to hosts that are not listed. If absent, as the mesh is installed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub default: Option<EgressDefault>,
    /// The hosts that may be called.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 128))]
    pub allow: Vec<ExternalHost>,
}

/// What happens to hosts that are not listed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum EgressDefault {
    /// They can be called.
    Allow,
    /// They cannot.
    Deny,
}

/// A host outside of the mesh.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct ExternalHost {
    /// Its DNS name.
    #[schemars(length(min = 1, max = 253))]
    pub host: String,
    /// The port; 443 and 8443 are TLS, 80 and 8080 HTTP, others TCP.
    #[schemars(range(min = 1, max = 65535))]
    pub port: u16,
}

/// Traces and access logs.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct Telemetry {
    /// The share of requests that are traced.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sampling: Option<Percent>,
    /// The tracing provider, by its name in the mesh's configuration.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 63))]
    pub provider: Option<String>,
    /// Tags of spans, by name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(extend("maxProperties" = 32))]
    pub tags: BTreeMap<String, TelemetryTag>,
    /// Which requests are logged.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub access_log: Option<AccessLog>,
}

/// The value of a tag. Exactly one key.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = ("has(self.header) != has(self.literal)", "set one of header and literal"))]
pub struct TelemetryTag {
    /// The value of a request's header.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 256))]
    pub header: Option<String>,
    /// Always this value.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 256))]
    pub literal: Option<String>,
}

/// Which requests are logged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum AccessLog {
    /// All.
    All,
    /// Those that failed: 5xx, and connections without a response.
    Errors,
    /// None.
    None,
}
