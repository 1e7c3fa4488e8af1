//! The rules of one route: which are chosen, which backends are ours, and their weights.

use std::borrow::Cow;

use serde_json::Value;

use super::{
    backends::{self, Backends},
    conditions,
    error::GatewayError,
    kinds::{GRAIN, GROUP, watched},
    linkerd,
    own_rules::{self, OwnRules},
    precedence::Placed,
    sessions,
};
use crate::{
    api::{Percent, traffic::GatewayRoute},
    engine::{RouteIntent, Target},
    router::{
        consent::{self, Referrer},
        context::RouteContext,
        error::RouteError,
        objects::Objects,
        record::Record,
        weights::{self, Pair, on_grain},
    },
};

/// The largest weight that the API server accepts.
const LARGEST: u64 = 1_000_000;

/// Reads and writes the chosen rules of one route.
pub(super) struct RouteEditor<'a> {
    ctx: &'a RouteContext,
    route: &'a GatewayRoute,
    namespace: &'a str,
    /// `HTTPRoute shop/checkout`.
    shown: String,
}

/// The two backends of a rule and all its weights.
struct Weighed {
    weights: Vec<u64>,
    pair: Pair,
}

impl<'a> RouteEditor<'a> {
    pub(super) fn of(ctx: &'a RouteContext, namespace: &'a str, route: &'a GatewayRoute) -> Self {
        RouteEditor { ctx, route, namespace, shown: format!("{} {namespace}/{}", route.kind, route.name) }
    }

    /// The object, where this Rollout may write it.
    pub(super) fn object<'o>(&self, current: &'o Objects) -> Result<&'o Value, RouteError> {
        consent::written(self.ctx, &watched(self.route.kind).reference(self.namespace, &self.route.name), current)
    }

    /// The object, whoever may write it.
    pub(super) fn found<'o>(&self, current: &'o Objects) -> Option<&'o Value> {
        current.find(&watched(self.route.kind).reference(self.namespace, &self.route.name))
    }

    /// Whether the route may refer to the Rollout's Services. The way back does not need it: it sends them no request anew.
    pub(super) fn may_lead(&self, current: &Objects) -> Result<(), RouteError> {
        let missing: Vec<String> = [Target::Stable, Target::Canary]
            .into_iter()
            .map(|target| self.backends().service(target))
            .filter(|service| self.is_foreign() && !self.may_refer(service, current))
            .map(|service| format!("`{service}`"))
            .collect();
        if missing.is_empty() {
            return Ok(());
        }
        let from = format!("{} ({GROUP}) of namespace {}", self.route.kind, self.namespace);
        let (route, services, ours) = (self.shown.clone(), missing.join(" and "), self.ctx.namespace.clone());
        Err(GatewayError::BackendNotGranted { route, from, services, ours }.into())
    }

    fn may_refer(&self, service: &str, current: &Objects) -> bool {
        let from = Referrer { group: GROUP, kind: self.route.kind.as_str(), namespace: self.namespace };
        consent::granted(current, &self.ctx.namespace, from, ("", "Service", service))
    }

    /// Whether the object belongs to another namespace than the Rollout.
    pub(super) fn is_foreign(&self) -> bool {
        self.namespace != self.ctx.namespace
    }

    /// An error that reveals nothing of another namespace's object.
    fn reported(&self, error: impl Into<RouteError>) -> RouteError {
        if self.is_foreign() { error.into().without_content() } else { error.into() }
    }

    /// Why the implementation does not use the object as it is.
    pub(super) fn not_accepted(&self, object: &Value) -> Option<RouteError> {
        conditions::refusal(object, &self.shown).map(|error| self.reported(error))
    }

    /// Why the implementation may still use the object as it was before.
    pub(super) fn pending(&self, object: &Value) -> Option<String> {
        let Some(status) = conditions::lagging(object) else {
            return self
                .not_accepted(object)
                .filter(|_| conditions::keeps_the_old(object))
                .map(|error| error.to_string());
        };
        let (controller, parent) = conditions::shown(status);
        Some(match self.is_foreign() {
            true => format!("the controller of {} has not reconciled it yet", self.shown),
            false => format!("{controller} has not reconciled {} for {parent} yet", self.shown),
        })
    }

    fn backends(&self) -> Backends<'a> {
        Backends { ctx: self.ctx, namespace: self.namespace }
    }

    /// Glidepath's own rules in addition to the weights.
    pub(super) fn own(&self) -> OwnRules<'_> {
        OwnRules { backends: self.backends(), kind: self.route.kind, shown: &self.shown }
    }

    /// The canary's share in each chosen rule; `None` where neither backend has weight.
    pub(super) fn shares(&self, object: &Value) -> Result<Vec<Option<Percent>>, RouteError> {
        let bare = self.own().without(object);
        let rules = own_rules::rules(&bare);
        let is_mesh = !linkerd::parents(object, self.namespace).is_empty();
        let share_of = |index: usize| {
            let Weighed { weights, pair } = self.weighed(&rules[index], index)?;
            if is_mesh {
                self.have_ports(&rules[index], index, pair)?;
            }
            Ok(weights::share(weights[pair.stable], weights[pair.canary]))
        };
        let (chosen, missing) = self.chosen(rules);
        if let Some(missing) = missing {
            return Err(self.reported(missing));
        }
        chosen.into_iter().map(|index| share_of(index).map_err(|error: RouteError| self.reported(error))).collect()
    }

    /// Whether a chosen rule keeps sessions.
    pub(super) fn keeps_sessions(&self, object: &Value) -> bool {
        let rules = own_rules::rules(object);
        let (chosen, _) = self.chosen(rules);
        chosen.into_iter().filter_map(|index| rules.get(index)).any(sessions::kept_by)
    }

    /// The object with the intent in every chosen rule that can have it, and why others cannot.
    pub(super) fn with_intent(
        &self,
        object: &Value,
        canary: Percent,
        intent: &RouteIntent,
    ) -> (Value, Vec<RouteError>) {
        let mut next = self.own().without(object);
        let (chosen, missing) = self.chosen(own_rules::rules(&next));
        let missing = missing.map(|missing| self.reported(missing));
        if chosen.is_empty() {
            let kept = if intent.is_nothing() { next } else { object.clone() };
            return (kept, missing.into_iter().collect());
        }
        let (intent, mut refused) = self.possible(object, intent);
        let begins = !self.own().has_all(object, &intent);
        if let Some(refusal) = begins.then(|| self.refused_later(object, &intent)).flatten() {
            return (object.clone(), vec![refusal]);
        }
        let share_dropped = !refused.is_empty() && self.own().is_share_dropped(object);
        let mut record = Record { share_dropped, ..Record::default() };
        let mut later = Vec::new();
        // What is in force stays: only what is new takes requests from others.
        let bare = if begins { next.clone() } else { Value::Null };
        let others = own_rules::rules(&bare).iter().enumerate().map(|(index, rule)| Placed { index, rule });
        let others: Vec<Placed<'_>> = others.filter(|other| !chosen.contains(&other.index)).collect();
        let Some(rules) = next.pointer_mut("/spec/rules").and_then(Value::as_array_mut) else {
            return (object.clone(), refused);
        };
        refused.extend(missing);
        // From the last to the first: what is inserted moves only what comes behind it.
        for index in chosen.into_iter().rev() {
            let place = self.place(&rules[index], index);
            let written = self.write_weights(&mut rules[index], index, canary);
            let written = written.and_then(|()| self.own().insert(rules, index, &intent, &mut record, &place, &others));
            later.splice(0..0, written.err().map(|error| self.reported(error)));
        }
        record.require(&intent.headers);
        record.write(self.ctx, &mut next);
        refused.extend(later);
        (next, refused)
    }

    /// Why the rules for sticky users will not fit at the last weight of the release: it is refused at the first.
    fn refused_later(&self, object: &Value, intent: &RouteIntent) -> Option<RouteError> {
        let last = *intent.sticky.as_ref()?.weights.last()?;
        if last <= intent.canary {
            return None;
        }
        let later = RouteIntent { canary: last, ..intent.clone() };
        let (_, refused) = self.with_intent(object, on_grain(last, GRAIN).ok()?, &later);
        refused.into_iter().find(|error| matches!(error, RouteError::Gateway(GatewayError::TooMany { .. })))
    }

    /// The intent without what this route cannot have, and why.
    fn possible<'i>(&self, object: &Value, intent: &'i RouteIntent) -> (Cow<'i, RouteIntent>, Vec<RouteError>) {
        let (mut kept, mut refused) = (Cow::Borrowed(intent), Vec::new());
        let is_linkerd = conditions::is_linkerd(object);
        let unsupported = |what, why| GatewayError::Unsupported { route: self.shown.clone(), what, why };
        if let Some(mirror) = &intent.mirror {
            let share_drops = mirror.percent != Percent::FULL && self.own().is_share_dropped(object);
            let dropped = share_drops.then(|| GatewayError::MirrorShareDropped { route: self.shown.clone() });
            let refusal = is_linkerd.then(|| unsupported("mirror", "Linkerd cannot mirror requests")).or(dropped);
            if refusal.is_some() {
                kept.to_mut().mirror = None;
            }
            refused.extend(refusal.map(RouteError::from));
        }
        let linkerd = "Linkerd fails all requests to a backend with a filter that its version does not know";
        let sessions = "a rule with sessionPersistence keeps users on their backend whatever the cookie says; remove one of the two";
        let against = [(is_linkerd, linkerd), (self.keeps_sessions(object), sessions)];
        if let Some((_, why)) = against.into_iter().find(|(is_so, _)| *is_so && intent.sticky.is_some()) {
            kept.to_mut().sticky = None;
            refused.push(unsupported("sticky cookie", why).into());
        }
        (kept, refused)
    }

    fn write_weights(&self, rule: &mut Value, index: usize, canary: Percent) -> Result<(), RouteError> {
        let Weighed { weights, pair } = self.weighed(rule, index)?;
        let next = weights::smallest(&weights, pair, canary, LARGEST)
            .map_err(|why| why.at(self.place(rule, index), canary))?;
        let entries = rule.get_mut("backendRefs").and_then(Value::as_array_mut).into_iter().flatten();
        for ((entry, now), next) in entries.zip(weights).zip(next) {
            if now != next {
                entry["weight"] = Value::from(next);
            }
        }
        Ok(())
    }

    /// The indices of the rules that the Rollout names, or of those that name one of its Services; and what is missing.
    fn chosen(&self, rules: &[Value]) -> (Vec<usize>, Option<GatewayError>) {
        let names = &self.route.rule_names;
        let ours = |rule: &Value| backends::list(rule).iter().any(|backend| self.backends().is_ours(backend));
        let is_chosen = |rule: &Value| match names.is_empty() {
            true => ours(rule),
            false => rule["name"].as_str().is_some_and(|name| names.iter().any(|known| known == name)),
        };
        let chosen: Vec<usize> =
            rules.iter().enumerate().filter(|(_, rule)| is_chosen(rule)).map(|(index, _)| index).collect();
        let missing = self.missing(rules, &chosen);
        (chosen, missing)
    }

    /// A name that no rule has, or that no rule was chosen.
    fn missing(&self, rules: &[Value], chosen: &[usize]) -> Option<GatewayError> {
        let has = |name: &&String| rules.iter().any(|rule| rule["name"].as_str() == Some(name.as_str()));
        if let Some(rule) = self.route.rule_names.iter().find(|name| !has(name)) {
            let (route, rule, exist) = (self.shown.clone(), rule.clone(), shown_names(rules));
            return Some(GatewayError::RuleNotFound { route, rule, exist });
        }
        chosen.is_empty().then(|| {
            let [stable, canary] = [Target::Stable, Target::Canary].map(|target| self.backends().service(target));
            let (stable, canary) = (format!("`{stable}`"), format!("`{canary}`"));
            GatewayError::NoRule { route: self.shown.clone(), stable, canary }
        })
    }

    fn weighed(&self, rule: &Value, index: usize) -> Result<Weighed, RouteError> {
        let pair = Pair {
            stable: self.position(rule, index, Target::Stable)?,
            canary: self.position(rule, index, Target::Canary)?,
        };
        let weight = |entry: &Value| {
            weight_of(entry).ok_or_else(|| RouteError::InvalidWeight {
                place: self.place(rule, index),
                weight: entry["weight"].to_string(),
            })
        };
        let weights = backends::list(rule).iter().map(weight).collect::<Result<_, _>>()?;
        Ok(Weighed { weights, pair })
    }

    /// Ours of the backends have a port: with a Service as parent each request to another one would fail.
    fn have_ports(&self, rule: &Value, index: usize, pair: Pair) -> Result<(), RouteError> {
        for (position, target) in [(pair.stable, Target::Stable), (pair.canary, Target::Canary)] {
            let backend = backends::list(rule).get(position);
            if backend.is_none_or(|backend| backend["port"].as_u64().is_none()) {
                let (place, service) = (self.place(rule, index), self.backends().service(target).to_owned());
                return Err(GatewayError::PortMissing { place, target, service }.into());
            }
        }
        Ok(())
    }

    fn position(&self, rule: &Value, index: usize, target: Target) -> Result<usize, RouteError> {
        let backends = self.backends();
        let mut ours = backends::list(rule).iter().enumerate().filter(|(_, entry)| backends.leads_to(entry, target));
        let service = format!("`{}`", backends.service(target));
        let Some((position, _)) = ours.next() else {
            let (place, lines) = (self.place(rule, index), backends.lines(rule, target));
            return Err(GatewayError::BackendMissing { place, target, service, lines }.into());
        };
        match ours.count() {
            0 => Ok(position),
            more => Err(RouteError::AmbiguousDestination {
                place: self.place(rule, index),
                wanted: service,
                count: more + 1,
            }),
        }
    }

    /// ``rule `api` of HTTPRoute shop/checkout``.
    fn place(&self, rule: &Value, index: usize) -> String {
        let named = rule["name"].as_str();
        match named.filter(|name| !self.is_foreign() || self.route.rule_names.iter().any(|known| known == name)) {
            Some(name) => format!("rule `{name}` of {}", self.shown),
            None => format!("rule {} of {}", index + 1, self.shown),
        }
    }
}

/// A weight as the API server accepts it. Absent means 1.
fn weight_of(entry: &Value) -> Option<u64> {
    match entry.get("weight") {
        None | Some(Value::Null) => Some(1),
        Some(weight) => weight.as_u64().filter(|weight| *weight <= LARGEST),
    }
}

/// The names of rules, for display: `` `api`, `web` and 1 without a name``.
fn shown_names(rules: &[Value]) -> String {
    let names: Vec<String> =
        rules.iter().filter_map(|rule| rule["name"].as_str()).map(|name| format!("`{name}`")).collect();
    match (names.is_empty(), rules.len() - names.len()) {
        (true, unnamed) => format!("{unnamed} without a name"),
        (false, 0) => names.join(", "),
        (false, unnamed) => format!("{} and {unnamed} without a name", names.join(", ")),
    }
}
