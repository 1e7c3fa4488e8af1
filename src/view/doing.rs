//! What a Rollout does right now, in a phrase.

use super::{
    phrases::{self, short},
    place::Place,
    situation::Situation,
    step::{self, ramp_end, ramp_position},
};
use crate::engine::items::Item;

/// What it does, without how long: it changes only when something happens.
pub fn doing(situation: &Situation) -> String {
    parts(situation).0
}

/// What it does and for how long.
pub fn doing_so_far(situation: &Situation) -> String {
    let (what, time) = parts(situation);
    what + &time
}

fn parts(situation: &Situation) -> (String, String) {
    let stable = phrases::number(situation.stable.as_ref());
    let what = match &situation.place {
        Place::Unseen { class } => phrases::unseen(class.as_deref()),
        Place::FirstDeploy { available, desired } => format!("first deploy: {available} of {desired} pods available"),
        Place::Idle { .. } => format!("{stable} receives 100 % of traffic"),
        Place::Held(_) => return ("held".into(), format!(" for {}", short(situation.elapsed))),
        Place::Paused { in_spec } => return (paused(*in_spec, situation), format!(" ({})", short(situation.elapsed))),
        Place::Step { item, sub_step } => return of_step(item, *sub_step, situation),
        Place::StepsDone => "all steps done".into(),
        Place::Promoting(stage) => phrases::stage(*stage).into(),
        Place::Returning => format!("returning to {stable}"),
        Place::Aborted => rolled_back(situation, &stable),
        Place::ControlKept => format!("{stable} stays after the test"),
    };
    (what, String::new())
}

/// Who paused it, and why.
fn paused(in_spec: bool, situation: &Situation) -> String {
    match &situation.paused {
        _ if in_spec => "paused by spec.paused".into(),
        Some(act) if act.by.is_some() => {
            let why = act.why.as_ref().map(|why| format!(": {why}")).unwrap_or_default();
            format!("paused{}{why}", act.by())
        }
        _ => "paused by command".into(),
    }
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
