//! A policy whose names are looked up: which pods and Services its target is, and who its callers are.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::{
    facts::{Account, Facts, Labels, Service, selects},
    others::{self, Other},
    ownership::POLICY_LABEL,
    plan::Refusal,
};
use crate::api::{
    MeshPolicy,
    policy::{MeshPolicySpec, PolicyTarget, Source},
};

/// What a policy wants of a mesh.
#[derive(Debug)]
pub struct Intent<'a> {
    /// The mesh.
    pub mesh: &'static str,
    /// The policy's namespace.
    pub namespace: &'a str,
    /// The policy's name.
    pub policy: &'a str,
    /// What it is for.
    pub target: Target<'a>,
    /// Its settings, with those of profile and presets.
    pub spec: MeshPolicySpec,
    /// Where names are looked up.
    pub facts: &'a Facts,
    /// The other policies of the mesh.
    pub others: Vec<Other<'a>>,
}

/// What a policy is for.
#[derive(Clone, Debug)]
pub enum Target<'a> {
    /// A Service and its pods.
    Service(&'a Service),
    /// Pods.
    Workload(Labels),
    /// A namespace.
    Namespace,
    /// The mesh.
    Mesh,
}

impl<'a> Target<'a> {
    /// What the target of a policy in this namespace is; the field that is wrong, and why.
    pub(super) fn of(
        target: &PolicyTarget,
        (namespace, root): (&str, &str),
        facts: &'a Facts,
    ) -> Result<Self, (&'static str, String)> {
        if let Some(name) = &target.service {
            let missing = || ("target.service", format!("there is no Service {namespace}/{name}"));
            return facts.service(namespace, name).map(Target::Service).ok_or_else(missing);
        }
        if let Some(labels) = &target.workload {
            return Ok(Target::Workload(labels.clone()));
        }
        match target.mesh {
            Some(true) if root != namespace => {
                let why =
                    format!("a policy for the whole mesh must be in its root namespace, {root}, not in {namespace}");
                Err(("target.mesh", why))
            }
            Some(true) => Ok(Target::Mesh),
            _ => Ok(Target::Namespace),
        }
    }

    /// Its Services.
    pub(super) fn services(&self, namespace: &str, facts: &'a Facts) -> Vec<&'a Service> {
        let all = facts.services_of(namespace);
        match self {
            Target::Service(service) => vec![service],
            Target::Workload(labels) => {
                all.filter(|one| !one.selector.is_empty() && selects(&one.selector, labels)).collect()
            }
            Target::Namespace => all.collect(),
            Target::Mesh => Vec::new(),
        }
    }
}

impl<'a> Intent<'a> {
    /// Looks up what a policy is for.
    pub(super) fn of(
        (mesh, root): (&'static str, &str),
        policy: &'a MeshPolicy,
        spec: MeshPolicySpec,
        facts: &'a Facts,
    ) -> Result<Self, Refusal> {
        let (namespace, name) = others::identity(policy);
        let refusal = |(field, why): (&str, String)| Refusal { field: field.to_owned(), mesh, why };
        let target = Target::of(&spec.target, (namespace, root), facts).map_err(refusal)?;
        let others = others::others(mesh, policy, facts);
        Ok(Intent { mesh, namespace, policy: name, target, spec, facts, others })
    }

    /// An intent for one Service that asks for nothing: to read what objects say of its pods.
    pub(super) fn for_service(mesh: &'static str, service: &'a Service, facts: &'a Facts) -> Self {
        let target = Target::Service(service);
        let spec = MeshPolicySpec::default();
        Intent { mesh, namespace: &service.namespace, policy: "", target, spec, facts, others: Vec::new() }
    }

    /// The labels of the target's pods; none for all pods of the namespace or of the mesh.
    pub fn selector(&self) -> Option<&Labels> {
        match &self.target {
            Target::Service(service) => Some(&service.selector),
            Target::Workload(labels) => Some(labels),
            Target::Namespace | Target::Mesh => None,
        }
    }

    /// The target's Services.
    pub fn services(&self) -> Vec<&'a Service> {
        self.target.services(self.namespace, self.facts)
    }

    /// The ServiceAccounts that a source of the policy means. None for a source that is not about accounts.
    pub fn accounts(&self, source: &Source, place: &str) -> Result<BTreeSet<Account>, Refusal> {
        let namespace = source.namespace.as_deref().unwrap_or(self.namespace);
        if let Some(name) = &source.service_account {
            if !self.facts.has_account(namespace, name) {
                return Err(self.refusal(place, format!("there is no ServiceAccount {namespace}/{name}")));
            }
            return Ok(BTreeSet::from([Account { namespace: namespace.to_owned(), name: name.clone() }]));
        }
        let Some(name) = &source.service else { return Ok(BTreeSet::new()) };
        let Some(service) = self.facts.service(namespace, name) else {
            return Err(self.refusal(place, format!("there is no Service {namespace}/{name}")));
        };
        let accounts = self.facts.accounts(service);
        if accounts.is_empty() {
            let why =
                format!("Service {namespace}/{name} has no pods, so their identity is unknown; name a serviceAccount");
            return Err(self.refusal(place, why));
        }
        Ok(accounts)
    }

    /// A refusal of this policy.
    pub fn refusal(&self, field: impl Into<String>, why: impl Into<String>) -> Refusal {
        Refusal { field: field.into(), mesh: self.mesh, why: why.into() }
    }

    /// An object of the policy's own. The suffix distinguishes several of one section.
    pub fn own(&self, api_version: &str, kind: &str, suffix: &str, spec: Value) -> Value {
        self.own_named(api_version, kind, &format!("{}-{suffix}", self.policy), spec)
    }

    /// The same, where the mesh gives it its name.
    pub fn own_named(&self, api_version: &str, kind: &str, name: &str, spec: Value) -> Value {
        json!({
            "apiVersion": api_version,
            "kind": kind,
            "metadata": {
                "name": name,
                "namespace": self.namespace,
                "labels": {POLICY_LABEL: self.policy},
            },
            "spec": spec,
        })
    }
}
