//! What distinguishes two states of the model: everything that a later decision can rest on, with times as ages and
//! counters as what they are compared with. So any number of commands, attempts and releases is a finite number of
//! states.
//!
//! Left out are words (messages, conditions, times that are only shown), and runs and records that no name leads to any
//! more. An age beyond every limit it is compared with counts as that limit, so that waiting for an operator is one
//! state.

use std::{
    collections::BTreeSet,
    hash::{DefaultHasher, Hash, Hasher},
};

use glidepath::api::{
    RolloutStatus,
    analysis::Verdict,
    command::RolloutCommandSpec,
    status::{Clock, CommandRecord, Drained, Memory, Release, RevisionRef, State, TargetMemory},
};
use jiff::{SignedDuration, Timestamp};
use serde::Serialize;

use super::world::{Left, Run, World};

/// The limits of the models' specs that an age is compared with are shorter, in seconds: settle, delays, the deadline.
const LONG_AGO: i64 = 61;
/// A step lasts no longer: the observation before a promotion, extended once.
const STEP: i64 = 2 * 1800 + 1;
/// A new controller looks around for so long; after that it decides as if it always had.
const FIRST_LOOK: i64 = 60;
/// A command waits so long at most.
const PATIENCE: i64 = 601;

#[derive(Serialize)]
struct Key<'a> {
    status: RolloutStatus,
    template: &'a str,
    /// (id, rank of its number, wanted, ready, whether a container was OOM-killed)
    sets: Vec<(&'a str, usize, u32, u32, bool)>,
    targets: [&'a Option<String>; 2],
    weight: u32,
    runs: Vec<RunKey<'a>>,
    /// What was asked, whether it is meant for this attempt, its age, and whether it is on record.
    commands: Vec<(RolloutCommandSpec, bool, i64, bool)>,
    deciding_for: Option<i64>,
    left: Left,
}

/// A run: its place in the rollout in progress (none for one of the past), and what its judge said of which epoch.
#[derive(Serialize)]
struct RunKey<'a> {
    place: Option<&'a str>,
    verdict: Verdict,
    judged_now: bool,
    asked_now: bool,
    stop: bool,
}

/// The state's key.
pub fn of(world: &World) -> u64 {
    let ranks = ranks(world);
    let deciding_for = world.deciding_since.map(|since| age(since, world.now, FIRST_LOOK));
    let key = Key {
        status: lasting(world, &ranks),
        template: world.template,
        sets: world
            .sets
            .iter()
            .map(|(id, set)| (id.as_str(), ranks(set.number), set.wanted, set.ready, set.oom))
            .collect(),
        targets: [&world.stable_target, &world.canary_target],
        weight: world.weight.basis_points(),
        runs: runs(world),
        commands: commands(world),
        deciding_for: deciding_for.filter(|age| *age < FIRST_LOOK),
        left: world.left,
    };
    let mut hasher = DefaultHasher::new();
    serde_json::to_vec(&key).unwrap().hash(&mut hasher);
    hasher.finish()
}

fn age(since: Timestamp, now: Timestamp, limit: i64) -> i64 {
    now.duration_since(since).as_secs().min(limit)
}

/// Numbers of revisions matter by their order alone: a new one is above all others.
fn ranks(world: &World) -> impl Fn(u64) -> usize + use<> {
    let status = &world.status;
    let refs = status.stable_revision.iter().chain(&status.current_revision).chain(&status.promoted);
    let past = status.history.iter().map(|entry| entry.revision.number).max();
    let known: BTreeSet<u64> =
        refs.map(|revision| revision.number).chain(past).chain(world.sets.values().map(|set| set.number)).collect();
    move |number| known.iter().take_while(|known| **known < number).count()
}

/// Runs that are done with and that no name leads to are left out.
fn runs<'a>(world: &'a World) -> Vec<RunKey<'a>> {
    let (begin, end) = world.run_names();
    let epoch = world.status.memory.epoch;
    let of = |(name, run): (&'a String, &Run)| {
        let place = name.strip_prefix(&begin).and_then(|rest| rest.strip_suffix(&end));
        let place = place.filter(|place| !place.contains("-round"));
        RunKey {
            place,
            verdict: run.verdict,
            judged_now: run.judged == epoch,
            asked_now: run.epoch == epoch,
            stop: run.stop,
        }
    };
    world.runs.iter().map(of).filter(|run| run.place.is_some() || !run.stop && run.verdict != Verdict::Fail).collect()
}

fn commands(world: &World) -> Vec<(RolloutCommandSpec, bool, i64, bool)> {
    let of = |command: &glidepath::engine::CommandSeen| {
        let meant = command.spec.attempt.is_none_or(|attempt| attempt == world.status.attempt);
        let spec = RolloutCommandSpec { attempt: None, ..command.spec.clone() };
        let recorded = world.status.commands.iter().any(|record| record.uid == command.uid);
        (spec, meant, age(command.created, world.now, PATIENCE), recorded)
    };
    world.commands.iter().map(of).collect()
}

/// The status without words and past, with ages for times.
fn lasting(world: &World, ranks: &impl Fn(u64) -> usize) -> RolloutStatus {
    let status = &world.status;
    let ranked = |revision: &RevisionRef| RevisionRef { number: ranks(revision.number) as u64, ..revision.clone() };
    RolloutStatus {
        observed_generation: status.observed_generation,
        phase: status.phase,
        reason: status.reason.clone(),
        stable_revision: status.stable_revision.as_ref().map(ranked),
        current_revision: status.current_revision.as_ref().map(ranked),
        promoted: status.promoted.iter().map(ranked).collect(),
        attempt: status.attempt.min(1),
        state: state(world),
        weights: status.weights.clone(),
        paused_by_command: status.paused_by_command,
        pinned: status.pinned.clone(),
        memory: aged(world),
        // The newest number that was ever given, in a field that is not otherwise needed here.
        desired_replicas: status.history.iter().map(|entry| entry.revision.number).max().map_or(0, ranks) as u32,
        commands: Vec::<CommandRecord>::new(),
        ..RolloutStatus::default()
    }
}

fn back(seconds: i64) -> Timestamp {
    Timestamp::UNIX_EPOCH + SignedDuration::from_secs(seconds)
}

/// The state with ages for times, as far as anything is decided by them.
fn state(world: &World) -> State {
    let mut state = world.status.state.clone();
    if let Some(progress) = state.progress_mut() {
        let aged = |since: Timestamp| back(age(since, world.now, LONG_AGO));
        (progress.since, progress.stopped_since) = (aged(progress.since), progress.stopped_since.map(aged));
    }
    match &mut state {
        State::FirstDeploy(first) => first.since = None,
        State::Idle(rest) | State::Aborted(rest) | State::ControlKept(rest) => {
            rest.since = Timestamp::UNIX_EPOCH;
        }
        State::Returning(returning) => returning.since = Timestamp::UNIX_EPOCH,
        State::Stepping(stepping) => of_a_release(&mut stepping.clock, &mut stepping.release, world.now),
        State::Promoting(promoting) => of_a_release(&mut promoting.clock, &mut promoting.release, world.now),
    }
    state
}

fn of_a_release(clock: &mut Clock, release: &mut Release, now: Timestamp) {
    // No step of the models is a pause with a duration: what counts is how long a step's clocks ran.
    let (until, held) = (clock.stopped_since.unwrap_or(now), clock.held_ms / 1000);
    clock.since = back(age(clock.since, until, i64::MAX).min(STEP + held) - held);
    (clock.held_ms, clock.stopped_since) = (0, clock.stopped_since.map(|_| Timestamp::UNIX_EPOCH));
    release.since = Timestamp::UNIX_EPOCH;
    release.held = release.held.as_ref().map(|_| Default::default());
    // Of the attempt in progress, which is not told here.
    release.analyses_checked = release.analyses_checked.as_ref().map(|_| String::new());
    release.evidence_round = 0;
    release.by_operator.clear(); // words
    release.step_ends.clear(); // times that are only shown
    release.weights.clear(); // the same
}

fn aged(world: &World) -> Memory {
    let memory = &world.status.memory;
    let aged = |since: Timestamp| back(age(since, world.now, LONG_AGO));
    let target = |memory: &TargetMemory| TargetMemory { since: memory.since.map(aged), ..memory.clone() };
    let drained = |drained: &Drained| Drained { since: aged(drained.since), ..drained.clone() };
    Memory {
        route_since: memory.route_since.map(aged),
        stable_target: target(&memory.stable_target),
        canary_target: target(&memory.canary_target),
        drained: memory.drained.iter().map(drained).collect(),
        repaired: memory
            .repaired
            .iter()
            .map(|(object, repairs)| (object.clone(), repairs.iter().copied().map(aged).collect()))
            .collect(),
        epoch: 0,
        ..memory.clone()
    }
}
