//! AnalysisRuns: made once per key from their templates, given new epochs, stopped (rule S14).

use kube::api::Patch;
use serde_json::{Value, json};

use super::{Cluster, call::call, observe::Around, runs_resource, workload::params};
use crate::{engine::RunRequest, ports::WorldError};

impl Cluster {
    /// Makes the run, or gives it its epoch.
    pub(super) async fn ensure_run(&self, around: &Around, request: &RunRequest) -> Result<(), WorldError> {
        let namespace = &around.key.namespace;
        match self.tables.runs.get(namespace, &request.name) {
            Some(entry) => {
                let epoch = entry.value.run.as_ref().map(|run| run.spec.epoch);
                if epoch == Ok(request.epoch) {
                    return Ok(());
                }
                self.patch_run(namespace, &request.name, json!({"spec": {"epoch": request.epoch}})).await
            }
            None => self.create_run(around, request).await,
        }
    }

    /// Ends a run; its verdict stands as it is.
    pub(super) async fn stop_run(&self, around: &Around, name: &str) -> Result<(), WorldError> {
        let namespace = &around.key.namespace;
        let entry = self.tables.runs.get(namespace, name);
        if entry.is_none_or(|entry| entry.value.run.as_ref().is_ok_and(|run| run.spec.stop)) {
            return Ok(());
        }
        self.patch_run(namespace, name, json!({"spec": {"stop": true}})).await
    }

    async fn patch_run(&self, namespace: &str, name: &str, patch: Value) -> Result<(), WorldError> {
        let api = self.api(&runs_resource(), namespace);
        let what = format!("patch AnalysisRun {namespace}/{name}");
        let written = call(&what, api.patch(name, &params(), &Patch::Merge(&patch))).await?;
        self.tables.runs.wrote(&written);
        Ok(())
    }

    async fn create_run(&self, _around: &Around, _request: &RunRequest) -> Result<(), WorldError> {
        Err(WorldError::Transient("analysis is not merged yet".into()))
    }
}
