//! The watch streams: each feeds its table and says which Rollouts to look at. All are built by one function.

mod backoff;
pub(super) mod failure;
#[cfg(test)]
pub(super) mod fake_api;
mod follow;
mod list_body;
mod policies;
#[cfg(test)]
pub(super) mod process;
mod routes;
mod stream;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use k8s_openapi::api::{
    apps::v1::{Deployment, ReplicaSet},
    autoscaling::v2::HorizontalPodAutoscaler,
    core::v1::{Pod, Service},
    discovery::v1::EndpointSlice,
};
use tokio::task::JoinSet;

pub use failure::Failure;

use super::{
    health::Streams,
    resources::{commands, resource, rollouts, runs_resource, watched_kinds},
    shared::Cluster,
    table::ObjectKey,
};
use crate::api::{REVISION_LABEL, ROLLOUT_LABEL};
use follow::Watch;
use routes::Definitions;

pub use super::triggers::Triggers;

/// Starts all watches. They end when the set is dropped.
pub fn start(cluster: &Arc<Cluster>, streams: &Streams) -> JoinSet<()> {
    let mut tasks = JoinSet::new();
    let watch = Watch { cluster: Arc::clone(cluster), streams: streams.clone() };
    cluster.follow(streams);
    tasks.spawn(watch.clone().run(rollouts(), None, |c| &c.tables.rollouts, |w, change| w.rollout_changed(change)));
    tasks.spawn(watch.clone().run(
        resource::<ReplicaSet>(),
        Some(ROLLOUT_LABEL),
        |c| &c.tables.replica_sets,
        |w, change| w.touch_counts(w.owners(change, |_, kept| vec![kept.rollout.clone()])),
    ));
    tasks.spawn(watch.clone().run(
        resource::<Service>(),
        None,
        |c| &c.tables.services,
        |w, change| w.touch(w.naming("services", change, |key, _| key.name.clone())),
    ));
    tasks.spawn(watch.clone().run(
        resource::<EndpointSlice>(),
        Some("kubernetes.io/service-name"),
        |c| &c.tables.slices,
        |w, change| w.touch_counts(w.naming("services", change, |_, kept| kept.service.clone())),
    ));
    tasks.spawn(watch.clone().run(
        resource::<Pod>(),
        Some(REVISION_LABEL),
        |c| &c.tables.pods,
        |w, change| w.touch_counts(w.owners(change, |key, kept| w.rollout_of_set(&key.namespace, &kept.owner))),
    ));
    tasks.spawn(watch.clone().run(
        resource::<Deployment>(),
        None,
        |c| &c.tables.deployments,
        |w, change| w.deployment_changed(change),
    ));
    tasks.spawn(watch.clone().run(
        resource::<HorizontalPodAutoscaler>(),
        None,
        |c| &c.tables.autoscalers,
        |w, change| w.touch(w.naming("deployments", change, |_, kept| kept.deployment.clone())),
    ));
    tasks.spawn(watch.clone().run(
        runs_resource(),
        None,
        |c| &c.tables.runs,
        |w, change| {
            let both = change.old.iter().chain(&change.new);
            let busy = both.filter(|entry| entry.value.has_work());
            busy.for_each(|entry| w.cluster.triggers.run(entry.key.clone()));
            w.touch(w.owners(change, |_, kept| vec![kept.rollout().to_owned()]));
        },
    ));
    tasks.spawn(watch.clone().run(
        commands(),
        None,
        |c| &c.tables.commands,
        |w, change| {
            if let Some(entry) = change.entry()
                && let Some(policy) = entry.value.policy()
            {
                return w.cluster.triggers.policy(ObjectKey::new(entry.key.namespace.clone(), policy));
            }
            let whose = w.owners(change, |_, kept| vec![kept.rollout().to_owned()]);
            let waits = change.new.as_ref().is_some_and(|entry| entry.value.spec.is_some());
            if waits { w.touch_first(whose) } else { w.touch(whose) }
        },
    ));
    let definitions = Arc::new(Definitions::new(streams));
    for kind in watched_kinds() {
        let health = streams.add_optional(&kind.kind);
        let new = cluster.router_kinds.add(kind, health);
        tasks.spawn(watch.clone().optional(new, Arc::clone(&definitions)));
    }
    if cluster.settings.mesh {
        policies::start(&watch, streams, &definitions, &mut tasks);
    }
    tasks.spawn(watch.clone().named(Arc::clone(&definitions)));
    tasks.spawn(watch.definitions(definitions));
    tasks
}
