//! What states, the memory and the history are made of: revisions, waits, holds, outcomes.

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::api::reason::Reason;

/// A revision: the id names its template, the number its order.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RevisionRef {
    /// The first 10 characters of the template's hash.
    pub id: String,
    /// Grows by one per new template.
    pub number: u64,
}

/// A wait with its reason.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Waiting {
    /// A CamelCase reason.
    pub reason: Reason,
    /// A human-readable message.
    pub message: String,
    /// Since when.
    pub since: Timestamp,
    /// When it ends by itself, if it does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Timestamp>,
}

/// A hold (rule S34).
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Held {
    /// A CamelCase reason.
    pub reason: Reason,
    /// A human-readable message.
    pub message: String,
    /// Since when.
    pub since: Timestamp,
}

/// A wait under the progress deadline (rule S38).
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Progress {
    /// Which wait.
    pub wait: Reason,
    /// The high-water mark: pods, endpoints.
    pub best: u32,
    /// When the mark was reached, later by the time for which the clock was stopped since.
    pub since: Timestamp,
    /// Since when the clock is stopped, because only our own settle time is waited for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stopped_since: Option<Timestamp>,
}

/// How a rollout ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Outcome {
    /// The new version is stable.
    Promoted,
    /// A version that was stable a short while ago is stable again, without steps and analysis (S32).
    FastPromoted,
    /// It failed or was aborted, and traffic went back.
    Aborted,
    /// The spec returned to the stable template, and so did traffic; or a blue-green release switched back to the version
    /// that was active before and still had its pods (S62).
    RolledBack,
    /// It was superseded by a newer template.
    Superseded,
    /// An A/B test was decided for the version that was stable before (S72).
    KeptControl,
}

/// Whether a count says nothing.
pub fn is_zero(value: &u32) -> bool {
    *value == 0
}
