//! Who may call, as authentications: a MeshTLSAuthentication for identities, a NetworkAuthentication for addresses.
//!
//! An authentication is named after what it says. So it never changes, and an AuthorizationPolicy that gets other callers does
//! so in one write: at no moment do the callers of one rule have the requests of another.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::kinds::{V1ALPHA1, reference};
use crate::{
    api::policy::{AccessRule, Source},
    mesh::{intent::Intent, plan::Refusal},
};

/// Everywhere.
const EVERYWHERE: [&str; 2] = ["0.0.0.0/0", "::/0"];

/// A set of callers.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Callers {
    /// All, also without an identity.
    pub everyone: bool,
    /// All that have an identity of the mesh.
    pub meshed: bool,
    /// ServiceAccounts by namespace and name; without a name, all of the namespace.
    pub identities: BTreeSet<(String, Option<String>)>,
    /// Ranges of addresses.
    pub networks: BTreeSet<String>,
}

impl Callers {
    /// All, also without an identity.
    pub fn everyone() -> Self {
        Callers { everyone: true, ..Callers::default() }
    }

    /// All that have an identity of the mesh.
    pub fn meshed() -> Self {
        Callers { meshed: true, ..Callers::default() }
    }

    /// The callers of a rule.
    pub fn of(intent: &Intent<'_>, rule: &AccessRule, place: &str) -> Result<Self, Refusal> {
        let Some(sources) = &rule.from else { return Ok(Callers::everyone()) };
        let mut callers = Callers::default();
        for (index, source) in sources.iter().enumerate() {
            callers.add(intent, source, &format!("{place}.from[{index}]"))?;
        }
        Ok(callers)
    }

    fn add(&mut self, intent: &Intent<'_>, source: &Source, place: &str) -> Result<(), Refusal> {
        self.everyone |= source.anyone == Some(true);
        self.meshed |= source.meshed == Some(true);
        self.networks.extend(source.cidr.clone());
        let accounts = intent.accounts(source, place)?;
        if let Some(namespace) = source.namespace.as_ref().filter(|_| accounts.is_empty()) {
            self.identities.insert((namespace.clone(), None));
        }
        self.identities.extend(accounts.into_iter().map(|account| (account.namespace, Some(account.name))));
        Ok(())
    }

    /// These and others.
    pub fn join(&mut self, others: &Callers) {
        self.everyone |= others.everyone;
        self.meshed |= others.meshed;
        self.identities.extend(others.identities.iter().cloned());
        self.networks.extend(others.networks.iter().cloned());
    }

    /// A short name of the set.
    pub fn digest(&self) -> String {
        digest(&json!([self.everyone, self.meshed, self.identities, self.networks]))
    }

    /// The authentications, of which one is enough; each is a list of which all are needed. With `strict`, everyone needs an
    /// identity.
    pub fn authentications(&self, intent: &Intent<'_>, strict: bool) -> Vec<Vec<Value>> {
        if self.everyone && !strict {
            return vec![vec![network(intent, &EVERYWHERE)]];
        }
        let any = || mesh_tls(intent, json!({"identities": ["*"]}));
        let mut found = Vec::new();
        if self.meshed || self.everyone {
            found.push(vec![any()]);
            if strict {
                return found;
            }
        } else if !self.identities.is_empty() {
            found.push(vec![mesh_tls(intent, json!({"identityRefs": self.references()}))]);
        }
        if !self.networks.is_empty() {
            let ranges: Vec<&str> = self.networks.iter().map(String::as_str).collect();
            let network = network(intent, &ranges);
            found.push(if strict { vec![network, any()] } else { vec![network] });
        }
        found
    }

    fn references(&self) -> Vec<Value> {
        let of = |(namespace, name): &(String, Option<String>)| match name {
            Some(name) => json!({"kind": "ServiceAccount", "name": name, "namespace": namespace}),
            None => json!({"kind": "Namespace", "name": namespace}),
        };
        self.identities.iter().map(of).collect()
    }
}

fn mesh_tls(intent: &Intent<'_>, spec: Value) -> Value {
    named(intent, "MeshTLSAuthentication", spec)
}

fn network(intent: &Intent<'_>, ranges: &[&str]) -> Value {
    let networks: Vec<Value> = ranges.iter().map(|range| json!({"cidr": range})).collect();
    named(intent, "NetworkAuthentication", json!({"networks": networks}))
}

fn named(intent: &Intent<'_>, kind: &str, spec: Value) -> Value {
    intent.own(V1ALPHA1, kind, &digest(&spec), spec)
}

/// An AuthorizationPolicy: these authentications, all of them, for a Server or a route.
pub(super) fn authorization(intent: &Intent<'_>, suffix: &str, target: Value, required: &[Value]) -> Value {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let required: Vec<Value> =
        required.iter().map(|one| reference(&text(&one["kind"]), &text(&one["metadata"]["name"]))).collect();
    let spec = json!({"targetRef": target, "requiredAuthenticationRefs": required});
    intent.own(V1ALPHA1, "AuthorizationPolicy", suffix, spec)
}

fn digest(value: &Value) -> String {
    let hash = Sha256::digest(value.to_string().as_bytes());
    hash.iter().take(5).map(|byte| format!("{byte:02x}")).collect()
}
