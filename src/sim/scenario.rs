//! What a scenario file says (the format is a contract: design/testing.md). The types carry their own schema, so that a file
//! is checked field by field, with its place, before it is read.

use std::{collections::BTreeMap, sync::LazyLock};

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;

use crate::api::{
    analysis::Verdict,
    command::Verb,
    common::{Delay, HumanDuration, Percent},
    pod_count::MOST_PODS,
    status::{Outcome, Phase, Stage},
};

/// The most entries of a timeline.
pub const MOST_ENTRIES: usize = 10_000;
/// The most files, objects, versions, faults, incidents, kinds of requests, points of a series and answers of a gate.
pub const MOST_LAWS: usize = 1_000;

/// A scenario: a world, what happens in it, and what must be seen.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Scenario {
    /// `glidepath.dev/v1alpha1`.
    pub api_version: String,
    /// `Scenario`.
    pub kind: String,
    /// What it shows, in one line.
    pub description: String,
    /// The one way it is played, if it cannot be played both ways.
    pub on: Option<On>,
    /// Files with the Rollout, its templates, Services and routes, relative to this file.
    #[schemars(length(max = MOST_LAWS))]
    pub files: Vec<String>,
    /// The same, written here.
    #[schemars(length(max = MOST_LAWS))]
    pub objects: Vec<Value>,
    /// The world's laws.
    pub world: WorldSpec,
    /// What happens and what must be seen, in order.
    #[schemars(length(max = MOST_ENTRIES))]
    pub timeline: Vec<Entry>,
    /// What must hold after every tick, from the first Healthy on.
    pub always: Always,
}

/// A way to play a scenario.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum On {
    /// In virtual time.
    Sim,
    /// Against a real API server.
    Cluster,
}

/// The world's laws.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct WorldSpec {
    /// The random seed. Default 1.
    pub seed: Option<u64>,
    /// From a pod's creation to Ready. Default 2s.
    pub pod_startup: Option<HumanDuration>,
    /// How many pods there is room for, all revisions together.
    #[schemars(range(max = MOST_PODS))]
    pub pod_capacity: Option<u32>,
    /// The users' requests.
    pub traffic: TrafficSpec,
    /// How versions behave, by image. The rest is perfect.
    pub versions: BTreeMap<String, VersionSpec>,
    /// What the queries of threshold, anomaly and gauge metrics answer, by metric name. Before the scenario it is the first
    /// value.
    pub series: BTreeMap<String, Vec<Point>>,
    /// What goes wrong, and when.
    #[schemars(length(max = MOST_LAWS))]
    pub faults: Vec<FaultSpec>,
    /// Damage that all versions share, and when.
    #[schemars(length(max = MOST_LAWS))]
    pub incidents: Vec<IncidentSpec>,
    /// An autoscaler.
    pub hpa: Option<HpaSpec>,
    /// What gates answer from a time on, by the gate's name. Before that, and without an entry, they do not answer.
    pub gates: BTreeMap<String, Vec<GateSpec>>,
}

/// The users' requests.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct TrafficSpec {
    /// Requests a second. Default 0.
    #[schemars(range(min = 0, max = 1_000_000))]
    pub rps: f64,
    /// How many users send them, all alike often. Each counts once in a conversion metric, and sticky routes keep each where
    /// they were drawn. Default: every request is another user's.
    #[schemars(range(min = 1, max = 1_000_000_000))]
    pub users: Option<u32>,
    /// What some of the requests carry, by kind. The rest carries nothing.
    #[schemars(length(max = MOST_LAWS))]
    pub headers: Vec<HeadersSpec>,
}

/// Requests that carry headers.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct HeadersSpec {
    /// The share of all requests.
    pub share: Percent,
    /// The headers by name; cookies are in `cookie`.
    pub set: BTreeMap<String, String>,
}

/// An autoscaler that keeps requests a second and pod at a target.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct HpaSpec {
    /// Replicas at least.
    #[schemars(range(min = 1, max = MOST_PODS))]
    pub min: u32,
    /// Replicas at most.
    #[schemars(range(min = 1, max = MOST_PODS))]
    pub max: u32,
    /// Requests a second that one pod is to have.
    #[schemars(range(min = 0, max = 1_000_000))]
    pub rps_per_pod: f64,
}

/// What a gate answers from a time on.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct GateSpec {
    /// Since the start.
    pub at: HumanDuration,
    /// The HTTP status.
    #[schemars(range(min = 100, max = 599))]
    pub status: u16,
    /// The body, as text or as JSON.
    pub body: Option<Value>,
}

/// How a version behaves.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct VersionSpec {
    /// The share of requests answered with an error.
    pub error_rate: Option<Percent>,
    /// Errors come in bursts of so many, as where one dependency fails for many requests. Default 1: independent
    /// errors.
    #[schemars(range(min = 1, max = 1000))]
    pub error_burst: Option<u32>,
    /// How long answers take.
    pub latency: Option<LatencySpec>,
    /// From creation to Ready, or `never`. Default: the world's podStartup.
    pub ready: Option<Delay>,
    /// The share of users who convert: what the `successes` of a conversion metric count. Each request is another user's.
    pub conversion: Option<Percent>,
}

/// Log-normal answer times.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct LatencySpec {
    /// The median.
    pub median: Option<HumanDuration>,
    /// The standard deviation of the logarithm.
    #[schemars(range(min = 0, max = 5))]
    pub sigma: Option<f64>,
    /// Some take longer.
    pub delayed: Option<DelayedSpec>,
    /// Whether they are exported as a native histogram. Default: as a classic one.
    pub native: bool,
}

/// Answers that take longer than the others.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct DelayedSpec {
    /// How many.
    pub share: Percent,
    /// How much longer.
    pub by: HumanDuration,
}

/// A value that holds from a time on.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Point {
    /// Since the start.
    pub at: HumanDuration,
    /// The value, of a gauge that of each pod; `null` means that the query finds nothing.
    pub value: Option<f64>,
    /// Other values of a gauge, by the pods' image.
    pub versions: BTreeMap<String, Option<f64>>,
    /// How much a value varies, each time and for each pod: the standard deviation of its logarithm. Default 0.
    #[schemars(range(min = 0, max = 5))]
    pub sigma: f64,
}

/// Something that goes wrong.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct FaultSpec {
    /// Since the start.
    #[serde(default)]
    pub at: HumanDuration,
    /// For how long. Default: the one instant.
    #[serde(default, rename = "for")]
    pub duration: HumanDuration,
    /// What.
    pub kind: FaultKind,
    /// How likely it is, each time it could happen. Default 1.
    #[serde(default)]
    #[schemars(range(min = 0, max = 1))]
    pub probability: Option<f64>,
    /// Whom it hits (podCrash, oomKill, containerRestart).
    #[serde(default)]
    pub target: Option<FaultTarget>,
}

/// Damage that all versions share.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct IncidentSpec {
    /// Since the start.
    #[serde(default)]
    pub at: HumanDuration,
    /// For how long.
    #[serde(rename = "for")]
    pub duration: HumanDuration,
    /// The share of requests answered with an error, whatever the version's own rate.
    pub error_rate: Percent,
}

/// The kinds of faults.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum FaultKind {
    /// Somebody else wrote first (409).
    ApiConflict,
    /// A write is not carried out and has no answer.
    ApiTimeout,
    /// A write is carried out and has no answer.
    LostResponse,
    /// What is observed is some seconds old.
    StaleCache,
    /// Nothing that happens is heard of.
    WatchGap,
    /// The controller dies at a call and is back a second later.
    ControllerRestart,
    /// A new leader takes over while the old one is stalled in the middle of a tick and continues later.
    LeaderChange,
    /// Prometheus does not answer.
    PrometheusDown,
    /// Prometheus answers seconds late.
    PrometheusSlow,
    /// Somebody else writes the routes.
    RouteDrift,
    /// What is written reaches the proxies seconds late.
    RouterLag,
    /// Pods crash and start again.
    PodCrash,
    /// A container of each pod is OOM-killed and restarts.
    OomKill,
    /// A container of each pod ends with exit code 1 and restarts.
    ContainerRestart,
}

impl FaultKind {
    /// Whether it hits pods.
    pub fn hits_pods(self) -> bool {
        matches!(self, FaultKind::PodCrash | FaultKind::OomKill | FaultKind::ContainerRestart)
    }
}

/// Whom a fault hits.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct FaultTarget {
    /// `stable`, `canary` or a revision such as `r2`. Default: the canary, else stable.
    pub revision: Option<String>,
    /// How many pods. Default 1.
    #[schemars(range(max = MOST_PODS))]
    pub count: Option<u32>,
}

/// One entry of the timeline.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Entry {
    /// Since the start.
    pub at: Option<HumanDuration>,
    /// Since the previous entry's end.
    pub after: Option<HumanDuration>,
    /// The expectation must hold at some instant from the previous entry's end to this much later.
    pub within: Option<HumanDuration>,
    /// The expectation must hold at every tick from the previous entry's end to this much later.
    pub throughout: Option<HumanDuration>,
    /// What must be seen.
    pub expect: Option<Expect>,
    /// A new version.
    pub deploy: Option<Deploy>,
    /// Merged into the Rollout.
    pub patch: Option<Value>,
    /// An object that is created or replaced.
    pub apply: Option<Value>,
    /// An object that goes.
    pub delete: Option<Delete>,
    /// Desired replicas.
    #[schemars(range(max = MOST_PODS))]
    pub scale: Option<u32>,
    /// A command.
    pub command: Option<CommandEntry>,
}

/// A new version.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Deploy {
    /// The image of the first container.
    #[schemars(length(min = 1))]
    pub image: String,
}

/// An object that goes.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Delete {
    /// Its kind.
    pub kind: String,
    /// Its name.
    pub name: String,
}

/// A command; what is not said is what was true at that moment.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CommandEntry {
    /// What to do.
    pub verb: Verb,
    /// promote: skip the remaining steps and analysis.
    #[serde(default)]
    pub full: bool,
    /// The revision it is meant for: `r2`, or an id.
    #[serde(default)]
    pub revision: Option<String>,
    /// promote: the step it is meant for, from 0.
    #[serde(default)]
    pub step: Option<u32>,
    /// promote: the attempt it is meant for.
    #[serde(default)]
    pub attempt: Option<u32>,
    /// promote: go to this step, from 1.
    #[serde(default)]
    pub to_step: Option<u32>,
    /// undo: go back to this revision number.
    #[serde(default)]
    pub to_revision: Option<u64>,
    /// Why.
    #[serde(default)]
    pub reason: Option<String>,
}

/// What must be seen; all keys together.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Expect {
    /// The phase.
    pub phase: Option<Phase>,
    /// Part of the reason or the message.
    pub reason: Option<String>,
    /// The step in progress, from 0; the number of steps when done.
    pub step: Option<u32>,
    /// The stage of a promotion.
    pub stage: Option<Stage>,
    /// The canary weight that was written last; without a mesh the step's.
    pub weight: Option<Percent>,
    /// Without a mesh: available canary pods among all, to half a percent.
    pub observed_weight: Option<Percent>,
    /// Available pods by role (`stable`, `canary`, `older`) or revision (`r1`).
    pub pods: BTreeMap<String, u32>,
    /// What Services select: `r1`, or `all` for the user's own selector.
    pub services: BTreeMap<String, String>,
    /// The referenced Deployment.
    pub workload: Option<WorkloadExpect>,
    /// How the last rollout ended.
    pub outcome: Option<Outcome>,
    /// The stable revision's first image.
    pub stable_image: Option<String>,
    /// The canary's first image.
    pub canary_image: Option<String>,
    /// Verdicts by metric.
    pub verdicts: BTreeMap<String, Verdict>,
    /// Conditions by type: `True`, `False` or `Unknown`; an absent one is `False`.
    pub condition: BTreeMap<String, String>,
    /// The result of the last command: `Done`, `Refused` or `Obsolete`.
    pub command: Option<CommandResult>,
    /// Reasons of events since the previous expectation.
    pub events: Vec<String>,
    /// Requests that no pod answered, at most.
    pub requests_lost: Option<u64>,
    /// What the active Service (blue-green) or stable target selects: `r1`.
    pub active: Option<String>,
    /// What the preview Service (blue-green) or canary target selects: `r1`.
    pub preview: Option<String>,
    /// The routes in addition to the weight, as last written.
    pub routes: Option<RoutesExpect>,
}

/// Routes in addition to the weight.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct RoutesExpect {
    /// The names of the header routes, in any order; `[]`: none.
    pub header: Option<Vec<String>>,
    /// The share of requests that is copied to the canary; 0: none.
    pub mirror: Option<Percent>,
}

/// What became of a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
pub enum CommandResult {
    /// Carried out.
    Done,
    /// It made no sense at that moment.
    Refused,
    /// Meant for another moment.
    Obsolete,
}

/// The referenced Deployment as it must be.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct WorkloadExpect {
    /// What its spec asks for.
    pub replicas: Option<u32>,
    /// Whether its own controller is held still.
    pub paused: Option<bool>,
}

/// What must hold after every tick, from the first Healthy on.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Always {
    /// Available pods of all revisions (and the Deployment's own) together.
    pub total_available_at_least: Option<u32>,
    /// The canary weight that was written last.
    pub weight_at_most: Option<Percent>,
    /// Requests that no pod answered, at most.
    pub requests_lost: Option<u64>,
}

/// The schema of a scenario file.
pub fn schema() -> &'static Value {
    static SCHEMA: LazyLock<Value> = LazyLock::new(|| {
        let settings = schemars::generate::SchemaSettings::openapi3().with(|all| all.inline_subschemas = true);
        settings.into_generator().into_root_schema_for::<Scenario>().to_value()
    });
    &SCHEMA
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_schema_is_one_that_files_can_be_checked_against() {
        let schema = schema();
        let text = schema.to_string();
        assert!(!text.contains("$ref") && !text.contains("additionalProperties\":false"), "{text}");
        assert_eq!(schema["properties"]["timeline"]["items"]["properties"]["scale"]["type"], "integer");
        assert_eq!(schema["properties"]["world"]["type"], "object");
        assert_eq!(schema["properties"]["timeline"]["items"]["properties"]["expect"]["type"], "object");
    }
}
