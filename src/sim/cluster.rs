//! The cluster in memory: one Rollout with its ReplicaSets, Services, routes, runs and commands, and the users' requests.
//!
//! Every object has a version, as the API server gives it a resourceVersion: a write that was decided on an older one loses.

use std::collections::{BTreeMap, BTreeSet};

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use serde_json::Value;

use crate::{
    api::{
        AnalysisRun, Percent, Rollout, RolloutSpec, RolloutStatus,
        analysis::AnalysisTemplateSpec,
        command::{CommandState, RolloutCommandSpec},
        revision,
        validate::{self, Severity},
    },
    engine::{
        CommandSeen, Notice, Problem, RouteSeen, RunSeen, Seen, TargetSeen, TemplateSeen, WorkloadSeen,
    },
    evidence::ArmCounts,
    ports::RolloutKey,
};

use super::{
    Millis,
    dice::Dice,
    faults::Faults,
    flow::Flow,
    instant, millis,
    pods::{Pod, sum},
    replicas::{Replicas, count, first_image},
    scenario::{Point, VersionSpec},
};

/// What is written reaches the proxies after so long.
const ROUTE_LAG: Millis = 200;
/// Prometheus scrapes this often, unless a template's windows are shorter.
const SCRAPE: Millis = 15_000;

/// The laws of a world.
#[derive(Clone, Debug)]
pub struct Laws {
    /// The seed of all chance.
    pub seed: u64,
    /// From a pod's creation to ready.
    pub startup: Millis,
    /// How many pods there is room for.
    pub capacity: Option<u32>,
    /// The users' requests a second.
    pub rps: f64,
    /// How versions behave, by image.
    pub versions: BTreeMap<String, VersionSpec>,
    /// Versions that turn bad only this long after their first pod: (image, delay, error rate).
    pub late: Vec<(String, Millis, f64)>,
    /// What the queries of threshold metrics answer, by metric name.
    pub series: BTreeMap<String, Vec<Point>>,
}

/// Names an object in the versions that a process has seen.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Named {
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
    /// What the proxies do.
    pub effective: Percent,
    /// What reaches them, and when.
    pub underway: Vec<(Millis, Percent)>,
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
    /// What was told, oldest first.
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
    scrape: Millis,
    /// Requests that found no pod, expected and not yet drawn.
    expected_lost: f64,
    /// Whether there was ever a pod to ask: users come only then.
    pub users: bool,
    /// Pods that are gone, with their series.
    gone: Vec<(String, Pod)>,
    dice: Dice,
    serials: u64,
    version: u64,
}

impl SimCluster {
    /// A cluster with a Rollout, and a Deployment where the Rollout refers to one.
    pub fn new(
        mut rollout: Rollout,
        deployment: Option<(Value, u32)>,
        templates: BTreeMap<String, AnalysisTemplateSpec>,
        laws: Laws,
        faults: Faults,
    ) -> Self {
        let name = rollout.metadata.name.clone().unwrap_or_else(|| "rollout".into());
        let namespace = rollout.metadata.namespace.clone().unwrap_or_else(|| "default".into());
        rollout.metadata.namespace = Some(namespace.clone());
        rollout.metadata.uid = Some(format!("sim-{name}"));
        rollout.metadata.generation = Some(1);
        rollout.metadata.creation_timestamp = Some(Time(instant(0)));
        rollout.status = None;
        let windows = templates.values().filter_map(|template| template.settings.as_ref()?.window).map(millis);
        let mut cluster = SimCluster {
            key: RolloutKey { namespace, name },
            now: 0,
            faults,
            rollout: Some(rollout),
            missing: BTreeSet::new(),
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
            expected_lost: 0.0,
            users: false,
            gone: Vec::new(),
            dice: Dice::new(laws.seed, 1),
            serials: 0,
            version: 1,
            templates,
            laws,
        };
        cluster.touch();
        if let Some((template, replicas)) = deployment {
            cluster.begin_deployment(template, replicas);
        }
        cluster
    }

    /// The Deployment's pods have been there for long.
    fn begin_deployment(&mut self, template: Value, replicas: u32) {
        let mut own = Replicas::new("", 0, String::new(), template.clone());
        own.wanted = replicas;
        for _ in 0..replicas {
            let mut pod = self.new_pod(&template);
            pod.ready_at = Some(0);
            own.pods.push(pod);
        }
        self.deployment = Some(Deployment { own, template, paused: false });
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
        self.touch();
        self.news = true;
    }

    /// The status on record.
    pub fn status(&self) -> RolloutStatus {
        self.rollout.as_ref().and_then(|rollout| rollout.status.clone()).unwrap_or_default()
    }

    /// Whether a router splits the traffic.
    pub fn has_mesh(&self) -> bool {
        self.rollout.as_ref().is_some_and(|rollout| validate::has_mesh(&rollout.spec))
    }

    /// minReadySeconds in milliseconds.
    pub fn min_ready(&self) -> Millis {
        let seconds = self.rollout.as_ref().and_then(|rollout| rollout.spec.min_ready_seconds).unwrap_or(0);
        Millis::from(seconds) * 1000
    }

    /// The wanted template and its revision id (rule S1: what the server has is compared first, the hash only names).
    pub fn wanted_template(&self) -> Option<(String, Value)> {
        let spec = &self.rollout.as_ref()?.spec;
        let raw = match (&spec.template, &self.deployment) {
            (Some(raw), _) => raw.clone(),
            (None, Some(deployment)) => deployment.template.clone(),
            (None, None) => return None,
        };
        let known = self.sets.iter().find(|set| set.template == raw);
        Some((known.map_or_else(|| revision::id(&raw), |set| set.id.clone()), raw))
    }

    /// A revision's ReplicaSet.
    pub fn set(&self, id: &str) -> Option<&Replicas> {
        self.sets.iter().find(|set| set.id == id)
    }

    /// The version of an object, as the API server has it now.
    pub fn version_of(&self, named: &Named) -> u64 {
        match named {
            Named::Rollout => self.version,
            Named::Replicas(id) => self.set(id).map_or(0, |set| set.version),
            Named::Stable => self.stable.version,
            Named::Canary => self.canary.version,
            Named::Route => self.route.version,
            Named::Deployment => self.deployment.as_ref().map_or(0, |deployment| deployment.own.version),
        }
    }

    /// The versions of all objects.
    pub fn versions_of_all(&self) -> BTreeMap<Named, u64> {
        let fixed = [Named::Rollout, Named::Stable, Named::Canary, Named::Route, Named::Deployment];
        let sets = self.sets.iter().map(|set| Named::Replicas(set.id.clone()));
        fixed.into_iter().chain(sets).map(|named| (named.clone(), self.version_of(&named))).collect()
    }

    // ---- time --------------------------------------------------------------------------------------------------------

    /// When something happens next by itself.
    pub fn next_event(&self) -> Option<Millis> {
        let min_ready = self.min_ready();
        let ready = self.all_pods().filter_map(|pod| pod.ready_at).flat_map(|at| [at, at + min_ready]);
        let routes = self.route.underway.iter().map(|(at, _)| *at);
        ready.chain(routes).chain(self.late_news).chain(self.faults.next_event(self.now)).filter(|at| *at > self.now).min()
    }

    /// Lets time pass to `to`: requests flow as they do now, and what is due then becomes so.
    pub fn advance(&mut self, to: Millis) {
        let from = self.now;
        if to <= from {
            return;
        }
        self.flow(to - from);
        let SimCluster { sets, deployment, versions, laws, dice, scrape, .. } = self;
        let own = deployment.iter_mut().flat_map(|deployment| deployment.own.pods.iter_mut());
        for pod in sets.iter_mut().flat_map(|set| set.pods.iter_mut()).chain(own) {
            let rate = error_rate(laws, &versions[pod.version], to);
            let answered = pod.pass(from, to, rate, *scrape, dice);
            versions[pod.version].answered = sum(versions[pod.version].answered, answered);
        }
        let min_ready = self.min_ready();
        let due = |at: Millis| at > from && at <= to;
        let mut news = false;
        for set in &mut self.sets {
            let changes = |pod: &Pod| pod.ready_at.is_some_and(|at| due(at) || due(at + min_ready));
            if set.pods.iter().any(changes) {
                set.version += 1;
                news = true;
            }
        }
        let own_changes = self.deployment.as_ref().is_some_and(|deployment| {
            deployment.own.pods.iter().any(|pod| pod.ready_at.is_some_and(due))
        });
        self.news |= news || own_changes;
        self.now = to;
        if self.late_news.is_some_and(|at| at <= to) {
            self.late_news = None;
            self.news = true;
        }
        self.route_arrives();
        self.roll_deployment();
        self.gone.retain(|(_, pod)| !pod.is_forgotten(to));
    }

    fn route_arrives(&mut self) {
        let now = self.now;
        for (_, weight) in self.route.underway.extract_if(.., |(at, _)| *at <= now) {
            self.route.effective = weight;
        }
    }

    /// Sets the rate of every pod as targets, routes and readiness are now, for so long.
    fn flow(&mut self, span: Millis) {
        let now = self.now;
        let pinned = self.has_mesh() && self.stable.revision.is_some();
        let by = |target: &Target| target.revision.clone().unwrap_or_default();
        let flow = if pinned {
            Flow::Split { stable: by(&self.stable), canary: by(&self.canary), weight: self.route.effective.share() }
        } else {
            // Without a mesh the root Service keeps the user's selector (rule S6).
            Flow::Even
        };
        let own = self.deployment.as_mut().map(|deployment| deployment.own.pods.as_mut_slice()).unwrap_or_default();
        let rps = self.laws.rps;
        let lost = flow.spread(if self.users { rps } else { 0.0 }, &mut self.sets, own, now);
        self.users |= lost.any_pod;
        self.expected_lost += lost.rate * span as f64 / 1000.0;
    }

    /// Draws the requests that no scrape has seen yet: for a summary, or when a pod goes.
    pub fn count_up(&mut self) {
        let now = self.now;
        let SimCluster { sets, deployment, versions, laws, dice, .. } = self;
        let own = deployment.iter_mut().flat_map(|deployment| deployment.own.pods.iter_mut());
        for pod in sets.iter_mut().flat_map(|set| set.pods.iter_mut()).chain(own) {
            let rate = error_rate(laws, &versions[pod.version], now);
            let answered = pod.draw(rate, dice);
            versions[pod.version].answered = sum(versions[pod.version].answered, answered);
        }
        self.lost += self.dice.poisson(std::mem::take(&mut self.expected_lost));
    }

    /// What all versions have answered.
    pub fn answered(&self) -> ArmCounts {
        self.versions.iter().map(|version| version.answered).fold(ArmCounts::default(), sum)
    }

    /// What an image's pods have answered.
    pub fn answered_by(&self, image: &str) -> ArmCounts {
        self.versions.iter().find(|version| version.image == image).map(|v| v.answered).unwrap_or_default()
    }

    // ---- pods --------------------------------------------------------------------------------------------------------

    fn all_pods(&self) -> impl Iterator<Item = &Pod> {
        let own = self.deployment.iter().flat_map(|deployment| deployment.own.pods.iter());
        self.sets.iter().flat_map(|set| set.pods.iter()).chain(own)
    }

    /// Pods that count as available, of all revisions and the Deployment.
    pub fn available(&self) -> u32 {
        let min_ready = self.min_ready();
        let ours: u32 = self.sets.iter().map(|set| set.available(self.now, min_ready)).sum();
        ours + self.deployment.as_ref().map_or(0, |deployment| deployment.own.ready(self.now))
    }

    fn version_index(&mut self, image: &str) -> usize {
        let known = self.versions.iter().position(|version| version.image == image);
        known.unwrap_or_else(|| {
            self.versions.push(Version { image: image.to_owned(), ..Version::default() });
            self.versions.len() - 1
        })
    }

    fn new_pod(&mut self, template: &Value) -> Pod {
        let image = first_image(template);
        let version = self.version_index(&image);
        self.versions[version].first.get_or_insert(self.now);
        self.serials += 1;
        let phase = self.dice.below(self.scrape.unsigned_abs()) as Millis;
        let first_scrape = self.now + phase;
        Pod::new(self.serials, version, self.now, self.ready_time(&image), first_scrape)
    }

    /// When a pod of this image that starts now is ready.
    pub fn ready_time(&self, image: &str) -> Option<Millis> {
        use crate::api::common::Delay;
        match self.laws.versions.get(image).and_then(|version| version.ready) {
            Some(Delay::Never) => None,
            Some(Delay::After(after)) => Some(self.now + millis(after)),
            None => Some(self.now + self.laws.startup),
        }
    }

    /// Scales a revision.
    pub fn scale(&mut self, id: &str, replicas: u32) {
        let Some(index) = self.sets.iter().position(|set| set.id == id) else { return };
        if self.sets[index].wanted != replicas {
            self.sets[index].wanted = replicas;
            self.sets[index].version += 1;
            self.news = true;
        }
        self.take_surplus(index);
        self.fill();
    }

    fn take_surplus(&mut self, index: usize) {
        let gone = self.sets[index].shrink(self.now);
        let workload = self.sets[index].workload.clone();
        for pod in gone {
            self.take_down(workload.clone(), pod);
        }
    }

    fn take_down(&mut self, workload: String, mut pod: Pod) {
        let rate = error_rate(&self.laws, &self.versions[pod.version], self.now);
        let answered = pod.draw(rate, &mut self.dice);
        self.versions[pod.version].answered = sum(self.versions[pod.version].answered, answered);
        pod.end(self.now);
        self.gone.push((workload, pod));
    }

    /// Makes the pods that are asked for, as far as there is room.
    fn fill(&mut self) {
        for index in 0..self.sets.len() {
            let missing = self.sets[index].wanted.saturating_sub(count(self.sets[index].pods.len()));
            let room = self.laws.capacity.map_or(u32::MAX, |room| room.saturating_sub(count(self.all_pods().count())));
            let template = self.sets[index].template.clone();
            for _ in 0..missing.min(room) {
                let pod = self.new_pod(&template);
                self.sets[index].pods.push(pod);
            }
            self.sets[index].without_room = missing - missing.min(room);
        }
    }

    /// Crashes so many pods of a revision: their processes start again.
    pub fn crash(&mut self, id: &str, pods: u32) {
        let Some(index) = self.sets.iter().position(|set| set.id == id) else { return };
        let ready_at = self.ready_time(&self.sets[index].image());
        let now = self.now;
        let set = &mut self.sets[index];
        for pod in set.pods.iter_mut().filter(|pod| pod.is_ready(now)).take(pods as usize) {
            pod.crash(ready_at);
        }
        set.version += 1;
        self.news = true;
    }

    /// Writes the routes. They reach the proxies a moment later.
    pub fn write_route(&mut self, weight: Percent) {
        let lag = self.faults.router_lag(self.now).unwrap_or(ROUTE_LAG);
        self.route.weight = weight;
        self.route.version += 1;
        self.route.underway.push((self.now + lag, weight));
        self.news = true;
    }

    /// Moves a target.
    pub fn move_target(&mut self, stable: bool, revision: Option<String>) {
        let target = if stable { &mut self.stable } else { &mut self.canary };
        if target.revision != revision {
            target.revision = revision;
            target.version += 1;
            self.news = true;
        }
    }

    /// Takes a ReplicaSet with its pods away.
    pub fn remove_set(&mut self, id: &str) {
        if let Some(index) = self.sets.iter().position(|set| set.id == id) {
            self.sets[index].wanted = 0;
            self.take_surplus(index);
            self.sets.remove(index);
            self.news = true;
        }
    }

    // ---- the Deployment ----------------------------------------------------------------------------------------------

    /// Writes the Deployment's spec.
    pub fn write_deployment(&mut self, replicas: Option<u32>, paused: bool, template: Option<Value>) {
        let Some(deployment) = &mut self.deployment else { return };
        let replicas = replicas.unwrap_or(deployment.own.wanted);
        let template = template.unwrap_or_else(|| deployment.template.clone());
        let (was, is) = ((deployment.own.wanted, deployment.paused), (replicas, paused));
        if was == is && template == deployment.template {
            return;
        }
        deployment.own.version += 1;
        (deployment.own.wanted, deployment.paused) = is;
        deployment.template = template;
        self.news = true;
        self.roll_deployment();
    }

    /// The Deployment's own controller: scales always, and rolls to its template unless it is held still.
    fn roll_deployment(&mut self) {
        let Some(mut deployment) = self.deployment.take() else { return };
        let now = self.now;
        if !deployment.paused && deployment.own.template != deployment.template {
            deployment.own.template = deployment.template.clone();
        }
        let version = self.version_index(&first_image(&deployment.own.template));
        let (new, old): (Vec<Pod>, Vec<Pod>) = deployment.own.pods.drain(..).partition(|pod| pod.version == version);
        deployment.own.pods = new;
        for pod in deployment.own.shrink(now) {
            self.take_down(String::new(), pod);
        }
        while count(deployment.own.pods.len()) < deployment.own.wanted {
            let pod = self.new_pod(&deployment.own.template.clone());
            deployment.own.pods.push(pod);
        }
        // Old pods stay until the new ones serve.
        let keep = deployment.own.wanted.saturating_sub(deployment.own.ready(now)) as usize;
        for (index, pod) in old.into_iter().enumerate() {
            if index < keep { deployment.own.pods.push(pod) } else { self.take_down(String::new(), pod) }
        }
        self.deployment = Some(deployment);
    }

    // ---- what is seen ------------------------------------------------------------------------------------------------

    /// What the engine is shown.
    pub fn seen(&self) -> Seen {
        let min_ready = self.min_ready();
        let Some(rollout) = &self.rollout else { return Seen::default() };
        let template = self.wanted_template();
        Seen {
            template: template.map(|(id, raw)| TemplateSeen { id, images: revision::images(&raw) }),
            replicas: rollout.spec.replicas.unwrap_or(1),
            revisions: self.sets.iter().map(|set| set.seen(self.now, min_ready)).collect(),
            route: self.has_mesh().then(|| self.route_seen()),
            stable_target: self.target_seen(&self.stable, true),
            canary_target: self.target_seen(&self.canary, false),
            workload: self.deployment.as_ref().filter(|_| rollout.spec.workload_ref.is_some()).map(|d| WorkloadSeen {
                wanted: d.own.wanted,
                pods: count(d.own.pods.len()),
                available: d.own.ready(self.now),
                paused: d.paused,
            }),
            runs: self.runs.iter().map(|(name, run)| (name.clone(), run_seen(run))).collect(),
            commands: self.commands.clone(),
            problems: self.problems(),
            selector: format!("app={}", self.key.name),
            ..Seen::default()
        }
    }

    fn route_seen(&self) -> RouteSeen {
        let readable = self.missing_route().is_none();
        RouteSeen { weight: readable.then_some(self.route.weight), ..RouteSeen::default() }
    }

    fn target_seen(&self, target: &Target, stable: bool) -> Option<TargetSeen> {
        let spec = &self.rollout.as_ref()?.spec;
        let services = spec.services.clone().unwrap_or_default();
        let subset = subset_split(spec);
        let named = if stable { services.stable.is_some() } else { services.canary.is_some() };
        if !self.has_mesh() && !named {
            return None;
        }
        let ready = |set: &Replicas| (set.id.clone(), set.ready(self.now));
        let listed = self.sets.iter().filter(|set| Some(&set.id) == target.revision.as_ref()).map(ready);
        Some(TargetSeen { revision: target.revision.clone(), endpoints: (!subset).then(|| listed.collect()) })
    }

    fn missing_route(&self) -> Option<String> {
        let spec = &self.rollout.as_ref()?.spec;
        let mut named = spec.traffic.iter().filter_map(|t| t.istio.as_ref()).flat_map(|i| i.virtual_services.iter());
        let gone = |name: &String| self.missing.contains(&("VirtualService".to_owned(), name.clone()));
        named.find(|service| gone(&service.name)).map(|service| service.name.clone())
    }

    fn problems(&self) -> Vec<Problem> {
        let Some(rollout) = &self.rollout else { return Vec::new() };
        let spec = &rollout.spec;
        let problem =
            |reason: &str, message: String, blocks_all| Problem { reason: reason.to_owned(), message, blocks_all };
        let mut found = Vec::new();
        let findings = validate::rollout(spec);
        let errors: Vec<String> = findings
            .iter()
            .filter(|finding| finding.severity == Severity::Error)
            .map(|finding| format!("{}: {}", finding.path, finding.message))
            .collect();
        if !errors.is_empty() {
            found.push(problem("InvalidSpec", errors.join("; "), true));
        }
        if let Some(workload) = spec.workload_ref.as_ref().filter(|_| self.deployment.is_none()) {
            let message =
                format!("Missing Deployment/{}: workloadRef names it; create it or mend the name", workload.name);
            found.push(problem("MissingWorkload", message, false));
        }
        let root = spec.services.as_ref().and_then(|services| services.root.as_ref());
        if let Some(root) = root.filter(|root| self.missing.contains(&("Service".to_owned(), (*root).clone()))) {
            let message = format!("Missing Service/{root}: services.root names it; create it or mend the name");
            found.push(problem("MissingService", message, false));
        }
        if let Some(name) = self.missing_route() {
            let message = format!("Missing VirtualService/{name}: create it, or take it out of spec.traffic");
            found.push(problem("MissingVirtualService", message, false));
        }
        found
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

    /// The Services by the parts they play (rule S6); `None` once the Rollout is gone.
    pub fn service_names(&self) -> Option<ServiceNames> {
        let spec = &self.rollout.as_ref()?.spec;
        let services = spec.services.clone().unwrap_or_default();
        let root_is_pinned = self.has_mesh() && !subset_split(spec);
        let with = |suffix: &str| services.root.as_ref().filter(|_| root_is_pinned).map(|root| format!("{root}-{suffix}"));
        let (stable, canary) = (services.stable.or_else(|| with("stable")), services.canary.or_else(|| with("canary")));
        Some(ServiceNames { root: services.root, stable, canary, root_is_pinned })
    }

    /// Pods, targets and routes in words: what a rollout leaves behind.
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

    /// What an arm counted in a window.
    pub fn increments(&self, workload: &str, end: Millis, window: Millis, warm_up: Millis) -> Option<ArmCounts> {
        let own = |set: &&Replicas| set.workload == workload;
        let alive = self.sets.iter().filter(own).flat_map(|set| set.pods.iter());
        let gone = self.gone.iter().filter(|(name, _)| name == workload).map(|(_, pod)| pod);
        alive.chain(gone).filter_map(|pod| pod.increments(end, window, warm_up)).reduce(sum)
    }
}

/// The names of a Rollout's Services.
#[derive(Clone, Debug, Default)]
pub struct ServiceNames {
    /// The Service that callers use.
    pub root: Option<String>,
    /// The stable Service.
    pub stable: Option<String>,
    /// The canary Service.
    pub canary: Option<String>,
    /// Whether root moves with stable.
    pub root_is_pinned: bool,
}

fn subset_split(spec: &RolloutSpec) -> bool {
    spec.traffic.iter().any(|t| t.istio.as_ref().is_some_and(|istio| istio.destination_rule.is_some()))
}

/// The share of errors in a version's answers now.
fn error_rate(laws: &Laws, version: &Version, now: Millis) -> f64 {
    let late = laws.late.iter().find(|(image, ..)| *image == version.image);
    if let Some((_, delay, rate)) = late
        && version.first.is_some_and(|first| now - first > *delay)
    {
        return *rate;
    }
    let spec = laws.versions.get(&version.image);
    spec.and_then(|version| version.error_rate).map_or(0.0, Percent::share)
}

fn run_seen(run: &AnalysisRun) -> RunSeen {
    let status = run.status.clone().unwrap_or_default();
    RunSeen { phase: status.phase, verdict: status.verdict, epoch_wanted: run.spec.epoch, stop: run.spec.stop, status }
}
