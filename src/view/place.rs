//! Where a Rollout is: the one question from which everything else that is shown follows.

use serde::Serialize;

use super::step;
use crate::{
    api::{
        Rollout,
        status::{Held, Stage, State},
    },
    engine::items::{Item, items},
};

/// The state of a Rollout, as users see it.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum Place {
    /// No controller has written a status yet.
    Unseen {
        /// The `--class` that a controller needs to reconcile it.
        class: Option<String>,
    },
    /// The first version comes up.
    FirstDeploy {
        /// Available pods.
        available: u32,
        /// Desired pods.
        desired: u32,
    },
    /// Nothing is being released.
    Idle {
        /// Whether `undo` pinned the revision.
        pinned: bool,
    },
    /// Held until an operator decides.
    Held(Held),
    /// Paused, by the spec or by a command.
    Paused {
        /// `spec.paused`, which only an edit of the spec lifts.
        in_spec: bool,
    },
    /// A step is in progress.
    Step {
        /// The step, as the engine reads it.
        #[serde(serialize_with = "step::as_phrase")]
        item: Item,
        /// The sub-step of a ramp, from 0.
        sub_step: u32,
    },
    /// All steps are done and the promotion is about to begin.
    StepsDone,
    /// The new version is being made stable.
    Promoting(Stage),
    /// Traffic returns to stable because the spec did.
    Returning,
    /// Rolled back.
    Aborted,
    /// An A/B test was decided for control.
    ControlKept,
}

impl Place {
    /// Of a Rollout. A hold and a pause hide the step that they stop.
    pub fn of(rollout: &Rollout) -> Place {
        let Some(status) = rollout.status.as_ref().filter(|status| status.phase.is_some()) else {
            return Place::Unseen { class: rollout.spec.class.clone() };
        };
        match &status.state {
            State::FirstDeploy(_) => {
                return Place::FirstDeploy { available: status.available_replicas, desired: status.desired_replicas };
            }
            State::Idle(_) => return Place::Idle { pinned: status.pinned.is_some() },
            State::Aborted(_) => return Place::Aborted,
            State::ControlKept(_) => return Place::ControlKept,
            State::Returning(_) => return Place::Returning,
            State::Stepping(_) | State::Promoting(_) => {}
        }
        if let Some(held) = status.held() {
            return Place::Held(held.clone());
        }
        if rollout.spec.paused || status.paused_by_command {
            return Place::Paused { in_spec: rollout.spec.paused };
        }
        if let Some(stage) = status.stage() {
            return Place::Promoting(stage);
        }
        let item = items(&rollout.spec.strategy.steps()).into_iter().nth(status.step_index as usize);
        item.map_or(Place::StepsDone, |item| Place::Step { item, sub_step: status.sub_step() })
    }
}

/// Whether the controller has observed the latest spec.
pub fn is_seen(rollout: &Rollout) -> bool {
    let seen = rollout.status.as_ref().and_then(|status| status.observed_generation);
    match (seen, rollout.metadata.generation) {
        (Some(seen), Some(now)) => seen >= now,
        (None, Some(_)) => false,
        _ => true,
    }
}
