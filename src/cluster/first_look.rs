//! The first look of a term: no decision of a new leader rests on an observation that is older than its leadership.
//!
//! While a process stands by its watches fill the tables, and a watch may hang without an error (a half-open connection).
//! So in a new term the first tick of each Rollout reads it and its ReplicaSets live, which the API server answers
//! consistently, and works only with what is at least as new: what was decided before, and which pods can carry traffic.
//! Routes and Services need no such read: writing them is conditional on the version that was observed. A ReplicaSet that
//! is not known yet is found when its name turns out to be taken. Runs at work are read in any case: the first list of them
//! may be what the API server has in memory, and an older verdict may be a better one.

use std::collections::BTreeSet;

use k8s_openapi::api::apps::v1::ReplicaSet;
use kube::api::ApiResource;

use super::{
    cached_rollout::CachedRollout,
    call::read,
    locks::lock,
    resources::{resource, rollouts, runs_resource},
    selection::Selection,
    shared::Cluster,
    table::{Change, Kept, Table},
    targets::route_context,
};
use crate::{
    api::Rollout,
    ports::{RolloutKey, WorldError},
    router::{RouteScope, WatchedKind, routers_of},
};

impl Cluster {
    /// Reads live what must not be old, once in each term of leadership.
    pub(super) async fn look_first(&self, key: &RolloutKey) -> Result<(), WorldError> {
        let term = self.fence.term();
        if lock(&self.looked_in).get(key) == Some(&term) {
            return Ok(());
        }
        // Another process may have changed what settles.
        lock(&self.deferred).remove(key);
        if term.is_some() {
            self.look_at_rollout(key).await?;
        }
        let runs = self.tables.runs.group(&key.namespace, &key.name);
        for run in runs.iter().filter(|run| run.value.running().is_some()) {
            self.refresh(&self.tables.runs, &runs_resource(), &key.namespace, &run.key.name).await?;
        }
        lock(&self.looked_in).insert(key.clone(), term);
        Ok(())
    }

    /// Reads a Rollout and its ReplicaSets. Without a Lease this very process has listed them since it began to lead.
    async fn look_at_rollout(&self, key: &RolloutKey) -> Result<(), WorldError> {
        let before = self.tables.rollouts.get(&key.namespace, &key.name);
        self.refresh(&self.tables.rollouts, &rollouts(), &key.namespace, &key.name).await?;
        for set in self.tables.replica_sets.group(&key.namespace, &key.name) {
            self.refresh(&self.tables.replica_sets, &resource::<ReplicaSet>(), &key.namespace, &set.key.name).await?;
        }
        let after = self.tables.rollouts.get(&key.namespace, &key.name);
        // The watch finds this version known when it brings it: what it would have done is done here.
        let change = Change { old: before, new: after };
        if change.matters() {
            tracing::info!(rollout = %key, "the watch was behind the API server when this process became the leader");
            self.rollout_changed(key, &change);
        }
        Ok(())
    }

    /// Brings one object up to what the API server has.
    async fn refresh<T: Kept>(
        &self,
        table: &Table<T>,
        resource: &ApiResource,
        namespace: &str,
        name: &str,
    ) -> Result<(), WorldError> {
        let what = format!("get {} {namespace}/{name}", resource.kind);
        match read(&what, self.api(resource, namespace).get_opt(name)).await? {
            Some(live) => table.wrote(&live),
            None => drop(table.gone(namespace, name)),
        }
        Ok(())
    }

    /// Takes in what a changed Rollout refers to, and triggers every Rollout whose claims that changes.
    pub(super) fn rollout_changed(&self, key: &RolloutKey, change: &Change<CachedRollout>) {
        let now = change.new.as_ref().and_then(|entry| self.recent.rollout(entry));
        if let Some(rollout) = &now {
            self.need_kinds(key, rollout);
        }
        for rival in self.index(key, now.as_deref()) {
            self.triggers.rollout(rival);
        }
    }

    /// The kinds of its routers are watched from now on, those of objects that it has yet to restore included.
    fn need_kinds(&self, key: &RolloutKey, rollout: &Rollout) {
        let status = rollout.status.as_ref();
        let earlier = status.and_then(|status| status.memory.objects.as_ref()).map(|objects| &objects.traffic);
        let context = route_context(key, rollout, &RouteScope::default());
        let entries = rollout.spec.traffic.iter().chain(earlier.into_iter().flatten());
        for router in entries.flat_map(routers_of) {
            router.kinds().iter().for_each(|kind| self.name_kind(key, kind));
            let objects = router.objects(&context).into_iter().map(|object| object.resource());
            let lists = router.lists(&context).into_iter().map(|list| list.resource());
            objects.chain(lists).for_each(|resource| self.router_kinds.need(&resource));
        }
    }

    /// A kind that only Rollouts name: it is watched from the first that does on, as far as there is room.
    fn name_kind(&self, key: &RolloutKey, kind: &WatchedKind) {
        let Some(streams) = self.streams.get() else { return };
        // The table is there before the task that fills it.
        let health = || {
            self.tables.routes.add(kind.resource());
            streams.add_optional(&kind.kind)
        };
        if self.router_kinds.name(kind, &key.namespace, health) {
            tracing::info!(rollout = %key, kind = %kind.kind, group = %kind.group, "a Rollout names a kind of its own");
        }
    }

    /// Takes a Rollout's references in; gives the Rollouts whose claims that changes.
    pub(super) fn index(&self, key: &RolloutKey, rollout: Option<&Rollout>) -> BTreeSet<RolloutKey> {
        let named = rollout.map(|rollout| {
            let workload = rollout.spec.workload_ref.as_ref();
            let workload = workload.and_then(|w| self.tables.deployments.get(&key.namespace, &w.name));
            (rollout, Selection::of(rollout, workload.as_deref().map(|entry| &entry.value)))
        });
        self.references.update(key, named)
    }
}
