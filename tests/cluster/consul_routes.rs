//! Consul's custom resources: what the API server takes of what is written at a step, that an object which consul-k8s has not
//! taken over holds the release, and what is left once the Rollout is gone. No consul-k8s runs here: its condition is written by
//! the tests.

use serde::Deserialize;
use serde_json::{Value, json};

use crate::definitions;
use crate::lane;
use crate::shop::{PATIENCE, Shop, changed};
use crate::wait::wait_until;

const ANNOTATION: &str = "consul.hashicorp.com/service-meta-glidepath_revision";
const STEPS: &str = "
      - setHeaderRoute: {name: testers, match: [{header: {name: x-tester, exact: \"yes\"}}]}
      - setWeight: 25
      - pause: {}
";
const ENTRIES: &str = "
apiVersion: consul.hashicorp.com/v1alpha1
kind: ServiceDefaults
metadata: {name: web, namespace: NAMESPACE}
spec: {protocol: http}
---
apiVersion: consul.hashicorp.com/v1alpha1
kind: ServiceResolver
metadata: {name: web, namespace: NAMESPACE}
spec:
  connectTimeout: 5s
  defaultSubset: stable
  subsets:
    stable: {onlyPassing: true}
    canary: {onlyPassing: true, filter: 'Service.Meta.env == \"prod\"'}
---
apiVersion: consul.hashicorp.com/v1alpha1
kind: ServiceSplitter
metadata: {name: web, namespace: NAMESPACE}
spec:
  splits:
  - {weight: 100, serviceSubset: stable}
  - {weight: 0, serviceSubset: canary, responseHeaders: {add: {x-arm: canary}}}
";

fn shop() -> Shop {
    let analysis = "  analysis: {templates: [{name: errors}]}\n";
    let istio = "  - istio: {virtualServices: [{name: web, routes: [primary]}]}\n";
    let services = "  services: {root: web, stable: web-stable, canary: web-canary}\n";
    let changes = [
        (analysis, ""),
        (services, ""),
        (istio, "  - consul: {service: web}\n"),
        (crate::shop::TWO_WEIGHTS, STEPS),
        ("replicas: 4", "replicas: 2"),
    ];
    let yaml = changed(&Shop::yaml_without("VirtualService"), &changes);
    Shop::apply("consul", &format!("{yaml}\n---{ENTRIES}"))
}

/// What consul-k8s says of an object.
fn synced(shop: &Shop, kind: &str, status: &str) {
    let condition = json!({"type": "Synced", "status": status, "reason": "Test", "message": "as the test says"});
    let patch = json!({"status": {"conditions": [condition]}}).to_string();
    let args = ["patch", kind, "web", "-n", shop.namespace, "--subresource=status", "--type=merge", "-p", &patch];
    lane().kubectl(&args).unwrap();
}

fn spec(shop: &Shop, kind: &str) -> Value {
    lane().get(shop.namespace, kind, "web").unwrap()["spec"].take()
}

/// What their owner wrote: the controller may have changed an object before a test has read it.
fn applied(kind: &str) -> Value {
    let mut entries = serde_yaml::Deserializer::from_str(ENTRIES).map(|entry| Value::deserialize(entry).unwrap());
    entries.find(|entry| entry["kind"] == kind).unwrap()["spec"].take()
}

fn weights(shop: &Shop) -> [Value; 2] {
    [0, 1].map(|index| spec(shop, "servicesplitter")["splits"][index]["weight"].clone())
}

fn filters(shop: &Shop) -> [Value; 2] {
    ["stable", "canary"].map(|subset| spec(shop, "serviceresolver")["subsets"][subset]["filter"].clone())
}

#[test]
fn consul_splits_by_subsets_whose_pods_say_their_revision() {
    definitions::install("consul", include_str!("config/consul-crds.yaml"));
    let shop = shop();
    for kind in ["servicesplitter", "serviceresolver"] {
        synced(&shop, kind, "True");
    }
    shop.wait_for_stable(1);
    shop.release("v2");
    // The ServiceRouter is new: the step waits until consul-k8s has it.
    wait_until(PATIENCE, "the ServiceRouter", || lane().get(shop.namespace, "servicerouter", "web").is_ok());
    shop.wait("the refusal", |status| status.to_string().contains("RouteNotAccepted"));
    synced(&shop, "servicerouter", "True");
    let status = shop.wait_for_pause(2);
    assert_eq!(weights(&shop), [json!(75), json!(25)]);
    let id = |revision: &str| status[revision]["id"].as_str().unwrap().to_owned();
    let (stable, canary) = (id("stableRevision"), id("currentRevision"));
    let ours = |id: &str| format!("Service.Meta.glidepath_revision == \"{id}\"");
    let both = format!("(Service.Meta.env == \"prod\") and {}", ours(&canary));
    assert_eq!(filters(&shop), [json!(ours(&stable)), json!(both)]);
    let route = spec(&shop, "servicerouter")["routes"][0].take();
    let own = json!({"name": "glidepath-route-testers", "present": true, "invert": true});
    let headers = json!([{"name": "x-tester", "exact": "yes"}, own]);
    let destination = json!({"service": "web", "serviceSubset": "canary"});
    let wrote = json!({"match": {"http": {"header": headers}}, "destination": destination});
    assert_eq!(route, wrote, "no field was dropped");
    let split = &spec(&shop, "servicesplitter")["splits"][1];
    assert_eq!(split["responseHeaders"], json!({"add": {"x-arm": "canary"}}));
    let pods = lane().kubectl(&["get", "pods", "-n", shop.namespace, "-o", "json"]).unwrap();
    let pods: Value = serde_json::from_str(&pods).unwrap();
    let ours = pods["items"].as_array().unwrap().iter().map(|pod| &pod["metadata"]);
    let marked: Vec<&Value> = ours.filter(|pod| pod["labels"]["glidepath.dev/revision"].is_string()).collect();
    assert!(marked.len() >= 3, "{pods}");
    assert!(marked.iter().all(|pod| pod["annotations"][ANNOTATION] == pod["labels"]["glidepath.dev/revision"]));

    shop.glidepath(&["abort", "web"]).unwrap();
    wait_until(PATIENCE, "the weight to go back", || weights(&shop) == [json!(100), json!(0)]);
    wait_until(PATIENCE, "our router to go", || lane().get(shop.namespace, "servicerouter", "web").is_err());
    lane().kubectl(&["delete", "gro", "web", "-n", shop.namespace, "--timeout=60s"]).unwrap();
    for (kind, name) in [("ServiceSplitter", "servicesplitter"), ("ServiceResolver", "serviceresolver")] {
        assert_eq!(spec(&shop, name), applied(kind), "the {kind} is as its owner wrote it");
    }
}
