//! Everything that is checked about one of our objects: its schema, its pod template, what the API's validator says, and
//! whether its conditions, selectors and templates resolve.

use std::collections::HashSet;

use serde::de::DeserializeOwned;
use serde_json::Value;

use super::{
    advice, pods, readable,
    schema::{self, hint},
    templates::{self, Known},
    unknown::UNKNOWN,
};
use crate::{
    api::{
        analysis::AnalysisTemplateSpec,
        crds,
        fault::LONGEST,
        rollout::RolloutSpec,
        validate::{self, Finding, Severity},
    },
    evidence::resolve::{self, ResolveError},
    router,
    source::DIALECT,
    yaml::Document,
};

/// Everything wrong with one object. Without known templates it is not asked whether those that it names exist.
pub(in crate::cli) fn check(document: &Document, known: Option<&Known>) -> Vec<Finding> {
    let kind = document.text("/kind").unwrap_or_default();
    let Some(schema) = crds::schema(kind) else {
        let names: Vec<&str> = crds::kinds().collect();
        return vec![Finding::error("kind", format!("unknown kind \"{kind}\"{}", hint(kind, &names)))];
    };
    let mut found = envelope(document);
    found.extend(schema::check(schema, &document.value));
    if kind == "Rollout" {
        found = together(found, schema::first(pods::check(&document.value["spec"])));
    }
    let more = match kind {
        "Rollout" => typed(document, &found, |spec: &RolloutSpec| {
            let mut found = validate::rollout(spec);
            found.extend(advice::rollout(spec));
            found.extend(router::unmet(spec));
            found.extend(known.map(|known| templates::check(spec, known)).unwrap_or_default());
            found
        }),
        "MeshPolicy" => typed(document, &found, validate::policy),
        "MeshFault" => typed(document, &found, |spec| validate::fault(spec, LONGEST)),
        "AnalysisTemplate" | "ClusterAnalysisTemplate" => typed(document, &found, |spec| {
            let name = document.text("/metadata/name").unwrap_or_default();
            template(name, spec)
        }),
        _ => Vec::new(),
    };
    without_echoes(together(found, more))
}

/// What the validator says of a field says more than the schema's bounds and patterns.
fn together(mut found: Vec<Finding>, more: Vec<Finding>) -> Vec<Finding> {
    found.retain(|one| !more.iter().any(|other| other.path == one.path && other.severity == Severity::Error));
    found.extend(more);
    found
}

/// A misspelt field leaves its object without the right one; saying both hides which of them is to be fixed.
fn without_echoes(found: Vec<Finding>) -> Vec<Finding> {
    let mut echoes = HashSet::new();
    for finding in found.iter().filter(|finding| finding.message.starts_with(UNKNOWN)) {
        let Some((object, _)) = finding.path.rsplit_once('.') else { continue };
        echoes.insert(object.to_owned());
        let meant = finding.message.rsplit_once("did you mean ").map(|(_, name)| name.trim_end_matches('?'));
        echoes.extend(meant.map(|name| format!("{object}.{name}")));
    }
    let echo = |finding: &Finding| finding.severity == Severity::Error && echoes.contains(&finding.path);
    found.into_iter().filter(|finding| !echo(finding)).collect()
}

/// The fields around the spec.
fn envelope(document: &Document) -> Vec<Finding> {
    let mut found = Vec::new();
    let version = document.text("/apiVersion").unwrap_or_default();
    if version != "glidepath.dev/v1alpha1" {
        found.push(Finding::error("apiVersion", format!("unknown version {version}; there is glidepath.dev/v1alpha1")));
    }
    let named = ["/metadata/name", "/metadata/generateName"]
        .iter()
        .any(|field| document.text(field).is_some_and(|n| !n.is_empty()));
    if !named {
        found.push(Finding::error("metadata.name", "is missing"));
    }
    let kind = document.text("/kind").unwrap_or_default();
    found.extend(validate::object_metadata(kind, &document.value["metadata"]));
    found
}

/// Checks the spec as its type, as far as it can be read. What the schema has already reported about a field is not repeated
/// with serde's message, and nothing is said that follows from a field that cannot be read.
fn typed<T: DeserializeOwned>(
    document: &Document,
    said: &[Finding],
    check: impl Fn(&T) -> Vec<Finding>,
) -> Vec<Finding> {
    let spec = document.value.get("spec").unwrap_or(&Value::Null);
    if spec.is_null() {
        return Vec::new();
    }
    let read = readable::read::<T>(spec);
    let mut found = read.spec.map(|spec| check(&spec)).unwrap_or_default();
    found.retain(|finding| !readable::follows(&finding.path, &read.left_out));
    // serde stops at the first mistake; the schema's walk names a missing field one level deeper.
    let is_said = |path: &str| said.iter().any(|one| one.path.starts_with(path) || path.starts_with(&one.path));
    found.extend(read.wrong.filter(|(path, _)| !is_said(path)).map(|(path, message)| Finding::error(path, message)));
    found
}

/// The validator's findings first; what only resolving finds (conditions, selectors) is added.
fn template(name: &str, spec: &AnalysisTemplateSpec) -> Vec<Finding> {
    let mut found = validate::template(spec);
    found.extend(advice::template(spec));
    for error in resolve::check(name, spec, DIALECT) {
        let (field, problem) = match error {
            ResolveError::Invalid { field, problem, .. } => (field, problem),
            ResolveError::Undeclared { field, arg, .. } => {
                (field, format!("there is no argument \"{arg}\"; add it to spec.args"))
            }
            _ => continue,
        };
        let path = format!("spec.{field}");
        if !found.iter().any(|finding| finding.path.starts_with(&path)) {
            found.push(Finding::error(path, problem));
        }
    }
    found
}
