//! The traffic: what the routes are meant to say, what they say, and what was counted.

use serde::Serialize;

use crate::api::{
    Percent, Rollout,
    status::{RevisionRef, Stage, State, Weights},
};

/// How traffic is split during a release.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum Traffic {
    /// By the weights of routes.
    Routes(Weights),
    /// By the ratio of pods.
    Ratio {
        /// The canary's planned share.
        planned: Percent,
    },
    /// By the selector of a Service.
    Switch {
        /// The active Service.
        service: String,
        /// Which revision it selects.
        selects: Option<RevisionRef>,
    },
}

impl Traffic {
    /// Of a Rollout; `None` while there is one version alone.
    pub fn of(rollout: &Rollout) -> Option<Self> {
        let status = rollout.status.as_ref()?;
        if matches!(status.state, State::Idle(_) | State::FirstDeploy(_)) {
            return None;
        }
        let weights = &status.weights;
        if !rollout.spec.traffic.is_empty() {
            return Some(Traffic::Routes(weights.clone()));
        }
        let Some(blue_green) = &rollout.spec.strategy.blue_green else {
            return Some(Traffic::Ratio { planned: weights.desired });
        };
        let is_switched = matches!(status.stage(), Some(Stage::MoveStable | Stage::PostAnalysis));
        let selects = if is_switched { &status.current_revision } else { &status.stable_revision };
        let service = blue_green.active_service.clone().unwrap_or_default();
        Some(Traffic::Switch { service, selects: selects.clone() })
    }
}
