//! Expectations of a scenario against what is seen: one list of keys and one set of messages for the simulator and for
//! a real cluster.

use std::{borrow::Cow, fmt::Display};

use serde::Serialize;

use crate::{
    api::{
        RolloutStatus,
        command::CommandState,
        common::Percent,
        status::{Phase, RevisionRef},
    },
    sim::trace,
};

use super::{
    scenario::{Always, Expect},
    time::Millis,
};

/// How far the ratio of pods may be from the expected share: half a percent.
const NEARLY: u32 = 50;

/// What a world shows of itself at one moment.
pub trait Seen {
    /// The status on record; empty before the first, and once the Rollout is gone.
    fn status(&self) -> Cow<'_, RolloutStatus>;
    /// Whether the Rollout is there.
    fn is_there(&self) -> bool;
    /// Every revision that has pods or had some.
    fn revisions(&self) -> Vec<RevisionShown>;
    /// Available pods of all revisions, and the Deployment's own.
    fn available(&self) -> u32;
    /// The canary weight in the routes; `None` without a mesh.
    fn route_weight(&self) -> Option<Percent>;
    /// The names of the header routes.
    fn header_routes(&self) -> Vec<String>;
    /// The share of requests that is copied.
    fn mirror(&self) -> Percent;
    /// The revision id that a Service selects.
    fn service(&self, name: &str) -> Selects;
    /// What the active Service, or the stable target, selects.
    fn active(&self) -> Selects;
    /// What the preview Service, or the canary target, selects.
    fn preview(&self) -> Selects;
    /// The referenced Deployment's replicas and whether it is paused.
    fn workload(&self) -> Option<(u32, bool)>;
    /// The answer to the last command; `None` while it has none.
    fn answer(&self) -> Option<(CommandState, String)>;
    /// Whether an event with this reason was emitted at this time or later.
    fn told(&self, reason: &str, since: Millis) -> bool;
    /// Requests that no pod answered.
    fn lost(&self) -> u64;
}

/// A revision as it is seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RevisionShown {
    /// Its id.
    pub id: String,
    /// Its number.
    pub number: u64,
    /// Its first image.
    pub image: String,
    /// Its available pods.
    pub available: u32,
}

/// What a Service or subset selects.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Selects {
    /// One revision, by its id.
    Revision(String),
    /// What the user wrote.
    All,
    /// It is not there, or plays no part.
    Nothing,
}

/// Everything that is not as expected: `phase is Progressing, wanted Healthy`. `since` is the previous expectation's end.
pub fn mismatches(expect: &Expect, seen: &impl Seen, since: Millis) -> Vec<String> {
    let mut check = Check { found: Vec::new(), seen };
    check.place(expect);
    check.weights(expect);
    check.pods(expect);
    check.objects(expect);
    check.records(expect, since);
    check.found
}

/// Everything that breaks what must always hold.
pub fn broken(always: &Always, seen: &impl Seen) -> Vec<String> {
    let mut found = Vec::new();
    if let Some(least) = always.total_available_at_least.filter(|least| seen.available() < *least) {
        found.push(format!("{} pods are available, wanted at least {least}", seen.available()));
    }
    let weight = written_weight(seen);
    if let Some(most) = always.weight_at_most.filter(|most| weight > *most) {
        found.push(format!("the canary weight is {weight}, wanted at most {most}"));
    }
    found.extend(too_many_lost(always.requests_lost, seen));
    found
}

fn too_many_lost(most: Option<u64>, seen: &impl Seen) -> Option<String> {
    let most = most.filter(|most| seen.lost() > *most)?;
    Some(format!("{} requests were lost, wanted at most {most}", seen.lost()))
}

/// The canary weight that was written last; without a mesh the step's.
fn written_weight(seen: &impl Seen) -> Percent {
    if let Some(weight) = seen.route_weight() {
        return weight;
    }
    let status = seen.status();
    if status.phase == Some(Phase::Healthy) { Percent::ZERO } else { status.weights.desired }
}

/// An expectation in one line, as its file has it.
pub fn words(expect: &Expect) -> String {
    let mut parts: Vec<String> = Vec::new();
    let mut add = |key: &str, value: Option<String>| parts.extend(value.map(|value| format!("{key} {value}")));
    add("phase", expect.phase.as_ref().map(word));
    add("reason", expect.reason.clone().map(|reason| format!("\"{reason}\"")));
    add("step", expect.step.map(|step| step.to_string()));
    add("stage", expect.stage.as_ref().map(word));
    add("weight", expect.weight.map(|weight| weight.to_string()));
    add("observedWeight", expect.observed_weight.map(|weight| weight.to_string()));
    if let Some(routes) = &expect.routes {
        add("routes.header", routes.header.as_ref().map(|names| format!("[{}]", names.join(", "))));
        add("routes.mirror", routes.mirror.map(|share| share.to_string()));
    }
    add("active", expect.active.clone());
    add("preview", expect.preview.clone());
    add("outcome", expect.outcome.as_ref().map(word));
    add("stableImage", expect.stable_image.clone());
    add("canaryImage", expect.canary_image.clone());
    add("command", expect.command.map(|result| format!("{result:?}")));
    add("requestsLost at most", expect.requests_lost.map(|lost| lost.to_string()));
    if let Some(workload) = &expect.workload {
        add("workload.replicas", workload.replicas.map(|replicas| replicas.to_string()));
        add("workload.paused", workload.paused.map(|paused| paused.to_string()));
    }
    add("pods", map(expect.pods.iter().map(|(key, value)| (key, value.to_string()))));
    add("services", map(expect.services.iter().map(|(key, value)| (key, value.clone()))));
    add("verdicts", map(expect.verdicts.iter().map(|(key, value)| (key, word(value)))));
    add("condition", map(expect.condition.iter().map(|(key, value)| (key, value.clone()))));
    add("events", (!expect.events.is_empty()).then(|| expect.events.join(", ")));
    if parts.is_empty() { "nothing in particular".to_owned() } else { parts.join(", ") }
}

fn map<'a>(entries: impl Iterator<Item = (&'a String, String)>) -> Option<String> {
    let all: Vec<String> = entries.map(|(key, value)| format!("{key} {value}")).collect();
    (!all.is_empty()).then(|| format!("({})", all.join(", ")))
}

/// An enum's variant as files write it.
fn word<T: Serialize>(value: &T) -> String {
    serde_json::to_value(value).ok().and_then(|value| value.as_str().map(str::to_owned)).unwrap_or_default()
}

struct Check<'a, S> {
    found: Vec<String>,
    seen: &'a S,
}

impl<S: Seen> Check<'_, S> {
    fn equal<T: PartialEq + Display>(&mut self, key: &str, wanted: Option<T>, seen: T) {
        if let Some(wanted) = wanted.filter(|wanted| *wanted != seen) {
            self.found.push(format!("{key} is {seen}, wanted {wanted}"));
        }
    }

    fn place(&mut self, expect: &Expect) {
        let seen = self.seen;
        let status = seen.status();
        let none = "not there yet".to_owned();
        self.equal("phase", expect.phase.as_ref().map(word), status.phase.as_ref().map_or(none.clone(), word));
        if let Some(part) = &expect.reason
            && !status.reason.as_str().contains(part.as_str())
            && !status.message.contains(part.as_str())
        {
            self.found.push(format!("reason is {} ({}), wanted \"{part}\" in it", status.reason, status.message));
        }
        self.equal("step", expect.step, status.step_index);
        self.equal("stage", expect.stage.as_ref().map(word), status.stage().as_ref().map_or("none".to_owned(), word));
        let outcome = status.history.first().map_or("none".to_owned(), |entry| word(&entry.outcome));
        self.equal("outcome", expect.outcome.as_ref().map(word), outcome);
        if expect.stable_image.is_none() && expect.canary_image.is_none() {
            return;
        }
        let revisions = seen.revisions();
        let image = |revision: Option<&RevisionRef>| {
            let shown = revision.and_then(|revision| revisions.iter().find(|shown| shown.id == revision.id));
            shown.map_or("none".to_owned(), |shown| shown.image.clone())
        };
        self.equal("stableImage", expect.stable_image.clone(), image(status.stable_revision.as_ref()));
        let canary =
            status.current_revision.as_ref().filter(|current| Some(*current) != status.stable_revision.as_ref());
        self.equal("canaryImage", expect.canary_image.clone(), image(canary));
    }

    fn weights(&mut self, expect: &Expect) {
        self.equal("weight", expect.weight, written_weight(self.seen));
        let Some(wanted) = expect.observed_weight else { return };
        let (canary, all) = (self.available("canary"), self.seen.available());
        let share = (canary * 10_000).checked_div(all).unwrap_or(0);
        let seen = Percent::from_basis_points(share.min(10_000));
        if wanted.basis_points().abs_diff(share) > NEARLY {
            self.found.push(format!("observedWeight is {seen} ({canary} of {all} pods), wanted {wanted}"));
        }
    }

    /// Available pods of a role or revision.
    fn available(&self, role: &str) -> u32 {
        let status = self.seen.status();
        let id = |revision: &Option<RevisionRef>| revision.as_ref().map(|revision| revision.id.clone());
        let (stable, current) = (id(&status.stable_revision), id(&status.current_revision));
        let fits = |shown: &&RevisionShown| match role {
            "stable" => Some(&shown.id) == stable.as_ref(),
            "canary" => Some(&shown.id) == current.as_ref() && current != stable,
            "older" => Some(&shown.id) != stable.as_ref() && Some(&shown.id) != current.as_ref(),
            number => format!("r{}", shown.number) == *number,
        };
        self.seen.revisions().iter().filter(fits).map(|shown| shown.available).sum()
    }

    fn pods(&mut self, expect: &Expect) {
        for (role, wanted) in &expect.pods {
            let seen = self.available(role);
            self.equal(&format!("pods.{role}"), Some(*wanted), seen);
        }
    }

    fn objects(&mut self, expect: &Expect) {
        let seen = self.seen;
        for (name, wanted) in &expect.services {
            let selects = self.selects(seen.service(name));
            self.equal(&format!("services.{name}"), Some(wanted.clone()), selects);
        }
        if let Some(routes) = &expect.routes {
            let names = |mut names: Vec<String>| {
                names.sort();
                format!("[{}]", names.join(", "))
            };
            self.equal("routes.header", routes.header.clone().map(names), names(seen.header_routes()));
            self.equal("routes.mirror", routes.mirror, seen.mirror());
        }
        if let Some(wanted) = &expect.active {
            self.equal("active", Some(wanted.clone()), self.selects(seen.active()));
        }
        if let Some(wanted) = &expect.preview {
            self.equal("preview", Some(wanted.clone()), self.selects(seen.preview()));
        }
        if let Some(wanted) = &expect.workload {
            let Some((replicas, paused)) = seen.workload() else {
                self.found.push("there is no Deployment".to_owned());
                return;
            };
            self.equal("workload.replicas", wanted.replicas, replicas);
            self.equal("workload.paused", wanted.paused, paused);
        }
    }

    /// What a Service or subset selects, as files write it.
    fn selects(&self, selects: Selects) -> String {
        match selects {
            Selects::All => "all".to_owned(),
            Selects::Nothing => "no Service of this Rollout".to_owned(),
            Selects::Revision(id) => {
                let shown = self.seen.revisions().into_iter().find(|shown| shown.id == id);
                shown.map_or(id, |shown| format!("r{}", shown.number))
            }
        }
    }

    fn records(&mut self, expect: &Expect, since: Millis) {
        let seen = self.seen;
        let status = seen.status();
        for (name, wanted) in &expect.verdicts {
            let metric = status.metrics.iter().find(|metric| metric.name == *name);
            let verdict = metric.map_or("none".into(), |metric| word(&metric.verdict));
            self.equal(&format!("verdicts.{name}"), Some(word(wanted)), verdict);
        }
        for (name, wanted) in &expect.condition {
            let condition = status.conditions.iter().find(|condition| condition.type_.as_str() == name);
            let state = condition.map_or("False".to_owned(), |condition| condition.status.clone());
            self.equal(&format!("condition.{name}"), Some(wanted.clone()), state);
        }
        if let Some(wanted) = expect.command.map(|result| format!("{result:?}")) {
            let (state, why) = seen
                .answer()
                .map_or(("not there yet".to_owned(), String::new()), |(s, why)| (word(&s), format!(" ({why})")));
            if wanted != state {
                self.found.push(format!("command is {state}{why}, wanted {wanted}"));
            }
        }
        let untold = expect.events.iter().filter(|reason| !seen.told(reason, since));
        self.found.extend(untold.map(|reason| format!("there was no event {reason}")));
        self.found.extend(too_many_lost(expect.requests_lost, seen));
    }
}

/// Where the rollout is, for a failure.
pub fn place(seen: &impl Seen) -> String {
    if seen.is_there() { trace::place(&seen.status()) } else { "the Rollout is gone".to_owned() }
}
