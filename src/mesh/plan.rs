//! What a policy would write, what it cannot be on its mesh, and what is in its way.

use std::fmt;

use serde_json::Value;

use crate::router::ObjectRef;

/// The writes of one policy, in the order in which they are safe, or why there are none.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct MeshPlan {
    /// What is written. None of it when anything is refused or in conflict.
    pub writes: Vec<MeshWrite>,
    /// What the mesh cannot do, or what is wrong with the policy.
    pub refused: Vec<Refusal>,
    /// What belongs to others.
    pub conflicts: Vec<Conflict>,
    /// What the reader should know: optional fields that are left out, settings that are elsewhere.
    pub notes: Vec<String>,
}

impl MeshPlan {
    /// Whether it can be carried out.
    pub fn is_clear(&self) -> bool {
        self.refused.is_empty() && self.conflicts.is_empty()
    }

    /// All or nothing: without its writes if anything is in their way.
    pub(super) fn whole(mut self) -> MeshPlan {
        if !self.is_clear() {
            self.writes.clear();
        }
        self
    }

    /// Also what another part of the policy says. What both say is said once.
    pub(super) fn add(&mut self, other: MeshPlan) {
        self.writes.extend(other.writes);
        add_new(&mut self.refused, other.refused);
        add_new(&mut self.conflicts, other.conflicts);
        add_new(&mut self.notes, other.notes);
    }
}

fn add_new<T: PartialEq>(known: &mut Vec<T>, other: Vec<T>) {
    for one in other {
        if !known.contains(&one) {
            known.push(one);
        }
    }
}

/// A policy by its name.
#[derive(Clone, Copy, Debug)]
pub struct PolicyName<'a> {
    /// Its namespace.
    pub namespace: &'a str,
    /// Its name.
    pub name: &'a str,
}

/// One write.
#[derive(Clone, Debug, PartialEq)]
pub enum MeshWrite {
    /// An object of the policy's own, whole: it replaces the one that is there. It is deleted with the policy.
    Own(Value),
    /// A JSON merge patch (RFC 7386) of an object of the user's: fields that it sets, and `null` for those that it takes out.
    Fields(Value),
    /// An object of the user's as read, with entries of its lists changed; its resourceVersion is kept.
    Replace(Value),
    /// An object of the policy's own that is no longer wanted.
    Delete(ObjectRef),
}

/// Why a policy is not written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The field, from the spec: `retries.backoff`.
    pub field: String,
    /// The mesh.
    pub mesh: &'static str,
    /// Why, and what to do.
    pub why: String,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "spec.{}: {}", self.field, self.why)
    }
}

/// A field or an object of others that is in the way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Conflict {
    /// The object, for display: `DestinationRule shop/web`.
    pub object: String,
    /// The field; empty: the whole object.
    pub field: String,
    /// Whose it is.
    pub manager: String,
}

impl fmt::Display for Conflict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Conflict { object, field, manager } = self;
        let of = if field.is_empty() { String::new() } else { format!(" sets {field}") };
        write!(f, "{object}{of}, and belongs to {manager}; remove it there, or from the policy")
    }
}
