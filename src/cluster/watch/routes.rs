//! Routers' kinds, which a cluster may lack, or serve at an older version, or not let us list: each is looked for and
//! watched by a task of its own, and what is wrong with one concerns only the Rollouts that name it.
//!
//! Discovery returns the served versions; every account may use it, also one that is bound to a namespace. A watch on
//! the metadata of the CRDs triggers it, so that no request is sent while nothing changes.

use std::{sync::Arc, time::Duration};

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use tokio::{
    sync::watch,
    task::JoinSet,
    time::{Instant, timeout},
};

use super::{backoff::Backoff, follow::Watch, stream::Stream};
use crate::{
    cluster::{
        chain::chain,
        health::{Health, Streams},
        kinds::CachedRoute,
        raw_object::RawObject,
        resources::{resource, route_resource},
        router_kinds::{Found, NewKind},
        table::{Change, Kept, ObjectKey, Table},
    },
    router::{Versions, WatchedKind},
};

/// A look at discovery takes no longer.
const ANSWER: Duration = Duration::from_secs(10);
/// The interval of discovery without a watch on the CRDs.
const POLL: Duration = Duration::from_secs(60);
/// A kind that was watched is looked for again after this long before its objects count as gone.
const AGAIN: Duration = Duration::from_secs(5);
/// So often it is looked whether a stream fares otherwise than before; this makes no request.
const GLANCE: Duration = Duration::from_secs(2);

/// A CustomResourceDefinition; only that it changed counts.
#[derive(Clone, Debug, PartialEq)]
pub struct CachedDefinition {
    version: Option<String>,
}

impl Kept for CachedDefinition {
    fn keep(object: &RawObject<'_>) -> Result<Self, String> {
        Ok(CachedDefinition { version: object.metadata().resource_version.clone() })
    }
}

/// The definitions of the cluster, by their metadata.
pub struct Definitions {
    table: Table<CachedDefinition>,
    health: Arc<Health>,
    /// Counts changes of routers' definitions.
    changes: watch::Sender<u64>,
}

impl Definitions {
    /// None seen yet.
    pub fn new(streams: &Streams) -> Self {
        let health = streams.add_optional("CustomResourceDefinition");
        Definitions { table: Table::default(), health, changes: watch::Sender::new(0) }
    }

    /// Whether a change would be heard of.
    fn are_watched(&self) -> bool {
        self.health.unreliable().is_none()
    }

    fn has(&self, kind: &WatchedKind) -> bool {
        self.table.get("", &kind.definition()).is_some()
    }
}

/// What is known of a kind between two looks.
struct Looking {
    kind: WatchedKind,
    health: Arc<Health>,
    definitions: Arc<Definitions>,
    changes: watch::Receiver<u64>,
    backoff: Backoff,
    /// The version that is being watched, by a task that ends when it is dropped.
    running: Option<(String, JoinSet<()>)>,
    /// Why the kind cannot be used, as reported to the Rollouts that reference it.
    told: Option<String>,
}

impl Watch {
    /// Follows the definitions until the end of time.
    pub async fn definitions(self, definitions: Arc<Definitions>) {
        let stream = Stream {
            client: self.cluster.no_retry.clone(),
            resource: resource::<CustomResourceDefinition>(),
            namespace: None,
            label: None,
            metadata_only: true,
            first_from_memory: false,
            table: &definitions.table,
            health: &definitions.health,
        };
        let ours = |key: &ObjectKey| self.cluster.router_kinds.has_definition(&key.name);
        let changed = |change: &Change<CachedDefinition>| {
            if change.entry().is_some_and(|entry| ours(&entry.key)) {
                definitions.changes.send_modify(|count| *count += 1);
            }
        };
        stream.follow(changed).await;
    }

    /// Looks for every kind that a Rollout names, until the end of time.
    pub async fn named(self, definitions: Arc<Definitions>) {
        let mut tasks = JoinSet::new();
        loop {
            let new = self.cluster.router_kinds.next_named().await;
            tasks.spawn(self.clone().optional(new, Arc::clone(&definitions)));
        }
    }

    /// Looks for a kind until the end of time, once a Rollout needs it, and follows it while it is there.
    pub async fn optional(self, new: NewKind, definitions: Arc<Definitions>) {
        let NewKind { kind, health, mut needed } = new;
        if needed.wait_for(|needed| *needed).await.is_err() {
            return;
        }
        let changes = definitions.changes.subscribe();
        let (backoff, running, told) = (Backoff::new(&kind.kind), None, None);
        let mut looking = Looking { kind, health, definitions, changes, backoff, running, told };
        let mut missed = false;
        loop {
            looking.changes.mark_unchanged();
            let found = self.look(&looking.kind).await;
            let unsure = matches!(found, Found::Absent) && looking.running.is_some() && !missed;
            missed = unsure;
            if !unsure {
                self.found(&mut looking, &found);
            }
            self.wait(&mut looking, &found, unsure).await;
        }
    }

    /// Asks discovery for the version to watch.
    async fn look(&self, kind: &WatchedKind) -> Found {
        for version in kind.versions.iter() {
            let path = format!("{}/{version}", kind.group);
            match timeout(ANSWER, self.cluster.no_retry.list_api_group_resources(&path)).await {
                Ok(Ok(list)) if list.resources.iter().any(|served| is_it(kind, &served.name, &served.kind)) => {
                    return Found::Served(version.to_owned());
                }
                Ok(Ok(_)) => {}
                Ok(Err(kube::Error::Api(status))) if status.code == 404 => {}
                Ok(Err(error)) => return Found::Unknown(chain(&error)),
                Err(_) => {
                    return Found::Unknown(format!("no response from the API server within {} s", ANSWER.as_secs()));
                }
            }
        }
        Found::Absent
    }

    fn found(&self, looking: &mut Looking, found: &Found) {
        let kind = &looking.kind;
        let resource = kind.resource();
        match found {
            Found::Served(version) if looking.running.as_ref().is_some_and(|(running, _)| running == version) => {}
            Found::Served(version) => {
                tracing::info!(kind = %kind.kind, group = %kind.group, version, "watching");
                self.cluster.router_kinds.found(&resource, found.clone());
                let mut task = JoinSet::new();
                task.spawn(self.clone().follow_route(kind.clone(), version.clone(), Arc::clone(&looking.health)));
                looking.running = Some((version.clone(), task));
            }
            // An existing watch continues as long as it can.
            Found::Unknown(_) if looking.running.is_some() => {}
            Found::Unknown(_) => self.cluster.router_kinds.found(&resource, found.clone()),
            Found::Absent => {
                looking.running = None;
                looking.health.absent();
                self.cluster.router_kinds.found(&resource, found.clone());
                self.clear(kind);
            }
        }
    }

    async fn follow_route(self, kind: WatchedKind, version: String, health: Arc<Health>) {
        let resource = kind.resource();
        if let Some(table) = self.cluster.tables.routes.get(&resource) {
            let named = resource.to_string();
            let changed = |change: &Change<_>| self.route_changed(&named, change);
            self.follow(&route_resource(&kind, &version), None, &table, &health, changed).await;
        }
    }

    /// The definition is gone, and all objects with it.
    fn clear(&self, kind: &WatchedKind) {
        let resource = kind.resource();
        let Some(table) = self.cluster.tables.routes.get(&resource) else { return };
        let (lost, named) = (table.clear(), resource.to_string());
        lost.iter().for_each(|change| self.route_changed(&named, change));
    }

    /// An object of a router or of a mesh.
    fn route_changed(&self, resource: &str, change: &Change<CachedRoute>) {
        self.touch(self.naming(resource, change, |key, _| key.name.clone()));
        if let Some(entry) = change.entry().filter(|_| self.cluster.settings.mesh) {
            self.cluster.concern_policies(&entry.key.namespace);
        }
    }

    /// Waits until discovery may say something else.
    async fn wait(&self, looking: &mut Looking, found: &Found, unsure: bool) {
        let looked = Instant::now();
        let retry = looking.backoff.wait(false);
        if matches!(found, Found::Served(_)) {
            looking.backoff.reset();
        }
        loop {
            self.tell(looking);
            let due = match found {
                _ if unsure => Some(AGAIN),
                Found::Unknown(_) => Some(retry),
                Found::Absent if looking.definitions.has(&looking.kind) => Some(retry),
                Found::Served(_) if looking.health.is_missing() => Some(AGAIN),
                Found::Absent | Found::Served(_) => (!looking.definitions.are_watched()).then_some(POLL),
            };
            if due.is_some_and(|due| looked.elapsed() >= due) {
                return;
            }
            let glance = due.map_or(GLANCE, |due| due.saturating_sub(looked.elapsed()).min(GLANCE));
            tokio::select! {
                biased;
                Ok(()) = looking.changes.changed() => return,
                () = tokio::time::sleep(glance) => {}
            }
        }
    }

    /// Has the Rollouts that use a router looked at, when what is wrong with its kind has changed.
    fn tell(&self, looking: &mut Looking) {
        let now = self.cluster.router_kinds.trouble(&looking.kind.resource(), "");
        if now == looking.told {
            return;
        }
        looking.told = now;
        for entry in self.cluster.tables.rollouts.all() {
            if entry.value.has_mesh {
                self.cluster.triggers.rollout(entry.key.of_rollout());
            }
        }
    }
}

/// Whether a resource that is served is the kind: of one that a Rollout names, not only the resource is as it says.
fn is_it(kind: &WatchedKind, resource: &str, served: &str) -> bool {
    resource == kind.plural && (matches!(kind.versions, Versions::Known(_)) || served == kind.kind)
}
