//! The Rollout's status: what users and scripts read, and everything that the engine must remember.
//!
//! Nothing the engine needs lives anywhere else: any replica of the controller can continue from here.

use std::collections::BTreeMap;

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _, ser::Error as _};
use serde_json::{Map, Value};
use serde_path_to_error::Track;

mod earlier;
mod marks;
pub mod past_weights;
pub mod release;
mod state;

pub use earlier::OLD_MEMORY;
pub use marks::{Held, Outcome, Progress, RevisionRef, Waiting};
pub use past_weights::PastWeight;
pub use release::{
    ByOperator, Clock, EndedBefore, EvidenceWait, GateMemory, Promoting, Release, Shortcut, ShortcutBecause, Stage,
    Stepping, StepsDone, Way,
};
pub use state::{AtRest, Course, FirstDeploy, Returning, ReturnsBecause, State};

use earlier::StillWritten;

use super::{
    analysis::MetricStatus,
    command::{CommandState, Verb},
    common::Percent,
    conditions::Condition,
    objects::UserObjects,
    reason::Reason,
};

/// The observed state of a Rollout.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default, remote = "Self")]
// Fields of another version are stored too: an upgrade reads what the version before wrote, and a downgrade loses nothing.
#[schemars(extend("x-kubernetes-preserve-unknown-fields" = true), transform = earlier::describe)]
pub struct RolloutStatus {
    /// The generation of the spec that this status was computed from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// Healthy, Progressing, Paused or Degraded.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub phase: Option<Phase>,
    /// A CamelCase reason for the phase.
    pub reason: Reason,
    /// A human-readable message in one line.
    pub message: String,
    /// The stable revision, which receives all traffic but the canary's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stable_revision: Option<RevisionRef>,
    /// The desired revision: equal to stable when no release is in progress.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub current_revision: Option<RevisionRef>,
    /// The attempt at the current revision, from 1.
    pub attempt: u32,
    /// The step in progress, from 0; the number of steps when all are done.
    pub step_index: u32,
    /// The state of the rollout, with what is valid in it.
    pub state: State,
    /// The canary's share of traffic.
    pub weights: Weights,
    /// What the rollout waits for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub waiting_for: Option<Waiting>,
    /// The latest evidence, per metric.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64))]
    pub metrics: Vec<MetricStatus>,
    /// What the guards count of the new version's containers in this attempt; absent while it is nothing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub guards: Option<GuardCounts>,
    /// The number of desired replicas.
    pub desired_replicas: u32,
    /// Pods of all revisions but old ones that go within a minute, never above the desired replicas (surge must not ratchet an autoscaler).
    pub replicas: u32,
    /// Ready pods of all revisions but old ones that go within a minute.
    pub ready_replicas: u32,
    /// Available pods of all revisions but old ones that go within a minute.
    pub available_replicas: u32,
    /// Pods of the current revision.
    pub updated_replicas: u32,
    /// The selector of all revisions' pods, for the scale subresource.
    pub selector: String,
    /// `step 2/7`, for the printer column.
    pub step_shown: String,
    /// `25 %`, for the printer column.
    pub weight_shown: String,
    /// `5/6`, for the printer column.
    pub ready_shown: String,
    /// Whether the rollout is paused by command (not by spec.paused).
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub paused_by_command: bool,
    /// The revision pinned by `undo`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pinned: Option<Pinned>,
    /// Internal state of the engine that outlives `state`.
    pub memory: Memory,
    /// The last promoted revisions, newest first.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 20))]
    pub promoted: Vec<RevisionRef>,
    /// The last 10 rollouts, newest first.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 10))]
    pub history: Vec<HistoryEntry>,
    /// The last 20 commands, newest first.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 20))]
    pub commands: Vec<CommandRecord>,
    /// Conditions, by kstatus.
    #[schemars(extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["type"]))]
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub conditions: Vec<Condition>,
    /// Whether it was read in the form of an earlier version, whose fields the next record removes.
    #[serde(skip)]
    pub is_old: bool,
}

impl Serialize for RolloutStatus {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut fields = RolloutStatus::serialize(self, serde_json::value::Serializer).map_err(S::Error::custom)?;
        let earlier = serde_json::to_value(StillWritten::of(&self.state)).map_err(S::Error::custom)?;
        if let (Value::Object(fields), Value::Object(earlier)) = (&mut fields, earlier) {
            fields.extend(earlier);
        }
        fields.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for RolloutStatus {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut fields = Map::deserialize(deserializer)?;
        let is_old = earlier::upgrade(&mut fields).map_err(D::Error::custom)?;
        let mut track = Track::new();
        let fields = serde_path_to_error::Deserializer::new(Value::Object(fields), &mut track);
        match RolloutStatus::deserialize(fields) {
            Ok(status) => Ok(RolloutStatus { is_old, ..status }),
            Err(error) => Err(D::Error::custom(format_args!("{}: {error}", track.path()))),
        }
    }
}

impl RolloutStatus {
    /// Which state it is in.
    pub fn course(&self) -> Course {
        self.state.course()
    }

    /// The stage of a promotion (rule S18).
    pub fn stage(&self) -> Option<Stage> {
        self.state.promoting().map(|promoting| promoting.stage)
    }

    /// The sub-step of a ramp in progress, from 0.
    pub fn sub_step(&self) -> u32 {
        self.state.stepping().map_or(0, |stepping| stepping.sub_step)
    }

    /// The merge patch that puts its state in the place of what an earlier version stored.
    pub fn in_place_of_earlier(&self) -> Result<Value, serde_json::Error> {
        earlier::replacement(&self.state)
    }

    /// A hold: the release is suspended until an operator decides.
    pub fn held(&self) -> Option<&Held> {
        self.state.release().and_then(|release| release.held.as_ref())
    }
}

/// The phase of the rollout.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Phase {
    /// The desired version is stable.
    Healthy,
    /// A release is in progress.
    #[default]
    Progressing,
    /// Waits for an operator: a pause, a hold, an approval.
    Paused,
    /// The desired version failed and was rolled back, or cannot become available.
    Degraded,
}

/// The canary's share of traffic, desired and observed.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Weights {
    /// The desired weight.
    pub desired: Percent,
    /// The last observed weight.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub accepted: Option<Percent>,
    /// Whether `accepted` has been equal to `desired` for at least `settle`.
    pub settled: bool,
    /// The desired header routes to the canary, by name.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32))]
    pub headers: Vec<String>,
    /// The desired share of mirrored requests.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mirror: Option<Percent>,
    /// Whether sticky sessions are desired.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub sticky: bool,
    /// The canary's share of the requests counted since the weight settled.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub observed: Option<Percent>,
}

/// What the guards count of the new version's containers in one attempt.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct GuardCounts {
    /// OOM kills.
    pub oom_kills: u32,
    /// Restarts.
    pub restarts: u32,
    /// Which containers of which pods, with their exit codes, in one line.
    pub evidence: String,
}

/// The revision pinned by `undo` (rule S84).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Pinned {
    /// The revision id in force.
    pub revision: String,
    /// The id of the spec's template that it overrides; another template lifts the pin.
    pub against: String,
}

/// What outlives states: targets, routes, repairs. Not an interface: fields may change between versions.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
#[schemars(extend("x-kubernetes-preserve-unknown-fields" = true))]
pub struct Memory {
    /// When the routes were first read back as `weights.desired`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub route_since: Option<Timestamp>,
    /// Since when the routes' controllers are waited for, to take over what was written.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub route_pending_since: Option<Timestamp>,
    /// The weight that was settled last; a change of it starts a new epoch.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub settled_weight: Option<Percent>,
    /// The header routes and the mirror that were settled with it, as a text.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub settled_routes: String,
    /// Counts settled changes of weight and routes: Pass evidence belongs to one epoch.
    pub epoch: u32,
    /// What the stable and canary targets (Services or subsets) were last seen to select, and since when.
    pub stable_target: TargetMemory,
    /// See `stable_target`.
    pub canary_target: TargetMemory,
    /// Revisions that have lost their traffic, and since when it is settled.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub drained: Vec<Drained>,
    /// Moments of the last repairs of foreign changes by object, at most 5 each (S53).
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub repaired: BTreeMap<String, Vec<Timestamp>>,
    /// What was last written to the routes (S53).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub route_written: Option<RouteWritten>,
    /// Objects of ours that were made in this attempt: making one again is a repair (S53).
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub made: Vec<String>,
    /// Whether the Deployment's pods have been replaced by ours (S5).
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub adopted: bool,
    /// The user's objects that were written to last; others in the spec are adopted once these are restored (S20).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub objects: Option<UserObjects>,
    /// Whether these objects are being restored.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub giving_back: bool,
    /// The last problem that was reported.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub problem_told: Option<String>,
    /// The template's `restartedAt` that was acted on last.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub restarted_at: Option<String>,
    /// Since when the Rollout is being deleted and its objects are restored (S40).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deleting_since: Option<Timestamp>,
    /// Actions that were rejected and are still desired (S53).
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub refused: Vec<Refusal>,
}

/// An action that was rejected.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Refusal {
    /// A hash of the action.
    pub action: String,
    /// A CamelCase reason.
    pub reason: Reason,
    /// A human-readable message.
    pub message: String,
    /// How often in a row.
    pub times: u32,
    /// Not retried before, unless the spec changes.
    pub again_at: Timestamp,
    /// The spec's generation at that time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub generation: Option<i64>,
}

/// The observed selector of a target.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct TargetMemory {
    /// The revision id.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub revision: Option<String>,
    /// Since when, endpoints included.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub since: Option<Timestamp>,
    /// The revision id that was last written: writing it again is a repair (S53).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub written: Option<String>,
}

/// What was last written to the routes.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct RouteWritten {
    /// The canary's weight.
    pub weight: Percent,
    /// The routes beside it, as a text.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub beside: String,
    /// The step's plan at that time: a new plan is no repair.
    pub plan: String,
    /// Whether they were read back as written: what is recorded may not have been written when the process ended.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub confirmed: bool,
    /// Whether the routes have been as the plan asks.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub reached: bool,
}

/// A revision without traffic.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Drained {
    /// The revision id.
    pub revision: String,
    /// When its last traffic was settled away.
    pub since: Timestamp,
}

/// One past rollout.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct HistoryEntry {
    /// Which revision.
    pub revision: RevisionRef,
    /// The images of its containers.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub images: Vec<String>,
    /// When it began.
    pub started_at: Timestamp,
    /// When it ended.
    pub ended_at: Timestamp,
    /// How it ended.
    pub outcome: Outcome,
    /// Why, in a human-readable message.
    pub reason: String,
    /// The attempt.
    pub attempt: u32,
    /// The step it ended at, from 0.
    pub step_index: u32,
    /// The share of traffic that the canary had then; absent after a promotion.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub weight: Option<Percent>,
    /// The canary's desired weights in its course, at most 32; for people alone.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32))]
    pub weights: Vec<PastWeight>,
}

/// One executed or refused command.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CommandRecord {
    /// The command object's uid: a command is never executed twice.
    pub uid: String,
    /// The command object's name.
    pub name: String,
    /// The command.
    pub verb: Verb,
    /// What became of it.
    pub state: CommandState,
    /// Why, in a human-readable message.
    pub message: String,
    /// The author of the command.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub requested_by: Option<String>,
    /// Its reason.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
    /// When it was executed.
    pub taken_at: Timestamp,
}
