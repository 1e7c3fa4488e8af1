//! The Kubernetes side of the engine's doors: watches that keep pruned tables, and guarded writes.
//!
//! [`Cluster`] is the controller's [`World`]. What it observes comes from the tables alone, so a fleet that has nothing to
//! do makes no request but its watches; every answer to a write goes into the tables at once (kube rule 5).

mod action_log;
mod call;
pub mod domain;
mod events;
mod evict;
mod face;
mod fence;
mod first_look;
mod handback;
pub mod health;
mod history;
pub mod item;
pub mod kinds;
#[cfg(test)]
mod leader_tests;
mod metadata;
mod nesting;
mod observe;
mod problems;
pub mod records;
pub mod references;
mod requests;
mod revisions;
mod router_kinds;
mod routes;
mod runs;
pub mod secrets;
pub mod selection;
mod selectors;
mod server_clock;
mod services;
mod status;
pub mod table;
pub mod targets;
mod traffic;
mod unreadable;
mod upkeep;
pub mod watch;
mod workload;

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError},
};

use async_trait::async_trait;
use jiff::{SignedDuration, Timestamp};
use kube::{
    Api, Client, Resource,
    api::{ApiResource, DynamicObject},
};

pub use events::EventSender;
pub use fence::{Fence, Term};
pub use health::{Health, Streams};
pub use requests::WatchRequests;
pub use server_clock::ServerClock;

use crate::{
    api::{AnalysisRun, Rollout, RolloutCommand, RolloutStatus},
    engine::{Action, Notice},
    metrics::Metrics,
    ports::{Clock, GateDesk, Observation, RolloutKey, World, WorldError},
    router::{FIELD_MANAGER, ROUTERS, RouteScope, WatchedKind},
};
use action_log::described;
use kinds::{AutoscalerKept, DeploymentKept, PodKept, ReplicaSetKept, RolloutKept, RouteKept, ServiceKept, SliceKept};
use observe::Around;
use records::{CommandKept, RunKept};
use references::References;
use router_kinds::RouterKinds;
use runs::Evidence;
use table::Table;
use upkeep::Strays;
use watch::Triggers;

/// The field manager of our writes.
pub const MANAGER: &str = FIELD_MANAGER;

/// Pods that come one by one change counts and messages with each: they are recorded this often at most.
const WORDS_WAIT: SignedDuration = SignedDuration::from_secs(2);

/// Everything the watches have seen.
#[derive(Debug, Default)]
pub struct Tables {
    /// Rollouts.
    pub rollouts: Table<RolloutKept>,
    /// Our ReplicaSets, grouped by Rollout.
    pub replica_sets: Table<ReplicaSetKept>,
    /// Services.
    pub services: Table<ServiceKept>,
    /// EndpointSlices, grouped by Service.
    pub slices: Table<SliceKept>,
    /// Pods of our revisions, grouped by ReplicaSet.
    pub pods: Table<PodKept>,
    /// Deployments.
    pub deployments: Table<DeploymentKept>,
    /// HorizontalPodAutoscalers, grouped by the Deployment that they scale.
    pub autoscalers: Table<AutoscalerKept>,
    /// AnalysisRuns, grouped by Rollout; those that have ended apart.
    pub runs: Table<RunKept>,
    /// RolloutCommands, grouped by Rollout; those that are answered apart.
    pub commands: Table<CommandKept>,
    /// Routers' objects by the plural of their kind.
    pub routes: BTreeMap<&'static str, Table<RouteKept>>,
}

/// The settings of a [`Cluster`].
#[derive(Clone, Debug, Default)]
pub struct Settings {
    /// The one namespace to serve; all when absent.
    pub namespace: Option<String>,
    /// Whether there is a Prometheus for analyses that name none.
    pub has_prometheus: bool,
    /// The class of Rollouts to act on; those without a class when absent.
    pub class: Option<String>,
    /// What holds for all routes.
    pub routes: RouteScope,
    /// Where steps, outcomes and repairs are counted.
    pub metrics: Metrics,
}

/// A Kubernetes cluster as the engine's world.
pub struct Cluster {
    client: Client,
    /// The same without retries inside one call.
    no_retry: Client,
    settings: Settings,
    clock: Arc<dyn Clock>,
    events: EventSender,
    triggers: Arc<dyn Triggers>,
    gates: Arc<GateDesk>,
    /// Whether this process may write.
    fence: Fence,
    tables: Tables,
    references: References,
    router_kinds: RouterKinds,
    around: Mutex<HashMap<RolloutKey, Arc<Around>>>,
    /// How the watches fare.
    streams: OnceLock<Streams>,
    /// Since when this process decides.
    deciding_since: OnceLock<Timestamp>,
    /// The term in which each Rollout was looked at first; `None` without a Lease.
    looked_in: Mutex<HashMap<RolloutKey, Option<Term>>>,
    /// Since when a Rollout's deferred status differs only in counts and messages.
    unsaid: Mutex<HashMap<RolloutKey, Timestamp>>,
    /// What ended runs have found, as long as a decision may rest on it.
    evidence: Mutex<HashMap<RolloutKey, Evidence>>,
    /// ReplicaSets that bear a Rollout's label and are not its own.
    strays: Mutex<HashMap<RolloutKey, Strays>>,
    /// When deleting old runs and commands failed: not again before.
    not_pruned_before: Mutex<HashMap<RolloutKey, Timestamp>>,
}

impl Cluster {
    /// A cluster without observations: [`watch::start`] fills it and notifies `triggers` of changes. The second client
    /// does not retry inside one call. Nothing is written while the fence is closed.
    pub fn new(
        (client, no_retry): (Client, Client),
        settings: Settings,
        clock: Arc<dyn Clock>,
        events: EventSender,
        triggers: Arc<dyn Triggers>,
        gates: Arc<GateDesk>,
        fence: Fence,
    ) -> Self {
        let routes = watched_kinds().map(|kind| (kind.plural, Table::default())).collect();
        Cluster {
            client,
            no_retry,
            settings,
            clock,
            events,
            triggers,
            gates,
            fence,
            tables: Tables { routes, ..Tables::default() },
            references: References::default(),
            router_kinds: RouterKinds::default(),
            around: Mutex::default(),
            streams: OnceLock::new(),
            deciding_since: OnceLock::new(),
            looked_in: Mutex::default(),
            unsaid: Mutex::default(),
            evidence: Mutex::default(),
            strays: Mutex::default(),
            not_pruned_before: Mutex::default(),
        }
    }

    /// What the watches have seen.
    pub fn tables(&self) -> &Tables {
        &self.tables
    }

    /// From now on this process decides: what it finds late may only look so (rule S41).
    pub fn begin(&self) {
        self.deciding_since.get_or_init(|| self.clock.now());
    }

    /// The watches that fill the tables.
    fn follow(&self, streams: &Streams) {
        self.streams.get_or_init(|| streams.clone());
    }

    /// After a restore of etcd, or while the API server is away, nothing is decided or written until all kinds are relisted.
    fn is_consistent(&self) -> Result<(), WorldError> {
        let relisting = self.streams.get().map(Streams::relisting).unwrap_or_default();
        if relisting.is_empty() {
            return Ok(());
        }
        Err(WorldError::NotReady(format!("waiting for the lists of {}", relisting.join(", "))))
    }

    /// How many restores of etcd the watches have found.
    fn restores(&self) -> u64 {
        self.streams.get().map_or(0, Streams::restores)
    }

    /// Drops what one tick kept for its own preconditions.
    pub fn finish_tick(&self, key: &RolloutKey) {
        lock(&self.around).remove(key);
    }

    /// Publishes something about a Rollout outside of a tick.
    pub fn tell_about(&self, key: &RolloutKey, notice: &Notice) {
        let entry = self.tables.rollouts.get(&key.namespace, &key.name);
        if let Some(Ok(rollout)) = entry.as_ref().map(|entry| &entry.value.rollout) {
            self.events.send(rollout, notice);
        }
    }

    /// Whether a Rollout is ours to act on, and not another installation's. What belongs to a Rollout that is not there is
    /// for the installation without a class.
    pub fn serves(&self, namespace: &str, rollout: &str) -> bool {
        let entry = self.tables.rollouts.get(namespace, rollout);
        entry.and_then(|entry| entry.value.class.clone()).as_deref() == self.settings.class.as_deref()
    }

    /// The API of a kind in one namespace.
    fn api(&self, resource: &ApiResource, namespace: &str) -> Api<DynamicObject> {
        Api::namespaced_with(self.client.clone(), namespace, resource)
    }

    /// A router's kind at the version that is watched.
    fn route_resource(&self, kind: &WatchedKind) -> ApiResource {
        route_resource(kind, self.router_kinds.version(kind))
    }

    /// What the tick that is under way has observed.
    fn around(&self, key: &RolloutKey) -> Result<Arc<Around>, WorldError> {
        let missing = || WorldError::Conflict(format!("{key} was not observed in this tick"));
        lock(&self.around).get(key).cloned().ok_or_else(missing)
    }

    /// Makes one desired state so.
    async fn perform(&self, key: &RolloutKey, action: &Action) -> Result<(), WorldError> {
        let around = self.around(key)?;
        tracing::debug!(rollout = %key, action = described(action), "carry out");
        match action {
            Action::EnsureRevision { id, number } => self.ensure_revision(&around, id, *number).await,
            Action::EnsureReplicas { id, replicas } => self.ensure_replicas(&around, id, *replicas).await,
            Action::EnsureMetadata { id, metadata } => self.ensure_metadata(&around, id, metadata).await,
            Action::Evict { pod, uid } => self.evict(&around, pod, uid).await,
            Action::RemoveRevision { id } => self.remove_revision(&around, id).await,
            Action::EnsureTarget { target, revision } => self.ensure_target(&around, *target, revision).await,
            Action::EnsureRoute(intent) => self.ensure_route(&around, intent).await,
            Action::EnsureWorkload { replicas, paused } => self.ensure_workload(&around, *replicas, *paused).await,
            Action::AskGate(_) if !self.fence.is_open() => Err(call::not_leading("ask a gate")),
            Action::AskGate(question) => {
                let (triggers, rollout) = (Arc::clone(&self.triggers), key.clone());
                self.gates.ensure_asked(key, question, move || triggers.rollout(rollout));
                Ok(())
            }
            Action::EnsureRun(request) => self.ensure_run(&around, request).await,
            Action::CheckRun(request) => self.check_run(&around, request).await,
            Action::StopRun { name } => self.stop_run(&around, name).await,
            Action::AnswerCommand { name, state, message } => {
                self.answer_command(&key.namespace, name, *state, message).await
            }
            Action::HandBack(stage) => self.hand_back(&around, *stage).await,
        }
    }
}

#[async_trait]
impl World for Cluster {
    async fn observe(&self, key: &RolloutKey) -> Result<Option<Observation>, WorldError> {
        self.is_consistent()?;
        self.observe_rollout(key).await
    }

    async fn carry_out(&self, observation: &Observation, action: &Action) -> Result<(), WorldError> {
        self.is_consistent()?;
        let key = key_of(&observation.rollout);
        let done = self.perform(&key, action).await;
        if let Err(WorldError::Refused { reason, .. }) = &done {
            self.settings.metrics.action_refused(&key.namespace, reason);
        }
        done
    }

    async fn record(&self, observation: &Observation, status: &RolloutStatus) -> Result<(), WorldError> {
        self.is_consistent()?;
        lock(&self.unsaid).remove(&key_of(&observation.rollout));
        self.record_status(&observation.rollout, status).await?;
        self.count_progress(&observation.rollout, status);
        Ok(())
    }

    fn words_may_wait(&self, key: &RolloutKey) -> bool {
        let now = self.clock.now();
        let since = *lock(&self.unsaid).entry(key.clone()).or_insert(now);
        now.duration_since(since) < WORDS_WAIT
    }

    async fn tell(&self, observation: &Observation, notice: &Notice) {
        if notice.reason == "RouteRepaired" {
            self.settings.metrics.route_repaired(&key_of(&observation.rollout).namespace);
        }
        self.events.send(&observation.rollout, notice);
    }
}

/// The key of a Rollout.
pub fn key_of(rollout: &Rollout) -> RolloutKey {
    RolloutKey {
        namespace: rollout.metadata.namespace.clone().unwrap_or_default(),
        name: rollout.metadata.name.clone().unwrap_or_default(),
    }
}

/// The kinds of objects that routers write, each once.
pub fn watched_kinds() -> impl Iterator<Item = &'static WatchedKind> {
    ROUTERS.iter().flat_map(|router| router.watches)
}

fn resource<K: Resource<DynamicType = ()>>() -> ApiResource {
    ApiResource::erase::<K>(&())
}

fn route_resource(kind: &WatchedKind, version: &str) -> ApiResource {
    ApiResource {
        group: kind.group.into(),
        version: version.into(),
        api_version: format!("{}/{version}", kind.group),
        kind: kind.kind.into(),
        plural: kind.plural.into(),
    }
}

fn rollouts() -> ApiResource {
    resource::<Rollout>()
}

fn runs_resource() -> ApiResource {
    resource::<AnalysisRun>()
}

fn commands() -> ApiResource {
    resource::<RolloutCommand>()
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
