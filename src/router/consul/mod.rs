//! Consul: the weights of a service-splitter between two subsets of a service-resolver.
//!
//! Pure functions of one service, [`ConsulService`], plan its config entries, in both spellings: as custom resources of
//! consul-k8s and as the HTTP API has them. [`splitter`] has the weights, [`resolver`] the revisions of the two subsets,
//! [`service_router`] the header routes and [`protocol`] whether Consul can split the service at all. This file is the router
//! of the custom resources.
//!
//! The order that loses no request: the filters of both subsets first ([`resolver::with_revision`], for instances that carry
//! the revision in their Meta), then weights. A filter changes only while its subset carries nothing, and is never emptied.

pub mod error;
mod kinds;
pub mod protocol;
pub mod resolver;
mod router_object;
mod service;
pub mod service_router;
mod spelling;
pub mod splitter;
mod synced;

#[cfg(test)]
mod plans_tests;

use serde_json::Value;

use super::{
    consent,
    context::RouteContext,
    error::RouteError,
    kind::{Capabilities, RbacRule, Router, RouterKind, WatchedKind},
    objects::{self, ListRef, ObjectRef, Objects, Plan, PlannedWrite},
    own::OwnSeen,
    weights,
};
pub use crate::api::traffic::META_KEY;
use crate::{
    api::{Percent, analysis::Pack, strategy::HeaderRoute, traffic::ConsulTraffic},
    engine::{RouteIntent, RouteSeen, Target, TargetSeen},
};
use kinds::{GROUP, PROXY_DEFAULTS, RESOLVERS, ROUTERS, SERVICE_DEFAULTS, SPLITTERS};
pub use service::ConsulService;
pub use spelling::Spelling;

const GRAIN: Percent = Percent::from_basis_points(1);

/// Consul in the registry.
pub const KIND: RouterKind = RouterKind {
    key: "consul",
    summary: "Consul: weights of a ServiceSplitter, by subsets of its ServiceResolver",
    docs: DOCS,
    example: EXAMPLE,
    capabilities: Capabilities { grain: GRAIN, header: true, cookie: true, mirror: false, sticky: false },
    pack: Pack::Consul,
    rbac: &[
        RbacRule {
            group: GROUP,
            resources: &["servicesplitters", "serviceresolvers"],
            verbs: &["list", "watch", "update"],
        },
        RbacRule {
            group: GROUP,
            resources: &["servicerouters"],
            verbs: &["list", "watch", "create", "update", "delete"],
        },
        RbacRule { group: GROUP, resources: &["servicedefaults", "proxydefaults"], verbs: &["list", "watch"] },
        consent::RBAC,
    ],
    watches: &[SPLITTERS, RESOLVERS, ROUTERS, SERVICE_DEFAULTS, PROXY_DEFAULTS, consent::GRANTS],
    build: |entry| entry.consul.clone().map(|config| Box::new(Consul { config }) as Box<dyn Router>),
};

const DOCS: &str = "\
The custom resources of consul-k8s: a ServiceSplitter and a ServiceResolver with the name of the service. The splitter has \
a split for each of two subsets, `stable` and `canary`; only their weights are written, in steps of 0.01 %, and other \
splits keep theirs. The resolver has both subsets, and stable is its default; Glidepath writes their `filter`, \
`Service.Meta.glidepath_revision == \"<revision>\"`, beside a filter of yours, and `onlyPassing` where it is absent.

Pods carry the revision in the annotation `consul.hashicorp.com/service-meta-glidepath_revision`, which Glidepath adds to \
the pods that it creates. A subset is written only when every ready pod of its revision has it: where pods are older than \
the router, the status says so, and `glidepath restart` replaces them.

Header and cookie routes are routes of the ServiceRouter, each directly before the route of yours that it was made from, \
and last for requests that none of yours matches. Without a ServiceRouter Glidepath creates one and deletes it when the \
last header route goes. Its routes are known by a header match that always holds: no header `glidepath-route-<name>`.

Mirrors and sticky cookies are rejected when the Rollout is validated: Consul has no mirror, and keeps \
users on an instance within a subset only.

Consul splits http, http2 and grpc: another protocol in the ServiceDefaults, or in the ProxyDefaults of the same namespace, \
is refused. An object whose `Synced` condition is not True is not in force in Consul, and holds the release where it is. \
That is also how consul-k8s says that the entry in Consul was not written by it.

Objects of another namespace are written only when their owner consents: by the annotation \
`glidepath.dev/allow-namespaces: shop` on each (a list, or `*`), or by a Gateway API ReferenceGrant there, from Rollouts of \
`shop` to its kind. `controller --cross-namespace=deny` forbids it for all.";

const EXAMPLE: &str = "\
consul:
  service: checkout
";

/// One `consul` entry of `spec.traffic`.
#[derive(Clone, Debug)]
struct Consul {
    config: ConsulTraffic,
}

impl Router for Consul {
    fn key(&self) -> &'static str {
        KIND.key
    }

    fn objects(&self, ctx: &RouteContext) -> Vec<ObjectRef> {
        let (namespace, service) = (self.namespace(ctx), self.config.service.as_str());
        vec![
            SPLITTERS.reference(namespace, service),
            RESOLVERS.reference(namespace, service),
            router_object::reference(namespace, service),
            kinds::service_defaults(namespace, service),
            kinds::proxy_defaults(namespace),
        ]
    }

    fn lists(&self, ctx: &RouteContext) -> Vec<ListRef> {
        consent::foreign_grants(ctx, self.config.namespace.iter())
    }

    fn read(&self, ctx: &RouteContext, current: &Objects, known: &RouteIntent) -> Result<RouteSeen, RouteError> {
        let service = self.service(ctx);
        let splitter = self.object(ctx, &SPLITTERS, current)?;
        resolver::check(&service, self.object(ctx, &RESOLVERS, current)?).map_err(|error| self.shown(ctx, error))?;
        let share = splitter::share(&service, splitter).map_err(|error| self.shown(ctx, error))?;
        let router = self.router_object(ctx, current)?;
        let headers = router.map(|router| service_router::header_routes(&service, router)).unwrap_or_default();
        let own = OwnSeen { headers, ..OwnSeen::default() };
        let drifted = match share {
            Some(canary) => !self.plan(ctx, current, &own.intent(canary, known))?.is_empty(),
            None => true,
        };
        let other_manager = (!self.is_foreign(ctx)).then(|| objects::other_manager(splitter, "f:splits")).flatten();
        let (weight, disagreement) = weights::agreed(&[share]);
        Ok(RouteSeen { weight, disagreement, headers: own.headers, drifted, other_manager, ..RouteSeen::default() })
    }

    fn not_accepted(&self, ctx: &RouteContext, current: &Objects) -> Option<RouteError> {
        let refusal = |kind: &WatchedKind| {
            let object = self.object(ctx, kind, current).ok()?;
            synced::refusal(object, self.service(ctx).place(&kind.kind))
        };
        [SPLITTERS, RESOLVERS, ROUTERS].iter().find_map(refusal).map(|error| self.shown(ctx, error))
    }

    fn plan_all(&self, ctx: &RouteContext, current: &Objects, intent: &RouteIntent) -> Plan {
        let mut plan = Plan { refused: self.blockers(ctx, current, intent), ..Plan::default() };
        // On the way back nothing holds it up.
        if !plan.refused.is_empty() && !intent.is_nothing() {
            return plan;
        }
        for write in [self.plan_splitter(ctx, current, intent.canary), self.plan_router(ctx, current, &intent.headers)]
        {
            match write {
                Ok(write) => plan.writes.extend(write),
                Err(refusal) => plan.refused.push(refusal),
            }
        }
        plan
    }

    fn splits_by_subset(&self) -> bool {
        true
    }

    fn target(&self, ctx: &RouteContext, current: &Objects, target: Target) -> Option<TargetSeen> {
        let resolver = self.object(ctx, &RESOLVERS, current).ok()?;
        let revision = resolver::revision(&self.service(ctx), resolver, target);
        Some(TargetSeen { revision, ..TargetSeen::default() })
    }

    fn plan_target(
        &self,
        ctx: &RouteContext,
        current: &Objects,
        target: Target,
        revision: &str,
    ) -> Result<Vec<PlannedWrite>, RouteError> {
        let now = self.object(ctx, &RESOLVERS, current)?;
        let next = resolver::with_revision(&self.service(ctx), now, target, revision);
        let next = next.map_err(|error| self.shown(ctx, error))?;
        Ok(if next == *now { Vec::new() } else { vec![PlannedWrite::Replace(next)] })
    }

    fn selects_by_annotation(&self) -> bool {
        true
    }

    fn hand_back(&self, ctx: &RouteContext, current: &Objects) -> Vec<PlannedWrite> {
        let splitter = self.plan_splitter(ctx, current, Percent::ZERO).ok().flatten();
        let router = self.plan_router(ctx, current, &[]).ok().flatten();
        let resolver = self.object(ctx, &RESOLVERS, current).ok().and_then(|now| {
            let next = resolver::without_revisions(&self.service(ctx), now);
            (next != *now).then_some(PlannedWrite::Replace(next))
        });
        splitter.into_iter().chain(router).chain(resolver).collect()
    }
}

impl Consul {
    fn namespace<'a>(&'a self, ctx: &'a RouteContext) -> &'a str {
        self.config.namespace.as_deref().unwrap_or(&ctx.namespace)
    }

    fn is_foreign(&self, ctx: &RouteContext) -> bool {
        self.namespace(ctx) != ctx.namespace
    }

    fn service(&self, ctx: &RouteContext) -> ConsulService {
        ConsulService {
            spelling: Spelling::Resource { namespace: self.namespace(ctx).to_owned() },
            name: self.config.service.clone(),
            namespace: self.config.consul_namespace.clone(),
            partition: self.config.partition.clone(),
            stable_subset: self.config.stable_subset().to_owned(),
            canary_subset: self.config.canary_subset().to_owned(),
            meta_key: META_KEY.to_owned(),
        }
    }

    /// The service's object of a kind, where this Rollout may write it.
    fn object<'o>(
        &self,
        ctx: &RouteContext,
        kind: &WatchedKind,
        current: &'o Objects,
    ) -> Result<&'o Value, RouteError> {
        consent::written(ctx, &kind.reference(self.namespace(ctx), &self.config.service), current)
    }

    /// The service's ServiceRouter, which need not exist.
    fn router_object<'o>(&self, ctx: &RouteContext, current: &'o Objects) -> Result<Option<&'o Value>, RouteError> {
        match current.find(&router_object::reference(self.namespace(ctx), &self.config.service)) {
            Some(_) => self.object(ctx, &ROUTERS, current).map(Some),
            None => Ok(None),
        }
    }

    /// An error that reveals nothing of another namespace's object.
    fn shown(&self, ctx: &RouteContext, error: impl Into<RouteError>) -> RouteError {
        let error = error.into();
        if self.is_foreign(ctx) { error.without_content() } else { error }
    }

    /// A protocol that Consul does not split. Where nothing says one it may be that of ProxyDefaults elsewhere: Consul, which
    /// knows, does not take a splitter of a service that it cannot split.
    fn protocol(&self, ctx: &RouteContext, current: &Objects) -> Option<error::ConsulError> {
        let namespace = self.namespace(ctx);
        let own = current.find(&kinds::service_defaults(namespace, &self.config.service));
        let proxies = current.find(&kinds::proxy_defaults(namespace));
        let service = self.service(ctx);
        let protocol = protocol::protocol(&service, own, proxies)?;
        protocol::refusal(&service, Some(protocol))
    }

    /// What is in the way of an intent.
    fn blockers(&self, ctx: &RouteContext, current: &Objects, intent: &RouteIntent) -> Vec<RouteError> {
        let unsupported =
            [(intent.mirror.is_some(), "mirror requests"), (intent.sticky.is_some(), "route users by sticky cookie")];
        let unsupported = unsupported.into_iter().filter(|(is_asked, _)| *is_asked);
        let mut found: Vec<RouteError> =
            unsupported.map(|(_, what)| RouteError::Unsupported { router: KIND.key, what }).collect();
        let resolver = self
            .object(ctx, &RESOLVERS, current)
            .and_then(|resolver| resolver::check(&self.service(ctx), resolver).map_err(|error| self.shown(ctx, error)));
        found.extend(resolver.err());
        found.extend(self.protocol(ctx, current).map(|error| self.shown(ctx, error)));
        found
    }

    fn plan_splitter(
        &self,
        ctx: &RouteContext,
        current: &Objects,
        canary: Percent,
    ) -> Result<Option<PlannedWrite>, RouteError> {
        let now = self.object(ctx, &SPLITTERS, current)?;
        let next = splitter::with_share(&self.service(ctx), now, canary).map_err(|error| self.shown(ctx, error))?;
        Ok((next != *now).then_some(PlannedWrite::Replace(next)))
    }

    fn plan_router(
        &self,
        ctx: &RouteContext,
        current: &Objects,
        headers: &[HeaderRoute],
    ) -> Result<Option<PlannedWrite>, RouteError> {
        let present = self.router_object(ctx, current)?;
        if present.is_none() && self.is_foreign(ctx) && !headers.is_empty() {
            // It would be made in another namespace: its owner consents by making it.
            return self.object(ctx, &ROUTERS, current).map(|_| None);
        }
        let reference = router_object::reference(self.namespace(ctx), &self.config.service);
        let planned = router_object::plan(ctx, &self.service(ctx), (&reference, present), headers);
        planned.map_err(|error| self.shown(ctx, error))
    }
}
