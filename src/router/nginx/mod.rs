//! ingress-nginx: a canary Ingress of ours next to the user's Ingress, which is only read.
//!
//! The canary Ingress exists while the canary has weight or a header route, and no longer: ingress-nginx sends a user with
//! a session cookie of the canary there whatever the weight is, so that only its deletion brings everyone back to stable.

mod canary_ingress;
mod conditions;
mod kinds;
mod needs;

use super::{
    context::RouteContext,
    error::RouteError,
    kind::{Capabilities, RbacRule, Router, RouterKind},
    objects::{ListRef, ObjectRef, Objects, Plan, PlannedWrite},
    own::OwnSeen,
};
use crate::{
    api::{Percent, analysis::Pack, traffic::NginxTraffic},
    engine::{RouteIntent, RouteSeen},
};
use canary_ingress::CanaryIngress;
use kinds::{GROUP, INGRESSES, PLURAL, users};
pub use needs::unmet;

const GRAIN: Percent = Percent::from_basis_points(1);

/// ingress-nginx in the registry.
pub const KIND: RouterKind = RouterKind {
    key: "nginx",
    summary: "ingress-nginx: a canary Ingress with weight, header and cookie annotations",
    docs: DOCS,
    example: EXAMPLE,
    capabilities: Capabilities { grain: GRAIN, header: true, cookie: true, mirror: false, sticky: false },
    pack: Pack::Nginx,
    rbac: &[RbacRule { group: GROUP, resources: &[PLURAL], verbs: &["list", "watch", "create", "update", "delete"] }],
    watches: &[INGRESSES],
    build: |entry| entry.nginx.clone().map(|config| Box::new(Nginx { config }) as Box<dyn Router>),
};

const DOCS: &str = "\
Your Ingress stays as it is. Its paths lead to the stable Service. While the canary has weight or a header route there is \
a second Ingress, `<rollout>-<ingress>-canary`, with the same hosts and paths to the canary Service and the annotations \
`canary`, `canary-weight` and `canary-weight-total` (100, or 10,000 where a weight is finer than 1 %). It belongs to the \
Rollout and is deleted when the weight is 0 again: ingress-nginx keeps a user with a session cookie of the canary there \
even at weight 0.

The class, TLS and the annotations `load-balance`, `upstream-hash-by` with its two `-subset` settings, `service-upstream` \
and `affinity-canary-behavior` are copied; ingress-nginx takes everything else from your Ingress.

Header routes are `canary-by-header` with a value or a pattern, and `canary-by-cookie`, which sends requests whose cookie \
is `always` to the canary and those whose cookie is `never` to stable. There is one of each at a time: a second header \
or cookie, another value of a cookie, and characters that ingress-nginx drops are rejected when the Rollout is validated, \
and so are mirrors and sticky cookies.

ingress-nginx reads one canary Ingress for a path: where there is one of yours, the Rollout waits until it is deleted.

Several Ingresses are several entries of `spec.traffic`.";

const EXAMPLE: &str = "\
nginx:
  ingress: checkout
";

/// One `nginx` entry of `spec.traffic`.
#[derive(Clone, Debug)]
struct Nginx {
    config: NginxTraffic,
}

impl Router for Nginx {
    fn key(&self) -> &'static str {
        KIND.key
    }

    fn objects(&self, ctx: &RouteContext) -> Vec<ObjectRef> {
        vec![users(&ctx.namespace, &self.config.ingress), self.canary(ctx).reference()]
    }

    /// All Ingresses: another's canary of the same path is in the way.
    fn lists(&self, ctx: &RouteContext) -> Vec<ListRef> {
        vec![INGRESSES.all(&ctx.namespace)]
    }

    fn read(&self, ctx: &RouteContext, current: &Objects, known: &RouteIntent) -> Result<RouteSeen, RouteError> {
        let canary = self.canary(ctx);
        let present = canary.present(current)?;
        let weight = present.map_or(Some(Percent::ZERO), |object| canary.weight(object));
        let headers = present.map(CanaryIngress::header_routes).unwrap_or_default();
        let own = OwnSeen { headers, ..OwnSeen::default() };
        let intent = own.intent(weight.unwrap_or_default(), known);
        let drifted = !self.plan(ctx, current, &intent)?.is_empty() || weight.is_none();
        Ok(RouteSeen { weight, headers: own.headers, drifted, ..RouteSeen::default() })
    }

    fn plan_all(&self, ctx: &RouteContext, current: &Objects, intent: &RouteIntent) -> Plan {
        let canary = self.canary(ctx);
        let mut plan = Plan::default();
        let unsupported =
            [(intent.mirror.is_some(), "mirror requests"), (intent.sticky.is_some(), "route users by sticky cookie")];
        let unsupported = unsupported.into_iter().filter(|(is_asked, _)| *is_asked);
        plan.refused.extend(unsupported.map(|(_, what)| RouteError::Unsupported { router: KIND.key, what }));
        match canary.next(current, intent) {
            Ok(write) => plan.writes.extend(write),
            Err(refusal) => {
                plan.refused.push(refusal);
                // On the way back nothing holds it up.
                let removal = intent.is_nothing().then(|| canary.removal(current)).flatten();
                plan.writes.extend(removal);
            }
        }
        plan
    }

    fn hand_back(&self, ctx: &RouteContext, current: &Objects) -> Vec<PlannedWrite> {
        self.canary(ctx).removal(current).into_iter().collect()
    }
}

impl Nginx {
    fn canary<'a>(&'a self, ctx: &'a RouteContext) -> CanaryIngress<'a> {
        CanaryIngress { ctx, config: &self.config }
    }
}
