//! Any kind of object that holds weights: a preset that ships as a file, or what the Rollout says of a kind that no release
//! knows.

pub mod error;
mod header_rules;
mod headers;
mod kinds;
mod lists;
mod matched;
mod needs;
mod object;
mod path;
mod place;
mod presets;
mod shape;
mod specificity;
mod template;
mod two_fields;

use super::{
    consent,
    context::RouteContext,
    error::RouteError,
    kind::{Capabilities, RbacRule, Router, RouterKind, WatchedKind},
    objects::{ListRef, ObjectRef, Objects, Plan, PlannedWrite},
    own::OwnSeen,
    weights,
};
use crate::{
    api::{Percent, analysis::Pack, traffic::CustomTraffic},
    engine::{RouteIntent, RouteSeen},
};
use error::{CustomError, Defect};
use headers::Headers;
pub use needs::unmet;
use object::CustomObject;
pub use presets::{Preset, presets};
use shape::Shape;
pub use shape::named_kind;

const WRITES: &[&str] = &["list", "watch", "update"];

/// Kinds that a Rollout names, in the registry.
pub const KIND: RouterKind = RouterKind {
    key: "custom",
    summary: "Any other kind of route: weights at the paths of a preset, or of your own",
    docs: DOCS,
    example: EXAMPLE,
    capabilities: Capabilities {
        grain: Percent::from_basis_points(1),
        header: true,
        cookie: true,
        mirror: false,
        sticky: false,
    },
    pack: Pack::Application,
    rbac: &[
        RbacRule { group: "apisix.apache.org", resources: &["apisixroutes"], verbs: WRITES },
        RbacRule { group: "projectcontour.io", resources: &["httpproxies"], verbs: WRITES },
        RbacRule { group: "gateway.solo.io", resources: &["routetables"], verbs: WRITES },
        RbacRule { group: "gloo.solo.io", resources: &["upstreamgroups"], verbs: WRITES },
        RbacRule { group: "kuma.io", resources: &["meshhttproutes"], verbs: WRITES },
        consent::RBAC,
    ],
    watches: &[consent::GRANTS],
    build: |entry| entry.custom.clone().map(|config| Box::new(Custom::new(config)) as Box<dyn Router>),
};

const DOCS: &str = "\
One object of any namespaced kind, in which the weights of the stable and the canary Service are written. \
A preset says which kind and where: `apisix`, `contour`, `gloo`, `gloo-upstream-group`, `kuma`, `kuma-labels`. Without one the fields do: \
`apiVersion` and `kind`; `backends` with the path of the lists of backends and the fields of an entry, or `fields` with the \
paths of the weights. A field that is set overrides the preset.

In each list that names one of the two Services both must be there; other entries keep their share and are not touched. \
Weights are relative: 100 in total, or 10,000 where a weight is finer than 1 %. With `total` they add up to that number, \
the finest weight is one part of it, and other entries keep their numbers.

`verified` is a CEL condition on the object's status: after a write the step waits until it is true.

With `headers`, which the presets `contour`, `gloo`, `kuma` and `kuma-labels` have, a header route is a rule of its own directly before each \
rule that is split: a copy of that rule with one more match, which leads to the canary alone. Glidepath recognizes its rules \
by the annotation `glidepath.dev/rules`. A prefix or a cookie is a regular expression where there is no other form. Without \
`headers`, or without a form for a match, header and cookie routes are rejected when the Rollout is validated, as mirrors and \
sticky cookies always are.

Kinds of Kubernetes, of Glidepath, of the other routers, and whatever holds secrets are refused. The controller needs \
`list`, `watch` and `update` on the kind: presets have them, a kind of your own needs a ClusterRole with the label \
`glidepath.dev/aggregate-to-controller: \"true\"`. An object of another namespace is written only when its owner \
consents: by the annotation `glidepath.dev/allow-namespaces: shop` on it (a list, or `*`), or by a ReferenceGrant there.";

const EXAMPLE: &str = "\
custom:
  preset: contour
  name: checkout
";

/// One `custom` entry of `spec.traffic`.
#[derive(Debug)]
struct Custom {
    config: CustomTraffic,
    /// What it says together with its preset. An entry with a defect writes nothing and has no kind to watch.
    shape: Result<Shape, Vec<Defect>>,
}

impl Router for Custom {
    fn key(&self) -> &'static str {
        KIND.key
    }

    fn kinds(&self) -> Vec<WatchedKind> {
        self.shape.iter().map(|shape| shape.kind.clone()).collect()
    }

    fn declared(&self) -> Option<Capabilities> {
        let shape = self.shape.as_ref().ok()?;
        let headers = shape.headers.as_ref();
        Some(Capabilities {
            grain: shape.grain(),
            header: headers.is_some(),
            cookie: headers.is_some_and(Headers::has_regex),
            ..KIND.capabilities
        })
    }

    fn pack(&self) -> Option<Pack> {
        let preset = self.config.preset.as_deref()?;
        presets().find(|known| known.name == preset).map(|known| known.pack)
    }

    fn objects(&self, ctx: &RouteContext) -> Vec<ObjectRef> {
        self.object(ctx).iter().map(CustomObject::reference).collect()
    }

    fn lists(&self, ctx: &RouteContext) -> Vec<ListRef> {
        consent::foreign_grants(ctx, self.object(ctx).iter().map(CustomObject::namespace))
    }

    fn read(&self, ctx: &RouteContext, current: &Objects, known: &RouteIntent) -> Result<RouteSeen, RouteError> {
        let object = self.object(ctx)?;
        let (weight, disagreement) = weights::agreed(&object.shares(current)?);
        let own = OwnSeen { headers: object.header_routes(current)?, ..OwnSeen::default() };
        let says = |canary| {
            let (next, refused) = object.next(current, &own.intent(canary, known));
            next.is_none() && refused.is_empty()
        };
        let drifted = !weight.is_some_and(says);
        Ok(RouteSeen { weight, disagreement, headers: own.headers, drifted, ..RouteSeen::default() })
    }

    fn pending(&self, ctx: &RouteContext, current: &Objects) -> Option<String> {
        self.object(ctx).ok()?.pending(current)
    }

    fn plan_all(&self, ctx: &RouteContext, current: &Objects, intent: &RouteIntent) -> Plan {
        let mut plan = Plan::default();
        let unsupported =
            [(intent.mirror.is_some(), "mirror requests"), (intent.sticky.is_some(), "route users by sticky cookie")];
        let unsupported = unsupported.into_iter().filter(|(is_asked, _)| *is_asked);
        plan.refused.extend(unsupported.map(|(_, what)| RouteError::Unsupported { router: KIND.key, what }));
        match self.object(ctx) {
            Ok(object) => {
                let (next, refused) = object.next(current, intent);
                plan.writes.extend(next.map(PlannedWrite::Replace));
                plan.refused.extend(refused);
            }
            Err(refusal) => plan.refused.push(refusal),
        }
        plan
    }

    fn hand_back(&self, ctx: &RouteContext, current: &Objects) -> Vec<PlannedWrite> {
        self.plan_all(ctx, current, &RouteIntent::weight(Percent::ZERO)).writes
    }
}

impl Custom {
    fn new(config: CustomTraffic) -> Self {
        let shape = Shape::of(&config);
        Custom { config, shape }
    }

    fn object<'a>(&'a self, ctx: &'a RouteContext) -> Result<CustomObject<'a>, RouteError> {
        let CustomTraffic { namespace, name, .. } = &self.config;
        match &self.shape {
            Ok(shape) => Ok(CustomObject::new(ctx, shape, namespace.as_deref(), name)),
            Err(defects) => Err(RouteError::from(CustomError::of(defects))),
        }
    }
}
