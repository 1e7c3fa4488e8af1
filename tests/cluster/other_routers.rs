//! Routers whose proxies are not here: what the API server takes of what they write, at a step, after an abort, and once
//! the Rollout is gone.

use serde_json::Value;

use crate::definitions;
use crate::lane;
use crate::shop::{PATIENCE, Shop, changed};
use crate::wait::wait_until;

const STEPS: &str = "
      - setWeight: 25
      - pause: {}
";

/// A service of one router, which waits for an operator at a quarter of the requests.
fn at_a_quarter(namespace: &'static str, entry: &str, route: &str) -> Shop {
    let analysis = "  analysis: {templates: [{name: errors}]}\n";
    let istio = "  - istio: {virtualServices: [{name: web, routes: [primary]}]}\n";
    let changes = [(analysis, ""), (istio, entry), (crate::shop::TWO_WEIGHTS, STEPS), ("replicas: 4", "replicas: 2")];
    let yaml = changed(&Shop::yaml_without("VirtualService"), &changes);
    let shop = Shop::apply(namespace, &format!("{yaml}\n---\n{route}"));
    shop.wait_for_stable(1);
    shop.release("v2");
    shop.wait_for_pause(1);
    shop
}

/// The weights of a list of destinations, in their order.
fn weights(shop: &Shop, kind: &str, list: &str) -> Vec<u64> {
    let object = lane().get(shop.namespace, kind, "web").unwrap();
    let destinations = object.pointer(list).and_then(Value::as_array).cloned().unwrap_or_default();
    destinations.iter().map(|one| one["weight"].as_u64().unwrap_or(1)).collect()
}

/// The canary's part of a whole, in basis points.
fn share(weights: &[u64]) -> u64 {
    weights.get(1).map_or(0, |canary| canary * 10_000 / weights.iter().sum::<u64>().max(1))
}

/// An abort brings all requests back, and a deleted Rollout leaves it so.
fn goes_back(shop: &Shop, canary: impl Fn() -> u64) {
    assert_eq!(canary(), 2500);
    shop.glidepath(&["abort", "web"]).unwrap();
    wait_until(PATIENCE, "the weight to go back", || canary() == 0);
    lane().kubectl(&["delete", "gro", "web", "-n", shop.namespace, "--timeout=60s"]).unwrap();
    assert_eq!(canary(), 0);
}

#[test]
fn traefik_and_smi_take_the_weights_of_a_step() {
    lane().apply(include_str!("config/route-crds.yaml")).unwrap();
    lane().kubectl(&["wait", "--for=condition=Established", "crd", "--all", "--timeout=60s"]).unwrap();
    let traefik = at_a_quarter(
        "traefik",
        "  - traefik: {services: [{name: web}]}\n",
        "apiVersion: traefik.io/v1alpha1
kind: TraefikService
metadata: {name: web, namespace: NAMESPACE}
spec:
  weighted:
    services:
    - {name: web-stable, port: 80, weight: 100}
    - {name: web-canary, port: 80, weight: 0}
",
    );
    goes_back(&traefik, || share(&weights(&traefik, "traefikservice", "/spec/weighted/services")));
    let smi = at_a_quarter(
        "smi",
        "  - smi: {trafficSplits: [{name: web}]}\n",
        "apiVersion: split.smi-spec.io/v1alpha2
kind: TrafficSplit
metadata: {name: web, namespace: NAMESPACE}
spec:
  service: web
  backends:
  - {service: web-stable, weight: 100}
  - {service: web-canary, weight: 0}
",
    );
    goes_back(&smi, || share(&weights(&smi, "trafficsplit", "/spec/backends")));
}

/// A kind that no release knows: its definition, and the right to write it.
#[test]
fn custom_takes_the_weights_of_a_step_at_the_path_of_an_entry() {
    lane().apply(include_str!("config/custom-route.yaml")).unwrap();
    lane().kubectl(&["wait", "--for=condition=Established", "crd", "--all", "--timeout=60s"]).unwrap();
    let shop = at_a_quarter(
        "custom",
        "  - custom:
      apiVersion: mesh.example.com/v1
      kind: Route
      name: web
      backends: {path: 'spec.routes[*].backends', service: service}
      total: 1000
      verified: '!has(object.status) || object.status.state != \"Rejected\"'
",
        "apiVersion: mesh.example.com/v1
kind: Route
metadata: {name: web, namespace: NAMESPACE}
spec:
  routes:
  - path: /
    timeout: 5s
    backends:
    - {service: web-stable, weight: 1000}
    - {service: web-canary, weight: 0}
",
    );
    let route = || lane().get(shop.namespace, "routes.mesh.example.com", "web").unwrap();
    assert_eq!(route().pointer("/spec/routes/0/backends/0/weight"), Some(&Value::from(750)));
    assert_eq!(route().pointer("/spec/routes/0/timeout"), Some(&Value::from("5s")));
    goes_back(&shop, || share(&weights(&shop, "routes.mesh.example.com", "/spec/routes/0/backends")));
}

/// A kind that the controller may not list: its Rollout waits and names the rule to add, and no other is affected.
#[test]
fn custom_names_the_right_that_is_absent() {
    lane().apply(include_str!("config/custom-route.yaml")).unwrap();
    lane().kubectl(&["wait", "--for=condition=Established", "crd", "--all", "--timeout=60s"]).unwrap();
    let istio = "  - istio: {virtualServices: [{name: web, routes: [primary]}]}\n";
    let entry = "  - custom: {apiVersion: mesh.example.com/v1, kind: Sealed, plural: sealed, name: web, fields: {canary: spec.weight}}\n";
    let analysis = "  analysis: {templates: [{name: errors}]}\n";
    let changes = [(analysis, ""), (istio, entry), (crate::shop::TWO_WEIGHTS, STEPS)];
    let shop = Shop::apply("custom-denied", &changed(&Shop::yaml_without("VirtualService"), &changes));
    let rule = "{apiGroups: [mesh.example.com], resources: [sealed], verbs: [list, watch, update]}";
    shop.wait("the rule to add", |status| {
        status["conditions"].as_array().into_iter().flatten().any(|condition| {
            condition["reason"] == "RouterUnavailable"
                && condition["message"].as_str().is_some_and(|message| message.contains(rule))
        })
    });
}

#[test]
fn a_route_of_linkerd_takes_the_weights_and_doctor_names_what_keeps_it_from_being_used() {
    definitions::install("linkerd", include_str!("config/linkerd-crds.yaml"));
    let shop = at_a_quarter(
        "linkerd",
        "  - gateway: {routes: [{name: web}]}\n",
        "apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: web, namespace: NAMESPACE}
spec:
  parentRefs: [{group: '', kind: Service, name: web, port: 80}]
  rules:
  - backendRefs:
    - {name: web-stable, port: 80, weight: 1}
    - {name: web-canary, port: 80, weight: 0}
",
    );
    let said = || {
        let out = crate::glidepath().args(["doctor", "-n", shop.namespace]).output().unwrap();
        let text = String::from_utf8(out.stdout).unwrap();
        text.lines().filter(|line| line.contains("Rollout linkerd/web")).map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(said(), Vec::<String>::new());
    let stable = shop.status()["stableRevision"]["id"].as_str().unwrap().to_owned();
    lane()
        .apply(&format!(
            "apiVersion: linkerd.io/v1alpha2
kind: ServiceProfile
metadata: {{name: web.linkerd.svc.cluster.local, namespace: linkerd}}
spec: {{routes: []}}
---
apiVersion: policy.linkerd.io/v1beta1
kind: Server
metadata: {{name: stable-only, namespace: linkerd}}
spec: {{podSelector: {{matchLabels: {{glidepath.dev/revision: '{stable}'}}}}, port: 8080}}
---
apiVersion: policy.linkerd.io/v1alpha1
kind: AuthorizationPolicy
metadata: {{name: callers, namespace: linkerd}}
spec: {{targetRef: {{group: policy.linkerd.io, kind: Server, name: stable-only}}, requiredAuthenticationRefs: []}}
"
        ))
        .unwrap();
    let all = said().join("\n");
    for wanted in [
        "ServiceProfile linkerd/web.linkerd.svc.cluster.local takes effect instead of HTTPRoute linkerd/web",
        "Server stable-only, and with it AuthorizationPolicy callers, holds for the pods of stable and not for those of the canary",
    ] {
        assert!(all.contains(wanted), "{wanted}\n{all}");
    }
    let backends = || weights(&shop, "httproute", "/spec/rules/0/backendRefs");
    goes_back(&shop, || share(&backends()));
}

/// Connections of Istio: what its own definitions take.
#[test]
fn tcp_routes_of_a_virtual_service_take_the_weights_of_a_step() {
    let shop = at_a_quarter(
        "istio-connections",
        "  - istio: {virtualServices: [{name: web, tcpRoutes: [{port: 80}]}]}\n",
        "apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: web, namespace: NAMESPACE}
spec:
  hosts: [web]
  tcp:
  - match: [{port: 80}]
    route:
    - {destination: {host: web-stable, port: {number: 80}}, weight: 100}
    - {destination: {host: web-canary, port: {number: 80}}, weight: 0}
  - match: [{port: 81}]
    route:
    - destination: {host: other}
",
    );
    let before = lane().get(shop.namespace, "virtualservice", "web").unwrap()["spec"]["tcp"][1].clone();
    goes_back(&shop, || share(&weights(&shop, "virtualservice", "/spec/tcp/0/route")));
    assert_eq!(lane().get(shop.namespace, "virtualservice", "web").unwrap()["spec"]["tcp"][1], before);
}

#[test]
fn nginx_has_a_canary_ingress_while_the_canary_gets_requests() {
    let shop = at_a_quarter(
        "nginx",
        "  - nginx: {ingress: web}\n",
        "apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {name: web, namespace: NAMESPACE, annotations: {example.com/team: shop}}
spec:
  ingressClassName: nginx
  rules:
  - host: web.example.com
    http: {paths: [{path: /, pathType: Prefix, backend: {service: {name: web-stable, port: {number: 80}}}}]}
",
    );
    let all = || {
        let text = lane().kubectl(&["get", "ingress", "-n", "nginx", "-o", "json"]).unwrap();
        let list: Value = serde_json::from_str(&text).unwrap();
        list["items"].as_array().cloned().unwrap_or_default()
    };
    let before = lane().get("nginx", "ingress", "web").unwrap();
    assert_eq!(before["spec"]["rules"][0]["http"]["paths"][0]["backend"]["service"]["name"], "web-stable");
    let canary = || {
        let annotation = |one: &Value, name: &str| {
            let key = format!("nginx.ingress.kubernetes.io/{name}");
            one["metadata"]["annotations"][key.as_str()].as_str().and_then(|value| value.parse::<u64>().ok())
        };
        let weight = |one: Value| {
            Some(annotation(&one, "canary-weight")? * 10_000 / annotation(&one, "canary-weight-total").unwrap_or(100))
        };
        all().into_iter().find_map(weight).unwrap_or(0)
    };
    goes_back(&shop, canary);
    assert_eq!(all().len(), 1, "the canary's Ingress has gone with the Rollout: {:#?}", all());
    assert_eq!(lane().get("nginx", "ingress", "web").unwrap()["spec"], before["spec"]);
}
