//! Glidepath's rules in a route in addition to the weights: header routes to the canary, mirrors (rule S15), and sticky
//! users (rules S22 and S70).
//!
//! An own rule directly precedes the rule that it was derived from. It has that rule's filters, timeouts and the like, and
//! its matches, each combined with each own match; so it is more specific than that rule, and must not take requests from
//! any other.
//! Every plan removes and re-adds all own rules. They are recognized by the record in the object, and because they lead
//! to our Services alone. A header route of which others have edited the match is ours as long as it requires its header.

use serde_json::{Value, json};

use super::{
    backends::{self, Backends},
    error::GatewayError,
    kinds,
    matches::{self, MOST_MATCHES},
    mirror,
    precedence::{self, Placed},
    sessions, sticky,
};
use crate::{
    api::{
        Percent, revision,
        strategy::{MirrorRoute, RequestMatch},
        traffic::RouteKind,
    },
    engine::{Assignment, RouteIntent, Stickiness, Target},
    router::{
        error::RouteError,
        own::OwnSeen,
        record::{Record, Recorded},
    },
};

/// The rule of a mirror that copies only some requests, in the record.
const MIRROR: &str = "mirror";
/// The API server accepts so many rules in a route.
const MOST_RULES: usize = 16;

/// Reads and writes what is ours in one route.
pub(super) struct OwnRules<'a> {
    pub(super) backends: Backends<'a>,
    pub(super) kind: RouteKind,
    /// The kind, namespace and name of the route, for messages.
    pub(super) shown: &'a str,
}

impl OwnRules<'_> {
    /// What of ours is there.
    pub(super) fn read(&self, object: &Value) -> OwnSeen {
        let (recorded, rules) = (self.recorded(object), rules(object));
        let names: Vec<&str> = rules.iter().flat_map(|rule| self.names(&recorded, rule)).collect();
        let header = |name: &&str| *name != MIRROR && !sticky::is_rule(name);
        let mut headers: Vec<String> = names.iter().copied().filter(header).map(str::to_owned).collect();
        headers.sort();
        headers.dedup();
        let mut ours = rules.iter().flat_map(backends::list).filter(|backend| self.backends.is_ours(backend));
        let cookies = ours.any(sticky::is_set);
        let mirrors = rules.iter().find_map(|rule| mirror::of(&self.backends, rule));
        OwnSeen {
            headers,
            mirror: mirrors.map(|share| share.unwrap_or(Percent::FULL)),
            sticky: cookies || names.iter().any(|name| sticky::is_rule(name)),
        }
    }

    /// Whether what the intent has beside the weight is there already.
    pub(super) fn has_all(&self, object: &Value, intent: &RouteIntent) -> bool {
        if intent.is_weight_alone() {
            return true;
        }
        let there = self.read(object);
        intent.headers.iter().all(|route| there.headers.contains(&route.name))
            && (intent.mirror.is_none() || there.mirror.is_some())
            && (intent.sticky.is_none() || there.sticky)
    }

    /// Whether a share that was written for the mirror is missing: the API server dropped it, now or before.
    pub(super) fn is_share_dropped(&self, object: &Value) -> bool {
        let record = Record::of(self.backends.ctx, object);
        let bare = || rules(object).iter().any(|rule| mirror::of(&self.backends, rule) == Some(None));
        record.share_dropped || record.mirror_share && bare()
    }

    /// The object without anything of ours.
    pub(super) fn without(&self, object: &Value) -> Value {
        let (mut bare, recorded) = (object.clone(), self.recorded(object));
        Record::default().write(self.backends.ctx, &mut bare);
        // Not by `[]`, which adds what is absent.
        let Some(rules) = bare.pointer_mut("/spec/rules").and_then(Value::as_array_mut) else { return bare };
        rules.retain(|rule| self.names(&recorded, rule).is_empty());
        rules.iter_mut().for_each(|rule| self.strip(rule));
        bare
    }

    /// Inserts the own rules before the rule at `index`, which has none. `place` names the rule in messages. A rule that
    /// also has other backends is not changed: a rule before it would capture their requests. Nor is one that would take
    /// requests from the `others`, which are not split.
    pub(super) fn insert(
        &self,
        rules: &mut Vec<Value>,
        index: usize,
        intent: &RouteIntent,
        record: &mut Record,
        place: &str,
        others: &[Placed<'_>],
    ) -> Result<(), RouteError> {
        let Some(base) = rules.get(index).cloned() else { return Ok(()) };
        if intent.is_weight_alone() {
            return Ok(());
        }
        self.supported(intent)?;
        if backends::list(&base).iter().any(|backend| !self.backends.is_ours(backend)) {
            return Err(RouteError::SharedRoute { place: place.to_owned() });
        }
        let mut changed = base.clone();
        let mut ours = self.own(&base, intent, place)?;
        let placed = Placed { index, rule: &base };
        if let Some(other) = ours.iter().find_map(|(_, own)| precedence::loser(self.kind, placed, own, others)) {
            return Err(GatewayError::TakesRequests { place: place.to_owned(), other: other.index + 1 }.into());
        }
        if let Some(sticky) = intent.sticky.as_ref().filter(|sticky| !sticky.clears(intent.canary)) {
            self.keep_users(&mut changed, sticky, intent.canary, place)?;
        }
        if let Some(mirror) = &intent.mirror {
            let own = ours.iter_mut().filter(|(name, _)| *name == MIRROR).map(|(_, rule)| rule);
            let whole = mirror.matches.is_empty().then_some(&mut changed);
            own.chain(whole).try_for_each(|rule| self.copy(rule, &base, mirror, place))?;
        }
        within_limits(rules, &ours, place)?;
        ours.iter().for_each(|(name, rule)| record.add(name, self.digest(rule)));
        record.mirror_share |= intent.mirror.as_ref().is_some_and(|mirror| mirror.percent != Percent::FULL);
        rules.splice(index..=index, ours.into_iter().map(|(_, rule)| rule).chain([changed]));
        Ok(())
    }

    /// The rules to insert, with the name of each.
    fn own<'i>(&self, base: &Value, intent: &'i RouteIntent, place: &str) -> Result<Vec<(&'i str, Value)>, RouteError> {
        let mut ours = Vec::new();
        for route in &intent.headers {
            let mut rule = self.rule_to(base, &route.matches, Target::Canary, place)?;
            sessions::rename(&mut rule, &route.name);
            ours.push((route.name.as_str(), rule));
        }
        if let Some(sticky) = &intent.sticky {
            for users in sticky.users(intent.canary) {
                let rule = match users.assignment {
                    Assignment::Stays(target) => {
                        let mut rule = self.rule_to(base, &[users.requests], target, place)?;
                        if sticky.clears(intent.canary) {
                            self.keep_users(&mut rule, sticky, intent.canary, place)?;
                        }
                        rule
                    }
                    Assignment::Again(before) => {
                        let mut rule = derived(self.kind, base, &[users.requests], place)?;
                        self.keep_users(&mut rule, sticky, intent.canary, place)?;
                        self.split_again(&mut rule, sticky::reassigned(before, intent.canary));
                        rule
                    }
                };
                ours.push((sticky::rule_name(users.assignment), rule));
            }
        }
        if let Some(mirror) = intent.mirror.as_ref().filter(|mirror| !mirror.matches.is_empty()) {
            ours.push((MIRROR, derived(self.kind, base, &mirror.matches, place)?));
        }
        Ok(ours
            .into_iter()
            .flat_map(|(name, rule)| matches::split(rule).into_iter().map(move |one| (name, one)))
            .collect())
    }

    /// What a kind of route cannot do at all.
    fn supported(&self, intent: &RouteIntent) -> Result<(), RouteError> {
        let (sticky, mirror) = (intent.sticky.is_some(), intent.mirror.is_some());
        let what = match (sticky, mirror) {
            (true, _) => "sticky cookie",
            (false, true) => "mirror",
            (false, false) => "header route",
        };
        match kinds::limit(self.kind, sticky) {
            Some(why) => Err(GatewayError::Unsupported { route: self.shown.to_owned(), what, why }.into()),
            None => Ok(()),
        }
    }

    fn recorded(&self, object: &Value) -> Recorded {
        let ours = rules(object).iter().filter(|rule| self.leads(rule));
        Recorded::new(Record::of(self.backends.ctx, object), ours.map(|rule| self.digest(rule)))
    }

    /// Whether a rule leads to our Services alone: another Rollout may have rules in the same object.
    fn leads(&self, rule: &Value) -> bool {
        let to = backends::list(rule);
        !to.is_empty() && to.iter().all(|backend| self.backends.is_ours(backend))
    }

    /// The names under which a rule was recorded, if it is ours.
    fn names<'r>(&self, recorded: &'r Recorded, rule: &Value) -> Vec<&'r str> {
        if recorded.record.rules.is_empty() || !self.leads(rule) {
            return Vec::new();
        }
        let names: Vec<&str> = recorded.record.names(&self.digest(rule)).collect();
        let is_header_route = || matches!(backends::list(rule), [to] if self.backends.leads_to(to, Target::Canary));
        if !names.is_empty() || !is_header_route() {
            return names;
        }
        recorded.edited(|_, header| matches::requires(rule, header)).into_iter().collect()
    }

    /// Identifies an own rule by what no write of ours changes and no API server adds or drops: neither weights nor mirrors,
    /// and a path that is the default counts as given.
    fn digest(&self, rule: &Value) -> String {
        let mut stripped = rule.clone();
        self.strip(&mut stripped);
        let matches = stripped.get_mut("matches").and_then(Value::as_array_mut).into_iter().flatten();
        matches.for_each(|one| matches::complete(self.kind, one));
        for backend in backends_of(&mut stripped) {
            if let Some(fields) = backend.as_object_mut() {
                fields.shift_remove("weight");
            }
        }
        revision::id(&stripped)
    }

    /// Takes cookies and mirrors of ours out of a rule.
    fn strip(&self, rule: &mut Value) {
        backends_of(rule).filter(|backend| self.backends.is_ours(backend)).for_each(sticky::drop_from);
        mirror::drop_from(&self.backends, rule);
    }

    /// Lets the responses of our backends set the cookie.
    fn keep_users(
        &self,
        rule: &mut Value,
        sticky: &Stickiness,
        weight: Percent,
        place: &str,
    ) -> Result<(), RouteError> {
        for backend in backends_of(rule) {
            for target in [Target::Canary, Target::Stable] {
                if self.backends.leads_to(backend, target) && !sticky::set(backend, sticky, target, weight) {
                    return Err(RouteError::CookieTaken { place: place.to_owned() });
                }
            }
        }
        Ok(())
    }

    /// Splits a rule for users who are assigned again.
    fn split_again(&self, rule: &mut Value, [stable, canary]: [u64; 2]) {
        for backend in backends_of(rule) {
            backend["weight"] = json!(if self.backends.leads_to(backend, Target::Stable) { stable } else { canary });
        }
    }

    /// The base's requests that match any of these matches, all to one backend.
    fn rule_to(
        &self,
        base: &Value,
        matches: &[RequestMatch],
        target: Target,
        place: &str,
    ) -> Result<Value, RouteError> {
        let mut rule = derived(self.kind, base, matches, place)?;
        let mut backend = self.backends.find(base, target).cloned().unwrap_or_default();
        backend["weight"] = json!(1);
        rule["backendRefs"] = json!([backend]);
        Ok(rule)
    }

    /// Mirrors requests of a rule to the canary of its base.
    fn copy(&self, rule: &mut Value, base: &Value, mirror: &MirrorRoute, place: &str) -> Result<(), RouteError> {
        let canary = self.backends.find(base, Target::Canary).cloned().unwrap_or_default();
        let added = mirror::add(rule, mirror::filter(&canary, mirror.percent));
        if added { Ok(()) } else { Err(RouteError::MirrorTaken { place: place.to_owned() }) }
    }
}

/// A rule with the matches of its base joined with these. Names are unique in a route: it has none.
fn derived(kind: RouteKind, base: &Value, ours: &[RequestMatch], place: &str) -> Result<Value, RouteError> {
    let mut rule = base.clone();
    rule["matches"] = matches::joined(kind, base, ours, place)?;
    if let Some(fields) = rule.as_object_mut() {
        fields.shift_remove("name");
    }
    Ok(rule)
}

/// What the API server would refuse is refused before.
fn within_limits(rules: &[Value], ours: &[(&str, Value)], place: &str) -> Result<(), RouteError> {
    /// In all rules of a route.
    const MOST_TOGETHER: usize = 2 * MOST_MATCHES;
    let count = rules.len() + ours.len();
    if count > MOST_RULES {
        return Err(matches::too_many(place, format!("{count} rules in its route"), MOST_RULES));
    }
    let all = rules.iter().chain(ours.iter().map(|(_, rule)| rule));
    let together: usize = all.map(|rule| rule["matches"].as_array().map_or(1, Vec::len)).sum();
    if together >= MOST_TOGETHER {
        return Err(matches::too_many(place, format!("{together} matches in its route"), MOST_TOGETHER - 1));
    }
    Ok(())
}

/// The rules of a route.
pub(super) fn rules(object: &Value) -> &[Value] {
    object["spec"]["rules"].as_array().map_or(&[], Vec::as_slice)
}

fn backends_of(rule: &mut Value) -> impl Iterator<Item = &mut Value> {
    rule.get_mut("backendRefs").and_then(Value::as_array_mut).into_iter().flatten()
}
