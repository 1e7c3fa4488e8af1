//! What a step looks at.

use std::time::Duration;

use jiff::Timestamp;

use crate::{
    api::fault::{FaultState, MeshFaultSpec},
    mesh::change::PlanSeen,
};

/// What a step looks at.
#[derive(Clone, Debug)]
pub struct Input<'a> {
    /// The time.
    pub now: Timestamp,
    /// When the fault was created.
    pub created: Timestamp,
    /// What was recorded last; none before the first step.
    pub state: Option<&'a FaultState>,
    /// What of its spec decides about the beginning and the end.
    pub settings: Settings,
    /// Whether its namespace allows faults.
    pub is_allowed: bool,
    /// What its plan is on the mesh.
    pub plan: PlanSeen,
    /// Whether its target has another fault, or an older one that waits: [`is_busy`](super::is_busy).
    pub is_busy: bool,
    /// Whether a Rollout of the target or of a caller progresses (rule F4).
    pub is_releasing: bool,
    /// What its guard says; not looked at without one.
    pub guard: GuardSeen,
    /// How many requests it delayed or aborted.
    pub faulted: u64,
    /// Whether an operator stopped it.
    pub is_canceled: bool,
}

/// What of a fault's spec decides about its beginning and its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    /// How long it takes.
    pub duration: Duration,
    /// Whether anything guards it.
    pub has_guard: bool,
}

impl Settings {
    /// Those of a spec.
    pub fn of(spec: &MeshFaultSpec) -> Self {
        Settings { duration: spec.duration.get(), has_guard: spec.guard.is_set() }
    }
}

/// What a guard says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GuardSeen {
    /// It holds.
    Holds,
    /// A template failed.
    Failed,
    /// The error budget burns.
    Burning,
    /// It cannot be evaluated.
    Unknown,
}
