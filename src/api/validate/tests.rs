//! One table: a good Rollout or template, one change, and what must be said about it.

use serde_json::{Value, json};

use super::*;
use crate::api::analysis::AnalysisTemplateSpec;

fn good_rollout() -> Value {
    json!({
        "replicas": 10,
        "selector": {"matchLabels": {"app": "checkout"}},
        "template": {
            "metadata": {"labels": {"app": "checkout", "tier": "web"}},
            "spec": {"containers": [{"name": "app", "image": "registry/checkout:1", "readinessProbe": {}}]}
        },
        "services": {"root": "checkout"},
        "traffic": [{"istio": {"virtualServices": [{"name": "checkout"}]}}],
        "analysis": {"templates": [{"name": "golden-signals"}]},
        "strategy": {"canary": {"steps": [
            {"setWeight": 5}, {"observe": {"atLeast": "1m", "atMost": "5m"}}, {"pause": {}}
        ]}}
    })
}

fn good_template() -> Value {
    json!({
        "args": [{"name": "app"}],
        "metrics": [
            {"name": "errors", "ratio": {"bad": {"builtin": "errors"}, "total": {"builtin": "requests"}}},
            {"name": "queue", "threshold": {"query": "queue{app=\"{{args.app}}\"}", "success": "result < 100"}}
        ]
    })
}

/// Puts `value` at the JSON pointer; null removes the field.
fn change(object: &mut Value, pointer: &str, value: Value) {
    let (parent, key) = pointer.rsplit_once('/').unwrap();
    match object.pointer_mut(parent).unwrap_or_else(|| panic!("no {parent}")) {
        Value::Array(list) => list[key.parse::<usize>().unwrap()] = value,
        Value::Object(map) if value.is_null() => drop(map.remove(key)),
        Value::Object(map) => drop(map.insert(key.to_owned(), value)),
        other => panic!("{pointer} is below {other}"),
    }
}

/// A canary with sticky users and these steps, without analysis.
fn sticky_canary(steps: Value) -> Vec<(&'static str, Value)> {
    let canary = json!({"sticky": {"cookie": "release"}, "steps": steps});
    vec![("/analysis", Value::Null), ("/strategy/canary", canary)]
}

fn shown(findings: &[Finding]) -> String {
    let lines = findings.iter().map(|f| format!("{} {}: {}", f.severity.as_str(), f.path, f.message));
    lines.collect::<Vec<_>>().join("\n")
}

fn rollout_findings(changes: &[(&str, Value)]) -> String {
    let mut object = good_rollout();
    for (pointer, value) in changes {
        change(&mut object, pointer, value.clone());
    }
    shown(&rollout(&serde_json::from_value(object).unwrap()))
}

#[test]
fn good_objects_have_no_findings() {
    assert_eq!(rollout_findings(&[]), "");
    let spec: AnalysisTemplateSpec = serde_json::from_value(good_template()).unwrap();
    assert_eq!(shown(&template(&spec)), "");
}

#[test]
fn each_mistake_in_a_rollout_is_named_with_its_field() {
    let steps = "/strategy/canary/steps";
    let testers = json!({"name": "testers", "match": [{"header": {"name": "x-canary", "exact": "true"}}]});
    let step = |value: Value| vec![(steps, json!([{"setWeight": 5}, value]))];
    let gate = |given: Value| {
        let mut gate = json!({"name": "window"});
        gate.as_object_mut().unwrap().extend(given.as_object().unwrap().clone());
        json!({"gate": gate})
    };
    let no_mesh = |value: Value| vec![("/traffic", Value::Null), ("/analysis", Value::Null), (steps, value)];
    let cases: Vec<(Vec<(&str, Value)>, &str)> = vec![
        (vec![("/template", Value::Null), ("/selector", Value::Null)], "error spec: set either workloadRef"),
        (vec![("/selector", Value::Null)], "error spec: selector and template must be set together"),
        (
            vec![("/workloadRef", json!({"apiVersion": "v1", "kind": "Pod", "name": "x"}))],
            "error spec.workloadRef: workloadRef must reference an apps/v1 Deployment",
        ),
        (
            vec![("/selector/matchLabels/app", json!("search"))],
            "the selector requires app=search, but the template's pods have app=checkout",
        ),
        (vec![("/selector/matchLabels/zone", json!("a"))], "the template's pods have no label zone"),
        (vec![("/selector/matchLabels", json!({}))], "error spec.selector: is empty"),
        (
            vec![("/template/spec/containers", json!([]))],
            "error spec.template.spec.containers: the pod template has no container",
        ),
        (
            vec![("/template/spec/containers/0/image", Value::Null)],
            "spec.template.spec.containers[0].image: the container has no image",
        ),
        (
            vec![("/template/spec/containers/0/readinessProbe", Value::Null)],
            "warning spec.template.spec.containers[0]: has no readinessProbe",
        ),
        (vec![("/revisionHistoryLimit", json!(101))], "error spec.revisionHistoryLimit: must be at most 100, got 101"),
        (vec![("/revisionHistoryLimit", json!(0))], "warning spec.revisionHistoryLimit: 0 leaves no revision"),
        (
            vec![("/services", json!({"stable": "x", "canary": "x"}))],
            "error spec.services.canary: stable and canary must be two",
        ),
        (vec![("/services/canary", json!("checkout"))], "error spec.services.canary: is also the root Service"),
        (
            vec![("/services", Value::Null)],
            "error spec.traffic[0].istio: services.root is required to split traffic by Service",
        ),
        (
            vec![("/services", json!({"stable": "x", "canary": "y"}))],
            "error spec.services: services.root is required to split traffic by Service; set the Service that clients use",
        ),
        (
            vec![
                ("/services", Value::Null),
                ("/analysis", Value::Null),
                ("/strategy", json!({"blueGreen": {"activeService": "a", "previewService": "b"}})),
            ],
            "error spec.traffic[0].istio: services.root is required to split traffic by Service",
        ),
        (
            vec![("/traffic", Value::Null), ("/strategy/canary/minPodsPerRevision", json!(2))],
            "warning spec.strategy.canary.minPodsPerRevision: has no effect without a router",
        ),
        (
            step(
                json!({"setHeaderRoute": {"name": "sticky-candidate", "match": [{"header": {"name": "a", "exact": "b"}}]}}),
            ),
            "error spec.strategy.canary.steps[1].setHeaderRoute.name: `sticky-candidate` is reserved for a route of Glidepath; use another name",
        ),
        (
            step(json!({"setHeaderRoute": {"name": "mirror", "match": [{"header": {"name": "a", "exact": "b"}}]}})),
            "error spec.strategy.canary.steps[1].setHeaderRoute.name: `mirror` is reserved for a route of Glidepath",
        ),
        (
            sticky_canary(json!([{"setWeight": 50}, {"setWeight": 20}])),
            "error spec.strategy.canary.steps[1].setWeight: 20 % is below the 50 % of an earlier step, and with sticky users",
        ),
        (
            sticky_canary(json!([{"ramp": {"from": 10, "to": 50, "by": 20, "every": "1m"}}, {"setWeight": 40}])),
            "error spec.strategy.canary.steps[1].setWeight: 40 % is below the 50 % of an earlier step",
        ),
        (
            sticky_canary(json!([{"setWeight": 50}, {"ramp": {"from": 10, "to": 60, "by": 50, "every": "1m"}}])),
            "error spec.strategy.canary.steps[1].ramp.from: 10 % is below the 50 % of an earlier step",
        ),
        (
            sticky_canary(json!([{"ramp": {"from": 1, "to": 99, "by": 1, "every": "1m"}}])),
            "error spec.strategy.canary.sticky: the steps have 99 weights between 0 and 100 %, and at most 12 are allowed",
        ),
        (
            sticky_canary(json!([{"setWeight": 0}, {"setWeight": 100}])),
            "error spec.strategy.canary.sticky: has no effect: no step sets a weight between 0 and 100 %",
        ),
        (
            sticky_canary(json!([{"setMirrorRoute": {"percent": 5}}, {"setWeight": 5}])),
            "error spec.strategy.canary.steps[0].setMirrorRoute: cannot be in effect while users are sticky",
        ),
        (
            sticky_canary(json!([{"setWeight": 5}, {"setMirrorRoute": {"percent": 5}}])),
            "error spec.strategy.canary.steps[1].setMirrorRoute: cannot be in effect while users are sticky",
        ),
        (
            [sticky_canary(json!([{"setWeight": 5}])), vec![("/verification", json!("observed"))]].concat(),
            "error spec.verification: observed compares shares of requests, and a sticky cookie splits users",
        ),
        (
            [sticky_canary(json!([{"setWeight": 5}])), vec![("/traffic", Value::Null)]].concat(),
            "error spec.strategy.canary.sticky: needs a router under spec.traffic",
        ),
        (
            vec![("/strategy/canary/sticky", json!({"cookie": "a;b"}))],
            "error spec.strategy.canary.sticky.cookie: `a;b` is not a valid cookie name",
        ),
        (
            vec![("/strategy/canary/sticky", json!({"cookie": "a", "ttl": "0s"}))],
            "error spec.strategy.canary.sticky.ttl: must be above 0",
        ),
        (
            vec![("/traffic/0/istio/virtualServices", json!([]))],
            "error spec.traffic[0].istio.virtualServices: set at least one",
        ),
        (
            vec![(
                "/traffic/0/istio/virtualServices",
                json!([{"name": "a"}, {"name": "a", "tcpRoutes": [{"port": 3306}]}]),
            )],
            "error spec.traffic[0].istio.virtualServices[1].name: VirtualService \"a\" is listed twice",
        ),
        (
            vec![("/traffic/0/istio/virtualServices", json!([{"name": "a", "delegateOf": {"name": "a"}}]))],
            "error spec.traffic[0].istio.virtualServices[0].delegateOf: VirtualService \"a\" cannot delegate to itself",
        ),
        (
            vec![("/traffic/0/istio/virtualServices", json!([{"name": "a", "delegateOf": {"name": "A"}}]))],
            "error spec.traffic[0].istio.virtualServices[0].delegateOf.name: ",
        ),
        (
            vec![("/traffic/0/istio/virtualServices", json!([{"name": "a", "tlsRoutes": [{"sniHosts": [""]}]}]))],
            "error spec.traffic[0].istio.virtualServices[0].tlsRoutes[0].sniHosts: a server name must not be empty",
        ),
        (vec![("/traffic/0", json!({}))], "error spec.traffic[0]: set one router"),
        (
            vec![("/traffic/0/nginx", json!({"ingress": "web"}))],
            "error spec.traffic[0]: has istio and nginx: set one router, and give the other an entry of its own",
        ),
        (
            vec![("/traffic/0", json!({"traefik": {"services": []}}))],
            "error spec.traffic[0].traefik.services: set at least one TraefikService",
        ),
        (
            vec![("/traffic/0", json!({"traefik": {"services": [{"name": "web", "namespace": "A"}]}}))],
            "error spec.traffic[0].traefik.services[0].namespace: ",
        ),
        (
            vec![("/traffic/0", json!({"smi": {"trafficSplits": []}}))],
            "error spec.traffic[0].smi.trafficSplits: set at least one TrafficSplit",
        ),
        (
            vec![("/traffic/0", json!({"smi": {"trafficSplits": [{"name": "a_b"}]}}))],
            "error spec.traffic[0].smi.trafficSplits[0].name: ",
        ),
        (
            vec![("/services", Value::Null), ("/traffic/0", json!({"nginx": {"ingress": "web"}}))],
            "error spec.traffic[0].nginx: services.root is required to split traffic by Service",
        ),
        (
            vec![("/traffic/0", json!({"nginx": {"ingress": "web", "annotationPrefix": "a/b"}}))],
            "error spec.traffic[0].nginx.annotationPrefix: ",
        ),
        (
            vec![("/traffic/0/istio/destinationRule", json!({"name": "d", "stableSubset": "a", "canarySubset": "a"}))],
            "stableSubset and canarySubset must differ",
        ),
        (vec![("/analysis/startingStep", json!(3))], "error spec.analysis.startingStep: there is no step 3"),
        (
            vec![("/analysis", Value::Null), ("/verification", json!("observed")), (steps, json!([{"setWeight": 5}]))],
            "error spec.verification: observed needs spec.analysis",
        ),
        (
            vec![
                ("/traffic", json!([{"istio": {"virtualServices": [{"name": "db", "tcpRoutes": [{"port": 3306}]}]}}])),
                ("/verification", json!("observed")),
            ],
            "error spec.verification: observed counts requests, and the routes in spec.traffic split connections; use settled",
        ),
        (
            vec![
                ("/traffic", json!([{"gateway": {"routes": [{"kind": "TCPRoute", "name": "db"}]}}])),
                ("/verification", json!("observed")),
            ],
            "error spec.verification: observed counts requests, and the routes in spec.traffic split connections; use settled",
        ),
        (
            vec![("/traffic", Value::Null), ("/verification", json!("observed"))],
            "error spec.verification: observed needs a router in spec.traffic",
        ),
        (
            vec![
                ("/verification", json!("observed")),
                (steps, json!([{"setHeaderRoute": testers}, {"pause": {}}, {"setWeight": 5}])),
            ],
            "error spec.strategy.canary.steps[2].setWeight: cannot be compared with the share of requests (verification: observed) \
             while the header route `testers` is in effect, which sends others to the canary; end it before (setHeaderRoute: \
             {name: testers}), or set spec.verification to settled",
        ),
        (
            vec![
                ("/verification", json!("observed")),
                (
                    steps,
                    json!([{"setMirrorRoute": {"percent": 5}}, {"ramp": {"from": 5, "to": 9, "by": 1, "every": "1m"}}]),
                ),
            ],
            "error spec.strategy.canary.steps[1].ramp: cannot be compared with the share of requests (verification: observed) \
             while the mirror is in effect, which sends others to the canary; end it before (setMirrorRoute: {percent: 0})",
        ),
        (vec![("/analysis/templates", json!([]))], "error spec.analysis.templates: set at least one template"),
        // H9: a password in an address is published with the object.
        (
            vec![("/analysis/prometheus", json!({"address": "http://admin:hunter2@prometheus:9090"}))],
            "error spec.analysis.prometheus.address: must not contain credentials, which every reader",
        ),
        (
            vec![("/analysis/prometheus", json!({"address": "http://p/x?y=z"}))],
            "error spec.analysis.prometheus.address: must be a base URL, without ? and #",
        ),
        (
            vec![(
                "/analysis/prometheus",
                json!({"address": "https://p", "headers": [{"name": "Host", "value": "x"}]}),
            )],
            "error spec.analysis.prometheus.headers[0]: Host cannot be set",
        ),
        (
            vec![(
                "/analysis/prometheus",
                json!({"address": "https://p", "tenant": "a", "headers": [{"name": "x-scope-orgid", "value": "b"}]}),
            )],
            "error spec.analysis.prometheus.headers[0]: X-Scope-OrgID is set by tenant",
        ),
        (
            vec![(
                "/analysis/prometheus",
                json!({"address": "https://p", "auth": {"oauth2": {"tokenUrl": "https://a:b@c", "secretRef": {"name": "s"}}}}),
            )],
            "error spec.analysis.prometheus.auth.oauth2.tokenUrl: must not contain credentials",
        ),
        (
            vec![("/analysis/prometheus", json!({"address": "https://p", "auth": {}}))],
            "error spec.analysis.prometheus.auth: set exactly one of basic, bearer, oauth2 and sigv4",
        ),
        (
            vec![(
                "/analysis/prometheus",
                json!({"address": "http://p", "auth": {"bearer": {"secretRef": {"name": "s"}}}}),
            )],
            "warning spec.analysis.prometheus.address: uses http, so its credentials are sent in clear text",
        ),
        (
            vec![("/analysis/prometheus", json!({"address": "http://127.0.0.1:9090"}))],
            "warning spec.analysis.prometheus.address: 127.0.0.1 is a loopback address; the controller connects to it only if its --allow-hosts lists it",
        ),
        (
            vec![("/analysis/args", json!([{"name": "a"}, {"name": "a"}]))],
            "error spec.analysis.args[1].name: \"a\" is set twice",
        ),
        (vec![("/analysis", Value::Null)], "steps[1].observe: has nothing to observe"),
        (
            vec![("/analysis", Value::Null), ("/traffic", Value::Null), ("/strategy", json!({"blueGreen": {}}))],
            "error spec.strategy.blueGreen.activeService: set the Service that clients use",
        ),
        (
            vec![
                ("/analysis", Value::Null),
                ("/replicas", json!(2)),
                ("/strategy", json!({"blueGreen": {"activeService": "a", "previewReplicas": 3}})),
            ],
            "warning spec.strategy.blueGreen.previewReplicas: 3 is more than spec.replicas (2): the preview gets 2 pods",
        ),
        (
            vec![("/strategy", json!({"blueGreen": {"activeService": "a", "previewService": "a"}}))],
            "error spec.strategy.blueGreen.previewService: active and preview must be two",
        ),
        (
            vec![(
                "/strategy",
                json!({"blueGreen": {"activeService": "a", "autoPromotion": {"enabled": false, "after": "1m"}}}),
            )],
            "error spec.strategy.blueGreen.autoPromotion.after: has no effect",
        ),
        (
            vec![("/strategy", json!({"blueGreen": {"previewMatch": [{"header": {"name": "a"}}]}}))],
            "error spec.strategy.blueGreen.previewMatch[0].header: a match must have exactly one of exact",
        ),
        (
            vec![
                ("/traffic", Value::Null),
                ("/analysis", Value::Null),
                ("/strategy", json!({"blueGreen": {"activeService": "a", "previewMirror": {"percent": 5}}})),
            ],
            "error spec.strategy.blueGreen.previewMirror: needs a router under spec.traffic",
        ),
        (vec![("/strategy/blueGreen", json!({"activeService": "a"}))], "error spec.strategy: has several strategies"),
        (vec![("/strategy", json!({}))], "error spec.strategy: set one strategy: canary, blueGreen or abTest"),
        (
            step(json!({})),
            "error spec.strategy.canary.steps[1]: a step must have exactly one of setWeight, pause, observe, analysis, setCanaryScale, ramp, setHeaderRoute, setMirrorRoute, gate: this one has none",
        ),
        (
            step(json!({"setWeight": 5, "pause": {}})),
            "error spec.strategy.canary.steps[1]: a step must have exactly one of setWeight, pause, observe, analysis, setCanaryScale, ramp, setHeaderRoute, setMirrorRoute, gate: this one has setWeight and pause;",
        ),
        (
            step(gate(json!({}))),
            "error spec.strategy.canary.steps[1].gate: a gate must have exactly one of url and approval: this one has none",
        ),
        (
            step(gate(json!({"url": "https://gate.example.com", "approval": true}))),
            "error spec.strategy.canary.steps[1].gate: a gate must have exactly one of url and approval: this one has both",
        ),
        (step(gate(json!({"approval": false}))), "error spec.strategy.canary.steps[1].gate.approval: can only be true"),
        (step(gate(json!({"url": "gate.example.com"}))), "steps[1].gate.url: must start with https:// or http://"),
        (step(gate(json!({"url": "https://me:secret@gate"}))), "steps[1].gate.url: must not contain credentials"),
        (step(gate(json!({"url": "https://"}))), "steps[1].gate.url: has no host"),
        (
            step(gate(json!({"url": "http://169.254.169.254/latest"}))),
            "warning spec.strategy.canary.steps[1].gate.url: 169.254.169.254 is a link-local address; the controller connects to it only",
        ),
        (
            step(gate(json!({"url": "http://localhost:80"}))),
            "warning spec.strategy.canary.steps[1].gate.url: localhost is",
        ),
        (step(gate(json!({"approval": true, "timeout": "0s"}))), "steps[1].gate.timeout: must be above 0"),
        (
            vec![
                ("/strategy/canary/dynamicStableScale", json!(true)),
                (steps, json!([{"setCanaryScale": {"replicas": 2}}, {"setWeight": 5}])),
            ],
            "steps[0].setCanaryScale: conflicts with dynamicStableScale",
        ),
        (
            vec![("/traffic", Value::Null), ("/strategy/canary/dynamicStableScale", json!(true))],
            "error spec.strategy.canary.dynamicStableScale: needs a router",
        ),
        (
            step(json!({"setHeaderRoute": {"name": "x"}})),
            "steps[1].setHeaderRoute: nothing called `x` was set before; set a match",
        ),
        (
            step(json!({"setHeaderRoute": {"name": "X", "match": [{"header": {"name": "a", "exact": "b"}}]}})),
            "steps[1].setHeaderRoute.name: `X` must consist of lower-case",
        ),
        (
            step(json!({"setHeaderRoute": {"name": "x", "match": [{"header": {"name": "a"}}]}})),
            "steps[1].setHeaderRoute.match[0].header: a match must have exactly one of exact, prefix and regex",
        ),
        (
            step(json!({"setMirrorRoute": {"percent": 5, "match": [{"cookie": {"name": "a", "regex": "("}}]}})),
            "steps[1].setMirrorRoute.match[0].cookie.regex: is not a valid regular expression",
        ),
        (
            no_mesh(json!([{"setMirrorRoute": {"percent": 5}}])),
            "steps[0].setMirrorRoute: needs a router under spec.traffic",
        ),
        (step(json!({"ramp": {"from": 5, "to": 50, "by": 0, "every": "1m"}})), "steps[1].ramp.by: must be above 0"),
        (
            step(json!({"ramp": {"from": 60, "to": 50, "by": 5, "every": "1m"}})),
            "steps[1].ramp.from: from (60 %) must not be above to",
        ),
        (
            step(json!({"ramp": {"from": 1, "to": 50, "by": 0.01, "every": "1m"}})),
            "steps[1].ramp.by: makes 4900 increments",
        ),
        (
            step(json!({"setCanaryScale": {}})),
            "steps[1].setCanaryScale: setCanaryScale must have exactly one of replicas",
        ),
        (
            step(json!({"setCanaryScale": {"replicas": 0}})),
            "error spec.strategy.canary.steps[1]: 0 canary pods cannot serve 5 %",
        ),
        (
            step(json!({"setCanaryScale": {"percent": 1}})),
            "warning spec.strategy.canary.steps[1]: 1 % of the pods for 5 %",
        ),
        (step(json!({"setCanaryScale": {"matchWeight": false}})), "matchWeight: can only be true"),
        (
            step(json!({"observe": {"atLeast": "9m", "atMost": "5m"}})),
            "steps[1].observe.atMost: atMost (5m) must not be below",
        ),
        (step(json!({"analysis": {"templates": []}})), "steps[1].analysis.templates: set at least one template"),
        (
            step(json!({"pause": {"duration": "0"}})),
            "warning spec.strategy.canary.steps[1].pause.duration: 0 does not wait",
        ),
        (
            vec![(steps, json!([{"observe": {}}, {"setWeight": 5}]))],
            "warning spec.strategy.canary.steps[0].observe: comes before",
        ),
        (vec![(steps, json!([{"pause": {}}]))], "warning spec.strategy.canary.steps: no step sends traffic"),
        (no_mesh(json!([{"setCanaryScale": {"replicas": 1}}])), "setCanaryScale: needs a router under spec.traffic"),
        (
            no_mesh(json!([{"setWeight": 1}])),
            "warning spec.strategy.canary.steps[0].setWeight: without a router the smallest share",
        ),
        (
            vec![("/strategy/canary/maxSurge", json!(1))],
            "warning spec.strategy.canary.maxSurge: has no effect with a mesh",
        ),
        (
            vec![
                ("/strategy/canary/maxSurge", json!(0)),
                ("/strategy/canary/maxUnavailable", json!("0%")),
                ("/traffic", json!([])),
            ],
            "warning spec.strategy.canary.maxUnavailable: maxSurge and maxUnavailable are both 0",
        ),
    ];
    for (changes, wanted) in cases {
        let findings = rollout_findings(&changes);
        assert!(findings.contains(wanted), "{changes:?}\nwanted: {wanted}\ngot:\n{findings}");
    }
}

/// A metric of an A/B test, with these fields changed.
fn goal(changes: Value) -> Value {
    let counter = |name: &str| json!({"prometheus": {"counter": name}});
    let mut judge = json!({"successes": counter("orders_total"), "trials": counter("visitors_total")});
    judge.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
    json!({"name": "orders", "conversion": judge})
}

/// A metric of response times, with changes to its judge.
fn timed(changes: Value) -> Value {
    let mut judge = json!({"histogram": {"builtin": "duration"}, "slo": {"under": "300ms"}});
    judge.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
    json!({"name": "latency", "latency": judge})
}

/// A kayenta metric, with changes.
fn kayenta(changes: Value) -> Value {
    let mut judge = json!({"metrics": [{"name": "cpu", "query": "cpu{pod=~\"${scope}-.*\"}"}]});
    judge.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
    json!({"name": "legacy", "kayenta": judge})
}

/// A gauge metric, with changes.
fn gauge(changes: Value) -> Value {
    let mut judge = json!({"query": "sum by (namespace, pod) (cpu)"});
    judge.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
    json!({"name": "cpu", "gauge": judge})
}

#[test]
fn observed_weights_may_follow_routes_that_have_ended() {
    let testers = json!({"name": "testers", "match": [{"header": {"name": "x-canary", "exact": "true"}}]});
    let steps = json!([
        {"setHeaderRoute": testers}, {"pause": {}}, {"setHeaderRoute": {"name": "testers"}},
        {"setMirrorRoute": {"percent": 5}}, {"setMirrorRoute": {"percent": 0}}, {"setWeight": 5}, {"observe": {"atMost": "5m"}}
    ]);
    let found = rollout_findings(&[("/verification", json!("observed")), ("/strategy/canary/steps", steps)]);
    assert_eq!(found, "");
}

#[test]
fn each_mistake_in_an_ab_test_is_named_with_its_field() {
    let goal = || json!({"templates": [{"name": "orders"}]});
    let good = || json!({"weight": 50, "sticky": {"cookie": "variant"}, "goal": goal()});
    let header = json!([{"header": {"name": "x-beta", "exact": "yes"}}]);
    let test = |changes: &[(&str, Value)]| {
        let mut test = good();
        changes.iter().for_each(|(pointer, value)| change(&mut test, pointer, value.clone()));
        rollout_findings(&[("/analysis", Value::Null), ("/strategy", json!({ "abTest": test }))])
    };
    assert_eq!(test(&[]), "");
    assert_eq!(test(&[("/weight", Value::Null), ("/sticky", Value::Null), ("/match", header.clone())]), "");
    let ab_test = json!({ "abTest": good() });
    let observed = [("/analysis", Value::Null), ("/strategy", ab_test), ("/verification", json!("observed"))];
    assert!(rollout_findings(&observed).contains("error spec.verification: observed compares shares of requests"));
    let cases: Vec<(Vec<(&str, Value)>, &str)> = vec![
        (vec![("/weight", Value::Null)], "error spec.strategy.abTest: set match or weight"),
        (
            vec![("/match", header.clone())],
            "error spec.strategy.abTest.weight: match and weight are mutually exclusive",
        ),
        (vec![("/weight", json!(0))], "error spec.strategy.abTest.weight: 0 % leaves one variant without users"),
        (vec![("/weight", json!(100))], "error spec.strategy.abTest.weight: 100 % leaves one variant"),
        (vec![("/weight", Value::Null), ("/match", header)], "error spec.strategy.abTest.sticky: requires weight"),
        (
            vec![("/sticky/cookie", json!("a b"))],
            "error spec.strategy.abTest.sticky.cookie: `a b` is not a valid cookie name",
        ),
        (vec![("/sticky/ttl", json!("0s"))], "error spec.strategy.abTest.sticky.ttl: must be above 0"),
        (
            vec![("/minDuration", json!("2h")), ("/maxDuration", json!("1h"))],
            "error spec.strategy.abTest.maxDuration: maxDuration (1h) must not be below minDuration (2h)",
        ),
        (vec![("/goal/templates", json!([]))], "error spec.strategy.abTest.goal.templates: set at least one"),
        (
            vec![("/guardrails", json!({"templates": []}))],
            "error spec.strategy.abTest.guardrails.templates: set at least one",
        ),
        (
            vec![("/weight", Value::Null), ("/sticky", Value::Null), ("/match", json!([{"header": {"name": "a"}}]))],
            "error spec.strategy.abTest.match[0].header: a match must have exactly one of exact, prefix and regex",
        ),
    ];
    for (changes, wanted) in cases {
        let findings = test(&changes);
        assert!(findings.contains(wanted), "{changes:?}\nwanted: {wanted}\ngot:\n{findings}");
    }
    let strategy = ("/strategy", json!({ "abTest": good() }));
    let without = rollout_findings(&[strategy.clone(), ("/analysis", Value::Null), ("/traffic", Value::Null)]);
    assert!(without.contains("error spec.strategy.abTest: needs a router under spec.traffic"), "{without}");
    let with = rollout_findings(&[strategy]);
    assert!(with.contains("error spec.analysis.templates: an A/B test uses"), "{with}");
}

#[test]
fn each_mistake_in_a_template_is_named_with_its_field() {
    let cases: Vec<(&str, Value, &str)> = vec![
        ("/metrics", json!([]), "error spec.metrics: set at least one metric"),
        ("/metrics/0/ratio", Value::Null, "error spec.metrics[0]: a metric must have exactly one judge"),
        ("/metrics/1/name", json!("errors"), "error spec.metrics[1].name: there are two metrics \"errors\""),
        (
            "/metrics/0/ratio/pass",
            json!({"ratio": 1.25}),
            "spec.metrics[0].ratio.pass.ratio: 1.25 must be above 1 + tolerance (1.25)",
        ),
        (
            "/metrics/0/ratio/floor",
            json!("0.5%"),
            "spec.metrics[0].ratio.pass.ceiling: 0.5 % must be above the floor (0.5 %)",
        ),
        ("/metrics/0/ratio/floor", json!(60), "spec.metrics[0].ratio.floor: must be at most 50 %, got 60 %"),
        ("/metrics/0/ratio/bad", json!({}), "spec.metrics[0].ratio.bad: a counter is either builtin or prometheus"),
        ("/metrics/0/ratio/bad", json!({"builtin": "requests"}), "bad and total are the same counter"),
        (
            "/metrics/0/ratio/bad",
            json!({"prometheus": {"counter": "rate(http_requests_total{code=~\"5..\"}[1m])"}}),
            "ratio.bad.prometheus.counter: must be a plain series selector",
        ),
        (
            "/metrics/0/ratio/bad",
            json!({"prometheus": {"counter": "x{a=\"{{args.b}}\"}"}}),
            "there is no argument \"b\"",
        ),
        ("/metrics/1/threshold/query", json!("x{{app}}"), "{{app}} is not an argument; write {{args.NAME}}"),
        ("/metrics/1/threshold/query", json!("x{{args.app"), "has `{{` without `}}`"),
        (
            "/metrics/1/threshold/success",
            Value::Null,
            "spec.metrics[1].threshold: set a success or a failure condition",
        ),
        (
            "/metrics/1/threshold/interval",
            json!("0s"),
            "spec.metrics[1].threshold.interval: 0s is not a whole number of seconds, at least 1s",
        ),
        ("/metrics/1/threshold/interval", json!("1500ms"), "interval: 1s500ms is not a whole number of seconds"),
        (
            "/metrics/1/threshold/success",
            json!("result < {{args.most}}"),
            "threshold.success: there is no argument \"most\"",
        ),
        ("/args", json!([{"name": "größe"}]), "error spec.args[0].name: \"größe\" is not an argument's name: letters"),
        ("/metrics/1/threshold/count", json!(0), "spec.metrics[1].threshold.count: must be at least 1"),
        (
            "/metrics/0/conversion",
            json!({"successes": {"builtin": "errors"}, "trials": {"builtin": "requests"}}),
            "error spec.metrics[0]: a metric must have exactly one judge:",
        ),
        (
            "/metrics/0",
            goal(json!({"difference": 0})),
            "metrics[0].conversion.difference: must be above 0 and below 100 %",
        ),
        ("/metrics/0", goal(json!({"difference": "100%"})), "metrics[0].conversion.difference: must be above 0"),
        ("/metrics/0", goal(json!({"plannedUsers": 0})), "metrics[0].conversion.plannedUsers: must be at least 1"),
        (
            "/metrics/0",
            goal(json!({"successes": {"prometheus": {"counter": "visitors_total"}}})),
            "metrics[0].conversion.successes: successes and trials are the same counter",
        ),
        (
            "/metrics/0",
            goal(json!({"trials": {"prometheus": {"counter": "rate(visitors_total[1m])"}}})),
            "metrics[0].conversion.trials.prometheus.counter: must be a plain series selector",
        ),
        (
            "/metrics/0",
            goal(json!({"trials": {"builtin": "requests"}})),
            "warning spec.metrics[0].conversion.trials: counts requests, not users",
        ),
        ("/metrics/0", timed(json!({"slo": {"under": "0s"}})), "metrics[0].latency.slo.under: must be above 0"),
        (
            "/metrics/0",
            timed(json!({"slo": {"under": "1s", "share": 0}})),
            "metrics[0].latency.slo.share: must be above 0",
        ),
        ("/metrics/0", timed(json!({"tolerance": 0})), "metrics[0].latency.tolerance: must be above 0"),
        (
            "/metrics/0",
            timed(json!({"histogram": {}})),
            "metrics[0].latency.histogram: a histogram is either builtin or prometheus",
        ),
        (
            "/metrics/0",
            timed(json!({"histogram": {"prometheus": {"histogram": "rpc_seconds_bucket"}}})),
            "metrics[0].latency.histogram.prometheus.histogram: write the histogram's name, rpc_seconds:",
        ),
        (
            "/metrics/0",
            timed(json!({"histogram": {"prometheus": {"histogram": "rate(x[1m])"}}})),
            "metrics[0].latency.histogram.prometheus.histogram: must be a plain series selector",
        ),
        ("/metrics/0", gauge(json!({"tolerance": 0})), "metrics[0].gauge.tolerance: must be above 0"),
        ("/metrics/0", gauge(json!({"podLabel": "the-pod"})), "metrics[0].gauge.podLabel: is not a label's name"),
        ("/metrics/0", gauge(json!({"namespaceLabel": "1"})), "metrics[0].gauge.namespaceLabel: is not a label's name"),
        ("/metrics/0", gauge(json!({"query": " "})), "metrics[0].gauge.query: is empty"),
        ("/metrics/0", gauge(json!({"query": "x{{args.b}}"})), "metrics[0].gauge.query: there is no argument \"b\""),
        ("/metrics/0", kayenta(json!({"metrics": []})), "metrics[0].kayenta.metrics: set at least one"),
        (
            "/metrics/0",
            kayenta(json!({"metrics": [{"name": "cpu", "query": "cpu{{args.b}}"}]})),
            "metrics[0].kayenta.metrics[0].query: there is no argument \"b\"",
        ),
        (
            "/metrics/0",
            kayenta(json!({"metrics": [{"name": "cpu", "query": "cpu"}]})),
            "metrics[0].kayenta.metrics[0].query: does not contain ${scope}",
        ),
        ("/metrics/0", kayenta(json!({"marginal": 99})), "metrics[0].kayenta.marginal: must be at most pass"),
        ("/settings", json!({"alpha": 0.9}), "spec.settings.alpha: must be between"),
        ("/settings", json!({"phi": 0.5}), "spec.settings.phi: must be between 1 and 20"),
        ("/settings", json!({"window": "1500ms"}), "error spec.settings.window: 1s500ms is not a whole number"),
        ("/settings", json!({"window": "5s"}), "warning spec.settings.window: 5s is shorter than the default"),
    ];
    for (pointer, value, wanted) in cases {
        let mut object = good_template();
        change(&mut object, pointer, value);
        let spec: AnalysisTemplateSpec = serde_json::from_value(object).unwrap();
        let findings = shown(&template(&spec));
        assert!(findings.contains(wanted), "{pointer}\nwanted: {wanted}\ngot:\n{findings}");
    }
}
