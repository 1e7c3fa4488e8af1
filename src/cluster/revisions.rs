//! Our ReplicaSets: one per revision, made with its pods, scaled under preconditions (rules S2, S3, S58).

use std::{collections::BTreeMap, sync::Arc};

use k8s_openapi::{api::apps::v1::ReplicaSet, apimachinery::pkg::apis::meta::v1::LabelSelector};
use kube::api::{DeleteParams, Patch, PostParams, Preconditions, PropagationPolicy};
use serde_json::{Value, json};

use super::{
    answer::Answer,
    call::{is_missing, read},
    kinds::{CachedReplicaSet, NUMBER},
    resources::resource,
    revision_annotation,
    shared::Cluster,
    snapshot::Snapshot,
    table::Entry,
    workload::params,
};
use crate::{
    api::{REVISION_ANNOTATION, REVISION_LABEL, ROLLOUT_LABEL, names, reason::Reason},
    ports::WorldError,
};

/// How many other names a ReplicaSet may get where its own is taken.
const ALTERNATIVES: u32 = 3;

/// The template of a revision, without what is ours in it.
pub(super) fn template_of(set: &Entry<CachedReplicaSet>) -> Result<Value, WorldError> {
    let unreadable = |error| WorldError::Transient(format!("the template of {}: {error}", set.key.name));
    set.value.template.read().map_err(unreadable)
}

impl Cluster {
    /// Makes the revision's ReplicaSet, or gives it its number.
    pub(super) async fn ensure_revision(
        &self,
        snapshot: &Snapshot,
        id: &str,
        number: u64,
        replicas: u32,
    ) -> Result<(), WorldError> {
        match self.replica_set(snapshot, id) {
            Some(entry) if entry.value.number == number => Ok(()),
            Some(entry) => {
                let patch = json!({"metadata": {"uid": entry.uid, "annotations": {NUMBER: number.to_string()}}});
                self.patch_replica_set(&entry, patch).await
            }
            None => self.create_replica_set(snapshot, id, (number, replicas)).await,
        }
    }

    /// Scales a revision. Growing needs only the same object; shrinking also that nothing in it has moved since it was
    /// observed: a leader that was stalled must not shrink what others rely on.
    pub(super) async fn ensure_replicas(&self, snapshot: &Snapshot, id: &str, replicas: u32) -> Result<(), WorldError> {
        let observed = snapshot.revisions.iter().find(|entry| entry.value.revision == id).cloned();
        let Some(entry) = observed.or_else(|| self.replica_set(snapshot, id)) else {
            return Err(WorldError::Conflict(format!("revision {id} has no ReplicaSet")));
        };
        if entry.value.wanted == replicas {
            return Ok(());
        }
        let mut patch = json!({"metadata": {"uid": entry.uid}, "spec": {"replicas": replicas}});
        if replicas < entry.value.wanted {
            // The number of this tick may have been written first; that write was ours.
            let newest = self.replica_set(snapshot, id).filter(|newest| same_pods(newest, &entry));
            patch["metadata"]["resourceVersion"] = newest.unwrap_or(entry.clone()).version.clone().into();
        }
        self.patch_replica_set(&entry, patch).await
    }

    /// Deletes an old revision, but only the object that was observed.
    pub(super) async fn remove_revision(&self, snapshot: &Snapshot, id: &str) -> Result<(), WorldError> {
        let Some(entry) = snapshot.revisions.iter().find(|entry| entry.value.revision == id) else { return Ok(()) };
        let (namespace, name) = (&entry.key.namespace, &entry.key.name);
        let params = DeleteParams {
            propagation_policy: Some(PropagationPolicy::Background),
            preconditions: Some(Preconditions { uid: Some(entry.uid.clone()), resource_version: None }),
            ..DeleteParams::default()
        };
        let api = self.api(&resource::<ReplicaSet>(), namespace);
        match self.write(&format!("delete ReplicaSet {namespace}/{name}"), api.delete(name, &params)).await {
            Ok(_) => {}
            Err(error) if is_missing(&error) => {}
            Err(error) => return Err(error),
        }
        self.tables.replica_sets.gone(namespace, name);
        Ok(())
    }

    /// The revision's ReplicaSet as known now.
    pub(super) fn replica_set(&self, snapshot: &Snapshot, id: &str) -> Option<Arc<Entry<CachedReplicaSet>>> {
        let all = self.tables.replica_sets.group(&snapshot.key.namespace, &snapshot.key.name);
        let ours = |entry: &Entry<CachedReplicaSet>| !entry.deleting && entry.value.is_controlled_by(&snapshot.uid);
        all.into_iter().find(|entry| entry.value.revision == id && ours(entry))
    }

    pub(super) async fn patch_replica_set(
        &self,
        entry: &Entry<CachedReplicaSet>,
        patch: Value,
    ) -> Result<(), WorldError> {
        let (namespace, name) = (&entry.key.namespace, &entry.key.name);
        let api = self.api(&resource::<ReplicaSet>(), namespace);
        let what = format!("patch ReplicaSet {namespace}/{name}");
        let written = self.write(&what, api.patch(name, &params(), &Patch::Merge(patch))).await?;
        self.tables.replica_sets.wrote(&written);
        Ok(())
    }

    async fn create_replica_set(
        &self,
        snapshot: &Snapshot,
        id: &str,
        (number, replicas): (u64, u32),
    ) -> Result<(), WorldError> {
        let template =
            snapshot.template.as_ref().filter(|template| template.id == id).ok_or_else(|| WorldError::Refused {
                reason: Reason::RevisionLost,
                message: format!("the ReplicaSet of revision {id} is gone, and the template has changed"),
            })?;
        for alternative in 0..=ALTERNATIVES {
            let name = names::replica_set(&snapshot.key.name, id, alternative);
            let body = manifest(snapshot, &name, id, (number, replicas), &template.raw);
            if let Some(written) = self.create_or_find(snapshot, &name, id, &body).await? {
                self.tables.replica_sets.wrote(&written);
                return self.ensure_label(snapshot, &Entry::answered(&written)?).await;
            }
        }
        Err(WorldError::Refused {
            reason: Reason::NameTaken,
            message: format!(
                "ReplicaSet {} and its {ALTERNATIVES} alternatives exist and are not this Rollout's; delete them",
                names::replica_set(&snapshot.key.name, id, 0)
            ),
        })
    }

    /// Our watch selects by this label: a ReplicaSet that lost it is found by its name alone.
    async fn ensure_label(&self, snapshot: &Snapshot, found: &Entry<CachedReplicaSet>) -> Result<(), WorldError> {
        if found.value.rollout == snapshot.key.name {
            return Ok(());
        }
        let mut metadata = found.condition();
        metadata["labels"] = json!({ROLLOUT_LABEL: snapshot.key.name});
        self.patch_replica_set(found, json!({"metadata": metadata})).await
    }

    /// Creates it, or finds that an earlier request with a lost response has created it. `None`: the name is taken by a
    /// foreign object.
    async fn create_or_find(
        &self,
        snapshot: &Snapshot,
        name: &str,
        id: &str,
        object: &Value,
    ) -> Result<Option<Answer>, WorldError> {
        let namespace = &snapshot.key.namespace;
        let api = self.api(&resource::<ReplicaSet>(), namespace);
        let params = PostParams { field_manager: Some(super::resources::MANAGER.into()), ..PostParams::default() };
        let what = format!("create ReplicaSet {namespace}/{name}");
        match self.write(&what, api.create(&params, object)).await {
            Ok(written) => Ok(Some(written)),
            Err(WorldError::Conflict(_)) => {
                let found = read(&format!("get ReplicaSet {namespace}/{name}"), api.get_opt(name)).await?;
                let Some(found) = found else { return Ok(None) };
                let kept: Entry<CachedReplicaSet> = Entry::answered(&found)?;
                let is_ours = kept.value.is_controlled_by(&snapshot.uid) && kept.value.revision == id;
                Ok(is_ours.then_some(found))
            }
            Err(error) => Err(error),
        }
    }
}

/// Whether two observations are of the same pods.
fn same_pods(a: &Entry<CachedReplicaSet>, b: &Entry<CachedReplicaSet>) -> bool {
    let pods = |e: &Entry<CachedReplicaSet>| (e.value.wanted, e.value.pods, e.value.ready, e.value.available);
    a.uid == b.uid && pods(a) == pods(b)
}

/// Whether a ReplicaSet of this revision would have this name.
pub(super) fn is_named_for(name: &str, rollout: &str, id: &str) -> bool {
    (0..=ALTERNATIVES).any(|alternative| names::is_replica_set(name, rollout, id, alternative))
}

/// The Rollout's selector and the label that distinguishes this revision from the others.
pub(super) fn selector_of(snapshot: &Snapshot, id: &str) -> LabelSelector {
    let mut selector = snapshot.selector.clone();
    selector.match_labels.get_or_insert_with(BTreeMap::new).insert(REVISION_LABEL.into(), id.into());
    selector
}

fn manifest(snapshot: &Snapshot, name: &str, id: &str, (number, replicas): (u64, u32), template: &Value) -> Value {
    let mut template = template.clone();
    if !template["metadata"].is_object() {
        template["metadata"] = json!({});
    }
    mark(&mut template["metadata"]["labels"], REVISION_LABEL, id);
    if revision_annotation::is_needed(snapshot) {
        mark(&mut template["metadata"]["annotations"], REVISION_ANNOTATION, id);
    }
    json!({
        "apiVersion": "apps/v1", "kind": "ReplicaSet",
        "metadata": {
            "name": name, "namespace": snapshot.key.namespace,
            "labels": {ROLLOUT_LABEL: snapshot.key.name, REVISION_LABEL: id},
            "annotations": {NUMBER: number.to_string()},
            "ownerReferences": owners(snapshot),
        },
        "spec": {
            "replicas": replicas, "minReadySeconds": snapshot.rollout.spec.min_ready_seconds.unwrap_or(0),
            "selector": selector_of(snapshot, id), "template": template,
        },
    })
}

fn mark(all: &mut Value, key: &str, id: &str) {
    if !all.is_object() {
        *all = json!({});
    }
    all[key] = id.into();
}

/// The Rollout controls it. The Deployment is a second owner, so that deleting the Rollout in the foreground removes
/// one reference and leaves the pods until the restore is complete (rule S40).
pub(super) fn owners(snapshot: &Snapshot) -> Value {
    let mut owners = vec![snapshot.owner(true)];
    if let Some(workload) = &snapshot.workload {
        owners.push(
            json!({"apiVersion": "apps/v1", "kind": "Deployment", "name": workload.key.name, "uid": workload.uid}),
        );
    }
    Value::Array(owners)
}
