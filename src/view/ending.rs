//! Whether the release that a command waits for has ended, and how.

use serde::Serialize;

use super::{
    phrases,
    place::{Place, is_seen},
    revision::Role,
    situation::rolled_back,
    waits::WaitsFor,
};
use crate::api::{
    Rollout, RolloutStatus,
    status::{Outcome, Phase},
};

/// What a waiting command needs to know.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Waited {
    /// It continues automatically.
    Continues,
    /// It waits for an operator.
    ForOperator,
    /// It is over: how, and in words.
    Over(Outcome, String),
    /// The first deploy failed.
    Failed(String),
}

/// The state of the release of revision `target` (the current one when the wait began).
pub fn waited(rollout: &Rollout, target: &str) -> Waited {
    let Some(status) = rollout.status.as_ref().filter(|_| is_seen(rollout)) else { return Waited::Continues };
    let Some(current) = &status.current_revision else { return Waited::Continues };
    let place = Place::of(rollout);
    if current.id != target {
        return other_revision(status, &place, target);
    }
    let number = phrases::number(Some(current));
    match (&place, status.phase) {
        (Place::Idle { .. }, Some(Phase::Healthy)) if Role::of(target, status) == Role::Stable => {
            Waited::Over(Outcome::Promoted, format!("{number} is stable and receives 100 % of traffic"))
        }
        // The decision is recorded a moment before the routes are written.
        (Place::Aborted | Place::ControlKept, _) if !is_back(rollout, status) => Waited::Continues,
        (Place::ControlKept, _) => Waited::Over(Outcome::KeptControl, status.message.clone()),
        (Place::Aborted, _) => Waited::Over(Outcome::RolledBack, rolled_back(rollout)),
        (Place::FirstDeploy { .. }, Some(Phase::Degraded)) => {
            Waited::Failed(format!("the first deploy failed: {}", status.message))
        }
        _ if WaitsFor::of(&place, status).needs_operator() => Waited::ForOperator,
        _ => Waited::Continues,
    }
}

/// Whether no traffic goes to the canary any more. Without routes the pods are the split, and they may be kept.
fn is_back(rollout: &Rollout, status: &RolloutStatus) -> bool {
    let away = status.weights.accepted.is_none_or(|accepted| accepted.is_zero());
    status.weights.desired.is_zero() && (away || rollout.spec.traffic.is_empty())
}

/// Another revision is desired now: the outcome of ours is in the history.
fn other_revision(status: &RolloutStatus, place: &Place, target: &str) -> Waited {
    if let Some(entry) = status.history.iter().find(|entry| entry.revision.id == target) {
        let (number, outcome) = (entry.revision.number, phrases::outcome(entry.outcome));
        return Waited::Over(entry.outcome, format!("#{number} was {outcome}: {}", entry.reason));
    }
    match place {
        Place::Returning => Waited::Continues,
        Place::Idle { .. } => Waited::Over(Outcome::RolledBack, "the spec returned to the stable version".into()),
        _ => {
            let newer = phrases::number(status.current_revision.as_ref());
            Waited::Over(Outcome::Superseded, format!("superseded by {newer}"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::view::samples;
    use serde_json::json;

    const CANARY: &str = "k3v9x2m1qa";

    fn over(how: Outcome) -> Waited {
        Waited::Over(how, String::new())
    }

    /// Without the words.
    fn end(rollout: &Rollout, target: &str) -> Waited {
        match waited(rollout, target) {
            Waited::Over(how, _) => over(how),
            Waited::Failed(_) => Waited::Failed(String::new()),
            waited => waited,
        }
    }

    #[test]
    fn an_abort_is_over_when_the_traffic_is_back() {
        let tenth = crate::api::Percent::whole(10);
        for (desired, accepted, mesh, is_over) in [
            (tenth, Some(tenth), true, false),
            (crate::api::Percent::ZERO, Some(tenth), true, false),
            (crate::api::Percent::ZERO, Some(tenth), false, true),
            (crate::api::Percent::ZERO, Some(crate::api::Percent::ZERO), true, true),
            (crate::api::Percent::ZERO, None, true, true),
        ] {
            let mut rollout = samples::aborted().rollout;
            rollout.spec.traffic = if mesh { vec![Default::default()] } else { vec![] };
            let weights = &mut rollout.status.as_mut().unwrap().weights;
            (weights.desired, weights.accepted) = (desired, accepted);
            let wanted = if is_over { over(Outcome::RolledBack) } else { Waited::Continues };
            assert_eq!(end(&rollout, CANARY), wanted, "{desired} {accepted:?} {mesh}");
        }
    }

    #[test]
    fn every_place_has_its_end() {
        for (name, sample, expected) in [
            ("observing", samples::observing(), Waited::Continues),
            ("promoting", samples::promoting(), Waited::Continues),
            ("first deploy", samples::first_deploy(), Waited::Continues),
            ("held", samples::held(), Waited::ForOperator),
            ("pause", samples::at_pause(), Waited::ForOperator),
            ("approval", samples::at_gate(json!({"name": "a", "approval": true})), Waited::ForOperator),
            ("gate", samples::at_gate(json!({"name": "a", "url": "https://gate"})), Waited::Continues),
            ("aborted", samples::aborted(), over(Outcome::RolledBack)),
        ] {
            assert_eq!(end(&sample.rollout, CANARY), expected, "{name}");
        }
        assert_eq!(end(&samples::healthy().rollout, "b7d0c41hze"), over(Outcome::Promoted));
    }

    #[test]
    fn another_revision_in_force_is_told_by_the_history() {
        let history = |outcome: &str| {
            json!([{
                "revision": { "id": "ourtarget0", "number": 40 }, "startedAt": samples::ago(900), "endedAt": samples::ago(60),
                "outcome": outcome, "reason": "why", "attempt": 1, "stepIndex": 2
            }])
        };
        for (outcome, expected) in [
            ("Promoted", Outcome::Promoted),
            ("Aborted", Outcome::Aborted),
            ("RolledBack", Outcome::RolledBack),
            ("Superseded", Outcome::Superseded),
        ] {
            let status = json!({ "phase": "Progressing", "course": "Stepping", "history": history(outcome) });
            assert_eq!(end(&samples::rollout(Some(status)), "ourtarget0"), over(expected), "{outcome}");
        }
        let stepping = json!({ "phase": "Progressing", "course": "Stepping" });
        assert_eq!(end(&samples::rollout(Some(stepping)), "ourtarget0"), over(Outcome::Superseded));
        let returning = json!({ "phase": "Progressing", "course": "Returning" });
        assert_eq!(end(&samples::rollout(Some(returning)), "ourtarget0"), Waited::Continues);
    }

    #[test]
    fn an_unseen_file_is_not_the_end() {
        let mut sample = samples::healthy();
        sample.rollout.metadata.generation = Some(6);
        assert_eq!(waited(&sample.rollout, "b7d0c41hze"), Waited::Continues);
    }

    #[test]
    fn a_failed_first_deploy_is_an_error() {
        let mut sample = samples::first_deploy();
        sample.rollout.status.as_mut().unwrap().phase = Some(Phase::Degraded);
        assert_eq!(end(&sample.rollout, CANARY), Waited::Failed(String::new()));
    }
}
