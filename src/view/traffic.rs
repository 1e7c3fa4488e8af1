//! The traffic: what the routes are meant to say, what they say, and what was counted.

use serde::Serialize;

use crate::api::{
    Percent, Rollout,
    status::{RevisionRef, Stage, State},
};

/// How traffic is split during a release.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum Traffic {
    /// By the weights of routes.
    Routes(Routes),
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

/// What routes say; the shares are the canary's.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Routes {
    /// What they are meant to say.
    pub planned: Percent,
    /// What was read back; `None`: not yet.
    pub seen: Option<Percent>,
    /// The share of the requests that were counted.
    pub counted: Option<Percent>,
    /// Whether they have said so for long enough.
    pub is_settled: bool,
    /// Header routes to the canary.
    pub headers: Vec<String>,
    /// The share of mirrored requests.
    pub mirror: Option<Percent>,
    /// Whether users stay on the version of their first response.
    pub is_sticky: bool,
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
            return Some(Traffic::Routes(Routes {
                planned: weights.desired,
                seen: weights.accepted,
                counted: weights.observed,
                is_settled: weights.settled,
                headers: weights.headers.clone(),
                mirror: weights.mirror,
                is_sticky: weights.sticky,
            }));
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
