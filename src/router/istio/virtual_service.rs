//! The http routes of a VirtualService: which are chosen, which destinations are ours, and their weights.

use serde_json::Value;

use super::{
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
        let routes = http_routes(&bare);
        let share_of = |index: usize| {
            let Weighed { weights, pair } = self.weighed(&routes[index], index)?;
            Ok(weights::share(weights[pair.stable], weights[pair.canary]))
        };
        let chosen = self.chosen(routes).map_err(|error| self.told(error))?;
        chosen.into_iter().map(|index| share_of(index).map_err(|error| self.told(error))).collect()
    }

    /// The object with the intent in every chosen route that can have it, and why others cannot. `canary` is the intent's
    /// weight on Istio's grain.
    pub(super) fn with_intent(&self, object: Value, canary: Percent, intent: &RouteIntent) -> (Value, Vec<RouteError>) {
        let mut next = self.own().without(&object);
        let chosen = match self.chosen(http_routes(&next)) {
            Ok(chosen) => chosen,
            Err(refusal) => return (object, vec![self.told(refusal)]),
        };
        let mut refused = Vec::new();
        // From the last to the first: what is inserted moves only what comes behind it.
        for index in chosen.into_iter().rev() {
            let place = self.place(&next["spec"]["http"][index], index);
            let route = &mut next["spec"]["http"][index];
            let written = self.next_weights(route, index, canary).map(|weights| write_weights(route, &weights));
            let written = written.and_then(|()| self.own().insert(&mut next, index, intent, &place));
            refused.splice(0..0, written.err().map(|error| self.told(error)));
        }
        (next, refused)
    }

    /// The weights to write, by destination; those that stay as they are have none.
    fn next_weights(&self, route: &Value, index: usize, canary: Percent) -> Result<Vec<Option<u64>>, RouteError> {
        let Weighed { weights, pair } = self.weighed(route, index)?;
        let next = weights::split(&weights, pair, canary).map_err(|why| why.at(self.place(route, index), canary))?;
        Ok(weights.iter().zip(next).map(|(now, next)| (*now != next).then_some(next)).collect())
    }

    /// The indices of the routes that the Rollout names, or the only one there is.
    fn chosen(&self, routes: &[Value]) -> Result<Vec<usize>, RouteError> {
        let virtual_service = format!("{}/{}", self.namespace, self.reference.name);
        if routes.is_empty() {
            return Err(RouteError::NoHttpRoute { virtual_service });
        }
        if self.reference.routes.is_empty() {
            return match routes.len() {
                1 => Ok(vec![0]),
                _ => Err(RouteError::RouteNameNeeded { virtual_service, exist: shown_names(routes) }),
            };
        }
        let mut chosen = Vec::new();
        for name in &self.reference.routes {
            let found = routes.iter().enumerate().filter(|(_, r)| r["name"].as_str() == Some(name)).map(|(i, _)| i);
            let before = chosen.len();
            chosen.extend(found);
            if chosen.len() == before {
                return Err(RouteError::RouteNotFound {
                    virtual_service,
                    route: name.clone(),
                    exist: shown_names(routes),
                });
            }
        }
        chosen.sort_unstable();
        chosen.dedup();
        Ok(chosen)
    }

    fn weighed(&self, route: &Value, index: usize) -> Result<Weighed, RouteError> {
        if let Some(delegate) = route.get("delegate").filter(|d| !d.is_null()) {
            let name = delegate["name"].as_str().unwrap_or("?");
            let namespace = delegate["namespace"].as_str().unwrap_or(self.namespace);
            let delegate = format!("{namespace}/{name}");
            return Err(RouteError::DelegateRoute { place: self.place(route, index), delegate });
        }
        let pair = Pair {
            stable: self.position(route, index, Target::Stable)?,
            canary: self.position(route, index, Target::Canary)?,
        };
        let weight = |entry: &Value| {
            weight_of(entry).ok_or_else(|| RouteError::InvalidWeight {
                place: self.place(route, index),
                weight: entry["weight"].to_string(),
            })
        };
        let weights = destinations(route).iter().map(weight).collect::<Result<_, _>>()?;
        Ok(Weighed { weights, pair })
    }

    fn position(&self, route: &Value, index: usize, target: Target) -> Result<usize, RouteError> {
        let arm = self.arms.of(target);
        let mut ours =
            destinations(route).iter().enumerate().filter(|(_, e)| arm.receives(self.ctx, self.namespace, e));
        let Some((position, _)) = ours.next() else { return Err(self.missing(route, index, target)) };
        match ours.count() {
            0 => Ok(position),
            more => Err(RouteError::AmbiguousDestination {
                place: self.place(route, index),
                wanted: arm.shown(),
                count: more + 1,
            }),
        }
    }

    fn missing(&self, route: &Value, index: usize, target: Target) -> RouteError {
        let arm = self.arms.of(target);
        let (place, wanted, hint) = (self.place(route, index), arm.shown(), self.hint(route, arm));
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
    fn place(&self, route: &Value, index: usize) -> String {
        let of = format!("of VirtualService {}/{}", self.namespace, self.reference.name);
        let named = route["name"].as_str();
        match named.filter(|name| !self.is_foreign() || self.reference.routes.iter().any(|known| known == name)) {
            Some(name) => format!("route `{name}` {of}"),
            None => format!("http route {} {of}", index + 1),
        }
    }
}

fn http_routes(object: &Value) -> &[Value] {
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

/// The names of routes, for display: `` `primary`, `beta` and 1 without a name``.
fn shown_names(routes: &[Value]) -> String {
    let names: Vec<String> = routes.iter().filter_map(|r| r["name"].as_str()).map(|n| format!("`{n}`")).collect();
    match (names.is_empty(), routes.len() - names.len()) {
        (true, unnamed) => format!("{unnamed} without a name"),
        (false, 0) => names.join(", "),
        (false, unnamed) => format!("{} and {unnamed} without a name", names.join(", ")),
    }
}
