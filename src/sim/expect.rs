//! Expectations of a scenario against what is seen.

use std::fmt::Display;

use serde::Serialize;

use crate::{
    api::{
        common::Percent,
        status::{Phase, RevisionRef},
    },
    ports::targets::Split,
    sim::story,
};

use super::{
    Millis,
    cluster::{SimCluster, Target},
    scenario::{Always, Expect},
};

/// How far the ratio of pods may be from the expected share: half a percent.
const NEARLY: u32 = 50;

/// Everything that is not as expected: `phase is Progressing, wanted Healthy`. `since` is the previous expectation's end.
pub fn mismatches(expect: &Expect, cluster: &SimCluster, since: Millis) -> Vec<String> {
    let mut check = Check { found: Vec::new(), cluster };
    check.place(expect);
    check.weights(expect);
    check.pods(expect);
    check.objects(expect);
    check.records(expect, since);
    check.found
}

/// Everything that breaks what must always hold.
pub fn broken(always: &Always, cluster: &SimCluster) -> Vec<String> {
    let mut found = Vec::new();
    if let Some(least) = always.total_available_at_least.filter(|least| cluster.available() < *least) {
        found.push(format!("{} pods are available, wanted at least {least}", cluster.available()));
    }
    let weight = written_weight(cluster);
    if let Some(most) = always.weight_at_most.filter(|most| weight > *most) {
        found.push(format!("the canary weight is {weight}, wanted at most {most}"));
    }
    found
}

/// The canary weight that was written last; without a mesh the step's.
pub fn written_weight(cluster: &SimCluster) -> Percent {
    if cluster.has_mesh() {
        cluster.route.weight
    } else if cluster.phase() == Some(Phase::Healthy) {
        Percent::ZERO
    } else {
        cluster.recorded().map(|status| status.weights.desired).unwrap_or_default()
    }
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

struct Check<'a> {
    found: Vec<String>,
    cluster: &'a SimCluster,
}

impl Check<'_> {
    fn equal<T: PartialEq + Display>(&mut self, key: &str, wanted: Option<T>, seen: T) {
        if let Some(wanted) = wanted.filter(|wanted| *wanted != seen) {
            self.found.push(format!("{key} is {seen}, wanted {wanted}"));
        }
    }

    fn place(&mut self, expect: &Expect) {
        let status = self.cluster.status();
        let none = "not there yet".to_owned();
        self.equal("phase", expect.phase.as_ref().map(word), status.phase.as_ref().map_or(none.clone(), word));
        if let Some(part) = &expect.reason
            && !status.reason.contains(part.as_str())
            && !status.message.contains(part.as_str())
        {
            self.found.push(format!("reason is {} ({}), wanted \"{part}\" in it", status.reason, status.message));
        }
        self.equal("step", expect.step, status.step_index);
        self.equal("stage", expect.stage.as_ref().map(word), status.stage.as_ref().map_or("none".to_owned(), word));
        let outcome = status.history.first().map_or("none".to_owned(), |entry| word(&entry.outcome));
        self.equal("outcome", expect.outcome.as_ref().map(word), outcome);
        let stable = self.image(status.stable_revision.as_ref());
        self.equal("stableImage", expect.stable_image.clone(), stable);
        let canary =
            status.current_revision.as_ref().filter(|current| Some(*current) != status.stable_revision.as_ref());
        let canary = self.image(canary);
        self.equal("canaryImage", expect.canary_image.clone(), canary);
    }

    fn image(&self, revision: Option<&RevisionRef>) -> String {
        let set = revision.and_then(|revision| self.cluster.set(&revision.id));
        set.map_or("none".to_owned(), |set| set.image())
    }

    fn weights(&mut self, expect: &Expect) {
        self.equal("weight", expect.weight, written_weight(self.cluster));
        let Some(wanted) = expect.observed_weight else { return };
        let (canary, all) = (self.available("canary"), self.cluster.available());
        let share = (canary * 10_000).checked_div(all).unwrap_or(0);
        let seen = Percent::from_basis_points(share.min(10_000));
        if wanted.basis_points().abs_diff(share) > NEARLY {
            self.found.push(format!("observedWeight is {seen} ({canary} of {all} pods), wanted {wanted}"));
        }
    }

    /// Available pods of a role or revision.
    fn available(&self, role: &str) -> u32 {
        let status = self.cluster.status();
        let id = |revision: &Option<RevisionRef>| revision.as_ref().map(|revision| revision.id.clone());
        let (stable, current) = (id(&status.stable_revision), id(&status.current_revision));
        let min_ready = self.cluster.min_ready();
        let fits = |set: &&super::replicas::Replicas| match role {
            "stable" => Some(&set.id) == stable.as_ref(),
            "canary" => Some(&set.id) == current.as_ref() && current != stable,
            "older" => Some(&set.id) != stable.as_ref() && Some(&set.id) != current.as_ref(),
            number => format!("r{}", set.number) == *number,
        };
        self.cluster.sets.iter().filter(fits).map(|set| set.available(self.cluster.now, min_ready)).sum()
    }

    fn pods(&mut self, expect: &Expect) {
        for (role, wanted) in &expect.pods {
            let seen = self.available(role);
            self.equal(&format!("pods.{role}"), Some(*wanted), seen);
        }
    }

    fn objects(&mut self, expect: &Expect) {
        for (name, wanted) in &expect.services {
            let seen = self.selected(name);
            self.equal(&format!("services.{name}"), Some(wanted.clone()), seen);
        }
        if let Some(routes) = &expect.routes {
            let names = |mut names: Vec<String>| {
                names.sort();
                format!("[{}]", names.join(", "))
            };
            let seen = &self.cluster.route;
            self.equal("routes.header", routes.header.clone().map(names), names(seen.headers.clone()));
            self.equal("routes.mirror", routes.mirror, seen.mirror.unwrap_or_default());
        }
        self.equal("active", expect.active.clone(), self.revision_of(&self.cluster.stable));
        self.equal("preview", expect.preview.clone(), self.revision_of(&self.cluster.canary));
        if let Some(wanted) = &expect.workload {
            let Some(deployment) = &self.cluster.deployment else {
                self.found.push("there is no Deployment".to_owned());
                return;
            };
            self.equal("workload.replicas", wanted.replicas, deployment.own.wanted);
            self.equal("workload.paused", wanted.paused, deployment.paused);
        }
    }

    /// What a Service selects: `r1`, or `all`.
    fn selected(&self, service: &str) -> String {
        let names = &self.cluster.targets;
        let target = match Some(service) {
            name if name == names.stable.as_deref() => &self.cluster.stable,
            name if name == names.canary.as_deref() => &self.cluster.canary,
            name if name == names.root.as_deref() && names.split == Split::Host => &self.cluster.stable,
            name if name == names.root.as_deref() => return "all".to_owned(),
            _ => return "no Service of this Rollout".to_owned(),
        };
        self.revision_of(target)
    }

    /// What a target selects: `r1`, or `all`.
    fn revision_of(&self, target: &Target) -> String {
        let Some(id) = &target.revision else { return "all".to_owned() };
        self.cluster.set(id).map_or_else(|| id.clone(), |set| format!("r{}", set.number))
    }

    fn records(&mut self, expect: &Expect, since: Millis) {
        let status = self.cluster.status();
        for (name, wanted) in &expect.verdicts {
            let metric = status.metrics.iter().find(|metric| metric.name == *name);
            self.equal(
                &format!("verdicts.{name}"),
                Some(word(wanted)),
                metric.map_or("none".into(), |m| word(&m.verdict)),
            );
        }
        for (name, wanted) in &expect.condition {
            let condition = status.conditions.iter().find(|condition| condition.type_ == *name);
            let seen = condition.map_or("False".to_owned(), |condition| condition.status.clone());
            self.equal(&format!("condition.{name}"), Some(wanted.clone()), seen);
        }
        let answer = self.cluster.answers.last();
        let seen = answer
            .filter(|_| self.cluster.commands.is_empty())
            .map_or("not there yet".to_owned(), |(_, state, _)| word(state));
        if let Some(wanted) = expect.command.map(|result| format!("{result:?}")).filter(|wanted| *wanted != seen) {
            let why = answer.map(|(_, _, message)| format!(" ({message})")).unwrap_or_default();
            self.found.push(format!("command is {seen}{why}, wanted {wanted}"));
        }
        for reason in &expect.events {
            let told = |(at, notice): &(Millis, crate::engine::Notice)| *at >= since && notice.reason == *reason;
            if !self.cluster.notices.iter().any(told) {
                self.found.push(format!("there was no event {reason}"));
            }
        }
        if let Some(most) = expect.requests_lost.filter(|most| self.cluster.lost_so_far() > *most) {
            self.found.push(format!("{} requests were lost, wanted at most {most}", self.cluster.lost_so_far()));
        }
    }
}

/// Where the rollout is, for a failure.
pub fn place(cluster: &SimCluster) -> String {
    if cluster.rollout.is_none() { "the Rollout is gone".to_owned() } else { story::place(&cluster.status()) }
}
