//! Gateway API: weights of the rules of HTTPRoutes, GRPCRoutes, TCPRoutes and TLSRoutes, of a gateway or of a mesh.

mod backends;
mod conditions;
mod created;
pub mod error;
mod kinds;
pub mod linkerd;
mod matches;
mod mirror;
mod needs;
mod own_rules;
mod precedence;
mod route;
pub mod sessions;
mod sticky;

use std::{
    borrow::Cow,
    collections::{BTreeMap, btree_map::Entry},
};

use serde_json::Value;

use super::{
    consent,
    context::RouteContext,
    error::RouteError,
    kind::{Capabilities, RbacRule, Router, RouterKind},
    objects::{ListRef, ObjectRef, Objects, Plan, PlannedWrite, other_manager},
    own::OwnSeen,
    record::Record,
    weights,
};
use crate::{
    api::{
        Percent,
        analysis::Pack,
        traffic::{GatewayRoute, GatewayTraffic, RouteKind},
    },
    engine::{RouteIntent, RouteSeen},
};
use created::Created;
use error::GatewayError;
use kinds::{GRAIN, GROUP, watched};
pub use needs::unmet;
use route::RouteEditor;

/// The Gateway API in the registry.
pub const KIND: RouterKind = RouterKind {
    key: "gateway",
    summary: "Gateway API: weights of HTTPRoute, GRPCRoute, TCPRoute and TLSRoute rules, with a Gateway or a Service as parent",
    docs: DOCS,
    example: EXAMPLE,
    capabilities: Capabilities { grain: GRAIN, header: true, cookie: true, mirror: true, sticky: true },
    pack: Pack::Envoy,
    rbac: &[
        RbacRule {
            group: GROUP,
            resources: &["httproutes", "grpcroutes", "tcproutes", "tlsroutes"],
            verbs: &["list", "watch", "update"],
        },
        consent::RBAC,
    ],
    watches: &[
        watched(RouteKind::Http),
        watched(RouteKind::Grpc),
        watched(RouteKind::Tcp),
        watched(RouteKind::Tls),
        consent::GRANTS,
    ],
    build: |entry| entry.gateway.clone().map(|config| Box::new(Gateway { config }) as Box<dyn Router>),
};

const DOCS: &str = "\
Each rule to split needs two backendRefs: the stable and the canary Service. Without `ruleNames` these are all rules of \
the route that name either; a rule that names only one of them is refused, with the lines to add. Only the weights of \
these two are written, as the smallest whole numbers that say the split (5 % is 19 and 1); other backends keep their \
share. The parent may be a Gateway, or a Service of a mesh (GAMMA, Linkerd).

A header route, and a mirror or sticky cookie of some requests, is a rule of its own directly before the rule that it was \
made from, with that rule's matches joined with its own and everything else copied. Glidepath recognizes its rules by \
the annotation `glidepath.dev/rules`. A prefix or a cookie is a `RegularExpression` match, which an implementation may not \
support. A mirror is a `RequestMirror` filter; a share below 100 % needs the Gateway API 1.3, and is refused where a dry \
run shows that the API server drops it. Users of an A/B test, or of a canary with `sticky`, stay by a cookie that \
`ResponseHeaderModifier` filters of the two backendRefs set; a canary has a rule more for the users of each earlier weight. \
A TCPRoute or TLSRoute takes weights alone, a GRPCRoute no sticky cookie, a route of Linkerd neither mirror nor \
sticky cookie, and a rule with other backends weights alone.

With `createRoute` instead of `routes` the HTTPRoute is Glidepath's own, made with one rule for every request: nothing in your \
files, and no GitOps tool, writes its weights. It stays when the Rollout is deleted, and leads to the root Service.

A route that an implementation reports as not accepted (`Accepted` or `ResolvedRefs` is False at its generation, or \
`PartiallyInvalid` is True) holds the release where it is.

A route of another namespace is written only when its owner consents: by the annotation \
`glidepath.dev/allow-namespaces: shop` on it (a list, or `*`), or by a ReferenceGrant there, from Rollouts of `shop` to \
routes of its kind. It also needs a ReferenceGrant in `shop` to the two Services.";

const EXAMPLE: &str = "\
gateway:
  routes:
    - kind: HTTPRoute
      name: checkout
";

/// One `gateway` entry of `spec.traffic`.
#[derive(Clone, Debug)]
struct Gateway {
    config: GatewayTraffic,
}

impl Router for Gateway {
    fn key(&self) -> &'static str {
        KIND.key
    }

    fn objects(&self, ctx: &RouteContext) -> Vec<ObjectRef> {
        if let Some(created) = self.created(ctx) {
            return vec![created.reference()];
        }
        let routes = self.routes(ctx);
        routes.iter().map(|(namespace, route)| watched(route.kind).reference(namespace, &route.name)).collect()
    }

    fn lists(&self, ctx: &RouteContext) -> Vec<ListRef> {
        let routes = self.routes(ctx);
        let mut grants = consent::foreign_grants(ctx, routes.iter().map(|(of, _)| of));
        // A route of another namespace refers to our Services.
        let ours = (!grants.is_empty()).then(|| ListRef::grants(&ctx.namespace));
        grants.extend(ours);
        grants
    }

    fn read(&self, ctx: &RouteContext, current: &Objects, known: &RouteIntent) -> Result<RouteSeen, RouteError> {
        if self.created(ctx).is_some_and(|created| created.is_overwritten(current)) {
            let anything = Some((Percent::ZERO, Percent::FULL));
            return Ok(RouteSeen { disagreement: anything, drifted: true, ..RouteSeen::default() });
        }
        let (mut shares, mut own) = (Vec::new(), OwnSeen::default());
        let (mut other, mut share_dropped, mut keeps_sessions) = (None, false, false);
        for (namespace, route) in &self.routes(ctx) {
            let editor = RouteEditor::of(ctx, namespace, route);
            let object = self.object(ctx, &editor, current)?;
            shares.extend(editor.shares(&object)?);
            own.add(editor.own().read(&object));
            share_dropped |= editor.own().is_share_dropped(&object);
            keeps_sessions |= editor.keeps_sessions(&object);
            if !editor.is_foreign() {
                other = other.or_else(|| other_manager(&object, "f:rules"));
            }
        }
        let (weight, disagreement) = weights::agreed(&shares);
        let dropped = || known.mirror.clone().filter(|_| share_dropped);
        let intent = |canary| {
            let seen = own.intent(canary, known);
            RouteIntent { mirror: seen.mirror.or_else(dropped), ..seen }
        };
        let drifted = match weight {
            Some(canary) => self.differs(ctx, current, &intent(canary))?,
            None => true,
        };
        let OwnSeen { headers, mirror, sticky } = own;
        Ok(RouteSeen {
            weight,
            disagreement,
            headers,
            mirror,
            sticky,
            drifted,
            keeps_sessions,
            other_manager: other,
            ..RouteSeen::default()
        })
    }

    fn not_accepted(&self, ctx: &RouteContext, current: &Objects) -> Option<RouteError> {
        self.routes(ctx).iter().find_map(|(namespace, route)| {
            let editor = RouteEditor::of(ctx, namespace, route);
            let object = editor.object(current).ok()?;
            editor.may_lead(current).ok()?;
            editor.not_accepted(object)
        })
    }

    fn pending(&self, ctx: &RouteContext, current: &Objects) -> Option<String> {
        self.routes(ctx).iter().find_map(|(namespace, route)| {
            let editor = RouteEditor::of(ctx, namespace, route);
            editor.pending(editor.object(current).ok()?)
        })
    }

    fn mesh_route(&self, ctx: &RouteContext, current: &Objects) -> Option<String> {
        self.routes(ctx).iter().find_map(|(namespace, route)| {
            let object = RouteEditor::of(ctx, namespace, route).object(current).ok()?;
            let is_inside = !linkerd::parents(object, namespace).is_empty();
            is_inside.then(|| format!("{} {namespace}/{}", route.kind, route.name))
        })
    }

    fn plan_all(&self, ctx: &RouteContext, current: &Objects, intent: &RouteIntent) -> Plan {
        match weights::on_grain(intent.canary, GRAIN) {
            Ok(canary) => self.plan_routes(ctx, current, canary, intent),
            Err(refusal) => Plan { refused: vec![refusal], ..Plan::default() },
        }
    }

    /// The first share of a mirror: before v1.3 of the Gateway API the field is dropped, and all requests are mirrored.
    fn is_doubtful(&self, ctx: &RouteContext, current: &Objects, write: &Value) -> bool {
        let has_share = |route: &Value| Record::of(ctx, route).mirror_share;
        has_share(write) && !current.replaced_by(write).is_some_and(has_share)
    }

    fn hand_back(&self, ctx: &RouteContext, current: &Objects) -> Vec<PlannedWrite> {
        if let Some(created) = self.created(ctx) {
            return created.left(current).map(PlannedWrite::Replace).into_iter().collect();
        }
        self.plan_routes(ctx, current, Percent::ZERO, &RouteIntent::weight(Percent::ZERO)).writes
    }
}

impl Gateway {
    fn created<'a>(&'a self, ctx: &'a RouteContext) -> Option<Created<'a>> {
        self.config.create_route.as_ref().map(|config| Created { ctx, config })
    }

    /// A route's object, where this Rollout may write it; one that is to be created, as it would be.
    fn object<'o>(
        &self,
        ctx: &RouteContext,
        editor: &RouteEditor<'_>,
        current: &'o Objects,
    ) -> Result<Cow<'o, Value>, RouteError> {
        match self.created(ctx) {
            Some(created) => created.object(current),
            None => editor.object(current).map(Cow::Borrowed),
        }
    }

    /// Each route with its namespace, once: entries that name the same one are taken together, and one that names no rules
    /// means all.
    fn routes(&self, ctx: &RouteContext) -> Vec<(String, GatewayRoute)> {
        if let Some(created) = self.created(ctx) {
            return vec![(ctx.namespace.clone(), created.route())];
        }
        let mut all: BTreeMap<(RouteKind, String, String), GatewayRoute> = BTreeMap::new();
        for entry in &self.config.routes {
            let namespace = entry.namespace.clone().unwrap_or_else(|| ctx.namespace.clone());
            match all.entry((entry.kind, namespace, entry.name.clone())) {
                Entry::Vacant(place) => drop(place.insert(entry.clone())),
                Entry::Occupied(mut known) => {
                    let known = &mut known.get_mut().rule_names;
                    match known.is_empty() || entry.rule_names.is_empty() {
                        true => known.clear(),
                        false => known.extend(entry.rule_names.iter().cloned()),
                    }
                }
            }
        }
        all.into_iter().map(|((_, namespace, _), route)| (namespace, route)).collect()
    }

    /// Whether anything would be written. A mirror whose share the API server drops is refused when it is written.
    fn differs(&self, ctx: &RouteContext, current: &Objects, intent: &RouteIntent) -> Result<bool, RouteError> {
        let plan = self.plan_routes(ctx, current, intent.canary, intent);
        let is_known =
            |error: &RouteError| matches!(error, RouteError::Gateway(GatewayError::MirrorShareDropped { .. }));
        match plan.refused.into_iter().find(|error| !is_known(error)) {
            Some(refusal) => Err(refusal),
            None => Ok(!plan.writes.is_empty()),
        }
    }

    /// One write for each route that says something else.
    fn plan_routes(&self, ctx: &RouteContext, current: &Objects, canary: Percent, intent: &RouteIntent) -> Plan {
        let mut plan = Plan::default();
        for (namespace, route) in &self.routes(ctx) {
            let editor = RouteEditor::of(ctx, namespace, route);
            let granted = || if intent.is_nothing() { Ok(()) } else { editor.may_lead(current) };
            match self.object(ctx, &editor, current).and_then(|object| granted().map(|()| object)) {
                Ok(object) => {
                    let (next, refused) = editor.with_intent(&object, canary, intent);
                    plan.refused.extend(refused);
                    plan.writes.extend(match editor.found(current) {
                        None => Some(PlannedWrite::Create(next)),
                        Some(found) => (next != *found).then_some(PlannedWrite::Replace(next)),
                    });
                }
                Err(refusal) => plan.refused.push(refusal),
            }
        }
        plan
    }
}
