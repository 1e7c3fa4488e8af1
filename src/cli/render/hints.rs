//! What to type next on the command line.

use crate::{
    api::{LOCAL_OPTION, Rollout},
    cli::{program::program, target},
    view::{commands::Offer, place::Place, situation::Situation, waits::WaitsFor},
};

/// The commands that are possible now: the effect, and what to type.
pub fn commands(rollout: &Rollout, situation: &Situation) -> Vec<(&'static str, String)> {
    let typed = |offer: &Offer| (offer.effect, format!("{} {} {}", program(), offer.verb.as_str(), name(rollout)));
    let mut commands: Vec<_> = situation.offers.iter().map(typed).collect();
    if commands.is_empty() && matches!(situation.place, Place::Idle { .. }) {
        let set = format!("{} set image {} CONTAINER=IMAGE{}", program(), situation.name, option(rollout));
        commands.push(("release", set));
    }
    commands
}

/// Where to read why there is nothing to do, or only another attempt.
pub fn why(rollout: &Rollout, situation: &Situation) -> Option<(&'static str, String)> {
    let is_asked = match situation.place {
        Place::Promoting(_) => situation.offers.is_empty(),
        Place::Returning | Place::Aborted | Place::ControlKept => true,
        _ => false,
    };
    is_asked.then(|| ("why", format!("{} explain {}", program(), name(rollout))))
}

/// How to follow what it does.
pub fn watch(rollout: &Rollout) -> String {
    format!("{} status {} --watch", program(), name(rollout))
}

/// What an operator is waited for to do.
pub fn for_operator(rollout: &Rollout, situation: &Situation) -> String {
    let (program, name) = (program(), name(rollout));
    match (&situation.place, &situation.waits_for) {
        (Place::Held(held), _) => format!(
            "held: {}; decide with '{program} promote {name}', '{program} abort {name}' or '{program} retry {name}'",
            held.message
        ),
        (_, WaitsFor::SpecUnpaused) => "paused by spec.paused; set it to false".into(),
        (_, WaitsFor::Resume) => format!("paused by command; use '{program} resume {name}'"),
        (_, WaitsFor::Approval(gate)) => format!("waits for approval {gate}: '{program} promote {name}'"),
        _ => format!("at a pause until an operator promotes: '{program} promote {name}'"),
    }
}

/// How a command on this Rollout ends: its name, and the options that lead to it.
fn name(rollout: &Rollout) -> String {
    rollout.metadata.name.clone().unwrap_or_default() + &option(rollout)
}

fn option(rollout: &Rollout) -> String {
    let annotations = rollout.metadata.annotations.as_ref();
    target::options(annotations.and_then(|all| all.get(LOCAL_OPTION)).map(String::as_str))
}
