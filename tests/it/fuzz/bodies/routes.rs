//! A mesh's objects and an intent, both nearly arbitrary: planning never panics, a plan that was carried out leaves nothing to
//! plan, it is read back as what was intended, and everything that is not ours stays as it was.

use glidepath::{
    api::{
        Percent, RolloutSpec,
        strategy::{HeaderRoute, MirrorRoute, Sticky},
    },
    engine::{RouteIntent, Stickiness, Target},
    router::{Objects, PlannedWrite, ROUTERS, RouteContext, RouteScope, Router, routers},
};
use serde_json::{Value, json};

use super::{choices::Choices, json::mutate};

/// What a plan may touch in an http entry, beside the entries of our own.
const OURS_IN_ENTRY: [&str; 3] = ["mirror", "mirrorPercentage", "mirrors"];

/// Draws objects and an intent from the bytes, and plans.
pub fn run(bytes: &[u8]) {
    let mut choices = Choices::of(bytes);
    let Some(router) = router(choices.pick(&entries())) else { return };
    let before = objects(&mut choices);
    let intent = on_grain(router.as_ref(), intent(&mut choices));
    let ctx = context();
    let _ = router.read(&ctx, &before, &intent);
    let returned = before.after(&router.hand_back(&ctx, &before));
    assert_eq!(router.hand_back(&ctx, &returned), vec![], "what was given back is given back again");
    let some = router.plan_all(&ctx, &before, &intent);
    unchanged_but_for_ours(&before, &some.writes);
    if some.refused.is_empty() {
        settled(router.as_ref(), &before.after(&some.writes), &intent);
    }
    target(router.as_ref(), &before, &mut choices);
}

/// A weight that the router can express: a finer one is rounded toward stable, and read back as such.
fn on_grain(router: &dyn Router, intent: RouteIntent) -> RouteIntent {
    let kind = ROUTERS.iter().find(|kind| kind.key == router.key());
    let can = router.declared().or_else(|| kind.map(|kind| kind.capabilities));
    let grain = can.map_or(1, |can| can.grain.basis_points());
    let canary = Percent::from_basis_points(intent.canary.basis_points() / grain * grain);
    RouteIntent { canary, ..intent }
}

fn settled(router: &dyn Router, after: &Objects, intent: &RouteIntent) {
    let ctx = context();
    assert_eq!(router.plan(&ctx, after, intent), Ok(vec![]), "a second plan finds something to do");
    let seen = router.read(&ctx, after, intent);
    assert!(
        seen.as_ref().is_ok_and(|seen| seen.weight == Some(intent.canary) && !seen.drifted),
        "{intent:?} is read back as {seen:?}"
    );
}

fn target(router: &dyn Router, before: &Objects, choices: &mut Choices<'_>) {
    let target = if choices.one_in(2) { Target::Canary } else { Target::Stable };
    let Ok(writes) = router.plan_target(&context(), before, target, "k3v9") else { return };
    let after = before.after(&writes);
    assert_eq!(router.plan_target(&context(), &after, target, "k3v9"), Ok(vec![]));
    let seen = router.target(&context(), &after, target);
    assert!(seen.is_none_or(|seen| seen.revision.as_deref() == Some("k3v9")));
}

/// Every written VirtualService is as before but for our own entries, weights, mirrors and cookies; foreign objects of other
/// kinds are not written.
fn unchanged_but_for_ours(before: &Objects, writes: &[PlannedWrite]) {
    for write in writes {
        let PlannedWrite::Replace(next) = write else { continue };
        let text = |path: &str| next.pointer(path).and_then(Value::as_str).unwrap_or_default();
        let identity = ["/apiVersion", "/kind", "/metadata/namespace", "/metadata/name"];
        let old = before.iter().find(|old| identity.iter().all(|path| old.pointer(path) == next.pointer(path)));
        let old = old.unwrap_or_else(|| panic!("what does not exist is replaced: {next}"));
        match text("/kind") {
            "VirtualService" => assert_eq!(bare(old).to_string(), bare(next).to_string()),
            "TraefikService" => unchanged_but_for_weights(old, next, "/spec/weighted/services"),
            "TrafficSplit" => unchanged_but_for_weights(old, next, "/spec/backends"),
            "HTTPProxy" => unchanged_rules(old, next, "routes", &without_numbers),
            "Ruled" => unchanged_rules(old, next, "rules", &without_numbers),
            "Route" | "Split" => assert_eq!(without_numbers(old), without_numbers(next)),
            "ServiceSplitter" => unchanged_but_for_weights(old, next, "/spec/splits"),
            "ServiceRouter" => unchanged_routes(old, next),
            "Ingress" => assert_eq!(text("/metadata/name"), "checkout-checkout-canary", "{next}"),
            "HTTPRoute" | "GRPCRoute" | "TCPRoute" => {
                unchanged_rules(old, next, "rules", &|rule| bare_rule(rule).to_string())
            }
            _ => assert_eq!(text("/metadata/name"), "checkout-canary-glidepath", "{next}"),
        }
    }
}

/// The objects are the same but for the weights of their lists.
fn unchanged_but_for_weights(old: &Value, next: &Value, list: &str) {
    let bare = |object: &Value| {
        let mut bare = object.clone();
        let entries = bare.pointer_mut(list).and_then(Value::as_array_mut).into_iter().flatten();
        entries.filter_map(Value::as_object_mut).for_each(|entry| drop(entry.shift_remove("weight")));
        bare.to_string()
    };
    assert_eq!(bare(old), bare(next));
}

/// An object or a rule as text, without the weights of the kinds that a Rollout names.
fn without_numbers(object: &Value) -> String {
    let mut bare = object.clone();
    let mut rest: Vec<&mut Value> = match bare.get("spec").is_some() {
        true => bare.get_mut("spec").into_iter().collect(),
        false => vec![&mut bare],
    };
    while let Some(value) = rest.pop() {
        match value {
            Value::Object(fields) => {
                ["weight", "share"].iter().for_each(|field| drop(fields.shift_remove(*field)));
                rest.extend(fields.values_mut());
            }
            Value::Array(items) => rest.extend(items),
            _ => {}
        }
    }
    bare.to_string()
}

/// A ServiceRouter has the routes that it had but for ours, in their order.
fn unchanged_routes(old: &Value, next: &Value) {
    let users = |object: &Value| {
        let mut bare = object.clone();
        let is_ours = |route: &Value| route["match"]["http"]["header"].to_string().contains("glidepath-route-");
        if let Some(routes) = bare.pointer_mut("/spec/routes").and_then(Value::as_array_mut) {
            routes.retain(|route| !is_ours(route));
        }
        bare.to_string()
    };
    assert_eq!(users(old), users(next));
}

/// A VirtualService without what may be ours.
fn bare(object: &Value) -> Value {
    let mut bare = object.clone();
    for list in ["/spec/tcp", "/spec/tls"] {
        let routes = bare.pointer_mut(list).and_then(Value::as_array_mut).into_iter().flatten();
        let to = routes.filter_map(|route| route.get_mut("route").and_then(Value::as_array_mut)).flatten();
        to.filter_map(Value::as_object_mut).for_each(|to| drop(to.shift_remove("weight")));
    }
    let entries = bare.pointer_mut("/spec/http").and_then(Value::as_array_mut);
    let Some(entries) = entries else { return bare };
    entries.retain(|entry| !entry["name"].as_str().is_some_and(|name| name.starts_with("glidepath-")));
    for entry in entries.iter_mut().filter_map(Value::as_object_mut) {
        OURS_IN_ENTRY.iter().for_each(|key| drop(entry.shift_remove(*key)));
        let destinations = entry.get_mut("route").and_then(Value::as_array_mut).into_iter().flatten();
        for destination in destinations.filter_map(Value::as_object_mut) {
            destination.shift_remove("weight");
            destination.shift_remove("headers");
        }
    }
    bare
}

/// A written route has all that it had, but for weights, filters of ours and the record; its rules in their order, with ours
/// between them.
fn unchanged_rules(old: &Value, next: &Value, list: &str, bare: &dyn Fn(&Value) -> String) {
    let rules =
        |object: &Value| -> Vec<String> { object["spec"][list].as_array().into_iter().flatten().map(bare).collect() };
    let (before, after) = (rules(old), rules(next));
    let mut left = after.iter();
    assert!(before.iter().all(|rule| left.any(|one| one == rule)), "{before:#?}\n{after:#?}");
    assert_eq!(without_rules(old, list).to_string(), without_rules(next, list).to_string());
}

fn bare_rule(rule: &Value) -> Value {
    let mut bare = rule.clone();
    let Some(fields) = bare.as_object_mut() else { return bare };
    fields.shift_remove("filters");
    let backends = fields.get_mut("backendRefs").and_then(Value::as_array_mut).into_iter().flatten();
    for backend in backends.filter_map(Value::as_object_mut) {
        backend.shift_remove("weight");
        backend.shift_remove("filters");
    }
    bare
}

fn without_rules(object: &Value, list: &str) -> Value {
    let mut bare = object.clone();
    if let Some(spec) = bare["spec"].as_object_mut() {
        spec.shift_remove(list);
    }
    let metadata = bare["metadata"].as_object_mut();
    let Some(metadata) = metadata else { return bare };
    let kept = match metadata.get_mut("annotations") {
        Some(Value::Object(annotations)) => {
            annotations.shift_remove("glidepath.dev/rules");
            !annotations.is_empty()
        }
        // No API server stores another shape.
        _ => false,
    };
    if !kept {
        metadata.shift_remove("annotations");
    }
    bare
}

/// A Rollout `checkout` in namespace `shop`; the tests of routers use it too.
pub fn context() -> RouteContext {
    RouteContext {
        namespace: "shop".to_owned(),
        root_service: Some("checkout".to_owned()),
        stable_service: "checkout-stable".to_owned(),
        canary_service: "checkout-canary".to_owned(),
        scope: RouteScope::default(),
        rollout_name: "checkout".to_owned(),
        rollout_uid: "7d0c".to_owned(),
    }
}

/// Entries of `spec.traffic`.
fn entries() -> [Value; 20] {
    [
        json!({"istio": {"virtualServices": [{"name": "checkout", "routes": ["b", "a"]}]}}),
        json!({"istio": {"virtualServices": [{"name": "single"}]}}),
        json!({"istio": {"virtualServices": [{"name": "ingress", "namespace": "gateway"}, {"name": "single"}]}}),
        json!({"istio": {
            "virtualServices": [{"name": "subsets"}],
            "destinationRule": {"name": "checkout", "stableSubset": "stable", "canarySubset": "canary"},
        }}),
        json!({"istio": {"virtualServices": [
            {"name": "connections", "tcpRoutes": [{"port": 3306}], "tlsRoutes": [{"sniHosts": ["a.example.com"]}]}, {"name": "single"},
        ]}}),
        json!({"istio": {"virtualServices": [{"name": "delegate", "delegateOf": {"name": "root"}}]}}),
        json!({"traefik": {"services": [{"name": "checkout"}]}}),
        json!({"traefik": {"services": [{"name": "ingress", "namespace": "gateway"}, {"name": "checkout"}]}}),
        json!({"smi": {"trafficSplits": [{"name": "checkout"}]}}),
        json!({"nginx": {"ingress": "checkout"}}),
        json!({"gateway": {"routes": [{"name": "checkout"}]}}),
        json!({"gateway": {"routes": [{"name": "ingress", "namespace": "gateway"}, {"kind": "GRPCRoute", "name": "checkout"}]}}),
        json!({"gateway": {"routes": [{"kind": "TCPRoute", "name": "checkout"}]}}),
        json!({"gateway": {"createRoute": {"parentRefs": [{"name": "edge"}], "port": 80}}}),
        json!({"custom": {"preset": "contour", "name": "checkout"}}),
        json!({"custom": {"apiVersion": "mesh.example.com/v1", "kind": "Route", "name": "checkout", "total": 1000,
            "backends": {"path": "spec.backends", "service": "to.name", "weight": "to.share", "defaultWeight": 1}}}),
        json!({"custom": {"apiVersion": "mesh.example.com/v1", "kind": "Split", "name": "checkout",
            "fields": {"canary": "spec.canary.weight", "stable": "spec.stable.weight"}}}),
        json!({"custom": {"apiVersion": "mesh.example.com/v1", "kind": "Ruled", "name": "checkout",
            "backends": {"path": "spec.rules[*].then.to", "service": "name", "defaultWeight": 0},
            "headers": {"anyOf": "if", "allOf": "all", "ruleName": "id", "precedence": ["path"],
                "exact": {"name": "{name}", "is": "{value}"}, "regex": {"name": "{name}", "is": "{value}", "like": true}}}}),
        json!({"consul": {"service": "checkout"}}),
        json!({"consul": {"service": "ingress", "namespace": "gateway", "stableSubset": "now", "consulNamespace": "team"}}),
    ]
}

fn router(entry: &Value) -> Option<Box<dyn Router>> {
    let traffic = vec![serde_json::from_value(entry.clone()).ok()?];
    routers(&RolloutSpec { traffic, ..RolloutSpec::default() }).pop()
}

/// What a cluster may hold, changed by the bytes.
fn objects(choices: &mut Choices<'_>) -> Objects {
    let whole = cluster();
    let changed = whole.iter().map(|object| {
        let mut changed = object.clone();
        mutate(&mut changed, &whole, choices);
        changed
    });
    changed.collect()
}

fn cluster() -> Vec<Value> {
    let to = |host: &str, weight: u32| json!({"destination": {"host": host, "port": {"number": 80}}, "weight": weight});
    let subset = |name: &str| json!({"destination": {"host": "checkout", "subset": name}});
    let full = |arm: &str| format!("checkout-{arm}.shop.svc.cluster.local");
    let cookie = json!({"response": {"add": {"set-cookie": "variant=glidepath.old.candidate; Path=/"}}});
    let mut all = vec![
        virtual_service(
            "shop",
            "checkout",
            json!([
                {"name": "theirs", "route": [to("checkout-stable", 90), to("checkout-canary", 10)], "mirror": {"host": "shadow"}},
                {"name": "a", "match": [{"uri": {"prefix": "/pay"}}], "timeout": "5s",
                 "route": [to("checkout-stable", 85), to("legacy", 10), to("checkout-canary", 5)]},
                {"name": "glidepath-testers", "match": [{"headers": {"x": {"exact": "y"}}}], "route": [to("checkout-canary", 100)]},
                {"name": "b", "route": [to("checkout-stable", 9500), to("checkout-canary", 500)]},
            ]),
        ),
        virtual_service(
            "shop",
            "single",
            json!([
                {"route": [to("checkout-canary", 0), to("checkout-stable", 100)], "mirrors": [{"destination": {"host": "shadow"}}]},
            ]),
        ),
        virtual_service(
            "shop",
            "subsets",
            json!([
                {"name": "glidepath-sticky-control", "route": [subset("stable")]},
                {"route": [subset("stable"), {"destination": {"host": "checkout", "subset": "canary"}, "weight": 3, "headers": cookie}]},
            ]),
        ),
        virtual_service(
            "gateway",
            "ingress",
            json!([
                {"match": [{"headers": {"a": {"exact": "b"}}}], "route": [to(&full("stable"), 1), to(&full("canary"), 0)]},
            ]),
        ),
        json!({
            "apiVersion": "networking.istio.io/v1", "kind": "DestinationRule",
            "metadata": {"name": "checkout", "namespace": "shop"},
            "spec": {"host": "checkout", "trafficPolicy": {"tls": {"mode": "ISTIO_MUTUAL"}},
                     "subsets": [{"name": "stable", "labels": {"app": "x"}}, {"name": "canary"}]},
        }),
        json!({
            "apiVersion": "networking.istio.io/v1", "kind": "DestinationRule",
            "metadata": {"name": "stable-policy", "namespace": "shop"},
            "spec": {"host": "checkout-stable", "trafficPolicy": {"tls": {"mode": "ISTIO_MUTUAL"}}, "exportTo": ["."]},
        }),
    ];
    all.extend(connections_and_delegates());
    all.extend(weights_and_ingresses());
    all.extend(gateway_routes());
    all.extend(named_by_rollouts());
    all.extend(consul_entries());
    all
}

/// VirtualServices that split connections, and one to which another delegates.
fn connections_and_delegates() -> [Value; 3] {
    let to = |host: &str, weight: u32| json!({"destination": {"host": host}, "weight": weight});
    let mut connections = virtual_service("shop", "connections", json!([{"route": [to("other", 1)]}]));
    connections["spec"]["tcp"] = json!([
        {"match": [{"port": 3306}], "route": [to("checkout-stable", 9), to("checkout-canary", 1)]},
        {"match": [{"port": 80}], "route": [to("other", 1)]},
    ]);
    connections["spec"]["tls"] = json!([
        {"match": [{"port": 443, "sniHosts": ["a.example.com"]}],
         "route": [to("checkout-canary", 10), to("legacy", 5), to("checkout-stable", 85)]},
    ]);
    let delegating = json!([{"match": [{"uri": {"prefix": "/pay"}}], "delegate": {"name": "delegate"}}]);
    let delegate = json!([{"match": [{"uri": {"prefix": "/pay/now"}}, {"headers": {"x": {"exact": "y"}}}],
        "route": [to("checkout-stable", 9), to("checkout-canary", 1)]}]);
    [connections, virtual_service("shop", "root", delegating), virtual_service("shop", "delegate", delegate)]
}

/// The objects of the routers that have no routes of their own.
fn weights_and_ingresses() -> [Value; 5] {
    let traefik = |namespace: &str, name: &str| {
        let to =
            |service: &str, weight: u32| json!({"name": service, "namespace": "shop", "port": 80, "weight": weight});
        json!({
            "apiVersion": "traefik.io/v1alpha1", "kind": "TraefikService",
            "metadata": {"name": name, "namespace": namespace, "annotations": {"glidepath.dev/allow-namespaces": "shop"}},
            "spec": {"weighted": {"services": [to("checkout-stable", 3), to("legacy", 1), to("checkout-canary", 1)]}},
        })
    };
    let ingress = |name: &str, service: &str, label: &str, annotations: Value| {
        let paths = json!([{"path": "/", "pathType": "Prefix", "backend": {"service": {"name": service, "port": {"number": 80}}}}]);
        json!({
            "apiVersion": "networking.k8s.io/v1", "kind": "Ingress",
            "metadata": {"name": name, "namespace": "shop", "labels": {"glidepath.dev/rollout": label}, "annotations": annotations},
            "spec": {"ingressClassName": "nginx", "rules": [{"host": "shop.example", "http": {"paths": paths}}]},
        })
    };
    let canary = json!({
        "nginx.ingress.kubernetes.io/canary": "true", "nginx.ingress.kubernetes.io/canary-weight": "5",
        "nginx.ingress.kubernetes.io/canary-weight-total": "100", "glidepath.dev/header-routes": "testers",
        "nginx.ingress.kubernetes.io/canary-by-header": "x-tester",
    });
    [
        traefik("shop", "checkout"),
        traefik("gateway", "ingress"),
        json!({
            "apiVersion": "split.smi-spec.io/v1alpha2", "kind": "TrafficSplit",
            "metadata": {"name": "checkout", "namespace": "shop"},
            "spec": {"service": "checkout", "backends": [
                {"service": "checkout-stable", "weight": "950m"}, {"service": "checkout-canary", "weight": 1}]},
        }),
        ingress("checkout", "checkout-stable", "", json!({})),
        ingress("checkout-checkout-canary", "checkout-canary", "checkout", canary),
    ]
}

/// Objects of kinds that only a Rollout names.
fn named_by_rollouts() -> [Value; 4] {
    let object = |api_version: &str, kind: &str, spec: Value| {
        json!({"apiVersion": api_version, "kind": kind,
            "metadata": {"name": "checkout", "namespace": "shop", "resourceVersion": "41"}, "spec": spec})
    };
    let service = |name: &str, weight: u32| json!({"name": name, "port": 80, "weight": weight});
    [
        object(
            "projectcontour.io/v1",
            "HTTPProxy",
            json!({"routes": [
                {"conditions": [{"prefix": "/a"}], "services": [{"name": "static", "port": 80}]},
                {"services": [service("checkout-stable", 90), service("legacy", 5), service("checkout-canary", 5)]},
                {"services": [service("checkout-canary", 1), service("checkout-stable", 3)]},
            ]}),
        ),
        object(
            "mesh.example.com/v1",
            "Route",
            json!({"backends": [
                {"to": {"name": "checkout-stable", "share": 900}}, {"to": {"name": "checkout-canary"}},
                {"to": {"name": "legacy", "share": 99}, "note": "theirs"},
            ]}),
        ),
        object(
            "mesh.example.com/v1",
            "Ruled",
            json!({"rules": [
                {"id": "a", "if": [{"path": "/a"}], "then": {"to": [service("other", 1)]}},
                {"id": "b", "if": [{"path": "/b", "all": [{"name": "x-tester", "is": "b"}]}, {"path": "/c"}],
                 "then": {"to": [service("checkout-canary", 1), service("checkout-stable", 3)]}},
                {"id": "c", "if": [{"path": "/"}], "then": {"to": [service("checkout-stable", 1), service("checkout-canary", 0)]}},
            ]}),
        ),
        object("mesh.example.com/v1", "Split", json!({"stable": {"weight": 95, "name": "a"}, "canary": {"weight": 5}})),
    ]
}

/// Config entries of Consul as custom resources.
fn consul_entries() -> Vec<Value> {
    let entry = |kind: &str, namespace: &str, name: &str, spec: Value| {
        json!({
            "apiVersion": "consul.hashicorp.com/v1alpha1", "kind": kind,
            "metadata": {"name": name, "namespace": namespace, "annotations": {"glidepath.dev/allow-namespaces": "shop"}},
            "spec": spec,
        })
    };
    let mark = json!({"name": "glidepath-route-old", "present": true, "invert": true});
    let routes = json!([
        {"match": {"http": {"pathPrefix": "/admin"}}, "destination": {"service": "admin"}},
        {"match": {"http": {"header": [{"name": "x-old", "exact": "1"}, mark]}}, "destination": {"service": "checkout", "serviceSubset": "canary"}},
        {"match": {"http": {"pathExact": "/pay", "header": [{"name": "a", "present": true}]}}, "destination": {"numRetries": 3}},
        {"destination": {"serviceSubset": "canary"}},
    ]);
    let splits = json!([{"weight": 66.67, "serviceSubset": "stable"}, {"weight": 33.33, "serviceSubset": "canary"}]);
    let shared = json!([{"weight": 80, "service": "ingress", "namespace": "team", "serviceSubset": "now"},
        {"weight": 20, "service": "legacy"}, {"weight": 0, "serviceSubset": "canary"}]);
    let ours = "Service.Meta.glidepath_revision == \"k3v8\"";
    let subsets =
        json!({"stable": {"filter": ours}, "canary": {"filter": format!("(a == b) and {ours}"), "onlyPassing": false}});
    vec![
        entry("ServiceSplitter", "shop", "checkout", json!({"splits": splits})),
        entry("ServiceResolver", "shop", "checkout", json!({"connectTimeout": "5s", "subsets": subsets})),
        entry("ServiceRouter", "shop", "checkout", json!({"routes": routes})),
        entry("ServiceDefaults", "shop", "checkout", json!({"protocol": "http"})),
        entry("ServiceSplitter", "gateway", "ingress", json!({"splits": shared})),
        entry(
            "ServiceResolver",
            "gateway",
            "ingress",
            json!({"defaultSubset": "now", "subsets": {"now": {}, "canary": {}}}),
        ),
        entry("ServiceRouter", "gateway", "ingress", json!({"routes": [{"match": {"http": {"pathPrefix": "/"}}}]})),
    ]
}

/// Routes of the Gateway API, and a grant.
fn gateway_routes() -> [Value; 5] {
    [
        http_route(),
        route(
            "HTTPRoute",
            "gateway",
            "ingress",
            json!([{"backendRefs": [
                {"name": "checkout-stable", "namespace": "shop", "port": 80}, {"name": "checkout-canary", "namespace": "shop", "port": 80},
            ]}]),
        ),
        route(
            "GRPCRoute",
            "shop",
            "checkout",
            json!([{"matches": [{"method": {"service": "shop.Checkout"}}], "backendRefs": [
                {"name": "checkout-stable", "port": 80, "weight": 9}, {"name": "legacy", "weight": 3}, {"name": "checkout-canary", "port": 80, "weight": 1},
            ]}]),
        ),
        route(
            "TCPRoute",
            "shop",
            "checkout",
            json!([{"backendRefs": [{"name": "checkout-stable", "port": 80}, {"name": "checkout-canary", "port": 80, "weight": 0}]}]),
        ),
        json!({
            "apiVersion": "gateway.networking.k8s.io/v1beta1", "kind": "ReferenceGrant",
            "metadata": {"name": "gateway", "namespace": "shop"},
            "spec": {"from": [{"group": "gateway.networking.k8s.io", "kind": "HTTPRoute", "namespace": "gateway"}],
                     "to": [{"group": "", "kind": "Service"}]},
        }),
    ]
}

fn http_route() -> Value {
    let mirror =
        |name: &str| json!({"type": "RequestMirror", "requestMirror": {"backendRef": {"name": name, "port": 80}}});
    let cookie = json!([{"type": "ResponseHeaderModifier", "responseHeaderModifier": {
        "add": [{"name": "set-cookie", "value": "variant=glidepath.old.candidate; Path=/"}], "remove": ["x"]}}]);
    route(
        "HTTPRoute",
        "shop",
        "checkout",
        json!([
            {"matches": [{"path": {"type": "PathPrefix", "value": "/static"}}], "filters": [mirror("shadow")],
             "backendRefs": [{"name": "static", "port": 80}]},
            {"matches": [{"path": {"type": "PathPrefix", "value": "/"}, "headers": [{"name": "a", "value": "b"}]}],
             "filters": [mirror("shadow"), mirror("checkout-canary")], "timeouts": {"request": "5s"},
             "backendRefs": [{"name": "checkout-stable", "port": 80, "weight": 95},
                             {"name": "checkout-canary", "port": 80, "weight": 5, "filters": cookie}]},
        ]),
    )
}

fn route(kind: &str, namespace: &str, name: &str, rules: Value) -> Value {
    json!({
        "apiVersion": "gateway.networking.k8s.io/v1", "kind": kind,
        "metadata": {"name": name, "namespace": namespace, "resourceVersion": "41",
                     "annotations": {"glidepath.dev/allow-namespaces": "shop"}},
        "spec": {"parentRefs": [{"name": "edge"}], "rules": rules},
    })
}

fn virtual_service(namespace: &str, name: &str, http: Value) -> Value {
    json!({
        "apiVersion": "networking.istio.io/v1", "kind": "VirtualService",
        "metadata": {"name": name, "namespace": namespace, "resourceVersion": "41",
                     "annotations": {"glidepath.dev/allow-namespaces": "shop"}},
        "spec": {"hosts": ["checkout"], "http": http},
    })
}

/// An intent that a Rollout may have: its schema refuses names and matches that these do not have.
fn intent(choices: &mut Choices<'_>) -> RouteIntent {
    let matches = |choices: &mut Choices<'_>| {
        let all = [
            json!([{"header": {"name": "x-tester", "exact": "yes"}}]),
            json!([{"header": {"name": "x", "regex": ".*"}}, {"cookie": {"name": "beta", "exact": "1"}}]),
            json!([{"header": {"name": "a", "prefix": "b"}}]),
        ];
        choices.pick(&all).clone()
    };
    let header = |name: &str, choices: &mut Choices<'_>| -> Option<HeaderRoute> {
        serde_json::from_value(json!({"name": name, "match": matches(choices)})).ok()
    };
    let mut intent = RouteIntent::weight(Percent::from_basis_points(choices.number() as u32 % 10_001));
    for name in ["testers", "beta"] {
        if choices.one_in(3) {
            intent.headers.extend(header(name, choices));
        }
    }
    if choices.one_in(3) {
        let some = if choices.one_in(2) { matches(choices) } else { json!([]) };
        let percent = 1 + choices.below(100);
        intent.mirror = serde_json::from_value::<MirrorRoute>(json!({"percent": percent, "match": some})).ok();
    }
    if choices.one_in(3) {
        let cookie = Sticky { cookie: "variant".to_owned(), ttl: None };
        let weights = if choices.one_in(2) { vec![5, 30, 80] } else { Vec::new() };
        let weights = weights.into_iter().map(Percent::whole).collect();
        intent.sticky = Some(Stickiness { cookie, test: "k3v9-1".to_owned(), weights });
    }
    intent
}
