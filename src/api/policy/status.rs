//! What is recorded of a policy: which spec is in force, where its change stands, and whom it would cut.

use jiff::Timestamp;
use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::state::{Phase, PolicyState};
use crate::api::conditions::Condition;

/// Where a policy stands.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct MeshPolicyStatus {
    /// The generation of the spec that this status is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// The state in one word.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub phase: Option<Phase>,
    /// The state in one sentence: what it waits for, and what to do.
    #[serde(default)]
    pub message: String,
    /// The mesh that has the objects.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mesh: Option<String>,
    /// The spec that is in force, by the name of its ControllerRevision.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub in_force: Option<String>,
    /// The specs that were in force before it, the newest first; at most 2.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub former: Vec<String>,
    /// Where the change stands.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state: Option<PolicyState>,
    /// The RolloutCommand that was carried out last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub command: Option<String>,
    /// Callers that the change would cut, or of which it is not known, the most requests first; at most 20.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub callers: Vec<CallerOnRecord>,
    /// Why nothing of the spec is written: fields that the mesh does not have, objects of others in the way; at most 20.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub problems: Vec<String>,
    /// What to know besides: optional fields that are left out, settings that are elsewhere; at most 20.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
    /// `Ready`, `Reconciling` and `Stalled`, as kstatus reads them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["type"]))]
    pub conditions: Vec<Condition>,
}

/// A caller that was seen, and what would become of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CallerOnRecord {
    /// The Service that it called.
    pub service: String,
    /// Who it is: `shop/web as ServiceAccount shop/front`.
    pub caller: String,
    /// How many requests succeeded, or connections where it is not HTTP.
    pub count: u64,
    /// When the last one was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_seen: Option<Timestamp>,
    /// What would become of it, and why.
    pub answer: String,
}
