//! Other policies of the same mesh: which sections they have, and for what.

use std::collections::BTreeSet;

use jiff::Timestamp;

use super::{cells::is_within, facts::Facts, ownership::AUTHOR, plan::Conflict};
use crate::api::{MeshPolicy, policy::PolicyTarget};

/// Another policy.
#[derive(Clone, Debug)]
pub struct Other<'a> {
    /// Its namespace.
    pub namespace: &'a str,
    /// Its name.
    pub name: &'a str,
    /// What it is for.
    pub target: &'a PolicyTarget,
    /// The fields that it sets, with those of its profile: `breaker.interval`.
    pub fields: &'a BTreeSet<String>,
    /// Whether it was there before this one.
    pub is_older: bool,
}

impl Other<'_> {
    /// Whether it sets a field, or one below it.
    pub fn sets(&self, field: &str) -> bool {
        self.fields.iter().any(|set| is_within(set, field))
    }
}

/// The other policies that are known, but for those of another mesh.
pub(super) fn others<'a>(mesh: &str, policy: &MeshPolicy, facts: &'a Facts) -> Vec<Other<'a>> {
    let is_here = |other: &MeshPolicy| other.spec.mesh.as_deref().is_none_or(|named| named == mesh);
    let here = facts.policies_with_fields();
    let others = here.filter(|(other, _)| identity(other) != identity(policy) && is_here(other));
    let (age_of_this, name_of_this) = (age(policy), identity(policy).1);
    let other = |(other, fields): (&'a MeshPolicy, &'a BTreeSet<String>)| {
        let (namespace, name) = identity(other);
        let is_older = (age(other), name) < (age_of_this, name_of_this);
        Other { namespace, name, target: &other.spec.target, fields, is_older }
    };
    others.map(other).collect()
}

/// Namespace and name.
pub(super) fn identity(policy: &MeshPolicy) -> (&str, &str) {
    let metadata = &policy.metadata;
    (metadata.namespace.as_deref().unwrap_or("default"), metadata.name.as_deref().unwrap_or_default())
}

/// One from a file, without a time, is younger than any in the cluster.
fn age(policy: &MeshPolicy) -> (bool, Option<Timestamp>) {
    let created = policy.metadata.creation_timestamp.as_ref().map(|time| time.0);
    (created.is_none(), created)
}

fn section(field: &str) -> &str {
    field.split(['.', '[']).next().unwrap_or(field)
}

/// The sections of this policy that an older one has for the same target: that one stands.
pub(super) fn conflicts(policy: &MeshPolicy, fields: &BTreeSet<String>, others: &[Other<'_>]) -> Vec<Conflict> {
    let ours: BTreeSet<&str> = fields.iter().map(|field| section(field)).collect();
    let same = |other: &&Other<'_>| other.namespace == identity(policy).0 && *other.target == policy.spec.target;
    let older = others.iter().filter(same).filter(|other| other.is_older);
    let shared =
        older.flat_map(|other| ours.iter().filter(|section| other.sets(section)).map(move |section| (other, section)));
    let conflict = |(other, section): (&Other<'_>, &&str)| Conflict {
        object: format!("MeshPolicy {}/{}", other.namespace, other.name),
        field: format!("spec.{section} of the same target"),
        manager: AUTHOR.to_owned(),
    };
    shared.map(conflict).collect()
}
