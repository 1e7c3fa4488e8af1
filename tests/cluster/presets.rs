//! Routers without a proxy here, under the definitions of their projects: the API server takes every object as it is written,
//! at 10, 50 and 100 % and on the way back, and nothing but the two weights changes. Those with header routes have one beside
//! the weights, read back as it was written. The presets of `custom`, SMI and Traefik.

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
/// Before these, for who can.
const TESTERS: &str = "
      - setHeaderRoute:
          name: testers
          match: [{header: {name: X-Canary, exact: 'true'}}, {cookie: {name: beta, regex: 'v[12]'}}]
      - pause: {}";
/// The header routes of an object: each is a rule directly before the one that is split.
struct Rules {
    list: &'static str,
    /// The number of the rule that is split, and the way from there to its backends.
    base: usize,
    backends: &'static str,
    /// What each rule of ours is without its backends, as JSON.
    own: &'static [&'static str],
}

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
    headers: Option<Rules>,
}

/// Drives a release to its end and deletes the Rollout.
fn drive(case: &Case) {
    let istio = "  - istio: {virtualServices: [{name: web, routes: [primary]}]}\n";
    let before_weights = if case.headers.is_some() { TESTERS } else { "" };
    let steps = format!("{before_weights}{STEPS}");
    let changes = [
        ("  analysis: {templates: [{name: errors}]}\n", ""),
        (istio, case.entry),
        (crate::shop::TWO_WEIGHTS, &steps),
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
    let weights = [0, 10, 50, 100].into_iter().skip(usize::from(case.headers.is_none()));
    let testers = case.headers.is_some();
    for (step, canary) in weights.clone().enumerate() {
        case.has(&before, canary, testers);
        let pause = 2 * u64::try_from(step).unwrap() + 1;
        shop.wait_for_pause(pause);
        case.has(&before, canary, testers);
        shop.glidepath(&["promote", "web"]).unwrap();
    }
    case.has(&before, 0, false);
    shop.wait_for_stable(2);
    assert_eq!(case.stored()["spec"].to_string(), before["spec"].to_string(), "{}: as it was", case.namespace);
    shop.release("v3");
    case.has(&before, weights.clone().next().unwrap(), testers);
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

    /// Waits for this weight, and for the header route beside it or its end; all that is not ours is byte for byte as it was.
    fn has(&self, before: &Value, canary: u64, testers: bool) {
        wait_until(PATIENCE, &format!("{}: {canary} % at the canary", self.namespace), || {
            let stored = self.stored();
            self.say_valid(&stored);
            let is_there = has_header_route(&stored);
            let now = self.without_header_route(stored);
            let weights = [0, 1].map(|at| now.pointer(self.list).unwrap()[at]["weight"].as_u64().unwrap_or(1));
            is_there == testers && weights[1] * 100 == canary * (weights[0] + weights[1])
        });
        let now = self.without_header_route(self.stored());
        let foreign = |object: &Value| {
            let mut spec = object.clone();
            for at in [0, 1] {
                spec.pointer_mut(self.list).unwrap()[at]["weight"] = Value::Null;
            }
            spec["spec"].to_string()
        };
        assert_eq!(foreign(&now), foreign(before), "{}", self.namespace);
    }

    /// An object without the rules of the header route, which are what they are to be.
    fn without_header_route(&self, mut object: Value) -> Value {
        let Some(rules) = self.headers.as_ref() else { return object };
        let annotations = object["metadata"]["annotations"].as_object_mut().unwrap();
        if annotations.shift_remove("glidepath.dev/rules").is_none() {
            return object;
        }
        let list = object.pointer_mut(rules.list).unwrap().as_array_mut().unwrap();
        let split = list[rules.base + rules.own.len()].pointer(rules.backends).unwrap()[1].clone();
        for (mut own, wanted) in list.drain(rules.base..rules.base + rules.own.len()).zip(rules.own) {
            let backends = own.pointer_mut(rules.backends).unwrap().take();
            let mut canary = backends[0].clone();
            canary["weight"] = split["weight"].clone();
            assert_eq!(
                (backends.as_array().unwrap().len(), &canary),
                (1, &split),
                "{}: the canary alone",
                self.namespace
            );
            let wanted: Value = serde_json::from_str(wanted).unwrap();
            assert_eq!(own, wanted, "{}", self.namespace);
        }
        object
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

fn has_header_route(object: &Value) -> bool {
    !object["metadata"]["annotations"]["glidepath.dev/rules"].is_null()
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
        headers: Some(Rules {
            list: "/spec/routes",
            base: 1,
            backends: "/services",
            own: &[
                r#"{"conditions": [{"prefix": "/"}, {"header": {"name": "x-canary", "exact": "true"}}],
                    "timeoutPolicy": {"response": "3s"}, "services": null}"#,
                r#"{"conditions": [{"prefix": "/"}, {"header": {"name": "cookie", "regex": "^(.*;\\s*)?beta=(?:v[12])(;.*)?$"}}],
                    "timeoutPolicy": {"response": "3s"}, "services": null}"#,
            ],
        }),
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
        headers: None,
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
        headers: None,
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
        headers: None,
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
        headers: Some(Rules {
            list: "/spec/routes",
            base: 1,
            backends: "/routeAction/multi/destinations",
            own: &[r#"{"matchers": [
                {"prefix": "/", "headers": [{"name": "x-canary", "value": "true"}]},
                {"prefix": "/", "headers": [{"name": "cookie", "value": "^(.*;\\s*)?beta=(?:v[12])(;.*)?$", "regex": true}]}],
                "options": {"timeout": "3s"}, "routeAction": {"multi": {"destinations": null}}}"#],
        }),
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
        headers: None,
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
fn kuma_takes_every_weight_by_name_and_by_labels() {
    definitions::install("kuma", include_str!("config/kuma-crds.yaml"));
    drive(&Case { namespace: "preset-kuma", entry: "  - custom: {preset: kuma, name: web}\n", route: KUMA, ..kuma() });
    let by_labels = "labels: {kuma.io/display-name: web-stable, k8s.kuma.io/namespace: NAMESPACE}";
    let route = KUMA.replace("name: web-stable, namespace: NAMESPACE", by_labels);
    let route = route.replace("name: web-canary,", "labels: {kuma.io/display-name: web-canary},");
    let route = route.replace("name: legacy,", "labels: {kuma.io/display-name: legacy},");
    drive(&Case {
        namespace: "preset-kuma-labels",
        entry: "  - custom: {preset: kuma-labels, name: web}\n",
        route: Box::leak(route.into_boxed_str()),
        ..kuma()
    });
}

fn kuma() -> Case {
    Case {
        namespace: "",
        entry: "",
        kind: "meshhttproute.kuma.io",
        list: "/spec/to/0/rules/1/default/backendRefs",
        takes_over: false,
        headers: Some(Rules {
            list: "/spec/to/0/rules",
            base: 1,
            backends: "/default/backendRefs",
            own: &[r#"{"matches": [
                {"path": {"type": "PathPrefix", "value": "/"}, "headers": [{"type": "Exact", "name": "x-canary", "value": "true"}]},
                {"path": {"type": "PathPrefix", "value": "/"}, "headers": [
                    {"type": "RegularExpression", "name": "cookie", "value": "^(.*;\\s*)?beta=(?:v[12])(;.*)?$"}]}],
                "default": {"backendRefs": null}}"#],
        }),
        route: "",
    }
}

const KUMA: &str = "apiVersion: kuma.io/v1alpha1
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
";
