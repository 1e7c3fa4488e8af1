//! From files to findings: what each document is, and everything that is checked about it.

use std::collections::{HashMap, HashSet};

use serde::de::DeserializeOwned;
use serde_json::Value;

use super::{
    files::{File, Files},
    neighbours, pods,
    report::Report,
    schema::{self, hint},
    templates::{self, Known},
    written::{LinesOf, as_written},
};
use crate::{
    api::{
        GROUP,
        analysis::AnalysisTemplateSpec,
        crds,
        rollout::RolloutSpec,
        validate::{self, Finding, Severity},
    },
    cli::offline::simulate::scenario,
    evidence::resolve::{self, ResolveError},
    router,
    yaml::{self, Document, Position, YamlError},
};

/// Checks all files together: a Rollout in one may use a template in another.
pub(super) fn all(files: &[File], reader: &mut Files) -> Report {
    let mut report = Report { files: files.len(), ..Report::default() };
    let mut documents = Vec::new();
    for file in files {
        let before = report.findings.len();
        let found = read(file, reader, &mut report);
        if found.is_empty() && report.findings.len() == before {
            let nothing = "there is nothing in this file".to_owned();
            report.add(&file.name, Position { line: 1, column: 1 }, Severity::Warning, "", nothing);
        }
        documents.extend(found.into_iter().map(|document| (file, document)));
    }
    let known = known_templates(documents.iter().map(|(_, document)| document));
    let adopted = adopted(documents.iter().map(|(_, document)| document));
    let (mut seen, mut lines) = (HashSet::new(), LinesOf::new(""));
    // Each goes when it is checked: where its fields stand takes memory too.
    for (file, document) in documents {
        let document = &document;
        let mut found = match what(document) {
            What::Ours => {
                report.checked += 1;
                object(document, Some(&known))
            }
            What::Other => {
                report.others += 1;
                neighbours::check(document, &adopted)
            }
            What::Doubtful(finding) => vec![finding],
        };
        if is_ours(document) {
            found.extend(repeated(&file.name, document, &mut seen));
        }
        let mut placed: Vec<_> = found.into_iter().map(|found| (document.position(&found.path), found)).collect();
        placed.sort_by_key(|(at, _)| *at);
        if !std::ptr::eq(lines.text(), file.text.as_str()) {
            lines = LinesOf::new(&file.text);
        }
        for (at, finding) in placed {
            let message = as_written(finding.message, &mut lines, at, &finding.path);
            report.add(&file.name, at, finding.severity, &finding.path, message);
        }
    }
    sort(&mut report, files);
    report
}

fn read(file: &File, reader: &mut Files, report: &mut Report) -> Vec<Document> {
    let mut add = |error: &YamlError| {
        report.add(&file.name, error.position(), Severity::Error, "", format!("not readable as YAML: {error}"));
    };
    match reader.documents(file) {
        Err(error) => {
            add(&error);
            Vec::new()
        }
        Ok(results) => {
            let read = results.into_iter().filter_map(|result| result.map_err(|error| add(&error)).ok());
            read.flat_map(|one| if one.is_list() { one.into_entries("items") } else { vec![one] }).collect()
        }
    }
}

/// Files in the order in which they were named, findings by line.
fn sort(report: &mut Report, files: &[File]) {
    // The first of files that are named twice.
    let order: HashMap<&str, usize> =
        files.iter().enumerate().rev().map(|(at, file)| (file.name.as_str(), at)).collect();
    report.findings.sort_by_key(|found| (order.get(found.file.as_str()).copied(), found.line, found.column));
    report.findings.dedup();
}

/// What a document is to us.
enum What {
    Ours,
    Other,
    /// Probably meant to be ours; says why it is not.
    Doubtful(Finding),
}

fn what(document: &Document) -> What {
    if is_ours(document) {
        return What::Ours;
    }
    if !document.value.is_object() {
        return What::Doubtful(Finding::warning(
            "",
            "is no Kubernetes object: a map with apiVersion, kind and metadata",
        ));
    }
    let kind = document.text("/kind").unwrap_or_default();
    match document.text("/apiVersion") {
        _ if !crds::kinds().any(|ours| ours == kind) => What::Other,
        None => What::Doubtful(Finding::error("apiVersion", "is missing; write glidepath.dev/v1alpha1")),
        Some(other) => {
            let words = format!("a {kind} of {other} is not checked; Glidepath's is of glidepath.dev/v1alpha1");
            What::Doubtful(Finding::warning("apiVersion", words))
        }
    }
}

fn is_ours(document: &Document) -> bool {
    document.text("/apiVersion").is_some_and(|version| version.split('/').next() == Some(GROUP))
}

fn known_templates<'a>(documents: impl Iterator<Item = &'a Document>) -> Known {
    let mut known = Known::new();
    for document in documents.filter(|document| is_ours(document)) {
        let cluster = match document.text("/kind") {
            Some("AnalysisTemplate") => false,
            Some("ClusterAnalysisTemplate") => true,
            _ => continue,
        };
        let spec: Result<AnalysisTemplateSpec, _> = yaml::typed(&document.value["spec"]);
        if let (Some(name), Ok(spec)) = (document.text("/metadata/name"), spec) {
            known.insert((cluster, name.to_owned()), spec);
        }
    }
    known
}

/// The Deployments that Rollouts of these files refer to, by namespace and name: their pod templates are those that are
/// released.
fn adopted<'a>(documents: impl Iterator<Item = &'a Document>) -> HashSet<[String; 2]> {
    let rollouts = documents.filter(|document| is_ours(document) && document.text("/kind") == Some("Rollout"));
    let name = |document: &Document| Some(key(document, document.text("/spec/workloadRef/name")?));
    rollouts.filter_map(name).collect()
}

/// What an object of this name in the document's namespace is found by.
pub(super) fn key(document: &Document, name: &str) -> [String; 2] {
    [document.text("/metadata/namespace").unwrap_or_default().to_owned(), name.to_owned()]
}

/// Everything wrong with objects that belong together, each with the index of its document.
pub(in crate::cli) fn objects(documents: &[&Document]) -> Vec<(usize, Finding)> {
    let known = known_templates(documents.iter().copied());
    let ours = documents.iter().enumerate().filter(|(_, document)| is_ours(document));
    ours.flat_map(|(index, document)| object(document, Some(&known)).into_iter().map(move |found| (index, found)))
        .collect()
}

/// Everything wrong with one object. Without known templates it is not asked whether those that it names exist.
pub(in crate::cli) fn object(document: &Document, known: Option<&Known>) -> Vec<Finding> {
    let kind = document.text("/kind").unwrap_or_default();
    if kind == "Scenario" {
        return scenario::check(document);
    }
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
            found.extend(router::unmet(spec));
            found.extend(known.map(|known| templates::check(spec, known)).unwrap_or_default());
            found
        }),
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
    for finding in found.iter().filter(|finding| finding.message.starts_with("unknown field")) {
        let Some((object, _)) = finding.path.rsplit_once('.') else { continue };
        echoes.insert(object.to_owned());
        let meant = finding.message.rsplit_once("did you mean ").map(|(_, name)| name.trim_end_matches('?'));
        echoes.extend(meant.map(|name| format!("{object}.{name}")));
    }
    let echo = |finding: &Finding| finding.severity == Severity::Error && echoes.contains(&finding.path);
    found.into_iter().filter(|finding| !echo(finding)).collect()
}

/// What stands around the spec.
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

/// Checks the spec as its type. What the schema has already said about a field is not said again in serde's words.
fn typed<T: DeserializeOwned>(
    document: &Document,
    said: &[Finding],
    check: impl Fn(&T) -> Vec<Finding>,
) -> Vec<Finding> {
    let spec = document.value.get("spec").unwrap_or(&Value::Null);
    match yaml::typed::<T>(spec) {
        Ok(spec) => check(&spec),
        Err(_) if spec.is_null() => Vec::new(),
        Err(YamlError::Shape { path, message }) => {
            let path = if path == "." { "spec".to_owned() } else { format!("spec.{path}") };
            // serde stops at the first mistake; the schema's walk names a missing field one level deeper.
            let known = said.iter().any(|finding| finding.path.starts_with(&path) || path.starts_with(&finding.path));
            if known { Vec::new() } else { vec![Finding::error(path, message)] }
        }
        Err(error) => vec![Finding::error("spec", error.to_string())],
    }
}

/// The validator's words first; what only resolving finds (conditions, selectors) is added.
fn template(name: &str, spec: &AnalysisTemplateSpec) -> Vec<Finding> {
    let mut found = validate::template(spec);
    for error in resolve::check(name, spec) {
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

/// Twice in one file is a slip; in two files of a folder it is an overlay or an alternative.
fn repeated(file: &str, document: &Document, seen: &mut HashSet<[String; 4]>) -> Option<Finding> {
    let text = |pointer| document.text(pointer).unwrap_or_default().to_owned();
    let key = [text("/kind"), text("/metadata/namespace"), text("/metadata/name"), file.to_owned()];
    let message = format!("there are two objects {} \"{}\" in this file", key[0], key[2]);
    (!key[2].is_empty() && !seen.insert(key)).then(|| Finding::warning("metadata.name", message))
}
