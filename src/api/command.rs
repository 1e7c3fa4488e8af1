//! A recorded command of a user or of CI: its author, reason, target revision and step, and its result.

use jiff::Timestamp;
use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::status::release::Stage;

/// A command on a Rollout (rules S80 to S84). The spec is immutable; the status reports the result.
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
    printcolumn(name = "Kind", type_ = "string", json_path = ".spec.kind", priority = 1),
    printcolumn(name = "Rollout", type_ = "string", json_path = ".spec.rollout"),
    printcolumn(name = "Verb", type_ = "string", json_path = ".spec.verb"),
    printcolumn(name = "State", type_ = "string", json_path = ".status.state"),
    printcolumn(name = "By", type_ = "string", json_path = ".spec.requestedBy"),
    printcolumn(name = "Message", type_ = "string", json_path = ".status.message", priority = 1),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp")
)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = ("self == oldSelf", "a command's spec never changes; create another one"),
    validation = (
        "!has(self.kind) || self.kind != 'MeshPolicy' || (self.verb in ['promote', 'abort', 'retry'] && !has(self.revision) \
         && !has(self.attempt) && !has(self.step) && !has(self.subStep) && !has(self.stage) && !has(self.full) \
         && !has(self.toStep) && !has(self.toRevision))",
        "a MeshPolicy takes promote, abort and retry, and nothing that narrows them"
    )
)]
pub struct RolloutCommandSpec {
    /// What it is for: a Rollout (default), or a MeshPolicy.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<CommandKind>,
    /// The name of the Rollout, or of what `kind` says, in the same namespace.
    #[schemars(length(min = 1, max = 253))]
    pub rollout: String,
    /// The verb.
    pub verb: Verb,
    /// The target revision id; if another revision is current, the command is obsolete.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revision: Option<String>,
    /// promote: the target attempt.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attempt: Option<u32>,
    /// promote: the index (from 0) of the target step.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub step: Option<u32>,
    /// promote: the target sub-step of a ramp, from 0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sub_step: Option<u32>,
    /// promote: the target stage, if a promotion is in progress.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stage: Option<Stage>,
    /// promote: skip the remaining steps and analysis.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub full: bool,
    /// promote: continue at this step, numbered from 1 as `status` and `plan` print it. Never skips analysis without
    /// `full`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to_step: Option<u32>,
    /// undo: the revision number to roll back to. Default: the previous one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to_revision: Option<u64>,
    /// The reason, recorded in the history.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 1024))]
    pub reason: Option<String>,
    /// The author, as authenticated by the API server.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 256))]
    pub requested_by: Option<String>,
}

impl RolloutCommandSpec {
    /// A verb on a Rollout, and nothing that narrows it.
    pub fn of(rollout: impl Into<String>, verb: Verb) -> Self {
        RolloutCommandSpec {
            kind: None,
            rollout: rollout.into(),
            verb,
            revision: None,
            attempt: None,
            step: None,
            sub_step: None,
            stage: None,
            full: false,
            to_step: None,
            to_revision: None,
            reason: None,
            requested_by: None,
        }
    }
}

/// What a command is for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub enum CommandKind {
    /// A release.
    #[default]
    Rollout,
    /// The change of a policy.
    MeshPolicy,
}

/// The verbs of commands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Verb {
    /// End the current wait, or with `full` skip the remaining steps.
    Promote,
    /// Shift all traffic to stable and end the release.
    Abort,
    /// Suspend the steps.
    Pause,
    /// Resume the steps.
    Resume,
    /// Start a new attempt at the first step after an abort or hold.
    Retry,
    /// Roll back to an earlier revision.
    Undo,
    /// Replace the pods of the stable revision a few at a time, by eviction.
    Restart,
}

impl Verb {
    /// The verb on the command line.
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

/// The result of a command.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct RolloutCommandStatus {
    /// Done, Refused or Obsolete; absent until it is processed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state: Option<CommandState>,
    /// The reason, human-readable.
    #[serde(default)]
    pub message: String,
    /// When it was processed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub taken_at: Option<Timestamp>,
}

/// The possible results of a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum CommandState {
    /// It was executed (or had been already).
    Done,
    /// It was rejected; the message gives the reason.
    Refused,
    /// It was rejected as stale: the rollout has moved on to another revision, attempt or step.
    Obsolete,
}
