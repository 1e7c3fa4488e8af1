//! The steps of a release as they are named, and how far they are.

use std::fmt;

use serde::{Serialize, Serializer};

use super::phrases::short;
use crate::{
    api::{
        Percent, Rollout, RolloutStatus,
        status::{Course, State},
        strategy::Gate,
    },
    engine::items::{Item, Scale, items},
};

/// One step of the release.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct StepRow {
    /// Its short name; that of a ramp in progress says how far it is.
    pub label: String,
    /// How far it is.
    pub mark: Mark,
}

/// How far a step is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Mark {
    /// It is complete.
    Done,
    /// It is in progress.
    Current,
    /// It would be in progress, but the release is held.
    Held,
    /// It is still to come, or no release is in progress.
    Ahead,
}

/// The steps of the spec, or those that another strategy amounts to.
pub fn steps(rollout: &Rollout) -> Vec<StepRow> {
    let empty = RolloutStatus::default();
    let status = rollout.status.as_ref().unwrap_or(&empty);
    let row = |(index, item): (usize, Item)| {
        let mark = mark(index, status);
        let done = if mark == Mark::Current { ramp_position(&item, status.sub_step()) } else { None };
        let done = done.map(|(done, all)| format!(" ({done}/{all})")).unwrap_or_default();
        StepRow { label: label(&item) + &done, mark }
    };
    items(&rollout.spec.strategy.steps()).into_iter().enumerate().map(row).collect()
}

fn mark(index: usize, status: &RolloutStatus) -> Mark {
    let at = status.step_index as usize;
    match status.course() {
        Course::Promoting => Mark::Done,
        Course::Stepping if index < at => Mark::Done,
        Course::Stepping if index == at && status.held().is_some() => Mark::Held,
        Course::Stepping if index == at => Mark::Current,
        _ => Mark::Ahead,
    }
}

/// The step in progress and how many there are, while steps are in progress.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Counter {
    /// From 1; never above the number of steps.
    pub step: usize,
    /// How many there are.
    pub of: usize,
}

impl Counter {
    /// Of a Rollout.
    pub fn of(rollout: &Rollout) -> Option<Self> {
        let status = rollout.status.as_ref().filter(|status| matches!(status.state, State::Stepping(_)))?;
        let of = rollout.spec.strategy.steps().len();
        Some(Counter { step: (status.step_index as usize + 1).min(of.max(1)), of })
    }
}

impl fmt::Display for Counter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "step {}/{}", self.step, self.of)
    }
}

/// Which weight of a ramp a sub-step belongs to, from 1, and how many there are. Each has two sub-steps: move, then wait
/// (rule S17).
pub fn ramp_position(item: &Item, sub_step: u32) -> Option<(usize, usize)> {
    let Item::Ramp { weights, .. } = item else { return None };
    Some(((sub_step as usize / 2 + 1).min(weights.len()), weights.len()))
}

/// The last weight of a ramp.
pub fn ramp_end(weights: &[Percent]) -> Percent {
    weights.last().copied().unwrap_or_default()
}

/// A short name of a step: `25 %`, `pause 10m`, `approval release-manager`.
pub fn label(item: &Item) -> String {
    match item {
        Item::SetWeight(weight) => weight.to_string(),
        Item::Pause(duration) => duration.map_or_else(|| "pause".into(), |d| format!("pause {}", short(d.signed()))),
        Item::Observe { .. } => "observe".into(),
        Item::Analysis(_) => "analysis".into(),
        Item::SetCanaryScale(Scale::Replicas(replicas)) => format!("scale {replicas}"),
        Item::SetCanaryScale(Scale::Share(share)) => format!("scale {share}"),
        Item::SetCanaryScale(Scale::MatchWeight) => "scale as weight".into(),
        Item::Gate(gate) => gate_name(gate),
        Item::Decide(_) => "test".into(),
        Item::HeaderRoute(route) if route.matches.is_empty() => format!("no {}", route.name),
        Item::HeaderRoute(route) => format!("header {}", route.name),
        Item::MirrorRoute(mirror) if mirror.percent.is_zero() => "no mirror".into(),
        Item::MirrorRoute(mirror) => format!("mirror {}", mirror.percent),
        Item::Ramp { weights, .. } => format!("ramp to {}", ramp_end(weights)),
    }
}

/// A step as part of a sentence: `analysis checkout-load-test`, `a pause of 10m`.
pub fn phrase(item: &Item) -> String {
    match item {
        Item::Pause(None) => "a pause until an operator promotes".into(),
        Item::Pause(Some(duration)) => format!("a pause of {}", short(duration.signed())),
        Item::Observe { at_least, .. } if at_least.get().is_zero() => "observe".into(),
        Item::Observe { at_least, .. } => format!("observe for at least {}", short(at_least.signed())),
        Item::Analysis(analysis) => {
            let names: Vec<&str> = analysis.templates.iter().map(|template| template.name.as_str()).collect();
            format!("analysis {}", names.join(", "))
        }
        Item::Decide(decide) => format!("a test of at most {}", short(decide.at_most.signed())),
        Item::SetCanaryScale(_) => format!("canary {}", label(item)),
        Item::Ramp { weights, by, every } => {
            let (from, to) = (weights.first().copied().unwrap_or_default(), ramp_end(weights));
            format!("a ramp from {from} to {to} by {by} every {}", short(every.signed()))
        }
        Item::SetWeight(_) | Item::Gate(_) | Item::HeaderRoute(_) | Item::MirrorRoute(_) => label(item),
    }
}

/// `gate change-freeze`, `approval release-manager`.
pub fn gate_name(gate: &Gate) -> String {
    format!("{} {}", if gate.is_approval() { "approval" } else { "gate" }, gate.name)
}

/// A step as its name alone: what it holds besides may be secret, such as the address of a gate.
pub(super) fn as_phrase<S: Serializer>(item: &Item, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&phrase(item))
}
