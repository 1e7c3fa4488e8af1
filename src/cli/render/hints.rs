//! What to type next on the command line.

use crate::{
    api::{LOCAL_OPTION, Rollout},
    view::{commands::Offer, situation::Situation, waits::WaitsFor},
};

/// The commands that are possible now: the effect, and what to type.
pub fn commands(rollout: &Rollout, situation: &Situation) -> Vec<(Offer, String)> {
    let name = name(rollout);
    let typed = |offer: &Offer| match (offer, offer.verb()) {
        (_, Some(verb)) => format!("glidepath {} {name}", verb.as_str()),
        (Offer::Release, None) => {
            format!("glidepath set image {} CONTAINER=IMAGE{}", situation.name, option(rollout))
        }
        (_, None) => format!("glidepath explain {name}"),
    };
    situation.offers.iter().map(|offer| (*offer, typed(offer))).collect()
}

/// What an operator is waited for to do.
pub fn for_operator(rollout: &Rollout, waits_for: &WaitsFor) -> String {
    let name = name(rollout);
    match waits_for {
        WaitsFor::Decision { message } => format!(
            "held: {message}; decide with 'glidepath promote {name}', 'glidepath abort {name}' or 'glidepath retry {name}'"
        ),
        WaitsFor::SpecUnpaused => "paused by spec.paused; set it to false".into(),
        WaitsFor::Resume => format!("paused by command; use 'glidepath resume {name}'"),
        WaitsFor::Approval { gate } => format!("waits for approval {gate}: 'glidepath promote {name}'"),
        _ => format!("at a pause until an operator promotes: 'glidepath promote {name}'"),
    }
}

/// How a command on this Rollout ends: its name, and the option that leads to it when it is a local one.
fn name(rollout: &Rollout) -> String {
    rollout.metadata.name.clone().unwrap_or_default() + &option(rollout)
}

fn option(rollout: &Rollout) -> String {
    let annotations = rollout.metadata.annotations.as_ref();
    annotations.and_then(|all| all.get(LOCAL_OPTION)).map(|option| format!(" {option}")).unwrap_or_default()
}
