//! The Services that tell revisions apart: created when absent, pinned by one label, given back (rules S6, S40).

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::Service;
use kube::api::{Patch, PostParams};
use serde_json::{Value, json};

use super::{
    Cluster,
    call::call,
    kinds::{ORIGINAL_SELECTOR, ServiceKept},
    observe::Around,
    resource,
    table::Entry,
    targets::Split,
    workload::params,
};
use crate::{
    api::{REVISION_LABEL, ROLLOUT_LABEL},
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
            let Some(entry) = self.tables.services.get(&around.key.namespace, name) else { continue };
            let made = is_made_for(&entry, around);
            if made && workload_stays {
                self.unpin(&entry, json!({"ownerReferences": null})).await?;
            } else if !made && is_pinned(&entry) {
                self.unpin(&entry, json!({})).await?;
            }
        }
        Ok(())
    }

    /// Takes our label out of all selectors, also of Services that we made, which stay with the Rollout.
    pub(super) async fn unpin_services(&self, around: &Around) -> Result<(), WorldError> {
        let targets = &around.targets;
        for name in [&targets.stable, &targets.canary, &targets.root].into_iter().flatten() {
            let Some(entry) = self.tables.services.get(&around.key.namespace, name) else { continue };
            if is_pinned(&entry) {
                self.unpin(&entry, json!({})).await?;
            }
        }
        Ok(())
    }

    /// Takes our label and our note out of a Service, and changes this metadata with it.
    async fn unpin(&self, entry: &Entry<ServiceKept>, mut metadata: Value) -> Result<(), WorldError> {
        metadata["uid"] = entry.uid.clone().into();
        metadata["resourceVersion"] = entry.version.clone().into();
        metadata["annotations"] = json!({ORIGINAL_SELECTOR: null});
        self.patch_service(entry, json!({"metadata": metadata, "spec": {"selector": {REVISION_LABEL: null}}})).await
    }

    async fn ensure_service(&self, around: &Around, name: &str, revision: &str) -> Result<(), WorldError> {
        let Some(entry) = self.tables.services.get(&around.key.namespace, name) else {
            return self.create_service(around, name, revision).await;
        };
        if entry.value.selector.get(REVISION_LABEL).map(String::as_str) == Some(revision) {
            return Ok(());
        }
        let mut metadata = json!({"uid": entry.uid, "resourceVersion": entry.version});
        if !is_made_for(&entry, around) && !entry.value.selector.contains_key(REVISION_LABEL) {
            metadata["annotations"][ORIGINAL_SELECTOR] = json!(entry.value.selector).to_string().into();
        }
        let patch = json!({"metadata": metadata, "spec": {"selector": {REVISION_LABEL: revision}}});
        self.patch_service(&entry, patch).await
    }

    async fn create_service(&self, around: &Around, name: &str, revision: &str) -> Result<(), WorldError> {
        let root = around.targets.root.as_ref().filter(|root| *root != name);
        let known = root.and_then(|root| self.tables.services.get(&around.key.namespace, root));
        let root = known.ok_or_else(|| missing(name, root))?;
        let object = serde_json::from_value(manifest(around, name, revision, &root.value))
            .map_err(|error| WorldError::Transient(error.to_string()))?;
        let namespace = &around.key.namespace;
        let api = self.api(&resource::<Service>(), namespace);
        let params = PostParams { field_manager: Some(super::MANAGER.into()), ..PostParams::default() };
        let written = call(&format!("create Service {namespace}/{name}"), api.create(&params, &object)).await?;
        self.tables.services.wrote(&written);
        Ok(())
    }

    async fn patch_service(&self, entry: &Entry<ServiceKept>, patch: Value) -> Result<(), WorldError> {
        let (namespace, name) = (&entry.key.namespace, &entry.key.name);
        let api = self.api(&resource::<Service>(), namespace);
        let what = format!("patch Service {namespace}/{name}");
        let written = call(&what, api.patch(name, &params(), &Patch::Merge(&patch))).await?;
        self.tables.services.wrote(&written);
        Ok(())
    }
}

/// A Service whose ports we cannot know: that of root, if it is named and missing, else the Service itself.
fn missing(name: &str, root: Option<&String>) -> WorldError {
    let message = match root {
        Some(root) => format!("Missing Service/{root}: services.root names it; create it or mend the name"),
        None => format!("Missing Service/{name}; create it, or name an existing services.root to copy its ports from"),
    };
    WorldError::Refused { reason: "MissingService".into(), message }
}

fn is_pinned(entry: &Entry<ServiceKept>) -> bool {
    entry.value.selector.contains_key(REVISION_LABEL) || entry.value.original.is_some()
}

fn is_made_for(entry: &Entry<ServiceKept>, around: &Around) -> bool {
    entry.value.owner.as_deref() == Some(around.key.name.as_str())
}

fn manifest(around: &Around, name: &str, revision: &str, root: &ServiceKept) -> Value {
    let mut selector: BTreeMap<String, String> = root.original.clone().unwrap_or_else(|| root.selector.clone());
    selector.insert(REVISION_LABEL.into(), revision.into());
    json!({
        "apiVersion": "v1", "kind": "Service",
        "metadata": {
            "name": name, "namespace": around.key.namespace, "labels": {ROLLOUT_LABEL: around.key.name},
            "ownerReferences": [around.owner(true)],
        },
        "spec": {"selector": selector, "ports": copied_ports(&root.ports)},
    })
}

/// What callers see of root's ports; node ports are not shared.
fn copied_ports(ports: &Value) -> Value {
    let fields = ["name", "port", "protocol", "targetPort", "appProtocol"];
    let copy = |port: &Value| -> Value {
        fields.iter().filter_map(|field| Some(((*field).to_owned(), port.get(*field)?.clone()))).collect()
    };
    Value::Array(ports.as_array().into_iter().flatten().map(copy).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn s6_ports_are_copied_without_what_is_roots_alone() {
        let ports = json!([{"name": "http", "port": 80, "targetPort": "web", "nodePort": 30080, "protocol": "TCP"}]);
        assert_eq!(copied_ports(&ports), json!([{"name": "http", "port": 80, "protocol": "TCP", "targetPort": "web"}]));
    }
}
