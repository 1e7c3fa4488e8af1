//! The watch streams: each feeds its table and says which Rollouts to look at. All are built by one function.

mod backoff;
mod failure;
#[cfg(test)]
mod fake_api;
mod list_body;
mod routes;
mod stream;
#[cfg(test)]
mod tests;

use std::{collections::BTreeSet, sync::Arc};

use k8s_openapi::api::{
    apps::v1::{Deployment, ReplicaSet},
    autoscaling::v2::HorizontalPodAutoscaler,
    core::v1::{Pod, Service},
    discovery::v1::EndpointSlice,
};
use kube::api::ApiResource;
use tokio::task::JoinSet;

pub use failure::Failure;

use super::{
    Cluster, Health, Streams, commands,
    kinds::{DeploymentKept, RolloutKept},
    resource, rollouts, runs_resource,
    table::{Change, Entry, Kept, ObjectKey, Table},
    watched_kinds,
};
use crate::{
    api::{REVISION_LABEL, ROLLOUT_LABEL},
    ports::RolloutKey,
};
use routes::Definitions;
use stream::Stream;

/// The receivers of change notifications.
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
    cluster.follow(streams);
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
            let both = change.old.iter().chain(&change.new);
            let running = both.filter(|entry| entry.value.running().is_some());
            running.for_each(|entry| w.cluster.triggers.run(entry.key.clone()));
            w.touch(w.owners(change, |_, kept| vec![kept.rollout().to_owned()]));
        },
    ));
    tasks.spawn(watch.clone().run(
        commands(),
        None,
        |t| &t.commands,
        |w, change| w.touch(w.owners(change, |_, kept| vec![kept.rollout().to_owned()])),
    ));
    let definitions = Arc::new(Definitions::new(streams));
    for kind in watched_kinds() {
        let health = streams.add_optional(kind.kind);
        tasks.spawn(watch.clone().optional(kind, health, Arc::clone(&definitions)));
    }
    tasks.spawn(watch.definitions(definitions));
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
        let stream = Stream {
            client: self.cluster.no_retry.clone(),
            resource: resource.clone(),
            namespace: self.cluster.settings.namespace.as_deref(),
            label,
            metadata_only: false,
            first_from_memory: T::RECORDS,
            table,
            health,
        };
        stream.follow(changed).await;
    }

    fn rollout_changed(&self, change: &Change<RolloutKept>) {
        let Some(entry) = change.entry() else { return };
        let key = RolloutKey { namespace: entry.key.namespace.clone(), name: entry.key.name.clone() };
        self.cluster.rollout_changed(&key, change);
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
                self.touch(self.cluster.index(key, rollout));
            }
        }
        self.touch(keys);
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
}
