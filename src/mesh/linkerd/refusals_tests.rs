//! Values and combinations that the table cannot refuse: each is refused by its field.

use serde_json::{Value, json};

use super::KIND;
use crate::{
    api::MeshPolicy,
    mesh::{Facts, plan},
    router::Objects,
    yaml,
};

fn refused(spec: Value) -> Vec<String> {
    let mut facts = Facts::default();
    for (name, selector) in [("web", json!({"app": "web"})), ("bare", json!({}))] {
        facts.add(&json!({"kind": "Service", "metadata": {"namespace": "shop", "name": name},
            "spec": {"selector": selector, "ports": [{"port": 80, "targetPort": 8080}]}}));
    }
    facts.add(&json!({"kind": "Service", "metadata": {"namespace": "shop", "name": "named"},
        "spec": {"selector": {"app": "named"}, "ports": [{"port": 80, "targetPort": "http"}]}}));
    let mut spec = spec;
    if spec.get("target").is_none() {
        spec["target"] = json!({"service": "web"});
    }
    let policy = json!({"metadata": {"namespace": "shop", "name": "p"}, "spec": spec});
    let policy: MeshPolicy = yaml::typed(&policy).unwrap();
    let planned = plan(&KIND, &policy, &facts, &Objects::default());
    assert!(planned.writes.is_empty() || planned.is_clear());
    planned.refused.into_iter().map(|refusal| refusal.field).collect()
}

#[test]
fn what_linkerd_cannot_express_is_refused_by_field() {
    let allow = |to: Value| json!({"authorization": {"allow": [{"to": [to]}]}});
    for (spec, field) in [
        (json!({"mtls": {"mode": "Disable"}}), "mtls.mode"),
        (json!({"mtls": {"mode": "Strict", "ports": {"9090": "Disable"}}}), "mtls.ports.9090"),
        (json!({"mtls": {"minVersion": "1.2"}}), "mtls.minVersion"),
        (json!({"mtls": {"mode": "Strict"}, "target": {"service": "bare"}}), "target.service"),
        (json!({"mtls": {"mode": "Strict"}, "target": {"service": "named"}}), "target"),
        (json!({"mtls": {"mode": "Strict"}, "target": {"workload": {"app": "none"}}}), "target"),
        (allow(json!({"methods": ["BREW"]})), "authorization.allow[0].to[0].methods[0]"),
        (allow(json!({"paths": [format!("/{}*", ".".repeat(600))]})), "authorization.allow[0].to[0].paths[0]"),
        (allow(json!({"ports": [80]})), "authorization.allow[0].to[0].ports[0]"),
        (json!({"breaker": {"gatewayErrorsOnly": true, "consecutiveErrors": 5}}), "breaker.gatewayErrorsOnly"),
        (json!({"breaker": {"baseEjectionTime": "5s"}}), "breaker.consecutiveErrors"),
        (json!({"loadBalancer": {"algorithm": "Random"}}), "loadBalancer.algorithm"),
        (json!({"retries": {"attempts": 2}}), "retries.on"),
        (json!({"retries": {"attempts": 2, "on": ["reset"]}}), "retries.on"),
        (json!({"retries": {"perTry": "1s", "on": ["connect-failure"]}}), "retries.perTry"),
        (json!({"timeouts": {"idle": "1m"}, "target": {"workload": {"app": "none"}}}), "timeouts"),
        (json!({"rateLimit": {"requests": 10, "per": "1s"}}), "rateLimit"),
        (json!({"mtls": {"mode": "Strict"}, "rateLimit": {"requests": 10, "per": "1m"}}), "rateLimit.requests"),
        (
            json!({"mtls": {"mode": "Strict"}, "rateLimit": {"requests": 1, "per": "1s", "perClient": 2}}),
            "rateLimit.perClient",
        ),
        (json!({"egress": {"default": "Deny"}}), "egress"),
        (json!({"target": {"namespace": true}, "egress": {"allow": [{"host": "a", "port": 443}]}}), "egress.default"),
        (
            json!({"target": {"namespace": true}, "egress": {"default": "Deny", "allow": [{"host": "a", "port": 5432}]}}),
            "egress.allow[0].port",
        ),
        (json!({"telemetry": {"accessLog": "errors"}}), "telemetry.accessLog"),
    ] {
        assert_eq!(refused(spec.clone()), [field], "{spec}");
    }
}
