//! Glidepath's entries in a VirtualService in addition to the weights: header routes to the canary, mirrors (rule S15),
//! and sticky users (rules S22 and S70).
//!
//! An own entry is called `glidepath-<name>`, routes (or mirrors) to one of the two destinations, and directly precedes
//! the route that it was derived from, so that it captures nothing from earlier routes. It has that route's timeouts,
//! retries, rewrites and the like, and its matches, each combined with each own match. Every plan removes and re-adds
//! all own entries.

use serde_json::{Map, Value, json};

use super::{
    hosts::{Arm, Arms},
    sticky,
};
use crate::{
    api::{
        Percent,
        strategy::{MirrorRoute, RequestMatch, ValueMatch},
    },
    engine::{Assignment, RouteIntent, Stickiness, Target},
    router::{context::RouteContext, error::RouteError, expression, own::OwnSeen, weights},
};

const PREFIX: &str = "glidepath-";
/// The entry of a mirror that copies only some requests.
const MIRROR: &str = "glidepath-mirror";

/// Reads and writes what is ours in the VirtualServices of one namespace.
pub(super) struct OwnRoutes<'a> {
    pub(super) ctx: &'a RouteContext,
    pub(super) arms: &'a Arms,
    pub(super) namespace: &'a str,
}

impl OwnRoutes<'_> {
    /// What of ours is there.
    pub(super) fn read(&self, object: &Value) -> OwnSeen {
        let entries = object["spec"]["http"].as_array().map_or(&[][..], Vec::as_slice);
        let ours = entries.iter().filter(|entry| self.is_ours(entry));
        let names: Vec<&str> = ours.filter_map(|entry| entry["name"].as_str()?.strip_prefix(PREFIX)).collect();
        let header = |name: &&str| format!("{PREFIX}{name}") != MIRROR && !sticky::is_entry(name);
        let mut headers: Vec<String> = names.iter().copied().filter(header).map(str::to_owned).collect();
        headers.sort();
        headers.dedup();
        let cookies = entries.iter().flat_map(destinations).any(|to| self.is_either(to) && sticky::is_set(to));
        OwnSeen {
            headers,
            mirror: entries.iter().find_map(|entry| self.copied(entry)),
            sticky: cookies || names.iter().any(|name| sticky::is_entry(name)),
        }
    }

    /// The object without anything of ours.
    pub(super) fn without(&self, object: &Value) -> Value {
        let mut bare = object.clone();
        // Not by `[]`, which adds what is absent: a redirect has no `route`, and must not get `route: null`.
        let Some(entries) = bare.pointer_mut("/spec/http").and_then(Value::as_array_mut) else { return bare };
        entries.retain(|entry| !self.is_ours(entry));
        for entry in entries.iter_mut() {
            let to = entry.get_mut("route").and_then(Value::as_array_mut).into_iter().flatten();
            to.filter(|to| self.is_either(to)).for_each(sticky::drop_from);
        }
        entries.iter_mut().filter_map(Value::as_object_mut).for_each(|entry| self.drop_mirror(entry));
        bare
    }

    /// Inserts the own entries before the route at `index`, which has none. `place` names the route in messages. A
    /// route that also has other destinations is not changed: an entry before it would capture their requests.
    pub(super) fn insert(
        &self,
        object: &mut Value,
        index: usize,
        intent: &RouteIntent,
        place: &str,
    ) -> Result<(), RouteError> {
        let Some(entries) = object["spec"]["http"].as_array_mut() else { return Ok(()) };
        let Some(base) = entries.get(index).cloned() else { return Ok(()) };
        let extra = intent.sticky.is_some() || !intent.headers.is_empty() || intent.mirror.is_some();
        if extra && destinations(&base).any(|to| !self.is_either(to)) {
            return Err(RouteError::SharedRoute { place: place.to_owned() });
        }
        let mut ours = Vec::new();
        for route in &intent.headers {
            ours.push(self.entry_to(&base, &route.name, &route.matches, Target::Canary, place)?);
        }
        if let Some(sticky) = &intent.sticky {
            let clears = sticky.clears(intent.canary);
            if !clears {
                self.keep_users(&mut entries[index], sticky, intent.canary, place)?;
            }
            let assigning = &entries[index];
            for users in sticky.users(intent.canary) {
                let name = sticky::entry_name(users.assignment);
                ours.push(match users.assignment {
                    Assignment::Stays(target) => {
                        let mut entry = self.entry_to(&base, name, &[users.requests], target, place)?;
                        if clears {
                            self.keep_users(&mut entry, sticky, intent.canary, place)?;
                        }
                        entry
                    }
                    Assignment::Again(before) => {
                        let mut entry = assigning.clone();
                        entry["name"] = format!("{PREFIX}{name}").into();
                        entry["match"] = joined(&base, &[users.requests], place)?;
                        self.split_again(&mut entry, weights::reassigned(before, intent.canary));
                        entry
                    }
                });
            }
        }
        match &intent.mirror {
            Some(mirror) if mirror.matches.is_empty() => self.copy(&mut entries[index], &base, mirror, place)?,
            Some(mirror) => {
                let mut entry = base.clone();
                entry["name"] = MIRROR.into();
                entry["match"] = joined(&base, &mirror.matches, place)?;
                self.copy(&mut entry, &base, mirror, place)?;
                ours.push(entry);
            }
            None => {}
        }
        entries.splice(index..index, ours);
        Ok(())
    }

    /// By its name, and because it leads to a destination of ours: another Rollout may have entries in the same object.
    fn is_ours(&self, entry: &Value) -> bool {
        let Some(name) = entry["name"].as_str().and_then(|name| name.strip_prefix(PREFIX)) else { return false };
        let receives = |to: &Value| match sticky::only_target(name) {
            Some(target) => self.arms.of(target).receives(self.ctx, self.namespace, to),
            None => self.is_either(to),
        };
        let mut to = destinations(entry).peekable();
        let leads = to.peek().is_some() && to.all(receives);
        leads || self.copied(entry).is_some()
    }

    /// Lets the answers of our destinations set the cookie.
    fn keep_users(
        &self,
        entry: &mut Value,
        sticky: &Stickiness,
        weight: Percent,
        place: &str,
    ) -> Result<(), RouteError> {
        for to in entry["route"].as_array_mut().into_iter().flatten() {
            for target in [Target::Canary, Target::Stable] {
                let ours = self.arms.of(target).receives(self.ctx, self.namespace, to);
                if ours && !sticky::set(to, sticky, target, weight) {
                    return Err(RouteError::CookieTaken { place: place.to_owned() });
                }
            }
        }
        Ok(())
    }

    /// Splits an entry for users who are assigned again.
    fn split_again(&self, entry: &mut Value, [stable, canary]: [u64; 2]) {
        for to in entry["route"].as_array_mut().into_iter().flatten() {
            let is_stable = self.arms.stable.receives(self.ctx, self.namespace, to);
            to["weight"] = json!(if is_stable { stable } else { canary });
        }
    }

    /// The base's requests that match any of these matches, all to one destination.
    fn entry_to(
        &self,
        base: &Value,
        name: &str,
        matches: &[RequestMatch],
        target: Target,
        place: &str,
    ) -> Result<Value, RouteError> {
        let mut entry = base.clone();
        entry["name"] = format!("{PREFIX}{name}").into();
        entry["match"] = joined(base, matches, place)?;
        let mut to = self.destination(base, self.arms.of(target));
        if let Some(to) = to.as_object_mut() {
            to.shift_remove("weight");
        }
        entry["route"] = json!([to]);
        Ok(entry)
    }

    fn destination(&self, base: &Value, arm: &Arm) -> Value {
        destinations(base).find(|to| arm.receives(self.ctx, self.namespace, to)).cloned().unwrap_or_default()
    }

    fn is_either(&self, to: &Value) -> bool {
        [&self.arms.stable, &self.arms.canary].into_iter().any(|arm| arm.receives(self.ctx, self.namespace, to))
    }

    /// Copies requests of an entry: by `mirror`, or as one of `mirrors` where the user has that.
    fn copy(&self, entry: &mut Value, base: &Value, mirror: &MirrorRoute, place: &str) -> Result<(), RouteError> {
        let canary = self.destination(base, &self.arms.canary);
        let (to, share) = (canary["destination"].clone(), json!({"value": number(mirror.percent)}));
        if let Some(list) = entry.get_mut("mirrors").and_then(Value::as_array_mut) {
            list.push(json!({"destination": to, "percentage": share}));
        } else if entry.get("mirror").is_some_and(|mirror| !mirror.is_null()) {
            return Err(RouteError::MirrorTaken { place: place.to_owned() });
        } else {
            entry["mirror"] = to;
            entry["mirrorPercentage"] = share;
        }
        Ok(())
    }

    /// The share that an entry copies to our canary.
    fn copied(&self, entry: &Value) -> Option<Percent> {
        let share = |value: &Value| {
            let percent = value["value"].as_f64().unwrap_or(100.0);
            Percent::from_basis_points((percent * 100.0).round() as u32)
        };
        if self.is_canary(&entry["mirror"]) {
            return Some(share(&entry["mirrorPercentage"]));
        }
        let list = entry["mirrors"].as_array()?;
        list.iter().find(|one| self.is_canary(&one["destination"])).map(|one| share(&one["percentage"]))
    }

    fn drop_mirror(&self, entry: &mut Map<String, Value>) {
        if entry.get("mirror").is_some_and(|mirror| self.is_canary(mirror)) {
            entry.shift_remove("mirror");
            entry.shift_remove("mirrorPercentage");
        }
        if let Some(list) = entry.get_mut("mirrors").and_then(Value::as_array_mut) {
            list.retain(|one| !self.is_canary(&one["destination"]));
        }
    }

    fn is_canary(&self, destination: &Value) -> bool {
        self.arms.canary.receives(self.ctx, self.namespace, &json!({"destination": destination}))
    }
}

fn destinations(entry: &Value) -> impl Iterator<Item = &Value> {
    entry["route"].as_array().into_iter().flatten()
}

/// Whole numbers stay whole: the API server would write 10.0 as 10, which reads back as another value.
fn number(percent: Percent) -> Value {
    match percent.basis_points() {
        whole if whole % 100 == 0 => json!(whole / 100),
        parts => json!(f64::from(parts) / 100.0),
    }
}

/// Each match of the base joined with each of ours; a base without any matches everything.
fn joined(base: &Value, ours: &[RequestMatch], place: &str) -> Result<Value, RouteError> {
    let everything = [json!({})];
    let theirs = base["match"].as_array().filter(|list| !list.is_empty()).map_or(&everything[..], Vec::as_slice);
    let mut all = Vec::new();
    for one in theirs {
        for own in ours {
            let (header, value) = header_match(own);
            let both = with_header(one, &header, value);
            all.push(both.ok_or_else(|| RouteError::HeaderTaken { place: place.to_owned(), header })?);
        }
    }
    Ok(Value::Array(all))
}

/// A match that also wants this header; `None` where it wants it already, or has no headers to want.
fn with_header(one: &Value, header: &str, value: Value) -> Option<Value> {
    let mut both = one.clone();
    let headers = both.as_object_mut()?.entry("headers").or_insert(Value::Null);
    if headers.is_null() {
        *headers = json!({});
    }
    let headers = headers.as_object_mut()?;
    headers.insert(header.to_owned(), value).is_none().then_some(both)
}

/// A header by Istio's lower-case name; a cookie as an expression on the cookie header.
fn header_match(own: &RequestMatch) -> (String, Value) {
    if let Some(cookie) = &own.cookie {
        return ("cookie".to_owned(), json!({"regex": expression::cookie(cookie)}));
    }
    let header = own.header.clone().unwrap_or_default();
    (header.name.to_ascii_lowercase(), text_match(&header))
}

fn text_match(value: &ValueMatch) -> Value {
    match (&value.exact, &value.prefix, &value.regex) {
        (Some(exact), _, _) => json!({"exact": exact}),
        (_, Some(prefix), _) => json!({"prefix": prefix}),
        (_, _, regex) => json!({"regex": regex}),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::strategy::OWN_ROUTES;

    // W11: a header route of such a name would be read back as the entry of something else.
    #[test]
    fn w11_no_header_route_can_have_the_name_of_another_entry() {
        let stays = [Target::Stable, Target::Canary].map(Assignment::Stays);
        let sticky = stays.into_iter().chain([Assignment::Again(Percent::ZERO)]).map(sticky::entry_name);
        let own = sticky.chain(MIRROR.strip_prefix(PREFIX));
        own.for_each(|name| assert!(OWN_ROUTES.contains(&name), "{name}"));
    }
}
