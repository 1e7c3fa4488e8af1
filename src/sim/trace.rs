//! What was seen while a scenario was played: the lines of its timeline, and what it came to.

use crate::{
    api::{
        RolloutStatus,
        status::{Outcome, Phase},
    },
    evidence::ArmCounts,
};

use super::time::Millis;

/// A line of the timeline.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// When.
    pub at: Millis,
    /// What kind of line it is.
    pub mark: Mark,
    /// The description.
    pub text: String,
}

/// The kinds of lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mark {
    /// Somebody did something: an entry of the timeline.
    Done,
    /// The engine emitted a transition.
    Told,
    /// The same, as a warning.
    Warned,
    /// Where the rollout is by now.
    Place,
    /// A fault begins or ends.
    Fault,
    /// An expectation was met.
    Met,
    /// An expectation failed, or an invariant broke.
    Failed,
}

/// The first thing that was not as it should be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// The field of the scenario file: `timeline[3]`, `always`.
    pub path: String,
    /// When.
    pub at: Millis,
    /// What was wanted.
    pub wanted: String,
    /// What was seen instead, key by key.
    pub seen: Vec<String>,
    /// Where the rollout was.
    pub place: String,
}

/// What is wanted of a play that costs more than it may ([`super::work`]).
pub(super) const WITHIN_BOUNDS: &str = "to be played within bounds";

impl Failure {
    /// Whether nothing is wrong but that the play costs too much.
    pub fn is_too_much(&self) -> bool {
        self.wanted == WITHIN_BOUNDS
    }
}

/// One release: from its deploy to its end.
#[derive(Clone, Debug, PartialEq)]
pub struct Release {
    /// The image.
    pub image: String,
    /// When it was deployed.
    pub at: Millis,
    /// How it ended, if it has.
    pub outcome: Option<Outcome>,
    /// Whether it is held until an operator decides.
    pub held: bool,
    /// When it ended.
    pub ended: Option<Millis>,
    /// What its version answered from the deploy to the end of the release.
    pub answered: ArmCounts,
    /// What the version had answered before.
    pub before: ArmCounts,
}

/// A scenario that was played.
#[derive(Clone, Debug, Default)]
pub struct Trace {
    /// The seed.
    pub seed: u64,
    /// The timeline.
    pub lines: Vec<Line>,
    /// The first thing that was not as it should be.
    pub failure: Option<Failure>,
    /// When the last entry ended.
    pub end: Millis,
    /// The releases after the first deploy, in order.
    pub releases: Vec<Release>,
    /// Answers by image.
    pub versions: Vec<(String, ArmCounts)>,
    /// Requests that no pod answered.
    pub lost: u64,
    /// Ticks of the engine.
    pub ticks: u64,
    /// Expectations that were met.
    pub met: u32,
    /// The status at the end.
    pub status: RolloutStatus,
    /// Pods, targets and routes at the end, as text.
    pub state: String,
    /// Writes of the last process: the places where it could have died.
    pub writes: u64,
}

impl Trace {
    /// Whether everything was as it should be.
    pub fn passed(&self) -> bool {
        self.failure.is_none()
    }

    /// Adds a line.
    pub fn line(&mut self, at: Millis, mark: Mark, text: impl Into<String>) {
        self.lines.push(Line { at, mark, text: text.into() });
    }
}

/// Where a rollout is, in one line: `Progressing step 1/3 at 5 %: observing ...`.
pub fn place(status: &RolloutStatus) -> String {
    let Some(phase) = status.phase else { return "nothing is known yet".to_owned() };
    let step = match phase {
        Phase::Progressing | Phase::Paused if status.stable_revision.is_some() => {
            format!(" step {} at {}", status.step_shown, status.weights.desired)
        }
        _ => String::new(),
    };
    format!("{phase:?}{step}: {}", status.message)
}
