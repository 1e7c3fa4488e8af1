//! What the engine was seen to do: from which course and stage to which, and why; and that as a diagram.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write,
};

use glidepath::{
    api::{RolloutStatus, command::CommandState, reason::Reason, status::Phase},
    engine::Decision,
};

/// Before anything is known of a rollout.
const START: &str = "[*]";

/// Changes of place with their reasons, and the phases that users read in each place. A place is a rollout's course,
/// and in a promotion its stage.
#[derive(Default)]
pub struct Edges {
    changes: BTreeMap<(String, String), BTreeSet<String>>,
    phases: BTreeMap<String, BTreeSet<String>>,
}

/// How the place of a status is called.
pub fn place(status: &RolloutStatus) -> String {
    match (status.current_revision.is_some(), status.stage()) {
        (false, _) => START.to_owned(),
        (true, Some(stage)) => format!("{:?}_{stage:?}", status.course()),
        (true, None) => format!("{:?}", status.course()),
    }
}

impl Edges {
    /// Notes what was decided.
    pub fn note(&mut self, before: &RolloutStatus, decision: &Decision) {
        let after = &decision.status;
        let (from, to) = (place(before), place(after));
        let phase = format!("{:?}", after.phase.unwrap_or(Phase::Progressing));
        self.phases.entry(to.clone()).or_default().insert(phase);
        let anew = before.current_revision != after.current_revision || before.attempt != after.attempt;
        if from != to || anew {
            self.changes.entry((from, to)).or_default().insert(why(before, decision));
        }
    }

    /// Takes over what was noted of the same strategy elsewhere.
    pub fn join(&mut self, other: Edges) {
        for (change, reasons) in other.changes {
            self.changes.entry(change).or_default().extend(reasons);
        }
        for (place, phases) in other.phases {
            self.phases.entry(place).or_default().extend(phases);
        }
    }

    /// Every place with the places that follow it, one a line: `Idle -> Stepping Promoting_Scale`.
    pub fn followers(&self) -> String {
        let mut following: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        for (from, to) in self.changes.keys() {
            following.entry(from).or_default().push(to);
        }
        let lines: Vec<String> = following.iter().map(|(from, to)| format!("{from} -> {}", to.join(" "))).collect();
        lines.join("\n")
    }

    /// As a Mermaid diagram.
    pub fn diagram(&self) -> String {
        let mut text = "```mermaid\nstateDiagram-v2\n".to_owned();
        for place in self.phases.keys().filter(|place| place.contains('_')) {
            writeln!(text, "    state \"{}\" as {place}", shown(place)).unwrap();
        }
        for ((from, to), reasons) in &self.changes {
            let told: Vec<&str> = reasons.iter().map(String::as_str).filter(|reason| !reason.is_empty()).collect();
            let why = if told.is_empty() { String::new() } else { format!(": {}", told.join(" or ")) };
            writeln!(text, "    {from} --> {to}{why}").unwrap();
        }
        text + "```\n"
    }

    /// The phases that users read in each place, as a table.
    pub fn table(&self) -> String {
        let mut text = "| State | Phase |\n|---|---|\n".to_owned();
        for (place, phases) in &self.phases {
            let phases: Vec<&str> = phases.iter().map(String::as_str).collect();
            writeln!(text, "| {} | {} |", shown(place), phases.join(", ")).unwrap();
        }
        text
    }
}

fn shown(place: &str) -> String {
    place.replace('_', ": ")
}

/// What was reported last, else the command that did it.
fn why(before: &RolloutStatus, decision: &Decision) -> String {
    let beside = |reason: &&Reason| matches!(reason, Reason::Command | Reason::StepCompleted | Reason::PauseOver);
    let told = decision.notices.iter().map(|notice| &notice.reason).rfind(|reason| !beside(reason));
    let taken = decision.status.commands.first().filter(|first| Some(*first) != before.commands.first());
    match (told, taken) {
        (Some(told), _) => told.to_string(),
        (None, Some(record)) if record.state == CommandState::Done => record.verb.as_str().to_owned(),
        _ => String::new(),
    }
}
