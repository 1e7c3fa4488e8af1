//! Deletion gives everything back as it was found, step by step, bounded in time (rule S40).

use crate::api::{common::HumanDuration, status::Phase};

use super::{
    decision::{Action, HandBack},
    draft::{Draft, Split},
    input::RouteSeen,
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
    if waits_for_others(draft) && until > now {
        draft.wait("HandBack", "waiting for the pods that callers do not reach to go before they could", Some(until));
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

/// Once the Services select all pods again they would select these too: a preview that nobody has judged, or a version whose
/// traffic has gone. They go first.
fn waits_for_others(draft: &mut Draft<'_>) -> bool {
    if draft.input.seen.workload.is_none() || !only_stable_is_reached(draft) {
        return false;
    }
    let stable = draft.stable_id();
    let seen = &draft.input.seen.revisions;
    let others: Vec<String> = seen
        .iter()
        .filter(|revision| Some(&revision.id) != stable.as_ref() && (revision.wanted > 0 || revision.pods > 0))
        .map(|revision| revision.id.clone())
        .collect();
    others.iter().for_each(|id| draft.ask_replicas(id, 0));
    !others.is_empty()
}

fn only_stable_is_reached(draft: &Draft<'_>) -> bool {
    let seen = &draft.input.seen;
    let pinned = seen.stable_target.as_ref().and_then(|target| target.revision.clone());
    if pinned.is_none() || pinned != draft.stable_id() {
        return false;
    }
    match draft.split() {
        Split::Switch => true,
        Split::Routes => seen.route.as_ref().is_some_and(RouteSeen::leads_to_stable_alone),
        // The ratio of their pods is the users' share by design.
        Split::Ratio => false,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::{
        api::{Percent, RolloutSpec, RolloutStatus},
        engine::{
            Input,
            input::{RevisionSeen, Seen, TargetSeen, WorkloadSeen},
            step,
        },
    };

    fn spec(routes: bool, blue_green: bool) -> RolloutSpec {
        let strategy = if blue_green { json!({"blueGreen": {"activeService": "web"}}) } else { json!({"canary": {}}) };
        let traffic = if routes { json!([{"istio": {"virtualServices": [{"name": "web"}]}}]) } else { json!([]) };
        serde_json::from_value(json!({"replicas": 4, "strategy": strategy, "traffic": traffic})).unwrap()
    }

    /// The Deployment serves again; v1 is stable, v2 still has this many pods, `pinned` is what callers reach.
    fn seen(pods: u32, pinned: &str, weight: u8) -> Seen {
        let revision =
            |id: &str, pods: u32| RevisionSeen { id: id.into(), wanted: pods, pods, ..RevisionSeen::default() };
        Seen {
            replicas: 4,
            revisions: vec![revision("v1", 4), revision("v2", pods)],
            stable_target: Some(TargetSeen { revision: Some(pinned.into()), endpoints: None }),
            route: Some(RouteSeen { weight: Some(Percent::whole(weight.into())), ..RouteSeen::default() }),
            workload: Some(WorkloadSeen { wanted: 4, pods: 4, available: 4, paused: false }),
            ..Seen::default()
        }
    }

    #[test]
    fn s40_pods_that_nobody_reaches_go_before_the_services_select_them() {
        for (routes, blue_green, pods, pinned, weight, waits) in [
            (false, true, 2, "v1", 0, true),
            (false, true, 0, "v1", 0, false),
            (false, true, 4, "v2", 0, false), // switched already: callers are on it
            (true, true, 2, "v1", 0, true),
            (true, false, 1, "v1", 25, false), // they have its traffic to answer
            (false, false, 1, "v1", 0, false), // the ratio of pods is the users' share
        ] {
            let status: RolloutStatus =
                serde_json::from_value(json!({"stableRevision": {"id": "v1", "number": 1}})).unwrap();
            let decision = step(&Input {
                name: "web",
                uid: "uid",
                generation: Some(1),
                deleting: true,
                skip_hand_back: false,
                spec: &spec(routes, blue_green),
                status: &status,
                seen: &seen(pods, pinned, weight),
                now: jiff::Timestamp::UNIX_EPOCH,
            });
            let case = format!("{routes} {blue_green} {pinned} {weight}: {:?}", decision.actions);
            let returned = decision.actions.contains(&Action::HandBack(HandBack::Objects));
            let scaled = decision.actions.contains(&Action::EnsureReplicas { id: "v2".into(), replicas: 0 });
            assert_eq!((returned, scaled), (!waits, waits), "{case}");
        }
    }
}
