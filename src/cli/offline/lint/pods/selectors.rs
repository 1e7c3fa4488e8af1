//! Selectors of labels: their requirements, and whether one finds the template's own pods.

use serde_json::Value;

use super::read::{has, list, text};
use crate::{
    api::{
        names::{label_value, qualified_name},
        validate::Finding,
    },
    yaml::join,
};

/// One of a selector's `matchExpressions`.
pub(super) fn requirement(kind: &str, requirement: &Value, path: &str, found: &mut Vec<Finding>) {
    let values = list(requirement, "values");
    let wrong = match (text(requirement, "operator"), values.len()) {
        (Some(operator @ ("In" | "NotIn")), 0) => Some(format!("{operator} needs at least one value")),
        (Some(operator @ ("Exists" | "DoesNotExist")), 1..) => {
            Some(format!("{operator} takes no values; remove them, or write In or NotIn"))
        }
        (Some(operator @ ("Gt" | "Lt")), count) if count != 1 && kind == "NodeSelectorRequirement" => {
            Some(format!("{operator} takes one value"))
        }
        _ => None,
    };
    found.extend(wrong.map(|message| Finding::error(join(path, "values"), message)));
    if let Some((key, Err(why))) = text(requirement, "key").map(|key| (key, qualified_name(key))) {
        found.push(Finding::error(join(path, "key"), format!("\"{key}\" is not a valid key for a label: {why}")));
    }
    for (index, value) in values.iter().enumerate().filter(|_| kind == "LabelSelectorRequirement") {
        if let Some(Err(why)) = value.as_str().map(label_value) {
            found.push(Finding::error(
                format!("{path}.values[{index}]"),
                format!("{value} is not a valid label value: {why}"),
            ));
        }
    }
}

/// `matchExpressions` that the template's labels do not match: the API server rejects the ReplicaSet. `matchLabels` is
/// checked by the validator, for the controller too.
pub(super) fn excludes(selector: &Value, labels: &Value, path: &str, found: &mut Vec<Finding>) {
    for (index, requirement) in list(selector, "matchExpressions").iter().enumerate() {
        let (Some(key), Some(operator)) = (text(requirement, "key"), text(requirement, "operator")) else { continue };
        let label = &labels[key];
        let values = list(requirement, "values");
        let wanted = match operator {
            // What is no text is said already.
            _ if !label.is_null() && !label.is_string() => continue,
            "In" if !values.is_empty() && !values.contains(label) => format!("{key} in ({})", texts(values)),
            "NotIn" if !values.is_empty() && values.contains(label) => format!("{key} not in ({})", texts(values)),
            "Exists" if label.is_null() => format!("the label {key}"),
            "DoesNotExist" if !label.is_null() => format!("no label {key}"),
            _ => continue,
        };
        let have = label.as_str().map_or_else(|| format!("no label {key}"), |value| format!("{key}={value}"));
        let message = format!("the selector requires {wanted}, but the template's pods have {have}");
        found.push(Finding::error(format!("{path}.matchExpressions[{index}]"), message));
    }
}

fn texts(values: &[Value]) -> String {
    values.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(", ")
}

/// Which taints a pod tolerates.
pub(super) fn toleration(toleration: &Value, path: &str, found: &mut Vec<Finding>) {
    let operator = text(toleration, "operator").unwrap_or("Equal");
    match text(toleration, "key").map(|key| (key, qualified_name(key))) {
        None if operator != "Exists" => {
            found.push(Finding::error(join(path, "key"), "is missing; without a key operator must be Exists"));
        }
        Some((key, Err(why))) => {
            found.push(Finding::error(join(path, "key"), format!("\"{key}\" is not a valid key for a taint: {why}")));
        }
        _ => {}
    }
    match text(toleration, "value").map(|value| (value, label_value(value))) {
        Some(_) if operator == "Exists" => {
            found.push(Finding::error(join(path, "value"), "must not be set with operator: Exists; remove it"));
        }
        Some((value, Err(why))) => {
            found.push(Finding::error(join(path, "value"), format!("\"{value}\" is not a valid taint value: {why}")));
        }
        _ => {}
    }
    if has(toleration, "tolerationSeconds") && text(toleration, "effect") != Some("NoExecute") {
        found.push(Finding::error(join(path, "effect"), "must be NoExecute, because tolerationSeconds is set"));
    }
}
