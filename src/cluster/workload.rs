//! Writes to the referenced Deployment: held still, scaled (rule S5).

use k8s_openapi::api::autoscaling::v2::HorizontalPodAutoscaler;
use kube::{
    Api, ResourceExt,
    api::{DynamicObject, ListParams, Patch, PatchParams},
};
use serde_json::{Value, json};

use super::{Cluster, call::call, observe::Around, resource};
use crate::ports::WorldError;

impl Cluster {
    /// Holds the Deployment still and scales its own pods.
    pub(super) async fn ensure_workload(
        &self,
        around: &Around,
        replicas: Option<u32>,
        paused: bool,
    ) -> Result<(), WorldError> {
        let Some(workload) = &around.workload else { return Ok(()) };
        let mut spec = json!({});
        if workload.value.paused != paused {
            self.refuse_autoscaled(around).await?;
            spec["paused"] = paused.into();
        }
        if let Some(replicas) = replicas.filter(|replicas| *replicas != workload.value.wanted) {
            spec["replicas"] = replicas.into();
        }
        if spec.as_object().is_none_or(|fields| fields.is_empty()) {
            return Ok(());
        }
        let patch = json!({"metadata": {"uid": workload.uid, "resourceVersion": workload.version}, "spec": spec});
        let written = self.patch_deployment(around, &Patch::Merge(patch)).await?;
        self.tables.deployments.wrote(&written);
        Ok(())
    }

    /// Rule S7: an autoscaler of the Deployment would fight over its pods. It is looked for once, before the Deployment is
    /// taken over; KEDA's ScaledObjects make such an autoscaler too.
    async fn refuse_autoscaled(&self, around: &Around) -> Result<(), WorldError> {
        let Some(workload) = &around.workload else { return Ok(()) };
        let (namespace, name) = (&workload.key.namespace, &workload.key.name);
        let api: Api<HorizontalPodAutoscaler> = Api::namespaced(self.client.clone(), namespace);
        let what = format!("list HorizontalPodAutoscalers in {namespace}");
        let autoscalers = call(&what, api.list(&ListParams::default())).await?;
        let scales = |autoscaler: &&HorizontalPodAutoscaler| {
            let target = autoscaler.spec.as_ref().map(|spec| &spec.scale_target_ref);
            target.is_some_and(|target| target.kind == "Deployment" && target.name == *name)
        };
        let Some(autoscaler) = autoscalers.items.iter().find(scales) else { return Ok(()) };
        let message = format!(
            "HorizontalPodAutoscaler/{} scales Deployment/{name}; point its scaleTargetRef at this Rollout (apiVersion: \
             glidepath.dev/v1alpha1, kind: Rollout, name: {}) or delete it; the Deployment stays as it is until then",
            autoscaler.name_any(),
            around.key.name
        );
        Err(WorldError::Refused { reason: "AutoscaledWorkload".into(), message })
    }

    /// Patches the Deployment.
    pub(super) async fn patch_deployment(
        &self,
        around: &Around,
        patch: &Patch<Value>,
    ) -> Result<DynamicObject, WorldError> {
        let Some(workload) = &around.workload else {
            return Err(WorldError::Conflict("the Deployment is gone".into()));
        };
        let (namespace, name) = (&workload.key.namespace, &workload.key.name);
        let api = self.api(&resource::<k8s_openapi::api::apps::v1::Deployment>(), namespace);
        call(&format!("patch Deployment {namespace}/{name}"), api.patch(name, &params(), patch)).await
    }
}

/// Patches bear our name.
pub(super) fn params() -> PatchParams {
    PatchParams { field_manager: Some(super::MANAGER.into()), ..PatchParams::default() }
}
