//! Conditions, and the list that keeps transition times honest.

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::reason::{ConditionType, Reason};

/// One condition, as in `metav1.Condition`; the list is a map by type.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Condition {
    /// The condition's type.
    #[serde(rename = "type")]
    pub type_: ConditionType,
    /// `True`, `False` or `Unknown`.
    pub status: String,
    /// CamelCase reason for the last change.
    pub reason: Reason,
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
    type_: ConditionType,
    status: bool,
    (reason, message): (Reason, &str),
    generation: Option<i64>,
    now: Timestamp,
) {
    let status = if status { "True" } else { "False" };
    let since = conditions.iter().find(|c| c.type_ == type_ && c.status == status).map(|c| c.last_transition_time);
    let condition = Condition {
        type_,
        status: status.to_owned(),
        reason,
        message: message.to_owned(),
        last_transition_time: since.unwrap_or(now),
        observed_generation: generation,
    };
    match conditions.iter_mut().find(|c| c.type_ == condition.type_) {
        Some(existing) => *existing = condition,
        None => conditions.push(condition),
    }
}

/// Removes a condition that is shown only while true.
pub fn clear(conditions: &mut Vec<Condition>, type_: &ConditionType) {
    conditions.retain(|c| c.type_ != *type_);
}
