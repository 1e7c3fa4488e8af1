//! The service-resolver: which instances the two subsets select, by the revision in the Meta of an instance.
//!
//! A subset's filter is `Service.Meta.<key> == "<revision>"`, and where its owner has a filter there, both: `(<theirs>) and
//! <ours>`. A filter is never emptied while it is ours: an empty one selects every instance.

use serde_json::Value;

use super::{error::ConsulError, service::ConsulService, spelling::Spelling};
use crate::{engine::Target, router::error::RouteError};

/// The kind as a custom resource.
pub(super) const SERVICE_RESOLVER: &str = "ServiceResolver";

/// A filter as it is: the owner's part, and the revision in ours.
#[derive(Debug, PartialEq, Eq)]
struct Filter<'f> {
    theirs: &'f str,
    revision: Option<&'f str>,
}

/// The filter that selects a revision alone.
pub fn filter(service: &ConsulService, revision: &str) -> String {
    format!("Service.Meta.{} == \"{revision}\"", service.meta_key)
}

/// The revision that a target's subset selects; none before it selects one.
pub fn revision(service: &ConsulService, resolver: &Value, target: Target) -> Option<String> {
    let subset = subset(service, resolver, target)?;
    let filter = service.spelling.text(subset, "filter").unwrap_or_default();
    parts(service, filter).revision.map(str::to_owned)
}

/// Whether the resolver has what a split needs: both subsets, and stable as the default.
pub fn check(service: &ConsulService, resolver: &Value) -> Result<(), ConsulError> {
    let (spelling, body) = (&service.spelling, service.spelling.body(resolver));
    if spelling.field(body, "redirect").as_object().is_some_and(|fields| !fields.is_empty()) {
        return Err(ConsulError::Redirect { place: service.place(SERVICE_RESOLVER) });
    }
    for target in [Target::Stable, Target::Canary] {
        subset(service, resolver, target).ok_or_else(|| missing(service, resolver, target))?;
    }
    match spelling.text(body, "defaultSubset").filter(|default| *default != service.stable_subset) {
        Some(other) => Err(ConsulError::DefaultSubset {
            place: service.place(SERVICE_RESOLVER),
            found: format!("`{other}`"),
            field: format!("{}: {}", spelling.path("defaultSubset"), service.stable_subset),
        }),
        None => Ok(()),
    }
}

/// The resolver with the revision in a target's subset: alone, or beside the owner's filter. What is absent is added with it:
/// `onlyPassing`, and stable as the default.
pub fn with_revision(
    service: &ConsulService,
    resolver: &Value,
    target: Target,
    revision: &str,
) -> Result<Value, RouteError> {
    check(service, resolver)?;
    let mut next = resolver.clone();
    let (spelling, name) = (&service.spelling, service.subset(target));
    let Some(body) = spelling.body_mut(&mut next) else { return Ok(next) };
    if body.get(spelling.key("defaultSubset").as_ref()).is_none_or(is_blank) {
        spelling.set(body, "defaultSubset", service.stable_subset.as_str());
    }
    let subset = spelling.fields(body, "subsets").and_then(|subsets| subsets.get_mut(name)?.as_object_mut());
    let Some(subset) = subset else { return Ok(next) };
    let now = subset.get(spelling.key("filter").as_ref()).and_then(Value::as_str).unwrap_or_default();
    let theirs = parts(service, now).theirs;
    let ours = filter(service, revision);
    let both = if theirs.is_empty() { ours } else { format!("({theirs}) and {ours}") };
    spelling.set(subset, "filter", both);
    subset.entry(spelling.key("onlyPassing")).or_insert(Value::Bool(true));
    Ok(next)
}

/// The resolver with the owner's filters alone, for when all instances are of one revision and without us (rule S40).
pub fn without_revisions(service: &ConsulService, resolver: &Value) -> Value {
    let mut next = resolver.clone();
    let (spelling, key) = (&service.spelling, service.spelling.key("filter"));
    for target in [Target::Stable, Target::Canary] {
        let body = spelling.body_mut(&mut next);
        let subsets = body.and_then(|body| body.get_mut(spelling.key("subsets").as_ref())?.as_object_mut());
        let subset = subsets.and_then(|subsets| subsets.get_mut(service.subset(target))?.as_object_mut());
        let Some(subset) = subset else { continue };
        let now = subset.get(key.as_ref()).and_then(Value::as_str).unwrap_or_default();
        let Filter { theirs, revision } = parts(service, now);
        if revision.is_none() {
            continue;
        }
        match theirs.to_owned() {
            none if none.is_empty() => drop(subset.shift_remove(key.as_ref())),
            theirs => drop(subset.insert(key.clone().into_owned(), theirs.into())),
        }
    }
    next
}

fn subset<'o>(service: &ConsulService, resolver: &'o Value, target: Target) -> Option<&'o Value> {
    let subsets = service.spelling.field(service.spelling.body(resolver), "subsets");
    subsets.get(service.subset(target)).filter(|subset| subset.is_object())
}

fn is_blank(value: &Value) -> bool {
    value.is_null() || value.as_str() == Some("")
}

/// The owner's part of a filter and ours, which comes last.
fn parts<'f>(service: &ConsulService, filter: &'f str) -> Filter<'f> {
    let mut parts = Filter { theirs: filter, revision: None };
    while let Some((theirs, revision)) = last_part(service, parts.theirs) {
        parts = Filter { theirs, revision: parts.revision.or(Some(revision)) };
    }
    parts
}

/// What precedes a revision at the end of a filter, and the revision.
fn last_part<'f>(service: &ConsulService, filter: &'f str) -> Option<(&'f str, &'f str)> {
    let start = format!("Service.Meta.{} == \"", service.meta_key);
    let (before, revision) = filter.strip_suffix('"')?.rsplit_once(&start)?;
    let theirs = match before {
        "" => "",
        _ => before.strip_suffix(") and ")?.strip_prefix('(')?,
    };
    (!revision.contains('"')).then_some((theirs, revision))
}

fn missing(service: &ConsulService, resolver: &Value, target: Target) -> ConsulError {
    let (spelling, name) = (&service.spelling, service.subset(target));
    let subsets = spelling.field(spelling.body(resolver), "subsets").as_object();
    let names: Vec<String> = subsets.into_iter().flatten().map(|(name, _)| format!("`{name}`")).collect();
    let map = spelling.path("subsets");
    let lines = match spelling {
        Spelling::Resource { .. } => format!("`{map}`:\n{name}:\n  onlyPassing: true"),
        Spelling::Entry => format!("`{map}`: {{\"{name}\": {{\"OnlyPassing\": true}}}}"),
    };
    ConsulError::SubsetMissing {
        place: service.place(SERVICE_RESOLVER),
        subset: name.to_owned(),
        exist: if names.is_empty() { "none".to_owned() } else { names.join(", ") },
        lines,
    }
}
