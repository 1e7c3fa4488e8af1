//! The exit code of a Kubernetes Job, which runs in the namespace of the analysis for each measurement.

use kube::KubeSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::api::common::HumanDuration;

/// How long a Job may run unless a metric says otherwise, and at most.
const TIMEOUT: HumanDuration = HumanDuration::secs(300);
/// The longest that it may run.
pub const LONGEST_JOB: HumanDuration = HumanDuration::secs(3600);
/// The most fields and items of a pod template, and how deep they may be.
const MOST_VALUES: usize = 2_000;
const DEEPEST: usize = 20;

/// The exit code of a Job. A new Job runs for each measurement, one at a time, and is not retried; `result` is the exit
/// code of the container that failed, else 0. The controller must be allowed to create Jobs in this namespace.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct JobQuery {
    /// The pod template, as in a Job: `metadata` with labels and annotations, and `spec`. The restart policy is `Never`.
    #[schemars(schema_with = "raw_object")]
    pub template: Value,
    /// How long the Job may run before it counts as an error. Default 5m, at most 1h.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout: Option<HumanDuration>,
}

impl JobQuery {
    /// How long the Job may run, in seconds.
    pub fn timeout_seconds(&self) -> u64 {
        self.timeout.unwrap_or(TIMEOUT).get().as_secs()
    }

    /// The texts in which arguments are substituted, each with its field: every text of the pod's spec.
    pub fn texts_mut(&mut self) -> Vec<(String, &mut String)> {
        template_texts(&mut self.template)
    }

    /// What is wrong with it, each with its field.
    pub fn problems(&self) -> Vec<(String, String)> {
        let mut found = Vec::new();
        let timeout = self.timeout.unwrap_or(TIMEOUT);
        if timeout.get().as_secs() == 0 || timeout.get().subsec_nanos() != 0 || timeout > LONGEST_JOB {
            found.push(("timeout".to_owned(), "must be whole seconds, from 1s to 1h".to_owned()));
        }
        found.extend(template_problems(&self.template));
        found
    }
}

/// The texts of a Job's pod template in which arguments are substituted, each with its field.
pub(in crate::api::analysis) fn template_texts(template: &mut Value) -> Vec<(String, &mut String)> {
    let mut texts = Vec::new();
    if let Some(spec) = template.get_mut("spec") {
        collect("template.spec".to_owned(), spec, DEEPEST, &mut texts);
    }
    texts
}

/// What is wrong with a Job's pod template, each with its field.
pub(in crate::api::analysis) fn template_problems(template: &Value) -> Vec<(String, String)> {
    let mut found = Vec::new();
    let mut add = |field: &str, problem: &str| found.push((field.to_owned(), problem.to_owned()));
    if size(template, DEEPEST) > MOST_VALUES {
        add("template", "is too large or nested too deep");
    }
    let spec = template.get("spec").and_then(Value::as_object);
    let containers = spec.and_then(|spec| spec.get("containers")).and_then(Value::as_array);
    if containers.is_none_or(Vec::is_empty) {
        add("template.spec.containers", "set at least one container");
    }
    if spec.and_then(|spec| spec.get("restartPolicy")).is_some_and(|policy| policy != "Never") {
        add("template.spec.restartPolicy", "must be Never: a pod that fails is not retried");
    }
    for field in ["labels", "annotations"] {
        let ours = template.pointer(&format!("/metadata/{field}")).and_then(Value::as_object);
        if ours.is_some_and(|marks| marks.keys().any(|key| key.starts_with("glidepath.dev/"))) {
            add(&format!("template.metadata.{field}"), "must not contain a key of glidepath.dev");
        }
    }
    found
}

fn collect<'a>(path: String, value: &'a mut Value, depth: usize, texts: &mut Vec<(String, &'a mut String)>) {
    let Some(depth) = depth.checked_sub(1) else { return };
    match value {
        Value::String(text) => texts.push((path, text)),
        Value::Array(items) => {
            let items = items.iter_mut().enumerate();
            items.for_each(|(index, item)| collect(format!("{path}[{index}]"), item, depth, texts));
        }
        Value::Object(fields) => {
            fields.iter_mut().for_each(|(key, field)| collect(format!("{path}.{key}"), field, depth, texts));
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// How many values it has; more than any limit where it is too deep.
fn size(value: &Value, depth: usize) -> usize {
    let Some(depth) = depth.checked_sub(1) else { return usize::MAX };
    let sum = |sizes: &mut dyn Iterator<Item = usize>| sizes.fold(1, usize::saturating_add);
    match value {
        Value::Array(items) => sum(&mut items.iter().map(|item| size(item, depth))),
        Value::Object(fields) => sum(&mut Map::values(fields).map(|field| size(field, depth))),
        _ => 1,
    }
}

pub(in crate::api::analysis) fn raw_object(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
    schemars::json_schema!({ "type": "object", "x-kubernetes-preserve-unknown-fields": true })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn query(template: Value) -> JobQuery {
        JobQuery { template, timeout: None }
    }

    #[test]
    fn a_template_is_checked_and_its_texts_take_arguments() {
        let mut fine = query(json!({"spec": {"containers": [{"name": "a", "args": ["{{args.host}}", "-v"]}]}}));
        assert_eq!(fine.problems(), []);
        let texts: Vec<(String, String)> =
            fine.texts_mut().into_iter().map(|(field, text)| (field, text.clone())).collect();
        assert!(texts.contains(&("template.spec.containers[0].args[0]".into(), "{{args.host}}".into())), "{texts:?}");
        let deep = (0..50).fold(json!("x"), |inner, _| json!([inner]));
        for (template, timeout, field) in [
            (json!({"spec": {}}), None, "template.spec.containers"),
            (json!({"spec": {"containers": [{}], "restartPolicy": "Always"}}), None, "template.spec.restartPolicy"),
            (
                json!({"metadata": {"labels": {"glidepath.dev/revision": "a"}}, "spec": {"containers": [{}]}}),
                None,
                "template.metadata.labels",
            ),
            (json!({"spec": {"containers": [deep]}}), None, "template"),
            (json!({"spec": {"containers": [{}]}}), Some(HumanDuration::secs(3601)), "timeout"),
            (json!({"spec": {"containers": [{}]}}), Some(HumanDuration::secs(0)), "timeout"),
        ] {
            let found = JobQuery { template, timeout }.problems();
            assert_eq!(found.iter().map(|(field, _)| field.as_str()).collect::<Vec<_>>(), [field]);
        }
    }
}
