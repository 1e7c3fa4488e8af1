//! Deletion restores everything as it was found, step by step, bounded in time (rule S40).

use crate::api::{common::HumanDuration, reason::Reason, status::Phase};

use super::{
    decision::{Action, Restore},
    draft::{Draft, Split},
    input::RouteSeen,
    wait::Wait,
};

/// After this long the objects are restored even if the Deployment's pods are not available yet.
const LONGEST: HumanDuration = HumanDuration::secs(600);

/// One tick of a deletion.
pub fn walk(draft: &mut Draft<'_>) {
    let now = draft.now();
    let since = *draft.status.memory.deleting_since.get_or_insert(now);
    draft.set_phase(Phase::Progressing, Reason::Deleting, "restoring traffic and workload");
    if draft.input.skip_hand_back {
        return draft.ask(Action::Restore(Restore::Finalizer));
    }
    let until = LONGEST.after(since);
    if waits_for_workload(draft) && until > now {
        if is_held(draft) {
            draft.ask(Action::Restore(Restore::Workload));
        }
        let message = "waiting for the Deployment's own pods before traffic is restored";
        draft.wait(Wait::until(Reason::HandBack, message, Some(until)));
        return;
    }
    if waits_for_others(draft) && until > now {
        let message = "waiting for pods of other revisions to terminate before selectors are restored";
        draft.wait(Wait::until(Reason::HandBack, message, Some(until)));
        return;
    }
    draft.ask(Action::Restore(Restore::Objects));
    draft.ask(Action::Restore(Restore::Finalizer));
}

/// The Deployment serves again before our pods lose their traffic.
fn waits_for_workload(draft: &Draft<'_>) -> bool {
    let replicas = draft.replicas();
    let workload = draft.input.seen.workload.as_ref().filter(|_| draft.status.stable_revision.is_some());
    workload.is_some_and(|workload| workload.paused || workload.wanted < replicas || workload.available < replicas)
}

/// Whether the Deployment is not as it is to be restored: held still, of another size, or with another template than
/// stable's.
fn is_held(draft: &Draft<'_>) -> bool {
    let (workload, template) = (draft.input.seen.workload.as_ref(), draft.input.seen.template.as_ref());
    let other_size = workload.is_some_and(|workload| workload.paused || workload.wanted != draft.replicas());
    // A stable version whose ReplicaSet is lost has no template to restore.
    let stable = draft.stable_id().filter(|id| draft.revision(id).is_some());
    other_size || stable.is_some_and(|stable| template.is_some_and(|template| template.id != stable))
}

/// Once the Services select all pods again they would select these too: a preview that was never judged, or a version whose
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
        api::{Percent, RolloutSpec, RolloutStatus, reason::WakeReason},
        engine::{
            Decision, Input,
            input::{RevisionSeen, Seen, TargetSeen, TemplateSeen, WorkloadSeen},
            step,
        },
    };

    fn spec(routes: bool, blue_green: bool) -> RolloutSpec {
        let strategy = if blue_green { json!({"blueGreen": {"activeService": "web"}}) } else { json!({"canary": {}}) };
        let traffic = if routes { json!([{"istio": {"virtualServices": [{"name": "web"}]}}]) } else { json!([]) };
        serde_json::from_value(json!({"replicas": 4, "strategy": strategy, "traffic": traffic})).unwrap()
    }

    /// The Deployment serves again; v1 is stable, v2 still has this many pods, `pinned` is what clients reach.
    fn seen(pods: u32, pinned: &str, weight: u8) -> Seen {
        let revision =
            |id: &str, pods: u32| RevisionSeen { id: id.into(), wanted: pods, pods, ..RevisionSeen::default() };
        Seen {
            replicas: 4,
            revisions: vec![revision("v1", 4), revision("v2", pods)],
            stable_target: Some(TargetSeen { revision: Some(pinned.into()), endpoints: None, ..TargetSeen::default() }),
            route: Some(RouteSeen { weight: Some(Percent::whole(weight.into())), ..RouteSeen::default() }),
            workload: Some(WorkloadSeen { wanted: 4, pods: 4, available: 4, paused: false, ..WorkloadSeen::default() }),
            ..Seen::default()
        }
    }

    fn decide(spec: &RolloutSpec, status: &RolloutStatus, seen: &Seen) -> Decision {
        step(&Input { deleting: true, ..Input::of(spec, status, seen) })
    }

    /// What is asked for while the Deployment's pods come, by what is seen of it.
    #[test]
    fn s40_the_deployment_is_written_to_only_while_it_is_not_as_it_is_to_be() {
        let status: RolloutStatus =
            serde_json::from_value(json!({"stableRevision": {"id": "v1", "number": 1}})).unwrap();
        for (wanted, paused, template, asks) in [
            (0, true, "v1", true),
            (4, true, "v1", true),
            (3, false, "v1", true),
            (5, false, "v1", true),
            (4, false, "v2", true),
            (4, false, "v1", false),
        ] {
            let seen = Seen {
                workload: Some(WorkloadSeen { wanted, pods: wanted, available: 2, paused, ..WorkloadSeen::default() }),
                template: Some(TemplateSeen { id: template.into(), ..TemplateSeen::default() }),
                ..seen(0, "v1", 0)
            };
            let decision = decide(&spec(false, false), &status, &seen);
            let asked = decision.actions.contains(&Action::Restore(Restore::Workload));
            assert_eq!(asked, asks, "{wanted} {paused} {template}: {:?}", decision.actions);
            let waits = decision.status.waiting_for.as_ref().map(|waiting| waiting.reason.clone());
            assert_eq!((waits, decision.actions.len()), (Some(Reason::HandBack), usize::from(asks)));
            let again = decide(&spec(false, false), &decision.status, &seen);
            assert_eq!((again.status, again.actions), (decision.status, decision.actions), "I8, I11");
            assert_eq!(
                again.wake.unwrap().reason,
                WakeReason::Wait(Reason::HandBack),
                "it looks again when its time is over"
            );
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
            let decision = decide(&spec(routes, blue_green), &status, &seen(pods, pinned, weight));
            let case = format!("{routes} {blue_green} {pinned} {weight}: {:?}", decision.actions);
            let returned = decision.actions.contains(&Action::Restore(Restore::Objects));
            let scaled = decision.actions.contains(&Action::EnsureReplicas { id: "v2".into(), replicas: 0 });
            assert_eq!((returned, scaled), (!waits, waits), "{case}");
        }
    }
}
