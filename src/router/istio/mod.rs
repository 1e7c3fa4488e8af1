//! Istio: weights of VirtualService routes, by Service host or by DestinationRule subset.

pub mod ambient;
mod chosen;
pub mod delegate;
mod destination_rule;
mod hosts;
mod kinds;
mod needs;
mod own_routes;
pub mod sidecars;
mod sticky;
mod virtual_service;

use std::collections::{BTreeMap, btree_map::Entry};

use super::{
    consent,
    context::RouteContext,
    error::RouteError,
    kind::{Capabilities, RbacRule, Router, RouterKind},
    objects::{self, ListRef, ObjectRef, Objects, Plan, PlannedWrite},
    own::OwnSeen,
    weights,
};
use crate::{
    api::{
        Percent,
        analysis::Pack,
        traffic::{DestinationRuleRef, IstioTraffic, VirtualServiceRef},
    },
    engine::{RouteIntent, RouteSeen, Target, TargetSeen},
};
use hosts::{Arm, Arms};
use kinds::{DESTINATION_RULES, GROUP, VIRTUAL_SERVICES};
pub use needs::unmet;
use virtual_service::RouteEditor;

const GRAIN: Percent = Percent::from_basis_points(1);

/// Istio in the registry.
pub const KIND: RouterKind = RouterKind {
    key: "istio",
    summary: "Istio: weights of VirtualService routes, by Service host or by DestinationRule subset",
    docs: DOCS,
    example: EXAMPLE,
    capabilities: Capabilities { grain: GRAIN, header: true, cookie: true, mirror: true, sticky: true },
    pack: Pack::Istio,
    rbac: &[
        RbacRule { group: GROUP, resources: &["virtualservices"], verbs: &["list", "watch", "update"] },
        RbacRule {
            group: GROUP,
            resources: &["destinationrules"],
            verbs: &["list", "watch", "create", "update", "delete"],
        },
        consent::RBAC,
    ],
    watches: &[VIRTUAL_SERVICES, DESTINATION_RULES, consent::GRANTS],
    build: |entry| entry.istio.clone().map(|config| Box::new(Istio { config }) as Box<dyn Router>),
};

const DOCS: &str = "\
Each chosen http route needs two destinations: the stable and the canary Service, or, with `destinationRule`, the two \
subsets of one host. Only the weights of these two are written. Other destinations keep their share of the route, and \
the rest is split between ours.

A short host (`checkout`) stands for a Service in the VirtualService's own namespace; anything else must be the full \
name (`checkout.shop.svc.cluster.local`): Istio does not expand `checkout.shop`.

A VirtualService of another namespace is written only when its owner consents: by the annotation \
`glidepath.dev/allow-namespaces: shop` on it (a list, or `*`), or by a Gateway API ReferenceGrant there, from Rollouts \
of `shop` to VirtualServices. `controller --cross-namespace=deny` forbids it for all.

Split by Service, the DestinationRule of the stable host says nothing about the canary host. Where there is one, \
Glidepath keeps a DestinationRule named `<canary>-glidepath` with the same trafficPolicy and exportTo, unless you \
wrote one for the canary host yourself.

Header routes are http entries named `glidepath-<name>`, each directly before the route that it was made from, with that \
route's matches joined with its own and everything else copied. A mirror is `mirror` with `mirrorPercentage` in the \
route, or one more of its `mirrors` where it has that; with a `match` it is an entry of its own. Both go when the \
steps or the rollout say so. A route that also has destinations which are not ours takes weights alone: a header \
route, a mirror or a sticky cookie there would take requests of others, and is refused.

Users of an A/B test, or of a canary with `sticky`, stay where they are by a cookie: the answers of both destinations set it \
(`headers.response.add.set-cookie`), and two entries, `glidepath-sticky-candidate` and `glidepath-sticky-control`, \
send whoever has it to where it says. A canary has a `glidepath-sticky-reassign` more for the users of each earlier weight. A \
destination that sets a cookie of yours there is refused: set it in the \
application, or in the route's own `headers`.

`tcpRoutes` and `tlsRoutes` choose routes of connections, by the port and the server names of their matches: they take \
weights alone. A route that delegates is refused: name the VirtualService that it delegates to, and this one as its \
`delegateOf`, so that what its matches exclude, and Istio would drop without a word, is refused.";

const EXAMPLE: &str = "\
istio:
  virtualServices:
    - name: checkout
      routes: [primary]
";

/// One `istio` entry of `spec.traffic`.
#[derive(Clone, Debug)]
struct Istio {
    config: IstioTraffic,
}

impl Router for Istio {
    fn key(&self) -> &'static str {
        KIND.key
    }

    fn objects(&self, ctx: &RouteContext) -> Vec<ObjectRef> {
        let mut wanted = Vec::new();
        for (of, vs) in &self.virtual_services(ctx) {
            wanted.push(VIRTUAL_SERVICES.reference(of, &vs.name));
            wanted.extend(vs.delegate_of.as_ref().map(|root| delegate::root_reference(ctx, root)));
        }
        wanted.push(match &self.config.destination_rule {
            Some(rule) => DESTINATION_RULES.reference(&ctx.namespace, &rule.name),
            None => destination_rule::owned_reference(ctx),
        });
        wanted
    }

    fn lists(&self, ctx: &RouteContext) -> Vec<ListRef> {
        let routes = self.virtual_services(ctx);
        let roots = routes.iter().filter_map(|(_, vs)| vs.delegate_of.as_ref()?.namespace.as_ref());
        let grants = consent::foreign_grants(ctx, routes.iter().map(|(of, _)| of).chain(roots));
        let rules = (!self.splits_by_subset()).then(|| DESTINATION_RULES.all(&ctx.namespace));
        rules.into_iter().chain(grants).collect()
    }

    fn read(&self, ctx: &RouteContext, current: &Objects, known: &RouteIntent) -> Result<RouteSeen, RouteError> {
        let arms = self.arms(ctx, current)?;
        let (mut shares, mut own, mut other_manager) = (Vec::new(), OwnSeen::default(), None);
        for (namespace, reference) in &self.virtual_services(ctx) {
            let editor = RouteEditor { ctx, arms: &arms, namespace, reference };
            let object = editor.object(current)?;
            shares.extend(editor.shares(object)?);
            own.add(editor.own().read(object));
            if !editor.is_foreign() {
                let mut lists = chosen::protocols(reference).map(chosen::Protocol::managed);
                other_manager = other_manager.or_else(|| lists.find_map(|list| objects::other_manager(object, list)));
            }
        }
        let (weight, disagreement) = weights::agreed(&shares);
        let drifted = match weight {
            Some(canary) => !self.plan(ctx, current, &own.intent(canary, known))?.is_empty(),
            None => true,
        };
        let OwnSeen { headers, mirror, sticky } = own;
        Ok(RouteSeen { weight, disagreement, headers, mirror, sticky, drifted, other_manager, ..RouteSeen::default() })
    }

    fn mesh_route(&self, ctx: &RouteContext, current: &Objects) -> Option<String> {
        self.virtual_services(ctx).iter().find_map(|(namespace, reference)| {
            let own = VIRTUAL_SERVICES.reference(namespace, &reference.name);
            let mut object = consent::written(ctx, &own, current).ok()?;
            if let Some(root) = reference.delegate_of.as_ref().filter(|_| ambient::is_delegate(object)) {
                object = consent::written(ctx, &delegate::root_reference(ctx, root), current).ok()?;
            }
            ambient::is_for_the_mesh(object).then(|| format!("VirtualService {namespace}/{}", reference.name))
        })
    }

    fn plan_all(&self, ctx: &RouteContext, current: &Objects, intent: &RouteIntent) -> Plan {
        let mut plan = self.plan_routes(ctx, current, intent);
        if self.splits_by_subset() {
            return plan;
        }
        match destination_rule::plan_owned(ctx, current) {
            // Before traffic the canary's policy; before anything else the way back.
            Ok(write) if intent.is_nothing() => plan.writes.extend(write),
            Ok(write) => plan.writes.splice(0..0, write).for_each(drop),
            Err(refusal) => plan.refused.push(refusal),
        }
        plan
    }

    fn splits_by_subset(&self) -> bool {
        self.config.destination_rule.is_some()
    }

    fn target(&self, ctx: &RouteContext, current: &Objects, target: Target) -> Option<TargetSeen> {
        let reference = self.config.destination_rule.as_ref()?;
        let rule = destination_rule::find(ctx, current, &reference.name).ok()?;
        let revision = destination_rule::revision(rule, subset_name(reference, target));
        Some(TargetSeen { revision, ..TargetSeen::default() })
    }

    fn plan_target(
        &self,
        ctx: &RouteContext,
        current: &Objects,
        target: Target,
        revision: &str,
    ) -> Result<Vec<PlannedWrite>, RouteError> {
        let Some(reference) = &self.config.destination_rule else { return Ok(Vec::new()) };
        let rule = destination_rule::find(ctx, current, &reference.name)?;
        let next = destination_rule::with_revision(rule, subset_name(reference, target), Some(revision))?;
        Ok(if next == *rule { Vec::new() } else { vec![PlannedWrite::Replace(next)] })
    }

    fn hand_back(&self, ctx: &RouteContext, current: &Objects) -> Vec<PlannedWrite> {
        let mut writes = self.plan_routes(ctx, current, &RouteIntent::weight(Percent::ZERO)).writes;
        match &self.config.destination_rule {
            Some(reference) => writes.extend(destination_rule::without_revisions(ctx, current, reference)),
            None => writes.extend(destination_rule::remove_owned(ctx, current)),
        }
        writes
    }
}

impl Istio {
    /// Each VirtualService with its namespace, once: entries that name the same one are taken together.
    fn virtual_services(&self, ctx: &RouteContext) -> Vec<(String, VirtualServiceRef)> {
        let mut all: BTreeMap<(String, String), VirtualServiceRef> = BTreeMap::new();
        for entry in &self.config.virtual_services {
            let namespace = entry.namespace.clone().unwrap_or_else(|| ctx.namespace.clone());
            match all.entry((namespace, entry.name.clone())) {
                Entry::Vacant(place) => drop(place.insert(entry.clone())),
                Entry::Occupied(mut known) => join(known.get_mut(), entry),
            }
        }
        all.into_iter().map(|((namespace, _), reference)| (namespace, reference)).collect()
    }

    fn arms(&self, ctx: &RouteContext, current: &Objects) -> Result<Arms, RouteError> {
        let Some(reference) = &self.config.destination_rule else { return Ok(Arms::by_host(ctx)) };
        let rule = destination_rule::find(ctx, current, &reference.name)?;
        for subset in [&reference.stable_subset, &reference.canary_subset] {
            destination_rule::subset_index(rule, subset)?;
        }
        let host = destination_rule::host(ctx, rule);
        let arm = |subset: &String| Arm { host: host.clone(), subset: Some(subset.clone()) };
        Ok(Arms { stable: arm(&reference.stable_subset), canary: arm(&reference.canary_subset) })
    }

    /// The VirtualServices alone: one write for each that says something else.
    fn plan_routes(&self, ctx: &RouteContext, current: &Objects, intent: &RouteIntent) -> Plan {
        let mut plan = Plan::default();
        let (arms, canary) =
            match self.arms(ctx, current).and_then(|a| Ok((a, weights::on_grain(intent.canary, GRAIN)?))) {
                Ok(both) => both,
                Err(refusal) => return Plan { refused: vec![refusal], ..plan },
            };
        for (namespace, reference) in &self.virtual_services(ctx) {
            let editor = RouteEditor { ctx, arms: &arms, namespace, reference };
            match editor.object(current).and_then(|object| Ok((object, editor.root_for(current, intent)?))) {
                Ok((object, root)) => {
                    let (next, refused) = editor.with_intent(object, canary, intent, root.as_ref());
                    plan.refused.extend(refused);
                    plan.writes.extend((next != *object).then_some(PlannedWrite::Replace(next)));
                }
                Err(refusal) => plan.refused.push(refusal),
            }
        }
        plan
    }
}

/// Takes in another entry that names the same VirtualService.
fn join(known: &mut VirtualServiceRef, entry: &VirtualServiceRef) {
    known.routes.extend(entry.routes.iter().cloned());
    known.tcp_routes.extend(entry.tcp_routes.iter().cloned());
    known.tls_routes.extend(entry.tls_routes.iter().cloned());
    known.delegate_of = known.delegate_of.take().or_else(|| entry.delegate_of.clone());
}

fn subset_name(reference: &DestinationRuleRef, target: Target) -> &str {
    match target {
        Target::Stable => &reference.stable_subset,
        Target::Canary => &reference.canary_subset,
    }
}

#[cfg(test)]
#[path = "delegate_tests.rs"]
mod delegate_tests;
