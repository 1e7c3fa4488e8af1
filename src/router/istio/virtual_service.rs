//! The chosen routes of a VirtualService: which destinations are ours, and their weights.

use serde_json::Value;

use super::{
    chosen::{At, Protocol, chosen},
    delegate::{Delegated, root_reference},
    hosts::{self, Arm, Arms},
    kinds::VIRTUAL_SERVICES,
    own_routes::OwnRoutes,
};
use crate::{
    api::{Percent, traffic::VirtualServiceRef},
    engine::{RouteIntent, Target},
    router::{
        consent,
        context::RouteContext,
        error::RouteError,
        objects::Objects,
        weights::{self, Pair},
    },
};

/// Reads and writes the chosen routes of one VirtualService.
pub(super) struct RouteEditor<'a> {
    pub(super) ctx: &'a RouteContext,
    pub(super) arms: &'a Arms,
    pub(super) namespace: &'a str,
    pub(super) reference: &'a VirtualServiceRef,
}

/// The two destinations of a route and all its weights.
struct Weighed {
    weights: Vec<u64>,
    pair: Pair,
}

impl RouteEditor<'_> {
    /// The object, where this Rollout may write it.
    pub(super) fn object<'o>(&self, current: &'o Objects) -> Result<&'o Value, RouteError> {
        consent::written(self.ctx, &VIRTUAL_SERVICES.reference(self.namespace, &self.reference.name), current)
    }

    /// What the root delegates to this one, as far as the intent needs it: the way back goes without.
    pub(super) fn root_for<'o>(
        &self,
        current: &'o Objects,
        intent: &RouteIntent,
    ) -> Result<Option<Delegated<'o>>, RouteError> {
        match self.root(current) {
            Err(_) if intent.is_nothing() => Ok(None),
            root => root,
        }
    }

    /// What the root VirtualService that the Rollout names delegates to this one.
    fn root<'o>(&self, current: &'o Objects) -> Result<Option<Delegated<'o>>, RouteError> {
        let Some(root) = &self.reference.delegate_of else { return Ok(None) };
        let object = consent::written(self.ctx, &root_reference(self.ctx, root), current)?;
        match Delegated::of(object, self.namespace, &self.reference.name) {
            Some(delegated) => Ok(Some(delegated)),
            None => Err(RouteError::NotDelegated {
                root: format!("{}/{}", root.namespace.as_ref().unwrap_or(&self.ctx.namespace), root.name),
                virtual_service: format!("{}/{}", self.namespace, self.reference.name),
            }),
        }
    }

    /// Whether the object belongs to another namespace than the Rollout.
    pub(super) fn is_foreign(&self) -> bool {
        self.namespace != self.ctx.namespace
    }

    /// An error that reveals nothing of another namespace's object.
    fn told(&self, error: RouteError) -> RouteError {
        if self.is_foreign() { error.without_content() } else { error }
    }

    /// Glidepath's own entries in addition to the weights.
    pub(super) fn own(&self) -> OwnRoutes<'_> {
        OwnRoutes { ctx: self.ctx, arms: self.arms, namespace: self.namespace }
    }

    /// The canary's share in each chosen route; `None` where neither destination has weight.
    pub(super) fn shares(&self, object: &Value) -> Result<Vec<Option<Percent>>, RouteError> {
        let bare = self.own().without(object);
        let share_of = |at: At| {
            let Weighed { weights, pair } = self.weighed(at.route(&bare), at)?;
            Ok(weights::share(weights[pair.stable], weights[pair.canary]))
        };
        let chosen = chosen(&bare, self.reference, self.namespace).map_err(|error| self.told(error))?;
        chosen.into_iter().map(|at| share_of(at).map_err(|error| self.told(error))).collect()
    }

    /// The object with the intent in every chosen route that can have it, and why others cannot. `canary` is the intent's
    /// weight on Istio's grain, `root` what a root VirtualService delegates to this one.
    pub(super) fn with_intent(
        &self,
        object: &Value,
        canary: Percent,
        intent: &RouteIntent,
        root: Option<&Delegated<'_>>,
    ) -> (Value, Vec<RouteError>) {
        let mut next = self.own().without(object);
        let chosen = match chosen(&next, self.reference, self.namespace) {
            Ok(chosen) => chosen,
            Err(refusal) => return (object.clone(), vec![self.told(refusal)]),
        };
        // Weights that no request of the root meets are no way forward: the object stays as it is.
        let excluded = chosen.iter().filter_map(|at| self.excluded(&next, *at, intent, root));
        let mut refused: Vec<RouteError> = excluded.map(|error| self.told(error)).collect();
        if !refused.is_empty() {
            return (object.clone(), refused);
        }
        // From the last to the first: what is inserted moves only what comes behind it.
        for at in chosen.into_iter().rev() {
            let place = self.place(at.route(&next), at);
            let written = self.write_weights(&mut next, at, canary);
            let written = written.and_then(|()| self.add_own(&mut next, at, intent, root, &place));
            refused.splice(0..0, written.err().map(|error| self.told(error)));
        }
        (next, refused)
    }

    /// Why a chosen route gets nothing of what its root delegates.
    fn excluded(
        &self,
        object: &Value,
        at: At,
        intent: &RouteIntent,
        root: Option<&Delegated<'_>>,
    ) -> Option<RouteError> {
        let route = at.route(object);
        let root = root.filter(|_| at.protocol == Protocol::Http && !intent.is_nothing())?;
        (!root.reaches(route))
            .then(|| RouteError::DelegateExcluded { place: self.place(route, at), what: "all requests of this route" })
    }

    fn write_weights(&self, object: &mut Value, at: At, canary: Percent) -> Result<(), RouteError> {
        let next = self.next_weights(at.route(object), at, canary)?;
        if let Some(route) = at.route_mut(object) {
            write_weights(route, &next);
        }
        Ok(())
    }

    /// Everything beside the weights. A route that does not get it stays without.
    fn add_own(
        &self,
        object: &mut Value,
        at: At,
        intent: &RouteIntent,
        root: Option<&Delegated<'_>>,
        place: &str,
    ) -> Result<(), RouteError> {
        if at.protocol != Protocol::Http {
            let refusal = (!is_weight_alone(intent)).then(|| RouteError::ConnectionsOnly { place: place.to_owned() });
            return refusal.map_or(Ok(()), Err);
        }
        let Some(root) = root else { return self.own().insert(object, at.index, intent, place) };
        let before = object.clone();
        self.own().insert(object, at.index, intent, place)?;
        let (was, now) = (list(&before), list(object));
        let (ours, base) = (&now[at.index..], at.route(&before));
        let inserted = &ours[..now.len() - was.len()];
        if inserted.iter().all(|own| root.reaches_as(own, base)) {
            return Ok(());
        }
        *object = before;
        let what = "some requests of a header route, mirror or sticky cookie";
        Err(RouteError::DelegateExcluded { place: place.to_owned(), what })
    }

    /// The weights to write, by destination; those that stay as they are have none.
    fn next_weights(&self, route: &Value, at: At, canary: Percent) -> Result<Vec<Option<u64>>, RouteError> {
        let Weighed { weights, pair } = self.weighed(route, at)?;
        let next = weights::split(&weights, pair, canary).map_err(|why| why.at(self.place(route, at), canary))?;
        Ok(weights.iter().zip(next).map(|(now, next)| (*now != next).then_some(next)).collect())
    }

    fn weighed(&self, route: &Value, at: At) -> Result<Weighed, RouteError> {
        if let Some(delegate) = route.get("delegate").filter(|d| !d.is_null()) {
            let name = delegate["name"].as_str().unwrap_or("?");
            let namespace = delegate["namespace"].as_str().unwrap_or(self.namespace);
            let delegate = format!("{namespace}/{name}");
            return Err(RouteError::DelegateRoute { place: self.place(route, at), delegate });
        }
        let pair = Pair {
            stable: self.position(route, at, Target::Stable)?,
            canary: self.position(route, at, Target::Canary)?,
        };
        let weight = |entry: &Value| {
            weight_of(entry).ok_or_else(|| RouteError::InvalidWeight {
                place: self.place(route, at),
                weight: entry["weight"].to_string(),
            })
        };
        let weights = destinations(route).iter().map(weight).collect::<Result<_, _>>()?;
        Ok(Weighed { weights, pair })
    }

    fn position(&self, route: &Value, at: At, target: Target) -> Result<usize, RouteError> {
        let arm = self.arms.of(target);
        let mut ours =
            destinations(route).iter().enumerate().filter(|(_, e)| arm.receives(self.ctx, self.namespace, e));
        let Some((position, _)) = ours.next() else { return Err(self.missing(route, at, target)) };
        match ours.count() {
            0 => Ok(position),
            more => Err(RouteError::AmbiguousDestination {
                place: self.place(route, at),
                wanted: arm.shown(),
                count: more + 1,
            }),
        }
    }

    fn missing(&self, route: &Value, at: At, target: Target) -> RouteError {
        let arm = self.arms.of(target);
        let (place, wanted, hint) = (self.place(route, at), arm.shown(), self.hint(route, arm));
        let lines = self.lines(route, target);
        match target {
            Target::Stable => RouteError::StableDestinationMissing { place, wanted, hint, lines },
            Target::Canary => RouteError::CanaryDestinationMissing { place, wanted, hint, lines },
        }
    }

    /// A destination that was meant to be ours, and how Istio reads it instead.
    fn hint(&self, route: &Value, arm: &Arm) -> String {
        let near = destinations(route).iter().find(|entry| {
            arm.nearly_receives(self.ctx, entry)
                && !Arm { subset: None, ..arm.clone() }.receives(self.ctx, self.namespace, entry)
        });
        let Some(host) = near.and_then(|entry| entry["destination"]["host"].as_str()) else { return String::new() };
        let full = hosts::full(self.ctx, host, self.namespace);
        match full == host {
            true => format!(" (Istio does not expand `{host}`: use the full name)"),
            false => format!(" (Istio expands `{host}` there to `{full}`: use the full name)"),
        }
    }

    /// YAML for the missing destination, with the port of the one that is there.
    fn lines(&self, route: &Value, target: Target) -> String {
        let (arm, other, weight) = match target {
            Target::Stable => (&self.arms.stable, &self.arms.canary, 100),
            Target::Canary => (&self.arms.canary, &self.arms.stable, 0),
        };
        let sibling = destinations(route).iter().find(|entry| other.receives(self.ctx, self.namespace, entry));
        let mut lines = format!("- destination:\n    host: {}\n", arm.spelled_in(self.ctx, self.namespace));
        if let Some(subset) = &arm.subset {
            lines += &format!("    subset: {subset}\n");
        }
        if let Some(port) = sibling.and_then(|entry| entry["destination"]["port"]["number"].as_u64()) {
            lines += &format!("    port:\n      number: {port}\n");
        }
        lines += &format!("  weight: {weight}");
        if target == Target::Canary && sibling.is_some_and(|entry| entry.get("weight").is_none()) {
            lines += "\nand set `weight: 100` on the stable destination";
        }
        lines
    }

    /// `route `primary` of VirtualService shop/checkout`.
    fn place(&self, route: &Value, at: At) -> String {
        let of = format!("of VirtualService {}/{}", self.namespace, self.reference.name);
        let named = route["name"].as_str();
        match named.filter(|name| !self.is_foreign() || self.reference.routes.iter().any(|known| known == name)) {
            Some(name) => format!("route `{name}` {of}"),
            None => format!("{} route {} {of}", at.protocol.list(), at.index + 1),
        }
    }
}

fn is_weight_alone(intent: &RouteIntent) -> bool {
    intent.headers.is_empty() && intent.mirror.is_none() && intent.sticky.is_none()
}

fn list(object: &Value) -> &[Value] {
    object["spec"]["http"].as_array().map_or(&[], Vec::as_slice)
}

fn destinations(route: &Value) -> &[Value] {
    route["route"].as_array().map_or(&[], Vec::as_slice)
}

/// A weight as Istio accepts it: a non-negative int32. Absent means 0 next to others.
fn weight_of(entry: &Value) -> Option<u64> {
    match entry.get("weight") {
        None | Some(Value::Null) => Some(0),
        Some(weight) => weight.as_u64().filter(|w| *w <= i32::MAX as u64),
    }
}

fn write_weights(route: &mut Value, next: &[Option<u64>]) {
    let Some(entries) = route["route"].as_array_mut() else { return };
    for (entry, weight) in entries.iter_mut().zip(next) {
        if let Some(weight) = weight {
            entry["weight"] = Value::from(*weight);
        }
    }
}
