//! The situation of a Rollout for scripts: what the status screen shows, as values.

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::Serialize;

use super::{
    acts::Act,
    commands::Offer,
    document::Shape,
    doing::doing_so_far,
    evidence::{MetricRow, evidence},
    guards,
    history::PastRelease,
    revision::RevisionView,
    situation::{Next, Situation},
    step::{StepRow, steps},
    traffic::Traffic,
    waits::{Then, WaitsFor},
};
use crate::api::{
    Percent, Rollout,
    analysis::Verdict,
    status::{GuardCounts, Phase, RevisionRef},
};

/// What the status screen shows.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Overview {
    /// The strategy: `canary`, `blueGreen` or `abTest`.
    pub strategy: &'static str,
    /// The phase; absent before a controller has reconciled the Rollout.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub phase: Option<Phase>,
    /// What it does, human-readable: the end of the first line of the screen.
    pub doing: String,
    /// What else the controller says of it, human-readable.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// Whether the controller has observed the latest spec.
    pub observed: bool,
    /// What blocks it until something outside changes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub blocked_by: Option<String>,
    /// The stable revision.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stable: Option<RevisionRef>,
    /// The desired revision: equal to stable when no release is in progress.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub current: Option<RevisionRef>,
    /// The attempt at the current revision, from 1.
    pub attempt: u32,
    /// The step in progress.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub step: Option<StepNow>,
    /// All steps.
    pub steps: Vec<StepRow>,
    /// The split of traffic; absent while there is one version alone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub traffic: Option<Split>,
    /// What it waits for.
    pub waits_for: Wait,
    /// The steps to come, human-readable.
    pub next: Vec<String>,
    /// The pause by command that is in force.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub paused: Option<Act>,
    /// What a pause holds back while nothing is in progress that it could stop, human-readable.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub also_paused: Option<String>,
    /// How the release of the current revision ended, if it was rolled back or lost an A/B test.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ended: Option<PastRelease>,
    /// The revisions that have pods, newest first; empty without the permission to list ReplicaSets.
    pub revisions: Vec<RevisionView>,
    /// The evidence, per metric.
    pub metrics: Vec<MetricNow>,
    /// What the guards count of the new version's containers, while a release is in progress; absent while it is nothing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub guards: Option<GuardCounts>,
    /// The commands that would be accepted now.
    pub commands: Vec<Offer>,
}

impl Shape for Overview {
    const KIND: &'static str = "RolloutStatus";
}

/// The step in progress.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct StepNow {
    /// The step, from 1.
    pub number: usize,
    /// The number of steps.
    pub of: usize,
    /// When it began.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub since: Option<Timestamp>,
    /// How long it has run, in seconds, pauses excluded; during a pause or hold, how long that has lasted.
    pub elapsed_seconds: i64,
}

/// The canary's share of traffic.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Split {
    /// What splits it: `routes`, `pods` (their ratio) or `service` (its selector).
    pub by: &'static str,
    /// The planned share, in percent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub planned: Option<Percent>,
    /// The share that the routes said last.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub accepted: Option<Percent>,
    /// The canary's share of the requests counted at this weight.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub counted: Option<Percent>,
    /// Whether the routes have said so for long enough.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub settled: Option<bool>,
    /// The revision that the active Service selects.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub selects: Option<RevisionRef>,
}

/// What a Rollout waits for.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Wait {
    /// `Nothing`, `Decision` (about a hold), `SpecUnpaused`, `Resume`, `Promote`, `Approval`, `Gate`, `Time`, `Metrics`,
    /// `Analysis`, `Goal` (of an A/B test) or `Cluster` (pods, routes, endpoints).
    pub reason: &'static str,
    /// The name of the approval, the host of the gate, or what of the cluster is missing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub what: Option<String>,
    /// Whether it lasts until an operator acts.
    pub needs_operator: bool,
    /// When it ends by itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub until: Option<Timestamp>,
    /// What happens then: `Continues`, `TimesOut`, `Extends`, `NoVerdict` or `Ends`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub then: Option<&'static str>,
}

/// What one metric says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct MetricNow {
    /// The metric's name.
    pub name: String,
    /// Its verdict.
    pub verdict: Verdict,
    /// A CamelCase reason under the verdict.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub reason: String,
    /// Whether the metric is required.
    pub required: bool,
    /// The canary's value, human-readable.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub canary: String,
    /// Stable's value, human-readable.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub stable: String,
    /// The comparison, human-readable.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub comparison: String,
    /// What a verdict still needs, human-readable.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub needs: Option<String>,
}

impl Overview {
    /// Of a Rollout with its revisions, now.
    pub fn of(rollout: &Rollout, revisions: &[RevisionView], now: Timestamp) -> Self {
        let situation = Situation::of(rollout, now);
        Overview {
            strategy: rollout.spec.strategy.name(),
            phase: situation.phase,
            doing: doing_so_far(&situation),
            observed: situation.is_seen,
            attempt: rollout.status.as_ref().map_or(0, |status| status.attempt),
            step: StepNow::of(&situation),
            steps: steps(rollout),
            traffic: Traffic::of(rollout).map(Split::of),
            waits_for: Wait::of(&situation),
            revisions: revisions.to_vec(),
            metrics: evidence(rollout).iter().map(MetricNow::of).collect(),
            guards: guards::counted(rollout).cloned(),
            message: situation.said,
            blocked_by: situation.stalled,
            stable: situation.stable,
            current: situation.current,
            next: if let Next::Steps { coming, .. } = situation.next { coming } else { vec![] },
            paused: situation.paused,
            also_paused: situation.also_paused,
            ended: situation.ended,
            commands: situation.offers,
        }
    }
}

impl StepNow {
    fn of(situation: &Situation) -> Option<Self> {
        let counter = situation.counter?;
        let (since, elapsed_seconds) = (situation.since, situation.elapsed.as_secs());
        Some(StepNow { number: counter.step, of: counter.of, since, elapsed_seconds })
    }
}

impl Split {
    fn of(traffic: Traffic) -> Self {
        let none = Split { by: "routes", planned: None, accepted: None, counted: None, settled: None, selects: None };
        match traffic {
            Traffic::Routes(weights) => Split {
                planned: Some(weights.desired),
                accepted: weights.accepted,
                counted: weights.observed,
                settled: Some(weights.settled),
                ..none
            },
            Traffic::Ratio { planned } => Split { by: "pods", planned: Some(planned), ..none },
            Traffic::Switch { selects, .. } => Split { by: "service", selects, ..none },
        }
    }
}

impl Wait {
    fn of(situation: &Situation) -> Self {
        let (reason, what) = match &situation.waits_for {
            WaitsFor::Nothing => ("Nothing", None),
            WaitsFor::Decision => ("Decision", None),
            WaitsFor::SpecUnpaused => ("SpecUnpaused", None),
            WaitsFor::Resume => ("Resume", None),
            WaitsFor::Promote => ("Promote", None),
            WaitsFor::Approval(name) => ("Approval", Some(name)),
            WaitsFor::Gate(host) => ("Gate", Some(host)),
            WaitsFor::Time => ("Time", None),
            WaitsFor::Metrics(_) => ("Metrics", None),
            WaitsFor::Analysis => ("Analysis", None),
            WaitsFor::Goal { .. } => ("Goal", None),
            WaitsFor::Cluster(message) => ("Cluster", Some(message)),
        };
        let then = situation.until.map(|until| match until.then {
            Then::Continues => "Continues",
            Then::TimesOut(_) => "TimesOut",
            Then::NoVerdict { extends_by: Some(_), .. } => "Extends",
            Then::NoVerdict { extends_by: None, .. } => "NoVerdict",
            Then::Ends => "Ends",
        });
        let (until, needs_operator) = (situation.until.map(|until| until.at), situation.waits_for.needs_operator());
        Wait { reason, what: what.cloned(), needs_operator, until, then }
    }
}

impl MetricNow {
    fn of(row: &MetricRow<'_>) -> Self {
        let metric = row.metric;
        MetricNow {
            name: metric.name.clone(),
            verdict: metric.verdict,
            reason: metric.reason.as_str().to_owned(),
            required: metric.required,
            canary: metric.canary.clone(),
            stable: metric.stable.clone(),
            comparison: metric.comparison.clone(),
            needs: row.needs.map(str::to_owned),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::view::{document::document, samples};

    #[test]
    fn the_shape_of_a_status() {
        for (name, sample) in samples::all() {
            let shape = Overview::of(&sample.rollout, &sample.pods, samples::NOW);
            let json = document(&sample.rollout, &shape).unwrap();
            insta::assert_snapshot!(format!("status_{name}"), serde_json::to_string_pretty(&json).unwrap());
            assert!(!json.to_string().contains("key=1"), "{name}: the address of a gate may hold a secret");
        }
    }
}
