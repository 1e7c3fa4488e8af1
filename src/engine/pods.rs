//! How many pods each revision gets now, and when an old one may give up its pods (rules S10, S19, S33, S54, section 5).

use jiff::{SignedDuration, Timestamp};

use crate::api::{
    common::{Delay, Percent},
    reason::WakeReason,
    status::{Course, Drained},
};

use super::{
    decision::{Action, Target, Wake},
    draft::{DEFAULT_SCALE_DOWN_DELAY, Draft},
    extra_routes,
    input::{RevisionSeen, RouteSeen},
    replicas::{self, Pods},
    weights,
};

/// Old pods that go within this are no longer counted: that they are gone is then no news, and needs no record.
const LEAVING: SignedDuration = SignedDuration::from_mins(1);

/// What a tick wants of the pods.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Counts {
    /// How many each of these revisions is to have.
    pub replicas: Vec<(String, u32)>,
    /// Since when no route leads to the revisions that give up theirs.
    pub drained: Vec<Drained>,
    /// Old revisions whose pods go within a minute.
    pub leaving: Vec<String>,
    /// When the next one may.
    pub wakes: Vec<Wake>,
}

/// The counts of this tick without a mesh: stable and canary move towards the split of `weight`. With whether they are
/// there.
pub fn by_ratio(draft: &Draft<'_>, weight: Percent) -> (Counts, bool) {
    let replicas = draft.replicas();
    let slack = draft.slack();
    let target = replicas::split(replicas, weight, slack.surge);
    let (stable, canary) = (draft.stable_id().unwrap_or_default(), draft.canary_id().unwrap_or_default());
    let older = draft.older();
    let older_pods: Vec<Pods> = older.iter().copied().map(pods_of).collect();
    let (stable_pods, canary_pods) = (pods_by_id(draft, &stable), pods_by_id(draft, &canary));
    let mut next = replicas::next_move(replicas, target, slack, stable_pods, canary_pods, &older_pods);
    if last_stable_pod_waits(draft) {
        next.stable = next.stable.max(1).min(stable_pods.wanted);
    }
    let there = |pods: Pods, target: u32| pods.wanted == target && pods.available >= target;
    // At rest, as in the promotion before it, the pods of the version that was replaced need not have ended.
    let at_rest = draft.course() == Course::Idle;
    let gone = |pods: &Pods| pods.available == 0 || at_rest && pods.wanted == 0;
    let reached = there(stable_pods, target.1) && there(canary_pods, target.0) && older_pods.iter().all(gone);
    let old = older.iter().map(|old| old.id.clone()).zip(next.older);
    let counts = Counts {
        replicas: [(stable, next.stable), (canary, next.canary)].into_iter().chain(old).collect(),
        drained: draft.status.memory.drained.clone(),
        ..Counts::default()
    };
    (counts, reached)
}

/// The canary's share without a mesh: the weight that was reached last, which holds while the replicas change, or what its
/// pods are where a move is under way.
pub fn share_in_force(draft: &Draft<'_>) -> Percent {
    let wanted = draft.current_id().and_then(|id| draft.revision(&id)).map_or(0, |seen| seen.wanted);
    let share = if draft.replicas() == 0 { Percent::ZERO } else { weights::share_of_pods(wanted, draft.replicas()) };
    draft.settled_weight().max(share)
}

/// How many pods the canary gets for the weight that is wanted now without a mesh, and stable.
pub fn wanted_by_ratio(draft: &Draft<'_>) -> (u32, u32) {
    replicas::split(draft.replicas(), draft.status.weights.desired, draft.slack().surge)
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

/// The counts of this tick with a mesh. `goal` is the weight that this tick wants: stable has pods for the rest of it, also
/// while traffic is being shifted back (S30, S55). `next` is what the canary is made ready for meanwhile.
pub fn with_mesh(draft: &Draft<'_>, goal: Percent, next: Percent) -> Counts {
    let drained = draft.status.memory.drained.clone();
    let mut plan = Plan { draft, counts: Counts { drained, ..Counts::default() } };
    if let Some(stable) = draft.stable_id() {
        plan.stable(&stable, goal);
    }
    if let Some(canary) = draft.canary_id() {
        plan.canary(&canary, next);
    }
    let older: Vec<&str> = draft.older().into_iter().filter(|old| old.wanted > 0).map(|old| old.id.as_str()).collect();
    for id in &older {
        plan.drain(id, Delay::After(draft.scale_down_delay()));
    }
    let draining = |id: &str| older.contains(&id) || draft.course().is_rolled_back();
    plan.counts.drained.retain(|drained| draining(&drained.revision));
    plan.counts
}

/// Counts being drawn up: what one revision keeps depends on what the others were asked for.
struct Plan<'d, 'a> {
    draft: &'d Draft<'a>,
    counts: Counts,
}

impl Plan<'_, '_> {
    /// Stable keeps all its pods, or, where the spec says so, what its traffic needs (rule S55): it grows at once, and
    /// shrinks when the weight has been settled for as long as an old revision keeps its pods.
    fn stable(&mut self, stable: &str, goal: Percent) {
        let draft = self.draft;
        let needs = weights::needs(draft);
        let walks = draft.release().is_some() && draft.canary_id().is_some();
        if !needs.dynamic || !walks || draft.stable_moves() {
            return self.ask(stable, draft.replicas());
        }
        let actual = draft.input.seen.route.as_ref().and_then(RouteSeen::lowest).unwrap_or(Percent::ZERO);
        let need = replicas::pods_for(&needs, goal.min(actual)).stable;
        let wanted = draft.revision(stable).map_or(0, |seen| seen.wanted);
        if need >= wanted {
            return self.ask(stable, need);
        }
        let settled = draft.status.weights.settled && draft.status.weights.desired == goal;
        let Some(since) = draft.status.memory.route_since.filter(|_| settled) else { return };
        let until = draft.scale_down_delay().after(draft.settle().after(since));
        if until <= draft.now() {
            // Scaled up meanwhile, the canary may still be short of pods.
            self.shrink_or_grow(stable, need);
        } else {
            self.wake(until, WakeReason::StableScaleDown);
        }
    }

    fn canary(&mut self, canary: &str, goal: Percent) {
        let draft = self.draft;
        match draft.course() {
            Course::Aborted => {
                let delay = draft.input.spec.abort_scale_down_delay.unwrap_or(Delay::After(DEFAULT_SCALE_DOWN_DELAY));
                self.drain(canary, delay);
            }
            Course::ControlKept => self.drain(canary, Delay::After(draft.scale_down_delay())),
            _ => {
                let need = weights::canary_need(draft, goal);
                let wanted = draft.revision(canary).map_or(0, |seen| seen.wanted);
                // Pods go only after the traffic they carried has (S19): a lower weight must be settled first.
                let weights = &draft.status.weights;
                let lower = need < wanted && !(weights.settled && weights.desired == goal);
                self.shrink_or_grow(canary, if lower { wanted.min(draft.replicas().max(need)) } else { need });
            }
        }
    }

    /// Asks for this many pods of a revision, but keeps as many available ones as the rollout's minimum still needs (I7):
    /// while stable is short of pods, others stay even without traffic.
    fn shrink_or_grow(&mut self, id: &str, wanted: u32) {
        let draft = self.draft;
        let Some(seen) = draft.revision(id) else { return self.ask(id, wanted) };
        let minimum = draft.replicas().saturating_sub(draft.slack().unavailable);
        let others = draft.input.seen.revisions.iter().filter(|other| other.id != id);
        let others = others.map(|other| other.available.min(self.asked(other))).fold(0, u32::saturating_add);
        let needed = minimum.saturating_sub(others).min(seen.available);
        self.ask(id, wanted.max(needed.min(seen.wanted)));
    }

    /// Takes a revision's pods away by evidence: no target selects it, weight 0 is settled, and then a delay (S19).
    fn drain(&mut self, id: &str, delay: Delay) {
        if self.draft.replicas() == 0 {
            return self.ask(id, 0);
        }
        if !is_without_traffic(self.draft, id) {
            return self.counts.drained.retain(|drained| drained.revision != id);
        }
        let since = self.drained_since(id);
        let Delay::After(delay) = delay else { return };
        let until = delay.after(since);
        if until.duration_since(self.draft.now()) <= LEAVING {
            self.counts.leaving.push(id.to_owned());
        }
        if until <= self.draft.now() {
            self.shrink_or_grow(id, 0);
        } else {
            self.wake(until, WakeReason::ScaleDown(id.to_owned()));
        }
    }

    /// Since when no route leads to the revision: remembered from now on.
    fn drained_since(&mut self, id: &str) -> Timestamp {
        if let Some(drained) = self.counts.drained.iter().find(|drained| drained.revision == id) {
            return drained.since;
        }
        let since = self.draft.now();
        self.counts.drained.push(Drained { revision: id.to_owned(), since });
        since
    }

    fn ask(&mut self, id: &str, replicas: u32) {
        self.counts.replicas.push((id.to_owned(), replicas));
    }

    /// How many pods a revision is to have after this tick: what was asked so far, else what it has. Those to come do not
    /// count yet.
    fn asked(&self, revision: &RevisionSeen) -> u32 {
        let asked = self.counts.replicas.iter().rev().find(|(id, _)| *id == revision.id);
        asked.map_or(revision.wanted, |(_, replicas)| revision.wanted.min(*replicas))
    }

    fn wake(&mut self, at: Timestamp, reason: WakeReason) {
        self.counts.wakes.push(Wake { at, reason });
    }
}

/// Whether no route leads to the revision.
fn is_without_traffic(draft: &Draft<'_>, id: &str) -> bool {
    if selected(draft, id) || !weights::target_settled(draft, Target::Stable) {
        return false;
    }
    let weights = &draft.status.weights;
    let stable_only = weights.desired.is_zero() && weights.settled && !extra_routes::any(draft);
    let canary_elsewhere = draft.input.seen.canary_target.as_ref().is_some_and(|target| target.revision.is_some());
    stable_only || canary_elsewhere
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

/// The Deployment of a workloadRef: held still, and its own pods go as ours come (rule S5). What is asked of it.
pub fn adoption(draft: &Draft<'_>) -> Option<Action> {
    use crate::api::rollout::ScaleDown::{Never, OnSuccess, Progressively};
    let (workload, reference) = (draft.input.seen.workload.as_ref()?, draft.input.spec.workload_ref.as_ref()?);
    let ours = draft.current_id().map_or(0, |id| draft.available(&id));
    let pinned = is_adopted(draft);
    let wanted = match reference.scale_down.unwrap_or_default() {
        Never => None,
        _ if draft.status.memory.adopted => Some(0),
        OnSuccess => pinned.then_some(0),
        // The last of its pods stays until the selectors name ours.
        Progressively if pinned => Some(0),
        Progressively => Some(draft.replicas().saturating_sub(ours).max(1).min(workload.wanted)),
    };
    let wanted = wanted.filter(|count| *count != workload.wanted);
    (!workload.paused || wanted.is_some()).then_some(Action::EnsureWorkload { replicas: wanted, paused: true })
}

/// Whether our pods serve in place of those of the Deployment: a version is stable, and the selectors name ours.
pub fn is_adopted(draft: &Draft<'_>) -> bool {
    draft.input.seen.workload.is_some()
        && draft.input.spec.workload_ref.is_some()
        && draft.status.stable_revision.is_some()
        && weights::target_settled(draft, Target::Stable)
        && weights::target_settled(draft, Target::Canary)
}
