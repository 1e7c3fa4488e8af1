//! How many pods each revision gets now, and when an old one may give up its pods (rules S10, S19, S33, S54, section 5).

use jiff::Timestamp;

use crate::api::{
    common::{Delay, Percent},
    reason::WakeReason,
    status::{Course, Drained},
};

use super::{
    decision::{Action, Target},
    draft::{DEFAULT_SCALE_DOWN_DELAY, Draft},
    extra_routes,
    input::{RevisionSeen, RouteSeen},
    replicas::{self, Pods},
    weights,
};

/// Asks for the replica counts of this tick, without a mesh: stable and canary move towards the split of `weight`.
/// Says whether they are there.
pub fn by_ratio(draft: &mut Draft<'_>, weight: Percent) -> bool {
    let replicas = draft.replicas();
    let slack = draft.slack();
    let target = replicas::split(replicas, weight, slack.surge);
    let (stable, canary) = (draft.stable_id().unwrap_or_default(), draft.canary_id().unwrap_or_default());
    let older: Vec<RevisionSeen> = draft.older().into_iter().cloned().collect();
    let older_pods: Vec<Pods> = older.iter().map(pods_of).collect();
    let (stable_pods, canary_pods) = (pods_by_id(draft, &stable), pods_by_id(draft, &canary));
    let mut next = replicas::next_move(replicas, target, slack, stable_pods, canary_pods, &older_pods);
    if last_stable_pod_waits(draft) {
        next.stable = next.stable.max(1).min(stable_pods.wanted);
    }
    draft.ask_replicas(&stable, next.stable);
    draft.ask_replicas(&canary, next.canary);
    for (revision, wanted) in older.iter().zip(next.older) {
        draft.ask_replicas(&revision.id, wanted);
    }
    let there = |pods: Pods, target: u32| pods.wanted == target && pods.available >= target;
    there(stable_pods, target.1) && there(canary_pods, target.0) && older_pods.iter().all(|pods| pods.available == 0)
}

/// While promoting without a mesh, the stable Service moves before the old revision's last pod goes (S18).
fn last_stable_pod_waits(draft: &Draft<'_>) -> bool {
    let current = draft.current_id();
    let named = draft.input.seen.stable_target.as_ref();
    draft.course() == Course::Promoting
        && named.is_some_and(|target| target.revision != current || !weights::target_settled(draft, Target::Stable))
}

fn pods_by_id(draft: &Draft<'_>, id: &str) -> Pods {
    draft.revision(id).map_or(Pods::default(), pods_of)
}

fn pods_of(revision: &RevisionSeen) -> Pods {
    Pods { wanted: revision.wanted, available: revision.available }
}

/// Asks for the replica counts of this tick, with a mesh. `goal` is the weight that this tick wants: stable has pods for the
/// rest of it, also while traffic is being shifted back (S30, S55). `next` is what the canary is made ready for meanwhile.
pub fn with_mesh(draft: &mut Draft<'_>, goal: Percent, next: Percent) {
    if let Some(stable) = draft.stable_id() {
        stable_pods(draft, &stable, goal);
    }
    if let Some(canary) = draft.canary_id() {
        canary_pods(draft, &canary, next);
    }
    let older: Vec<String> = draft.older().into_iter().filter(|old| old.wanted > 0).map(|old| old.id.clone()).collect();
    for id in &older {
        let delay = draft.scale_down_delay();
        drain(draft, id, Delay::After(delay));
    }
    let draining = |id: &String| older.contains(id) || draft.course().is_rolled_back();
    let kept: Vec<Drained> =
        draft.status.memory.drained.iter().filter(|drained| draining(&drained.revision)).cloned().collect();
    draft.status.memory.drained = kept;
}

/// Stable keeps all its pods, or, where the spec says so, what its traffic needs (rule S55): it grows at once, and shrinks
/// when the weight has been settled for as long as an old revision keeps its pods.
fn stable_pods(draft: &mut Draft<'_>, stable: &str, goal: Percent) {
    let replicas = draft.replicas();
    let needs = weights::needs(draft);
    let walks = draft.release().is_some() && draft.canary_id().is_some();
    if !needs.dynamic || !walks || draft.stable_moves() {
        return draft.ask_replicas(stable, replicas);
    }
    let actual = draft.input.seen.route.as_ref().and_then(RouteSeen::lowest).unwrap_or(Percent::ZERO);
    let need = replicas::pods_for(&needs, goal.min(actual)).stable;
    let wanted = draft.revision(stable).map_or(0, |seen| seen.wanted);
    if need >= wanted {
        return draft.ask_replicas(stable, need);
    }
    let delay = draft.scale_down_delay();
    let settled = draft.status.weights.settled && draft.status.weights.desired == goal;
    let Some(since) = draft.status.memory.route_since.filter(|_| settled) else { return };
    let until = delay.after(draft.settle().after(since));
    if until <= draft.now() {
        // Scaled up meanwhile, the canary may still be short of pods.
        shrink_or_grow(draft, stable, need);
    } else {
        draft.wake(until, WakeReason::StableScaleDown);
    }
}

fn canary_pods(draft: &mut Draft<'_>, canary: &str, goal: Percent) {
    match draft.course() {
        Course::Aborted => {
            let delay = draft.input.spec.abort_scale_down_delay.unwrap_or(Delay::After(DEFAULT_SCALE_DOWN_DELAY));
            drain(draft, canary, delay);
        }
        Course::ControlKept => {
            let delay = draft.scale_down_delay();
            drain(draft, canary, Delay::After(delay));
        }
        _ => {
            let need = weights::canary_need(draft, goal);
            let wanted = draft.revision(canary).map_or(0, |seen| seen.wanted);
            // Pods go only after the traffic they carried has (S19): a lower weight must be settled first.
            let lower = need < wanted && !(draft.status.weights.settled && draft.status.weights.desired == goal);
            shrink_or_grow(draft, canary, if lower { wanted.min(draft.replicas().max(need)) } else { need });
        }
    }
}

/// Asks for this many pods of a revision, but keeps as many available ones as the rollout's minimum still needs (I7):
/// while stable is short of pods, others stay even without traffic.
fn shrink_or_grow(draft: &mut Draft<'_>, id: &str, wanted: u32) {
    let Some(seen) = draft.revision(id).cloned() else { return };
    let replicas = draft.replicas();
    let minimum = replicas.saturating_sub(draft.slack().unavailable);
    let others = draft
        .input
        .seen
        .revisions
        .iter()
        .filter(|other| other.id != id)
        .map(|other| other.available.min(draft.asked_replicas(other)))
        .fold(0, u32::saturating_add);
    let needed = minimum.saturating_sub(others).min(seen.available);
    draft.ask_replicas(id, wanted.max(needed.min(seen.wanted)));
}

/// Takes a revision's pods away by evidence: no target selects it, weight 0 is settled, and then a delay (S19).
fn drain(draft: &mut Draft<'_>, id: &str, delay: Delay) {
    if draft.replicas() == 0 {
        draft.ask_replicas(id, 0);
        return;
    }
    let Some(since) = traffic_gone_since(draft, id) else {
        draft.status.memory.drained.retain(|drained| drained.revision != id);
        return;
    };
    let Delay::After(delay) = delay else { return };
    let until = delay.after(since);
    if until <= draft.now() {
        shrink_or_grow(draft, id, 0);
    } else {
        draft.wake(until, WakeReason::ScaleDown(id.to_owned()));
    }
}

/// Since when no route leads to the revision, remembered in the status.
fn traffic_gone_since(draft: &mut Draft<'_>, id: &str) -> Option<Timestamp> {
    if selected(draft, id) || !weights::target_settled(draft, Target::Stable) {
        return None;
    }
    let weights = &draft.status.weights;
    let stable_only = weights.desired.is_zero() && weights.settled && !extra_routes::any(draft);
    let canary_elsewhere = draft.input.seen.canary_target.as_ref().is_some_and(|target| target.revision.is_some());
    if !stable_only && !canary_elsewhere {
        return None;
    }
    if let Some(drained) = draft.status.memory.drained.iter().find(|drained| drained.revision == id) {
        return Some(drained.since);
    }
    let since = draft.now();
    draft.status.memory.drained.push(Drained { revision: id.to_owned(), since });
    Some(since)
}

/// Whether a target selects the revision or still lists endpoints of it.
fn selected(draft: &Draft<'_>, id: &str) -> bool {
    let seen = draft.input.seen;
    seen.stable_target.iter().chain(&seen.canary_target).any(|target| {
        let listed =
            target.endpoints.as_ref().is_some_and(|endpoints| endpoints.get(id).is_some_and(|count| *count > 0));
        target.revision.as_deref() == Some(id) || listed
    })
}

/// The Deployment of a workloadRef: held still, and its own pods go as ours come (rule S5).
pub fn adopt(draft: &mut Draft<'_>) {
    let (Some(workload), Some(reference)) = (draft.input.seen.workload.clone(), &draft.input.spec.workload_ref) else {
        return;
    };
    let replicas = draft.replicas();
    let ours = draft.current_id().map_or(0, |id| draft.available(&id));
    let pinned = draft.status.stable_revision.is_some()
        && weights::target_settled(draft, Target::Stable)
        && weights::target_settled(draft, Target::Canary);
    use crate::api::rollout::ScaleDown::{Never, OnSuccess, Progressively};
    let wanted = match reference.scale_down.unwrap_or_default() {
        Never => None,
        _ if draft.status.memory.adopted => Some(0),
        OnSuccess => pinned.then_some(0),
        // The last of its pods stays until the selectors name ours.
        Progressively if pinned => Some(0),
        Progressively => Some(replicas.saturating_sub(ours).max(1).min(workload.wanted)),
    };
    if pinned {
        draft.status.memory.adopted = true;
    }
    let wanted = wanted.filter(|count| *count != workload.wanted);
    if !workload.paused || wanted.is_some() {
        draft.ask(Action::EnsureWorkload { replicas: wanted, paused: true });
    }
}
