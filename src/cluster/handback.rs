//! Giving everything back when a Rollout is deleted (rule S40).

use kube::api::Patch;
use serde_json::{Value, json};

use super::{
    call::is_missing, resources::rollouts, revisions::template_of, shared::Cluster, snapshot::Snapshot,
    workload::params,
};
use crate::{api::FINALIZER, engine::decision::Restore, ports::WorldError};

impl Cluster {
    /// One stage. Each is harmless when repeated.
    pub(super) async fn hand_back(&self, snapshot: &Snapshot, stage: Restore) -> Result<(), WorldError> {
        match stage {
            Restore::Workload => self.release_workload(snapshot).await,
            Restore::Objects => {
                self.release_routes(snapshot).await?;
                self.release_services(snapshot).await
            }
            Restore::Unreferenced => {
                self.release_routes(snapshot).await?;
                self.unpin_services(snapshot).await
            }
            Restore::Finalizer => {
                self.remove_adopted_revisions(snapshot).await?;
                self.remove_finalizer(snapshot).await
            }
        }
    }

    /// Writes stable's template into the Deployment if it differs, releases it and scales it to N, in one write.
    async fn release_workload(&self, snapshot: &Snapshot) -> Result<(), WorldError> {
        let Some(workload) = &snapshot.workload else { return Ok(()) };
        let stable = snapshot.rollout.status.as_ref().and_then(|status| status.stable_revision.as_ref());
        let stable =
            stable.and_then(|stable| snapshot.revisions.iter().find(|entry| entry.value.revision == stable.id));
        let mut patch = vec![json!({"op": "replace", "path": "/metadata/resourceVersion", "value": workload.version})];
        if let Some(stable) = stable.filter(|stable| stable.value.template != workload.value.template) {
            let template = template_of(stable)?;
            patch.push(json!({"op": "replace", "path": "/spec/template", "value": template}));
        }
        if workload.value.paused {
            patch.push(json!({"op": "add", "path": "/spec/paused", "value": false}));
        }
        let replicas = snapshot.desired_replicas();
        if workload.value.wanted != replicas {
            patch.push(json!({"op": "add", "path": "/spec/replicas", "value": replicas}));
        }
        if patch.len() == 1 {
            return Ok(());
        }
        let patch = serde_json::from_value(Value::Array(patch)).map_err(|e| WorldError::Transient(e.to_string()))?;
        let written = self.patch_deployment(snapshot, &Patch::Json(patch)).await?;
        self.tables.deployments.wrote(&written);
        Ok(())
    }

    /// The Deployment serves again: our ReplicaSets have it as a second owner and would outlive the Rollout.
    async fn remove_adopted_revisions(&self, snapshot: &Snapshot) -> Result<(), WorldError> {
        if snapshot.rollout.spec.workload_ref.is_none() {
            return Ok(());
        }
        for entry in &snapshot.revisions {
            self.remove_revision(snapshot, &entry.value.revision).await?;
        }
        Ok(())
    }

    async fn remove_finalizer(&self, snapshot: &Snapshot) -> Result<(), WorldError> {
        let finalizers = snapshot.rollout.metadata.finalizers.clone().unwrap_or_default();
        let rest: Vec<String> = finalizers.into_iter().filter(|name| name != FINALIZER).collect();
        let patch = json!({"metadata": {"uid": snapshot.uid, "resourceVersion": snapshot.version, "finalizers": rest}});
        let what = format!("remove the finalizer of Rollout {}", snapshot.key);
        let api = self.api(&rollouts(), &snapshot.key.namespace);
        match self.write(&what, api.patch(&snapshot.key.name, &params(), &Patch::Merge(patch))).await {
            Ok(_) => {}
            Err(error) if is_missing(&error) => {}
            Err(error) => return Err(error),
        }
        self.tables.rollouts.gone(&snapshot.key.namespace, &snapshot.key.name);
        // Waiting callers continue: the watch event of its deletion will find nothing left to report.
        for rival in self.references.update(&snapshot.key, None) {
            self.triggers.rollout(rival);
        }
        Ok(())
    }
}
