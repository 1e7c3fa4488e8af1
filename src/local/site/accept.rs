//! What a file for a cluster means on two addresses: what is put in place of its cluster's parts, and what cannot be done.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;

use crate::{
    api::{
        HumanDuration, Rollout, RolloutSpec,
        analysis::{AnalysisTemplateSpec, Counter},
        strategy::{CanaryStrategy, Step},
        traffic::{IstioTraffic, TrafficRouter, VirtualServiceRef},
        validate::Finding,
    },
    local::template,
};

/// The router that stands in the object for the splitter: the engine asks only whether there is one.
const STAND_IN: &str = "glidepath-local";

/// The Rollout as it is released here, with what a reader of the file should know.
pub fn prepare(mut rollout: Rollout) -> (Rollout, Vec<String>) {
    let name = rollout.metadata.name.clone().unwrap_or_default();
    let notes = notes(&rollout.spec);
    let spec = &mut rollout.spec;
    spec.workload_ref = None;
    spec.selector.get_or_insert_with(LabelSelector::default);
    spec.template.get_or_insert_with(|| template::stand_in(&name));
    spec.replicas = Some(1);
    spec.services = None;
    spec.traffic = vec![splitter()];
    // The splitter's table is swapped in one moment.
    spec.settle.get_or_insert(HumanDuration::secs(0));
    rollout.status = None;
    (rollout, notes)
}

fn splitter() -> TrafficRouter {
    let virtual_services = vec![VirtualServiceRef { name: STAND_IN.into(), ..VirtualServiceRef::default() }];
    let services = IstioTraffic { virtual_services, ..IstioTraffic::default() };
    TrafficRouter { istio: Some(services) }
}

fn notes(spec: &RolloutSpec) -> Vec<String> {
    let mut notes = Vec::new();
    if let Some(replicas) = spec.replicas.filter(|replicas| *replicas != 1) {
        notes.push(format!("spec.replicas {replicas} means nothing here: each address counts as one pod"));
    }
    if !spec.traffic.is_empty() {
        notes.push("spec.traffic is not used: the built-in splitter routes".to_owned());
    }
    if spec.workload_ref.is_some() {
        notes.push("spec.workloadRef is not used: versions are named with 'glidepath set image'".to_owned());
    }
    notes
}

/// What of this spec has no meaning on two addresses.
pub fn check(spec: &RolloutSpec) -> Vec<Finding> {
    let mut found = Vec::new();
    if let Some(canary) = &spec.strategy.canary {
        check_canary(canary, &mut found);
    }
    let preview = spec.strategy.blue_green.as_ref().and_then(|strategy| strategy.preview_replicas);
    if preview.is_some_and(|replicas| replicas > 1) {
        let message = "there is one process at each address and nothing to scale; leave it out";
        found.push(Finding::error("spec.strategy.blueGreen.previewReplicas", message));
    }
    found
}

fn check_canary(canary: &CanaryStrategy, found: &mut Vec<Finding>) {
    let path = "spec.strategy.canary";
    let mut refuse = |field: String, message: &str| found.push(Finding::error(format!("{path}.{field}"), message));
    if canary.dynamic_stable_scale {
        refuse("dynamicStableScale".into(), "there are no pods to scale here; leave it out");
    }
    if canary.min_pods_per_revision.is_some_and(|pods| pods > 1) {
        refuse("minPodsPerRevision".into(), "there is one process at each address; leave it out");
    }
    for (index, step) in canary.steps.iter().enumerate() {
        if let Step { set_canary_scale: Some(_), .. } = step {
            refuse(
                format!("steps[{index}].setCanaryScale"),
                "there is one process at each address and nothing to scale; take the step out",
            );
        }
    }
}

/// What of a template cannot be measured here.
pub fn check_template(spec: &AnalysisTemplateSpec) -> Vec<Finding> {
    let mut found = Vec::new();
    for (index, metric) in spec.metrics.iter().enumerate() {
        let path = format!("spec.metrics[{index}]");
        if let Some(ratio) = &metric.ratio {
            for (field, counter) in [("bad", &ratio.bad), ("total", &ratio.total)] {
                if matches!(counter, Counter { builtin: None, .. }) {
                    let message = "asks Prometheus, which a local rollout does not; the splitter counts {builtin: errors} \
                                   and {builtin: requests}";
                    found.push(Finding::error(format!("{path}.ratio.{field}"), message));
                }
            }
        } else {
            let message = "asks Prometheus, which a local rollout does not; a ratio of the splitter's builtin counters can \
                           be judged here";
            found.push(Finding::error(path, message));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn rollout(spec: Value) -> Rollout {
        let object = json!({
            "apiVersion": "glidepath.dev/v1alpha1", "kind": "Rollout", "metadata": { "name": "web" }, "spec": spec
        });
        serde_json::from_value(object).unwrap()
    }

    #[test]
    fn a_file_for_a_cluster_becomes_one_for_two_addresses() {
        let (rollout, notes) = prepare(rollout(json!({
            "replicas": 4,
            "workloadRef": { "apiVersion": "apps/v1", "kind": "Deployment", "name": "web" },
            "services": { "root": "web" },
            "traffic": [{ "istio": { "virtualServices": [{ "name": "web" }] } }],
            "strategy": { "canary": { "steps": [{ "setWeight": 10 }] } },
        })));
        assert_eq!(notes.len(), 3, "{notes:?}");
        let spec = &rollout.spec;
        assert_eq!((spec.replicas, spec.traffic.len(), spec.settle), (Some(1), 1, Some(HumanDuration::secs(0))));
        assert!(spec.template.is_some() && spec.workload_ref.is_none() && spec.services.is_none());
        assert_eq!(crate::api::validate::rollout(spec), []);
        assert_eq!(prepare(rollout.clone()).0, rollout, "what was prepared stays as it is");
    }

    #[test]
    fn what_cannot_be_done_is_named() {
        let spec = rollout(json!({ "strategy": { "canary": {
            "dynamicStableScale": true, "minPodsPerRevision": 2,
            "steps": [{ "setWeight": 10 }, { "setCanaryScale": { "replicas": 2 } }],
        } } }))
        .spec;
        let paths: Vec<String> = check(&spec).into_iter().map(|finding| finding.path).collect();
        assert_eq!(
            paths,
            ["dynamicStableScale", "minPodsPerRevision", "steps[1].setCanaryScale"]
                .map(|field| format!("spec.strategy.canary.{field}"))
        );
    }

    #[test]
    fn templates_that_ask_prometheus_are_named() {
        use crate::evidence::builtin;
        assert_eq!(check_template(&builtin("golden-signals").unwrap()), []);
        for name in ["errors", "success-rate"] {
            assert!(!check_template(&builtin(name).unwrap()).is_empty(), "{name}");
        }
    }
}
