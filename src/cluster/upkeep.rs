//! What is kept in step without a decision: ReplicaSets without an owner are adopted, `minReadySeconds` and the
//! annotation for a mesh reach those that exist, Services that we made follow root. And whom the label alone does not make ours is named once (rule S2).

use std::collections::BTreeSet;

use k8s_openapi::api::apps::v1::ReplicaSet;
use serde_json::{Value, json};

use super::{
    call::read,
    kinds::{CachedReplicaSet, Workload, controller},
    locks::lock,
    raw_object::RawObject,
    resources::resource,
    revisions::{is_named_for, owners, selector_of},
    shared::Cluster,
    snapshot::Snapshot,
    table::Entry,
};
use crate::{
    api::{REVISION_LABEL, ROLLOUT_LABEL, reason::Reason},
    engine::Notice,
    ports::WorldError,
};

impl Cluster {
    /// Writes what differs. Says whether ReplicaSets were adopted, so that there is more to see than before.
    pub(super) async fn keep_in_step(&self, snapshot: &Snapshot) -> Result<bool, WorldError> {
        for entry in &snapshot.revisions {
            tolerated(self.keep_min_ready(snapshot, entry).await)?;
            tolerated(self.keep_revision_annotation(snapshot, entry).await)?;
        }
        tolerated(self.keep_made_services(snapshot).await)?;
        self.sort_out_strays(snapshot).await
    }

    /// Of no revision's template, so that it starts no release.
    async fn keep_min_ready(&self, snapshot: &Snapshot, entry: &Entry<CachedReplicaSet>) -> Result<(), WorldError> {
        let wanted = snapshot.rollout.spec.min_ready_seconds.unwrap_or(0);
        if entry.value.min_ready == wanted {
            return Ok(());
        }
        self.patch_replica_set(entry, json!({"metadata": {"uid": entry.uid}, "spec": {"minReadySeconds": wanted}}))
            .await
    }

    async fn sort_out_strays(&self, snapshot: &Snapshot) -> Result<bool, WorldError> {
        let mut strays = self.tables.replica_sets.group(&snapshot.key.namespace, &snapshot.key.name);
        strays.retain(|entry| !entry.deleting && !entry.value.is_controlled_by(&snapshot.uid));
        if strays.is_empty() {
            lock(&self.strays).remove(&snapshot.key);
            return Ok(false);
        }
        let mut adopted = false;
        for stray in &strays {
            let may = may_be_adopted(snapshot, stray)
                && !lock(&self.strays).get(&snapshot.key).is_some_and(|known| known.refused.contains(&stray.uid));
            let taken = if may { self.adopt(snapshot, stray).await } else { Ok(false) };
            if let Err(error @ (WorldError::Transient(_) | WorldError::Conflict(_))) = taken {
                return Err(error);
            }
            if taken == Ok(true) {
                adopted = true;
            } else {
                self.report_stray(snapshot, stray, may);
            }
        }
        Ok(adopted)
    }

    /// Becomes its controller, as a Deployment does, if the whole object says that it is a revision of this Rollout.
    async fn adopt(&self, snapshot: &Snapshot, stray: &Entry<CachedReplicaSet>) -> Result<bool, WorldError> {
        let (namespace, name) = (&stray.key.namespace, &stray.key.name);
        let api = self.api(&resource::<ReplicaSet>(), namespace);
        let Some(found) = read(&format!("get ReplicaSet {namespace}/{name}"), api.get_opt(name)).await? else {
            return Ok(false);
        };
        if found.metadata.uid.as_ref() != Some(&stray.uid)
            || !is_revision_of(snapshot, &found.object()?, &stray.value.revision)
        {
            return Ok(false);
        }
        let mut all = serde_json::to_value(&found.metadata.owner_references).unwrap_or_default();
        let known: BTreeSet<&str> = found.metadata.owner_references.iter().flatten().map(|o| o.uid.as_str()).collect();
        let ours = owners(snapshot);
        let new = ours.as_array().into_iter().flatten();
        let new = new.filter(|owner| owner["uid"].as_str().is_none_or(|uid| !known.contains(uid))).cloned();
        match all.as_array_mut() {
            Some(all) => all.extend(new),
            None => all = Value::Array(new.collect()),
        }
        let version = found.metadata.resource_version;
        let patch = json!({"metadata": {"uid": stray.uid, "resourceVersion": version, "ownerReferences": all}});
        self.patch_replica_set(stray, patch).await?;
        let message = format!("adopted ReplicaSet {name}, which had no controller");
        self.events.send(&snapshot.rollout, &Notice { warning: false, reason: Reason::ReplicaSetAdopted, message });
        Ok(true)
    }

    /// Once per object and process.
    fn report_stray(&self, snapshot: &Snapshot, stray: &Entry<CachedReplicaSet>, refused: bool) {
        {
            let mut all = lock(&self.strays);
            let known = all.entry(snapshot.key.clone()).or_default();
            if refused {
                known.refused.insert(stray.uid.clone());
            }
            if !known.reported.insert(stray.uid.clone()) {
                return;
            }
        }
        let (name, rollout) = (&stray.key.name, &snapshot.key.name);
        let message = match &stray.value.controller {
            Some(owner) => format!(
                "ReplicaSet {name} has the label {ROLLOUT_LABEL}={rollout} but is controlled by {owner}; this Rollout neither scales nor deletes it; remove the label from it, or from the template that it was created from"
            ),
            None => format!(
                "ReplicaSet {name} has the label {ROLLOUT_LABEL}={rollout} but no controller, and is not the desired revision; this Rollout neither scales nor deletes it; delete it when its pods are not needed"
            ),
        };
        self.events.send(&snapshot.rollout, &Notice { warning: true, reason: Reason::ForeignReplicaSet, message });
    }
}

/// What is refused here must not hold up a release.
fn tolerated(written: Result<(), WorldError>) -> Result<(), WorldError> {
    match written {
        Err(WorldError::Refused { reason, message }) => {
            tracing::warn!(%reason, %message, "refused");
            Ok(())
        }
        other => other,
    }
}

/// Without a controller, of our name, and either the desired revision or empty: pods of other revisions keep running.
fn may_be_adopted(snapshot: &Snapshot, stray: &Entry<CachedReplicaSet>) -> bool {
    let set = &stray.value;
    let wanted = snapshot.template.as_ref().is_some_and(|template| template.id == set.revision);
    let known = snapshot.revisions.iter().any(|ours| ours.value.revision == set.revision);
    let empty = set.wanted == 0 && set.pods == 0;
    set.controller.is_none()
        && !known
        && (wanted || empty)
        && is_named_for(&stray.key.name, &snapshot.key.name, &set.revision)
}

/// Whether its selector and its template are those of a revision of this Rollout.
fn is_revision_of(snapshot: &Snapshot, found: &RawObject<'_>, id: &str) -> bool {
    let Workload { selector, template, .. } = found.get("spec").unwrap_or_default();
    let images = |template: &Value| crate::api::revision::images(template);
    let wanted = snapshot.template.as_ref().filter(|wanted| wanted.id == id);
    controller(found.metadata()).is_none()
        && selector == selector_of(snapshot, id)
        && template["metadata"]["labels"][REVISION_LABEL] == id
        && wanted.is_none_or(|wanted| images(&wanted.raw) == images(&template))
}
