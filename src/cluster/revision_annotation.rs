//! The annotation by which a mesh learns the revision of a pod where it does not read our label: Consul's, which puts it into
//! the Meta of the instance that it registers for the pod.
//!
//! Consul registers a pod with the annotations that it has by then, so one that is written into a running pod says nothing. The
//! annotation goes into the templates, for the pods to come, and no subset selects a revision whose ready pods lack it: they
//! would get no request.

use serde_json::json;

use super::{kinds::CachedReplicaSet, shared::Cluster, snapshot::Snapshot, table::Entry};
use crate::{
    api::{REVISION_ANNOTATION, reason::Reason},
    engine::Problem,
    ports::WorldError,
};

impl Cluster {
    /// Into the template of a ReplicaSet that is older than the router. It restarts nothing.
    pub(super) async fn keep_revision_annotation(
        &self,
        snapshot: &Snapshot,
        entry: &Entry<CachedReplicaSet>,
    ) -> Result<(), WorldError> {
        if entry.value.is_annotated || !is_needed(snapshot) {
            return Ok(());
        }
        let annotations = json!({REVISION_ANNOTATION: entry.value.revision});
        let template = json!({"metadata": {"annotations": annotations}});
        self.patch_replica_set(entry, json!({"metadata": entry.condition(), "spec": {"template": template}})).await
    }

    /// The stable revision, if a subset cannot select it yet.
    pub(super) fn unannotated_stable(&self, snapshot: &Snapshot) -> Option<Problem> {
        let stable = snapshot.rollout.status.as_ref()?.stable_revision.as_ref()?;
        self.unannotated(snapshot, &stable.id)
    }

    /// What keeps a subset from selecting this revision: ready pods that are older than the router.
    pub(super) fn unannotated(&self, snapshot: &Snapshot, revision: &str) -> Option<Problem> {
        if !is_needed(snapshot) {
            return None;
        }
        let sets = snapshot.revisions.iter().filter(|set| set.value.revision == revision);
        let pods = sets.flat_map(|set| self.tables.pods.group(&set.key.namespace, &set.key.name));
        let (mut ready, mut lacking) = (0, 0);
        for pod in pods.filter(|pod| pod.value.ready && !pod.deleting) {
            ready += 1;
            lacking += usize::from(!pod.value.is_annotated);
        }
        let message = format!(
            "{lacking} of {ready} ready pods of revision {revision} do not have the annotation {REVISION_ANNOTATION}, so that Consul would not find them in a subset; run `glidepath restart {}` to replace them",
            snapshot.key.name
        );
        (lacking > 0).then_some(Problem { reason: Reason::PodsNotAnnotated, message, blocks_all: false })
    }
}

/// Whether a router of the Rollout selects pods by the annotation.
pub(super) fn is_needed(snapshot: &Snapshot) -> bool {
    snapshot.routers.iter().any(|router| router.selects_by_annotation())
}
