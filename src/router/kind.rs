//! What a router is: the contract of one entry of `spec.traffic` at work, and what there is to say of its kind before.

use std::{borrow::Cow, fmt};

use serde_json::Value;

use super::{
    context::RouteContext,
    error::RouteError,
    objects::{ListRef, ObjectRef, Objects, Plan, PlannedWrite, is_grant},
    resource::GroupResource,
};
use crate::{
    api::{Percent, analysis::Pack, traffic::TrafficRouter},
    engine::{RouteIntent, RouteSeen, Target, TargetSeen},
};

/// One entry of `spec.traffic` at work.
pub trait Router: Send + Sync + std::fmt::Debug {
    /// The key of `spec.traffic[]` that it comes from.
    fn key(&self) -> &'static str;

    /// The kinds that only its entry names; those of its [`RouterKind`] are known without it.
    fn kinds(&self) -> Vec<WatchedKind> {
        Vec::new()
    }

    /// What its entry declares that it can do, where that is not the same for all entries of its [`RouterKind`].
    fn declared(&self) -> Option<Capabilities> {
        None
    }

    /// How its proxies count requests, where its entry says it.
    fn pack(&self) -> Option<Pack> {
        None
    }

    /// The user's objects and our own that it wants to see.
    fn objects(&self, ctx: &RouteContext) -> Vec<ObjectRef>;

    /// What it wants to see all of. It goes into the same [`Objects`].
    fn lists(&self, _ctx: &RouteContext) -> Vec<ListRef> {
        Vec::new()
    }

    /// The current weights, and which of our own routes exist. `known` are all header routes and the mirror of the
    /// Rollout's steps: one that exists under its name must be equal, else it has drifted.
    fn read(&self, ctx: &RouteContext, current: &Objects, known: &RouteIntent) -> Result<RouteSeen, RouteError>;

    /// Why the mesh does not use the objects as they are, where it says so (rule S52). It says nothing about their weights.
    fn not_accepted(&self, _ctx: &RouteContext, _current: &Objects) -> Option<RouteError> {
        None
    }

    /// Why the mesh may still use the objects as they were before, where it says how far it is (rule S52).
    fn pending(&self, _ctx: &RouteContext, _current: &Objects) -> Option<String> {
        None
    }

    /// A route of it, for display, that takes effect for the callers inside of a mesh: no other router may have one too.
    fn mesh_route(&self, _ctx: &RouteContext, _current: &Objects) -> Option<String> {
        None
    }

    /// Every write that brings the objects to `intent`, and what blocks others. For an abort, which writes what it can.
    fn plan_all(&self, ctx: &RouteContext, current: &Objects, intent: &RouteIntent) -> Plan;

    /// Whether the API server may drop a field of this write without a word, as an older schema does: a dry run then shows
    /// first what it makes of it.
    fn is_doubtful(&self, _ctx: &RouteContext, _current: &Objects, _write: &Value) -> bool {
        false
    }

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

    /// Whether its subsets select pods by the annotation [`REVISION_ANNOTATION`](crate::api::REVISION_ANNOTATION), which the
    /// pods then have to have.
    fn selects_by_annotation(&self) -> bool {
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
    /// How its proxies count requests, for metrics that name no counters of their own.
    pub pack: Pack,
    /// What the controller must be allowed to do.
    pub rbac: &'static [RbacRule],
    /// The kinds whose changes concern it.
    pub watches: &'static [WatchedKind],
    /// The router of an entry that has its key.
    pub build: fn(&TrafficRouter) -> Option<Box<dyn Router>>,
}

impl RouterKind {
    /// What it is called: the summary up to its colon.
    pub fn name(&self) -> &'static str {
        self.summary.split(':').next().unwrap_or(self.key)
    }

    /// The kinds that it writes, and those that it reads beside them.
    pub fn written(&self) -> impl Iterator<Item = &'static WatchedKind> {
        self.watches.iter().filter(|kind| !kind.is_consent())
    }
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

/// The versions of a kind that are read and written, the one to prefer first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Versions {
    /// Those that a router knows.
    Known(&'static [&'static str]),
    /// The one that a Rollout names.
    Named(String),
}

impl Versions {
    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        let (known, named) = match self {
            Versions::Known(known) => (*known, None),
            Versions::Named(named) => (&[][..], Some(named.as_str())),
        };
        known.iter().copied().chain(named)
    }

    /// The one to prefer.
    pub fn newest(&self) -> &str {
        self.iter().next().unwrap_or_default()
    }
}

impl fmt::Display for Versions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.iter().collect::<Vec<_>>().join(", "))
    }
}

/// A kind to watch: one that a router always writes, or one that a Rollout names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WatchedKind {
    /// The API group.
    pub group: Cow<'static, str>,
    /// The versions that we read and write. Objects are written at the version that they are watched at: they look the same
    /// in all of them, or the router plans for the `apiVersion` of the object as read.
    pub versions: Versions,
    /// The kind.
    pub kind: Cow<'static, str>,
    /// The resource in the API's paths.
    pub plural: Cow<'static, str>,
}

impl WatchedKind {
    /// A kind that a router always writes.
    pub const fn known(
        group: &'static str,
        versions: &'static [&'static str],
        kind: &'static str,
        plural: &'static str,
    ) -> Self {
        WatchedKind {
            group: Cow::Borrowed(group),
            versions: Versions::Known(versions),
            kind: Cow::Borrowed(kind),
            plural: Cow::Borrowed(plural),
        }
    }

    /// Which kind it is, whatever its version.
    pub fn resource(&self) -> GroupResource {
        match self.versions {
            Versions::Known(_) => GroupResource::of(&self.newest(), &self.plural),
            Versions::Named(_) => GroupResource::named(&self.newest(), &self.kind, &self.plural),
        }
    }

    /// The `apiVersion` of the version to prefer.
    pub fn newest(&self) -> String {
        format!("{}/{}", self.group, self.versions.newest())
    }

    /// An object of the user's that is written.
    pub fn reference(&self, namespace: &str, name: &str) -> ObjectRef {
        ObjectRef {
            api_version: self.newest(),
            kind: self.kind.to_string(),
            plural: self.plural.to_string(),
            namespace: namespace.to_owned(),
            name: name.to_owned(),
            required: true,
            is_written: true,
            is_named: matches!(self.versions, Versions::Named(_)),
        }
    }

    /// All objects of the kind in a namespace.
    pub fn all(&self, namespace: &str) -> ListRef {
        ListRef {
            api_version: self.newest(),
            kind: self.kind.to_string(),
            plural: self.plural.to_string(),
            namespace: namespace.to_owned(),
        }
    }

    /// Whether it says who may write, and is no object to write.
    pub fn is_consent(&self) -> bool {
        is_grant(&self.group, &self.kind)
    }

    /// The name of its CustomResourceDefinition.
    pub fn definition(&self) -> String {
        self.resource().to_string()
    }
}
