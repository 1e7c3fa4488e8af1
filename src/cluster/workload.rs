//! Writes to the referenced Deployment: held still, scaled (rule S5).

use kube::api::{Patch, PatchParams};
use serde_json::{Value, json};

use super::{answer::Answer, resources::resource, shared::Cluster, snapshot::Snapshot};
use crate::ports::WorldError;

impl Cluster {
    /// Holds the Deployment still and scales its own pods.
    pub(super) async fn ensure_workload(
        &self,
        snapshot: &Snapshot,
        replicas: Option<u32>,
        paused: bool,
    ) -> Result<(), WorldError> {
        let Some(workload) = &snapshot.workload else { return Ok(()) };
        let mut spec = json!({});
        if workload.value.paused != paused {
            spec["paused"] = paused.into();
        }
        if let Some(replicas) = replicas.filter(|replicas| *replicas != workload.value.wanted) {
            spec["replicas"] = replicas.into();
        }
        if spec.as_object().is_none_or(|fields| fields.is_empty()) {
            return Ok(());
        }
        let patch = json!({"metadata": workload.condition(), "spec": spec});
        let written = self.patch_deployment(snapshot, &Patch::Merge(patch)).await?;
        self.tables.deployments.wrote(&written);
        Ok(())
    }

    /// Patches the Deployment.
    pub(super) async fn patch_deployment(
        &self,
        snapshot: &Snapshot,
        patch: &Patch<Value>,
    ) -> Result<Answer, WorldError> {
        let Some(workload) = &snapshot.workload else {
            return Err(WorldError::Conflict("the Deployment is gone".into()));
        };
        let (namespace, name) = (&workload.key.namespace, &workload.key.name);
        let api = self.api(&resource::<k8s_openapi::api::apps::v1::Deployment>(), namespace);
        self.write(&format!("patch Deployment {namespace}/{name}"), api.patch(name, &params(), patch)).await
    }
}

/// Patches bear our name.
pub(super) fn params() -> PatchParams {
    PatchParams { field_manager: Some(super::resources::MANAGER.into()), ..PatchParams::default() }
}
