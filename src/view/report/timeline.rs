//! Everything of a release that has a time, in order.

use jiff::Timestamp;

use super::run::RunPart;
use crate::{
    api::{analysis::RunPhase, command::CommandState, status::PastWeight},
    view::{acts::Act, history::PastCommand},
};

/// One moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Moment {
    /// When.
    pub at: Timestamp,
    /// What happened.
    pub what: String,
}

/// Changes of weight.
pub(super) fn of_weights(weights: &[PastWeight]) -> impl Iterator<Item = Moment> {
    weights.iter().map(|PastWeight { at, weight }| moment(*at, format!("the canary's weight was set to {weight}")))
}

/// Starts and ends of analyses.
pub(super) fn of_runs(runs: &[RunPart]) -> impl Iterator<Item = Moment> {
    runs.iter().flat_map(|run| {
        let ended = run.through.filter(|_| run.phase != RunPhase::Running);
        let end = ended.map(|at| moment(at, format!("{} counted its last window: {:?}", run.name, run.verdict)));
        std::iter::once(moment(run.started_at, format!("analysis {} began", run.name))).chain(end)
    })
}

/// Commands with their authors.
pub(super) fn of_commands(commands: &[PastCommand]) -> impl Iterator<Item = Moment> {
    commands.iter().map(|command| {
        let act = Act { by: command.by.clone(), why: command.why.clone(), at: command.at };
        let rejected = if command.state == CommandState::Done { "" } else { " was rejected" };
        let what = format!("{} {}{rejected}: {}", command.verb.as_str(), act.words(), command.message);
        moment(command.at, what)
    })
}

fn moment(at: Timestamp, what: String) -> Moment {
    Moment { at, what }
}
