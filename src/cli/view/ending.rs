//! Whether a rollout has ended for a waiting command, and with which exit code.

use crate::{
    api::{
        Rollout, RolloutStatus,
        status::{Course, Outcome, Phase},
        strategy::Step,
    },
    cli::exit::Exit,
    view::{
        phrases::{self, Place},
        revision::Role,
    },
};

/// What a waiting command needs to know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Waited {
    /// It continues automatically.
    GoesOn,
    /// It waits for an operator; the text says how to proceed.
    Human(String),
    /// It is over.
    Over(Exit, String),
}

/// The state of the release of revision `target` (the current one when the wait began).
pub fn waited(rollout: &Rollout, target: &str) -> Waited {
    let Some(status) = rollout.status.as_ref().filter(|_| phrases::is_seen(rollout)) else { return Waited::GoesOn };
    let Some(current) = &status.current_revision else { return Waited::GoesOn };
    if current.id != target {
        return other_revision(rollout, target);
    }
    let number = phrases::number(Some(current));
    match (status.course(), status.phase) {
        (Course::Idle, Some(Phase::Healthy)) if Role::of(target, status) == Role::Stable => {
            Waited::Over(Exit::Done, format!("{number} is stable and receives 100 % of traffic"))
        }
        // The decision is recorded a moment before the routes are written.
        (Course::Aborted | Course::ControlKept, _) if !is_back(rollout, status) => Waited::GoesOn,
        (Course::ControlKept, _) => Waited::Over(Exit::KeptControl, status.message.clone()),
        (Course::Aborted, _) => {
            // The engine's message starts with the same text.
            let why = status.message.strip_prefix(&format!("revision {number} was rolled back: "));
            Waited::Over(Exit::RolledBack, format!("{number} was rolled back: {}", why.unwrap_or(&status.message)))
        }
        (Course::FirstDeploy, Some(Phase::Degraded)) => {
            Waited::Over(Exit::Failed, format!("the first deploy failed: {}", status.message))
        }
        _ => human(rollout).map_or(Waited::GoesOn, Waited::Human),
    }
}

/// Whether no traffic goes to the canary any more. Without routes the pods are the split, and they may be kept.
fn is_back(rollout: &Rollout, status: &RolloutStatus) -> bool {
    let away = status.weights.accepted.is_none_or(|accepted| accepted.is_zero());
    status.weights.desired.is_zero() && (away || rollout.spec.traffic.is_empty())
}

/// Another revision is desired now: the outcome of ours is in the history.
fn other_revision(rollout: &Rollout, target: &str) -> Waited {
    let Some(status) = &rollout.status else { return Waited::GoesOn };
    let entry = status.history.iter().find(|entry| entry.revision.id == target);
    if let Some(entry) = entry {
        let number = entry.revision.number;
        let words = phrases::outcome_words(entry.outcome);
        let exit = match entry.outcome {
            Outcome::Promoted | Outcome::FastPromoted => Exit::Done,
            Outcome::Aborted | Outcome::RolledBack => Exit::RolledBack,
            Outcome::Superseded => Exit::Superseded,
            Outcome::KeptControl => Exit::KeptControl,
        };
        return Waited::Over(exit, format!("#{number} was {words}: {}", entry.reason));
    }
    match status.course() {
        Course::Returning => Waited::GoesOn,
        Course::Idle => Waited::Over(Exit::RolledBack, "the spec returned to the stable version".into()),
        _ => {
            let newer = phrases::number(status.current_revision.as_ref());
            Waited::Over(Exit::Superseded, format!("superseded by {newer}"))
        }
    }
}

/// Waits without an end, which only an operator can end.
fn human(rollout: &Rollout) -> Option<String> {
    let name = rollout.metadata.name.as_deref().unwrap_or_default().to_owned() + &phrases::option(rollout);
    match phrases::place(rollout) {
        Place::Held(held) => Some(format!(
            "held: {}; decide with 'glidepath promote {name}', 'glidepath abort {name}' or 'glidepath retry {name}'",
            held.message
        )),
        Place::Paused { in_file: true } => Some("paused by spec.paused; set it to false".into()),
        Place::Paused { in_file: false } => Some(format!("paused by command; use 'glidepath resume {name}'")),
        Place::Step(step) if step.pause.as_ref().is_some_and(|pause| pause.duration.is_none()) => {
            Some(format!("at a pause until an operator promotes: 'glidepath promote {name}'"))
        }
        Place::Step(Step { gate: Some(gate), .. }) if gate.is_approval() => {
            Some(format!("waits for approval {}: 'glidepath promote {name}'", gate.name))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::view::samples;
    use serde_json::json;

    const CANARY: &str = "k3v9x2m1qa";

    fn exit(rollout: &Rollout, target: &str) -> Option<Exit> {
        match waited(rollout, target) {
            Waited::GoesOn => None,
            Waited::Human(_) => Some(Exit::WaitsForHuman),
            Waited::Over(exit, _) => Some(exit),
        }
    }

    #[test]
    fn an_abort_is_over_when_the_traffic_is_back() {
        let tenth = crate::api::Percent::whole(10);
        for (desired, accepted, mesh, over) in [
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
            let wanted = over.then_some(Exit::RolledBack);
            assert_eq!(exit(&rollout, CANARY), wanted, "{desired} {accepted:?} {mesh}");
        }
    }

    #[test]
    fn every_place_has_its_exit_code() {
        for (name, sample, expected) in [
            ("observing", samples::observing(), None),
            ("promoting", samples::promoting(), None),
            ("first deploy", samples::first_deploy(), None),
            ("held", samples::held(), Some(Exit::WaitsForHuman)),
            ("pause", samples::at_pause(), Some(Exit::WaitsForHuman)),
            ("approval", samples::at_gate(json!({"name": "a", "approval": true})), Some(Exit::WaitsForHuman)),
            ("gate", samples::at_gate(json!({"name": "a", "url": "https://gate"})), None),
            ("aborted", samples::aborted(), Some(Exit::RolledBack)),
        ] {
            assert_eq!(exit(&sample.rollout, CANARY), expected, "{name}");
        }
        assert_eq!(exit(&samples::healthy().rollout, "b7d0c41hze"), Some(Exit::Done));
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
            ("Promoted", Exit::Done),
            ("Aborted", Exit::RolledBack),
            ("RolledBack", Exit::RolledBack),
            ("Superseded", Exit::Superseded),
        ] {
            let status = json!({ "phase": "Progressing", "course": "Stepping", "history": history(outcome) });
            assert_eq!(exit(&samples::rollout(Some(status)), "ourtarget0"), Some(expected), "{outcome}");
        }
        let stepping = json!({ "phase": "Progressing", "course": "Stepping" });
        assert_eq!(exit(&samples::rollout(Some(stepping)), "ourtarget0"), Some(Exit::Superseded));
        let returning = json!({ "phase": "Progressing", "course": "Returning" });
        assert_eq!(exit(&samples::rollout(Some(returning)), "ourtarget0"), None);
    }

    #[test]
    fn an_unseen_file_is_not_the_end() {
        let mut sample = samples::healthy();
        sample.rollout.metadata.generation = Some(6);
        assert_eq!(waited(&sample.rollout, "b7d0c41hze"), Waited::GoesOn);
    }

    #[test]
    fn a_failed_first_deploy_is_an_error() {
        let mut sample = samples::first_deploy();
        sample.rollout.status.as_mut().unwrap().phase = Some(Phase::Degraded);
        assert_eq!(exit(&sample.rollout, CANARY), Some(Exit::Failed));
    }
}
