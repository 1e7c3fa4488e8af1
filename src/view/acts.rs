//! Who did what: the recorded commands, joined with what they brought about.

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::Serialize;

use crate::api::{
    RolloutStatus,
    command::{CommandState, Verb},
    status::{CommandRecord, HistoryEntry, Outcome, RevisionRef},
};

/// A command that took effect: its author, reason and time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Act {
    /// The author.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
    /// The reason that was given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
    /// When it was executed.
    pub at: Timestamp,
}

impl Act {
    fn of(record: &CommandRecord) -> Self {
        Act { by: record.requested_by.clone(), why: record.why.clone(), at: record.taken_at }
    }

    /// `by ann: "dashboards look odd"`.
    pub fn words(&self) -> String {
        let by = self.by.as_deref().unwrap_or("an unknown user");
        self.why.as_ref().map_or_else(|| format!("by {by}"), |why| format!("by {by}: \"{why}\""))
    }

    /// ` by ann`, or nothing for an author that is unknown.
    pub fn by(&self) -> String {
        self.by.as_ref().map(|by| format!(" by {by}")).unwrap_or_default()
    }
}

/// The pause by command that is in force. A second `pause` changes nothing, so the first one since the last `resume` counts.
pub fn paused(status: &RolloutStatus) -> Option<Act> {
    if !status.paused_by_command {
        return None;
    }
    let done = status.commands.iter().filter(|record| record.state == CommandState::Done);
    let since_resume = done.take_while(|record| record.verb != Verb::Resume);
    since_resume.filter(|record| record.verb == Verb::Pause).last().map(Act::of)
}

/// The abort that ended a release.
pub fn aborted(status: &RolloutStatus, entry: &HistoryEntry) -> Option<Act> {
    ended(Verb::Abort, status, entry)
}

/// The undo that ended a release, by going back or by releasing another revision.
pub fn undone(status: &RolloutStatus, entry: &HistoryEntry) -> Option<Act> {
    ended(Verb::Undo, status, entry).filter(|_| matches!(entry.outcome, Outcome::RolledBack | Outcome::Superseded))
}

/// The command that ended a release: it is recorded in the same tick as the end.
fn ended(verb: Verb, status: &RolloutStatus, entry: &HistoryEntry) -> Option<Act> {
    let is_it = |record: &&CommandRecord| {
        record.verb == verb && record.state == CommandState::Done && record.taken_at == entry.ended_at
    };
    status.commands.iter().find(is_it).map(Act::of)
}

/// The revision that was current when a command was executed, if the history reaches back so far.
pub fn revision_at(status: &RolloutStatus, at: Timestamp) -> Option<RevisionRef> {
    let in_progress = status.state.release().filter(|release| release.since <= at);
    if in_progress.is_some() {
        return status.current_revision.clone();
    }
    let past = status.history.iter().find(|entry| entry.started_at <= at);
    past.map(|entry| entry.revision.clone())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::view::samples::{self, ago};
    use serde_json::json;

    fn with_commands(commands: &[(&str, &str, &str, i64)]) -> RolloutStatus {
        let record = |(index, (verb, state, by, seconds)): (usize, &(&str, &str, &str, i64))| {
            json!({ "uid": format!("c-{index}"), "name": format!("c-{index}"), "verb": verb, "state": state, "message": "",
                "requestedBy": by, "why": "lunch", "takenAt": ago(*seconds) })
        };
        let commands: Vec<_> = commands.iter().enumerate().map(record).collect();
        RolloutStatus {
            paused_by_command: true,
            commands: serde_json::from_value(json!(commands)).unwrap(),
            ..samples::healthy().rollout.status.unwrap()
        }
    }

    #[test]
    fn the_pause_in_force_is_the_first_since_the_last_resume() {
        for (commands, by) in [
            (vec![("pause", "Done", "ann", 60)], Some("ann")),
            (vec![("pause", "Done", "bob", 30), ("pause", "Done", "ann", 60)], Some("ann")),
            (
                vec![("pause", "Done", "bob", 30), ("resume", "Done", "bob", 40), ("pause", "Done", "ann", 60)],
                Some("bob"),
            ),
            (vec![("resume", "Refused", "bob", 40), ("pause", "Done", "ann", 60)], Some("ann")),
            (vec![("promote", "Refused", "ann", 60)], None),
        ] {
            let status = with_commands(&commands);
            assert_eq!(paused(&status).and_then(|act| act.by).as_deref(), by, "{commands:?}");
            assert_eq!(paused(&RolloutStatus { paused_by_command: false, ..status }), None);
        }
    }

    #[test]
    fn a_command_is_for_the_revision_that_was_current_then() {
        let status = samples::aborted().rollout.status.unwrap();
        let number = |seconds| revision_at(&status, ago(seconds)).map(|revision| revision.number);
        assert_eq!(number(10), Some(42), "after the abort it is still the current one");
        assert_eq!(number(700), Some(42));
        assert_eq!(number(530_000), Some(41), "between two releases");
        assert_eq!(number(900_000), None, "before all that is recorded");
        let stepping = samples::observing().rollout.status.unwrap();
        assert_eq!(revision_at(&stepping, ago(10)).map(|revision| revision.number), Some(42));
    }
}
