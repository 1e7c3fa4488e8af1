//! The past of a Rollout: the releases that ended, how far they got, and the commands that were given.

use std::fmt;

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::Serialize;

use super::{acts, document::Shape};
use crate::{
    api::{
        Percent, Rollout, RolloutStatus,
        command::{CommandState, Verb},
        status::{CommandRecord, HistoryEntry, Outcome, RevisionRef},
    },
    engine::items::{Item, items, weight_at},
};

/// The past releases and commands of a Rollout.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct History {
    /// Past releases, newest first; the last 10 are recorded.
    pub releases: Vec<PastRelease>,
    /// Commands, newest first; the last 20 are recorded.
    pub commands: Vec<PastCommand>,
}

impl Shape for History {
    const KIND: &'static str = "RolloutHistory";
}

/// A release that ended.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PastRelease {
    /// The revision.
    pub revision: RevisionRef,
    /// The attempt at it, from 1.
    pub attempt: u32,
    /// How it ended.
    pub outcome: Outcome,
    /// When it began.
    pub started_at: Timestamp,
    /// When it ended.
    pub ended_at: Timestamp,
    /// How long it took, in seconds.
    pub took_seconds: i64,
    /// How far it got; absent if it was promoted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub step: Option<StepReached>,
    /// The abort that ended it, if one did.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub aborted: Option<acts::Act>,
    /// The undo that ended it, if one did.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub undone: Option<acts::Act>,
    /// Why it ended, human-readable.
    pub reason: String,
    /// The images of its containers.
    pub images: Vec<String>,
}

/// How far a release got, by the steps of the current spec.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct StepReached {
    /// The step at which it ended, from 1; the last one if all were complete.
    pub number: usize,
    /// The number of steps.
    pub of: usize,
    /// The canary's share of traffic then, in percent; absent where it was not recorded (by an earlier version of the
    /// controller).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub weight: Option<Percent>,
    /// Whether all steps were complete, so that it ended in its promotion.
    pub all_complete: bool,
}

impl fmt::Display for StepReached {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let after = if self.all_complete { "after " } else { "" };
        write!(f, "{after}{}/{}", self.number, self.of)?;
        match self.weight {
            Some(weight) => write!(f, ", {weight}"),
            None => Ok(()),
        }
    }
}

/// A command that was executed or rejected.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PastCommand {
    /// The verb.
    pub verb: Verb,
    /// What became of it.
    pub state: CommandState,
    /// The revision that was current then; absent for a command before the first recorded release.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub revision: Option<RevisionRef>,
    /// The author.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
    /// The reason that was given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
    /// The result, human-readable.
    pub message: String,
    /// When it was processed.
    pub at: Timestamp,
}

impl History {
    /// Of a Rollout, at most so many of each.
    pub fn of(rollout: &Rollout, limit: usize) -> Self {
        let empty = RolloutStatus::default();
        let status = rollout.status.as_ref().unwrap_or(&empty);
        let steps = items(&rollout.spec.strategy.steps());
        History {
            releases: status.history.iter().take(limit).map(|entry| PastRelease::of(entry, status, &steps)).collect(),
            commands: status.commands.iter().take(limit).map(|record| PastCommand::of(record, status)).collect(),
        }
    }
}

impl PastRelease {
    pub(super) fn of(entry: &HistoryEntry, status: &RolloutStatus, steps: &[Item]) -> Self {
        PastRelease {
            revision: entry.revision.clone(),
            attempt: entry.attempt,
            outcome: entry.outcome,
            started_at: entry.started_at,
            ended_at: entry.ended_at,
            took_seconds: entry.ended_at.duration_since(entry.started_at).as_secs(),
            step: StepReached::of(entry, steps),
            aborted: acts::aborted(status, entry),
            undone: acts::undone(status, entry),
            reason: entry.reason.clone(),
            images: entry.images.clone(),
        }
    }

    /// Why it ended, with the author of an abort or undo: `by ann: "dashboards look odd"`.
    pub fn why(&self) -> String {
        match (&self.aborted, &self.undone) {
            (Some(abort), _) => abort.words(),
            // The file did not change: undo pins the revision against it.
            (None, Some(undo)) if self.outcome == Outcome::RolledBack => format!("undo {}", undo.words()),
            (None, Some(undo)) => format!("{}, undo {}", self.reason, undo.words()),
            (None, None) => self.reason.clone(),
        }
    }
}

fn is_current(entry: &HistoryEntry, status: &RolloutStatus) -> bool {
    status.current_revision.as_ref() == Some(&entry.revision) && entry.attempt == status.attempt
}

impl StepReached {
    /// Of an entry: a promotion is past all steps.
    fn of(entry: &HistoryEntry, steps: &[Item]) -> Option<Self> {
        let (index, of) = (entry.step_index as usize, steps.len());
        let is_promoted = match entry.outcome {
            Outcome::Promoted | Outcome::FastPromoted => true,
            // A blue-green version that still had its pods became active again, without steps.
            Outcome::RolledBack => index >= of,
            Outcome::Aborted | Outcome::Superseded | Outcome::KeptControl => false,
        };
        if is_promoted || of == 0 {
            return None;
        }
        // A step that waits for something else was reached with its weight in force.
        let is_there = |step: &Item| !matches!(step, Item::Ramp { .. } | Item::SetWeight(_));
        let of_step = || steps.get(index).filter(|step| is_there(step)).map(|_| weight_at(steps, entry.step_index, 0));
        let weight = entry.weight.or_else(|| of_step().filter(|weight| !weight.is_zero()));
        Some(StepReached { number: (index + 1).min(of), of, weight, all_complete: index >= of })
    }
}

impl PastCommand {
    pub(super) fn of(record: &CommandRecord, status: &RolloutStatus) -> Self {
        PastCommand {
            verb: record.verb,
            state: record.state,
            revision: acts::revision_at(status, record.taken_at),
            by: record.requested_by.clone(),
            why: record.why.clone(),
            message: record.message.clone(),
            at: record.taken_at,
        }
    }
}

/// The end of the attempt at the current revision, if it has one.
pub fn ended(rollout: &Rollout) -> Option<PastRelease> {
    let status = rollout.status.as_ref()?;
    let entry = status.history.first()?;
    is_current(entry, status).then(|| PastRelease::of(entry, status, &items(&rollout.spec.strategy.steps())))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::view::{document::document, samples};

    #[test]
    fn the_shape_of_a_history() {
        for (name, sample) in [("healthy", samples::healthy()), ("aborted", samples::aborted_by_command())] {
            let json = document(&sample.rollout, &History::of(&sample.rollout, 10)).unwrap();
            insta::assert_snapshot!(format!("history_{name}"), serde_json::to_string_pretty(&json).unwrap());
        }
    }

    /// A canary whose pods never came up has no traffic, whatever its step wants.
    #[test]
    fn a_release_ended_with_the_traffic_that_it_had() {
        let reached = |sample: &samples::Sample| ended(&sample.rollout).unwrap().step.map(|step| step.to_string());
        let mut sample = samples::aborted();
        sample.rollout.status.as_mut().unwrap().history[0].step_index = 2;
        assert_eq!(reached(&sample).as_deref(), Some("3/7"), "an earlier version recorded no weight");
        for (had, said) in [(0, "3/7, 0 %"), (5, "3/7, 5 %")] {
            let status = sample.rollout.status.as_mut().unwrap();
            status.history[0].weight = Some(Percent::whole(had));
            assert_eq!(reached(&sample).as_deref(), Some(said));
        }
        let explained = crate::view::explanation::Explanation::of(&sample.rollout, samples::NOW).summary;
        assert!(explained.contains("It was at step 3 of 7, at 5 %; #41 receives 100 % of traffic."), "{explained}");
    }

    #[test]
    fn an_undo_that_ends_a_release_has_an_author() {
        let mut rollout = samples::aborted_by_command().rollout;
        for (outcome, reason, why) in [
            (Outcome::RolledBack, "the spec returned to revision #41", "undo by ann: \"dashboards look odd\""),
            (
                Outcome::Superseded,
                "superseded by revision #43",
                "superseded by revision #43, undo by ann: \"dashboards look odd\"",
            ),
        ] {
            let status = rollout.status.as_mut().unwrap();
            status.commands.iter_mut().for_each(|command| command.verb = Verb::Undo);
            (status.history[0].outcome, status.history[0].reason) = (outcome, reason.into());
            assert_eq!(History::of(&rollout, 1).releases[0].why(), why);
        }
    }

    /// A promotion is past all steps, and the weight in a ramp is not recorded.
    #[test]
    fn how_far_a_release_got() {
        let reached = |sample: &samples::Sample| ended(&sample.rollout).unwrap().step.map(|step| step.to_string());
        let mut sample = samples::aborted();
        assert_eq!(reached(&sample).as_deref(), Some("4/7, 25 %"));
        sample.rollout.status.as_mut().unwrap().history[0].step_index = 7;
        assert_eq!(reached(&sample).as_deref(), Some("after 7/7"), "in its promotion");
        sample.rollout.status.as_mut().unwrap().history[0].step_index = 1;
        sample.rollout.spec.strategy = samples::many_steps().rollout.spec.strategy;
        assert_eq!(reached(&sample).as_deref(), Some("2/11"));
        sample.rollout.status.as_mut().unwrap().attempt = 2;
        assert_eq!(ended(&sample.rollout), None, "another attempt");
    }
}
