//! Condition types and reasons of every kind, in one place, and the list that keeps transition times honest.

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The object is in its wanted state (kstatus).
pub const READY: &str = "Ready";
/// The object is being brought into its wanted state; present only while true (kstatus).
pub const RECONCILING: &str = "Reconciling";
/// The object cannot make progress without a change from outside; present only while true (kstatus).
pub const STALLED: &str = "Stalled";
/// All pods of the desired count are available.
pub const AVAILABLE: &str = "Available";
/// Traffic does not follow the plan: drift that keeps coming back.
pub const ROUTE_DRIFT: &str = "RouteDrift";
/// Another writer keeps changing or deleting an object that Glidepath owns; present only while true.
pub const OBJECT_DRIFT: &str = "ObjectDrift";
/// Requests were counted to fall as the weights say; `False` when they do not. Absent while they are too few to say.
pub const SHARE_VERIFIED: &str = "ShareVerified";
/// The revision in force was chosen by `undo` and stays until the template changes (rule S84).
pub const PINNED: &str = "Pinned";

/// One condition, as in `metav1.Condition`; the list is a map by type.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Condition {
    /// The condition's type, one of the constants of this file.
    #[serde(rename = "type")]
    pub type_: String,
    /// `True`, `False` or `Unknown`.
    pub status: String,
    /// CamelCase reason for the last change.
    pub reason: String,
    /// What it means for the reader.
    pub message: String,
    /// When `status` last changed.
    pub last_transition_time: Timestamp,
    /// The generation of the spec that this condition was computed from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
}

/// Sets a condition; the transition time moves only when the status changes.
pub fn set(
    conditions: &mut Vec<Condition>,
    type_: &str,
    status: bool,
    (reason, message): (&str, &str),
    generation: Option<i64>,
    now: Timestamp,
) {
    let status = if status { "True" } else { "False" };
    let since = conditions.iter().find(|c| c.type_ == type_ && c.status == status).map(|c| c.last_transition_time);
    let condition = Condition {
        type_: type_.to_owned(),
        status: status.to_owned(),
        reason: reason.to_owned(),
        message: message.to_owned(),
        last_transition_time: since.unwrap_or(now),
        observed_generation: generation,
    };
    match conditions.iter_mut().find(|c| c.type_ == type_) {
        Some(existing) => *existing = condition,
        None => conditions.push(condition),
    }
}

/// Removes a condition that is shown only while true.
pub fn clear(conditions: &mut Vec<Condition>, type_: &str) {
    conditions.retain(|c| c.type_ != type_);
}
