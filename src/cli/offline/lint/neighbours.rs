//! Kubernetes' own objects in the files: what would make Glidepath take other pods for its own, and what it releases.

use std::collections::HashSet;

use super::{pods, schema::first};
use crate::{
    api::{
        GROUP,
        validate::{Finding, own_keys, own_labels},
    },
    yaml::Document,
};

/// Our own labels in a workload's template or selector, or in a Service's selector (copied from a cluster, an object that
/// Glidepath made or pinned has them rightly), and the pod template of a Deployment that one of the Rollouts adopts.
pub(super) fn check(document: &Document, adopted: &HashSet<[String; 2]>) -> Vec<Finding> {
    let mut found = own(document);
    let name = document.text("/metadata/name").unwrap_or_default();
    let is_adopted = document.text("/kind") == Some("Deployment") && adopted.contains(&key(document, name));
    if is_adopted && document.text("/apiVersion") == Some("apps/v1") {
        found.extend(first(pods::check(&document.value["spec"])));
    }
    found
}

fn own(document: &Document) -> Vec<Finding> {
    let spec = &document.value["spec"];
    match (document.text("/apiVersion"), document.text("/kind")) {
        (Some("v1"), Some("Service")) if !is_written_by_us(document) => own_labels("spec.selector", &spec["selector"]),
        (Some("apps/v1"), Some("Deployment" | "StatefulSet" | "DaemonSet")) => {
            let mut found = own_labels("spec.selector.matchLabels", &spec["selector"]["matchLabels"]);
            found.extend(own_keys("spec.template.metadata", &spec["template"]["metadata"]));
            found
        }
        _ => Vec::new(),
    }
}

fn is_written_by_us(document: &Document) -> bool {
    let metadata = &document.value["metadata"];
    let mut owners = metadata["ownerReferences"].as_array().into_iter().flatten();
    let annotations = metadata["annotations"].as_object().into_iter().flat_map(|all| all.keys());
    let prefix = format!("{GROUP}/");
    owners.any(|owner| owner["apiVersion"].as_str().is_some_and(|version| version.starts_with(&prefix)))
        || annotations.into_iter().any(|key: &String| key.starts_with(&prefix))
}

/// What an object of this name in the document's namespace is found by.
pub(super) fn key(document: &Document, name: &str) -> [String; 2] {
    [document.text("/metadata/namespace").unwrap_or_default().to_owned(), name.to_owned()]
}
