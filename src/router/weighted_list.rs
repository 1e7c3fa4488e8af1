//! Routers that write nothing but the weights of one list in a user's object: a Traefik service, a TrafficSplit.
//!
//! Such a router says where its list is and how an entry names a Service and spells a weight ([`ListForm`]); finding the
//! two entries, keeping the shares of all others, drift and refusals are the same for all of them.

use std::{collections::BTreeSet, fmt::Debug};

use serde_json::Value;

use super::{
    consent,
    context::RouteContext,
    error::RouteError,
    kind::{Router, WatchedKind},
    objects::{ListRef, ObjectRef, Objects, Plan, PlannedWrite},
    weights::{self, Pair},
};
use crate::{
    api::Percent,
    engine::{RouteIntent, RouteSeen, Target},
};

/// The finest weight that is written: lists have whole numbers, of which only the ratio counts.
pub(super) const GRAIN: Percent = Percent::from_basis_points(1);

/// What the objects of one kind look like.
pub(super) trait ListForm: Send + Sync + Debug {
    /// The router's key in `spec.traffic`.
    const KEY: &'static str;
    /// The kind of object.
    const KIND: &'static WatchedKind;
    /// Where the list is, as a JSON pointer.
    const LIST: &'static str;

    /// The objects of the Rollout, by namespace and name; the namespace is absent where it is the Rollout's.
    fn named(&self) -> Vec<(Option<&str>, &str)>;

    /// Whether an entry, in an object of `namespace`, sends to a Service of the Rollout.
    fn sends_to(&self, ctx: &RouteContext, namespace: &str, entry: &Value, service: &str) -> bool;

    /// The weight of an entry, in any unit that is the same for all of a list; `None` when it is not a valid one.
    fn weight(&self, entry: &Value) -> Option<u64>;

    /// Whether the weight of an entry is spelled as this version of the object wants it.
    fn is_well_spelled(&self, _version: &str, _entry: &Value) -> bool {
        true
    }

    /// Puts a weight into an entry.
    fn write(&self, version: &str, entry: &mut Value, weight: u64);

    /// YAML of a missing entry without its weight. `sibling` is the other entry of the two, where it may be shown.
    fn lines(&self, ctx: &RouteContext, namespace: &str, service: &str, sibling: Option<&Value>) -> String;
}

/// The router of one entry of `spec.traffic`.
#[derive(Debug)]
pub(super) struct WeightedLists<F>(pub(super) F);

/// One object with its list, as far as a plan needs it.
struct Listed<'a, F> {
    form: &'a F,
    ctx: &'a RouteContext,
    namespace: String,
    name: String,
}

/// The weights of a list and which of them are ours.
struct Weighed {
    weights: Vec<u64>,
    pair: Pair,
}

impl<F: ListForm> Router for WeightedLists<F> {
    fn key(&self) -> &'static str {
        F::KEY
    }

    fn objects(&self, ctx: &RouteContext) -> Vec<ObjectRef> {
        self.listed(ctx).iter().map(Listed::reference).collect()
    }

    fn lists(&self, ctx: &RouteContext) -> Vec<ListRef> {
        consent::foreign_grants(ctx, self.listed(ctx).iter().map(|one| &one.namespace))
    }

    fn read(&self, ctx: &RouteContext, current: &Objects, _known: &RouteIntent) -> Result<RouteSeen, RouteError> {
        let shares: Vec<Option<Percent>> =
            self.listed(ctx).iter().map(|one| one.share(one.object(current)?)).collect::<Result<_, _>>()?;
        let (weight, disagreement) = weights::agreed(&shares);
        let drifted = match weight {
            Some(canary) => !self.plan(ctx, current, &RouteIntent::weight(canary))?.is_empty(),
            None => true,
        };
        Ok(RouteSeen { weight, disagreement, drifted, ..RouteSeen::default() })
    }

    fn plan_all(&self, ctx: &RouteContext, current: &Objects, intent: &RouteIntent) -> Plan {
        let mut plan = Plan::default();
        if !(intent.headers.is_empty() && intent.mirror.is_none() && intent.sticky.is_none()) {
            plan.refused
                .push(RouteError::Unsupported { router: F::KEY, what: "route requests by anything but weight" });
        }
        for one in self.listed(ctx) {
            match one.object(current).and_then(|object| one.next(object, intent.canary)) {
                Ok(next) => plan.writes.extend(next.map(PlannedWrite::Replace)),
                Err(refusal) => plan.refused.push(refusal),
            }
        }
        plan
    }

    fn hand_back(&self, ctx: &RouteContext, current: &Objects) -> Vec<PlannedWrite> {
        self.plan_all(ctx, current, &RouteIntent::weight(Percent::ZERO)).writes
    }
}

impl<F: ListForm> WeightedLists<F> {
    /// Each object once.
    fn listed<'a>(&'a self, ctx: &'a RouteContext) -> Vec<Listed<'a, F>> {
        let named = self.0.named().into_iter();
        let all: BTreeSet<(&str, &str)> =
            named.map(|(namespace, name)| (namespace.unwrap_or(&ctx.namespace), name)).collect();
        let listed = |(namespace, name): (&str, &str)| Listed {
            form: &self.0,
            ctx,
            namespace: namespace.to_owned(),
            name: name.to_owned(),
        };
        all.into_iter().map(listed).collect()
    }
}

impl<F: ListForm> Listed<'_, F> {
    fn reference(&self) -> ObjectRef {
        F::KIND.reference(&self.namespace, &self.name)
    }

    fn is_foreign(&self) -> bool {
        self.namespace != self.ctx.namespace
    }

    /// The object, where this Rollout may write it.
    fn object<'o>(&self, current: &'o Objects) -> Result<&'o Value, RouteError> {
        consent::written(self.ctx, &self.reference(), current)
    }

    /// The canary's share; `None` where neither entry has weight.
    fn share(&self, object: &Value) -> Result<Option<Percent>, RouteError> {
        let Weighed { weights, pair } = self.weighed(object)?;
        Ok(weights::share(weights[pair.stable], weights[pair.canary]))
    }

    /// The object with the canary's weight; `None` where it says so already.
    fn next(&self, object: &Value, canary: Percent) -> Result<Option<Value>, RouteError> {
        let Weighed { weights, pair } = self.weighed(object)?;
        let next = weights::split(&weights, pair, canary).map_err(|why| why.at(self.place(), canary))?;
        let version = version_of(object);
        let well_spelled = entries::<F>(object).iter().all(|entry| self.form.is_well_spelled(version, entry));
        if next == weights && well_spelled {
            return Ok(None);
        }
        // The weights as read may be in another unit than what is written.
        let next = if next == weights { weights::lowest_terms(&weights) } else { next };
        let mut written = object.clone();
        let list = written.pointer_mut(F::LIST).and_then(Value::as_array_mut).into_iter().flatten();
        list.zip(next).for_each(|(entry, weight)| self.form.write(version, entry, weight));
        Ok(Some(written))
    }

    fn weighed(&self, object: &Value) -> Result<Weighed, RouteError> {
        let entries = entries::<F>(object);
        let pair =
            Pair { stable: self.position(entries, Target::Stable)?, canary: self.position(entries, Target::Canary)? };
        let weight = |entry: &Value| {
            self.form.weight(entry).ok_or_else(|| RouteError::InvalidWeight {
                place: self.place(),
                weight: if self.is_foreign() { "(not shown)".to_owned() } else { entry["weight"].to_string() },
            })
        };
        let weights = entries.iter().map(weight).collect::<Result<_, _>>()?;
        Ok(Weighed { weights, pair })
    }

    fn position(&self, entries: &[Value], target: Target) -> Result<usize, RouteError> {
        let mut ours = entries.iter().enumerate().filter(|(_, entry)| self.is_for(entry, target));
        let Some((position, _)) = ours.next() else { return Err(self.missing(entries, target)) };
        match ours.count() {
            0 => Ok(position),
            more => Err(RouteError::AmbiguousDestination {
                place: self.place(),
                wanted: format!("Service `{}`", self.service(target)),
                count: more + 1,
            }),
        }
    }

    fn is_for(&self, entry: &Value, target: Target) -> bool {
        self.form.sends_to(self.ctx, &self.namespace, entry, self.service(target))
    }

    fn service(&self, target: Target) -> &str {
        match target {
            Target::Stable => &self.ctx.stable_service,
            Target::Canary => &self.ctx.canary_service,
        }
    }

    fn missing(&self, entries: &[Value], target: Target) -> RouteError {
        let (other, weight) = match target {
            Target::Stable => (Target::Canary, 100),
            Target::Canary => (Target::Stable, 0),
        };
        // H7: another namespace's ports are not shown.
        let sibling = entries.iter().find(|entry| self.is_for(entry, other)).filter(|_| !self.is_foreign());
        let lines = self.form.lines(self.ctx, &self.namespace, self.service(target), sibling);
        RouteError::EntryMissing {
            place: self.place(),
            target,
            service: self.service(target).to_owned(),
            list: F::LIST.trim_start_matches('/').replace('/', "."),
            lines: format!("{lines}  weight: {weight}"),
        }
    }

    /// `TraefikService shop/checkout`.
    fn place(&self) -> String {
        format!("{} {}/{}", F::KIND.kind, self.namespace, self.name)
    }
}

fn entries<F: ListForm>(object: &Value) -> &[Value] {
    object.pointer(F::LIST).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

/// `v1alpha2` of `split.smi-spec.io/v1alpha2`.
fn version_of(object: &Value) -> &str {
    object["apiVersion"].as_str().and_then(|version| version.rsplit('/').next()).unwrap_or_default()
}

/// A weight that is a whole number of at most 31 bits.
pub(super) fn whole(weight: &Value) -> Option<u64> {
    weight.as_u64().filter(|weight| *weight <= i32::MAX as u64)
}
