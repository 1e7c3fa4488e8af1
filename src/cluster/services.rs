//! The Services of the revisions: created when absent, pinned by one label, restored (rules S6, S40).

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::Service;
use kube::api::{Patch, PostParams};
use serde_json::{Value, json};

use super::{
    around::Around,
    kinds::{ORIGINAL_SELECTOR, ServiceKept},
    resources::resource,
    selectors,
    shared::Cluster,
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
        around: &Around,
        target: Target,
        revision: &str,
    ) -> Result<(), WorldError> {
        if around.targets.split == Split::Subset {
            return self.ensure_subset(around, target, revision).await;
        }
        let targets = &around.targets;
        let name = if target == Target::Stable { &targets.stable } else { &targets.canary };
        if let Some(name) = name {
            self.ensure_service(around, name, revision).await?;
        }
        // With a host split callers without a proxy come in through root: it reaches stable only.
        match (&targets.root, target, targets.split) {
            (Some(root), Target::Stable, Split::Host) if targets.stable.as_ref() != Some(root) => {
                self.ensure_service(around, root, revision).await
            }
            _ => Ok(()),
        }
    }

    /// Takes our label out of the selectors. Services that we made go with the Rollout, unless its workload stays: then
    /// the user's routes still lead to them, so they stay too, for all pods of the workload.
    pub(super) async fn release_services(&self, around: &Around) -> Result<(), WorldError> {
        let targets = &around.targets;
        let workload_stays = around.rollout.spec.workload_ref.is_some();
        for name in [&targets.stable, &targets.canary, &targets.root].into_iter().flatten() {
            let Some(entry) = around.traffic.service(name) else { continue };
            let made = is_made_for(&entry, around);
            if made && workload_stays {
                self.unpin(around, &entry, json!({"ownerReferences": null})).await?;
            } else if !made && is_pinned(&entry) {
                self.unpin(around, &entry, json!({})).await?;
            }
        }
        Ok(())
    }

    /// Takes our label out of all selectors, also of Services that we made, which stay with the Rollout.
    pub(super) async fn unpin_services(&self, around: &Around) -> Result<(), WorldError> {
        let targets = &around.targets;
        for name in [&targets.stable, &targets.canary, &targets.root].into_iter().flatten() {
            let Some(entry) = around.traffic.service(name) else { continue };
            if is_pinned(&entry) {
                self.unpin(around, &entry, json!({})).await?;
            }
        }
        Ok(())
    }

    /// Takes our label and our note out of a Service, and changes this metadata with it.
    async fn unpin(&self, around: &Around, entry: &Entry<ServiceKept>, mut metadata: Value) -> Result<(), WorldError> {
        metadata["uid"] = entry.uid.clone().into();
        metadata["resourceVersion"] = entry.version.clone().into();
        metadata["annotations"] = json!({ORIGINAL_SELECTOR: null});
        self.patch_service(around, entry, json!({"metadata": metadata, "spec": {"selector": {REVISION_LABEL: null}}}))
            .await
    }

    async fn ensure_service(&self, around: &Around, name: &str, revision: &str) -> Result<(), WorldError> {
        let Some(entry) = around.traffic.service(name) else {
            return self.create_service(around, name, revision).await;
        };
        if entry.value.selector.get(REVISION_LABEL).map(String::as_str) == Some(revision) {
            return Ok(());
        }
        if let Some(problem) = selectors::excluding(around, name, &entry.value.selector, revision) {
            return Err(WorldError::Refused { reason: problem.reason, message: problem.message });
        }
        let mut metadata = entry.condition();
        if !is_made_for(&entry, around) && !entry.value.selector.contains_key(REVISION_LABEL) {
            metadata["annotations"][ORIGINAL_SELECTOR] = json!(entry.value.selector).to_string().into();
        }
        let patch = json!({"metadata": metadata, "spec": {"selector": {REVISION_LABEL: revision}}});
        self.patch_service(around, &entry, patch).await
    }

    /// Services that we made follow root. They are written once for each change of root, whatever others do to them.
    pub(super) async fn keep_made_services(&self, around: &Around) -> Result<(), WorldError> {
        let root = around.targets.root.as_ref().and_then(|root| around.traffic.service(root));
        let Some(root) = root else { return Ok(()) };
        let base = base_selector(&root.value);
        let id = root.value.face.id(&base);
        for name in [&around.targets.stable, &around.targets.canary].into_iter().flatten() {
            let Some(entry) = around.traffic.service(name) else { continue };
            if !is_made_for(&entry, around) || entry.value.copied.as_deref() == Some(id.as_str()) {
                continue;
            }
            let gone = entry.value.selector.keys().filter(|key| *key != REVISION_LABEL && !base.contains_key(*key));
            let mut selector = json!(base);
            gone.for_each(|key| selector[key] = Value::Null);
            let face = &root.value.face;
            let (mut metadata, mut spec) = (entry.condition(), face.spec_patch());
            metadata["labels"] = face.labels();
            metadata["annotations"] = face.annotations(&id);
            spec["selector"] = selector;
            self.patch_service(around, &entry, json!({"metadata": metadata, "spec": spec})).await?;
        }
        Ok(())
    }

    async fn create_service(&self, around: &Around, name: &str, revision: &str) -> Result<(), WorldError> {
        let root = around.targets.root.as_ref().filter(|root| *root != name);
        let known = root.and_then(|root| around.traffic.service(root));
        let root = known.ok_or_else(|| missing(name, root))?;
        if let Some(problem) = selectors::excluding(around, &root.key.name, &root.value.selector, revision) {
            return Err(WorldError::Refused { reason: problem.reason, message: problem.message });
        }
        let object = serde_json::from_value(manifest(around, name, revision, &root.value))
            .map_err(|error| WorldError::Transient(error.to_string()))?;
        let namespace = &around.key.namespace;
        let api = self.api(&resource::<Service>(), namespace);
        let params = PostParams { field_manager: Some(super::resources::MANAGER.into()), ..PostParams::default() };
        let written = self.write(&format!("create Service {namespace}/{name}"), api.create(&params, &object)).await?;
        around.traffic.wrote_service(&written);
        self.tables.services.wrote(&written);
        Ok(())
    }

    async fn patch_service(&self, around: &Around, entry: &Entry<ServiceKept>, patch: Value) -> Result<(), WorldError> {
        let (namespace, name) = (&entry.key.namespace, &entry.key.name);
        let api = self.api(&resource::<Service>(), namespace);
        let what = format!("patch Service {namespace}/{name}");
        let written = self.write(&what, api.patch(name, &params(), &Patch::Merge(&patch))).await?;
        around.traffic.wrote_service(&written);
        self.tables.services.wrote(&written);
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

fn is_pinned(entry: &Entry<ServiceKept>) -> bool {
    entry.value.selector.contains_key(REVISION_LABEL) || entry.value.original.is_some()
}

fn is_made_for(entry: &Entry<ServiceKept>, around: &Around) -> bool {
    entry.value.controller.as_ref().is_some_and(|owner| *owner.uid == *around.uid)
}

/// What the user made root select: we add one label and change none.
fn base_selector(root: &ServiceKept) -> BTreeMap<String, String> {
    let mut selector = root.selector.clone();
    selector.remove(REVISION_LABEL);
    selector
}

fn manifest(around: &Around, name: &str, revision: &str, root: &ServiceKept) -> Value {
    let mut selector = base_selector(root);
    let id = root.face.id(&selector);
    selector.insert(REVISION_LABEL.into(), revision.into());
    let (mut labels, mut spec) = (root.face.labels(), root.face.new_spec());
    labels[ROLLOUT_LABEL] = around.key.name.as_str().into();
    spec["selector"] = json!(selector);
    json!({
        "apiVersion": "v1", "kind": "Service",
        "metadata": {
            "name": name, "namespace": around.key.namespace, "labels": labels,
            "annotations": root.face.annotations(&id), "ownerReferences": [around.owner(true)],
        },
        "spec": spec,
    })
}
