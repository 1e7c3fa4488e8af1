//! Routers: how one [`RouteIntent`] becomes the objects of a mesh.
//!
//! A router is pure. It lists the objects it needs, reads the weights from them and plans whole-object writes that
//! change only the fields it owns; the caller with a client reads and writes. Routers are found through [`ROUTERS`],
//! which also drives documentation, RBAC and watches.
//!
//! Without entries in `spec.traffic` there is no router, and the ratio of replicas determines the weight (rule S54):
//! every pod of both revisions is behind the same Service, so a canary with `c` of `n` pods gets about `c / n` of the
//! requests. Then [`routers`] returns an empty list, `Seen::route` stays `None`, and the engine chooses the pod counts
//! that come nearest to a step's weight.

mod consent;
mod error;
pub mod istio;
mod needs;
mod objects;
pub mod weights;

pub use consent::{ALLOW_NAMESPACES, CrossNamespace};
pub use error::RouteError;
pub use needs::unmet;
pub use objects::{ListRef, ObjectRef, Objects, Plan, PlannedWrite};

use crate::{
    api::{Percent, RolloutSpec, traffic::TrafficRouter},
    engine::{RouteIntent, RouteSeen, Target, TargetSeen},
};

/// The field manager of our writes.
pub const FIELD_MANAGER: &str = "glidepath";

/// Every router, in the order of the documentation.
pub static ROUTERS: &[RouterKind] = &[istio::KIND];

/// What holds for the routes of every Rollout of one controller.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RouteScope {
    /// The cluster's DNS domain, usually `cluster.local`.
    pub cluster_domain: String,
    /// Whether objects of other namespaces may be written.
    pub cross_namespace: CrossNamespace,
}

impl Default for RouteScope {
    fn default() -> Self {
        RouteScope { cluster_domain: "cluster.local".to_owned(), cross_namespace: CrossNamespace::default() }
    }
}

/// Whom a plan is for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RouteContext {
    /// The Rollout's namespace, where its Services are.
    pub namespace: String,
    /// The Service of the stable version.
    pub stable_service: String,
    /// The Service of the new version.
    pub canary_service: String,
    /// What holds for all Rollouts.
    pub scope: RouteScope,
    /// The Rollout's name.
    pub rollout_name: String,
    /// The Rollout's uid: objects that we make are owned by it.
    pub rollout_uid: String,
}

/// One entry of `spec.traffic` at work.
pub trait Router: Send + Sync + std::fmt::Debug {
    /// The key of `spec.traffic[]` that it comes from.
    fn key(&self) -> &'static str;

    /// The user's objects and our own that it wants to see.
    fn objects(&self, ctx: &RouteContext) -> Vec<ObjectRef>;

    /// What it wants to see all of. It goes into the same [`Objects`].
    fn lists(&self, _ctx: &RouteContext) -> Vec<ListRef> {
        Vec::new()
    }

    /// The current weights, and which of our own routes exist. `known` are all header routes and the mirror of the
    /// Rollout's steps: one that exists under its name must be equal, else it has drifted.
    fn read(&self, ctx: &RouteContext, current: &Objects, known: &RouteIntent) -> Result<RouteSeen, RouteError>;

    /// Every write that brings the objects to `intent`, and what blocks others. For an abort, which writes what it can.
    fn plan_all(&self, ctx: &RouteContext, current: &Objects, intent: &RouteIntent) -> Plan;

    /// The writes that make the objects say `intent`: none when they do, an error when any of them cannot.
    fn plan(
        &self,
        ctx: &RouteContext,
        current: &Objects,
        intent: &RouteIntent,
    ) -> Result<Vec<PlannedWrite>, RouteError> {
        let plan = self.plan_all(ctx, current, intent);
        plan.refused.into_iter().next().map_or(Ok(plan.writes), Err)
    }

    /// Whether targets are subsets of a route object rather than Services.
    fn splits_by_subset(&self) -> bool {
        false
    }

    /// Which revision a subset selects. `None` where targets are Services or the object is missing.
    fn target(&self, _ctx: &RouteContext, _current: &Objects, _target: Target) -> Option<TargetSeen> {
        None
    }

    /// The writes that make a subset select `revision`. None where targets are Services.
    fn plan_target(
        &self,
        _ctx: &RouteContext,
        _current: &Objects,
        _target: Target,
        _revision: &str,
    ) -> Result<Vec<PlannedWrite>, RouteError> {
        Ok(Vec::new())
    }

    /// The writes that leave the objects without us: no weight on the canary, no label or object of ours (rule S40).
    /// What is missing or refuses is passed over.
    fn hand_back(&self, ctx: &RouteContext, current: &Objects) -> Vec<PlannedWrite>;
}

/// A kind of router: what there is to say about it before it is used.
#[derive(Clone, Copy, Debug)]
pub struct RouterKind {
    /// Its key in an entry of `spec.traffic`.
    pub key: &'static str,
    /// One line.
    pub summary: &'static str,
    /// What a user should know, in Markdown.
    pub docs: &'static str,
    /// An entry of `spec.traffic`, in YAML.
    pub example: &'static str,
    /// What it can do.
    pub capabilities: Capabilities,
    /// What the controller must be allowed to do.
    pub rbac: &'static [RbacRule],
    /// The kinds whose changes concern it.
    pub watches: &'static [WatchedKind],
    /// The router of an entry that has its key.
    pub build: fn(&TrafficRouter) -> Option<Box<dyn Router>>,
}

/// What a router can do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Capabilities {
    /// The finest weight. A finer one is rounded toward stable (rule S50).
    pub grain: Percent,
    /// Whether it can send a request by its header.
    pub header: bool,
    /// Whether it can send a request by its cookie.
    pub cookie: bool,
    /// Whether it can copy requests.
    pub mirror: bool,
    /// Whether it can keep a user on one version.
    pub sticky: bool,
}

/// A rule of a ClusterRole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RbacRule {
    /// The API group.
    pub group: &'static str,
    /// Resources by plural.
    pub resources: &'static [&'static str],
    /// Verbs.
    pub verbs: &'static [&'static str],
}

/// A kind to watch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WatchedKind {
    /// The API group.
    pub group: &'static str,
    /// The versions that we read and write, the one to prefer first. Their objects look the same.
    pub versions: &'static [&'static str],
    /// The kind.
    pub kind: &'static str,
    /// The resource in the API's paths.
    pub plural: &'static str,
}

impl WatchedKind {
    /// The name of its CustomResourceDefinition.
    pub fn definition(&self) -> String {
        format!("{}.{}", self.plural, self.group)
    }
}

/// The routers of a Rollout, in the order they are written. Empty: the ratio of replicas is the split.
pub fn routers(spec: &RolloutSpec) -> Vec<Box<dyn Router>> {
    spec.traffic.iter().flat_map(|entry| ROUTERS.iter().filter_map(|kind| (kind.build)(entry))).collect()
}

/// What all routers of a Rollout show together; `None` without any.
pub fn read_all(
    routers: &[Box<dyn Router>],
    ctx: &RouteContext,
    current: &Objects,
    known: &RouteIntent,
) -> Result<Option<RouteSeen>, RouteError> {
    let mut together: Option<RouteSeen> = None;
    for router in routers {
        let seen = router.read(ctx, current, known)?;
        together = Some(match together {
            None => seen,
            Some(before) => RouteSeen {
                weight: before.weight.filter(|weight| seen.weight == Some(*weight)),
                disagreement: disagreement(&before, &seen),
                drifted: before.drifted
                    || seen.drifted
                    || (before.weight, &before.headers, before.mirror, before.sticky)
                        != (seen.weight, &seen.headers, seen.mirror, seen.sticky),
                headers: union(before.headers, seen.headers),
                mirror: before.mirror.or(seen.mirror),
                sticky: before.sticky || seen.sticky,
                other_manager: before.other_manager.or(seen.other_manager),
                returnable: false,
            },
        });
    }
    Ok(together)
}

/// The lowest and the highest weight of two routers that do not say the same.
fn disagreement(one: &RouteSeen, other: &RouteSeen) -> Option<(Percent, Percent)> {
    let lowest = one.lowest().zip(other.lowest()).map(|(one, other)| one.min(other))?;
    let highest = one.highest().zip(other.highest()).map(|(one, other)| one.max(other))?;
    (one.weight.is_none() || one.weight != other.weight).then_some((lowest, highest))
}

fn union(mut all: Vec<String>, more: Vec<String>) -> Vec<String> {
    all.extend(more);
    all.sort();
    all.dedup();
    all
}
