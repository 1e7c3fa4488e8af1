//! Objects of routers that are neither routes nor VirtualServices: what is said of them.

use super::tests::{ROLLOUT, said};

/// The entry `istio` of the Rollout replaced by another, and the VirtualService by another object.
fn split_by(entry: &str, object: &str) -> String {
    let istio = "{istio: {virtualServices: [{name: web, routes: [primary]}]}}";
    let documents: Vec<&str> = ROLLOUT.split("---").filter(|one| !one.contains("kind: VirtualService")).collect();
    let text = format!("{}---\n{object}", documents.join("---").replacen(istio, entry, 1));
    assert!(text.contains(entry), "{text}");
    text
}

/// What is said of each change of the text; each change is one of `text`.
fn each_is_said(text: &str, changes: &[(&str, &str, &str)]) {
    assert_eq!(said(text), Vec::<String>::new());
    for (right, wrong, wanted) in changes {
        let changed = text.replacen(right, wrong, 1);
        assert_ne!(changed, text, "{right}");
        let wanted: Vec<&str> = Some(*wanted).filter(|wanted| !wanted.is_empty()).into_iter().collect();
        assert_eq!(said(&changed), wanted, "{wrong}");
    }
}

#[test]
fn traefik_services_are_judged_by_their_router() {
    let service = "
apiVersion: traefik.io/v1alpha1
kind: TraefikService
metadata: {name: web, namespace: shop}
spec:
  weighted:
    services:
      - {name: web-stable, port: 80, weight: 100}
      - {name: web-canary, port: 80, weight: 0}
";
    let text = split_by("{traefik: {services: [{name: web}]}}", service);
    each_is_said(
        &text,
        &[
            (
                "services: [{name: web}]",
                "services: [{name: wob}]",
                "Rollout warning spec.traffic[0].traefik.services[0].name: no TraefikService \"wob\" in these files; did you mean web?",
            ),
            (
                "{name: web-canary,",
                "{name: web-canry,",
                "Rollout error spec.traffic[0].traefik.services[0]: TraefikService shop/web has no entry for Service `web-canary` in spec.weighted.services; its entries are `web-stable`, `web-canry`",
            ),
            (
                "weighted:\n    services:\n      - {name: web-stable, port: 80, weight: 100}\n      - {name: web-canary, port: 80, weight: 0}",
                "mirroring: {name: web-stable, port: 80}",
                "Rollout error spec.traffic[0].traefik.services[0]: TraefikService shop/web has no entry for Service `web-stable` in spec.weighted.services; its entries are none",
            ),
            (
                "port: 80, weight: 0}",
                "port: 80, weight: 1.5}",
                "Rollout error spec.traffic[0].traefik.services[0]: TraefikService shop/web has weight 1.5, which is not a non-negative integer; fix it",
            ),
            (
                "port: 80, weight: 0}",
                "port: 80, weight: 0}\n      - {name: web, port: 8080}",
                "TraefikService error spec.weighted.services[2].port: Service \"web\" has no port 8080; it has 80",
            ),
            // A patch of an overlay.
            ("spec:\n  weighted:", "spec: {}\nx:\n  weighted:", ""),
            // What no TraefikService can do is said of the step; what else is wrong is said of the object.
            ("[{setWeight: 5}]", "[{setCanaryScale: {replicas: 1}}, {setMirrorRoute: {percent: 10}}]", ""),
        ],
    );
    let mirror = "[{setCanaryScale: {replicas: 1}}, {setMirrorRoute: {percent: 10}}]";
    let both = text.replacen("[{setWeight: 5}]", mirror, 1).replacen("{name: web-stable, port", "{name: web, port", 1);
    let found = said(&both);
    assert!(found.len() == 1 && found[0].contains("no entry for Service `web-stable`"), "{found:?}");
}

#[test]
fn traffic_splits_are_judged_by_their_router() {
    let split = "
apiVersion: split.smi-spec.io/v1alpha2
kind: TrafficSplit
metadata: {name: web, namespace: shop}
spec:
  service: web
  backends: [{service: web-stable, weight: 100}, {service: web-canary, weight: 0}]
";
    each_is_said(
        &split_by("{smi: {trafficSplits: [{name: web}]}}", split),
        &[
            (
                "trafficSplits: [{name: web}]",
                "trafficSplits: [{name: wbe}]",
                "Rollout warning spec.traffic[0].smi.trafficSplits[0].name: no TrafficSplit \"wbe\" in these files; did you mean web?",
            ),
            (
                "{service: web-stable,",
                "{service: web,",
                "Rollout error spec.traffic[0].smi.trafficSplits[0]: TrafficSplit shop/web has no entry for Service `web-stable` in spec.backends; its entries are `web`, `web-canary`",
            ),
            (
                "weight: 0}]",
                "weight: 0}, {service: web-canary, weight: 1}]",
                "Rollout error spec.traffic[0].smi.trafficSplits[0]: TrafficSplit shop/web has Service `web-canary` in 2 destinations; keep one, so that its weight is unambiguous",
            ),
        ],
    );
}

#[test]
fn ingresses_are_judged_by_their_router() {
    let ingress = "
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {name: front, namespace: shop}
spec:
  rules: [{host: shop.example.com, http: {paths: [{path: /, pathType: Prefix, backend: {service: {name: web-stable, port: {number: 80}}}}]}}]
";
    let text = split_by("{nginx: {ingress: front}}", ingress);
    let header = |name: &str, header: &str| {
        format!("{{setHeaderRoute: {{name: {name}, match: [{{header: {{name: {header}, exact: b}}}}]}}}}")
    };
    let two = format!("[{}, {{setHeaderRoute: {{name: a}}}}, {}]", header("a", "x-one"), header("b", "x-two"));
    each_is_said(
        &text,
        &[
            (
                "{ingress: front}",
                "{ingress: frnt}",
                "Rollout warning spec.traffic[0].nginx.ingress: no Ingress \"frnt\" in these files; did you mean front?",
            ),
            (
                "{service: {name: web-stable,",
                "{service: {name: web,",
                "Rollout error spec.traffic[0].nginx.ingress: Ingress shop/front has no path to Service `web-stable`, but to `web`; let its paths lead to `web-stable`",
            ),
            (
                "paths: [{path: /,",
                "paths: [{path: /all, pathType: Prefix, backend: {service: {name: web, port: {number: 8080}}}}, {path: /,",
                "Ingress error spec.rules[0].http.paths[0].backend.service.port.number: Service \"web\" has no port 8080; it has 80",
            ),
            // One after the other; what does not fit is said of the step.
            ("[{setWeight: 5}]", &two, ""),
        ],
    );
    let canary = |name: &str, path: &str| {
        let annotations = "annotations: {nginx.ingress.kubernetes.io/canary: \"true\"}";
        let other = ingress
            .replacen("{name: front, namespace: shop}", &format!("{{name: {name}, {annotations}}}"), 1)
            .replacen("path: /", &format!("path: {path}"), 1);
        said(&format!("{text}---{other}"))
    };
    assert_eq!(
        canary("mine", "/"),
        [
            "Rollout error spec.traffic[0].nginx.ingress: Ingress shop/mine is a canary Ingress of shop.example.com/ already; delete it"
        ]
    );
    assert_eq!(canary("mine", "/other"), Vec::<String>::new());
}

const MESH_ROUTE: &str = "
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: web, namespace: shop}
spec:
  parentRefs: [{group: core, kind: Service, name: web, port: 80}]
  rules:
    - backendRefs: [{name: web-stable, port: 80, weight: 1}, {name: web-canary, port: 80, weight: 0}]
";

#[test]
fn what_takes_effect_instead_of_a_route_of_linkerd_is_pointed_at() {
    let text = split_by("{gateway: {routes: [{name: web}]}}", MESH_ROUTE);
    each_is_said(
        &text,
        &[
            (
                "{name: web-canary, port: 80, weight: 0}",
                "{name: web-canary, weight: 0}",
                "HTTPRoute error spec.rules[0].backendRefs[1].port: a backendRef to a Service needs a port; add that of Service \"web-canary\"",
            ),
            // Another kind has no port.
            ("weight: 0}]", "weight: 0}, {group: example.com, kind: Other, name: sink, weight: 0}]", ""),
            (
                "gateway.networking.k8s.io/v1",
                "policy.linkerd.io/v1beta3",
                "Rollout error spec.traffic[0].gateway.routes[0].name: HTTPRoute \"web\" is of policy.linkerd.io, which Glidepath does not write; change its apiVersion to gateway.networking.k8s.io/v1",
            ),
        ],
    );
    let beside = |object: &str| said(&format!("{text}---\n{object}"));
    let profile = "{apiVersion: linkerd.io/v1alpha2, kind: ServiceProfile, metadata: {name: web.shop.svc.cluster.local, namespace: shop}}";
    assert_eq!(
        beside(profile),
        [
            "Rollout error spec.traffic[0].gateway.routes[0]: ServiceProfile shop/web.shop.svc.cluster.local takes effect instead of HTTPRoute shop/web: Linkerd uses no route of a Service that has a ServiceProfile; delete the ServiceProfile; timeouts and retries can be annotations of the route"
        ]
    );
    assert_eq!(beside(&profile.replace("web.shop", "other.shop")), Vec::<String>::new());
    let grpc = MESH_ROUTE.replace("HTTPRoute", "GRPCRoute").replace("{name: web, namespace: shop}", "{name: calls}");
    assert_eq!(
        beside(&grpc),
        [
            "Rollout error spec.traffic[0].gateway.routes[0]: GRPCRoute shop/calls takes effect instead of HTTPRoute shop/web: both have Service shop/web as parent, and Linkerd uses the routes of one kind; list GRPCRoute shop/calls in spec.traffic[].gateway.routes, or delete it"
        ]
    );
    let both = text.replacen("routes: [{name: web}]", "routes: [{name: web}, {kind: GRPCRoute, name: calls}]", 1);
    assert_eq!(said(&format!("{both}---\n{grpc}")), Vec::<String>::new(), "both are written");
}

#[test]
fn two_routers_for_the_inside_of_one_mesh_are_pointed_at() {
    let istio = "{istio: {virtualServices: [{name: web, routes: [primary]}]}}";
    let both = ROLLOUT.replacen(istio, &format!("{istio}, {{gateway: {{routes: [{{name: web}}]}}}}"), 1);
    let inside = both.replacen("spec:\n  http:", "spec:\n  hosts: [web]\n  http:", 1);
    let text = format!("{inside}---\n{MESH_ROUTE}");
    assert_eq!(
        said(&text),
        [
            "Rollout error spec.traffic[1].gateway.routes[0]: VirtualService \"web\" and HTTPRoute \"web\" are both for the callers inside of the mesh, which uses one of the two; remove one from spec.traffic"
        ]
    );
    for (inside, edge) in [
        ("hosts: [web]", "hosts: [web]\n  gateways: [edge]"),
        ("{group: core, kind: Service, name: web, port: 80}", "{name: edge}"),
    ] {
        assert_eq!(said(&text.replacen(inside, edge, 1)), Vec::<String>::new(), "{edge}");
    }
}

#[test]
fn ambient_mode_without_a_waypoint_is_pointed_at() {
    let text = ROLLOUT.replacen("spec:\n  http:", "spec:\n  hosts: [web]\n  http:", 1);
    let namespace =
        "{apiVersion: v1, kind: Namespace, metadata: {name: shop, labels: {istio.io/dataplane-mode: ambient}}}";
    let ambient = format!("{text}---\n{namespace}");
    assert_eq!(
        said(&ambient),
        [
            "Rollout error spec.traffic[0].istio.virtualServices[0]: pods in ambient mode whose Service has no waypoint: VirtualServices have no effect; deploy a waypoint and label the Service or its namespace istio.io/use-waypoint; in ambient mode the router `gateway` is the better choice"
        ]
    );
    let with = ambient.replace("dataplane-mode: ambient", "dataplane-mode: ambient, istio.io/use-waypoint: waypoint");
    assert_eq!(said(&with), Vec::<String>::new());
    assert_eq!(said(&text), Vec::<String>::new(), "the namespace is not in the files");

    let root = "{apiVersion: networking.istio.io/v1, kind: VirtualService, metadata: {name: site, namespace: shop}, spec: {hosts: [site], http: [{delegate: {name: web}}]}}";
    let delegated = format!("{ROLLOUT}---\n{namespace}\n---\n{root}").replacen(
        "virtualServices: [{name: web",
        "virtualServices: [{name: web, delegateOf: {name: site}",
        1,
    );
    assert!(said(&delegated)[0].contains("pods in ambient mode whose Service has no waypoint"), "{delegated}");
    let edge = delegated.replacen("hosts: [site],", "hosts: [site], gateways: [edge],", 1);
    assert_eq!(said(&edge), Vec::<String>::new());
}

#[test]
fn routes_of_connections_and_delegates_are_judged_by_their_router() {
    let service = "
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: db, namespace: shop}
spec:
  hosts: [web]
  gateways: [edge]
  tcp:
    - match: [{port: 3306}]
      route: [{destination: {host: web-stable}, weight: 100}, {destination: {host: web-canary}, weight: 0}]
    - match: [{port: 3307}]
      route: [{destination: {host: web, port: {number: 80}}}]
";
    let text = split_by("{istio: {virtualServices: [{name: db, tcpRoutes: [{port: 3306}]}]}}", service);
    each_is_said(
        &text,
        &[
            (
                "tcpRoutes: [{port: 3306}]",
                "tcpRoutes: [{port: 3308}]",
                "Rollout error spec.traffic[0].istio.virtualServices[0]: VirtualService shop/db has no tcp route that matches port 3308; it has one for port 3306, one for port 3307",
            ),
            (
                "host: web-canary}",
                "host: web-canry}",
                "Rollout error spec.traffic[0].istio.virtualServices[0]: tcp route 1 of VirtualService shop/db has no destination `web-canary.shop.svc.cluster.local`; its destinations are `web-stable`, `web-canry`, `web`",
            ),
            (
                "number: 80}}}]",
                "number: 81}}}]",
                "VirtualService error spec.tcp[1].route[0].destination.port.number: Service \"web\" has no port 81; it has 80",
            ),
        ],
    );
    let header = "[{setHeaderRoute: {name: asia, match: [{header: {name: x-region, exact: asia}}]}}]";
    let root = "{apiVersion: networking.istio.io/v1, kind: VirtualService, metadata: {name: site, namespace: shop}, spec: {hosts: [a], gateways: [edge], http: [{match: [{headers: {x-region: {exact: eu}}}], delegate: {name: web}}]}}";
    let named = ROLLOUT
        .replacen("routes: [primary]", "delegateOf: {name: site}", 1)
        .replacen("[{setWeight: 5}]", header, 1)
        .replacen("        - {destination: {host: web, port: {number: 80}}, weight: 0}\n", "", 1);
    assert_eq!(
        said(&format!("{named}---\n{root}")),
        [
            "Rollout error spec.traffic[0].istio.virtualServices[0]: route `primary` of VirtualService shop/web: the matches of its root VirtualService exclude some requests of a header route, mirror or sticky cookie, and Istio would drop them; change the match in one of the two"
        ]
    );
    assert_eq!(said(&named), Vec::<String>::new(), "the root is not in the files");
}

#[test]
fn objects_of_any_kind_are_judged_by_the_paths_of_their_entry() {
    let object = "
apiVersion: mesh.example.com/v1
kind: Route
metadata: {name: web, namespace: shop}
spec:
  routes:
    - backends: [{service: web-stable, weight: 100}, {service: web-canary, weight: 0}]
";
    let entry = "{custom: {apiVersion: mesh.example.com/v1, kind: Route, name: web, backends: {path: 'spec.routes[*].backends', service: service}}}";
    let text = split_by(entry, object);
    each_is_said(
        &text,
        &[
            (
                "kind: Route, name: web,",
                "kind: Route, name: wob,",
                "Rollout warning spec.traffic[0].custom.name: no Route \"wob\" in these files; did you mean web?",
            ),
            (
                ", {service: web-canary, weight: 0}",
                "",
                "Rollout error spec.traffic[0].custom: Route shop/web has a list at spec.routes[*].backends without an entry for Service `web-canary`",
            ),
            (
                "path: 'spec.routes[*].backends'",
                "path: 'spec.rules[*].backends'",
                "Rollout error spec.traffic[0].custom: Route shop/web has no list at `spec.rules[*].backends` with an entry for Service `web-stable` or `web-canary`; add both to the lists to split, or fix spec.traffic[].custom.backends",
            ),
            (
                "weight: 100}",
                "weight: half}",
                "Rollout error spec.traffic[0].custom: Route shop/web has weight \"half\", which is not a non-negative integer; fix it",
            ),
        ],
    );
}

#[test]
fn config_entries_of_consul_are_judged_by_their_router() {
    let entries = "
apiVersion: consul.hashicorp.com/v1alpha1
kind: ServiceSplitter
metadata: {name: web, namespace: shop}
spec: {splits: [{weight: 100, serviceSubset: stable}, {weight: 0, serviceSubset: canary}]}
---
apiVersion: consul.hashicorp.com/v1alpha1
kind: ServiceResolver
metadata: {name: web, namespace: shop}
spec: {defaultSubset: stable, subsets: {stable: {onlyPassing: true}, canary: {onlyPassing: true}}}
---
apiVersion: consul.hashicorp.com/v1alpha1
kind: ServiceDefaults
metadata: {name: web, namespace: shop}
spec: {protocol: http}
";
    let text = split_by("{consul: {service: web}}", entries);
    each_is_said(
        &text,
        &[
            (
                "0, serviceSubset: canary}",
                "0, serviceSubset: canry}",
                "Rollout error spec.traffic[0].consul.service: ServiceSplitter shop/web has no split for subset `canary` of service web",
            ),
            (
                "canary: {onlyPassing: true}",
                "canry: {onlyPassing: true}",
                "Rollout error spec.traffic[0].consul.service: ServiceResolver shop/web has no subset `canary`; it has `stable`, `canry`",
            ),
            (
                "{defaultSubset: stable, ",
                "{defaultSubset: canary, ",
                "Rollout error spec.traffic[0].consul.service: ServiceResolver shop/web has the default subset `canary`; set spec.defaultSubset: stable: requests without a subset must reach the stable version",
            ),
            (
                "protocol: http}",
                "protocol: tcp}",
                "Rollout error spec.traffic[0].consul.service: Consul does not split service web: its protocol is `tcp`, not http, http2 or grpc; set the protocol in its service-defaults or in the proxy-defaults",
            ),
            (
                "defaultSubset: stable, subsets: {stable: {onlyPassing: true}, canary: {onlyPassing: true}}",
                "connectTimeout: 5s",
                "",
            ),
        ],
    );
}
