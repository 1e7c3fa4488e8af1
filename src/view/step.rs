//! The steps of a release as they are named, and how far they are.

use std::fmt;

use schemars::JsonSchema;
use serde::{Serialize, Serializer};

use super::{history, phrases::short};
use crate::{
    api::{
        Percent, Rollout, RolloutStatus,
        status::{Course, State},
        strategy::{Gate, Strategy},
    },
    engine::items::{Item, Scale, items},
};

/// One step of the release.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct StepRow {
    /// Its short name; that of a ramp in progress says how far it is.
    #[serde(rename = "name")]
    pub label: String,
    /// How far it is.
    #[serde(rename = "state")]
    pub mark: Mark,
    /// How many seconds it took, pauses included, once it is complete; none if it was skipped.
    #[serde(rename = "tookSeconds", skip_serializing_if = "Option::is_none")]
    pub took: Option<i64>,
}

/// How far a step is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub enum Mark {
    /// It is complete.
    Done,
    /// It is in progress.
    Current,
    /// It would be in progress, but the release is held.
    Held,
    /// The release ended here.
    Failed,
    /// It is still to come, or no release is in progress.
    Ahead,
}

/// The steps of the spec, or those that another strategy amounts to.
pub fn steps(rollout: &Rollout) -> Vec<StepRow> {
    let empty = RolloutStatus::default();
    let status = rollout.status.as_ref().unwrap_or(&empty);
    let (stopped_at, times) = (stopped_at(rollout, status), times(status));
    let row = |(index, item): (usize, Item)| {
        let mark = mark(index, status, stopped_at);
        let done = if mark == Mark::Current { ramp_position(&item, status.sub_step()) } else { None };
        let done = done.map(|(done, all)| format!(" ({done}/{all})")).unwrap_or_default();
        let took = times.get(index).copied().filter(|seconds| *seconds > 0);
        StepRow { label: label_in(&rollout.spec.strategy, &item) + &done, mark, took }
    };
    items(&rollout.spec.strategy.steps()).into_iter().enumerate().map(row).collect()
}

/// The step at which the current revision was rolled back, from 0; the number of steps if that was in its promotion.
fn stopped_at(rollout: &Rollout, status: &RolloutStatus) -> Option<usize> {
    let is_over = matches!(status.course(), Course::Aborted | Course::ControlKept);
    let ended = history::ended(rollout).filter(|_| is_over)?;
    Some(ended.step.filter(|step| !step.all_complete).map_or(usize::MAX, |step| step.number - 1))
}

fn mark(index: usize, status: &RolloutStatus, stopped_at: Option<usize>) -> Mark {
    let at = status.step_index as usize;
    match (status.course(), stopped_at) {
        (_, Some(end)) if index < end => Mark::Done,
        // The step that decides a test has done what it is there for.
        (Course::ControlKept, Some(end)) if index == end => Mark::Done,
        (_, Some(end)) if index == end => Mark::Failed,
        (course, _) => mark_in(course, index, at, status),
    }
}

fn mark_in(course: Course, index: usize, at: usize, status: &RolloutStatus) -> Mark {
    match course {
        Course::Promoting => Mark::Done,
        Course::Stepping if index < at => Mark::Done,
        Course::Stepping if index == at && status.held().is_some() => Mark::Held,
        Course::Stepping if index == at => Mark::Current,
        _ => Mark::Ahead,
    }
}

/// How long each of the steps that are complete took, pauses included; those that no time was spent on took none.
fn times(status: &RolloutStatus) -> Vec<i64> {
    let Some(release) = status.state.release() else { return Vec::new() };
    let begins = std::iter::once(&release.since).chain(&release.step_ends);
    begins.zip(&release.step_ends).map(|(begin, end)| end.duration_since(*begin).as_secs()).collect()
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

/// A short name of a step, in the words of its strategy: the pods that a blue-green release brings up are its preview.
fn label_in(strategy: &Strategy, item: &Item) -> String {
    match (&strategy.blue_green, item) {
        (Some(_), Item::SetCanaryScale(_)) => "preview".into(),
        _ => label(item),
    }
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::view::samples::{self, Sample};

    #[test]
    fn the_step_at_which_a_release_failed_is_marked() {
        use Mark::{Ahead, Done, Failed};
        let marks = |sample: Sample| steps(&sample.rollout).into_iter().map(|step| step.mark).collect::<Vec<_>>();
        assert_eq!(marks(samples::aborted()), [Done, Done, Done, Failed, Ahead, Ahead, Ahead]);
        let mut in_promotion = samples::aborted();
        in_promotion.rollout.status.as_mut().unwrap().history[0].step_index = 7;
        assert_eq!(marks(in_promotion), [Done; 7]);
        let mut retried = samples::aborted();
        retried.rollout.status.as_mut().unwrap().history[0].attempt = 7;
        assert_eq!(marks(retried), [Ahead; 7], "the end of another attempt");
    }

    #[test]
    fn steps_that_are_complete_say_how_long_they_took() {
        let took = |sample: Sample| steps(&sample.rollout).into_iter().filter_map(|step| step.took).collect::<Vec<_>>();
        assert_eq!(took(samples::observing()), [436, 436, 436]);
        assert!(took(samples::aborted()).is_empty());
        let mut jumped = samples::observing();
        let release = jumped.rollout.status.as_mut().unwrap().state.release_mut().unwrap();
        release.step_ends[1] = release.step_ends[0];
        assert_eq!(took(jumped), [436, 872], "a step that was skipped took no time");
    }
}
