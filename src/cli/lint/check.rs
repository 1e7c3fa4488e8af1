//! From files to findings: what each document is, and everything that is checked about it.

use std::collections::HashSet;

use serde::de::DeserializeOwned;
use serde_json::Value;

use super::{
    files::File,
    report::Report,
    schema::{self, hint},
    templates::{self, Known},
};
use crate::{
    api::{
        GROUP,
        analysis::AnalysisTemplateSpec,
        crds,
        rollout::RolloutSpec,
        validate::{self, Finding, Severity},
    },
    evidence::resolve::{self, ResolveError},
    yaml::{self, Document, YamlError},
};

/// Checks all files together: a Rollout in one may use a template in another.
pub(super) fn all(files: &[File]) -> Report {
    let mut report = Report { files: files.len(), ..Report::default() };
    let mut documents = Vec::new();
    for file in files {
        for document in read(file, &mut report) {
            documents.push((file, document));
        }
    }
    let known = known_templates(documents.iter().map(|(_, document)| document));
    let mut seen = HashSet::new();
    for (file, document) in &documents {
        if !is_ours(document) {
            report.others += 1;
            continue;
        }
        report.checked += 1;
        let mut found = object(document, &known);
        found.extend(repeated(&file.name, document, &mut seen));
        for finding in found {
            let at = document.position(&finding.path);
            report.add(&file.name, at, finding.severity, &finding.path, finding.message);
        }
    }
    sort(&mut report, files);
    report
}

fn read(file: &File, report: &mut Report) -> Vec<Document> {
    let mut add = |error: &YamlError| {
        report.add(&file.name, error.position(), Severity::Error, "", format!("not readable as YAML: {error}"));
    };
    match yaml::read(&file.text) {
        Err(error) => {
            add(&error);
            Vec::new()
        }
        Ok(results) => results.into_iter().filter_map(|result| result.map_err(|error| add(&error)).ok()).collect(),
    }
}

/// Files in the order in which they were named, findings by line.
fn sort(report: &mut Report, files: &[File]) {
    let order = |name: &str| files.iter().position(|file| file.name == name);
    report.findings.sort_by_key(|finding| (order(&finding.file), finding.line, finding.column));
    report.findings.dedup();
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

fn object(document: &Document, known: &Known) -> Vec<Finding> {
    let kind = document.text("/kind").unwrap_or_default();
    let Some(schema) = crds::schema(kind) else {
        let kinds = crds::kinds();
        let names: Vec<&str> = kinds.iter().map(String::as_str).collect();
        return vec![Finding::error("kind", format!("unknown kind \"{kind}\"{}", hint(kind, &names)))];
    };
    let mut found = envelope(document);
    found.extend(schema::check(&schema, &document.value));
    match kind {
        "Rollout" => found.extend(typed(document, &found, |spec: &RolloutSpec| {
            let mut found = validate::rollout(spec);
            found.extend(templates::check(spec, known));
            found
        })),
        "AnalysisTemplate" | "ClusterAnalysisTemplate" => found.extend(typed(document, &found, |spec| {
            let name = document.text("/metadata/name").unwrap_or_default();
            template(name, spec)
        })),
        _ => {}
    }
    found
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
    for key in document.value.as_object().into_iter().flatten().map(|(key, _)| key.as_str()) {
        if !["apiVersion", "kind", "metadata", "spec", "status"].contains(&key) {
            found.push(Finding::error(key, format!("unknown field{}", hint(key, &["metadata", "spec"]))));
        }
    }
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
        let ResolveError::Invalid { field, problem, .. } = error else { continue };
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
