//! The cluster in memory: one Rollout with its ReplicaSets, Services, routes, runs and commands, and the users' requests.
//!
//! Every object has a version, as the API server gives it a resourceVersion: a write that was decided on an older one loses.

mod requests;
pub mod seen;
mod shown;
mod workloads;

use std::collections::{BTreeMap, BTreeSet};

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use serde_json::Value;

use crate::{
    api::{
        AnalysisRun, Percent, Rollout, RolloutSpec, RolloutStatus,
        analysis::AnalysisTemplateSpec,
        command::{CommandState, RolloutCommandSpec},
        revision,
        status::Phase,
        validate::{self, Severity},
    },
    engine::{CommandSeen, Notice},
    evidence::ArmCounts,
    ports::RolloutKey,
    routing::targets::{self, Targets},
};

use super::{
    autoscaler::Autoscaler,
    faults::Faults,
    incidents::Incidents,
    load::{Load, Ways},
    pods::Pod,
    replicas::Replicas,
    rng::Rng,
    scenario::{GateSpec, HpaSpec, Point, TrafficSpec, VersionSpec},
    time::{Millis, instant, millis},
};

/// Prometheus scrapes this often, unless a template's windows are shorter.
const SCRAPE: Millis = 15_000;

/// The laws of a world.
#[derive(Clone, Debug)]
pub struct Laws {
    /// The random seed.
    pub seed: u64,
    /// From a pod's creation to ready.
    pub startup: Millis,
    /// How many pods there is room for.
    pub capacity: Option<u32>,
    /// The users' requests.
    pub traffic: TrafficSpec,
    /// How versions behave, by image.
    pub versions: BTreeMap<String, VersionSpec>,
    /// Versions that turn bad only this long after their first pod: (image, delay, error rate).
    pub late: Vec<(String, Millis, f64)>,
    /// Damage that all versions share.
    pub incidents: Incidents,
    /// What the queries of threshold metrics answer, by metric name.
    pub series: BTreeMap<String, Vec<Point>>,
    /// What gates answer, by name.
    pub gates: BTreeMap<String, Vec<GateSpec>>,
    /// An autoscaler.
    pub hpa: Option<HpaSpec>,
}

/// Names an object in the versions that a process has seen.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ObjectId {
    /// The Rollout.
    Rollout,
    /// A revision's ReplicaSet.
    Replicas(String),
    /// The stable Service (and root), or subset.
    Stable,
    /// The canary Service, or subset.
    Canary,
    /// The routes.
    Route,
    /// The referenced Deployment.
    Deployment,
}

/// A Service or subset.
#[derive(Clone, Debug, Default)]
pub struct Target {
    /// The revision it selects; `None`: the user's own selector.
    pub revision: Option<String>,
    /// Changes with every write.
    pub version: u64,
}

/// The routes of a mesh.
#[derive(Clone, Debug, Default)]
pub struct Route {
    /// What was written last.
    pub weight: Percent,
    /// The names of the header routes that were written last, sorted.
    pub headers: Vec<String>,
    /// The share that is copied to the canary.
    pub mirror: Option<Percent>,
    /// Whether users stay on the version of their first answer.
    pub sticky: bool,
    /// What the proxies do.
    pub effective: Ways,
    /// What reaches them, and when.
    pub underway: Vec<(Millis, Ways)>,
    /// Changes with every write.
    pub version: u64,
}

/// The Deployment of a workloadRef.
#[derive(Clone, Debug)]
pub struct Deployment {
    /// Its own pods, of the template that they were made from.
    pub own: Replicas,
    /// Its pod template.
    pub template: Value,
    /// Whether its own controller is held still.
    pub paused: bool,
}

/// What a version has answered.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Version {
    /// The image.
    pub image: String,
    /// Its answers.
    pub answered: ArmCounts,
    /// When its first pod was made.
    first: Option<Millis>,
}

/// The cluster.
#[derive(Clone, Debug)]
pub struct SimCluster {
    /// The Rollout's name.
    pub key: RolloutKey,
    /// The time.
    pub now: Millis,
    /// The laws.
    pub laws: Laws,
    /// What goes wrong.
    pub faults: Faults,
    /// The Rollout; `None` once it is gone.
    pub rollout: Option<Rollout>,
    /// AnalysisTemplates by name.
    pub templates: BTreeMap<String, AnalysisTemplateSpec>,
    /// What `lint` says against the spec.
    invalid: Option<String>,
    /// The Services or subsets that play a part.
    pub targets: Targets,
    /// Objects that the user has taken away, as (kind, name).
    pub missing: BTreeSet<(String, String)>,
    /// The ReplicaSets, by revision id.
    pub sets: Vec<Replicas>,
    /// The referenced Deployment.
    pub deployment: Option<Deployment>,
    /// The stable Service or subset.
    pub stable: Target,
    /// The canary Service or subset.
    pub canary: Target,
    /// The routes.
    pub route: Route,
    /// AnalysisRuns by name.
    pub runs: BTreeMap<String, AnalysisRun>,
    /// Runs that must be judged now.
    pub runs_due: BTreeSet<String>,
    /// Commands without an answer.
    pub commands: Vec<CommandSeen>,
    /// Answers to commands, oldest first.
    pub answers: Vec<(String, CommandState, String)>,
    /// Reported events, oldest first.
    pub notices: Vec<(Millis, Notice)>,
    /// Whether something has happened that the controller hears of.
    pub news: bool,
    /// When a cache that is behind hears of it.
    pub late_news: Option<Millis>,
    /// Requests that no pod answered.
    pub lost: u64,
    /// What versions have answered.
    pub versions: Vec<Version>,
    /// How often Prometheus scrapes.
    pub(super) scrape: Millis,
    /// How many samples of its scrapes are kept.
    pub(super) samples: u64,
    /// Requests that found no pod, expected and not yet drawn.
    expected_lost: f64,
    /// Who sends requests.
    pub users: Load,
    /// What scales the Rollout.
    pub autoscaler: Option<Autoscaler>,
    /// Pods that are gone, with their series.
    gone: Vec<(String, Pod)>,
    dice: Rng,
    serials: u64,
    version: u64,
}

impl SimCluster {
    /// A cluster with a Rollout, and a Deployment where the Rollout refers to one.
    pub fn new(
        rollout: Rollout,
        deployment: Option<(Value, u32)>,
        templates: BTreeMap<String, AnalysisTemplateSpec>,
        laws: Laws,
        faults: Faults,
    ) -> Self {
        let name = rollout.metadata.name.clone().unwrap_or_else(|| "rollout".into());
        let namespace = rollout.metadata.namespace.clone().unwrap_or_else(|| "default".into());
        let key = RolloutKey { namespace, name };
        let windows = templates.values().filter_map(|template| template.settings.as_ref()?.window).map(millis);
        let targets = targets::of(&rollout.spec);
        let mut cluster = SimCluster {
            key,
            now: 0,
            faults,
            rollout: None,
            missing: BTreeSet::new(),
            invalid: None,
            targets,
            sets: Vec::new(),
            deployment: None,
            stable: Target::default(),
            canary: Target::default(),
            route: Route::default(),
            runs: BTreeMap::new(),
            runs_due: BTreeSet::new(),
            commands: Vec::new(),
            answers: Vec::new(),
            notices: Vec::new(),
            news: true,
            late_news: None,
            lost: 0,
            versions: Vec::new(),
            scrape: windows.chain([SCRAPE]).filter(|window| *window > 0).min().unwrap_or(SCRAPE),
            samples: 0,
            expected_lost: 0.0,
            users: Load::new(&laws.traffic),
            autoscaler: laws.hpa.clone().map(Autoscaler::new),
            gone: Vec::new(),
            dice: Rng::new(laws.seed, 1),
            serials: 0,
            version: 1,
            templates,
            laws,
        };
        cluster.create(rollout);
        if let Some((template, replicas)) = deployment {
            cluster.begin_deployment(template, replicas);
        }
        cluster
    }

    /// A Rollout that is new to the cluster, as the API server takes it in.
    pub fn create(&mut self, mut rollout: Rollout) {
        let metadata = &mut rollout.metadata;
        (metadata.name, metadata.namespace) = (Some(self.key.name.clone()), Some(self.key.namespace.clone()));
        metadata.uid = Some(format!("sim-{}-{}", self.key.name, self.version));
        metadata.generation = Some(1);
        metadata.creation_timestamp = Some(Time(instant(self.now)));
        rollout.status = None;
        self.rollout = Some(rollout);
        self.read_spec();
        self.touch();
        self.news = true;
    }

    /// The Rollout changes: another version of the object.
    pub fn touch(&mut self) {
        self.version += 1;
        if let Some(rollout) = &mut self.rollout {
            rollout.metadata.resource_version = Some(self.version.to_string());
        }
    }

    /// The Rollout's spec changes: a new generation, and news for the controller.
    pub fn touch_spec(&mut self) {
        if let Some(rollout) = &mut self.rollout {
            rollout.metadata.generation = Some(rollout.metadata.generation.unwrap_or(0) + 1);
        }
        self.read_spec();
        self.touch();
        self.news = true;
    }

    fn read_spec(&mut self) {
        if let Some(rollout) = &self.rollout {
            self.invalid = invalid(&rollout.spec);
            self.targets = targets::of(&self.in_force(rollout).spec);
        }
    }

    /// The Rollout as the engine is given it: an invalid file takes no objects over, those on record count.
    pub fn in_force(&self, rollout: &Rollout) -> Rollout {
        let mut rollout = rollout.clone();
        let old = rollout.status.as_ref().and_then(|status| rollout.spec.on_old_objects(status));
        if let Some(spec) = old.filter(|_| self.invalid.is_some()) {
            rollout.spec = spec;
        }
        rollout
    }

    /// Whether the file is invalid, with the objects that were written to on record.
    pub(crate) fn file_invalid(&self) -> bool {
        self.invalid.is_some() && self.recorded().is_some_and(|status| status.memory.objects.is_some())
    }

    /// The status on record, as it is.
    pub fn recorded(&self) -> Option<&RolloutStatus> {
        self.rollout.as_ref()?.status.as_ref()
    }

    /// The phase on record.
    pub fn phase(&self) -> Option<Phase> {
        self.recorded()?.phase
    }

    /// The status on record.
    pub fn status(&self) -> RolloutStatus {
        self.recorded().cloned().unwrap_or_default()
    }

    /// Whether a router splits the traffic.
    pub fn has_mesh(&self) -> bool {
        self.rollout.as_ref().is_some_and(|rollout| match self.invalid {
            None => rollout.spec.has_mesh(),
            Some(_) => self.in_force(rollout).spec.has_mesh(),
        })
    }

    /// minReadySeconds in milliseconds.
    pub fn min_ready(&self) -> Millis {
        let seconds = self.rollout.as_ref().and_then(|rollout| rollout.spec.min_ready_seconds).unwrap_or(0);
        Millis::from(seconds) * 1000
    }

    /// The wanted template and its revision id (rule S1: what the server has is compared first, the hash only names).
    pub fn wanted_template(&self) -> Option<(String, &Value)> {
        let spec = &self.rollout.as_ref()?.spec;
        let own = self.deployment.as_ref().map(|deployment| &deployment.template);
        let raw = spec.template.as_ref().or(own)?;
        let known = self.sets.iter().find(|set| set.template == *raw);
        Some((known.map_or_else(|| revision::id(raw), |set| set.id.clone()), raw))
    }

    /// A revision's ReplicaSet.
    pub fn set(&self, id: &str) -> Option<&Replicas> {
        self.sets.iter().find(|set| set.id == id)
    }

    /// The version of an object, as the API server has it now.
    pub fn version_of(&self, named: &ObjectId) -> u64 {
        match named {
            ObjectId::Rollout => self.version,
            ObjectId::Replicas(id) => self.set(id).map_or(0, |set| set.version),
            ObjectId::Stable => self.stable.version,
            ObjectId::Canary => self.canary.version,
            ObjectId::Route => self.route.version,
            ObjectId::Deployment => self.deployment.as_ref().map_or(0, |deployment| deployment.own.version),
        }
    }

    /// The versions of all objects.
    pub fn versions_of_all(&self) -> BTreeMap<ObjectId, u64> {
        let fixed = [ObjectId::Rollout, ObjectId::Stable, ObjectId::Canary, ObjectId::Route, ObjectId::Deployment];
        let sets = self.sets.iter().map(|set| ObjectId::Replicas(set.id.clone()));
        fixed.into_iter().chain(sets).map(|named| (named.clone(), self.version_of(&named))).collect()
    }

    /// How many pods there are, those that are gone and still asked about included.
    pub(super) fn pod_count(&self) -> u64 {
        (self.all_pods().count() + self.gone.len()) as u64
    }

    /// How many things a tick looks at.
    pub(super) fn things(&self) -> u64 {
        let objects = self.sets.len() + self.runs.len() + self.commands.len() + self.answers.len();
        self.pod_count() + (objects + self.versions.len() + self.laws.versions.len()) as u64
    }

    /// When versions turn bad: what was sent before is answered as before.
    pub(super) fn turns(&self) -> impl Iterator<Item = Millis> {
        let first = |image: &String| self.versions.iter().find(|version| version.image == *image)?.first;
        let late = self.laws.late.iter().filter_map(move |(image, delay, _)| Some(first(image)? + delay));
        late.chain(self.laws.incidents.turns())
    }

    /// The time of the next scheduled event.
    pub fn next_event(&self) -> Option<Millis> {
        let min_ready = self.min_ready();
        let ready = self.all_pods().filter_map(|pod| pod.ready_at).flat_map(|at| [at, at + min_ready]);
        let routes = self.route.underway.iter().map(|(at, _)| *at);
        ready
            .chain(routes)
            .chain(self.late_news)
            .chain(self.turns())
            .chain(self.autoscaler.as_ref().map(Autoscaler::next))
            .chain(self.faults.next_event(self.now))
            .filter(|at| *at > self.now)
            .min()
    }

    /// Gives a command.
    pub fn command(&mut self, spec: RolloutCommandSpec) {
        self.serials += 1;
        let name = format!("{}-{}-{}", self.key.name, spec.verb.as_str(), self.serials);
        let uid = format!("uid-{name}");
        self.commands.push(CommandSeen { uid, name, created: instant(self.now), spec });
        self.news = true;
    }

    /// Requests that no pod answered, those included that are not drawn yet.
    pub fn lost_so_far(&self) -> u64 {
        self.lost + self.expected_lost.ceil() as u64
    }

    /// Pods, targets and routes as text: what a rollout leaves behind.
    pub fn state(&self) -> String {
        let image = |target: &Target| {
            let set = target.revision.as_ref().and_then(|id| self.set(id));
            set.map_or_else(|| "all".to_owned(), Replicas::image)
        };
        let mut sets: Vec<String> = self.sets.iter().map(|set| format!("{} {}", set.image(), set.wanted)).collect();
        sets.sort();
        let own = self.deployment.as_ref().map(|own| format!(", Deployment {} {}", own.own.wanted, own.paused));
        format!(
            "stable {}, canary {}, weight {}, pods {}{}",
            image(&self.stable),
            image(&self.canary),
            self.route.weight,
            sets.join(" "),
            own.unwrap_or_default()
        )
    }
}

/// What `lint` says against a spec, in one line.
fn invalid(spec: &RolloutSpec) -> Option<String> {
    let findings = validate::rollout(spec);
    let errors = findings.iter().filter(|finding| finding.severity == Severity::Error);
    let errors: Vec<String> = errors.map(|finding| format!("{}: {}", finding.path, finding.message)).collect();
    (!errors.is_empty()).then(|| errors.join("; "))
}
