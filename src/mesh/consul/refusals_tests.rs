//! Values and combinations that the table cannot refuse, each by its field; and what others have in an entry, which stays.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::KIND;
use crate::{
    api::MeshPolicy,
    mesh::{Facts, MeshPlan, MeshWrite, PolicyName, hand_back, plan},
    router::Objects,
    yaml,
};

fn planned(spec: &Value, current: &Objects) -> MeshPlan {
    let mut facts = Facts::default();
    for name in ["web", "checkout"] {
        facts.add(&json!({"kind": "Service", "metadata": {"namespace": "shop", "name": name},
            "spec": {"selector": {"app": name}, "ports": [{"port": 80}]}}));
        facts.add(&json!({"kind": "Deployment", "metadata": {"namespace": "shop", "name": name},
            "spec": {"template": {"metadata": {"labels": {"app": name}}, "spec": {"serviceAccountName": name}}}}));
    }
    let mut spec = spec.clone();
    if spec.get("target").is_none() {
        spec["target"] = json!({"service": "checkout"});
    }
    let policy = json!({"metadata": {"namespace": "shop", "name": "p"}, "spec": spec});
    let policy: MeshPolicy = yaml::typed(&policy).unwrap();
    plan(&KIND, &policy, &facts, current)
}

#[test]
fn what_consul_cannot_express_is_refused_by_field() {
    let allow = |rule: Value| json!({"authorization": {"allow": [rule]}});
    for (spec, field) in [
        (json!({"mtls": {"mode": "Disable"}}), "mtls.mode"),
        (json!({"mtls": {"mode": "Permissive"}}), "mtls.mode"),
        (json!({"mtls": {"minVersion": "1.3"}}), "mtls.minVersion"),
        (json!({"mtls": {"ciphers": ["ECDHE-RSA-AES128-GCM-SHA256"]}}), "mtls.ciphers"),
        (allow(json!({"from": [{"anyone": true}]})), "authorization.allow[0].from[0]"),
        (allow(json!({"from": [{"namespace": "empty"}]})), "authorization.allow[0].from[0]"),
        (allow(json!({"from": [{"serviceAccount": "ops"}]})), "authorization.allow[0].from[0]"),
        (allow(json!({"from": [{"service": "web"}], "to": [{"paths": ["/a"]}]})), "authorization"),
        (json!({"authorization": {"allow": []}, "target": {"workload": {"app": "none"}}}), "authorization"),
        (json!({"connections": {"maxConnections": 1}}), "connections"),
        (json!({"breaker": {"consecutiveErrors": 1}}), "breaker"),
        (json!({"breaker": {"consecutiveErrors": 1}, "callers": ["wbe"]}), "callers[0]"),
        (json!({"breaker": {"gatewayErrorsOnly": true}, "callers": ["web"]}), "breaker.gatewayErrorsOnly"),
        (json!({"breaker": {"maxEjectionPercent": 0.5}, "callers": ["web"]}), "breaker.maxEjectionPercent"),
        (json!({"retries": {"attempts": 1, "on": ["reset"]}}), "retries"),
        (json!({"retries": {"attempts": 1}}), "retries.on"),
        (json!({"timeouts": {"request": "1s"}}), "timeouts"),
        (json!({"timeouts": {"request": "1s"}, "target": {"workload": {"app": "none"}}}), "timeouts"),
        (json!({"egress": {"default": "Deny"}}), "egress.default"),
        (json!({"failover": [{"from": "a", "to": "b"}, {"from": "c", "to": "b"}]}), "failover[1].from"),
        (json!({"telemetry": {"accessLog": "errors"}}), "telemetry.accessLog"),
        (json!({"telemetry": {"accessLog": "all"}}), "telemetry.accessLog"),
    ] {
        let refused: Vec<String> =
            planned(&spec, &Objects::default()).refused.into_iter().map(|refusal| refusal.field).collect();
        assert_eq!(refused, [field], "{spec}");
    }
}

/// Random content of an entry, beside what every case has.
fn foreign() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        any::<bool>().prop_map(Value::from),
        any::<u16>().prop_map(Value::from),
        "[a-z]{1,4}".prop_map(Value::from)
    ];
    leaf.prop_recursive(3, 12, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 1..3).prop_map(Value::from),
            prop::collection::btree_map("[a-z]{1,3}x", inner, 1..4).prop_map(|map| json!(map)),
        ]
    })
}

fn entry(kind: &str, name: &str, spec: Value) -> Value {
    json!({"apiVersion": "consul.hashicorp.com/v1alpha1", "kind": kind,
        "metadata": {"namespace": "shop", "name": name, "resourceVersion": "7"}, "spec": spec})
}

proptest! {
    /// With the policy's fields in them and without them again, entries are byte for byte what they were.
    #[test]
    fn foreign_fields_survive(inner in foreign(), other in foreign(), canary in foreign()) {
        let rollouts = json!({"match": {"http": {"header": [{"name": "glidepath-route-beta", "present": true, "invert": true}]}, "extrax": canary},
            "destination": {"serviceSubset": "canary"}});
        let before: Vec<Value> = vec![
            entry("ServiceDefaults", "checkout", json!({"protocol": "http", "ownx": inner})),
            entry("ServiceDefaults", "web", json!({"protocol": "http", "upstreamConfig":
                {"defaults": other, "overrides": [{"name": "pay", "limits": {"maxConnections": 1}}]}})),
            entry("ServiceResolver", "checkout", json!({"subsets": {"canary": {"filter": "a == b"}}, "ownx": other})),
            entry("ServiceRouter", "checkout", json!({"routes": [
                rollouts, {"match": {"http": {"pathPrefix": "/a"}}, "destination": {"prefixRewrite": "/", "ownx": inner}},
                {"match": {"http": {"pathPrefix": "/b"}}, "destination": {"service": "pay", "ownx": other}}]})),
        ];
        let current: Objects = before.iter().cloned().collect();
        let spec = json!({"mtls": {"mode": "Strict"}, "callers": ["web"], "connections": {"maxConnections": 5},
            "breaker": {"preset": "default"}, "loadBalancer": {"algorithm": "Random"},
            "retries": {"preset": "idempotent"}, "timeouts": {"request": "3s"}});
        let first = planned(&spec, &current);
        prop_assert!(first.is_clear(), "{:?}", first);
        prop_assert!(first.writes.iter().all(|write| matches!(write, MeshWrite::Replace(_))), "{:?}", first.writes);
        prop_assert_eq!(first.writes.len(), 4);
        let after = first.after(&current);
        let router = after.get("ServiceRouter", "shop", "checkout").unwrap();
        prop_assert_eq!(&router["spec"]["routes"][0], &before[3]["spec"]["routes"][0]);
        prop_assert_eq!(&router["spec"]["routes"][2], &before[3]["spec"]["routes"][2]);
        prop_assert_eq!(&router["spec"]["routes"][1]["destination"]["numRetries"], &json!(3));
        prop_assert_eq!(&router["spec"]["routes"][3]["destination"]["requestTimeout"], &json!("3s"));
        prop_assert!(planned(&spec, &after).writes.is_empty());
        let ended = hand_back(&KIND, PolicyName { namespace: "shop", name: "p" }, &after);
        for gone in [planned(&json!({}), &after), MeshPlan { writes: ended, ..MeshPlan::default() }] {
            let gone = gone.after(&after);
            for object in &before {
                let name = object["metadata"]["name"].as_str().unwrap();
                let now = gone.get(object["kind"].as_str().unwrap(), "shop", name).unwrap();
                prop_assert_eq!(now.to_string(), object.to_string());
            }
        }
    }
}
