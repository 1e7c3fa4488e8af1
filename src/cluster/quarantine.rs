//! What is done about objects that cannot be read: their owners are told, and what they say is not taken for nothing.

use kube::api::Patch;
use serde_json::{Value, json};

use super::{resources::rollouts, shared::Cluster, snapshot::Snapshot, unreadable::Unreadable, workload::params};
use crate::{
    api::{Rollout, RolloutSpec, reason::Reason, status::Course},
    engine::{Notice, Problem},
    ports::{RolloutKey, WorldError},
};

impl Cluster {
    /// Writes conditions that say why a Rollout cannot be read, and publishes an event, once per message.
    pub(super) async fn report_unreadable(&self, key: &RolloutKey, fault: &Unreadable) {
        let Some(status) = fault.patch(self.clock.now()) else { return };
        let Some(entry) = self.tables.rollouts.get(&key.namespace, &key.name) else { return };
        let patch = json!({"metadata": entry.condition(), "status": status});
        match self.patch_unread_status(key, patch).await {
            Ok(()) => {
                let mut about = Rollout::new(&key.name, RolloutSpec::default());
                about.metadata.namespace = Some(key.namespace.clone());
                about.metadata.uid = Some(entry.uid.clone());
                let notice = Notice { warning: true, reason: fault.reason.clone(), message: fault.text() };
                self.events.send(&about, &notice);
            }
            // It has changed, and is looked at again for that.
            Err(WorldError::Conflict(_)) => {}
            Err(error) => {
                tracing::warn!(rollout = %key, %error, fault = fault.text(), "cannot report a Rollout that cannot be decoded")
            }
        }
    }

    async fn patch_unread_status(&self, key: &RolloutKey, patch: Value) -> Result<(), WorldError> {
        let what = format!("write the status of Rollout {key}");
        let api = self.api(&rollouts(), &key.namespace);
        let written = self.write(&what, api.patch_status(&key.name, &params(), &Patch::Merge(patch))).await?;
        self.wrote_rollout(&written);
        Ok(())
    }
}

impl Cluster {
    /// Objects that a Rollout names, or that belong to it, and that cannot be read: what they say must not be taken for
    /// nothing. A Rollout at rest keeps its pods as they are wanted; one that has anything under way stays as it is.
    pub(super) fn unreadable_objects(&self, snapshot: &Snapshot) -> Option<Problem> {
        let message = self.unreadable_named(snapshot).or_else(|| self.unreadable_run(snapshot))?;
        let rests = snapshot.rollout.status.as_ref().is_some_and(|status| status.course() == Course::Idle);
        Some(Problem { reason: Reason::UnreadableObject, message, blocks_all: !rests })
    }

    fn unreadable_named(&self, snapshot: &Snapshot) -> Option<String> {
        let (namespace, targets) = (&snapshot.key.namespace, &snapshot.targets);
        let said = |what: String, why: String| format!("cannot read {what}: {why}; fix the object");
        let mut services = [&targets.stable, &targets.canary, &targets.root].into_iter().flatten();
        let service = services
            .find_map(|name| Some(said(format!("Service/{name}"), self.tables.services.unreadable(namespace, name)?)));
        let workload = || {
            let name = &snapshot.rollout.spec.workload_ref.as_ref()?.name;
            Some(said(format!("Deployment/{name}"), self.tables.deployments.unreadable(namespace, name)?))
        };
        let route = || {
            let mut objects = snapshot.routers.iter().flat_map(|router| router.objects(&snapshot.context));
            objects.find_map(|object| {
                let table = self.tables.routes.get(&object.resource())?;
                let why = table.unreadable(&object.namespace, &object.name)?;
                Some(said(format!("{} {}/{}", object.kind, object.namespace, object.name), why))
            })
        };
        service.or_else(workload).or_else(route)
    }

    fn unreadable_run(&self, snapshot: &Snapshot) -> Option<String> {
        let runs = self.tables.runs.group(&snapshot.key.namespace, &snapshot.key.name);
        runs.iter().find_map(|entry| {
            let why = entry.value.unreadable()?;
            Some(format!(
                "cannot read AnalysisRun/{}: {why}; it was written by a newer version of the controller, or edited: run that \
                 version, or delete the AnalysisRun",
                entry.key.name
            ))
        })
    }
}
