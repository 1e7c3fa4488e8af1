//! What a file for a cluster means on two addresses: what is put in place of its cluster's parts, and what cannot be done.

use serde_json::{Value, json};

use crate::{
    api::{
        RolloutSpec,
        analysis::{AnalysisTemplateSpec, Counter, ExternalQuery, Metric, ThresholdMetric},
        strategy::{CanaryStrategy, Step},
        validate::Finding,
    },
    local::template,
};

/// The placeholder router in the object for the proxy: the engine checks only whether there is one.
const STAND_IN: &str = "glidepath-local";

/// What routes between the two addresses.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Routing {
    /// The built-in proxy, which also counts.
    #[default]
    Proxy,
    /// A mesh of Consul.
    Consul {
        /// Whether there is a Prometheus to ask.
        has_metrics: bool,
    },
}

/// Makes a Rollout's raw object what is released here, and says what a reader of the file should know.
pub fn prepare(object: &mut Value, routing: Routing) -> Vec<String> {
    let name = object["metadata"]["name"].as_str().unwrap_or_default().to_owned();
    let Some(spec) = object.get_mut("spec").and_then(Value::as_object_mut) else { return Vec::new() };
    let mut notes = Vec::new();
    if let Some(replicas) = spec.insert("replicas".into(), json!(1)).filter(|replicas| *replicas != json!(1)) {
        notes.push(format!("spec.replicas {replicas} has no effect in local mode: each address counts as one pod"));
    }
    let proxy = json!([{ "istio": { "virtualServices": [{ "name": STAND_IN }] } }]);
    if spec.insert("traffic".into(), proxy.clone()).is_some_and(|traffic| traffic != proxy) {
        let routes = if routing == Routing::Proxy { "the built-in proxy routes" } else { "Consul routes (--consul)" };
        notes.push(format!("spec.traffic is not used: {routes}"));
    }
    spec.insert("services".into(), json!({ "root": name }));
    if spec.remove("workloadRef").is_some() {
        notes.push("spec.workloadRef is not used: set versions with 'glidepath set image'".to_owned());
    }
    for field in ["canaryMetadata", "stableMetadata"] {
        if spec.remove(field).is_some() {
            notes.push(format!("spec.{field} is not used: there are no pods to label"));
        }
    }
    spec.entry("template").or_insert_with(|| template::stand_in(&name));
    let chosen = spec.get("selector").is_some_and(|selector| selector.as_object().is_none_or(|map| !map.is_empty()));
    if !chosen {
        let any = json!({ "matchExpressions": [{ "key": "no-pods", "operator": "DoesNotExist" }] });
        spec.insert("selector".into(), any);
    }
    // The proxy's table is swapped in one moment; sidecars follow within a second.
    let settle = if routing == Routing::Proxy { "0s" } else { "5s" };
    spec.entry("settle").or_insert_with(|| json!(settle));
    if spec.get("strategy").is_some_and(|strategy| strategy.get("abTest").is_some()) {
        notes.push("the goal of the test is not measured in local mode: decide with promote or abort".to_owned());
    }
    if let Some(object) = object.as_object_mut() {
        object.remove("status");
    }
    notes
}

/// What of this spec has no meaning on two addresses, or cannot be routed there.
pub fn check(spec: &RolloutSpec, routing: Routing) -> Vec<Finding> {
    let mut found = Vec::new();
    if routing != Routing::Proxy {
        check_consul(spec, &mut found);
    }
    if let Some(canary) = &spec.strategy.canary {
        check_canary(canary, &mut found);
    }
    let preview = spec.strategy.blue_green.as_ref().and_then(|strategy| strategy.preview_replicas);
    if preview.is_some_and(|replicas| replicas > 1) {
        let message = "there is one process per address and nothing to scale; remove it";
        found.push(Finding::error("spec.strategy.blueGreen.previewReplicas", message));
    }
    found
}

/// What Consul cannot do between two versions of one service.
fn check_consul(spec: &RolloutSpec, found: &mut Vec<Finding>) {
    let mut refuse = |path: String, message: &str| found.push(Finding::error(path, message));
    let steps = spec.strategy.canary.iter().flat_map(|canary| &canary.steps).enumerate();
    for (index, _) in steps.filter(|(_, step)| step.set_mirror_route.is_some()) {
        let message = "Consul does not mirror requests; remove the step";
        refuse(format!("spec.strategy.canary.steps[{index}].setMirrorRoute"), message);
    }
    let test = spec.strategy.ab_test.as_ref().is_some_and(|test| test.sticky.is_some());
    let canary = spec.strategy.canary.as_ref().is_some_and(|canary| canary.sticky.is_some());
    for (_, field) in [(canary, "canary"), (test, "abTest")].into_iter().filter(|(is_sticky, _)| *is_sticky) {
        let message =
            "Consul does not keep users on a version, only on an instance of it; remove it, or match a header";
        refuse(format!("spec.strategy.{field}.sticky"), message);
    }
    if spec.strategy.blue_green.is_some() {
        let message = "with --consul the filter of a subset changes only while it receives no requests, and blue-green would \
                       switch it under them; use canary with the step setWeight: 100";
        refuse("spec.strategy.blueGreen".to_owned(), message);
    }
}

fn check_canary(canary: &CanaryStrategy, found: &mut Vec<Finding>) {
    let path = "spec.strategy.canary";
    let mut refuse = |field: String, message: &str| found.push(Finding::error(format!("{path}.{field}"), message));
    if canary.dynamic_stable_scale {
        refuse("dynamicStableScale".into(), "there are no pods to scale in local mode; remove it");
    }
    if canary.min_pods_per_revision.is_some_and(|pods| pods > 1) {
        refuse("minPodsPerRevision".into(), "there is one process per address; remove it");
    }
    for (index, step) in canary.steps.iter().enumerate() {
        if let Step { set_canary_scale: Some(_), .. } = step {
            refuse(
                format!("steps[{index}].setCanaryScale"),
                "there is one process per address and nothing to scale; remove the step",
            );
        }
    }
}

/// What of a template cannot be measured here. The goal of an A/B test is decided by an operator: only the application
/// knows who converts.
pub fn check_template(spec: &AnalysisTemplateSpec, routing: Routing) -> Vec<Finding> {
    if let Routing::Consul { has_metrics } = routing {
        return check_measured(spec, has_metrics);
    }
    let mut found = Vec::new();
    for (index, metric) in spec.metrics.iter().enumerate() {
        let path = format!("spec.metrics[{index}]");
        if metric.conversion.is_some() {
            continue;
        }
        if let Some(ratio) = &metric.ratio {
            for (field, counter) in [("bad", &ratio.bad), ("total", &ratio.total)] {
                if matches!(counter, Counter { builtin: None, .. }) {
                    let message = "queries Prometheus, which is not available in local mode; the proxy counts {builtin: errors} and {builtin: requests}";
                    found.push(Finding::error(format!("{path}.ratio.{field}"), message));
                }
            }
        } else {
            found.push(Finding::error(
                path,
                format!("{}; use a ratio of the proxy's builtin counters", unknown(metric)),
            ));
        }
    }
    found
}

/// In a mesh no proxy of ours counts: what is measured is a query of a Prometheus that was named.
fn check_measured(spec: &AnalysisTemplateSpec, has_metrics: bool) -> Vec<Finding> {
    let is_query = |metric: &Metric| metric.threshold.as_ref().is_some_and(|threshold| threshold.external().is_none());
    let refused = spec.metrics.iter().enumerate().filter(|(_, metric)| metric.conversion.is_none());
    let refused = refused.filter(|(_, metric)| !(has_metrics && is_query(metric)));
    let finding = |(index, metric): (usize, &Metric)| {
        let message = if is_query(metric) {
            "queries Prometheus; name it with --prometheus"
        } else {
            "with --consul there is no proxy that counts by version, and no pods; use a threshold with a query, and --prometheus"
        };
        Finding::error(format!("spec.metrics[{index}]"), message)
    };
    refused.map(finding).collect()
}

/// What a metric would have to know: of the processes behind its addresses the proxy sees the answers alone.
fn unknown(metric: &Metric) -> String {
    if metric.gauge.is_some() {
        return "compares a value of the pods of both versions: local mode has no pods, and knows no gauge of a process (CPU, \
                memory, queue length)"
            .to_owned();
    }
    if metric.anomaly.is_some() {
        return "compares a query's result with earlier days, and local mode has no history".to_owned();
    }
    let external = metric.threshold.as_ref().and_then(ThresholdMetric::external);
    let source = external.as_ref().map_or("Prometheus", ExternalQuery::name);
    format!("queries {source}, which is not available in local mode")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::{HumanDuration, Rollout, validate};

    fn rollout(spec: Value) -> Value {
        json!({ "apiVersion": "glidepath.dev/v1alpha1", "kind": "Rollout", "metadata": { "name": "web" }, "spec": spec })
    }

    #[test]
    fn a_file_for_a_cluster_becomes_one_for_two_addresses() {
        let mut object = rollout(json!({
            "replicas": 4,
            "workloadRef": { "apiVersion": "apps/v1", "kind": "Deployment", "name": "web" },
            "traffic": [{ "istio": { "virtualServices": [{ "name": "web" }] } }],
            "canaryMetadata": { "labels": { "role": "canary" } }, "stableMetadata": { "labels": { "role": "stable" } },
            "strategy": { "canary": { "steps": [{ "setWeight": 10 }] } },
        }));
        assert_eq!(prepare(&mut object, Routing::Proxy).len(), 5);
        let first = object.clone();
        assert_eq!(
            (prepare(&mut object, Routing::Proxy), &object),
            (vec![], &first),
            "what was prepared stays as it is"
        );
        let spec = serde_json::from_value::<Rollout>(object).unwrap().spec;
        assert_eq!((spec.replicas, spec.traffic.len(), spec.settle), (Some(1), 1, Some(HumanDuration::secs(0))));
        assert!(spec.template.is_some() && spec.workload_ref.is_none());
        assert!(spec.canary_metadata.is_none() && spec.stable_metadata.is_none(), "asked for, it would be refused");
        let errors: Vec<_> =
            validate::rollout(&spec).into_iter().filter(|f| f.severity == validate::Severity::Error).collect();
        assert_eq!(errors, []);
    }

    #[test]
    fn a_strategy_is_all_that_a_file_must_have() {
        let route =
            json!({ "setHeaderRoute": { "name": "a", "match": [{ "header": { "name": "x", "exact": "1" } }] } });
        for strategy in [json!({ "canary": { "steps": [route] } }), json!({ "blueGreen": {} })] {
            let mut object = rollout(json!({ "strategy": strategy }));
            assert_eq!(prepare(&mut object, Routing::Proxy), Vec::<String>::new());
            let spec = serde_json::from_value::<Rollout>(object).unwrap().spec;
            let errors: Vec<_> =
                validate::rollout(&spec).into_iter().filter(|f| f.severity == validate::Severity::Error).collect();
            assert_eq!(errors, []);
        }
    }

    #[test]
    fn what_cannot_be_done_is_named() {
        let object = rollout(json!({ "strategy": { "canary": {
            "dynamicStableScale": true, "minPodsPerRevision": 2,
            "steps": [{ "setWeight": 10 }, { "setCanaryScale": { "replicas": 2 } }],
        } } }));
        let spec = serde_json::from_value::<Rollout>(object).unwrap().spec;
        let paths: Vec<String> = check(&spec, Routing::Proxy).into_iter().map(|finding| finding.path).collect();
        assert_eq!(
            paths,
            ["dynamicStableScale", "minPodsPerRevision", "steps[1].setCanaryScale"]
                .map(|field| format!("spec.strategy.canary.{field}"))
        );
    }

    #[test]
    fn what_consul_cannot_route_or_count_is_named() {
        use crate::evidence::builtin;
        let consul = |has_metrics| Routing::Consul { has_metrics };
        let paths = |strategy: Value| {
            let spec = serde_json::from_value::<Rollout>(rollout(json!({ "strategy": strategy }))).unwrap().spec;
            check(&spec, consul(true)).into_iter().map(|finding| finding.path).collect::<Vec<_>>()
        };
        let mirror = json!({ "canary": { "steps": [{ "setWeight": 5 }, { "setMirrorRoute": { "percent": 10 } }] } });
        assert_eq!(paths(mirror), ["spec.strategy.canary.steps[1].setMirrorRoute"]);
        assert_eq!(paths(json!({ "blueGreen": {} })), ["spec.strategy.blueGreen"]);
        assert_eq!(paths(json!({ "canary": { "steps": [{ "setWeight": 5 }] } })), Vec::<String>::new());

        let query = "metrics: [{name: q, threshold: {query: up, success: result > 0}}]";
        let query: AnalysisTemplateSpec = serde_yaml::from_str(query).unwrap();
        assert_eq!(check_template(&query, consul(true)), []);
        assert!(check_template(&query, consul(false))[0].message.ends_with("name it with --prometheus"));
        assert!(!check_template(&builtin("golden-signals").unwrap(), consul(true)).is_empty(), "no proxy counts");
    }

    #[test]
    fn templates_that_ask_prometheus_are_named() {
        use crate::evidence::builtin;
        assert_eq!(check_template(&builtin("golden-signals").unwrap(), Routing::Proxy), []);
        for name in ["errors", "success-rate"] {
            assert!(!check_template(&builtin(name).unwrap(), Routing::Proxy).is_empty(), "{name}");
        }
    }

    #[test]
    fn a_gauge_and_an_anomaly_are_refused_by_what_is_not_known_here() {
        for (judge, words) in [
            ("gauge: {query: memory}", "local mode has no pods, and knows no gauge of a process"),
            ("anomaly: {query: traffic}", "local mode has no history"),
        ] {
            let yaml = format!("metrics: [{{name: q, {judge}}}]");
            let found = check_template(&serde_yaml::from_str(&yaml).unwrap(), Routing::Proxy);
            let message = found.first().map(|finding| finding.message.clone()).unwrap_or_default();
            assert!(found.len() == 1 && message.contains(words) && message.contains("use a ratio"), "{found:?}");
        }
    }

    #[test]
    fn a_threshold_is_refused_by_its_source() {
        for (source, name) in [
            ("query: up", "Prometheus"),
            ("web: {url: 'https://x'}", "a web endpoint"),
            ("datadog: {query: q, secretRef: {name: s}}", "Datadog"),
            ("graphite: {address: 'https://x', target: t}", "Graphite"),
        ] {
            let yaml = format!("metrics: [{{name: q, threshold: {{{source}, success: result < 1}}}}]");
            let found = check_template(&serde_yaml::from_str(&yaml).unwrap(), Routing::Proxy);
            let words = format!("queries {name}, which is not available in local mode;");
            assert!(found.len() == 1 && found[0].message.starts_with(&words), "{found:?}");
        }
    }
}
