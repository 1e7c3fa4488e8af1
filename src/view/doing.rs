//! What a Rollout does right now, in a phrase.

use super::{
    pause::{self, Pause},
    phrases::{self, short},
    place::Place,
    situation::Situation,
    step::{self, ramp_end, ramp_position},
};
use crate::{api::Rollout, engine::items::Item};

/// What it does, without how long: it changes only when something happens.
pub fn doing(situation: &Situation) -> String {
    parts(situation).0
}

/// What it does and for how long.
pub fn doing_so_far(situation: &Situation) -> String {
    let (what, time) = parts(situation);
    what + &time
}

/// What a list says of it: the engine's message, but of a pause who paused it and why.
pub fn in_a_list(rollout: &Rollout) -> String {
    let place = Place::of(rollout);
    if let Place::Unseen { class } = &place {
        return phrases::unseen(class.as_deref());
    }
    if let Some(pause) = Pause::of(rollout).filter(|_| matches!(place, Place::Paused { .. })) {
        return pause.words();
    }
    let message = rollout.status.as_ref().map(|status| status.message.as_str()).filter(|message| !message.is_empty());
    let parts: Vec<String> = message.map(str::to_owned).into_iter().chain(pause::aside(rollout, &place)).collect();
    parts.join("; ")
}

fn parts(situation: &Situation) -> (String, String) {
    let stable = phrases::number(situation.stable.as_ref());
    let what = match &situation.place {
        Place::Unseen { class } => phrases::unseen(class.as_deref()),
        Place::FirstDeploy { available, desired } => format!("first deploy: {available} of {desired} pods available"),
        Place::Idle { .. } => format!("{stable} receives 100 % of traffic"),
        Place::Held(_) => return ("held".into(), format!(" for {}", short(situation.elapsed))),
        Place::Paused { in_spec } => {
            let pause = if *in_spec { Pause::InSpec } else { Pause::ByCommand(situation.paused.clone()) };
            return (pause.words(), format!(" ({})", short(situation.elapsed)));
        }
        Place::Step { item, sub_step } => return of_step(item, *sub_step, situation),
        Place::StepsDone => "all steps done".into(),
        Place::Promoting(stage) => phrases::stage(*stage).into(),
        Place::Returning => format!("returning to {stable}"),
        Place::Aborted => rolled_back(situation, &stable),
        Place::ControlKept => format!("{stable} stays after the test"),
    };
    (what, String::new())
}

/// Where a rollback went back to, and how far the release was.
fn rolled_back(situation: &Situation, stable: &str) -> String {
    match situation.ended.as_ref().and_then(|ended| ended.step) {
        Some(step) if step.all_complete => format!("rolled back to {stable} in the promotion"),
        Some(step) => format!("rolled back to {stable} at step {step}"),
        None => format!("rolled back to {stable}"),
    }
}

fn of_step(item: &Item, sub_step: u32, situation: &Situation) -> (String, String) {
    let (spent, weight) = (short(situation.elapsed), situation.weight);
    let at = if weight.is_zero() { String::new() } else { format!(" at {weight}") };
    match item {
        Item::Observe { at_least, .. } => {
            let least = at_least.signed();
            let least = if least.is_zero() { String::new() } else { format!(" of at least {}", short(least)) };
            (format!("observing at {weight}"), format!(" ({spent}{least})"))
        }
        Item::Pause(Some(duration)) => (format!("pausing{at}"), format!(" ({spent} of {})", short(duration.signed()))),
        Item::Pause(None) => (format!("waits{at} until an operator promotes"), format!(" ({spent})")),
        Item::Gate(gate) => {
            let who = if gate.is_approval() { "someone approves" } else { "a gate approves" };
            (format!("waits{at} until {who}: {}", gate.name), format!(" ({spent})"))
        }
        Item::Ramp { weights, .. } => {
            let (done, all) = ramp_position(item, sub_step).unwrap_or_default();
            (format!("ramp to {}: at {weight}, {done} of {all}", ramp_end(weights)), String::new())
        }
        Item::Decide(decide) => {
            let most = short(decide.at_most.signed());
            let users =
                if weight.is_zero() { "with matching users".into() } else { format!("with {weight} of the users") };
            (format!("A/B test {users}"), format!(" ({spent} of at most {most})"))
        }
        Item::Analysis(_) => (format!("{} at {weight}", step::phrase(item)), format!(" ({spent})")),
        Item::SetCanaryScale(_) => (step::phrase(item), String::new()),
        Item::SetWeight(weight) => (format!("moving to {weight}"), String::new()),
        Item::HeaderRoute(_) | Item::MirrorRoute(_) => (format!("moving to {weight}"), String::new()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::view::samples;

    /// The step of `paused_by_command` has a wait of its own, which the engine's message is about.
    #[test]
    fn a_list_and_the_screen_say_the_same_of_a_pause() {
        for in_spec in [false, true] {
            let mut rollout = samples::paused_by_command().rollout;
            rollout.spec.paused = in_spec;
            rollout.status.as_mut().unwrap().message = "paused by its steps until an operator promotes".into();
            let screen = doing(&Situation::of(&rollout, samples::NOW));
            assert_eq!(in_a_list(&rollout), screen);
        }
        let mut idle = samples::healthy().rollout;
        assert_eq!(in_a_list(&idle), "revision 41 is stable");
        idle.spec.paused = true;
        let wanted = "revision 41 is stable; paused by spec.paused; the next release waits until spec.paused is false";
        assert_eq!(in_a_list(&idle), wanted);
    }
}
