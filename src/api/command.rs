//! One human or CI command, recorded: who, why, meant for which revision and step, and what became of it.

use jiff::Timestamp;
use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::status::Stage;

/// What a command asks for (rules S80 to S84). The spec never changes; the status says what became of it.
#[derive(CustomResource, Clone, Debug, PartialEq, Serialize, Deserialize, KubeSchema)]
#[kube(
    group = "glidepath.dev",
    version = "v1alpha1",
    kind = "RolloutCommand",
    namespaced,
    derive = "PartialEq",
    shortname = "groc",
    category = "glidepath",
    status = "RolloutCommandStatus",
    doc = "One human or CI command for a Rollout, recorded with who gave it, why, and what became of it.",
    printcolumn(name = "Rollout", type_ = "string", json_path = ".spec.rollout"),
    printcolumn(name = "Verb", type_ = "string", json_path = ".spec.verb"),
    printcolumn(name = "State", type_ = "string", json_path = ".status.state"),
    printcolumn(name = "By", type_ = "string", json_path = ".spec.requestedBy"),
    printcolumn(name = "Message", type_ = "string", json_path = ".status.message", priority = 1),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp")
)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = ("self == oldSelf", "a command's spec never changes; create another one"))]
pub struct RolloutCommandSpec {
    /// The Rollout's name, in the same namespace.
    #[schemars(length(min = 1, max = 253))]
    pub rollout: String,
    /// What to do.
    pub verb: Verb,
    /// The revision id it is meant for; another current revision makes the command obsolete.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revision: Option<String>,
    /// promote: the attempt it is meant for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attempt: Option<u32>,
    /// promote: the index (from 0) of the step it is meant for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub step: Option<u32>,
    /// promote: the ramp's sub-step it is meant for, from 0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sub_step: Option<u32>,
    /// promote: the stage of the promotion it is meant for, where one is under way.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stage: Option<Stage>,
    /// promote: skip the remaining steps and analysis.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub full: bool,
    /// promote: go to this step, numbered from 1 as `status` and `plan` print it. Never skips analysis without `full`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to_step: Option<u32>,
    /// undo: the revision number to go back to; absent: the previous one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to_revision: Option<u64>,
    /// Why, for the record.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 1024))]
    pub reason: Option<String>,
    /// Who, as the API server knows them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 256))]
    pub requested_by: Option<String>,
}

/// The verbs of commands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Verb {
    /// End the current wait, or with `full` skip the rest.
    Promote,
    /// Give all traffic back to stable and stop.
    Abort,
    /// Complete no further step.
    Pause,
    /// Lift the pause.
    Resume,
    /// Begin again at step 0 after an abort or hold.
    Retry,
    /// Go back to an earlier revision.
    Undo,
    /// Replace the pods of the stable revision a few at a time, through evictions.
    Restart,
}

impl Verb {
    /// The word people type.
    pub fn as_str(self) -> &'static str {
        match self {
            Verb::Promote => "promote",
            Verb::Abort => "abort",
            Verb::Pause => "pause",
            Verb::Resume => "resume",
            Verb::Retry => "retry",
            Verb::Undo => "undo",
            Verb::Restart => "restart",
        }
    }
}

/// What became of a command.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct RolloutCommandStatus {
    /// Done, Refused or Obsolete; absent until it is taken.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state: Option<CommandState>,
    /// Why, in words.
    #[serde(default)]
    pub message: String,
    /// When it was taken.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub taken_at: Option<Timestamp>,
}

/// The ends of a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum CommandState {
    /// It was carried out (or already was).
    Done,
    /// It made no sense at that moment; the message says why.
    Refused,
    /// It was meant for another revision, attempt or step.
    Obsolete,
}
