//! Header routes as rules of an object: each is a copy of the rule that it precedes, with one more match, that leads to the
//! canary alone.
//!
//! They are known again by the record in the object, by what they match, and because they lead to the canary alone. So one
//! of which others have edited anything else is still ours, and goes with the others. So does one of which others have edited
//! the match, as long as it has our name or requires the header of the route.

use serde_json::{Value, json};

use super::{error::CustomError, headers::Headers, lists::Lists, matched, specificity};
use crate::{
    api::{
        revision,
        strategy::{HeaderRoute, RequestMatch},
    },
    engine::Target,
    router::{
        error::RouteError,
        record::{Record, Recorded},
    },
};

/// The weight of the only entry of a list, where weights have no fixed sum.
const ALL: u32 = 100;

/// Reads and writes what is ours in one object.
pub(super) struct HeaderRules<'a> {
    pub(super) lists: Lists<'a>,
    pub(super) headers: &'a Headers,
}

impl HeaderRules<'_> {
    /// The names of the header routes that are there, sorted, each once.
    pub(super) fn read(&self, object: &Value) -> Vec<String> {
        let recorded = self.recorded(object);
        let rules = self.headers.rules.all(object);
        let mut names: Vec<String> =
            rules.into_iter().flat_map(|rule| self.names(&recorded, rule)).map(str::to_owned).collect();
        names.sort();
        names.dedup();
        names
    }

    /// The object without anything of ours.
    pub(super) fn without(&self, object: &Value) -> Value {
        let (mut bare, recorded) = (object.clone(), self.recorded(object));
        Record::default().write(self.lists.ctx, &mut bare);
        for rules in self.headers.rules.lists_mut(&mut bare) {
            rules.retain(|rule| self.names(&recorded, rule).is_empty());
        }
        bare
    }

    /// Inserts the header routes before each rule of `next`, which has none of ours, that is split. `current` is the object
    /// as it was read. What blocks some of them is returned.
    pub(super) fn insert(&self, next: &mut Value, current: &Value, wanted: &[HeaderRoute]) -> Vec<RouteError> {
        let recorded = self.recorded(current);
        let known: Vec<&Value> = self.headers.rules.all(current);
        let known: Vec<&Value> = known.into_iter().filter(|rule| !self.names(&recorded, rule).is_empty()).collect();
        let there = self.read(current);
        // What is in force stays: only what is new takes requests from others.
        let is_new = wanted.iter().any(|route| !there.contains(&route.name));
        let (mut record, mut refused) = (Record::default(), Vec::new());
        for rules in self.headers.rules.lists_mut(next) {
            let others: Vec<(usize, Value)> = match is_new {
                true => rules.iter().cloned().enumerate().filter(|(_, rule)| !self.is_split(rule)).collect(),
                false => Vec::new(),
            };
            let mut later = Vec::new();
            // From the last to the first: what is inserted moves only what comes behind it.
            for index in (0..rules.len()).rev().filter(|index| self.is_split(&rules[*index])).collect::<Vec<_>>() {
                match self.before(&rules[index], index, wanted, &others) {
                    Ok(ours) => {
                        ours.iter().for_each(|(name, rule)| record.add(name, self.digest(rule)));
                        let ours = ours.into_iter().map(|(_, rule)| as_known(rule, &known));
                        drop(rules.splice(index..index, ours));
                    }
                    Err(refusal) => later.insert(0, refusal),
                }
            }
            refused.extend(later);
        }
        record.require(wanted);
        record.write(self.lists.ctx, next);
        refused
    }

    /// Whether weights are written in a rule.
    fn is_split(&self, rule: &Value) -> bool {
        let has = |target| self.backends(rule).iter().any(|entry| self.lists.is_for(entry, target));
        self.headers.rules.selects(rule) && has(Target::Stable) && has(Target::Canary)
    }

    /// The rules to insert before one, with the name of each.
    fn before<'w>(
        &self,
        base: &Value,
        index: usize,
        wanted: &'w [HeaderRoute],
        others: &[(usize, Value)],
    ) -> Result<Vec<(&'w str, Value)>, RouteError> {
        let place = format!("rule {} of {}", index + 1, self.lists.place);
        let is_ours =
            |entry: &Value| [Target::Stable, Target::Canary].into_iter().any(|target| self.lists.is_for(entry, target));
        if !self.backends(base).iter().all(is_ours) {
            return Err(RouteError::SharedRoute { place });
        }
        if let Some(other) = specificity::loser(self.headers, base, others) {
            return Err(CustomError::TakesRequests { place, other: other + 1 }.into());
        }
        let mut ours = Vec::new();
        for route in wanted {
            let rules = self.derived(base, route, &place)?;
            ours.extend(rules.into_iter().map(|rule| (route.name.as_str(), rule)));
        }
        Ok(ours)
    }

    /// The requests of a rule that also match one of a route's matches, to the canary.
    fn derived(&self, base: &Value, route: &HeaderRoute, place: &str) -> Result<Vec<Value>, RouteError> {
        let malformed = || CustomError::NoAlternatives { place: place.to_owned(), field: self.headers.list() };
        let mut rules = match &self.headers.any_of {
            None => route.matches.iter().map(|own| self.joined(base, own, route, place)).collect::<Result<_, _>>()?,
            Some(field) => {
                let theirs = field.get(base).and_then(Value::as_array).filter(|list| !list.is_empty());
                let mut all = Vec::new();
                for one in theirs.ok_or_else(malformed)? {
                    for own in &route.matches {
                        all.push(self.joined(one, own, route, place)?);
                    }
                }
                let mut rule = base.clone();
                field.set(&mut rule, Value::Array(all));
                vec![rule]
            }
        };
        let several = rules.len() > 1;
        for (number, rule) in rules.iter_mut().enumerate() {
            self.lead_to_canary(rule);
            let suffix = if several { format!("-{}", number + 1) } else { String::new() };
            self.headers.rename(rule, &format!("{}{suffix}", route.name));
        }
        Ok(rules)
    }

    /// What also requires this header. The same header in both could mean one or the other, never both.
    fn joined(&self, one: &Value, own: &RequestMatch, route: &HeaderRoute, place: &str) -> Result<Value, RouteError> {
        let (header, entry) = self.headers.entry(own).map_err(|field| {
            RouteError::from(CustomError::Undeclared { route: route.name.clone(), what: matched::shown(own), field })
        })?;
        let taken = || RouteError::HeaderTaken { place: place.to_owned(), header: header.clone() };
        let mut list = match self.headers.all_of.get(one) {
            None => Vec::new(),
            Some(list) => list.as_array().ok_or_else(taken)?.clone(),
        };
        if list.iter().any(|entry| self.headers.is_for(entry, &header)) {
            return Err(taken());
        }
        list.push(entry);
        let mut both = one.clone();
        match self.headers.all_of.set(&mut both, Value::Array(list)) {
            true => Ok(both),
            false => Err(taken()),
        }
    }

    fn lead_to_canary(&self, rule: &mut Value) {
        let canary = self.backends(rule).iter().find(|entry| self.lists.is_for(entry, Target::Canary));
        let mut canary = canary.cloned().unwrap_or_default();
        self.lists.backends.weight.set(&mut canary, self.lists.total.unwrap_or(ALL).into());
        self.headers.rules.backends.set(rule, json!([canary]));
    }

    fn backends<'r>(&self, rule: &'r Value) -> &'r [Value] {
        self.headers.rules.backends.get(rule).and_then(Value::as_array).map_or(&[], Vec::as_slice)
    }

    fn recorded(&self, object: &Value) -> Recorded {
        let rules = self.headers.rules.all(object);
        let ours = rules.into_iter().filter(|rule| self.leads(rule));
        Recorded::new(Record::of(self.lists.ctx, object), ours.map(|rule| self.digest(rule)))
    }

    /// Whether a rule leads to the canary alone: another Rollout may have rules in the same object.
    fn leads(&self, rule: &Value) -> bool {
        let to = self.backends(rule);
        !to.is_empty() && to.iter().all(|entry| self.lists.is_for(entry, Target::Canary))
    }

    /// The names under which a rule was recorded, if it is ours.
    fn names<'r>(&self, recorded: &'r Recorded, rule: &Value) -> Vec<&'r str> {
        if recorded.record.rules.is_empty() || !self.leads(rule) {
            return Vec::new();
        }
        let names: Vec<&str> = recorded.record.names(&self.digest(rule)).collect();
        if !names.is_empty() {
            return names;
        }
        let has = |route: &str, header: &str| self.headers.is_named(rule, route) || self.headers.required(rule, header);
        recorded.edited(has).into_iter().collect()
    }

    /// Identifies a rule by its name, where it has one, and by what it matches.
    fn digest(&self, rule: &Value) -> String {
        let matches = self.headers.any_of.as_ref().unwrap_or(&self.headers.all_of).get(rule);
        revision::id(&json!([self.headers.name(rule), matches.map(matched::pruned)]))
    }
}

/// A rule as the API server stores it, with defaults that it may have added.
fn as_known(rule: Value, known: &[&Value]) -> Value {
    let pruned = matched::pruned(&rule);
    let same = known.iter().find(|known| matched::pruned(known) == pruned);
    same.map_or(rule, |known| (*known).clone())
}
