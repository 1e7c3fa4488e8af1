//! Writes of ours that another writer undoes (rule S53): each object is repaired at once five times in five minutes, then
//! once a minute, whatever others do. Every write of another writer is an event for us: without a bound two controllers
//! write in turn as fast as the API server lets them.
//!
//! A write counts as a repair when the same was written before, or when another field manager owns what it changes.
//! Routes, whose own moves depend on what is seen, are told apart in `weights`.

use jiff::Timestamp;

use crate::api::{
    RolloutStatus,
    common::HumanDuration,
    conditions,
    reason::{ConditionType, Reason, WakeReason},
};

use super::{
    decision::{Action, RunRequest, Target},
    draft::Draft,
};

/// Repairs that are made at once, and the time they are counted over.
const AT_ONCE: usize = 5;
const WINDOW: HumanDuration = HumanDuration::secs(300);
/// Between two repairs after that.
const PAUSE: HumanDuration = HumanDuration::secs(60);
/// How many objects that we made are remembered.
const MADE: usize = 32;

/// How messages name the objects of all routers.
pub const ROUTES: &str = "the routes";

/// An object whose repair has to wait.
#[derive(Clone, Debug)]
pub struct Contested {
    object: String,
    who: Option<String>,
}

impl Contested {
    fn says(&self) -> String {
        let who = match &self.who {
            Some(name) => format!("field manager {name}"),
            None => "another writer".to_owned(),
        };
        format!("{who} keeps changing {}: repaired once a minute", self.object)
    }

    fn is_traffic(&self) -> bool {
        [ROUTES, name_of(Target::Stable), name_of(Target::Canary)].contains(&self.object.as_str())
    }
}

fn name_of(target: Target) -> &'static str {
    match target {
        Target::Stable => "the stable target",
        Target::Canary => "the canary target",
    }
}

/// Counts a write against its object without asking.
pub fn count(draft: &mut Draft<'_>, object: &str) {
    let now = draft.now();
    let repairs = draft.status.memory.repaired.entry(object.to_owned()).or_default();
    repairs.push(now);
    let surplus = repairs.len().saturating_sub(AT_ONCE);
    repairs.drain(..surplus);
}

/// Whether an object may be repaired now; it counts if so. Else it is looked at again when it may.
pub fn may_repair(draft: &mut Draft<'_>, object: &str, who: Option<String>) -> bool {
    let now = draft.now();
    draft.status.memory.repaired.values_mut().for_each(|all| all.retain(|at| WINDOW.after(*at) > now));
    draft.status.memory.repaired.retain(|_, all| !all.is_empty());
    let recent = draft.status.memory.repaired.get(object).cloned().unwrap_or_default();
    let next = recent.last().map_or(now, |last| PAUSE.after(*last));
    if recent.len() >= AT_ONCE && next > now {
        draft.wake(next, WakeReason::Repair(object.to_owned()));
        draft.contested.push(Contested { object: object.to_owned(), who });
        return false;
    }
    count(draft, object);
    true
}

/// Takes out what was asked for too often already.
pub fn limit(draft: &mut Draft<'_>) {
    for action in std::mem::take(&mut draft.actions) {
        let contested = contested(draft, &action);
        let may = contested.is_none_or(|contested| may_repair(draft, &contested.object, contested.who));
        if may {
            remember(draft, &action);
            draft.actions.push(action);
        }
    }
}

/// The object of an action, where it repairs what another writer has changed.
fn contested(draft: &Draft<'_>, action: &Action) -> Option<Contested> {
    let (seen, memory) = (draft.input.seen, &draft.status.memory);
    let (again, who) = match action {
        Action::EnsureTarget { target, revision } => {
            let (seen, memory) = match target {
                Target::Stable => (&seen.stable_target, &memory.stable_target),
                Target::Canary => (&seen.canary_target, &memory.canary_target),
            };
            let who = seen.as_ref().and_then(|seen| seen.other_manager.clone());
            (memory.written.as_ref() == Some(revision), who)
        }
        Action::EnsureReplicas { id, .. } => owned_by_another(draft.revision(id)?.other_manager.clone()),
        Action::EnsureWorkload { .. } => owned_by_another(seen.workload.as_ref()?.other_manager.clone()),
        // Asked for when a role changes, and then only when another writer takes it away.
        Action::EnsureMetadata { .. } => (true, None),
        Action::EnsureRevision { .. } => (was_made(draft, action), None),
        Action::EnsureRun(run) => (!seen.runs.contains_key(&run.name) && was_made(draft, action), None),
        _ => return None,
    };
    object_of(action).filter(|_| again).map(|object| Contested { object, who })
}

fn owned_by_another(manager: Option<String>) -> (bool, Option<String>) {
    (manager.is_some(), manager)
}

fn was_made(draft: &Draft<'_>, action: &Action) -> bool {
    object_of(action).is_some_and(|object| draft.status.memory.made.contains(&object))
}

/// How messages name the object that an action writes.
fn object_of(action: &Action) -> Option<String> {
    match action {
        Action::EnsureRoute(_) => Some(ROUTES.to_owned()),
        Action::EnsureTarget { target, .. } => Some(name_of(*target).to_owned()),
        Action::EnsureReplicas { id, .. } => Some(format!("the replicas of revision {id}")),
        Action::EnsureMetadata { id, .. } => Some(format!("the labels of revision {id}")),
        Action::EnsureRevision { id, .. } => Some(format!("the ReplicaSet of revision {id}")),
        Action::EnsureWorkload { .. } => Some("the Deployment".to_owned()),
        Action::EnsureRun(RunRequest { name, .. }) => Some(format!("AnalysisRun {name}")),
        _ => None,
    }
}

/// Keeps in mind what is being written, to know it when it has to be written again.
fn remember(draft: &mut Draft<'_>, action: &Action) {
    let memory = &mut draft.status.memory;
    match action {
        Action::EnsureTarget { target: Target::Stable, revision } => {
            memory.stable_target.written = Some(revision.clone());
        }
        Action::EnsureTarget { target: Target::Canary, revision } => {
            memory.canary_target.written = Some(revision.clone());
        }
        Action::EnsureRevision { .. } | Action::EnsureRun(_) => {
            let new = object_of(action).filter(|object| !memory.made.contains(object));
            memory.made.extend(new);
            let surplus = memory.made.len().saturating_sub(MADE);
            memory.made.drain(..surplus);
        }
        _ => {}
    }
}

/// What failed was not written: it does not count, and to try it again is no repair.
pub fn forget(status: &mut RolloutStatus, recorded: &RolloutStatus, failed: &Action) {
    let Some(object) = object_of(failed) else { return };
    let (memory, before) = (&mut status.memory, &recorded.memory);
    match failed {
        Action::EnsureRoute(_) => memory.route_written.clone_from(&before.route_written),
        Action::EnsureTarget { target: Target::Stable, .. } => {
            memory.stable_target.written.clone_from(&before.stable_target.written);
        }
        Action::EnsureTarget { target: Target::Canary, .. } => {
            memory.canary_target.written.clone_from(&before.canary_target.written);
        }
        _ => memory.made.retain(|made| *made != object || before.made.contains(made)),
    }
    match before.repaired.get(&object) {
        Some(repairs) => drop(memory.repaired.insert(object, repairs.clone())),
        None => drop(memory.repaired.remove(&object)),
    }
}

/// A reason for writes that have to wait, for a rollout at rest.
pub fn reason(draft: &Draft<'_>) -> Reason {
    if draft.contested.iter().any(Contested::is_traffic) { Reason::RouteDrift } else { Reason::ObjectDrift }
}

/// The message about writes that have to wait, if there are any.
pub fn note(draft: &Draft<'_>) -> Option<String> {
    let notes: Vec<String> = draft.contested.iter().map(Contested::says).collect();
    (!notes.is_empty()).then(|| notes.join("; "))
}

/// Conditions with the other writer's name: from the first repair that has to wait, until repairs are made at once again.
pub fn conditions(draft: &mut Draft<'_>) {
    let now = draft.now();
    let often = |repairs: &Vec<Timestamp>| repairs.len() >= AT_ONCE && WINDOW.after(repairs[0]) > now;
    let until = draft.status.memory.repaired.values().filter(|r| often(r)).map(|r| WINDOW.after(r[0])).max();
    let kinds = [
        (ConditionType::RouteDrift, Reason::RouteDrift, true),
        (ConditionType::ObjectDrift, Reason::ObjectDrift, false),
    ];
    for (type_, reason, traffic) in kinds {
        let waiting: Vec<String> =
            draft.contested.iter().filter(|c| c.is_traffic() == traffic).map(Contested::says).collect();
        let shown = draft.status.conditions.iter().any(|condition| condition.type_ == type_);
        match until {
            _ if !waiting.is_empty() => {
                let (message, generation) = (waiting.join("; "), draft.input.generation);
                if !shown {
                    draft.emit(true, reason, message.clone());
                }
                let said = (Reason::RepairedOften, message.as_str());
                conditions::set(&mut draft.status.conditions, type_, true, said, generation, now);
            }
            Some(until) if shown => draft.wake(until, WakeReason::RepairsUnlimited),
            _ => conditions::clear(&mut draft.status.conditions, &type_),
        }
    }
}
