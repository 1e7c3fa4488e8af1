//! Which commands make sense now. The engine is asked whether it would accept them: no rule of it is repeated here.

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::Serialize;

use super::{pause, place::Place, waits::WaitsFor};
use crate::{
    api::{
        Rollout, RolloutStatus,
        command::{CommandState, RolloutCommandSpec, Verb},
    },
    engine::{self, Input, RevisionSeen, Seen, TemplateSeen, items::Item},
};

/// A command that makes sense now.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Offer {
    /// Its effect, in a word or two.
    pub effect: &'static str,
    /// Its verb.
    pub verb: Verb,
}

/// What can be done at this place.
pub fn offers(rollout: &Rollout, place: &Place, waits_for: &WaitsFor, now: Timestamp) -> Vec<Offer> {
    let mut offers = sensible(place, waits_for);
    let is_aside = pause::aside(rollout, place).is_some();
    offers.extend(is_aside.then_some(Offer { effect: "resume", verb: Verb::Resume }));
    offers.retain(|offer| is_accepted(rollout, offer.verb, now));
    offers
}

fn sensible(place: &Place, waits_for: &WaitsFor) -> Vec<Offer> {
    let offer = |effect, verb| Offer { effect, verb };
    let (abort, retry) = (offer("abort", Verb::Abort), offer("new attempt", Verb::Retry));
    let promote = |effect| vec![abort, offer(effect, Verb::Promote)];
    match (place, waits_for) {
        (Place::Unseen { .. } | Place::FirstDeploy { .. } | Place::Returning, _) => vec![],
        (Place::Idle { .. }, _) => vec![offer("go back", Verb::Undo)],
        (Place::Aborted | Place::ControlKept, _) => vec![retry],
        (_, WaitsFor::Decision) => vec![abort, retry, offer("continue anyway", Verb::Promote)],
        (_, WaitsFor::SpecUnpaused | WaitsFor::Resume) => vec![abort, offer("resume", Verb::Resume)],
        (_, WaitsFor::Approval(_)) => promote("approve"),
        (_, WaitsFor::Promote | WaitsFor::Time) => promote("continue"),
        (Place::Step { item: Item::Ramp { .. }, .. }, _) | (_, WaitsFor::Gate(_)) => promote("end this wait"),
        (_, waits_for) if waits_for.is_verdict() => promote("end this wait"),
        _ => vec![abort],
    }
}

/// Whether the engine would accept the command, were it given now.
fn is_accepted(rollout: &Rollout, verb: Verb, now: Timestamp) -> bool {
    let Some(status) = &rollout.status else { return false };
    let seen = assumed(status);
    engine::answer_to(&input(rollout, status, &seen, now), &meant(rollout, verb)).0 == CommandState::Done
}

/// What the engine is asked about.
fn input<'a>(rollout: &'a Rollout, status: &'a RolloutStatus, seen: &'a Seen, now: Timestamp) -> Input<'a> {
    Input {
        name: rollout.metadata.name.as_deref().unwrap_or_default(),
        uid: "",
        generation: rollout.metadata.generation,
        deleting: false,
        skip_hand_back: false,
        spec: &rollout.spec,
        status,
        seen,
        now,
    }
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
        revision: status.current_revision.as_ref().map(|revision| revision.id.clone()),
        attempt: promote.then_some(status.attempt),
        step: promote.then_some(status.step_index),
        sub_step: (promote && in_ramp).then_some(status.sub_step()),
        stage: status.stage().filter(|_| promote),
        ..RolloutCommandSpec::of(rollout.metadata.name.as_deref().unwrap_or_default(), verb)
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
        let answer =
            step(&input(rollout, status, &seen, samples::NOW)).actions.into_iter().find_map(|action| match action {
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
        let mut offers = 0;
        for (name, sample) in samples::all() {
            for (in_spec, by_command) in [(false, false), (true, false), (false, true)] {
                let mut rollout = sample.rollout.clone();
                rollout.spec.paused = in_spec;
                rollout.status.iter_mut().for_each(|status| status.paused_by_command |= by_command);
                for Offer { verb, .. } in offered(&rollout) {
                    let (state, message) = answered(&rollout, verb);
                    assert_eq!(state, CommandState::Done, "{name}: {verb:?}: {message}");
                    offers += 1;
                }
            }
        }
        assert!(offers > 60, "{offers}");
    }

    /// A `resume` where no command has paused is no error, but no answer either.
    #[test]
    fn a_resume_of_a_pause_by_the_steps_says_what_to_type() {
        let said = |rollout: &Rollout| answered(rollout, Verb::Resume);
        let approval = samples::at_gate(serde_json::json!({ "name": "release-manager", "approval": true }));
        for (sample, waits) in [
            (samples::at_pause(), "the step waits for an operator"),
            (approval, "the step waits for an approval"),
            (samples::held(), "the release is held for an operator"),
        ] {
            let wanted = format!("not paused by command; {waits}: 'glidepath promote checkout'");
            assert_eq!(said(&sample.rollout), (CommandState::Done, wanted));
        }
        assert_eq!(said(&samples::observing().rollout).1, "not paused");
        assert_eq!(said(&samples::paused_by_command().rollout).1, "resumed");
    }

    #[test]
    fn a_pause_while_nothing_is_in_progress_can_be_lifted() {
        let mut idle = samples::healthy().rollout;
        let offers_resume = |rollout: &Rollout| offered(rollout).iter().any(|offer| offer.verb == Verb::Resume);
        assert!(!offers_resume(&idle));
        idle.status.as_mut().unwrap().paused_by_command = true;
        assert!(offers_resume(&idle));
        idle.spec.paused = true;
        assert!(!offers_resume(&idle), "only an edit of the spec lifts it");
    }

    #[test]
    fn what_the_engine_would_refuse_is_not_offered() {
        let verbs = |rollout: &Rollout| offered(rollout).into_iter().map(|offer| offer.verb).collect::<Vec<_>>();
        let mut ramp = samples::many_steps().rollout;
        assert_eq!(verbs(&ramp), [Verb::Abort, Verb::Promote]);
        ramp.status.as_mut().unwrap().state.stepping_mut().unwrap().sub_step = 2;
        assert_eq!(verbs(&ramp), [Verb::Abort], "traffic moves, so there is no wait to end");
        let mut held = samples::held().rollout;
        held.spec.paused = true;
        assert_eq!(verbs(&held), [Verb::Abort, Verb::Retry], "the spec pauses");
        let mut promoting = samples::promoting().rollout;
        assert_eq!(verbs(&promoting), [], "the stable target moves");
        promoting.spec.traffic = vec![];
        promoting.spec.strategy =
            serde_json::from_value(serde_json::json!({ "blueGreen": { "activeService": "checkout" } })).unwrap();
        assert_eq!(verbs(&promoting), [Verb::Abort], "a switch by Service can be reverted");
    }
}
