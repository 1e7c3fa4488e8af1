//! Keeps what policies look up as the watches show it, and says which policies it concerns.

use std::sync::{PoisonError, RwLockWriteGuard};

use serde_json::{Value, json};

use crate::{
    api::{MeshPolicy, policy::Source},
    cluster::{
        cached_rollout::CachedRollout,
        kinds::CachedDeployment,
        locks::lock,
        policy_tables::CachedPolicy,
        shared::Cluster,
        table::{Change, Entry, ObjectKey},
    },
    mesh::{Facts, Workload},
};

impl Cluster {
    fn facts(&self) -> RwLockWriteGuard<'_, Facts> {
        self.policies.facts.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// What the mesh calls what policies refer to.
    pub fn name_mesh(&self, trust_domain: &str, root_namespace: &str) {
        let mut facts = self.facts();
        trust_domain.clone_into(&mut facts.trust_domain);
        root_namespace.clone_into(&mut facts.root_namespace);
        facts.cluster_domain.clone_from(&self.settings.routes.cluster_domain);
    }

    /// An object is there now, or is gone.
    pub(in crate::cluster) fn fact(&self, kind: &str, key: &ObjectKey, now: Option<&Value>) {
        let mut facts = self.facts();
        facts.remove(kind, &key.namespace, &key.name);
        now.iter().for_each(|object| facts.add(object));
        drop(facts);
        self.concern_policies(&key.namespace);
    }

    /// The same of a workload that is kept read.
    pub(in crate::cluster) fn workload_fact(&self, kind: &str, key: &ObjectKey, now: Option<&Workload>) {
        let mut facts = self.facts();
        facts.remove(kind, &key.namespace, &key.name);
        now.iter().for_each(|workload| facts.add_workload((*workload).clone()));
        drop(facts);
        self.concern_policies(&key.namespace);
    }

    /// A Deployment that has another template.
    pub(in crate::cluster) fn deployment_fact(&self, change: &Change<CachedDeployment>) {
        let template = |entry: &Entry<CachedDeployment>| entry.value.template.clone();
        let (old, new) = (change.old.as_deref().map(template), change.new.as_deref().map(template));
        let Some(entry) = change.entry().filter(|_| self.settings.mesh && old != new) else { return };
        let object = change.new.as_ref().map(|entry| {
            let template: Value = entry.value.template.read().unwrap_or_default();
            let metadata = json!({"namespace": entry.key.namespace, "name": entry.key.name});
            json!({"kind": "Deployment", "metadata": metadata, "spec": {"template": template}})
        });
        self.fact("Deployment", &entry.key, object.as_ref());
    }

    /// A Rollout: what makes pods, splits traffic, and may be in the way of a change while it progresses.
    pub(in crate::cluster) fn rollout_fact(&self, change: &Change<CachedRollout>) {
        let Some(entry) = change.entry().filter(|_| self.settings.mesh) else { return };
        let object = change.new.as_ref().and_then(|entry| entry.value.json());
        self.fact("Rollout", &entry.key, object.as_ref());
    }

    /// A policy: its kinds are watched from now on, and what it names concerns it.
    pub(in crate::cluster) fn policy_changed(&self, change: &Change<CachedPolicy>) {
        let Some(entry) = change.entry() else { return };
        let is_same = |old: &Entry<CachedPolicy>, new: &Entry<CachedPolicy>| {
            old.value.0.as_ref().ok().map(|policy| &policy.spec) == new.value.0.as_ref().ok().map(|policy| &policy.spec)
        };
        let same = change.old.as_ref().zip(change.new.as_ref()).is_some_and(|(old, new)| is_same(old, new));
        if !same {
            let policy = change.new.as_ref().and_then(|entry| entry.value.0.as_deref().ok());
            let object = policy.and_then(|policy| serde_json::to_value(policy).ok());
            self.index_policy(&entry.key, policy);
            self.fact("MeshPolicy", &entry.key, object.as_ref());
        }
        self.triggers.policy(entry.key.clone());
    }

    fn index_policy(&self, key: &ObjectKey, policy: Option<&MeshPolicy>) {
        let mut index = lock(&self.policies.by_namespace);
        index.retain(|_, keys| {
            keys.remove(key);
            !keys.is_empty()
        });
        let Some(policy) = policy else { return };
        for namespace in namespaces(key, policy) {
            index.entry(namespace).or_default().insert(key.clone());
        }
        drop(index);
        self.need_mesh_kinds(policy.spec.mesh.as_deref());
    }

    /// Looks again at the policies that name something of a namespace.
    pub(in crate::cluster) fn concern_policies(&self, namespace: &str) {
        let keys = lock(&self.policies.by_namespace).get(namespace).cloned().unwrap_or_default();
        keys.into_iter().for_each(|key| self.triggers.policy(key));
    }
}

/// A policy's own namespace, and those of its sources.
fn namespaces(key: &ObjectKey, policy: &MeshPolicy) -> impl Iterator<Item = String> {
    let authorization = policy.spec.authorization.iter();
    let rules = authorization.flat_map(|rules| rules.allow.iter().flatten().chain(&rules.deny));
    let sources: Vec<&Source> = rules.flat_map(|rule| rule.from.iter().flatten()).collect();
    let named: Vec<String> = sources.into_iter().filter_map(|source| source.namespace.clone()).collect();
    named.into_iter().chain([key.namespace.clone()])
}
