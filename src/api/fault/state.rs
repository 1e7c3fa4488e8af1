//! Where a fault stands: one of three states, each with what is valid in it and nothing else.

use std::fmt;

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The observed state of a fault.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct MeshFaultStatus {
    /// Where it stands; absent until a controller has seen it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state: Option<FaultState>,
    /// The same in words, in one line.
    #[serde(default)]
    pub message: String,
}

/// The state of a fault: exactly one of these.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = [{
    "rule": "[has(self.pending), has(self.active), has(self.ended)].filter(is, is).size() == 1",
    "message": "a fault is in exactly one state",
}]))]
pub enum FaultState {
    /// It has not begun.
    Pending(Pending),
    /// It has begun, and ends at a fixed time.
    Active(Active),
    /// It is over.
    Ended(Ended),
}

/// A fault that has not begun.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Pending {
    /// What it waits for.
    pub because: PendingReason,
    /// Since when.
    pub since: Timestamp,
}

/// Why a fault does not begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
pub enum PendingReason {
    /// Its namespace does not have the label `glidepath.dev/faults: allowed`.
    NotAllowed,
    /// The mesh cannot do what the spec says.
    Refused,
    /// An object of others is in the way.
    Conflicted,
    /// The target has another fault.
    TargetBusy,
    /// A Rollout of the target or of a caller progresses.
    Releasing,
    /// The guard fails already.
    GuardFailing,
    /// The guard cannot be evaluated.
    GuardUnknown,
}

/// A fault that has begun.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Active {
    /// Since when.
    pub since: Timestamp,
    /// When it ends. The objects of the mesh hold it too, and end the fault with no controller running.
    pub until: Timestamp,
    /// Since when the guard cannot be evaluated.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unguarded_since: Option<Timestamp>,
}

/// A fault that is over.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Ended {
    /// What it has shown.
    pub result: FaultResult,
    /// Why it ended.
    pub because: EndReason,
    /// When.
    pub at: Timestamp,
    /// What the result rests on; absent if it never began.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub evidence: Option<Evidence>,
}

/// What a fault has shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum FaultResult {
    /// It took its whole time with enough faulted requests, and the guard held. Without a guard: it took its whole time.
    Survived,
    /// The guard failed, and the fault ended early.
    Stopped,
    /// It says nothing: fewer than 100 faulted requests, or it was ended by something else than the guard.
    Inconclusive,
}

/// Why a fault is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum EndReason {
    /// Its time was over.
    Elapsed,
    /// A template of the guard failed.
    GuardFailed,
    /// The error budget of the guard burned.
    BudgetBurned,
    /// The guard could not be evaluated for a minute.
    GuardUnknown,
    /// A Rollout of the target or of a caller began to progress.
    Releasing,
    /// The namespace's label was removed.
    NotAllowed,
    /// An operator stopped it.
    Canceled,
    /// It could not begin in time.
    NotBegun,
}

/// What a result rests on.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Evidence {
    /// When it began.
    pub since: Timestamp,
    /// When it was to end.
    pub until: Timestamp,
    /// How many requests it delayed or aborted.
    pub faulted: u64,
}

/// Which of the states a fault is in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub enum FaultPhase {
    /// It has not begun.
    Pending,
    /// It has begun.
    Active,
    /// It is over.
    Ended,
}

impl fmt::Display for FaultPhase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            FaultPhase::Pending => "Pending",
            FaultPhase::Active => "Active",
            FaultPhase::Ended => "Ended",
        })
    }
}

impl FaultState {
    /// Which state it is.
    pub fn phase(&self) -> FaultPhase {
        match self {
            FaultState::Pending(_) => FaultPhase::Pending,
            FaultState::Active(_) => FaultPhase::Active,
            FaultState::Ended(_) => FaultPhase::Ended,
        }
    }

    /// When it ends, while it is active.
    pub fn until(&self) -> Option<Timestamp> {
        match self {
            FaultState::Active(active) => Some(active.until),
            FaultState::Pending(_) | FaultState::Ended(_) => None,
        }
    }
}
