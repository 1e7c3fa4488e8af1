//! From files to findings: what each document is, and everything that is checked about it.

use std::collections::{HashMap, HashSet};

use super::{
    files::{File, Files},
    foreign,
    neighbours::{self, key},
    object, references,
    report::Report,
    templates::Known,
    written::{LinesOf, as_written},
};
use crate::{
    api::{
        GROUP,
        analysis::AnalysisTemplateSpec,
        validate::{Finding, Severity},
    },
    cli::offline::simulate::scenario,
    yaml::{self, Document, Position},
};

/// Checks all files together: a Rollout in one may use a template in another.
pub(super) fn all(files: &[File], reader: &mut Files) -> Report {
    let names = files.iter().map(|file| file.name.clone()).collect();
    let mut report = Report { names, ..Report::default() };
    let mut documents = Vec::new();
    for file in files {
        let before = report.findings.len();
        let found = reader.readable(file, &mut report);
        if found.is_empty() && report.findings.len() == before {
            let nothing = "the file is empty".to_owned();
            report.add(&file.name, Position { line: 1, column: 1 }, Severity::Warning, "", nothing);
        }
        documents.extend(found.into_iter().map(|document| (file, document)));
    }
    let known = known_templates(documents.iter().map(|(_, document)| document));
    let adopted = adopted(documents.iter().map(|(_, document)| document));
    let mut mismatches = mismatches(&documents);
    let (mut seen, mut lines) = (HashSet::new(), LinesOf::new(""));
    // Each is dropped when it is checked: the positions of its fields take memory too.
    for (index, (file, document)) in documents.into_iter().enumerate() {
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
        found.extend(mismatches.remove(&index).unwrap_or_default());
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

/// What does not fit between objects, by the index of the document where it is written.
fn mismatches(documents: &[(&File, Document)]) -> HashMap<usize, Vec<Finding>> {
    let named: Vec<(&str, &Document)> =
        documents.iter().map(|(file, document)| (file.name.as_str(), document)).collect();
    let mut by_document: HashMap<usize, Vec<Finding>> = HashMap::new();
    for (index, finding) in references::check(&named) {
        by_document.entry(index).or_default().push(finding);
    }
    by_document
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
    /// Probably meant to be ours, or another tool's; says why it is not checked.
    Doubtful(Finding),
}

fn what(document: &Document) -> What {
    if is_ours(document) {
        return What::Ours;
    }
    if !document.value.is_object() {
        return What::Doubtful(Finding::warning(
            "",
            "is not a Kubernetes object: a map with apiVersion, kind and metadata",
        ));
    }
    foreign::mistaken(document).map_or(What::Other, What::Doubtful)
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

/// Everything wrong with objects that belong together, each with the index of its document.
pub(in crate::cli) fn objects(documents: &[&Document]) -> Vec<(usize, Finding)> {
    let known = known_templates(documents.iter().copied());
    let ours = documents.iter().enumerate().filter(|(_, document)| is_ours(document));
    ours.flat_map(|(index, document)| object(document, Some(&known)).into_iter().map(move |found| (index, found)))
        .collect()
}

/// Everything wrong with one document of ours. Without known templates it is not asked whether those that it names exist.
pub(in crate::cli) fn object(document: &Document, known: Option<&Known>) -> Vec<Finding> {
    if document.text("/kind") == Some("Scenario") { scenario::check(document) } else { object::check(document, known) }
}

/// Twice in one file is a slip; in two files of a folder it is an overlay or an alternative.
fn repeated(file: &str, document: &Document, seen: &mut HashSet<[String; 4]>) -> Option<Finding> {
    let text = |pointer| document.text(pointer).unwrap_or_default().to_owned();
    let key = [text("/kind"), text("/metadata/namespace"), text("/metadata/name"), file.to_owned()];
    let message = format!("there are two objects {} \"{}\" in this file", key[0], key[2]);
    (!key[2].is_empty() && !seen.insert(key)).then(|| Finding::warning("metadata.name", message))
}
