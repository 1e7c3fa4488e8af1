//! Where a change of a policy stands: one of these states, each with what is valid in it and nothing else.
//!
//! What is in force outlives the states: `inForce` in the status. A change leads from it to another spec; both are named by the
//! ControllerRevision that has them.

use std::fmt;

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The state of a change: exactly one of these.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = [{
    "rule": "[has(self.checking), has(self.auditing), has(self.applying), has(self.baking), has(self.active), has(self.held), \
             has(self.reverting), has(self.reverted), has(self.refused), has(self.conflicted)].filter(is, is).size() == 1",
    "message": "a change is in exactly one state",
}]))]
pub enum PolicyState {
    /// The callers that were seen are compared with the new rules (rule P1).
    Checking(Since),
    /// What the new rules would deny is counted, and takes no effect (P2).
    Auditing(Until),
    /// The objects of a wave are being written (P4).
    Applying(InWave),
    /// The wave is watched (P5).
    Baking(Baking),
    /// The spec is in force, and nothing is in progress.
    Active(Since),
    /// An operator decides.
    Held(Held),
    /// The former objects are being written back (P6).
    Reverting(Reverted),
    /// They are back, and the spec is not tried again before an edit or a `retry`.
    Reverted(Reverted),
    /// The mesh cannot do what the spec says; nothing of it is written.
    Refused(Since),
    /// Something of others is in the way; nothing of the spec is written.
    Conflicted(Since),
}

/// The spec that a state is about, and since when.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Since {
    /// The spec.
    pub spec: String,
    /// Since when.
    pub since: Timestamp,
}

/// A spec, and how long its denials are only counted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Until {
    /// The spec.
    pub spec: String,
    /// Until when.
    pub until: Timestamp,
}

/// A spec that some workloads have.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct InWave {
    /// The spec.
    pub spec: String,
    /// The wave, from 0.
    pub wave: u32,
    /// Since when.
    pub since: Timestamp,
}

/// A wave that is watched.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Baking {
    /// The spec.
    pub spec: String,
    /// The wave, from 0.
    pub wave: u32,
    /// Until when, at least.
    pub until: Timestamp,
}

/// A change that waits for an operator.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Held {
    /// The spec.
    pub spec: String,
    /// How far it had come.
    pub at: HeldAt,
    /// Why.
    pub because: HoldReason,
    /// Since when.
    pub since: Timestamp,
}

/// How far a held change had come; what is written stays as it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum HeldAt {
    /// Nothing is written.
    Check {},
    /// Denials are counted.
    Audit {},
    /// The workloads up to this wave have it.
    Wave {
        /// The wave, from 0.
        wave: u32,
    },
}

/// Why an operator decides.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum HoldReason {
    /// A caller that was seen would be cut.
    WouldCut,
    /// It depends on what no metric tells, and is not audited.
    Depends,
    /// There are no metrics of callers.
    Unknown,
    /// The audit counted denials.
    Denials,
    /// It was judged bad, and `onFailure` is `Hold`.
    JudgedBad,
    /// It could not be judged.
    Inconclusive,
}

/// A change that was taken back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Reverted {
    /// The spec.
    pub spec: String,
    /// Why.
    pub because: RevertReason,
    /// Since when.
    pub since: Timestamp,
}

/// Why a change is taken back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum RevertReason {
    /// A caller that succeeded before was denied three times.
    CallerDenied,
    /// It was judged bad.
    JudgedBad,
    /// An operator aborted it.
    Aborted,
}

/// Which of the states a change is in: its phase.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
pub enum Phase {
    /// The callers are compared with the new rules.
    Checking,
    /// Denials are counted.
    Auditing,
    /// Objects are being written.
    Applying,
    /// A wave is watched.
    Baking,
    /// In force.
    Active,
    /// An operator decides.
    Held,
    /// The former objects are being written back.
    Reverting,
    /// They are back.
    Reverted,
    /// The mesh cannot do it.
    Refused,
    /// Something of others is in the way.
    Conflicted,
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

impl PolicyState {
    /// Which state it is.
    pub fn phase(&self) -> Phase {
        match self {
            PolicyState::Checking(_) => Phase::Checking,
            PolicyState::Auditing(_) => Phase::Auditing,
            PolicyState::Applying(_) => Phase::Applying,
            PolicyState::Baking(_) => Phase::Baking,
            PolicyState::Active(_) => Phase::Active,
            PolicyState::Held(_) => Phase::Held,
            PolicyState::Reverting(_) => Phase::Reverting,
            PolicyState::Reverted(_) => Phase::Reverted,
            PolicyState::Refused(_) => Phase::Refused,
            PolicyState::Conflicted(_) => Phase::Conflicted,
        }
    }

    /// The spec that it is about.
    pub fn spec(&self) -> &str {
        match self {
            PolicyState::Checking(of)
            | PolicyState::Active(of)
            | PolicyState::Refused(of)
            | PolicyState::Conflicted(of) => &of.spec,
            PolicyState::Auditing(of) => &of.spec,
            PolicyState::Applying(of) => &of.spec,
            PolicyState::Baking(of) => &of.spec,
            PolicyState::Held(of) => &of.spec,
            PolicyState::Reverting(of) | PolicyState::Reverted(of) => &of.spec,
        }
    }
}
