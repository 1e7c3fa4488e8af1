//! The model for `stateright`: a state is a small world together with what the engine decides in it.

use std::{
    borrow::Cow,
    hash::{Hash, Hasher},
    sync::{Arc, Mutex},
};

use glidepath::{
    api::{
        RolloutSpec, RolloutStatus,
        analysis::Verdict,
        command::{CommandState, Verb},
        reason::Reason,
        status::{Course, Stage},
    },
    engine::{Action, Decision, Input, invariants},
};
use stateright::{Model, Property};

use super::{
    diagram::{Edges, place},
    graph::Graph,
    key,
    world::{Act, LONG, Left, World},
};

/// Decisions in a row that change nothing but words.
const WORDS: usize = 10;

/// One strategy, with what may happen to it.
#[derive(Clone)]
pub struct Release {
    pub spec: Arc<RolloutSpec>,
    pub left: Left,
    /// Every transition that was taken.
    pub graph: Arc<Mutex<Graph>>,
    /// Every change of course or stage that was decided.
    pub edges: Arc<Mutex<Edges>>,
}

/// A world, and what is decided in it.
#[derive(Clone, Debug)]
pub struct State {
    pub world: Arc<World>,
    pub decision: Arc<Decision>,
    /// Nothing follows any more until something happens.
    pub quiet: bool,
    /// What went wrong on the way here.
    pub broken: Vec<String>,
    /// What would go wrong with the decision.
    wrong: Vec<String>,
    key: u64,
}

impl Hash for State {
    fn hash<H: Hasher>(&self, hasher: &mut H) {
        (self.key, &self.broken).hash(hasher);
    }
}

impl PartialEq for State {
    fn eq(&self, other: &State) -> bool {
        (self.key, &self.broken) == (other.key, &other.broken)
    }
}

impl State {
    /// No one has to do anything any more (the wanted version is stable or was rolled back), or an operator is asked by
    /// name.
    pub fn rests(&self) -> bool {
        let status = &self.world.status;
        let over = matches!(status.course(), Course::Idle | Course::Aborted | Course::ControlKept)
            && self.world.weight.is_zero()
            && self.decision.wake.is_none();
        let asked =
            status.waiting_for.as_ref().is_some_and(|wait| matches!(wait.reason, Reason::Pause | Reason::Paused));
        self.quiet && (over || asked && self.decision.wake.is_none() || status.held().is_some())
    }

    /// Where the rollout is, in a line.
    pub fn says(&self) -> String {
        let status = &self.world.status;
        let wake = self.decision.wake.as_ref().map_or("nothing".to_owned(), |wake| wake.reason.to_string());
        format!("{:?}: {} (weight {}, wakes for {wake})", status.course(), status.message, self.world.weight)
    }
}

impl Release {
    pub fn new(spec: RolloutSpec, left: Left) -> Self {
        Release { spec: Arc::new(spec), left, graph: Arc::default(), edges: Arc::default() }
    }

    /// The decision in a world, with what is wrong with it.
    fn decide(&self, world: &World) -> (Decision, Vec<String>) {
        world.decide(&self.spec, |input, decision| {
            let mut broken = invariants::broken(input, &decision);
            broken.extend(wrong_step(input, &decision));
            broken.extend(unproved(input, &decision));
            broken.extend(revives(input, &decision));
            broken.extend(times_out_in_a_pause(input, &decision));
            broken.extend(blames_others(&decision));
            (decision, broken)
        })
    }

    /// The state of a world: decisions that only find other words are taken at once.
    fn state(&self, mut world: World, mut broken: Vec<String>) -> State {
        let key = key::of(&world);
        for _ in 0..WORDS {
            let (decision, wrong) = self.decide(&world);
            let mut after = world.clone();
            after.follow(&decision, usize::MAX);
            let same_key = key::of(&after) == key;
            let same_status = after.status == world.status;
            if same_key && !same_status && decision.actions.is_empty() {
                broken.extend(wrong);
                world = after;
                continue;
            }
            if same_key && !decision.actions.is_empty() {
                broken.push(format!("I8: these change nothing: {:?}", decision.actions));
            }
            let quiet = same_key && same_status;
            if quiet && decision.wake.as_ref().is_some_and(|wake| wake.at <= world.now) {
                broken.push(format!("I8: looks again at once and finds nothing: {:?}", decision.wake));
            }
            return State { world: Arc::new(world), decision: Arc::new(decision), quiet, broken, wrong, key };
        }
        broken.push(format!("I8: never finds its last words: {}", world.status.message));
        let (decision, wrong) = self.decide(&world);
        State { world: Arc::new(world), decision: Arc::new(decision), quiet: true, broken, wrong, key }
    }

    /// What is decided without the commands that wait, if it comes to the same: then they are not why.
    fn cause<'a>(&self, world: &World, decision: &'a Decision) -> Cow<'a, Decision> {
        let to = place(&decision.status);
        if world.commands.is_empty() || place(&world.status) == to {
            return Cow::Borrowed(decision);
        }
        let without = world.without_commands().decide(&self.spec, |_, decision| decision);
        if place(&without.status) == to { Cow::Owned(without) } else { Cow::Borrowed(decision) }
    }

    fn after(&self, state: &State, act: Act) -> State {
        let mut world = (*state.world).clone();
        let mut broken = Vec::new();
        match act {
            Act::Tick => {
                broken.clone_from(&state.wrong);
                self.edges.lock().unwrap().note(&world.status, &self.cause(&world, &state.decision));
                world.follow(&state.decision, usize::MAX);
            }
            Act::Die(writes) => {
                world.left.deaths -= 1;
                world.follow(&state.decision, writes);
                world.deciding_since = Some(world.now);
            }
            Act::Clock => world.now = state.decision.wake.as_ref().map_or(world.now + LONG, |wake| wake.at),
            _ => world.happen(act),
        }
        self.state(world, broken)
    }
}

impl Model for Release {
    type State = State;
    type Action = Act;

    fn init_states(&self) -> Vec<State> {
        let state = self.state(World::new(self.left), Vec::new());
        self.graph.lock().unwrap().begin(state.key, state.says());
        vec![state]
    }

    fn actions(&self, state: &State, acts: &mut Vec<Act>) {
        if state.quiet {
            acts.push(Act::Clock);
            acts.extend((state.world.left().deaths > 0).then_some(Act::Away));
        } else {
            acts.push(Act::Tick);
            let writes = state.world.writes(&state.decision);
            acts.extend((0..writes).filter(|_| state.world.left().deaths > 0).map(Act::Die));
        }
        acts.extend(state.world.acts());
    }

    fn next_state(&self, state: &State, act: Act) -> Option<State> {
        let next = self.after(state, act);
        self.graph.lock().unwrap().note(state.key, act, next.key, next.rests(), || next.says());
        Some(next)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![
            Property::always("every invariant holds", |_, state: &State| state.broken.is_empty()),
            Property::always("no traffic goes to nobody", |_, state: &State| !sends_to_nobody(state)),
            Property::always("the stable target follows stable", |_, state: &State| follows_stable(state)),
            Property::sometimes("the new version becomes stable", |_, state: &State| is_stable(state, "v2")),
            Property::sometimes("the new version is taken back", |_, state: &State| {
                state.world.status.course() == Course::Aborted
            }),
        ]
    }
}

fn is_stable(state: &State, id: &str) -> bool {
    state.world.status.stable_revision.as_ref().is_some_and(|stable| stable.id == id)
}

/// When everything was decided, no weight leads to a version without pods while the other could answer (I2, S56).
fn sends_to_nobody(state: &State) -> bool {
    let world = &state.world;
    let ready = |target: &Option<String>| target.as_ref().and_then(|id| world.sets.get(id)).map_or(0, |set| set.ready);
    let (stable, canary) = (ready(&world.stable_target), ready(&world.canary_target));
    state.quiet && !world.weight.is_zero() && canary == 0 && stable > 0
}

/// At rest the stable target selects the stable revision, and the canary target too (S6).
fn follows_stable(state: &State) -> bool {
    let world = &state.world;
    let stable = world.status.stable_revision.as_ref().map(|stable| &stable.id);
    let ended = matches!(world.status.course(), Course::Idle | Course::Aborted | Course::ControlKept);
    !(ended && state.rests()) || world.stable_target.is_none() || world.stable_target.as_ref() == stable
}

/// A promotion that was meant for one step never ends another (S80).
fn wrong_step(input: &Input<'_>, decision: &Decision) -> Option<String> {
    let taken = decision.status.commands.first().filter(|first| Some(*first) != input.status.commands.first())?;
    let command = input.seen.commands.iter().find(|command| command.uid == taken.uid)?;
    let meant = (command.spec.attempt, command.spec.step);
    let was = (Some(input.status.attempt), Some(input.status.step_index));
    let done = taken.verb == Verb::Promote && taken.state == CommandState::Done;
    (done && meant != was).then(|| format!("S80: a promotion meant for {meant:?} was taken at {was:?}"))
}

/// A run that was ended is never asked for again: its evidence belongs to another attempt.
fn revives(input: &Input<'_>, decision: &Decision) -> Option<String> {
    let ended = |name: &String| input.seen.runs.get(name).is_some_and(|run| run.stop);
    decision.actions.iter().find_map(|action| match action {
        Action::EnsureRun(request) if ended(&request.name) => Some(format!("S14: {} is asked for again", request.name)),
        _ => None,
    })
}

/// While a rollout is paused no observation runs out of time (S36).
fn times_out_in_a_pause(input: &Input<'_>, decision: &Decision) -> Option<String> {
    let paused = input.status.paused_by_command && decision.status.paused_by_command;
    let same = input.status.state.since() == decision.status.state.since();
    let out = decision.status.state.extended() && !input.status.state.extended()
        || decision.notices.iter().any(|notice| notice.reason == Reason::Inconclusive);
    (paused && same && out).then(|| "S36: an observation ran out of time in a pause".to_owned())
}

/// No one but the controller writes routes here (S53).
fn blames_others(decision: &Decision) -> Option<String> {
    let blamed = decision.notices.iter().any(|notice| notice.reason == Reason::RouteRepaired);
    blamed.then(|| "S53: a write of ours was taken for a change from outside".to_owned())
}

/// I4 and I12, said once more from outside: a promotion begins, and an analysis after the switch ends, only by the Pass
/// of evidence gathered at this weight from this revision, or by an operator's word, or on the short way.
fn unproved(input: &Input<'_>, decision: &Decision) -> Option<String> {
    let (before, after) = (input.status, &decision.status);
    let begins = before.course() == Course::Stepping && after.course() == Course::Promoting;
    let background = begins && input.spec.analysis.is_some();
    let post = before.stage() == Some(Stage::PostAnalysis)
        && after.stage() != Some(Stage::PostAnalysis)
        && matches!(after.course(), Course::Promoting | Course::Idle)
        && before.current_revision == after.current_revision;
    let said = |status: &RolloutStatus| status.state.release().is_some_and(|release| release.overridden);
    // A person's word may end the promotion in the tick that takes it.
    let word = after.commands.first().filter(|record| before.commands.first() != Some(record));
    let overridden =
        said(before) || said(after) || word.is_some_and(|w| (w.verb, w.state) == (Verb::Promote, CommandState::Done));
    let shortcut = after.state.promoting().is_some_and(|promoting| promoting.way.shortcut().is_some());
    if !(background || post) || overridden || shortcut {
        return None;
    }
    let place = if post { "post" } else { "background" };
    (!passed(input, after, place)).then(|| format!("I4: {place} has not passed, and nobody said so"))
}

fn passed(input: &Input<'_>, status: &RolloutStatus, place: &str) -> bool {
    let number = input.status.current_revision.as_ref().map_or(0, |revision| revision.number);
    let name = format!("checkout-{number}-{}-{place}", input.status.attempt);
    let fresh = |epoch: u32| epoch == input.status.memory.epoch || epoch == status.memory.epoch;
    let of_this = input.seen.runs.iter().filter(|(run, _)| run.starts_with(&name));
    of_this.into_iter().any(|(_, run)| run.verdict == Verdict::Pass && fresh(run.status.epoch))
}
