//! Which pods: the reference to a Deployment, or selector and template; history; surge.

use serde_json::Value;

use super::finding::Finding;
use crate::api::{
    pod_count::{MOST_PODS, PodCount},
    rollout::RolloutSpec,
};

pub(super) fn check(spec: &RolloutSpec, found: &mut Vec<Finding>) {
    if spec.workload_ref.is_some() == spec.template.is_some() {
        found.push(Finding::error("spec", "set either workloadRef, or selector and template"));
    }
    if spec.template.is_some() != spec.selector.is_some() {
        found.push(Finding::error("spec", "selector and template must be set together"));
    }
    if let Some(workload) = &spec.workload_ref
        && (workload.api_version != "apps/v1" || workload.kind != "Deployment")
    {
        found.push(Finding::error("spec.workloadRef", "workloadRef must reference an apps/v1 Deployment"));
    }
    if let Some(template) = &spec.template {
        selector(spec, template, found);
        containers(template, found);
    }
    history(spec, found);
    bounds(spec, found);
    movement(spec, found);
}

/// The selector must find the template's pods, or every tick would make more of them.
fn selector(spec: &RolloutSpec, template: &Value, found: &mut Vec<Finding>) {
    let Some(selector) = &spec.selector else { return };
    let wanted = selector.match_labels.clone().unwrap_or_default();
    let expressions = selector.match_expressions.as_ref().is_some_and(|list| !list.is_empty());
    if wanted.is_empty() && !expressions {
        found.push(Finding::error("spec.selector", "is empty and would select every pod; set matchLabels"));
    }
    if template.pointer("/metadata/labels").is_some_and(|labels| !labels.is_object() && !labels.is_null()) {
        return found.push(Finding::error("spec.template.metadata.labels", "must be a map of labels"));
    }
    for (key, value) in wanted {
        let label = template.pointer("/metadata/labels").and_then(|labels| labels.get(&key)).filter(|l| !l.is_null());
        if label.and_then(Value::as_str) != Some(value.as_str()) {
            found.push(Finding::error(
                "spec.template.metadata.labels",
                format!("the selector requires {key}={value}, but the template's pods have {}", shown(&key, label)),
            ));
        }
    }
}

fn shown(key: &str, label: Option<&Value>) -> String {
    match label {
        None => format!("no label {key}"),
        Some(Value::String(value)) => format!("{key}={value}"),
        Some(other) => format!("{key}: {other}, which is not a string; quote it"),
    }
}

fn containers(template: &Value, found: &mut Vec<Finding>) {
    let path = "spec.template.spec.containers";
    let given = template.pointer("/spec/containers").filter(|given| !given.is_null());
    if given.is_some_and(|given| !given.is_array()) {
        return found.push(Finding::error(path, "must be a list of containers"));
    }
    let Some(containers) = given.and_then(Value::as_array).filter(|list| !list.is_empty()) else {
        found.push(Finding::error(path, "the pod template has no container; add at least one with name and image"));
        return;
    };
    for (index, container) in containers.iter().enumerate() {
        for field in ["name", "image"] {
            let message = match container.get(field) {
                Some(Value::String(text)) if !text.is_empty() => continue,
                None | Some(Value::Null | Value::String(_)) => format!("the container has no {field}"),
                Some(Value::Object(_) | Value::Array(_)) => "must be a string".to_owned(),
                Some(other) => format!("must be a string (quote it), got {other}"),
            };
            found.push(Finding::error(format!("{path}[{index}].{field}"), message));
        }
        let ready = container.get("readinessProbe").is_some();
        if index == 0 && !ready {
            found.push(Finding::warning(
                format!("{path}[0]"),
                "has no readinessProbe; a pod receives traffic as soon as its process runs",
            ));
        }
    }
}

fn history(spec: &RolloutSpec, found: &mut Vec<Finding>) {
    match spec.revision_history_limit {
        Some(0) => {
            found.push(Finding::warning("spec.revisionHistoryLimit", "0 leaves no revision for `undo` to roll back to"))
        }
        Some(limit) if limit > 100 => {
            found.push(Finding::error("spec.revisionHistoryLimit", format!("must be at most 100, got {limit}")));
        }
        _ => {}
    }
}

/// As the schema has it, for files that no API server has seen.
fn bounds(spec: &RolloutSpec, found: &mut Vec<Finding>) {
    let (canary, blue_green) = (spec.strategy.canary.as_ref(), spec.strategy.blue_green.as_ref());
    let counts = [
        ("spec.replicas".to_owned(), spec.replicas),
        ("spec.strategy.canary.minPodsPerRevision".to_owned(), canary.and_then(|canary| canary.min_pods_per_revision)),
        (
            "spec.strategy.blueGreen.previewReplicas".to_owned(),
            blue_green.and_then(|strategy| strategy.preview_replicas),
        ),
    ];
    let steps = canary.into_iter().flat_map(|canary| &canary.steps).enumerate();
    let scales = steps.filter_map(|(index, step)| {
        let path = format!("spec.strategy.canary.steps[{index}].setCanaryScale.replicas");
        Some((path, step.set_canary_scale.as_ref()?.replicas))
    });
    for (path, count) in counts.into_iter().chain(scales) {
        if let Some(count) = count.filter(|count| *count > MOST_PODS) {
            found.push(Finding::error(path, format!("must be at most {MOST_PODS}, got {count}")));
        }
    }
}

fn movement(spec: &RolloutSpec, found: &mut Vec<Finding>) {
    let Some(canary) = &spec.strategy.canary else { return };
    if let Some(PodCount::Share(share)) = canary.max_unavailable.filter(|count| matches!(count, PodCount::Share(101..)))
    {
        let message = format!("{share}% must not be greater than 100%");
        found.push(Finding::error("spec.strategy.canary.maxUnavailable", message));
    }
    let none = |count: Option<PodCount>| count.is_some_and(|count| count.round_up(100) == 0);
    if none(canary.max_surge) && none(canary.max_unavailable) {
        found.push(Finding::warning(
            "spec.strategy.canary.maxUnavailable",
            "maxSurge and maxUnavailable are both 0, so 1 pod may be unavailable",
        ));
    }
    if !spec.has_mesh() && canary.min_pods_per_revision.is_some() {
        found.push(Finding::warning(
            "spec.strategy.canary.minPodsPerRevision",
            "has no effect without a router: the ratio of pods determines the weight",
        ));
    }
    if spec.has_mesh() && canary.max_surge.is_some() {
        found.push(Finding::warning(
            "spec.strategy.canary.maxSurge",
            "has no effect with a mesh: stable keeps all its pods",
        ));
    }
}
