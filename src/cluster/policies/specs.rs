//! Specs that are or were in force, as ControllerRevisions of their policy: what a change leads back to.

use k8s_openapi::api::apps::v1::ControllerRevision;
use kube::{
    Resource,
    api::{DeleteParams, PostParams},
};
use serde_json::{Value, json};

use crate::{
    api::{MeshPolicy, policy::MeshPolicySpec},
    cluster::{
        call::{is_missing, read},
        locks::lock,
        policy_tables::CachedPolicy,
        resources::{MANAGER, resource},
        shared::Cluster,
        table::{Entry, ObjectKey},
    },
    mesh::{
        POLICY_LABEL,
        drive::{Specs, spec_id},
    },
    ports::WorldError,
};

/// The name of the ControllerRevision of a spec.
fn revision_name(policy: &str, id: &str) -> String {
    format!("{policy}-{id}")
}

impl Cluster {
    /// The spec in force, where it is another one than the policy has now.
    pub(super) async fn specs(&self, key: &ObjectKey, policy: &MeshPolicy) -> Result<Specs, WorldError> {
        let in_force = policy.status.as_ref().and_then(|status| status.in_force.clone());
        let Some(id) = in_force.filter(|id| *id != spec_id(&policy.spec)) else { return Ok(Specs::new()) };
        let known = lock(&self.policies.specs).get(&(key.clone(), id.clone())).cloned();
        let spec = match known {
            Some(spec) => Some(spec),
            None => self.read_spec(key, &id).await?,
        };
        Ok(spec.map(|spec| (id, spec)).into_iter().collect())
    }

    async fn read_spec(&self, key: &ObjectKey, id: &str) -> Result<Option<MeshPolicySpec>, WorldError> {
        let (api, name) = (self.api(&resource::<ControllerRevision>(), &key.namespace), revision_name(&key.name, id));
        let what = format!("read ControllerRevision {}/{name}", key.namespace);
        let Some(answer) = read(&what, api.get_opt(&name)).await? else { return Ok(None) };
        let data: Value = answer.object()?.get("data").unwrap_or_default();
        let spec: Option<MeshPolicySpec> = serde_json::from_value(data).ok();
        if let Some(spec) = &spec {
            lock(&self.policies.specs).insert((key.clone(), id.to_owned()), spec.clone());
        }
        Ok(spec)
    }

    /// Puts the spec that the policy has now on record, before anything of it is written.
    pub(super) async fn keep_spec(&self, entry: &Entry<CachedPolicy>, policy: &MeshPolicy) -> Result<(), WorldError> {
        let (key, id) = (&entry.key, spec_id(&policy.spec));
        if lock(&self.policies.specs).contains_key(&(key.clone(), id.clone())) {
            return Ok(());
        }
        let name = revision_name(&key.name, &id);
        let owner = policy.controller_owner_ref(&());
        let object = json!({
            "apiVersion": "apps/v1",
            "kind": "ControllerRevision",
            "metadata": {"name": name, "namespace": key.namespace, "labels": {POLICY_LABEL: key.name}, "ownerReferences": [owner]},
            "revision": policy.metadata.generation.unwrap_or(1),
            "data": policy.spec,
        });
        let api = self.api(&resource::<ControllerRevision>(), &key.namespace);
        let params = PostParams { field_manager: Some(MANAGER.into()), ..PostParams::default() };
        let what = format!("create ControllerRevision {}/{name}", key.namespace);
        match self.write(&what, api.create(&params, &object)).await {
            Ok(_) => {}
            Err(WorldError::Conflict(_)) => {}
            Err(error) => return Err(error),
        }
        lock(&self.policies.specs).insert((key.clone(), id), policy.spec.clone());
        Ok(())
    }

    /// Takes the record of a spec away that no state leads to any more.
    pub(super) async fn drop_spec(&self, key: &ObjectKey, id: &str) -> Result<(), WorldError> {
        lock(&self.policies.specs).remove(&(key.clone(), id.to_owned()));
        let name = revision_name(&key.name, id);
        let api = self.api(&resource::<ControllerRevision>(), &key.namespace);
        let what = format!("delete ControllerRevision {}/{name}", key.namespace);
        match self.write(&what, api.delete(&name, &DeleteParams::default())).await {
            Err(error) if !is_missing(&error) => Err(error),
            _ => Ok(()),
        }
    }
}
