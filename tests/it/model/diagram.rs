//! What the engine was seen to do: from which course and stage to which, and why.

use std::collections::{BTreeMap, BTreeSet};

use glidepath::{
    api::{
        RolloutStatus,
        status::{Course, Phase, Stage},
    },
    engine::Decision,
};

/// Where a rollout is: its course, and in a promotion its stage.
pub type Place = (Course, Option<Stage>);

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
        let taken = after.commands.first().filter(|first| Some(*first) != before.commands.first());
        let command = taken.map(|record| record.verb.as_str().to_owned());
        let told = decision.notices.iter().map(|notice| notice.reason.clone()).filter(|reason| reason != "Command");
        let reasons: Vec<String> = command.into_iter().chain(told).collect();
        self.changes.entry((from, to)).or_default().insert(reasons.join(" "));
    }
}
