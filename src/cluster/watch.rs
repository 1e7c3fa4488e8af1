//! The watch streams: each feeds its table and says which Rollouts to look at. All are built by one function.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use futures::{StreamExt, TryStreamExt};
use k8s_openapi::{
    api::{
        apps::v1::{Deployment, ReplicaSet},
        autoscaling::v2::HorizontalPodAutoscaler,
        core::v1::{Pod, Service},
        discovery::v1::EndpointSlice,
    },
    apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition,
};
use kube::{
    Api,
    api::{ApiResource, DynamicObject, PartialObjectMeta, TypeMeta},
    runtime::{WatchStreamExt, watcher, watcher::Event},
};
use tokio::task::JoinSet;

use super::{
    Cluster, Health, Streams,
    call::chain,
    commands,
    kinds::{DeploymentKept, RolloutKept},
    resource, rollouts, route_resource, runs_resource,
    selection::Selection,
    table::{Change, Entry, Kept, ObjectKey, Table, key_of, number},
    watched_kinds,
};
use crate::{
    api::{REVISION_LABEL, ROLLOUT_LABEL, Rollout},
    ports::RolloutKey,
    router::WatchedKind,
};

/// Who is told that something changed.
pub trait Triggers: Send + Sync {
    /// A Rollout, or something around it, changed.
    fn rollout(&self, key: RolloutKey);
    /// Counts around a Rollout changed: pods, endpoints. They come in bursts.
    fn rollout_counts(&self, key: RolloutKey);
    /// An AnalysisRun changed.
    fn run(&self, key: ObjectKey);
}

/// Starts all watches. They end when the set is dropped.
pub fn start(cluster: &Arc<Cluster>, streams: &Streams) -> JoinSet<()> {
    let mut tasks = JoinSet::new();
    let watch = Watch { cluster: Arc::clone(cluster), streams: streams.clone() };
    tasks.spawn(watch.clone().run(rollouts(), None, |t| &t.rollouts, |w, change| w.rollout_changed(change)));
    tasks.spawn(watch.clone().run(
        resource::<ReplicaSet>(),
        Some(ROLLOUT_LABEL),
        |t| &t.replica_sets,
        |w, change| w.touch_counts(w.owners(change, |_, kept| vec![kept.rollout.clone()])),
    ));
    tasks.spawn(watch.clone().run(
        resource::<Service>(),
        None,
        |t| &t.services,
        |w, change| w.touch(w.naming("services", change, |key, _| key.name.clone())),
    ));
    tasks.spawn(watch.clone().run(
        resource::<EndpointSlice>(),
        Some("kubernetes.io/service-name"),
        |t| &t.slices,
        |w, change| w.touch_counts(w.naming("services", change, |_, kept| kept.service.clone())),
    ));
    tasks.spawn(watch.clone().run(
        resource::<Pod>(),
        Some(REVISION_LABEL),
        |t| &t.pods,
        |w, change| w.touch_counts(w.owners(change, |key, kept| w.rollout_of_set(&key.namespace, &kept.owner))),
    ));
    tasks.spawn(watch.clone().run(
        resource::<Deployment>(),
        None,
        |t| &t.deployments,
        |w, change| w.deployment_changed(change),
    ));
    tasks.spawn(watch.clone().run(
        resource::<HorizontalPodAutoscaler>(),
        None,
        |t| &t.autoscalers,
        |w, change| w.touch(w.naming("deployments", change, |_, kept| kept.deployment.clone())),
    ));
    tasks.spawn(watch.clone().run(
        runs_resource(),
        None,
        |t| &t.runs,
        |w, change| {
            change.entry().into_iter().for_each(|entry| w.cluster.triggers.run(entry.key.clone()));
            w.touch(w.owners(change, |_, kept| vec![kept.rollout.clone()]));
        },
    ));
    tasks.spawn(watch.clone().run(
        commands(),
        None,
        |t| &t.commands,
        |w, change| w.touch(w.owners(change, |_, kept| vec![kept.rollout.clone()])),
    ));
    let definitions = streams.add("CustomResourceDefinition");
    tasks.spawn(watch.optional_kinds(definitions));
    tasks
}

#[derive(Clone)]
struct Watch {
    cluster: Arc<Cluster>,
    streams: Streams,
}

impl Watch {
    /// Follows one kind until the end of time. It counts as not synced from the moment of this call.
    fn run<T: Kept>(
        self,
        resource: ApiResource,
        label: Option<&'static str>,
        table: fn(&super::Tables) -> &Table<T>,
        changed: fn(&Watch, &Change<T>),
    ) -> impl Future<Output = ()> + Send {
        let health = self.streams.add(&resource.kind);
        async move {
            let told = |change: &Change<T>| changed(&self, change);
            self.follow(&resource, label, table(&self.cluster.tables), &health, told).await;
        }
    }

    async fn follow<T: Kept>(
        &self,
        resource: &ApiResource,
        label: Option<&str>,
        table: &Table<T>,
        health: &Health,
        changed: impl Fn(&Change<T>) + Send + Sync,
    ) {
        let api: Api<DynamicObject> = match &self.cluster.settings.namespace {
            Some(namespace) => self.cluster.api(resource, namespace),
            None => Api::all_with(self.cluster.client.clone(), resource),
        };
        let mut config = watcher::Config::default().page_size(250);
        config.label_selector = label.map(str::to_owned);
        let types = TypeMeta { api_version: resource.api_version.clone(), kind: resource.kind.clone() };
        let mut relist = Relist::default();
        let mut stream = watcher(api, config).default_backoff().boxed();
        loop {
            match stream.try_next().await {
                Ok(Some(event)) => {
                    health.works();
                    if matches!(event, Event::InitDone) {
                        health.is_synced();
                    }
                    relist.take(event, &types, table).iter().filter(|c| c.matters()).for_each(&changed);
                }
                Ok(None) => return,
                Err(error) => {
                    health.fails();
                    tracing::warn!(kind = %resource.kind, error = chain(&error), "cannot watch; trying again");
                }
            }
        }
    }

    fn rollout_changed(&self, change: &Change<RolloutKept>) {
        let Some(entry) = change.entry() else { return };
        let key = RolloutKey { namespace: entry.key.namespace.clone(), name: entry.key.name.clone() };
        let now = change.new.as_ref().and_then(|entry| entry.value.rollout.as_ref().ok());
        self.touch(self.index(&key, now));
        self.cluster.triggers.rollout(key);
    }

    /// Whose pods a Rollout selects depends on the Deployment that it refers to.
    fn deployment_changed(&self, change: &Change<DeploymentKept>) {
        let whose = |entry: &Option<Arc<Entry<DeploymentKept>>>| {
            entry.as_ref().map(|entry| (entry.value.selector.clone(), entry.value.template.clone()))
        };
        let keys = self.naming("deployments", change, |key, _| key.name.clone());
        if whose(&change.old) != whose(&change.new) {
            for key in &keys {
                let entry = self.cluster.tables.rollouts.get(&key.namespace, &key.name);
                let rollout = entry.as_ref().and_then(|entry| entry.value.rollout.as_ref().ok());
                self.touch(self.index(key, rollout));
            }
        }
        self.touch(keys);
    }

    /// Takes a Rollout's references in; gives the Rollouts whose claims that changes.
    fn index(&self, key: &RolloutKey, rollout: Option<&Rollout>) -> BTreeSet<RolloutKey> {
        let named = rollout.map(|rollout| {
            let workload = rollout.spec.workload_ref.as_ref();
            let workload = workload.and_then(|w| self.cluster.tables.deployments.get(&key.namespace, &w.name));
            (rollout, Selection::of(rollout, workload.as_deref().map(|entry| &entry.value)))
        });
        self.cluster.references.update(key, named)
    }

    /// Looks at Rollouts at once.
    fn touch(&self, keys: BTreeSet<RolloutKey>) {
        keys.into_iter().for_each(|key| self.cluster.triggers.rollout(key));
    }

    /// Looks at Rollouts when the burst of changes is over.
    fn touch_counts(&self, keys: BTreeSet<RolloutKey>) {
        keys.into_iter().for_each(|key| self.cluster.triggers.rollout_counts(key));
    }

    /// The Rollouts that a changed object belongs, or belonged, to.
    fn owners<T: Kept>(
        &self,
        change: &Change<T>,
        rollouts: impl Fn(&ObjectKey, &T) -> Vec<String>,
    ) -> BTreeSet<RolloutKey> {
        let entries = change.old.iter().chain(&change.new);
        let names = entries.flat_map(|entry| {
            let names = rollouts(&entry.key, &entry.value).into_iter().filter(|name| !name.is_empty());
            names.map(|name| RolloutKey { namespace: entry.key.namespace.clone(), name })
        });
        names.collect()
    }

    /// The Rollouts that name a changed object.
    fn naming<T: Kept>(
        &self,
        plural: &str,
        change: &Change<T>,
        name: impl Fn(&ObjectKey, &T) -> String,
    ) -> BTreeSet<RolloutKey> {
        let entries = change.old.iter().chain(&change.new);
        let named = entries.map(|entry| (&entry.key.namespace, name(&entry.key, &entry.value)));
        named.flat_map(|(namespace, name)| self.cluster.references.of(plural, namespace, &name)).collect()
    }

    fn rollout_of_set(&self, namespace: &str, set: &str) -> Vec<String> {
        let set = self.cluster.tables.replica_sets.get(namespace, set);
        set.map(|set| vec![set.value.rollout.clone()]).unwrap_or_default()
    }

    /// Routers' kinds may come and go: a watch on the definitions starts and stops theirs.
    async fn optional_kinds(self, health: Arc<Health>) {
        let api: Api<PartialObjectMeta<CustomResourceDefinition>> = Api::all(self.cluster.client.clone());
        let mut running: BTreeMap<String, JoinSet<()>> = BTreeMap::new();
        let mut stream = watcher(api, watcher::Config::default().page_size(250)).default_backoff().boxed();
        loop {
            match stream.try_next().await {
                Ok(Some(event)) => {
                    health.works();
                    match event {
                        Event::Apply(crd) | Event::InitApply(crd) => {
                            self.begin(&mut running, &crd.metadata.name.unwrap_or_default())
                        }
                        Event::Delete(crd) => self.end(&mut running, &crd.metadata.name.unwrap_or_default()),
                        Event::InitDone => health.is_synced(),
                        Event::Init => {}
                    }
                }
                Ok(None) => return,
                Err(error) => {
                    health.fails();
                    tracing::warn!(error = chain(&error), "cannot watch CustomResourceDefinitions; trying again");
                }
            }
        }
    }

    fn begin(&self, running: &mut BTreeMap<String, JoinSet<()>>, definition: &str) {
        let Some(kind) = watched_kinds().find(|kind| format!("{}.{}", kind.plural, kind.group) == definition) else {
            return;
        };
        if running.contains_key(definition) {
            return;
        }
        let mut task = JoinSet::new();
        let watch = self.clone();
        let health = self.streams.add(kind.kind);
        task.spawn(async move { watch.follow_route(kind, health).await });
        running.insert(definition.to_owned(), task);
    }

    /// The definition is gone, and all objects with it.
    fn end(&self, running: &mut BTreeMap<String, JoinSet<()>>, definition: &str) {
        let Some(kind) = watched_kinds().find(|kind| format!("{}.{}", kind.plural, kind.group) == definition) else {
            return;
        };
        running.remove(definition);
        if let Some(table) = self.cluster.tables.routes.get(kind.plural) {
            let lost = table.retain(&BTreeSet::new(), u64::MAX);
            lost.iter().for_each(|change| self.touch(self.naming(kind.plural, change, |key, _| key.name.clone())));
        }
    }

    async fn follow_route(&self, kind: &'static WatchedKind, health: Arc<Health>) {
        let guard = Registered { streams: &self.streams, health: &health };
        if let Some(table) = self.cluster.tables.routes.get(kind.plural) {
            let changed = |change: &Change<_>| self.touch(self.naming(kind.plural, change, |key, _| key.name.clone()));
            self.follow(&route_resource(kind), None, table, &health, changed).await;
        }
        drop(guard);
    }
}

/// A stream that is stopped no longer counts as unhealthy.
struct Registered<'a> {
    streams: &'a Streams,
    health: &'a Arc<Health>,
}

impl Drop for Registered<'_> {
    fn drop(&mut self) {
        self.streams.remove(self.health);
    }
}

/// What a list that is under way has named.
#[derive(Default)]
struct Relist {
    keys: BTreeSet<ObjectKey>,
    newest: u64,
}

impl Relist {
    fn take<T: Kept>(&mut self, event: Event<DynamicObject>, types: &TypeMeta, table: &Table<T>) -> Vec<Change<T>> {
        let typed = |mut object: DynamicObject| {
            object.types.get_or_insert_with(|| types.clone());
            object
        };
        match event {
            Event::Init => {
                *self = Relist::default();
                Vec::new()
            }
            Event::InitApply(object) => {
                self.keys.insert(key_of(&object.metadata));
                let version = object.metadata.resource_version.as_deref().and_then(number);
                self.newest = self.newest.max(version.unwrap_or(0));
                table.seen(&typed(object)).into_iter().collect()
            }
            Event::InitDone => table.retain(&std::mem::take(&mut self.keys), self.newest),
            Event::Apply(object) => table.seen(&typed(object)).into_iter().collect(),
            Event::Delete(object) => {
                let key = key_of(&object.metadata);
                table.gone(&key.namespace, &key.name).into_iter().collect()
            }
        }
    }
}
