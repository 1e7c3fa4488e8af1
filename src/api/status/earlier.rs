//! The form that earlier versions gave a status, in which the parts of a [`State`] stood beside each other, and what only one
//! state needs stood in the memory.
//!
//! It is read once, after an upgrade, and replaced by the next record. Some of its fields are still written: scripts read
//! them, and a controller of an earlier version continues by them after a downgrade.

use jiff::Timestamp;
use schemars::{Schema, schema_for};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::{
    marks::{Held, Outcome, Progress, RevisionRef, Waiting},
    release::{
        Clock, EndedBefore, EvidenceWait, GateMemory, Promoting, Release, Shortcut, ShortcutBecause, Stage, Stepping,
        StepsDone, Way,
    },
    state::{AtRest, Course, FirstDeploy, Returning, ReturnsBecause, State},
};

/// The fields of the memory that are no longer written.
pub const OLD_MEMORY: [&str; 18] = [
    "rolloutSince",
    "stepSince",
    "stepHeldMs",
    "clockStoppedSince",
    "extended",
    "gate",
    "progress",
    "stepsWalked",
    "canaryLosses",
    "canaryLost",
    "evidenceRound",
    "fast",
    "overridden",
    "takingBack",
    "restart",
    "analysesChecked",
    "evidenceWait",
    "excusedEpoch",
];

/// The names of the states.
const STATES: [&str; 7] = ["firstDeploy", "idle", "stepping", "promoting", "returning", "aborted", "controlKept"];

/// Converts a status of the earlier form. Says whether it was of the earlier form.
pub fn upgrade(status: &mut Map<String, Value>) -> Result<bool, serde_json::Error> {
    if !status.contains_key("course") || status.contains_key("state") && !wrote_last(status)? {
        return Ok(false);
    }
    let old = Old::deserialize(&*status)?;
    status.insert("state".to_owned(), serde_json::to_value(old.state())?);
    Ok(true)
}

/// The merge patch that puts a state in the place of what an earlier version stored: the state whole, because a stale one may
/// be there, and nothing of what only that version needs.
pub fn replacement(state: &State) -> Result<Value, serde_json::Error> {
    let mut patch = json!({"state": {}, "memory": {}});
    STATES.iter().for_each(|name| patch["state"][name] = Value::Null);
    OLD_MEMORY.iter().for_each(|field| patch["memory"][field] = Value::Null);
    if let Value::Object(state) = serde_json::to_value(state)? {
        state.into_iter().for_each(|(name, value)| patch["state"][name] = value);
    }
    Ok(patch)
}

/// Whether an earlier version wrote last, after a downgrade: it leaves our state as it was, and changes its own fields.
fn wrote_last(status: &Map<String, Value>) -> Result<bool, serde_json::Error> {
    let remembers = |memory: &Value| OLD_MEMORY.iter().any(|field| memory.get(field).is_some());
    if status.get("memory").is_some_and(remembers) {
        return Ok(true);
    }
    let state = status.get("state").map_or_else(|| Ok(State::default()), State::deserialize)?;
    let ours = serde_json::to_value(StillWritten::of(&state))?;
    Ok(["course", "stage", "subStep", "held"].iter().any(|field| ours.get(field) != status.get(*field)))
}

/// The fields of the earlier form that are still written.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct StillWritten<'a> {
    course: Course,
    #[serde(skip_serializing_if = "Option::is_none")]
    stage: Option<Stage>,
    #[serde(skip_serializing_if = "super::marks::is_zero")]
    sub_step: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    held: Option<&'a Held>,
}

impl<'a> StillWritten<'a> {
    /// What a state is in the words of the earlier form.
    pub fn of(state: &'a State) -> Self {
        StillWritten {
            course: state.course(),
            stage: state.promoting().map(|promoting| promoting.stage),
            sub_step: state.steps().map_or(0, |at| at.sub_step),
            held: state.release().and_then(|release| release.held.as_ref()),
        }
    }
}

/// Describes them in the CRD: they are not fields of the type, so that nothing else reads them.
pub fn describe(schema: &mut Schema) {
    let properties = schema.ensure_object().entry("properties").or_insert_with(|| json!({}));
    use {Course as C, Stage as S};
    let words = |words: Value| json!({"type": "string", "enum": words});
    let courses = json!([C::FirstDeploy, C::Idle, C::Stepping, C::Promoting, C::Returning, C::Aborted, C::ControlKept]);
    let stages = json!([S::Scale, S::RouteToCanary, S::MoveStable, S::PostAnalysis, S::RouteToStable]);
    let held = schema_for!(Held).to_value();
    let held = json!({"type": held["type"], "required": held["required"], "properties": held["properties"]});
    for (name, mut field, description) in [
        ("course", words(courses), "Which of the states, in one word."),
        ("stage", words(stages), "The stage of a promotion."),
        ("subStep", json!({"type": "integer", "format": "uint32", "minimum": 0}), "The sub-step of a ramp, from 0."),
        ("held", held, "A hold: the release is suspended until an operator decides."),
    ] {
        field["description"] = description.into();
        properties[name] = field;
    }
    // One that the API server filled in would hide that an earlier version wrote the status.
    properties["state"].as_object_mut().and_then(|state| state.remove("default"));
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Old {
    #[serde(default)]
    course: Course,
    stable_revision: Option<RevisionRef>,
    current_revision: Option<RevisionRef>,
    #[serde(default)]
    step_index: u32,
    #[serde(default)]
    sub_step: u32,
    stage: Option<Stage>,
    held: Option<Held>,
    waiting_for: Option<Waiting>,
    #[serde(default)]
    memory: OldMemory,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct OldMemory {
    rollout_since: Option<Timestamp>,
    step_since: Option<Timestamp>,
    step_held_ms: i64,
    clock_stopped_since: Option<Timestamp>,
    extended: bool,
    gate: Option<GateMemory>,
    progress: Option<Progress>,
    steps_walked: Option<String>,
    canary_losses: u32,
    canary_lost: bool,
    evidence_round: u32,
    fast: Option<Outcome>,
    overridden: bool,
    taking_back: bool,
    restart: Option<Timestamp>,
    analyses_checked: Option<String>,
    evidence_wait: Option<EvidenceWait>,
    excused_epoch: Option<u32>,
}

impl Old {
    fn state(self) -> State {
        match self.course {
            Course::FirstDeploy => {
                State::FirstDeploy(FirstDeploy { since: self.memory.rollout_since, progress: self.memory.progress })
            }
            Course::Idle => State::Idle(self.at_rest()),
            Course::Aborted => State::Aborted(self.at_rest()),
            Course::ControlKept => State::ControlKept(self.at_rest()),
            Course::Returning => State::Returning(self.returning()),
            Course::Stepping => State::Stepping(Box::new(self.stepping())),
            Course::Promoting => State::Promoting(Box::new(self.promoting())),
        }
    }

    /// Since when the step, stage or state lasts. A status that went through a downgrade may lack it.
    fn since(&self) -> Timestamp {
        let waits = self.waiting_for.as_ref().map(|wait| wait.since);
        self.memory.step_since.or(self.memory.rollout_since).or(waits).unwrap_or(Timestamp::UNIX_EPOCH)
    }

    fn at_rest(self) -> AtRest {
        AtRest { since: self.since(), progress: self.memory.progress, restart: self.memory.restart }
    }

    fn returning(self) -> Returning {
        let is_back = self.current_revision == self.stable_revision;
        let because = if is_back { ReturnsBecause::BackAtStable } else { ReturnsBecause::ObjectsChanged };
        Returning { because, since: self.since(), progress: self.memory.progress }
    }

    fn clock(&self) -> Clock {
        let memory = &self.memory;
        Clock {
            since: self.since(),
            held_ms: memory.step_held_ms,
            stopped_since: memory.clock_stopped_since,
            extended: memory.extended,
            progress: memory.progress.clone(),
        }
    }

    fn release(&self) -> Release {
        let memory = &self.memory;
        Release {
            since: memory.rollout_since.unwrap_or(self.since()),
            held: self.held.clone(),
            step_ends: Vec::new(),
            weights: Vec::new(),
            steps_walked: memory.steps_walked.clone(),
            analyses_checked: memory.analyses_checked.clone(),
            evidence_round: memory.evidence_round,
            excused_epoch: memory.excused_epoch,
            overridden: memory.overridden,
            by_operator: Vec::new(),
            canary_losses: memory.canary_losses,
            canary_up: false,
            canary_lost: memory.canary_lost,
            ended_before: EndedBefore::default(),
        }
    }

    fn stepping(self) -> Stepping {
        Stepping {
            step: self.step_index,
            sub_step: self.sub_step,
            clock: self.clock(),
            release: self.release(),
            gate: self.memory.gate,
            evidence_wait: self.memory.evidence_wait,
            taking_back: self.memory.taking_back,
        }
    }

    fn promoting(self) -> Promoting {
        let way = match self.memory.fast {
            None => Way::Steps(StepsDone { step: self.step_index, sub_step: self.sub_step }),
            Some(Outcome::RolledBack) => Way::Shortcut(Shortcut { because: ShortcutBecause::StillRunning }),
            Some(_) => Way::Shortcut(Shortcut { because: ShortcutBecause::RollbackWindow }),
        };
        Promoting { stage: self.stage.unwrap_or(Stage::Scale), way, clock: self.clock(), release: self.release() }
    }
}
