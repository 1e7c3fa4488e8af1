//! What the engine was seen to do: from which course and stage to which, and why.

use std::collections::{BTreeMap, BTreeSet};

use glidepath::{
    api::{
        RolloutStatus,
        command::{CommandState, Verb},
        status::{CommandRecord, Phase},
    },
    engine::Decision,
};

/// Changes of place with their reasons, and the phases that people read in each place.
#[derive(Default)]
pub struct Edges {
    pub changes: BTreeMap<(String, String), BTreeSet<String>>,
    pub phases: BTreeMap<String, BTreeSet<String>>,
}

/// How a place is called.
pub fn name(status: &RolloutStatus) -> String {
    match status.stage {
        Some(stage) => format!("{:?}", stage),
        None => format!("{:?}", status.course),
    }
}

impl Edges {
    pub fn note(&mut self, before: &RolloutStatus, decision: &Decision) {
        let after = &decision.status;
        let started = before.current_revision.is_some();
        let (from, to) = (if started { name(before) } else { "[*]".to_owned() }, name(after));
        let phase = format!("{:?}", after.phase.unwrap_or(Phase::Progressing));
        self.phases.entry(to.clone()).or_default().insert(phase);
        let fresh = before.current_revision != after.current_revision || before.attempt != after.attempt;
        if from == to && !(fresh && started) {
            return;
        }
        self.changes.entry((from, to)).or_default().insert(why(before, decision));
    }
}

/// What was told, else the command that did it.
fn why(before: &RolloutStatus, decision: &Decision) -> String {
    let quiet = ["Command", "StepCompleted"];
    let told: Vec<&str> = decision.notices.iter().map(|notice| notice.reason.as_str()).collect();
    let told: Vec<&str> = told.into_iter().filter(|reason| !quiet.contains(reason)).collect();
    let taken = decision.status.commands.first().filter(|first| Some(*first) != before.commands.first());
    let does = |record: &&CommandRecord| record.state == CommandState::Done && record.verb != Verb::Pause;
    match taken.filter(does) {
        Some(record) if told.is_empty() => record.verb.as_str().to_owned(),
        _ => told.join(", "),
    }
}
