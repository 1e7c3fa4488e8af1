//! The engine on statuses that another version, another tool or a mistake left: it never panics, nor does what checks it, it
//! comes to rest, and what it decides to record is read back as the same.
//!
//! A status begins as one that a simulated release led to. It is changed as JSON, so nothing here depends on its fields.

use std::sync::OnceLock;

use glidepath::{
    api::{Rollout, RolloutSpec, RolloutStatus, command::Verb},
    engine::{Input, Seen, invariants, step},
    yaml,
};
use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

use super::{choices::Choices, json::mutate};

use super::small_world::SimWorld;

const FILES: [&str; 4] = [
    include_str!("../../../../rollouts/canary-istio.yaml"),
    include_str!("../../../../rollouts/canary.yaml"),
    include_str!("../../../../rollouts/blue-green.yaml"),
    include_str!("../../../../rollouts/ab-test.yaml"),
];
const VERBS: [Verb; 7] =
    [Verb::Promote, Verb::Abort, Verb::Pause, Verb::Resume, Verb::Retry, Verb::Undo, Verb::Restart];
const TEMPLATES: [&str; 4] = ["v1", "v2", "v3", "v4"];
/// The most that happens in a release before its status is changed.
const EVENTS: usize = 40;
/// So many decisions about the same moment lead to rest.
const LOOKS: usize = 32;

/// What one look at a Rollout is decided from.
struct Moment {
    spec: RolloutSpec,
    seen: Seen,
    now: Timestamp,
    deleting: bool,
}

/// Plays a release, changes its status, and decides until nothing changes.
pub fn run(bytes: &[u8]) {
    let mut choices = Choices::of(bytes);
    let Some(mut world) = world(&mut choices) else { return };
    let mut statuses = Vec::new();
    for _ in 0..choices.below(EVENTS) {
        happens(&mut world, &mut choices);
        statuses.extend(serde_json::to_value(&world.status));
    }
    let Some(status) = changed(&world.status, &statuses, &mut choices) else { return };
    comes_to_rest(&moment(&world, &mut choices), status);
}

fn specs() -> &'static [RolloutSpec] {
    static SPECS: OnceLock<Vec<RolloutSpec>> = OnceLock::new();
    let first = |text: &&str| {
        let document = yaml::read(text).ok()?.into_iter().flatten().next()?;
        yaml::typed::<Rollout>(&document.value).ok().map(|rollout| rollout.spec)
    };
    SPECS.get_or_init(|| FILES.iter().filter_map(first).collect())
}

fn world(choices: &mut Choices<'_>) -> Option<SimWorld> {
    assert_eq!(specs().len(), FILES.len(), "a shipped file holds no Rollout");
    let spec = choices.pick(specs()).clone();
    let replicas = 1 + choices.below(12) as u32;
    Some(SimWorld::new(spec, TEMPLATES[0], replicas))
}

/// Something happens to a release, and the controller looks.
fn happens(world: &mut SimWorld, choices: &mut Choices<'_>) {
    match choices.below(8) {
        0 => world.template = (*choices.pick(&TEMPLATES)).to_owned(),
        1 => drop(world.command(*choices.pick(&VERBS), choices.one_in(3))),
        2 => world.replicas = choices.below(12) as u32,
        3 => world.kill_pods(choices.pick::<&str>(&TEMPLATES)),
        4 => world.sleep(SignedDuration::from_secs(choices.number().min(100_000).cast_signed())),
        _ => world.sleep(SignedDuration::from_hours(1)),
    }
    // Which rules a decision keeps in an honest world is what the histories test.
    let _ = world.tick();
}

fn changed(status: &RolloutStatus, donors: &[Value], choices: &mut Choices<'_>) -> Option<RolloutStatus> {
    let mut changed = serde_json::to_value(status).ok()?;
    mutate(&mut changed, donors, choices);
    serde_json::from_value(changed).ok()
}

fn moment(world: &SimWorld, choices: &mut Choices<'_>) -> Moment {
    let mut seen = world.seen();
    if choices.one_in(8) {
        seen = Seen { replicas: choices.number() as u32, ..Seen::default() };
    }
    let later = SignedDuration::from_secs(choices.number().min(100_000_000).cast_signed());
    let now = world.now.saturating_add(later).unwrap_or(Timestamp::MAX);
    let spec = if choices.one_in(4) { choices.pick(specs()).clone() } else { world.spec.clone() };
    Moment { spec, seen, now, deleting: choices.one_in(16) }
}

/// Nothing that is observed changes, so decisions about it end.
fn comes_to_rest(moment: &Moment, mut status: RolloutStatus) {
    for _ in 0..LOOKS {
        let input = Input {
            name: "checkout",
            uid: "uid",
            generation: Some(13),
            deleting: moment.deleting,
            skip_hand_back: false,
            spec: &moment.spec,
            status: &status,
            seen: &moment.seen,
            now: moment.now,
        };
        let decision = step(&input);
        let _ = invariants::broken(&input, &decision);
        assert!(is_read_back(&decision.status), "not read back as written: {:?}", decision.status);
        if decision.status == status {
            return;
        }
        status = decision.status;
    }
    panic!("{LOOKS} decisions about one moment, and the status still changes: {status:?}");
}

fn is_read_back(status: &RolloutStatus) -> bool {
    let read = serde_json::to_value(status).and_then(serde_json::from_value::<RolloutStatus>);
    read.is_ok_and(|read| read == *status)
}
