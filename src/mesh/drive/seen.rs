//! What a look needs to see, and what it asks for.

use std::collections::BTreeMap;

use jiff::Timestamp;

use crate::{
    api::{MeshPolicy, policy::MeshPolicySpec, revision},
    mesh::{MeshKind, change::Command, check::Caller, facts::Facts},
    router::Objects,
};

/// Specs on record, by their id.
pub type Specs = BTreeMap<String, MeshPolicySpec>;

/// What is seen around a policy.
#[derive(Clone, Copy, Debug)]
pub struct Seen<'a> {
    /// The time.
    pub now: Timestamp,
    /// The policy, with its status.
    pub policy: &'a MeshPolicy,
    /// Its mesh, or why there is none.
    pub kind: Result<&'static MeshKind, &'a str>,
    /// The specs that its ControllerRevisions have.
    pub specs: &'a Specs,
    /// Services and workloads.
    pub facts: &'a Facts,
    /// All objects of the mesh's kinds in the policy's namespace and in the mesh's root namespace.
    pub objects: &'a Objects,
    /// What was asked of the metrics, or why they did not answer; `None` before they were asked.
    pub metrics: Option<Result<&'a Metrics, &'a str>>,
    /// The Rollout of the target or of a caller that progresses (rule F4).
    pub releasing: Option<&'a str>,
    /// Why the last writes failed.
    pub failure: Option<&'a str>,
    /// What an operator asks for.
    pub command: Option<Command>,
}

/// What the metrics have answered.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Metrics {
    /// Who called before the change.
    pub before: Vec<ServiceCallers>,
    /// Who was denied since.
    pub denied: Vec<ServiceCallers>,
}

/// Callers of one Service.
#[derive(Clone, Debug, PartialEq)]
pub struct ServiceCallers {
    /// The Service, by namespace and name.
    pub service: (String, String),
    /// Who called it.
    pub callers: Vec<Caller>,
}

/// What to ask of the metrics before anything is decided.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ask {
    /// The Services, by namespace and name.
    pub services: Vec<(String, String)>,
    /// Callers are asked for in this many seconds before `until`.
    pub seconds: u64,
    /// The end of that time: now, or when the wave began.
    pub until: Timestamp,
    /// Denials are asked for since `until`.
    pub denials: bool,
}

/// The id of a spec: what its ControllerRevision is named by. How a change is carried out is no part of what is in force.
pub fn spec_id(spec: &MeshPolicySpec) -> String {
    let spec = MeshPolicySpec { change: None, ..spec.clone() };
    revision::id(&serde_json::to_value(&spec).unwrap_or_default())
}
