//! What tells two states of the model apart: everything that a later decision can rest on, with times as ages.
//!
//! Left out are words (messages, conditions, times that are only shown) and runs and records that no name leads to any
//! more. An age beyond every limit it is compared with counts as that limit, so that waiting for a person is one state.

use std::hash::{DefaultHasher, Hash, Hasher};

use glidepath::api::{
    RolloutStatus,
    analysis::Verdict,
    command::RolloutCommandSpec,
    status::{Memory, TargetMemory, Waiting},
};
use jiff::{SignedDuration, Timestamp};
use serde::Serialize;

use super::world::{Left, Set, World};

/// Every limit of the models' specs that an age is compared with is shorter, in seconds.
const LONG_AGO: i64 = 130;
/// A new controller looks around for so long; after that it decides as if it always had.
const FIRST_LOOK: i64 = 60;
/// A command waits so long at most.
const PATIENCE: i64 = 601;

#[derive(Serialize)]
struct Key<'a> {
    status: RolloutStatus,
    template: &'a str,
    sets: Vec<(&'a String, &'a Set)>,
    targets: [&'a Option<String>; 2],
    weight: u32,
    runs: Vec<(&'a String, Verdict, bool, bool, bool)>,
    commands: Vec<(&'a str, &'a RolloutCommandSpec, i64)>,
    deciding_for: Option<i64>,
    left: Left,
}

/// The state's key.
pub fn of(world: &World) -> u64 {
    let now = world.now;
    let run = format!(
        "checkout-{}-{}-",
        world.status.current_revision.as_ref().map_or(0, |revision| revision.number),
        world.status.attempt
    );
    let epoch = world.status.memory.epoch;
    let runs = world.runs.iter().filter(|(name, run_)| !run_.stop || name.starts_with(&run));
    let key = Key {
        status: lasting(&world.status, world),
        template: world.template,
        sets: world.sets.iter().collect(),
        targets: [&world.stable_target, &world.canary_target],
        weight: world.weight.basis_points(),
        runs: runs
            .map(|(name, run)| (name, run.verdict, run.judged == epoch, run.epoch == epoch, run.stop))
            .collect(),
        commands: world
            .commands
            .iter()
            .map(|command| (command.uid.as_str(), &command.spec, age(command.created, now, PATIENCE)))
            .collect(),
        deciding_for: world.deciding_since.map(|since| age(since, now, FIRST_LOOK)).filter(|age| *age < FIRST_LOOK),
        left: world.left,
    };
    let mut hasher = DefaultHasher::new();
    serde_json::to_vec(&key).unwrap().hash(&mut hasher);
    hasher.finish()
}

fn age(since: Timestamp, now: Timestamp, limit: i64) -> i64 {
    now.duration_since(since).as_secs().min(limit)
}

/// The status without words and with ages for times.
fn lasting(status: &RolloutStatus, world: &World) -> RolloutStatus {
    let aged = |since: Timestamp| Timestamp::UNIX_EPOCH + SignedDuration::from_secs(age(since, world.now, LONG_AGO));
    let target = |memory: &TargetMemory| TargetMemory { since: memory.since.map(aged), ..memory.clone() };
    let mut kept = status.clone();
    kept.message.clear();
    kept.conditions.clear();
    kept.metrics.clear();
    kept.step_shown.clear();
    kept.weight_shown.clear();
    kept.ready_shown.clear();
    (kept.replicas, kept.ready_replicas, kept.available_replicas, kept.updated_replicas) = (0, 0, 0, 0);
    kept.commands.retain(|record| world.commands.iter().any(|command| command.uid == record.uid));
    for record in &mut kept.commands {
        record.taken_at = Timestamp::UNIX_EPOCH;
    }
    // Of the past the engine knows the numbers that were given.
    let newest = kept.history.iter().map(|entry| entry.revision.number).max();
    kept.history.clear();
    kept.desired_replicas = u32::try_from(newest.unwrap_or(0)).unwrap();
    if let Some(held) = &mut kept.held {
        held.message.clear();
        held.since = Timestamp::UNIX_EPOCH;
    }
    let why = |waiting: Waiting| Waiting { message: String::new(), since: Timestamp::UNIX_EPOCH, until: None, ..waiting };
    kept.waiting_for = kept.waiting_for.map(why);
    let memory = &status.memory;
    kept.memory = Memory {
        rollout_since: memory.rollout_since.map(|_| Timestamp::UNIX_EPOCH),
        step_since: memory.step_since.map(aged),
        clock_stopped_since: memory.clock_stopped_since.map(aged),
        route_since: memory.route_since.map(aged),
        stable_target: target(&memory.stable_target),
        canary_target: target(&memory.canary_target),
        drained: memory.drained.iter().cloned().map(|mut drained| {
            drained.since = aged(drained.since);
            drained
        }).collect(),
        progress: memory.progress.clone().map(|mut progress| {
            progress.since = aged(progress.since);
            progress
        }),
        repairs: memory.repairs.iter().copied().map(aged).collect(),
        epoch: 0,
        ..memory.clone()
    };
    kept
}
