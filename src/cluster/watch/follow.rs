//! Follows one kind: what changes goes into its table, and whom it concerns is looked at again.

use std::{collections::BTreeSet, sync::Arc};

use kube::api::ApiResource;

use super::stream::Stream;
use crate::{
    cluster::{
        cached_rollout::CachedRollout,
        health::{Health, Streams},
        kinds::CachedDeployment,
        shared::Cluster,
        table::{Change, Entry, Kept, ObjectKey, Table},
    },
    ports::RolloutKey,
};

#[derive(Clone)]
pub(super) struct Watch {
    pub(super) cluster: Arc<Cluster>,
    pub(super) streams: Streams,
}

impl Watch {
    /// Follows one kind until the end of time. It counts as not synced from the moment of this call.
    pub(super) fn run<T: Kept>(
        self,
        resource: ApiResource,
        label: Option<&'static str>,
        table: fn(&Cluster) -> &Table<T>,
        changed: fn(&Watch, &Change<T>),
    ) -> impl Future<Output = ()> + Send {
        let health = self.streams.add(&resource.kind);
        async move {
            let told = |change: &Change<T>| changed(&self, change);
            self.follow(&resource, label, table(&self.cluster), &health, told).await;
        }
    }

    pub(super) async fn follow<T: Kept>(
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

    pub(super) fn rollout_changed(&self, change: &Change<CachedRollout>) {
        let Some(entry) = change.entry() else { return };
        let key = entry.key.of_rollout();
        self.cluster.rollout_changed(&key, change);
        self.cluster.rollout_fact(change);
        self.cluster.triggers.rollout(key);
    }

    /// Whose pods a Rollout selects depends on the Deployment that it refers to.
    pub(super) fn deployment_changed(&self, change: &Change<CachedDeployment>) {
        self.cluster.deployment_fact(change);
        let whose = |entry: &Option<Arc<Entry<CachedDeployment>>>| {
            entry.as_ref().map(|entry| (entry.value.selector.clone(), entry.value.template.clone()))
        };
        let keys = self.naming("deployments", change, |key, _| key.name.clone());
        if whose(&change.old) != whose(&change.new) {
            for key in &keys {
                let entry = self.cluster.tables.rollouts.get(&key.namespace, &key.name);
                let rollout = entry.and_then(|entry| self.cluster.recent.rollout(&entry));
                self.touch(self.cluster.index(key, rollout.as_deref()));
            }
        }
        self.touch(keys);
    }

    /// Looks at Rollouts at once.
    pub(super) fn touch(&self, keys: BTreeSet<RolloutKey>) {
        keys.into_iter().for_each(|key| self.cluster.triggers.rollout(key));
    }

    /// Looks at Rollouts before any other: someone waits for an answer.
    pub(super) fn touch_first(&self, keys: BTreeSet<RolloutKey>) {
        keys.into_iter().for_each(|key| self.cluster.triggers.rollout_first(key));
    }

    /// Looks at Rollouts when the burst of changes is over.
    pub(super) fn touch_counts(&self, keys: BTreeSet<RolloutKey>) {
        keys.into_iter().for_each(|key| self.cluster.triggers.rollout_counts(key));
    }

    /// The Rollouts that a changed object belongs, or belonged, to.
    pub(super) fn owners<T: Kept>(
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
    pub(super) fn naming<T: Kept>(
        &self,
        plural: &str,
        change: &Change<T>,
        name: impl Fn(&ObjectKey, &T) -> String,
    ) -> BTreeSet<RolloutKey> {
        let entries = change.old.iter().chain(&change.new);
        let named = entries.map(|entry| (&entry.key.namespace, name(&entry.key, &entry.value)));
        named.flat_map(|(namespace, name)| self.cluster.references.of(plural, namespace, &name)).collect()
    }

    pub(super) fn rollout_of_set(&self, namespace: &str, set: &str) -> Vec<String> {
        let set = self.cluster.tables.replica_sets.get(namespace, set);
        set.map(|set| vec![set.value.rollout.clone()]).unwrap_or_default()
    }
}
