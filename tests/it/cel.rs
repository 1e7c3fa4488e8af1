//! The CEL rules of the CRDs, evaluated as the API server does.

use glidepath::api::crds;
use kube::core::cel::Validator;
use serde_json::{Value, json};

/// What the rules of the kind's schema say about the object; empty when they are fulfilled.
fn refused(kind: &str, object: &Value) -> String {
    let schema = crds::schema(kind).unwrap();
    let errors = Validator::new().validate(schema, object, None).err();
    errors
        .iter()
        .flat_map(|errors| errors.as_slice())
        .map(|error| format!("{}: {}\n", error.field_path, error.message))
        .collect()
}

fn rollout(name: &str, spec: &Value) -> Value {
    let mut object = json!({"apiVersion": "glidepath.dev/v1alpha1", "kind": "Rollout", "metadata": {"name": name}, "spec": {
        "workloadRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"},
        "strategy": {"canary": {"steps": [{"setWeight": 50}]}},
    }});
    object["spec"].as_object_mut().unwrap().extend(spec.as_object().unwrap().clone());
    object
}

// W5, M15.
#[test]
fn w5_a_name_that_is_no_label_value_is_refused_unless_the_object_is_there_already() {
    assert_eq!(refused("Rollout", &rollout(&"x".repeat(63), &json!({}))), "");
    let mut long = rollout(&"x".repeat(64), &json!({}));
    let said = refused("Rollout", &long);
    assert!(said.contains("metadata.name must be no more than 63 characters"), "{said}");
    long["status"] = json!({"phase": "Degraded"});
    assert_eq!(refused("Rollout", &long), "", "an older object must still be deletable");
}

// W5.
#[test]
fn w5_services_named_after_a_long_root_are_refused() {
    let root = |length: usize, more: Value| {
        let mut services = json!({"root": "r".repeat(length)});
        services.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        json!({"services": services, "traffic": [{"istio": {"virtualServices": [{"name": "web"}]}}]})
    };
    assert_eq!(refused("Rollout", &rollout("web", &root(56, json!({})))), "");
    assert_eq!(refused("Rollout", &rollout("web", &root(57, json!({"stable": "a", "canary": "b"})))), "");
    let said = refused("Rollout", &rollout("web", &root(57, json!({}))));
    assert!(said.contains("services.root must be no more than 56 characters"), "{said}");
    let mut by_subset = root(57, json!({}));
    by_subset["traffic"][0]["istio"]["destinationRule"] =
        json!({"name": "d", "stableSubset": "a", "canarySubset": "b"});
    assert_eq!(refused("Rollout", &rollout("web", &by_subset)), "");
    assert_eq!(refused("Rollout", &rollout("web", &json!({"services": {"root": "r".repeat(57)}}))), "");
}

/// An entry of spec.traffic names one router, whichever it is.
#[test]
fn an_entry_of_traffic_has_exactly_one_router() {
    let of = |entry: Value| refused("Rollout", &rollout("web", &json!({"traffic": [entry]})));
    let (istio, gateway) = (json!({"virtualServices": [{"name": "web"}]}), json!({"routes": [{"name": "web"}]}));
    assert_eq!(of(json!({"istio": istio})), "");
    assert_eq!(of(json!({"gateway": gateway})), "");
    for entry in [json!({}), json!({"istio": istio, "gateway": gateway})] {
        assert!(of(entry.clone()).contains("set one router"), "{entry}");
    }
    let created = json!({"parentRefs": [{"name": "edge"}], "port": 80});
    assert_eq!(of(json!({"gateway": {"createRoute": created}})), "");
    for routes in [json!({"routes": []}), json!({}), json!({"routes": [{"name": "web"}], "createRoute": created})] {
        assert!(of(json!({ "gateway": routes })).contains("set at least one route"), "{routes}");
    }
}

// W11.
#[test]
fn w11_names_of_our_own_routes_are_refused() {
    let named = |name: &str| {
        let route = json!({"name": name, "match": [{"header": {"name": "a", "exact": "b"}}]});
        rollout("web", &json!({"strategy": {"canary": {"steps": [{"setHeaderRoute": route}]}}}))
    };
    assert_eq!(refused("Rollout", &named("testers")), "");
    for name in glidepath::api::strategy::OWN_ROUTES {
        assert!(refused("Rollout", &named(name)).contains("are reserved for routes of Glidepath"), "{name}");
    }
}

/// A metric names one judge, whichever it is.
#[test]
fn a_metric_has_exactly_one_judge() {
    let of = |judges: Value| {
        let mut metric = json!({"name": "m"});
        metric.as_object_mut().unwrap().extend(judges.as_object().unwrap().clone());
        let spec = json!({"metrics": [metric]});
        let object = json!({"apiVersion": "glidepath.dev/v1alpha1", "kind": "AnalysisTemplate", "metadata": {"name": "t"}, "spec": spec});
        refused("AnalysisTemplate", &object)
    };
    let judges = [
        json!({"threshold": {"query": "q", "success": "result < 1"}}),
        json!({"ratio": {"bad": {"builtin": "errors"}, "total": {"builtin": "requests"}}}),
        json!({"burnRate": {"objective": "99.9%"}}),
        json!({"anomaly": {"query": "q"}}),
    ];
    let one = "a metric must have exactly one judge";
    assert!(of(json!({})).contains(one));
    for (index, judge) in judges.iter().enumerate() {
        assert_eq!(of(judge.clone()), "");
        let mut two = judge.clone();
        two.as_object_mut().unwrap().extend(judges[(index + 1) % judges.len()].as_object().unwrap().clone());
        assert!(of(two.clone()).contains(one), "{two}");
    }
}
