//! The Services of the revisions: created when absent, pinned by one label, restored (rules S6, S40).

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::Service;
use kube::api::{Patch, PostParams};
use serde_json::{Value, json};

use super::{
    kinds::{CachedService, ORIGINAL_SELECTOR},
    resources::resource,
    selectors,
    shared::Cluster,
    snapshot::Snapshot,
    table::Entry,
    targets::Split,
    workload::params,
};
use crate::{
    api::{REVISION_LABEL, ROLLOUT_LABEL, reason::Reason},
    engine::Target,
    ports::WorldError,
};

impl Cluster {
    /// Makes a target select the revision.
    pub(super) async fn ensure_target(
        &self,
        snapshot: &Snapshot,
        target: Target,
        revision: &str,
    ) -> Result<(), WorldError> {
        if snapshot.targets.split == Split::Subset {
            return self.ensure_subset(snapshot, target, revision).await;
        }
        let targets = &snapshot.targets;
        let name = if target == Target::Stable { &targets.stable } else { &targets.canary };
        if let Some(name) = name {
            self.ensure_service(snapshot, name, revision).await?;
        }
        // With a host split callers without a proxy come in through root: it reaches stable only.
        match (&targets.root, target, targets.split) {
            (Some(root), Target::Stable, Split::Host) if targets.stable.as_ref() != Some(root) => {
                self.ensure_service(snapshot, root, revision).await
            }
            _ => Ok(()),
        }
    }

    /// Takes our label out of the selectors. Services that we made go with the Rollout, unless its workload stays: then
    /// the user's routes still lead to them, so they stay too, for all pods of the workload.
    pub(super) async fn release_services(&self, snapshot: &Snapshot) -> Result<(), WorldError> {
        let targets = &snapshot.targets;
        let workload_stays = snapshot.rollout.spec.workload_ref.is_some();
        for name in [&targets.stable, &targets.canary, &targets.root].into_iter().flatten() {
            let Some(entry) = snapshot.traffic.service(name) else { continue };
            let made = is_made_for(&entry, snapshot);
            if made && workload_stays {
                self.unpin(snapshot, &entry, json!({"ownerReferences": null})).await?;
            } else if !made && is_pinned(&entry) {
                self.unpin(snapshot, &entry, json!({})).await?;
            }
        }
        Ok(())
    }

    /// Takes our label out of all selectors, also of Services that we made, which stay with the Rollout.
    pub(super) async fn unpin_services(&self, snapshot: &Snapshot) -> Result<(), WorldError> {
        let targets = &snapshot.targets;
        for name in [&targets.stable, &targets.canary, &targets.root].into_iter().flatten() {
            let Some(entry) = snapshot.traffic.service(name) else { continue };
            if is_pinned(&entry) {
                self.unpin(snapshot, &entry, json!({})).await?;
            }
        }
        Ok(())
    }

    /// Takes our label and our note out of a Service, and changes this metadata with it.
    async fn unpin(
        &self,
        snapshot: &Snapshot,
        entry: &Entry<CachedService>,
        mut metadata: Value,
    ) -> Result<(), WorldError> {
        metadata["uid"] = entry.uid.clone().into();
        metadata["resourceVersion"] = entry.version.clone().into();
        metadata["annotations"] = json!({ORIGINAL_SELECTOR: null});
        self.patch_service(snapshot, entry, json!({"metadata": metadata, "spec": {"selector": {REVISION_LABEL: null}}}))
            .await
    }

    async fn ensure_service(&self, snapshot: &Snapshot, name: &str, revision: &str) -> Result<(), WorldError> {
        let Some(entry) = snapshot.traffic.service(name) else {
            return self.create_service(snapshot, name, revision).await;
        };
        if entry.value.selector.get(REVISION_LABEL) == Some(revision) {
            return Ok(());
        }
        if let Some(problem) = selectors::excluding(snapshot, name, &entry.value.selector, revision) {
            return Err(WorldError::Refused { reason: problem.reason, message: problem.message });
        }
        let mut metadata = entry.condition();
        if !is_made_for(&entry, snapshot) && !entry.value.selector.contains_key(REVISION_LABEL) {
            metadata["annotations"][ORIGINAL_SELECTOR] = json!(entry.value.selector).to_string().into();
        }
        let patch = json!({"metadata": metadata, "spec": {"selector": {REVISION_LABEL: revision}}});
        self.patch_service(snapshot, &entry, patch).await
    }

    /// Services that we made follow root. They are written once for each change of root, whatever others do to them.
    pub(super) async fn keep_made_services(&self, snapshot: &Snapshot) -> Result<(), WorldError> {
        let root = snapshot.targets.root.as_ref().and_then(|root| snapshot.traffic.service(root));
        let Some(root) = root else { return Ok(()) };
        let base = base_selector(&root.value);
        let face = root.value.face();
        let id = face.id(&base);
        for name in [&snapshot.targets.stable, &snapshot.targets.canary].into_iter().flatten() {
            let Some(entry) = snapshot.traffic.service(name) else { continue };
            if !is_made_for(&entry, snapshot) || entry.value.copied.as_deref() == Some(id.as_str()) {
                continue;
            }
            let gone = entry.value.selector.keys().filter(|key| *key != REVISION_LABEL && !base.contains_key(*key));
            let mut selector = json!(base);
            gone.for_each(|key| selector[key] = Value::Null);
            let (mut metadata, mut spec) = (entry.condition(), face.spec_patch());
            metadata["labels"] = face.labels();
            metadata["annotations"] = face.annotations(&id);
            spec["selector"] = selector;
            self.patch_service(snapshot, &entry, json!({"metadata": metadata, "spec": spec})).await?;
        }
        Ok(())
    }

    async fn create_service(&self, snapshot: &Snapshot, name: &str, revision: &str) -> Result<(), WorldError> {
        let root = snapshot.targets.root.as_ref().filter(|root| *root != name);
        let known = root.and_then(|root| snapshot.traffic.service(root));
        let root = known.ok_or_else(|| missing(name, root))?;
        if let Some(problem) = selectors::excluding(snapshot, &root.key.name, &root.value.selector, revision) {
            return Err(WorldError::Refused { reason: problem.reason, message: problem.message });
        }
        let object = manifest(snapshot, name, revision, &root.value);
        let namespace = &snapshot.key.namespace;
        let api = self.api(&resource::<Service>(), namespace);
        let params = PostParams { field_manager: Some(super::resources::MANAGER.into()), ..PostParams::default() };
        let written = self.write(&format!("create Service {namespace}/{name}"), api.create(&params, &object)).await?;
        self.tables.services.wrote(&written);
        snapshot.traffic.wrote_service(Entry::answered(&written)?);
        Ok(())
    }

    async fn patch_service(
        &self,
        snapshot: &Snapshot,
        entry: &Entry<CachedService>,
        patch: Value,
    ) -> Result<(), WorldError> {
        let (namespace, name) = (&entry.key.namespace, &entry.key.name);
        let api = self.api(&resource::<Service>(), namespace);
        let what = format!("patch Service {namespace}/{name}");
        let written = self.write(&what, api.patch(name, &params(), &Patch::Merge(patch))).await?;
        self.tables.services.wrote(&written);
        snapshot.traffic.wrote_service(Entry::answered(&written)?);
        Ok(())
    }
}

/// A Service whose ports we cannot know: that of root, if it is named and missing, else the Service itself.
fn missing(name: &str, root: Option<&String>) -> WorldError {
    let message = match root {
        Some(root) => format!("Missing Service/{root}: referenced by services.root; create it or fix the name"),
        None => format!(
            "Missing Service/{name}; create it, or set services.root to an existing Service to copy its ports from"
        ),
    };
    WorldError::Refused { reason: Reason::MissingService, message }
}

fn is_pinned(entry: &Entry<CachedService>) -> bool {
    entry.value.selector.contains_key(REVISION_LABEL) || entry.value.has_original
}

fn is_made_for(entry: &Entry<CachedService>, snapshot: &Snapshot) -> bool {
    entry.value.controller.as_ref().is_some_and(|owner| *owner.uid == *snapshot.uid)
}

/// What the user made root select: we add one label and change none.
fn base_selector(root: &CachedService) -> BTreeMap<String, String> {
    let mut selector = root.selector.to_map();
    selector.remove(REVISION_LABEL);
    selector
}

fn manifest(snapshot: &Snapshot, name: &str, revision: &str, root: &CachedService) -> Value {
    let mut selector = base_selector(root);
    let face = root.face();
    let id = face.id(&selector);
    selector.insert(REVISION_LABEL.into(), revision.into());
    let (mut labels, mut spec) = (face.labels(), face.new_spec());
    labels[ROLLOUT_LABEL] = snapshot.key.name.as_str().into();
    spec["selector"] = json!(selector);
    json!({
        "apiVersion": "v1", "kind": "Service",
        "metadata": {
            "name": name, "namespace": snapshot.key.namespace, "labels": labels,
            "annotations": face.annotations(&id), "ownerReferences": [snapshot.owner(true)],
        },
        "spec": spec,
    })
}
