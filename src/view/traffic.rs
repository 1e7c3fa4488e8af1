//! The traffic: what the routes are meant to say, what they say, and what was counted.

use serde::Serialize;

use crate::api::{
    Percent, Rollout, RolloutStatus,
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
            return Some(Traffic::Routes(current(weights, status)));
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

/// The weights without what was counted at an earlier one: the share that was counted is that of the weight that settled last.
fn current(weights: &Weights, status: &RolloutStatus) -> Weights {
    let in_release = matches!(status.state, State::Stepping(_) | State::Promoting(_));
    let is_same = status.memory.settled_weight.is_none_or(|settled| settled == weights.desired);
    Weights { observed: weights.observed.filter(|_| in_release && weights.settled && is_same), ..weights.clone() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::view::samples;

    #[test]
    fn what_was_counted_at_another_weight_is_not_shown() {
        let counted = |rollout: &Rollout| match Traffic::of(rollout) {
            Some(Traffic::Routes(weights)) => weights.observed,
            other => panic!("{other:?}"),
        };
        let mut observing = samples::observing().rollout;
        assert!(counted(&observing).is_some());
        observing.status.as_mut().unwrap().memory.settled_weight = Some(Percent::whole(5));
        assert_eq!(counted(&observing), None, "the weight before");
        let mut moving = samples::observing().rollout;
        moving.status.as_mut().unwrap().weights.settled = false;
        assert_eq!(counted(&moving), None, "not settled");
        let mut aborted = samples::aborted().rollout;
        aborted.status.as_mut().unwrap().weights.observed = Some(Percent::whole(52));
        assert_eq!(counted(&aborted), None, "the traffic is back");
    }
}
