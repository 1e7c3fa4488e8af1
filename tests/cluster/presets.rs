//! Routers without a proxy here, under the definitions of their projects: the API server takes every object as it is written,
//! at 10, 50 and 100 % and on the way back, and nothing but the two weights changes. The presets of `custom`, SMI and Traefik.

use serde_json::{Value, json};

use crate::definitions;
use crate::lane;
use crate::shop::{PATIENCE, Shop, changed};
use crate::wait::wait_until;

const STEPS: &str = "
      - setWeight: 10
      - pause: {}
      - setWeight: 50
      - pause: {}
      - setWeight: 100
      - pause: {}
";
/// What is ours in an object that its owner wrote: weights, in the entries of one list.
struct Case {
    namespace: &'static str,
    entry: &'static str,
    /// As `kubectl get` takes it.
    kind: &'static str,
    /// The list that has both entries, stable's first.
    list: &'static str,
    route: &'static str,
    /// Says in its status that it was taken over, as the mesh does.
    takes_over: bool,
}

/// Drives a release to its end and deletes the Rollout.
fn drive(case: &Case) {
    let istio = "  - istio: {virtualServices: [{name: web, routes: [primary]}]}\n";
    let changes = [
        ("  analysis: {templates: [{name: errors}]}\n", ""),
        (istio, case.entry),
        (crate::shop::TWO_WEIGHTS, STEPS),
        ("replicas: 4", "replicas: 2"),
    ];
    let yaml = changed(&Shop::yaml_without("VirtualService"), &changes);
    let shop = Shop::apply(case.namespace, &format!("{yaml}\n---\n{}", case.route));
    let wrote: Value = serde_yaml::from_str(&case.route.replace("NAMESPACE", case.namespace)).unwrap();
    let before = case.stored();
    assert_eq!(before["spec"], wrote["spec"], "{}: the definition keeps every field of it", case.namespace);
    case.say_valid(&before);
    shop.wait_for_stable(1);
    shop.release("v2");
    for (pause, canary) in [(1, 10), (3, 50), (5, 100)] {
        case.has(&before, canary);
        shop.wait_for_pause(pause);
        case.has(&before, canary);
        shop.glidepath(&["promote", "web"]).unwrap();
    }
    case.has(&before, 0);
    shop.wait_for_stable(2);
    assert_eq!(case.stored()["spec"].to_string(), before["spec"].to_string(), "{}: as it was", case.namespace);
    shop.release("v3");
    case.has(&before, 10);
    shop.wait_for_pause(1);
    lane().kubectl(&["delete", "gro", "web", "-n", shop.namespace, "--timeout=60s"]).unwrap();
    let after = case.stored();
    assert_eq!(after["spec"].to_string(), before["spec"].to_string(), "{}: handed back", case.namespace);
    for field in ["labels", "annotations"] {
        assert_eq!(after["metadata"][field], before["metadata"][field], "{}", case.namespace);
    }
}

impl Case {
    fn stored(&self) -> Value {
        lane().get(self.namespace, self.kind, "web").unwrap()
    }

    /// Waits for this weight; all that is not a weight of ours is byte for byte as it was.
    fn has(&self, before: &Value, canary: u64) {
        wait_until(PATIENCE, &format!("{}: {canary} % at the canary", self.namespace), || {
            let now = self.stored();
            let weights = [0, 1].map(|at| now.pointer(self.list).unwrap()[at]["weight"].as_u64().unwrap_or(1));
            weights[1] * 100 == canary * (weights[0] + weights[1])
        });
        let now = self.stored();
        let foreign = |object: &Value| {
            let mut spec = object.clone();
            for at in [0, 1] {
                spec.pointer_mut(self.list).unwrap()[at]["weight"] = Value::Null;
            }
            spec["spec"].to_string()
        };
        assert_eq!(foreign(&now), foreign(before), "{}", self.namespace);
        self.say_valid(&now);
    }

    fn say_valid(&self, object: &Value) {
        if self.takes_over {
            let condition = json!({"type": "Valid", "status": "True", "reason": "Valid", "message": "",
                "lastTransitionTime": "2026-01-02T03:04:05Z", "observedGeneration": object["metadata"]["generation"]});
            let patch = json!({"status": {"conditions": [condition]}}).to_string();
            let args =
                ["patch", self.kind, "web", "-n", self.namespace, "--subresource=status", "--type=merge", "-p", &patch];
            lane().kubectl(&args).unwrap();
        }
    }
}

#[test]
#[ignore = "it needs the definitions of Contour: make test-meshes"]
fn contour_takes_every_weight() {
    definitions::install_fetched("contour-crds.yaml");
    drive(&Case {
        namespace: "preset-contour",
        entry: "  - custom: {preset: contour, name: web}\n",
        kind: "httpproxy",
        list: "/spec/routes/1/services",
        takes_over: true,
        route: "apiVersion: projectcontour.io/v1
kind: HTTPProxy
metadata: {name: web, namespace: NAMESPACE, labels: {team: shop}, annotations: {example.com/owner: shop}}
spec:
  virtualhost: {fqdn: web.example.com, tls: {secretName: web}}
  routes:
  - conditions: [{prefix: /old}]
    services: [{name: legacy, port: 80}]
  - conditions: [{prefix: /}]
    timeoutPolicy: {response: 3s}
    services:
    - {name: web-stable, port: 80, weight: 100, responseHeadersPolicy: {set: [{name: x-arm, value: stable}]}}
    - {name: web-canary, port: 80, weight: 0}
",
    });
}

#[test]
#[ignore = "it needs the definitions of SMI: make test-meshes"]
fn smi_takes_every_weight() {
    definitions::install_fetched("smi-crds.yaml");
    drive(&Case {
        namespace: "preset-smi",
        entry: "  - smi: {trafficSplits: [{name: web}]}\n",
        kind: "trafficsplit",
        list: "/spec/backends",
        takes_over: false,
        route: "apiVersion: split.smi-spec.io/v1alpha4
kind: TrafficSplit
metadata: {name: web, namespace: NAMESPACE, labels: {team: shop}, annotations: {example.com/owner: shop}}
spec:
  service: web
  matches: [{kind: HTTPRouteGroup, name: all}]
  backends:
  - {service: web-stable, weight: 100}
  - {service: web-canary, weight: 0}
",
    });
}

#[test]
#[ignore = "it needs the definitions of Traefik: make test-meshes"]
fn traefik_takes_every_weight() {
    definitions::install_fetched("traefik-crds.yaml");
    drive(&Case {
        namespace: "preset-traefik",
        entry: "  - traefik: {services: [{name: web}]}\n",
        kind: "traefikservice.traefik.io",
        list: "/spec/weighted/services",
        takes_over: false,
        route: "apiVersion: traefik.io/v1alpha1
kind: TraefikService
metadata: {name: web, namespace: NAMESPACE, labels: {team: shop}, annotations: {example.com/owner: shop}}
spec:
  weighted:
    sticky: {cookie: {name: shop, httpOnly: true}}
    services:
    - {name: web-stable, port: 80, weight: 100, passHostHeader: true}
    - {name: web-canary, port: 80, weight: 0, serversTransport: edge}
",
    });
}

#[test]
#[ignore = "beside the others of its kind: make test-meshes"]
fn apisix_takes_every_weight() {
    definitions::install("apisix", include_str!("config/apisix-crds.yaml"));
    drive(&Case {
        namespace: "preset-apisix",
        entry: "  - custom: {preset: apisix, name: web}\n",
        kind: "apisixroute",
        list: "/spec/http/1/backends",
        takes_over: false,
        route: "apiVersion: apisix.apache.org/v2
kind: ApisixRoute
metadata: {name: web, namespace: NAMESPACE, labels: {team: shop}, annotations: {example.com/owner: shop}}
spec:
  ingressClassName: apisix
  http:
  - name: old
    match: {hosts: [web.example.com], paths: [/old/*]}
    backends: [{serviceName: legacy, servicePort: http}]
  - name: all
    priority: 1
    match: {hosts: [web.example.com], paths: [/*]}
    timeout: {read: 3s}
    backends:
    - {serviceName: web-stable, servicePort: 80, weight: 100, resolveGranularity: service}
    - {serviceName: web-canary, servicePort: 80, weight: 0}
",
    });
}

#[test]
#[ignore = "beside the others of its kind: make test-meshes"]
fn both_kinds_of_gloo_take_every_weight() {
    definitions::install("gloo", include_str!("config/gloo-crds.yaml"));
    drive(&Case {
        namespace: "preset-gloo",
        entry: "  - custom: {preset: gloo, name: web}\n",
        kind: "routetable.gateway.solo.io",
        list: "/spec/routes/1/routeAction/multi/destinations",
        takes_over: false,
        route: "apiVersion: gateway.solo.io/v1
kind: RouteTable
metadata: {name: web, namespace: NAMESPACE, labels: {team: shop}, annotations: {example.com/owner: shop}}
spec:
  routes:
  - matchers: [{prefix: /old}]
    routeAction: {single: {upstream: {name: legacy, namespace: NAMESPACE}}}
  - matchers: [{prefix: /}]
    options: {timeout: 3s}
    routeAction:
      multi:
        destinations:
        - {destination: {kube: {ref: {name: web-stable, namespace: NAMESPACE}, port: 80}}, weight: 100}
        - {destination: {kube: {ref: {name: web-canary, namespace: NAMESPACE}, port: 80}}, weight: 0}
",
    });
    drive(&Case {
        namespace: "preset-gloo-group",
        entry: "  - custom: {preset: gloo-upstream-group, name: web}\n",
        kind: "upstreamgroup.gloo.solo.io",
        list: "/spec/destinations",
        takes_over: false,
        route: "apiVersion: gloo.solo.io/v1
kind: UpstreamGroup
metadata: {name: web, namespace: NAMESPACE, labels: {team: shop}, annotations: {example.com/owner: shop}}
spec:
  destinations:
  - {destination: {kube: {ref: {name: web-stable, namespace: NAMESPACE}, port: 80}}, weight: 100}
  - {destination: {kube: {ref: {name: web-canary, namespace: NAMESPACE}, port: 80}}, weight: 0}
",
    });
}

#[test]
#[ignore = "beside the others of its kind: make test-meshes"]
fn kuma_takes_every_weight() {
    definitions::install("kuma", include_str!("config/kuma-crds.yaml"));
    drive(&Case {
        namespace: "preset-kuma",
        entry: "  - custom: {preset: kuma, name: web}\n",
        kind: "meshhttproute.kuma.io",
        list: "/spec/to/0/rules/1/default/backendRefs",
        takes_over: false,
        route: "apiVersion: kuma.io/v1alpha1
kind: MeshHTTPRoute
metadata: {name: web, namespace: NAMESPACE, labels: {kuma.io/mesh: default}, annotations: {example.com/owner: shop}}
spec:
  targetRef: {kind: Mesh}
  to:
  - targetRef: {kind: MeshService, name: web, sectionName: http}
    rules:
    - matches: [{path: {type: PathPrefix, value: /old}}]
      default: {backendRefs: [{kind: MeshService, name: legacy, port: 80, weight: 1}]}
    - matches: [{path: {type: PathPrefix, value: /}}]
      default:
        backendRefs:
        - {kind: MeshService, name: web-stable, namespace: NAMESPACE, port: 80, weight: 100}
        - {kind: MeshService, name: web-canary, port: 80, weight: 0}
",
    });
}
