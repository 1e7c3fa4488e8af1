//! Giving everything back when a Rollout is deleted (rule S40).

use kube::api::Patch;
use serde_json::{Value, json};

use super::{around::Around, call::is_missing, resources::rollouts, shared::Cluster, workload::params};
use crate::{api::FINALIZER, engine::decision::Restore, ports::WorldError};

impl Cluster {
    /// One stage. Each is harmless when repeated.
    pub(super) async fn hand_back(&self, around: &Around, stage: Restore) -> Result<(), WorldError> {
        match stage {
            Restore::Workload => self.release_workload(around).await,
            Restore::Objects => {
                self.release_routes(around).await?;
                self.release_services(around).await
            }
            Restore::Unreferenced => {
                self.release_routes(around).await?;
                self.unpin_services(around).await
            }
            Restore::Finalizer => {
                self.remove_adopted_revisions(around).await?;
                self.remove_finalizer(around).await
            }
        }
    }

    /// Writes stable's template into the Deployment if it differs, releases it and scales it to N, in one write.
    async fn release_workload(&self, around: &Around) -> Result<(), WorldError> {
        let Some(workload) = &around.workload else { return Ok(()) };
        let stable = around.rollout.status.as_ref().and_then(|status| status.stable_revision.as_ref());
        let stable = stable.and_then(|stable| around.revisions.iter().find(|entry| entry.value.revision == stable.id));
        let mut patch = vec![json!({"op": "replace", "path": "/metadata/resourceVersion", "value": workload.version})];
        if let Some(stable) = stable.filter(|stable| stable.value.template != workload.value.template) {
            let template: Value = serde_json::from_str(&stable.value.template)
                .map_err(|error| WorldError::Transient(format!("the template of {}: {error}", stable.key.name)))?;
            patch.push(json!({"op": "replace", "path": "/spec/template", "value": template}));
        }
        if workload.value.paused {
            patch.push(json!({"op": "add", "path": "/spec/paused", "value": false}));
        }
        let replicas = around.desired_replicas();
        if workload.value.wanted != replicas {
            patch.push(json!({"op": "add", "path": "/spec/replicas", "value": replicas}));
        }
        if patch.len() == 1 {
            return Ok(());
        }
        let patch = serde_json::from_value(Value::Array(patch)).map_err(|e| WorldError::Transient(e.to_string()))?;
        let written = self.patch_deployment(around, &Patch::Json(patch)).await?;
        self.tables.deployments.wrote(&written);
        Ok(())
    }

    /// The Deployment serves again: our ReplicaSets have it as a second owner and would outlive the Rollout.
    async fn remove_adopted_revisions(&self, around: &Around) -> Result<(), WorldError> {
        if around.rollout.spec.workload_ref.is_none() {
            return Ok(());
        }
        for entry in &around.revisions {
            self.remove_revision(around, &entry.value.revision).await?;
        }
        Ok(())
    }

    async fn remove_finalizer(&self, around: &Around) -> Result<(), WorldError> {
        let finalizers = around.rollout.metadata.finalizers.clone().unwrap_or_default();
        let rest: Vec<String> = finalizers.into_iter().filter(|name| name != FINALIZER).collect();
        let patch = json!({"metadata": {"uid": around.uid, "resourceVersion": around.version, "finalizers": rest}});
        let what = format!("remove the finalizer of Rollout {}", around.key);
        let api = self.api(&rollouts(), &around.key.namespace);
        match self.write(&what, api.patch(&around.key.name, &params(), &Patch::Merge(&patch))).await {
            Ok(_) => {}
            Err(error) if is_missing(&error) => {}
            Err(error) => return Err(error),
        }
        self.tables.rollouts.gone(&around.key.namespace, &around.key.name);
        // Waiting callers continue: the watch event of its deletion will find nothing left to report.
        for rival in self.references.update(&around.key, None) {
            self.triggers.rollout(rival);
        }
        Ok(())
    }
}
