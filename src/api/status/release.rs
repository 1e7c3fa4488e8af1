//! A release under way: its walk over the steps, its promotion, and what lasts from one to the other.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    marks::{Held, Outcome, Progress, is_zero},
    past_weights::PastWeight,
};

/// The stages of a promotion (S18).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Stage {
    /// The new version gets as many pods as stable.
    Scale,
    /// Routes send all traffic to the canary target.
    RouteToCanary,
    /// The stable target is switched to the new revision. From here on abort is refused; a blue-green switch by Service can
    /// still be reverted.
    MoveStable,
    /// Blue-green: the analysis after the switch.
    PostAnalysis,
    /// Routes send all traffic to the stable target again.
    RouteToStable,
}

/// The walk over the steps.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Stepping {
    /// The step in progress, from 0; the number of steps when all are done.
    pub step: u32,
    /// The sub-step of a ramp in progress, from 0.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub sub_step: u32,
    /// The clock of the step or sub-step.
    pub clock: Clock,
    /// The answers of the gate in progress (S16).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gate: Option<GateMemory>,
    /// The wait for a verdict of the background analysis, by a step that is complete otherwise (S14).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub evidence_wait: Option<EvidenceWait>,
    /// Whether traffic of an earlier attempt is shifted back before the steps begin (S20, S35).
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub taking_back: bool,
    /// What lasts for the whole release.
    pub release: Release,
}

impl Stepping {
    /// The first step of a release that begins now.
    pub fn begin(now: Timestamp) -> Self {
        Stepping {
            step: 0,
            sub_step: 0,
            clock: Clock::begin(now),
            gate: None,
            evidence_wait: None,
            taking_back: true,
            release: Release::begin(now),
        }
    }

    /// How far it is.
    pub fn done(&self) -> StepsDone {
        StepsDone { step: self.step, sub_step: self.sub_step }
    }

    /// Another step or sub-step begins now.
    pub fn move_to(&mut self, (step, sub_step): (u32, u32), now: Timestamp) {
        self.release.walk(self.step, step, now);
        (self.step, self.sub_step) = (step, sub_step);
        (self.clock, self.gate, self.evidence_wait) = (Clock::begin(now), None, None);
    }
}

/// A promotion.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Promoting {
    /// How far it is.
    pub stage: Stage,
    /// How the release got here.
    pub way: Way,
    /// The clock of the stage.
    pub clock: Clock,
    /// What lasts for the whole release.
    pub release: Release,
}

impl Promoting {
    /// The first stage of a promotion that begins now.
    pub fn begin(way: Way, release: Release, now: Timestamp) -> Self {
        Promoting { stage: Stage::Scale, way, clock: Clock::begin(now), release }
    }

    /// Another stage begins now, or the same one again.
    pub fn move_to(&mut self, stage: Stage, now: Timestamp) {
        (self.stage, self.clock) = (stage, Clock::begin(now));
    }
}

/// How a release got to its promotion.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum Way {
    /// Over the steps, or over some of them when an operator promoted.
    Steps(StepsDone),
    /// Without steps and analysis (S32, S62).
    Shortcut(Shortcut),
}

impl Way {
    /// The shortcut, if it is one.
    pub fn shortcut(self) -> Option<Shortcut> {
        if let Way::Shortcut(shortcut) = self { Some(shortcut) } else { None }
    }
}

/// How far the steps were walked: what they asked for there still holds until all traffic shifts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct StepsDone {
    /// The step, from 0; the number of steps when all were done.
    pub step: u32,
    /// The sub-step of a ramp, from 0.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub sub_step: u32,
}

/// A promotion of a version that was stable before.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Shortcut {
    /// Why it needs no steps.
    pub because: ShortcutBecause,
}

/// Why a version needs no steps and no analysis.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum ShortcutBecause {
    /// It is one of the last stable ones, within `rollbackWindow` (S32).
    RollbackWindow,
    /// Blue-green: it still has all its pods (S62).
    StillRunning,
}

impl ShortcutBecause {
    /// How such a release ends.
    pub fn outcome(self) -> Outcome {
        match self {
            ShortcutBecause::RollbackWindow => Outcome::FastPromoted,
            ShortcutBecause::StillRunning => Outcome::RolledBack,
        }
    }
}

/// What an operator decided in place of a step or an analysis.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ByOperator {
    /// In words, with who: `steps 2 to 3 skipped by ann`.
    pub said: String,
    /// Whether something was skipped, and not only decided that waits for an operator.
    pub skipped: bool,
}

/// What lasts from the first step of a release to the end of its promotion.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Release {
    /// When it began.
    pub since: Timestamp,
    /// A hold: the release is suspended until an operator decides (S34).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub held: Option<Held>,
    /// When each of the steps that are complete ended, from the first on; for people alone.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub step_ends: Vec<Timestamp>,
    /// The canary's desired weights so far, at most 32; for people alone.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32))]
    pub weights: Vec<PastWeight>,
    /// A hash of the steps up to the current one (rule S20).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub steps_walked: Option<String>,
    /// A hash of the analyses that were checked before the release sent traffic (S14).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub analyses_checked: Option<String>,
    /// An operator overrode the evidence: runs before this round do not count (S34).
    #[serde(default, skip_serializing_if = "is_zero")]
    pub evidence_round: u32,
    /// The epoch for whose traffic no verdict is required any longer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub excused_epoch: Option<u32>,
    /// An operator promoted past what is left to observe (S18, S82).
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub overridden: bool,
    /// What operators decided in place of steps and analysis, oldest first (S82).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub by_operator: Vec<ByOperator>,
    /// How often the canary lost all its pods under traffic (S56).
    #[serde(default, skip_serializing_if = "is_zero")]
    pub canary_losses: u32,
    /// Whether the canary has had an available pod since the release began, or since the replicas were last 0.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub canary_up: bool,
    /// Whether the canary is lost right now.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub canary_lost: bool,
    /// What the containers of the new version had done before the guards began to count.
    #[serde(default, skip_serializing_if = "EndedBefore::is_empty")]
    pub ended_before: EndedBefore,
}

/// How often containers had ended before the guards began to count: when the attempt began, or when an operator overrode
/// a hold. It is on record, so that a controller that restarts, or another one, counts the same.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct EndedBefore {
    /// How often, by `pod/container`; the rest had ended `others` times at most.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub containers: BTreeMap<String, u32>,
    /// Of more containers than are listed, the most often.
    #[serde(skip_serializing_if = "is_zero")]
    pub others: u32,
}

impl EndedBefore {
    /// Whether no container had ended.
    pub fn is_empty(&self) -> bool {
        self.containers.is_empty() && self.others == 0
    }
}

impl Release {
    /// One that begins now.
    pub fn begin(now: Timestamp) -> Self {
        Release {
            since: now,
            held: None,
            step_ends: Vec::new(),
            weights: Vec::new(),
            steps_walked: None,
            analyses_checked: None,
            evidence_round: 0,
            excused_epoch: None,
            overridden: false,
            by_operator: Vec::new(),
            canary_losses: 0,
            canary_up: false,
            canary_lost: false,
            ended_before: EndedBefore::default(),
        }
    }

    /// Steps end now. Where the ends of earlier ones are not known, as after an upgrade, none is kept.
    fn walk(&mut self, from: u32, to: u32, now: Timestamp) {
        if self.step_ends.len() == from as usize {
            self.step_ends.resize(to as usize, now);
        }
    }
}

/// A clock that is stopped while the rollout is paused, held or scaled to zero (S36, S37).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Clock {
    /// When it began.
    pub since: Timestamp,
    /// How long it has been stopped, in milliseconds.
    #[serde(default, skip_serializing_if = "is_naught")]
    pub held_ms: i64,
    /// Since when it is stopped.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stopped_since: Option<Timestamp>,
    /// Whether the atMost of the step or stage was extended once.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub extended: bool,
    /// The wait whose deadline runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub progress: Option<Progress>,
}

impl Clock {
    /// One that begins now.
    pub fn begin(now: Timestamp) -> Self {
        Clock { since: now, held_ms: 0, stopped_since: None, extended: false, progress: None }
    }

    /// How long it has run by `now`, without the time for which it was or is stopped.
    pub fn elapsed(&self, now: Timestamp) -> SignedDuration {
        let until = self.stopped_since.unwrap_or(now);
        until.duration_since(self.since) - SignedDuration::from_millis(self.held_ms)
    }
}

/// The endpoint of a gate in progress.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct GateMemory {
    /// Answers so far that neither approved nor denied.
    pub asked: u32,
    /// The last of them.
    pub said: String,
    /// Not asked again before.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub again_at: Option<Timestamp>,
    /// Whether it approved.
    pub open: bool,
}

/// The clock of an implicit observation.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct EvidenceWait {
    /// When it began.
    pub since: Timestamp,
    /// How long it was stopped, in milliseconds.
    pub held_ms: i64,
    /// Whether it was extended once.
    pub extended: bool,
}

fn is_naught(value: &i64) -> bool {
    *value == 0
}
