//! A restart replaces pods through evictions, a few at a time, without a new revision (rule S83).

use jiff::Timestamp;

use crate::api::{reason::Reason, status::State};

use super::{
    decision::Action,
    draft::{Draft, named},
    input::PodSeen,
    wait::Wait,
};

/// Whether pods may be replaced now: a release has pods of its own to watch.
pub fn is_possible(draft: &Draft<'_>) -> bool {
    let rests = matches!(draft.status.state, State::Idle(_) | State::Aborted(_) | State::ControlKept(_));
    draft.status.stable_revision.is_some() && rests
}

/// Replaces the pods that were made before `at`.
pub fn begin(draft: &mut Draft<'_>, at: Timestamp) {
    keep(draft, Some(at));
}

fn keep(draft: &mut Draft<'_>, restart: Option<Timestamp>) {
    if let Some(rest) = draft.status.state.at_rest_mut() {
        rest.restart = restart;
    }
}

/// One tick of a restart, asked for by command or by the template's `restartedAt`.
pub fn walk(draft: &mut Draft<'_>) {
    if !is_possible(draft) {
        if draft.input.status.state.restart().is_some() {
            draft.emit(
                true,
                Reason::RestartEnded,
                "a release started: the restart ended before all pods were replaced",
            );
        }
        return;
    }
    follow_template(draft);
    let Some(at) = draft.status.state.restart() else { return };
    // Pods are looked at from the tick on that finds the restart on record.
    let Some(pods) = &draft.input.seen.pods else {
        return draft.wait(Wait::until(Reason::Restarting, "restarting the pods", None));
    };
    let stable = draft.stable_id().unwrap_or_default();
    let pods: Vec<&PodSeen> = pods.iter().filter(|pod| pod.revision == stable).collect();
    let old: Vec<&PodSeen> = pods.iter().copied().filter(|pod| pod.created < at).collect();
    let ready = u32::try_from(pods.iter().filter(|pod| pod.ready).count()).unwrap_or(u32::MAX);
    let available = draft.available(&stable).min(ready);
    if old.is_empty() && available >= draft.replicas() {
        keep(draft, None);
        let whose = named(draft.status.stable_revision.as_ref());
        return draft.emit(false, Reason::Restarted, format!("all pods of {whose} were restarted"));
    }
    let message = format!("restarting: {} of {} pods not restarted yet", old.len(), draft.replicas());
    for pod in chosen(old, available.saturating_sub(minimum(draft))) {
        draft.ask(Action::Evict { pod: pod.name.clone(), uid: pod.uid.clone() });
    }
    draft.wait(Wait::until(Reason::Restarting, message, None));
}

/// Available pods that a restart leaves. It has no pods above the desired count, so it takes one at a time where the spec
/// says none.
fn minimum(draft: &Draft<'_>) -> u32 {
    draft.replicas().saturating_sub(draft.slack().unavailable.max(1))
}

/// Those that serve no one, then the oldest, as many as may go.
fn chosen(mut old: Vec<&PodSeen>, may_go: u32) -> Vec<&PodSeen> {
    old.sort_by(|a, b| (a.created, &a.name).cmp(&(b.created, &b.name)));
    let (ready, unready): (Vec<_>, Vec<_>) = old.into_iter().partition(|pod| pod.ready);
    unready.into_iter().chain(ready.into_iter().take(may_go as usize)).collect()
}

/// `kubectl rollout restart` changes one annotation of the template, which makes no revision (S1).
fn follow_template(draft: &mut Draft<'_>) {
    let Some(template) = &draft.input.seen.template else { return };
    if draft.status.memory.restarted_at == template.restarted_at {
        return;
    }
    draft.status.memory.restarted_at.clone_from(&template.restarted_at);
    if let Some(mark) = &template.restarted_at {
        let now = draft.now();
        begin(draft, mark.parse::<Timestamp>().map_or(now, |at| at.min(now)));
    }
}

#[cfg(test)]
mod tests {
    use jiff::ToSpan;

    use super::*;
    use crate::{
        api::{
            RolloutSpec, RolloutStatus,
            status::{AtRest, Phase, RevisionRef},
        },
        engine::{
            Decision, Input,
            input::{RevisionSeen, Seen, TemplateSeen},
        },
    };

    const NOW: Timestamp = Timestamp::UNIX_EPOCH;

    fn pod(name: &str, minutes_old: i64, ready: bool) -> PodSeen {
        let created = NOW - minutes_old.minutes();
        PodSeen { name: name.into(), uid: format!("uid-{name}"), revision: "v1".into(), created, ready }
    }

    /// Version 1 at rest with these pods, all of which its ReplicaSet calls available when they are ready.
    fn at_rest(pods: Vec<PodSeen>, replicas: u32, restart: Option<Timestamp>) -> (Seen, RolloutStatus) {
        let available = u32::try_from(pods.iter().filter(|pod| pod.ready).count()).unwrap();
        let revision = RevisionSeen {
            id: "v1".into(),
            number: 1,
            wanted: replicas,
            pods: replicas,
            available,
            ..Default::default()
        };
        let seen = Seen {
            template: Some(TemplateSeen { id: "v1".into(), ..TemplateSeen::default() }),
            replicas,
            revisions: vec![revision],
            pods: Some(pods),
            ..Seen::default()
        };
        let stable = Some(RevisionRef { id: "v1".into(), number: 1 });
        let status = RolloutStatus {
            stable_revision: stable.clone(),
            current_revision: stable,
            state: State::Idle(AtRest { restart, ..AtRest::default() }),
            attempt: 1,
            ..RolloutStatus::default()
        };
        (seen, status)
    }

    fn decide(seen: &Seen, status: &RolloutStatus, spec: &RolloutSpec) -> Decision {
        crate::engine::step(&Input::of(spec, status, seen))
    }

    fn evicted(decision: &Decision) -> Vec<&str> {
        let pods = decision.actions.iter();
        pods.filter_map(|action| if let Action::Evict { pod, .. } = action { Some(pod.as_str()) } else { None })
            .collect()
    }

    #[test]
    fn s83_at_most_max_unavailable_pods_go_at_a_time_the_oldest_first() {
        let old = |count: i64| (0..count).map(|n| pod(&format!("p{n}"), 60 + n, true)).collect::<Vec<_>>();
        for (pods, replicas, wanted) in [
            (old(8), 8, vec!["p7", "p6"]),
            (old(2), 2, vec!["p1"]),
            (old(1), 1, vec!["p0"]),
            // One is being replaced: its substitute is not ready.
            ([old(7), vec![pod("new", 0, false)]].concat(), 8, vec!["p6"]),
            ([old(6), vec![pod("n1", 0, false), pod("n2", 0, false)]].concat(), 8, vec![]),
            // An old pod that serves no one costs nothing.
            ([old(6), vec![pod("sick", 30, false), pod("n", 0, false)]].concat(), 8, vec!["sick"]),
        ] {
            let (seen, status) = at_rest(pods, replicas, Some(NOW - 1.minutes()));
            let decision = decide(&seen, &status, &RolloutSpec::default());
            assert_eq!(evicted(&decision), wanted, "{replicas} pods");
            assert_eq!((decision.status.phase, decision.status.reason), (Some(Phase::Progressing), Reason::Restarting));
        }
    }

    #[test]
    fn s83_it_ends_when_all_pods_are_new_and_available() {
        let at = Some(NOW - 1.minutes());
        let (seen, status) = at_rest(vec![pod("a", 0, true), pod("b", 0, false)], 2, at);
        assert!(decide(&seen, &status, &RolloutSpec::default()).status.state.restart().is_some(), "not available yet");
        let (seen, status) = at_rest(vec![pod("a", 0, true), pod("b", 0, true)], 2, at);
        let decision = decide(&seen, &status, &RolloutSpec::default());
        assert_eq!((decision.status.state.restart(), decision.status.phase), (None, Some(Phase::Healthy)));
        assert!(decision.notices.iter().any(|notice| notice.reason == Reason::Restarted));
    }

    #[test]
    fn s83_the_templates_mark_asks_for_it_once_and_spares_pods_made_since() {
        let (mut seen, status) = at_rest(vec![pod("old", 10, true), pod("new", 1, true)], 2, None);
        let mark = (NOW - 5.minutes()).to_string();
        seen.template = Some(TemplateSeen { id: "v1".into(), restarted_at: Some(mark), ..TemplateSeen::default() });
        let asked = decide(&seen, &status, &RolloutSpec::default());
        assert_eq!(evicted(&asked), ["old"]);
        let (mut after, status) =
            at_rest(vec![pod("newer", 0, true), pod("new", 1, true)], 2, asked.status.state.restart());
        after.template.clone_from(&seen.template);
        let status = RolloutStatus { memory: asked.status.memory.clone(), ..status };
        let done = decide(&after, &status, &RolloutSpec::default());
        assert_eq!((evicted(&done).len(), done.status.state.restart()), (0, None));
        assert_eq!(decide(&after, &done.status, &RolloutSpec::default()).status.state.restart(), None, "once");
    }
}
