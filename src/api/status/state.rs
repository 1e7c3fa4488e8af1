//! Where a rollout is: one of these states, each with what is valid there and nothing else.
//!
//! To leave a state is to drop what belonged to it: a new value takes its place, and nothing has to be reset by hand. What
//! outlives states (targets, routes, repairs) is in the memory.

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::marks::{Held, Outcome, Progress, is_zero};

/// Where a rollout is: exactly one of these.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = [{
    "rule": "[has(self.firstDeploy), has(self.idle), has(self.stepping), has(self.promoting), has(self.returning), \
             has(self.aborted), has(self.controlKept)].filter(is, is).size() == 1",
    "message": "a rollout is in exactly one state",
}]))]
pub enum State {
    /// No stable version yet (rule S4), or a Deployment is being adopted (S5).
    FirstDeploy(FirstDeploy),
    /// Nothing is being released.
    Idle(AtRest),
    /// The steps are being walked.
    Stepping(Box<Stepping>),
    /// The steps are over and the new version takes everything (S18).
    Promoting(Box<Promoting>),
    /// Traffic returns to stable, and no release has failed (S20, S31).
    Returning(Returning),
    /// The new version failed or was aborted: traffic returns and stays with stable (S33).
    Aborted(AtRest),
    /// An A/B test was decided for the stable version: traffic returns and stays with it (S72).
    ControlKept(AtRest),
}

/// Which of the states a rollout is in, without what it holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub enum Course {
    /// No stable version yet, or a Deployment is being adopted.
    #[default]
    FirstDeploy,
    /// Nothing is being released.
    Idle,
    /// The steps are being walked.
    Stepping,
    /// The steps are over and the new version takes everything.
    Promoting,
    /// Traffic returns to stable, and no release has failed.
    Returning,
    /// The new version failed or was aborted.
    Aborted,
    /// An A/B test was decided for the stable version.
    Kept,
}

impl Course {
    /// Whether the release ended and its traffic was rolled back.
    pub fn is_taken_back(self) -> bool {
        matches!(self, Course::Aborted | Course::Kept)
    }
}

/// The stages of a promotion (S18).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Stage {
    /// The new version gets as many pods as stable.
    Scale,
    /// Routes send everything to the canary target.
    RouteToCanary,
    /// The stable target moves to the new revision. From here on abort is refused; a blue-green switch by Service can still
    /// be taken back.
    MoveStable,
    /// Blue-green: the analysis after the switch.
    PostAnalysis,
    /// Routes send everything to the stable target again.
    RouteToStable,
}

/// Before the first stable version.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct FirstDeploy {
    /// Since when; unknown before the first version has a name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub since: Option<Timestamp>,
    /// The wait whose deadline runs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub progress: Option<Progress>,
}

/// No release is under way, and nothing of one is left but its result.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AtRest {
    /// Since when.
    pub since: Timestamp,
    /// The wait whose deadline runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub progress: Option<Progress>,
    /// Pods that were made before this moment are being replaced (S83).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub restart: Option<Timestamp>,
}

/// The way back to stable.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Returning {
    /// Why.
    pub because: ReturnsBecause,
    /// Since when.
    pub since: Timestamp,
    /// The wait whose deadline runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub progress: Option<Progress>,
}

/// Why traffic returns to stable.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum ReturnsBecause {
    /// The file is back at the stable template (S31).
    BackAtStable,
    /// The file names other objects: these are given back first (S20).
    ObjectsChanged,
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
    /// What the endpoint of the gate in progress has said (S16).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gate: Option<GateMemory>,
    /// A step that is over otherwise waits for a verdict of the background analysis (S14).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub evidence_wait: Option<EvidenceWait>,
    /// Whether traffic of an earlier attempt returns before the steps begin (S20, S35).
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
    /// Over the steps, or over some of them when a person promoted.
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

/// How far the steps were walked: what they asked for there still holds until all traffic moves.
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

/// What lasts from the first step of a release to the end of its promotion.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Release {
    /// When it began.
    pub since: Timestamp,
    /// A hold: everything stays as it is until a person decides (S34).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub held: Option<Held>,
    /// A hash of the steps up to the current one (rule S20).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub steps_walked: Option<String>,
    /// A hash of the analyses that were checked before the release sent traffic (S14).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub analyses_checked: Option<String>,
    /// A person overrode the evidence: runs before this round do not count (S34).
    #[serde(default, skip_serializing_if = "is_zero")]
    pub evidence_round: u32,
    /// The epoch on whose traffic no verdict is waited for any longer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub excused_epoch: Option<u32>,
    /// A person promoted past what is left to observe (S18, S82).
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub overridden: bool,
    /// How often the canary lost all its pods under traffic (S56).
    #[serde(default, skip_serializing_if = "is_zero")]
    pub canary_losses: u32,
    /// Whether the canary is lost right now.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub canary_lost: bool,
}

impl Release {
    /// One that begins now.
    pub fn begin(now: Timestamp) -> Self {
        Release {
            since: now,
            held: None,
            steps_walked: None,
            analyses_checked: None,
            evidence_round: 0,
            excused_epoch: None,
            overridden: false,
            canary_losses: 0,
            canary_lost: false,
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
}

/// The endpoint of a gate in progress.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct GateMemory {
    /// Answers so far that were neither yes nor no.
    pub asked: u32,
    /// What the last of them was.
    pub said: String,
    /// Not to be asked again before.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub again_at: Option<Timestamp>,
    /// It said yes.
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

impl Default for State {
    fn default() -> Self {
        State::FirstDeploy(FirstDeploy::default())
    }
}

impl State {
    /// Which state it is.
    pub fn course(&self) -> Course {
        match self {
            State::FirstDeploy(_) => Course::FirstDeploy,
            State::Idle(_) => Course::Idle,
            State::Stepping(_) => Course::Stepping,
            State::Promoting(_) => Course::Promoting,
            State::Returning(_) => Course::Returning,
            State::Aborted(_) => Course::Aborted,
            State::ControlKept(_) => Course::Kept,
        }
    }

    /// The walk over the steps, if that is where it is.
    pub fn stepping(&self) -> Option<&Stepping> {
        if let State::Stepping(stepping) = self { Some(stepping) } else { None }
    }

    /// The same, to be changed.
    pub fn stepping_mut(&mut self) -> Option<&mut Stepping> {
        if let State::Stepping(stepping) = self { Some(stepping) } else { None }
    }

    /// The promotion, if that is where it is.
    pub fn promoting(&self) -> Option<&Promoting> {
        if let State::Promoting(promoting) = self { Some(promoting) } else { None }
    }

    /// How far the steps are walked whose settings are in force; `None` without a release, and for one that needs no steps.
    pub fn steps(&self) -> Option<StepsDone> {
        match self {
            State::Stepping(stepping) => Some(stepping.done()),
            State::Promoting(promoting) => match promoting.way {
                Way::Steps(done) => Some(done),
                Way::Shortcut(_) => None,
            },
            _ => None,
        }
    }

    /// The release under way.
    pub fn release(&self) -> Option<&Release> {
        match self {
            State::Stepping(stepping) => Some(&stepping.release),
            State::Promoting(promoting) => Some(&promoting.release),
            _ => None,
        }
    }

    /// The same, to be changed.
    pub fn release_mut(&mut self) -> Option<&mut Release> {
        match self {
            State::Stepping(stepping) => Some(&mut stepping.release),
            State::Promoting(promoting) => Some(&mut promoting.release),
            _ => None,
        }
    }

    /// The clock of a step or stage.
    pub fn clock(&self) -> Option<&Clock> {
        match self {
            State::Stepping(stepping) => Some(&stepping.clock),
            State::Promoting(promoting) => Some(&promoting.clock),
            _ => None,
        }
    }

    /// The same, to be changed.
    pub fn clock_mut(&mut self) -> Option<&mut Clock> {
        match self {
            State::Stepping(stepping) => Some(&mut stepping.clock),
            State::Promoting(promoting) => Some(&mut promoting.clock),
            _ => None,
        }
    }

    /// Whether the time of the wait in progress was extended once.
    pub fn extended(&self) -> bool {
        self.clock().is_some_and(|clock| clock.extended)
    }

    /// Extends the time of the wait in progress.
    pub fn extend(&mut self) {
        if let Some(clock) = self.clock_mut() {
            clock.extended = true;
        }
    }

    /// Since when the state, step or stage lasts.
    pub fn since(&self) -> Option<Timestamp> {
        match self {
            State::FirstDeploy(first) => first.since,
            State::Idle(rest) | State::Aborted(rest) | State::ControlKept(rest) => Some(rest.since),
            State::Returning(returning) => Some(returning.since),
            State::Stepping(stepping) => Some(stepping.clock.since),
            State::Promoting(promoting) => Some(promoting.clock.since),
        }
    }

    /// The same, to be changed.
    pub fn progress_mut(&mut self) -> &mut Option<Progress> {
        match self {
            State::FirstDeploy(first) => &mut first.progress,
            State::Idle(rest) | State::Aborted(rest) | State::ControlKept(rest) => &mut rest.progress,
            State::Returning(returning) => &mut returning.progress,
            State::Stepping(stepping) => &mut stepping.clock.progress,
            State::Promoting(promoting) => &mut promoting.clock.progress,
        }
    }

    /// The wait whose deadline runs.
    pub fn progress(&self) -> Option<&Progress> {
        match self {
            State::FirstDeploy(first) => first.progress.as_ref(),
            State::Idle(rest) | State::Aborted(rest) | State::ControlKept(rest) => rest.progress.as_ref(),
            State::Returning(returning) => returning.progress.as_ref(),
            State::Stepping(stepping) => stepping.clock.progress.as_ref(),
            State::Promoting(promoting) => promoting.clock.progress.as_ref(),
        }
    }

    /// A rollout without a release under way, in which pods may be replaced (S83).
    pub fn at_rest_mut(&mut self) -> Option<&mut AtRest> {
        match self {
            State::Idle(rest) | State::Aborted(rest) | State::ControlKept(rest) => Some(rest),
            _ => None,
        }
    }

    /// Pods that were made before this moment are being replaced (S83).
    pub fn restart(&self) -> Option<Timestamp> {
        match self {
            State::Idle(rest) | State::Aborted(rest) | State::ControlKept(rest) => rest.restart,
            _ => None,
        }
    }
}

fn is_naught(value: &i64) -> bool {
    *value == 0
}
