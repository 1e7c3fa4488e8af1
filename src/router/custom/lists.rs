//! Weights in lists of backends: in each list that names our Services, the weights of these two entries.

use serde_json::{Value, json};

use super::{
    error::CustomError,
    place::Place,
    shape::{Backends, NAMESPACE, SERVICE},
};
use crate::{
    api::Percent,
    engine::Target,
    router::{
        context::RouteContext,
        error::RouteError,
        weighted_list::whole,
        weights::{self, Pair, Unexpressible},
    },
    yaml,
};

/// Lines of an entry to add are shown up to this length.
const MOST_LINES: usize = 500;

/// The lists of one object.
#[derive(Clone, Copy)]
pub(super) struct Lists<'a> {
    pub(super) ctx: &'a RouteContext,
    pub(super) place: &'a Place,
    pub(super) backends: &'a Backends,
    pub(super) total: Option<u32>,
}

impl Lists<'_> {
    /// The canary's share in each list of ours; `None` where neither entry has weight.
    pub(super) fn shares(&self, object: &Value) -> Result<Vec<Option<Percent>>, RouteError> {
        let ours = self.ours(object)?;
        let share = |(entries, pair): (&[Value], Pair)| {
            let weights = self.weights(entries)?;
            Ok(weights::share(weights[pair.stable], weights[pair.canary]))
        };
        ours.into_iter()
            .map(|(_, entries)| Ok((entries, self.pair(entries)?)))
            .map(|found| found.and_then(share))
            .collect()
    }

    /// The object with the canary's weight, and what blocks the lists that cannot say it.
    pub(super) fn with_weight(&self, object: &Value, canary: Percent) -> (Value, Vec<RouteError>) {
        let mut next = object.clone();
        let ours = match self.ours(object) {
            Ok(ours) => ours,
            Err(refusal) => return (next, vec![refusal]),
        };
        let mut refused = Vec::new();
        let mut lists = self.backends.path.find_mut(&mut next);
        for (index, entries) in ours {
            match self.split(entries, canary) {
                Ok(weights) => {
                    let list = lists.get_mut(index).and_then(|list| list.as_array_mut()).into_iter().flatten();
                    list.zip(weights).for_each(|(entry, weight)| self.write(entry, weight));
                }
                Err(refusal) => refused.push(refusal),
            }
        }
        (next, refused)
    }

    /// The lists with an entry for either Service, each with its number.
    fn ours<'o>(&self, object: &'o Value) -> Result<Vec<(usize, &'o [Value])>, RouteError> {
        let lists = self.backends.path.find(object).into_iter().enumerate();
        let lists = lists.filter_map(|(index, list)| Some((index, list.as_array()?.as_slice())));
        let either = |entry: &Value| self.is_for(entry, Target::Stable) || self.is_for(entry, Target::Canary);
        let ours: Vec<_> = lists.filter(|(_, entries)| entries.iter().any(either)).collect();
        if !ours.is_empty() {
            return Ok(ours);
        }
        Err(RouteError::from(CustomError::NoList {
            place: self.place.to_string(),
            path: self.backends.path.to_string(),
            stable: self.ctx.stable_service.clone(),
            canary: self.ctx.canary_service.clone(),
        }))
    }

    fn split(&self, entries: &[Value], canary: Percent) -> Result<Vec<u64>, RouteError> {
        let (pair, weights) = (self.pair(entries)?, self.weights(entries)?);
        let next = match self.total {
            None => weights::split(&weights, pair, canary),
            Some(total) => in_total(&weights, pair, canary, u64::from(total)),
        };
        next.map_err(|why| why.at(self.place.to_string(), canary))
    }

    /// An entry whose weight stays is not touched.
    fn write(&self, entry: &mut Value, weight: u64) {
        if self.weight(entry) != Some(weight) {
            self.backends.weight.set(entry, weight.into());
        }
    }

    fn weights(&self, entries: &[Value]) -> Result<Vec<u64>, RouteError> {
        let weight = |entry: &Value| {
            let weight = self.weight(entry).filter(|_| self.backends.weight.fits(entry));
            weight.ok_or_else(|| RouteError::InvalidWeight {
                place: self.place.to_string(),
                weight: match self.backends.weight.get(entry) {
                    _ if self.place.is_foreign => "(not shown)".to_owned(),
                    Some(weight) => shortened(&weight.to_string()),
                    None => "(absent)".to_owned(),
                },
            })
        };
        entries.iter().map(weight).collect()
    }

    fn weight(&self, entry: &Value) -> Option<u64> {
        match self.backends.weight.get(entry) {
            None => self.backends.default_weight.map(u64::from),
            Some(weight) => whole(weight),
        }
    }

    fn pair(&self, entries: &[Value]) -> Result<Pair, RouteError> {
        Ok(Pair { stable: self.position(entries, Target::Stable)?, canary: self.position(entries, Target::Canary)? })
    }

    fn position(&self, entries: &[Value], target: Target) -> Result<usize, RouteError> {
        let mut ours = entries.iter().enumerate().filter(|(_, entry)| self.is_for(entry, target));
        let Some((position, _)) = ours.next() else { return Err(self.missing(entries, target)) };
        match ours.count() {
            0 => Ok(position),
            more => Err(RouteError::AmbiguousDestination {
                place: self.place.to_string(),
                wanted: format!("Service `{}`", self.service(target)),
                count: more + 1,
            }),
        }
    }

    /// By the Service's name and namespace: an entry that names no namespace means the object's.
    pub(super) fn is_for(&self, entry: &Value, target: Target) -> bool {
        let named = self.backends.service.get(entry).and_then(Value::as_str) == Some(&self.value(target));
        let namespace = self.backends.namespace.as_ref().and_then(|field| field.get(entry)?.as_str());
        named && namespace.unwrap_or(&self.place.namespace) == self.ctx.namespace
    }

    /// What an entry says for a Service.
    fn value(&self, target: Target) -> String {
        self.backends.service_value.replace(SERVICE, self.service(target)).replace(NAMESPACE, &self.ctx.namespace)
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
        // H7: another namespace's entries are not shown.
        let sibling = entries.iter().find(|entry| self.is_for(entry, other)).filter(|_| !self.place.is_foreign);
        let like = |sibling: Option<&Value>| self.lines(sibling.cloned().unwrap_or_else(|| json!({})), target, weight);
        let lines = like(sibling);
        RouteError::EntryMissing {
            place: self.place.to_string(),
            target,
            service: self.service(target).to_owned(),
            list: self.backends.path.to_string(),
            lines: if lines.len() > MOST_LINES { like(None) } else { lines },
        }
    }

    /// An entry of a Service as YAML.
    fn lines(&self, mut entry: Value, target: Target, weight: u64) -> String {
        self.backends.service.set(&mut entry, self.value(target).into());
        if let Some(namespace) = &self.backends.namespace {
            namespace.set(&mut entry, self.ctx.namespace.as_str().into());
        }
        self.backends.weight.set(&mut entry, weight.into());
        yaml::write(&vec![entry]).unwrap_or_default().trim_end().to_owned()
    }
}

/// A weight of others in a message: it has no bound.
fn shortened(text: &str) -> String {
    text.chars().take(40).collect()
}

/// Weights that add up to a total: the others keep their numbers, and ours have the rest.
fn in_total(weights: &[u64], pair: Pair, canary: Percent, total: u64) -> Result<Vec<u64>, Unexpressible> {
    let is_ours = |index: usize| index == pair.stable || index == pair.canary;
    let others: u64 = weights.iter().enumerate().filter(|(index, _)| !is_ours(*index)).map(|(_, weight)| weight).sum();
    let ours = total.checked_sub(others).filter(|ours| *ours > 0).ok_or(Unexpressible::NothingLeft)?;
    let parts = ours * u64::from(canary.basis_points());
    if !parts.is_multiple_of(10_000) {
        return Err(Unexpressible::TooLarge);
    }
    let canary = parts / 10_000;
    let next = |(index, weight): (usize, &u64)| match index {
        i if i == pair.canary => canary,
        i if i == pair.stable => ours - canary,
        _ => *weight,
    };
    Ok(weights.iter().enumerate().map(next).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weights_with_a_total_leave_the_others_their_numbers() {
        let pair = Pair { stable: 0, canary: 2 };
        for (weights, points, total, wanted) in [
            (vec![100, 0, 0], 500, 100, Ok(vec![95, 0, 5])),
            (vec![1, 0, 1], 2500, 1000, Ok(vec![750, 0, 250])),
            (vec![60, 20, 20], 5000, 100, Ok(vec![40, 20, 40])),
            (vec![60, 20, 20], 100, 100, Err(Unexpressible::TooLarge)),
            (vec![0, 100, 0], 500, 100, Err(Unexpressible::NothingLeft)),
            (vec![0, 120, 0], 500, 100, Err(Unexpressible::NothingLeft)),
        ] {
            let found = in_total(&weights, pair, Percent::from_basis_points(points), total);
            assert_eq!(found, wanted, "{weights:?} to {points} of {total}");
        }
    }
}
