//! Gateway API: the same releases through an HTTPRoute of a Service, which Istio's control plane sends to Envoy; and what
//! the API server with Gateway API's own definitions says to the objects that we write.

use serde_json::{Value, json};

use crate::lane;
use crate::load::{Load, Plan};
use crate::shop::{PATIENCE, Shop, TWO_WEIGHTS, assert_all_well, changed};
use crate::wait::wait_until;

const HTTP_ROUTE: &str = "
---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: web, namespace: NAMESPACE}
spec:
  parentRefs: [{group: '', kind: Service, name: web, port: 80}]
  rules:
  - matches: [{path: {type: PathPrefix, value: /}}]
    backendRefs:
    - {name: web-stable, port: 80, weight: 100}
    - {name: web-canary, port: 80, weight: 0}
";
const ISTIO: &str = "  - istio: {virtualServices: [{name: web, routes: [primary]}]}\n";
const GATEWAY: &str = "  - gateway: {routes: [{name: web}]}\n";
const TESTERS: &str = "
      - setHeaderRoute: {name: testers, match: [{header: {name: X-Canary, exact: 'true'}}]}
      - pause: {}
      - setWeight: 20
      - pause: {}
      - setWeight: 50
      - pause: {}
";

/// The shop behind an HTTPRoute instead of a VirtualService.
fn yaml(changes: &[(&str, &str)]) -> String {
    let yaml = Shop::yaml_without("VirtualService") + HTTP_ROUTE;
    changed(&yaml, &[&[(ISTIO, GATEWAY)], changes].concat())
}

fn open(namespace: &'static str, changes: &[(&str, &str)]) -> Shop {
    let shop = Shop::apply(namespace, &yaml(changes));
    shop.wait_for_stable(1);
    shop.answers("v1");
    shop
}

fn rules(shop: &Shop) -> Vec<Value> {
    let route = lane().get(shop.namespace, "httproute", "web").unwrap();
    route["spec"]["rules"].as_array().cloned().unwrap_or_default()
}

#[track_caller]
fn testers_reach(shop: &Shop, requests: u64, version: &str) {
    let plan = Plan::mesh(&format!("web.{}", shop.namespace), 1000.0).limit(requests).header("x-canary", "true");
    let tally = Load::launch(plan).finish().unwrap();
    assert_all_well(&tally);
    assert_eq!(tally.of(version), requests, "{tally:?}");
}

#[test]
fn shares_and_testers_are_those_of_the_steps_and_no_request_is_lost() {
    let shop = open("gateway", &[("  analysis: {templates: [{name: errors}]}\n", ""), (TWO_WEIGHTS, TESTERS)]);
    let users = shop.users();
    shop.release("v2");
    shop.wait_for_pause(1);
    testers_reach(&shop, 10_000, "v2");
    let tally = users.tally();
    assert_eq!(tally.of("v1"), tally.sent, "at weight 0 only testers: {tally:?}");
    for (pause, share) in [(3, 0.2), (5, 0.5)] {
        shop.glidepath(&["promote", "web"]).unwrap();
        shop.wait_for_pause(pause);
        shop.assert_share("v2", share);
        testers_reach(&shop, 1000, "v2");
    }

    lane().kubectl(&["annotate", "httproute", "web", "-n", "gateway", "example.com/team=shop"]).unwrap();
    shop.glidepath(&["promote", "web"]).unwrap();
    shop.wait_for_stable(2);
    shop.answers("v2");
    assert_all_well(&users.stop().unwrap());
    let route = lane().get("gateway", "httproute", "web").unwrap();
    assert_eq!(route["metadata"]["annotations"]["example.com/team"], "shop");
    assert_eq!(rules(&shop).len(), 1, "the header route has gone: {route:#}");
}

#[test]
fn a_bad_version_is_rolled_back_and_deleting_the_rollout_hands_the_route_back() {
    let shop = open("gateway-bad", &[]);
    let users = shop.users();
    shop.release_with_errors("v2", "0.3");
    shop.wait_longer(PATIENCE * 2, "the rollback", |status| status["course"] == "Aborted");
    shop.answers("v1");
    assert_eq!(users.stop().unwrap().lost(), 0);
    let weights = |rule: &Value| [0, 1].map(|at| rule["backendRefs"][at]["weight"].as_u64());
    let [stable, canary] = weights(&rules(&shop)[0]);
    assert!(stable > Some(0) && canary == Some(0), "{stable:?} {canary:?}");
    lane().kubectl(&["delete", "gro", "web", "-n", "gateway-bad", "--timeout=60s"]).unwrap();
    assert_eq!(weights(&rules(&shop)[0])[1], Some(0));
}

const OTHER_ROUTES: &str = "
---
apiVersion: gateway.networking.k8s.io/v1
kind: GRPCRoute
metadata: {name: grpc, namespace: NAMESPACE}
spec:
  parentRefs: [{name: ingress}]
  rules:
  - matches: [{method: {service: shop.Web}}]
    backendRefs: [{name: web-stable, port: 80}, {name: web-canary, port: 80, weight: 0}]
---
apiVersion: gateway.networking.k8s.io/v1alpha2
kind: TCPRoute
metadata: {name: tcp, namespace: NAMESPACE}
spec:
  parentRefs: [{name: ingress}]
  rules:
  - backendRefs: [{name: web-stable, port: 80}, {name: web-canary, port: 80, weight: 0}]
---
apiVersion: gateway.networking.k8s.io/v1alpha2
kind: TLSRoute
metadata: {name: tls, namespace: NAMESPACE}
spec:
  parentRefs: [{name: ingress}]
  hostnames: [web.example.com]
  rules:
  - backendRefs: [{name: web-stable, port: 80}, {name: web-canary, port: 80, weight: 0}]
";

#[test]
fn every_kind_of_route_takes_the_weights_of_a_step() {
    let routes =
        "[{name: web}, {kind: GRPCRoute, name: grpc}, {kind: TCPRoute, name: tcp}, {kind: TLSRoute, name: tls}]";
    let all = format!("  - gateway: {{routes: {routes}}}\n");
    let steps = "\n      - setWeight: 20\n      - pause: {}\n";
    let changes = [(GATEWAY, all.as_str()), ("  analysis: {templates: [{name: errors}]}\n", ""), (TWO_WEIGHTS, steps)];
    let shop = Shop::apply("gateway-kinds", &changed(&(yaml(&[]) + OTHER_ROUTES), &changes));
    shop.wait_for_stable(1);
    shop.release("v2");
    shop.wait_for_pause(1);
    let shares = || {
        let kinds = [("httproute", "web"), ("grpcroute", "grpc"), ("tcproute", "tcp"), ("tlsroute", "tls")];
        kinds.map(|(kind, name)| {
            let route = lane().get("gateway-kinds", kind, name).unwrap();
            let weight = |at: usize| route["spec"]["rules"][0]["backendRefs"][at]["weight"].as_f64().unwrap_or(1.0);
            weight(1) / (weight(0) + weight(1))
        })
    };
    assert_eq!(shares(), [0.2; 4]);
    shop.glidepath(&["abort", "web"]).unwrap();
    wait_until(PATIENCE, "all weights to go back", || shares() == [0.0; 4]);
}

/// A controller that has seen this generation of the HTTPRoute `web`.
fn reconciled(namespace: &str, generation: &Value) {
    let condition = json!({"type": "Accepted", "status": "True", "reason": "Accepted", "message": "",
        "observedGeneration": generation, "lastTransitionTime": "2026-01-01T00:00:00Z"});
    let parent =
        json!({"parentRef": {"name": "ingress"}, "controllerName": "example.com/gateway", "conditions": [condition]});
    let patch = json!({"status": {"parents": [parent]}}).to_string();
    let args = ["patch", "httproute", "web", "-n", namespace, "--subresource=status", "--type=merge", "-p", &patch];
    lane().kubectl(&args).unwrap();
}

#[test]
fn s52_a_route_settles_once_its_controller_has_seen_it_and_so_does_an_abort() {
    const NAMESPACE: &str = "gateway-behind";
    let steps = "\n      - setWeight: 20\n      - pause: {}\n";
    let parent = "{group: '', kind: Service, name: web, port: 80}";
    let changes =
        [(parent, "{name: ingress}"), ("  analysis: {templates: [{name: errors}]}\n", ""), (TWO_WEIGHTS, steps)];
    let shop = Shop::apply(NAMESPACE, &changed(&yaml(&[]), &changes));
    shop.wait_for_stable(1);
    let generation = || lane().get(NAMESPACE, "httproute", "web").unwrap()["metadata"]["generation"].take();
    let canary_pods =
        || lane().counts(NAMESPACE).unwrap().iter().filter(|pod| pod.version == "v2" && !pod.gone).count();
    reconciled(NAMESPACE, &generation());
    let waits = |status: &Value| {
        let message = status["message"].as_str().unwrap_or_default();
        message.ends_with(&format!(
            "example.com/gateway has not reconciled HTTPRoute {NAMESPACE}/web for Gateway ingress yet"
        ))
    };
    shop.release("v2");
    shop.wait("the controller to be named", waits);
    std::thread::sleep(std::time::Duration::from_secs(5));
    assert_eq!(shop.status()["stepIndex"], 0, "settle is 1 s");
    reconciled(NAMESPACE, &generation());
    shop.wait_for_pause(1);
    shop.glidepath(&["abort", "web"]).unwrap();
    let weights = || rules(&shop)[0]["backendRefs"][1]["weight"].take();
    wait_until(PATIENCE, "the weight to go back", || weights() == 0);
    std::thread::sleep(std::time::Duration::from_secs(5));
    assert!(canary_pods() > 0, "the gateway may still send them requests");
    reconciled(NAMESPACE, &generation());
    wait_until(PATIENCE, "the canary's pods to go", || canary_pods() == 0);
}

/// As docs/gateway-api.md has it.
const MAKES_ROUTES: &str = "
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {name: glidepath-makes-routes}
rules:
  - {apiGroups: [gateway.networking.k8s.io], resources: [httproutes], verbs: [create]}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {name: glidepath-makes-routes}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: glidepath-makes-routes}
subjects: [{kind: ServiceAccount, name: glidepath, namespace: glidepath}]
";

#[test]
fn a_created_route_is_made_splits_and_stays_when_the_rollout_goes() {
    const NAMESPACE: &str = "gateway-created";
    let created = "  - gateway: {createRoute: {parentRefs: [{kind: Service, name: web, port: 80}], port: 80}}\n";
    let steps = "\n      - setWeight: 20\n      - pause: {}\n";
    let without = Shop::yaml_without("VirtualService");
    let changes = [(ISTIO, created), ("  analysis: {templates: [{name: errors}]}\n", ""), (TWO_WEIGHTS, steps)];
    assert!(include_str!("../../docs/gateway-api.md").contains(MAKES_ROUTES.trim()));
    lane().apply(MAKES_ROUTES).unwrap();
    let shop = Shop::apply(NAMESPACE, &changed(&without, &changes));
    shop.wait_for_stable(1);
    shop.answers("v1");
    shop.release("v2");
    shop.wait_for_pause(1);
    let backends = || rules(&shop)[0]["backendRefs"].take();
    assert_eq!((backends()[0]["weight"].take(), backends()[1]["weight"].take()), (json!(4), json!(1)));
    lane().kubectl(&["delete", "httproute", "web", "-n", NAMESPACE]).unwrap();
    wait_until(PATIENCE, "the route to be made again", || lane().get(NAMESPACE, "httproute", "web").is_ok());
    shop.glidepath(&["promote", "web"]).unwrap();
    shop.wait_for_stable(2);
    lane().kubectl(&["delete", "gro", "web", "-n", NAMESPACE]).unwrap();
    assert_eq!(backends()[0]["name"], "web");
    assert!(backends()[1].is_null());
}
