//! The state of a rollout: one of these, each with what is valid in it and nothing else.
//!
//! To leave a state is to drop what belonged to it: a new value takes its place, and nothing has to be reset by hand. What
//! outlives states (targets, routes, repairs) is in the memory.

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    marks::Progress,
    release::{Clock, Promoting, Release, Stepping, StepsDone, Way},
};

/// The state of a rollout: exactly one of these.
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
    /// No release is in progress.
    Idle(AtRest),
    /// The steps are in progress.
    Stepping(Box<Stepping>),
    /// The steps are complete and the new version is promoted (S18).
    Promoting(Box<Promoting>),
    /// Traffic shifts back to stable, and no release has failed (S20, S31).
    Returning(Returning),
    /// The new version failed or was aborted: traffic shifts back to stable and stays there (S33).
    Aborted(AtRest),
    /// An A/B test was decided for the stable version: traffic shifts back to it and stays there (S72).
    ControlKept(AtRest),
}

/// Which of the states a rollout is in, without what it holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub enum Course {
    /// No stable version yet, or a Deployment is being adopted.
    #[default]
    FirstDeploy,
    /// No release is in progress.
    Idle,
    /// The steps are in progress.
    Stepping,
    /// The steps are complete and the new version is promoted.
    Promoting,
    /// Traffic shifts back to stable, and no release has failed.
    Returning,
    /// The new version failed or was aborted.
    Aborted,
    /// An A/B test was decided for the stable version.
    #[serde(rename = "Kept")]
    ControlKept,
}

impl Course {
    /// Whether the release ended and its traffic was rolled back.
    pub fn is_rolled_back(self) -> bool {
        matches!(self, Course::Aborted | Course::ControlKept)
    }
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

/// No release is in progress, and nothing of one is left but its result.
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

/// Traffic shifts back to stable.
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

/// Why traffic shifts back to stable.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum ReturnsBecause {
    /// The spec returned to the stable template (S31).
    BackAtStable,
    /// The spec references other objects: the old ones are restored first (S20).
    ObjectsChanged,
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
            State::ControlKept(_) => Course::ControlKept,
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
