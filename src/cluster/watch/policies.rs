//! The streams of what policies look up, and of the kinds of their meshes.

use std::sync::Arc;

use k8s_openapi::api::{
    apps::v1::{DaemonSet, StatefulSet},
    core::v1::{Service, ServiceAccount},
};
use tokio::task::JoinSet;

use super::{follow::Watch, routes::Definitions};
use crate::cluster::{
    health::Streams,
    policy_tables::{CachedAccount, CachedWorkload},
    resources::{mesh_kinds, policies, resource},
    table::Change,
};

/// Starts them.
pub(super) fn start(watch: &Watch, streams: &Streams, definitions: &Arc<Definitions>, tasks: &mut JoinSet<()>) {
    tasks.spawn(watch.clone().run(
        policies(),
        None,
        |c| &c.policies.table,
        |w, change| w.cluster.policy_changed(change),
    ));
    tasks.spawn(watch.clone().run(
        resource::<Service>(),
        None,
        |c| &c.policies.services,
        |w, change| {
            let Some(entry) = change.entry() else { return };
            let object = change.new.as_ref().map(|entry| entry.value.object());
            w.cluster.fact("Service", &entry.key, object.as_ref());
        },
    ));
    tasks.spawn(watch.clone().run(
        resource::<StatefulSet>(),
        None,
        |c| &c.policies.stateful_sets,
        |w, change| workload(w, "StatefulSet", change),
    ));
    tasks.spawn(watch.clone().run(
        resource::<DaemonSet>(),
        None,
        |c| &c.policies.daemon_sets,
        |w, change| workload(w, "DaemonSet", change),
    ));
    tasks.spawn(watch.clone().run(resource::<ServiceAccount>(), None, |c| &c.policies.accounts, account));
    for kind in mesh_kinds() {
        let new = watch.cluster.router_kinds.add(kind, streams.add_optional(&kind.kind));
        tasks.spawn(watch.clone().optional(new, Arc::clone(definitions)));
    }
}

fn workload(watch: &Watch, kind: &str, change: &Change<CachedWorkload>) {
    let Some(entry) = change.entry().filter(|_| change.matters()) else { return };
    watch.cluster.workload_fact(kind, &entry.key, change.new.as_ref().map(|entry| &*entry.value.0));
}

fn account(watch: &Watch, change: &Change<CachedAccount>) {
    let Some(entry) = change.entry().filter(|_| change.matters()) else { return };
    let metadata = serde_json::json!({"namespace": entry.key.namespace, "name": entry.key.name});
    let object = serde_json::json!({"kind": "ServiceAccount", "metadata": metadata});
    watch.cluster.fact("ServiceAccount", &entry.key, change.new.as_ref().map(|_| &object));
}
