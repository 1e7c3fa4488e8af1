//! The user's objects that a Rollout writes to.

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::traffic::TrafficRouter;

/// The Services of the workload.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct Services {
    /// The Service that clients use. It must exist.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 63))]
    pub root: Option<String>,
    /// The Service of the stable version; created if it does not exist. Default `<root>-stable`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 63))]
    pub stable: Option<String>,
    /// The Service of the new version; created if it does not exist. Default `<root>-canary`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 63))]
    pub canary: Option<String>,
}

/// The user's objects that a Rollout writes to.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct UserObjects {
    /// As in the spec.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub services: Option<Services>,
    /// As in the spec.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16))]
    pub traffic: Vec<TrafficRouter>,
    /// The Services of a blue-green strategy; absent for a canary.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub blue_green: Option<SwitchedServices>,
}

/// The Services of a blue-green strategy.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct SwitchedServices {
    /// As in the strategy.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub active: Option<String>,
    /// As in the strategy.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub preview: Option<String>,
}
