//! What a mesh is to policies: its table, what it must be allowed to do, and how it plans.

use jiff::Timestamp;

use super::{
    cells::Cell,
    check::{Access, Caller, CallerQuery},
    facts::Service,
    fault::intent::FaultIntent,
    intent::Intent,
    plan::{MeshPlan, MeshWrite, PolicyName},
};
use crate::router::{Objects, RbacRule, WatchedKind};

/// A kind of mesh.
#[derive(Debug)]
pub struct MeshKind {
    /// Its name in `spec.mesh`.
    pub key: &'static str,
    /// The namespace whose policies are for the whole mesh, where it is not Istio's, which is known from the cluster.
    pub root_namespace: Option<&'static str>,
    /// One line.
    pub summary: &'static str,
    /// What each field of a policy becomes, or why it is refused.
    pub cells: &'static [Cell],
    /// The same for the fields of a fault.
    pub faults: &'static [Cell],
    /// What the controller must be allowed to do.
    pub rbac: &'static [RbacRule],
    /// The kinds that it writes or reads. The first one says whether the mesh is installed.
    pub kinds: &'static [WatchedKind],
    /// The kinds of a policy's own objects, in the order in which those that are no longer wanted are deleted. A kind whose objects
    /// policies share is not among them.
    pub own: &'static [WatchedKind],
    /// Groups and kinds of the user's objects that get fields of policies, which are released by their record. `current` of a
    /// plan has those of the policy's namespace, also where they are no kind of the mesh's own.
    pub patched: &'static [(&'static str, &'static str)],
    /// How it plans.
    pub provider: &'static dyn MeshProvider,
}

/// How a mesh carries out a policy. Pure: it is given the objects of its kinds, and what it writes is planned.
pub trait MeshProvider: Sync + std::fmt::Debug {
    /// What to write, with only fields in the intent that its table knows. Refusals are of values and combinations.
    fn plan(&self, intent: &Intent<'_>, current: &Objects) -> MeshPlan;

    /// What to write for a fault, with only fields in the intent that its table knows.
    fn fault(&self, _intent: &FaultIntent<'_>, _current: &Objects) -> MeshPlan {
        MeshPlan::default()
    }

    /// Who may call the target, as these objects say it; `None` where the mesh's metrics do not say who called.
    fn access(&self, _intent: &Intent<'_>, _objects: &Objects) -> Option<Access> {
        None
    }

    /// What asks a Prometheus for the callers of a Service in so many seconds before now.
    fn caller_queries(&self, _service: &Service, _seconds: u64) -> Vec<CallerQuery> {
        Vec::new()
    }

    /// The same for those that were denied. Empty where the mesh's metrics do not tell.
    fn denial_queries(&self, _service: &Service, _seconds: u64) -> Vec<CallerQuery> {
        Vec::new()
    }

    /// The caller that the label `arm` of an answer names.
    fn caller(&self, _label: &str, _count: f64, _last_seen: Option<Timestamp>, _is_http: bool) -> Option<Caller> {
        None
    }

    /// The objects of the user's in whose lists the policy has changed entries, as they were before. Its own objects and its
    /// fields in others are not asked for: those go by their label and their record.
    fn restore(&self, _policy: PolicyName<'_>, _current: &Objects) -> Vec<MeshWrite> {
        Vec::new()
    }
}
