//! Which commands make sense now. The engine is asked whether it would accept them: no rule of it is repeated here.

use jiff::Timestamp;
use serde::Serialize;

use super::{place::Place, waits::WaitsFor};
use crate::{
    api::{
        Rollout, RolloutStatus,
        command::{CommandState, RolloutCommandSpec, Verb},
    },
    engine::{self, Input, RevisionSeen, Seen, TemplateSeen, items::Item},
};

/// What a user can do now, named after its effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Offer {
    /// Roll back.
    Abort,
    /// Start a new attempt at step 1.
    NewAttempt,
    /// Continue in spite of a hold.
    ContinueAnyway,
    /// End a pause by command.
    Resume,
    /// End the wait of a step.
    EndWait,
    /// Approve a gate.
    Approve,
    /// End a pause of the steps.
    Continue,
    /// Return to the revision before.
    GoBack,
    /// Release another image.
    Release,
    /// Read why there is nothing else to do.
    Why,
}

impl Offer {
    /// The effect, in a word or two.
    pub const fn effect(self) -> &'static str {
        match self {
            Offer::Abort => "abort",
            Offer::NewAttempt => "new attempt",
            Offer::ContinueAnyway => "continue anyway",
            Offer::Resume => "resume",
            Offer::EndWait => "end this wait",
            Offer::Approve => "approve",
            Offer::Continue => "continue",
            Offer::GoBack => "go back",
            Offer::Release => "release",
            Offer::Why => "why",
        }
    }

    /// The verb of the command; `None` where it is none.
    pub const fn verb(self) -> Option<Verb> {
        match self {
            Offer::Abort => Some(Verb::Abort),
            Offer::NewAttempt => Some(Verb::Retry),
            Offer::ContinueAnyway | Offer::EndWait | Offer::Approve | Offer::Continue => Some(Verb::Promote),
            Offer::Resume => Some(Verb::Resume),
            Offer::GoBack => Some(Verb::Undo),
            Offer::Release | Offer::Why => None,
        }
    }
}

/// What can be done at this place.
pub fn offers(rollout: &Rollout, place: &Place, waits_for: &WaitsFor, now: Timestamp) -> Vec<Offer> {
    let mut offers = sensible(place, waits_for);
    offers.retain(|offer| offer.verb().is_some_and(|verb| is_accepted(rollout, verb, now)));
    match place {
        Place::Idle { .. } if offers.is_empty() => offers.push(Offer::Release),
        Place::Promoting(_) if offers.is_empty() => offers.push(Offer::Why),
        Place::Returning | Place::Aborted | Place::ControlKept => offers.push(Offer::Why),
        _ => {}
    }
    offers
}

fn sensible(place: &Place, waits_for: &WaitsFor) -> Vec<Offer> {
    match place {
        Place::Unseen { .. } | Place::FirstDeploy { .. } | Place::Returning => vec![],
        Place::Idle { .. } => vec![Offer::GoBack],
        Place::Held(_) => vec![Offer::Abort, Offer::NewAttempt, Offer::ContinueAnyway],
        Place::Paused { .. } => vec![Offer::Abort, Offer::Resume],
        Place::Step { item: Item::Ramp { .. }, .. } => vec![Offer::Abort, Offer::EndWait],
        Place::Step { .. } => match waits_for {
            WaitsFor::Approval { .. } => vec![Offer::Abort, Offer::Approve],
            WaitsFor::Promote | WaitsFor::Time => vec![Offer::Abort, Offer::Continue],
            WaitsFor::Gate { .. } => vec![Offer::Abort, Offer::EndWait],
            waits_for if waits_for.is_verdict() => vec![Offer::Abort, Offer::EndWait],
            _ => vec![Offer::Abort],
        },
        Place::StepsDone | Place::Promoting(_) => vec![Offer::Abort],
        Place::Aborted | Place::ControlKept => vec![Offer::NewAttempt],
    }
}

/// Whether the engine would accept the command, were it given now.
fn is_accepted(rollout: &Rollout, verb: Verb, now: Timestamp) -> bool {
    let Some(status) = &rollout.status else { return false };
    let seen = assumed(status);
    let input = Input {
        name: "",
        uid: "",
        generation: rollout.metadata.generation,
        deleting: false,
        skip_hand_back: false,
        spec: &rollout.spec,
        status,
        seen: &seen,
        now,
    };
    engine::answer_to(&input, &meant(rollout, verb)).0 == CommandState::Done
}

/// What cannot be read from the object: it is taken for granted that promoted revisions are kept.
fn assumed(status: &RolloutStatus) -> Seen {
    let kept = status.promoted.iter().map(|promoted| RevisionSeen {
        id: promoted.id.clone(),
        number: promoted.number,
        ..RevisionSeen::default()
    });
    let current = status.current_revision.clone().unwrap_or_default();
    Seen {
        template: Some(TemplateSeen { id: current.id, ..TemplateSeen::default() }),
        replicas: status.desired_replicas,
        revisions: kept.collect(),
        ..Seen::default()
    }
}

/// What a command means at this moment: which revision, and for promote which attempt and step (rule S80).
pub fn meant(rollout: &Rollout, verb: Verb) -> RolloutCommandSpec {
    let empty = RolloutStatus::default();
    let status = rollout.status.as_ref().unwrap_or(&empty);
    let promote = verb == Verb::Promote;
    let steps = rollout.spec.strategy.steps();
    let in_ramp = steps.get(status.step_index as usize).is_some_and(|step| step.ramp.is_some());
    RolloutCommandSpec {
        rollout: rollout.metadata.name.clone().unwrap_or_default(),
        verb,
        revision: status.current_revision.as_ref().map(|revision| revision.id.clone()),
        attempt: promote.then_some(status.attempt),
        step: promote.then_some(status.step_index),
        sub_step: (promote && in_ramp).then_some(status.sub_step()),
        stage: status.stage().filter(|_| promote),
        full: false,
        to_step: None,
        to_revision: None,
        reason: None,
        requested_by: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        engine::{Action, CommandSeen, step},
        view::samples,
    };

    /// What one tick of the engine answers to the command.
    fn answered(rollout: &Rollout, verb: Verb) -> (CommandState, String) {
        let status = rollout.status.as_ref().unwrap();
        let spec = meant(rollout, verb);
        let command = CommandSeen { uid: "c-9".into(), name: "given".into(), created: samples::NOW, spec };
        let seen = Seen { commands: vec![command], ..assumed(status) };
        let input = Input {
            name: "checkout",
            uid: "u-1",
            generation: rollout.metadata.generation,
            deleting: false,
            skip_hand_back: false,
            spec: &rollout.spec,
            status,
            seen: &seen,
            now: samples::NOW,
        };
        let answer = step(&input).actions.into_iter().find_map(|action| match action {
            Action::AnswerCommand { name, state, message } if name == "given" => Some((state, message)),
            _ => None,
        });
        answer.unwrap_or_else(|| panic!("{verb:?} has no answer"))
    }

    fn offered(rollout: &Rollout) -> Vec<Offer> {
        let place = Place::of(rollout);
        let waits_for = WaitsFor::of(&place, rollout.status.as_ref().unwrap_or(&RolloutStatus::default()));
        offers(rollout, &place, &waits_for, samples::NOW)
    }

    #[test]
    fn what_is_offered_is_accepted_by_a_tick_of_the_engine() {
        let mut told = 0;
        for (name, sample) in samples::all() {
            for verb in offered(&sample.rollout).into_iter().filter_map(Offer::verb) {
                let (state, message) = answered(&sample.rollout, verb);
                assert_eq!(state, CommandState::Done, "{name}: {verb:?}: {message}");
                told += 1;
            }
        }
        assert!(told > 20, "{told}");
    }

    #[test]
    fn a_ramp_that_moves_offers_no_end_of_a_wait_and_a_file_that_pauses_no_resume() {
        let mut ramp = samples::many_steps().rollout;
        assert_eq!(offered(&ramp), [Offer::Abort, Offer::EndWait]);
        ramp.status.as_mut().unwrap().state.stepping_mut().unwrap().sub_step = 2;
        assert_eq!(offered(&ramp), [Offer::Abort]);
        let mut held = samples::held().rollout;
        held.spec.paused = true;
        assert_eq!(offered(&held), [Offer::Abort, Offer::NewAttempt], "a promote is refused while the file pauses");
    }

    #[test]
    fn a_switch_by_service_can_be_reverted_and_a_stable_target_that_moves_cannot() {
        let mut promoting = samples::promoting().rollout;
        assert_eq!(offered(&promoting), [Offer::Why]);
        promoting.spec.traffic = vec![];
        promoting.spec.strategy =
            serde_json::from_value(serde_json::json!({ "blueGreen": { "activeService": "checkout" } })).unwrap();
        assert_eq!(offered(&promoting), [Offer::Abort]);
    }
}
