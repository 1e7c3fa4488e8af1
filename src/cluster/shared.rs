//! [`Cluster`]: the clients, the tables, and what is kept from tick to tick. The files beside it say what it does.

use std::{
    collections::HashMap,
    future::Future,
    sync::{Arc, Mutex, OnceLock},
};

use jiff::Timestamp;
use kube::{Client, api::ApiResource};
use serde_json::Value;

use super::{
    answer::Answer,
    cached_rollout::CachedRollout,
    call::fenced,
    events::EventSender,
    evidence::Evidence,
    fence::{Fence, Term},
    health::Streams,
    kinds::CachedRoute,
    objects::Objects,
    policy_tables::Policies,
    recent::{Decoded, Recent},
    references::References,
    resources::{mesh_kinds, route_resource, watched_kinds},
    router_kinds::RouterKinds,
    strays::Strays,
    table::key_of,
    tables::{RouteTables, Tables},
    triggers::Triggers,
};
use crate::{
    engine::Notice,
    metrics::Metrics,
    ports::{Clock, Deferred, RolloutKey, WorldError},
    reconcile::GateDesk,
    router::{RouteScope, WatchedKind},
};

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
    /// Whether policies of meshes are carried out.
    pub mesh: bool,
}

/// A Kubernetes cluster as the engine's world.
pub struct Cluster {
    pub(super) client: Client,
    /// The same without retries inside one call.
    pub(super) no_retry: Client,
    pub(super) settings: Settings,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) events: EventSender,
    pub(super) triggers: Arc<dyn Triggers>,
    pub(super) gates: Arc<GateDesk>,
    /// Whether this process may write.
    pub(super) fence: Fence,
    pub(super) tables: Tables,
    pub(super) recent: Recent<CachedRollout, Decoded>,
    pub(super) recent_routes: Recent<CachedRoute, Value>,
    pub(super) references: References,
    pub(super) router_kinds: RouterKinds,
    /// What is known of policies; empty without `--mesh`.
    pub(super) policies: Policies,
    /// How the watches fare.
    pub(super) streams: OnceLock<Streams>,
    /// Since when this process decides.
    pub(super) deciding_since: OnceLock<Timestamp>,
    /// The term in which each Rollout was looked at first; `None` without a Lease.
    pub(super) looked_in: Mutex<HashMap<RolloutKey, Option<Term>>>,
    /// What the last tick of a Rollout did not record.
    pub(super) deferred: Mutex<HashMap<RolloutKey, Deferred>>,
    /// Since when a Rollout's deferred status differs only in counts and messages.
    pub(super) pending_summary: Mutex<HashMap<RolloutKey, Timestamp>>,
    /// What ended runs have found, as long as a decision may rest on it.
    pub(super) evidence: Mutex<HashMap<RolloutKey, Evidence>>,
    /// ReplicaSets that bear a Rollout's label and are not its own.
    pub(super) strays: Mutex<HashMap<RolloutKey, Strays>>,
    /// When deleting old runs and commands failed: not again before.
    pub(super) not_pruned_before: Mutex<HashMap<RolloutKey, Timestamp>>,
}

impl Cluster {
    /// A cluster without observations: [`watch::start`](super::watch::start) fills it and notifies `triggers` of changes. The second client
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
        let routes = RouteTables::default();
        watched_kinds().for_each(|kind| routes.add(kind.resource()));
        if settings.mesh {
            mesh_kinds().for_each(|kind| routes.add(kind.resource()));
        }
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
            recent: Recent::default(),
            recent_routes: Recent::default(),
            references: References::default(),
            router_kinds: RouterKinds::default(),
            policies: Policies::default(),
            streams: OnceLock::new(),
            deciding_since: OnceLock::new(),
            looked_in: Mutex::default(),
            deferred: Mutex::default(),
            pending_summary: Mutex::default(),
            evidence: Mutex::default(),
            strays: Mutex::default(),
            not_pruned_before: Mutex::default(),
        }
    }

    /// What the watches have seen.
    pub fn tables(&self) -> &Tables {
        &self.tables
    }

    /// The only way to write: only while this process is the leader. A call in flight when the fence closes is dropped.
    /// `what` names the call in messages, for example `create ReplicaSet shop/web-1`.
    ///
    /// An answer from before a restore of etcd that comes after it says nothing about what is stored now.
    pub(super) async fn write<T>(
        &self,
        what: &str,
        request: impl Future<Output = kube::Result<T>>,
    ) -> Result<T, WorldError> {
        let restores = self.restores();
        let answer = fenced(&self.fence, what, request).await;
        if self.restores() == restores {
            return answer;
        }
        Err(WorldError::Transient(format!("{what}: etcd was restored in the meantime")))
    }

    /// From now on this process decides: what it finds late may only look so (rule S41).
    pub fn begin(&self) {
        self.deciding_since.get_or_init(|| self.clock.now());
    }

    /// The watches that fill the tables.
    pub(super) fn follow(&self, streams: &Streams) {
        self.streams.get_or_init(|| streams.clone());
    }

    /// After a restore of etcd, or while the API server is away, nothing is decided or written until all kinds are relisted.
    pub(super) fn is_consistent(&self) -> Result<(), WorldError> {
        let relisting = self.streams.get().map(Streams::relisting).unwrap_or_default();
        if relisting.is_empty() {
            return Ok(());
        }
        Err(WorldError::NotReady(format!("waiting for the lists of {}", relisting.join(", "))))
    }

    /// How many restores of etcd the watches have found.
    pub(super) fn restores(&self) -> u64 {
        self.streams.get().map_or(0, Streams::restores)
    }

    /// The answer to a write of a Rollout. It was decoded to be taken in, and must not stay so.
    pub(super) fn wrote_rollout(&self, written: &Answer) {
        self.tables.rollouts.wrote(written);
        let key = key_of(&written.metadata);
        if let Some(entry) = self.tables.rollouts.get(&key.namespace, &key.name) {
            drop(self.recent.read(&entry));
        }
    }

    /// Publishes something about a Rollout outside of a tick.
    pub fn tell_about(&self, key: &RolloutKey, notice: &Notice) {
        let entry = self.tables.rollouts.get(&key.namespace, &key.name);
        if let Some(rollout) = entry.and_then(|entry| self.recent.rollout(&entry)) {
            self.events.send(&rollout, notice);
        }
    }

    /// Whether a Rollout is ours to act on, and not another installation's. What belongs to a Rollout that is not there is
    /// for the installation without a class.
    pub fn serves(&self, namespace: &str, rollout: &str) -> bool {
        let entry = self.tables.rollouts.get(namespace, rollout);
        entry.and_then(|entry| entry.value.class.clone()).as_deref() == self.settings.class.as_deref()
    }

    /// The API of a kind in one namespace.
    pub(super) fn api(&self, resource: &ApiResource, namespace: &str) -> Objects {
        Objects::new(self.client.clone(), resource, namespace)
    }

    /// A router's kind at the version that is watched.
    pub(super) fn route_resource(&self, kind: &WatchedKind) -> ApiResource {
        route_resource(kind, &self.router_kinds.version(kind))
    }
}
