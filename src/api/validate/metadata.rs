//! Metadata of a role: keys and values as Kubernetes takes them, and none by which pods are found.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use serde_json::Value;

use super::finding::Finding;
use crate::api::{
    GROUP,
    metadata::PodMetadata,
    names::{label_value, qualified_name},
    rollout::RolloutSpec,
};

/// The Deployment controller's own label.
const TEMPLATE_HASH: &str = "pod-template-hash";
/// All annotations of an object together, in bytes.
const MOST_ANNOTATIONS: usize = 256 * 1024;

pub(super) fn check(spec: &RolloutSpec, found: &mut Vec<Finding>) {
    if let Some(template) = &spec.template {
        found.extend(own_keys("spec.template.metadata", &template["metadata"]));
    }
    let labels = spec.selector.iter().flat_map(|selector| selector.match_labels.iter().flatten());
    let expressions = spec.selector.iter().flat_map(|selector| selector.match_expressions.iter().flatten());
    for (key, _) in labels.filter(|(key, _)| is_own(key)) {
        found.push(Finding::error(format!("spec.selector.matchLabels.{key}"), OWN_KEY));
    }
    for (index, expression) in expressions.enumerate().filter(|(_, expression)| is_own(&expression.key)) {
        let message = format!("{}: {OWN_KEY}", expression.key);
        found.push(Finding::error(format!("spec.selector.matchExpressions[{index}].key"), message));
    }
    for (path, metadata) in roles(spec) {
        for (key, value) in &metadata.labels {
            let path = format!("{path}.labels.{key}");
            check_key(key, &path, found);
            if let Err(why) = label_value(value) {
                found.push(Finding::error(&path, format!("\"{value}\" is not a valid label value: {why}")));
            }
            if key == TEMPLATE_HASH {
                found.push(Finding::error(
                    &path,
                    "is the label by which Deployments select their pods; use another key",
                ));
            }
            overridden(spec, key, value, &path, found);
        }
        for key in metadata.annotations.keys() {
            check_key(key, &format!("{path}.annotations.{key}"), found);
        }
        let size: usize = metadata.annotations.iter().map(|(key, value)| key.len() + value.len()).sum();
        // Pods contain them twice: as they are, and in Glidepath's annotation.
        if size > MOST_ANNOTATIONS / 3 {
            found.push(Finding::error(format!("{path}.annotations"), "exceed 85 KiB, the limit for a pod"));
        }
    }
    if let Some(selector) = &spec.selector {
        found.extend(selected_by(spec, selector));
    }
}

/// What is said of a key that only Glidepath may write: pods and ReplicaSets that carry it by a user's file would be taken
/// for its own.
const OWN_KEY: &str = "keys with glidepath.dev/ are reserved for Glidepath; remove it";

/// Keys of ours among the labels and annotations of a user's pod template, at this path.
pub fn own_keys(path: &str, metadata: &Value) -> Vec<Finding> {
    let keys = ["labels", "annotations"].into_iter().flat_map(|part| {
        let entries = metadata.get(part).and_then(Value::as_object).into_iter().flatten();
        entries.map(move |(key, _)| (part, key))
    });
    keys.filter(|(_, key)| is_own(key))
        .map(|(part, key)| Finding::error(format!("{path}.{part}.{key}"), OWN_KEY))
        .collect()
}

/// Keys of ours in a map of labels, at this path.
pub fn own_labels(path: &str, labels: &Value) -> Vec<Finding> {
    let keys = labels.as_object().into_iter().flatten().map(|(key, _)| key).filter(|key| is_own(key));
    keys.map(|key| Finding::error(format!("{path}.{key}"), OWN_KEY)).collect()
}

fn is_own(key: &str) -> bool {
    key.split_once('/').is_some_and(|(prefix, _)| prefix == GROUP)
}

/// The labels by which pods are selected cannot be changed by a role. Where a Deployment has the selector, only the
/// controller knows it.
pub fn selected_by(spec: &RolloutSpec, selector: &LabelSelector) -> Vec<Finding> {
    let keys = keys_of(selector);
    let taken = |path: &str, metadata: &PodMetadata| -> Vec<Finding> {
        let taken = metadata.labels.keys().filter(|key| keys.contains(key));
        let message = "the selector selects pods by this label; use another key";
        taken.map(|key| Finding::error(format!("{path}.labels.{key}"), message)).collect()
    };
    roles(spec).flat_map(|(path, metadata)| taken(path, metadata)).collect()
}

fn keys_of(selector: &LabelSelector) -> Vec<&String> {
    let expressions = selector.match_expressions.iter().flatten().map(|expression| &expression.key);
    selector.match_labels.iter().flat_map(|labels| labels.keys()).chain(expressions).collect()
}

fn roles(spec: &RolloutSpec) -> impl Iterator<Item = (&'static str, &PodMetadata)> {
    let roles = [("spec.canaryMetadata", &spec.canary_metadata), ("spec.stableMetadata", &spec.stable_metadata)];
    roles.into_iter().filter_map(|(path, metadata)| Some((path, metadata.as_ref()?)))
}

fn check_key(key: &str, path: &str, found: &mut Vec<Finding>) {
    if let Err(why) = qualified_name(key) {
        found.push(Finding::error(path, format!("\"{key}\" is not a valid key for a label or annotation: {why}")));
    }
    if is_own(key) {
        found.push(Finding::error(path, "keys with glidepath.dev/ are reserved for Glidepath; use another key"));
    }
}

/// Services may select by a label that the template has.
fn overridden(spec: &RolloutSpec, key: &str, value: &str, path: &str, found: &mut Vec<Finding>) {
    let labels = spec.template.as_ref().and_then(|template| template.pointer("/metadata/labels"));
    let refused = spec.selector.iter().any(|selector| keys_of(selector).iter().any(|wanted| *wanted == key));
    if let Some(own) = labels.and_then(|labels| labels.get(key)).and_then(Value::as_str)
        && own != value
        && !refused
    {
        let message =
            format!("the template has {key}={own}; a Service that selects by this label loses the pods in this role");
        found.push(Finding::warning(path, message));
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::api::validate::{self, Severity};

    fn spec(metadata: Value) -> RolloutSpec {
        let spec = json!({
            "selector": {"matchLabels": {"app": "web"}, "matchExpressions": [{"key": "kind", "operator": "Exists"}]},
            "template": {"metadata": {"labels": {"app": "web", "kind": "a", "tier": "front"}}, "spec": {"containers": [
                {"name": "app", "image": "i:1", "readinessProbe": {}}]}},
            "strategy": {"canary": {}}, "canaryMetadata": metadata,
        });
        serde_json::from_value(spec).unwrap()
    }

    fn findings(metadata: Value) -> Vec<(String, Severity, String)> {
        let found = validate::rollout(&spec(metadata));
        found.into_iter().map(|finding| (finding.path, finding.severity, finding.message)).collect()
    }

    #[test]
    fn what_kubernetes_takes_is_taken() {
        for metadata in [
            json!({}),
            json!({"labels": {"role": "canary", "example.com/role": "", "A_b.c-9": "x_Y.z-1", "tier": "front"}}),
            json!({"annotations": {"sidecar.istio.io/logLevel": "rpc:debug, http:info"}}),
        ] {
            assert_eq!(findings(metadata.clone()), [], "{metadata}");
        }
    }

    #[test]
    fn keys_and_values_that_cannot_be_are_refused_with_their_place() {
        let long = "x".repeat(64);
        for (metadata, place, words) in [
            (json!({"labels": {"glidepath.dev/role": "a"}}), "labels.glidepath.dev/role", "are reserved for Glidepath"),
            (
                json!({"annotations": {"glidepath.dev/x": "a"}}),
                "annotations.glidepath.dev/x",
                "are reserved for Glidepath",
            ),
            (json!({"labels": {"app": "other"}}), "labels.app", "the selector selects pods by this label"),
            (json!({"labels": {"kind": "b"}}), "labels.kind", "the selector selects pods by this label"),
            (json!({"labels": {"pod-template-hash": "b"}}), "labels.pod-template-hash", "Deployments"),
            (
                json!({"labels": {"role": "not this"}}),
                "labels.role",
                "\"not this\" is not a valid label value: it must be empty or",
            ),
            (json!({"labels": {"role": long}}), "labels.role", "at most 63"),
            (json!({"labels": {"role": "-a"}}), "labels.role", "at both ends"),
            (json!({"labels": {"a b": "a"}}), "labels.a b", "\"a b\" is not a valid key"),
            (json!({"annotations": {"": "a"}}), "annotations.", "its name must be"),
            (json!({"annotations": {"a/b/c": "a"}}), "annotations.a/b/c", "its name must be"),
            (json!({"annotations": {"Example.com/b": "a"}}), "annotations.Example.com/b", "a lowercase DNS name"),
            (json!({"annotations": {"/b": "a"}}), "annotations./b", "a lowercase DNS name"),
            (json!({"annotations": {"big": "x".repeat(100_000)}}), "annotations", "the limit for a pod"),
        ] {
            let found = findings(metadata);
            let errors = found.iter().filter(|(_, severity, _)| *severity == Severity::Error);
            let said = errors
                .clone()
                .any(|(path, _, message)| *path == format!("spec.canaryMetadata.{place}") && message.contains(words));
            assert!(said, "{place}: {words}: {found:?}");
        }
    }

    // M4: whatever carries our labels is taken for ours.
    #[test]
    fn m4_our_own_labels_are_refused_in_templates_and_selectors() {
        let mut spec = spec(json!({}));
        let template = spec.template.as_mut().unwrap();
        template["metadata"]["labels"]["glidepath.dev/rollout"] = json!("web");
        template["metadata"]["annotations"] = json!({"glidepath.dev/metadata": "{}", "glidepath.development/x": "a"});
        spec.selector = serde_json::from_value(json!({
            "matchLabels": {"app": "web", "glidepath.dev/revision": "x"},
            "matchExpressions": [{"key": "glidepath.dev/rollout", "operator": "Exists"}],
        }))
        .unwrap();
        let found = validate::rollout(&spec);
        for path in [
            "spec.template.metadata.labels.glidepath.dev/rollout",
            "spec.template.metadata.annotations.glidepath.dev/metadata",
            "spec.selector.matchLabels.glidepath.dev/revision",
            "spec.selector.matchExpressions[0].key",
        ] {
            let said = found.iter().any(|one| one.path == path && one.message.contains("keys with glidepath.dev/ are"));
            assert!(said, "{path}: {found:?}");
        }
        assert!(!found.iter().any(|one| one.path.contains("development")), "{found:?}");
    }

    #[test]
    fn a_label_of_the_template_may_be_lost_to_a_service() {
        assert_eq!(findings(json!({"labels": {"app": "other"}})).len(), 1, "what is refused needs no advice");
        let found = findings(json!({"labels": {"tier": "trial"}}));
        assert_eq!((found.len(), found[0].1), (1, Severity::Warning), "{found:?}");
        assert!(found[0].2.contains("the template has tier=front"), "{}", found[0].2);
    }
}
