//! One revision of a Rollout with its pods, and what it is for.

use jiff::SignedDuration;
use schemars::JsonSchema;
use serde::Serialize;

use super::pod::{PodView, seconds};
use crate::api::{RolloutStatus, status::RevisionRef};

/// One revision's pods.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RevisionView {
    /// The revision id.
    pub id: String,
    /// Its number; 0 when unknown.
    pub number: u64,
    /// What it is for.
    pub role: Role,
    /// Available pods.
    pub available: u32,
    /// Pods that are asked for.
    pub wanted: u32,
    /// The images of its containers.
    pub image: String,
    /// How long it has existed, in seconds.
    #[serde(rename = "ageSeconds", serialize_with = "seconds")]
    #[schemars(with = "i64")]
    pub age: SignedDuration,
    /// Its pods: the first of those that are not ready, or with `-o wide` all.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub pods: Vec<PodView>,
    /// How many more pods are not ready.
    #[serde(skip_serializing_if = "is_none")]
    pub more_pods: usize,
    /// Why its pods could not be listed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pods_unread: Option<String>,
}

fn is_none(count: &usize) -> bool {
    *count == 0
}

/// What a revision is for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, JsonSchema)]
pub enum Role {
    /// It serves what is not canary traffic.
    Stable,
    /// It is being released.
    Canary,
    /// It was stable or canary once.
    #[default]
    Old,
}

impl Role {
    /// The role of a revision by the status.
    pub fn of(id: &str, status: &RolloutStatus) -> Role {
        let is = |revision: &Option<RevisionRef>| revision.as_ref().is_some_and(|r| r.id == id);
        if is(&status.stable_revision) {
            Role::Stable
        } else if is(&status.current_revision) {
            Role::Canary
        } else {
            Role::Old
        }
    }

    /// The word for it.
    pub const fn word(self) -> &'static str {
        match self {
            Role::Stable => "stable",
            Role::Canary => "canary",
            Role::Old => "old",
        }
    }
}
