//! Deletion gives everything back as it was found, step by step, bounded in time (rule S40).

use crate::api::{common::HumanDuration, status::Phase};

use super::{
    decision::{Action, HandBack},
    draft::Draft,
};

/// After this long the objects are given back even if the Deployment's pods are not there yet.
const LONGEST: HumanDuration = HumanDuration::secs(600);

/// One tick of a deletion.
pub fn hand_back(draft: &mut Draft<'_>) {
    let now = draft.now();
    let since = *draft.status.memory.deleting_since.get_or_insert(now);
    draft.say(Phase::Progressing, "Deleting", "handing traffic and workload back");
    if draft.input.skip_hand_back {
        return draft.ask(Action::HandBack(HandBack::Finalizer));
    }
    let until = LONGEST.after(since);
    if waits_for_workload(draft) && until > now {
        draft.ask(Action::HandBack(HandBack::Workload));
        draft.wait("HandBack", "waiting for the Deployment's own pods before traffic is given back", Some(until));
        return;
    }
    draft.ask(Action::HandBack(HandBack::Objects));
    draft.ask(Action::HandBack(HandBack::Finalizer));
}

/// The Deployment serves again before our pods lose their traffic.
fn waits_for_workload(draft: &Draft<'_>) -> bool {
    let replicas = draft.replicas();
    let workload = draft.input.seen.workload.as_ref().filter(|_| draft.status.stable_revision.is_some());
    workload.is_some_and(|workload| workload.paused || workload.wanted < replicas || workload.available < replicas)
}
