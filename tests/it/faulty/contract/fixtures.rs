//! One fixture for each router, and for each preset of `custom`: an entry of `spec.traffic`, the objects as their owner wrote
//! them, where the weights are, and something that the router cannot do.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::{
    super::store::{Key, Store},
    place::Place,
};

/// A router in use.
pub struct Fixture {
    pub title: &'static str,
    /// The entry of `spec.traffic`.
    pub entry: Value,
    /// More in the spec of the Rollout.
    pub more: Value,
    /// The objects, by plural. Foreign fields are in them, and entries that are not ours.
    pub objects: Vec<(&'static str, Value)>,
    pub place: Place,
    /// Kinds of which objects of ours are made meanwhile, beside those of `objects`.
    pub ours: &'static [&'static str],
    /// What another tool sets in the object with the weights.
    pub edit: Value,
    /// A step before the weights, of a router that can do more.
    pub first_step: Option<Value>,
    /// The mesh's own controller: it says of the objects that it has them.
    pub takes_over: Option<fn(&mut Store, Timestamp)>,
    pub cannot: Cannot,
}

/// What a router cannot do, and what is in the status then.
pub struct Cannot {
    pub entry: Value,
    pub strategy: Value,
    pub because: &'static str,
}

impl Fixture {
    /// The key of its router.
    pub fn router(&self) -> &str {
        self.entry.as_object().and_then(|entry| entry.keys().next()).map(String::as_str).unwrap_or_default()
    }
}

/// All of them.
pub fn fixtures() -> Vec<Fixture> {
    vec![
        istio(),
        gateway(),
        traefik(),
        smi(),
        nginx(),
        consul(),
        apisix(),
        contour(),
        gloo(),
        gloo_group(),
        kuma(),
        kuma_labels(),
    ]
}

fn header_route() -> Value {
    json!({"setHeaderRoute": {"name": "testers", "match": [{"header": {"name": "x-tester", "exact": "yes"}}]}})
}

fn header_first() -> Value {
    json!({"canary": {"steps": [header_route(), {"setWeight": 20}]}})
}

fn mirror() -> Value {
    json!({"canary": {"steps": [{"setMirrorRoute": {"percent": 100}}, {"setWeight": 20}]}})
}

/// Where the entries of most lists are.
const SERVICES: [&str; 2] = ["web-stable", "web-canary"];

/// A router without more than weights.
fn plain(title: &'static str, entry: Value, place: Place, object: Value) -> Fixture {
    let Place::Lists { plural, .. } = &place else { panic!("{title} has no lists") };
    let cannot = Cannot { entry: entry.clone(), strategy: header_first(), because: "cannot route by header" };
    Fixture {
        title,
        entry,
        more: json!({}),
        objects: vec![(plural, named(object))],
        place,
        ours: &[],
        edit: json!({"metadata": {"annotations": {"example.com/edited": "yes"}}, "spec": {"x-edited": {"a": [1, {"b": ""}]}}}),
        first_step: None,
        takes_over: None,
        cannot,
    }
}

/// An object called `web`, with metadata of its owner's.
fn named(spec: Value) -> Value {
    json!({"metadata": {"name": "web", "labels": {"team": "shop"}, "annotations": {"example.com/owner": "shop"}}, "spec": spec})
}

fn istio() -> Fixture {
    let to = |host: &str, weight: u32| json!({"destination": {"host": host}, "weight": weight, "x-foreign": true});
    let spec = json!({"hosts": ["web"], "x-foreign": {"z": 1, "a": 2}, "http": [
        {"name": "legacy", "match": [{"uri": {"prefix": "/old"}}], "route": [{"destination": {"host": "legacy"}}]},
        {"name": "primary", "timeout": "3s", "route": [to("web-stable", 100), to("web-canary", 0)]},
    ]});
    let place = Place::Lists {
        plural: "virtualservices",
        path: "spec.http[*].route",
        name: "/destination/host",
        names: SERVICES,
    };
    let routes = |more: Value| json!({"istio": {"virtualServices": [more]}});
    Fixture {
        ours: &["destinationrules"],
        first_step: Some(header_route()),
        cannot: Cannot {
            entry: routes(json!({"name": "web", "tcpRoutes": [{"port": 80}]})),
            strategy: header_first(),
            because: "splits connections",
        },
        ..plain("istio", routes(json!({"name": "web", "routes": ["primary"]})), place, spec)
    }
}

fn gateway() -> Fixture {
    let to = |name: &str, weight: u32| json!({"name": name, "port": 80, "weight": weight, "x-foreign": true});
    let spec = json!({"parentRefs": [{"name": "edge"}], "x-foreign": {"z": 1, "a": 2}, "rules": [
        {"matches": [{"path": {"type": "PathPrefix", "value": "/old"}}], "backendRefs": [{"name": "legacy", "port": 80}]},
        {"matches": [{"path": {"type": "PathPrefix", "value": "/"}}], "timeouts": {"request": "3s"},
            "backendRefs": [to("web-stable", 1), to("web-canary", 0)]},
    ]});
    let place =
        Place::Lists { plural: "httproutes", path: "spec.rules[*].backendRefs", name: "/name", names: SERVICES };
    Fixture {
        first_step: Some(header_route()),
        cannot: Cannot {
            entry: json!({"gateway": {"routes": [{"kind": "TCPRoute", "name": "web"}]}}),
            strategy: header_first(),
            because: "cannot have a header route",
        },
        ..plain("gateway", json!({"gateway": {"routes": [{"name": "web"}]}}), place, spec)
    }
}

fn traefik() -> Fixture {
    let to = |name: &str, weight: u32| json!({"name": name, "port": 80, "weight": weight, "passHostHeader": true});
    let services = json!([to("legacy", 20), to("web-stable", 80), to("web-canary", 0)]);
    let spec = json!({"weighted": {"sticky": {"cookie": {"name": "lb"}}, "services": services}, "x-foreign": {"z": 1, "a": 2}});
    let place =
        Place::Lists { plural: "traefikservices", path: "spec.weighted.services", name: "/name", names: SERVICES };
    plain("traefik", json!({"traefik": {"services": [{"name": "web"}]}}), place, spec)
}

fn smi() -> Fixture {
    let to = |name: &str, weight: u32| json!({"service": name, "weight": weight, "x-foreign": true});
    let backends = json!([to("legacy", 20), to("web-stable", 80), to("web-canary", 0)]);
    let spec = json!({"service": "web", "matches": [{"kind": "HTTPRouteGroup", "name": "all"}], "backends": backends});
    let place = Place::Lists { plural: "trafficsplits", path: "spec.backends", name: "/service", names: SERVICES };
    plain("smi", json!({"smi": {"trafficSplits": [{"name": "web"}]}}), place, spec)
}

fn nginx() -> Fixture {
    let backend = |name: &str| json!({"service": {"name": name, "port": {"number": 80}}});
    let spec = json!({"ingressClassName": "nginx", "rules": [{"host": "web.example.com", "http": {"paths": [
        {"path": "/old", "pathType": "Prefix", "backend": backend("legacy")},
        {"path": "/", "pathType": "Prefix", "backend": backend("web-stable")},
    ]}}]});
    let entry = json!({"nginx": {"ingress": "web"}});
    Fixture {
        title: "nginx",
        cannot: Cannot { entry: entry.clone(), strategy: mirror(), because: "cannot mirror requests" },
        entry,
        more: json!({}),
        objects: vec![("ingresses", named(spec))],
        place: Place::CanaryIngress,
        ours: &[],
        edit: json!({"metadata": {"annotations": {"example.com/edited": "yes"}, "labels": {"example.com/edited": "yes"}}}),
        first_step: Some(header_route()),
        takes_over: None,
    }
}

fn consul() -> Fixture {
    let splits = json!([
        {"weight": 100, "serviceSubset": "stable", "x-foreign": true},
        {"weight": 0, "serviceSubset": "canary", "responseHeaders": {"add": {"x-arm": "canary"}}},
    ]);
    let subsets = json!({"stable": {"onlyPassing": true}, "canary": {"onlyPassing": true, "filter": "Service.Meta.env == \"prod\""},
        "other": {"filter": "Service.Meta.env == \"test\""}});
    let resolver = json!({"connectTimeout": "5s", "defaultSubset": "stable", "subsets": subsets});
    let place = Place::Lists {
        plural: "servicesplitters",
        path: "spec.splits",
        name: "/serviceSubset",
        names: ["stable", "canary"],
    };
    let entry = json!({"consul": {"service": "web"}});
    let basic = plain("consul", entry.clone(), place, json!({"splits": splits}));
    let mut objects = basic.objects;
    objects.push(("serviceresolvers", named(resolver)));
    objects.push(("servicedefaults", named(json!({"protocol": "http"}))));
    Fixture {
        more: json!({"services": null}),
        objects,
        ours: &["servicerouters"],
        first_step: Some(header_route()),
        takes_over: Some(synced),
        cannot: Cannot { entry, strategy: mirror(), because: "cannot mirror requests" },
        edit: basic.edit,
        place: basic.place,
        ..basic
    }
}

/// What consul-k8s says of each object once Consul has it.
fn synced(store: &mut Store, now: Timestamp) {
    for plural in ["servicesplitters", "serviceresolvers", "servicerouters", "servicedefaults"] {
        say(store, now, plural, |_| json!({"conditions": [{"type": "Synced", "status": "True"}]}));
    }
}

fn custom(title: &'static str, plural: &'static str, path: &'static str, name: &'static str, spec: Value) -> Fixture {
    let place = Place::Lists { plural, path, name, names: SERVICES };
    plain(title, json!({"custom": {"preset": title, "name": "web"}}), place, spec)
}

fn apisix() -> Fixture {
    let to =
        |name: &str, weight: u32| json!({"serviceName": name, "servicePort": 80, "weight": weight, "x-foreign": true});
    let spec = json!({"ingressClassName": "apisix", "http": [
        {"name": "old", "match": {"paths": ["/old/*"]}, "backends": [{"serviceName": "legacy", "servicePort": 80}]},
        {"name": "all", "match": {"paths": ["/*"]}, "plugins": [{"name": "limit-count", "enable": true}],
            "backends": [to("legacy", 20), to("web-stable", 80), to("web-canary", 0)]},
    ]});
    custom("apisix", "apisixroutes", "spec.http[*].backends", "/serviceName", spec)
}

fn contour() -> Fixture {
    let to = |name: &str, weight: u32| json!({"name": name, "port": 80, "weight": weight, "x-foreign": true});
    let spec = json!({"virtualhost": {"fqdn": "web.example.com"}, "routes": [
        {"conditions": [{"prefix": "/old"}], "services": [{"name": "legacy", "port": 80}]},
        {"conditions": [{"prefix": "/"}], "timeoutPolicy": {"response": "3s"},
            "services": [to("legacy", 20), to("web-stable", 80), to("web-canary", 0)]},
    ]});
    let basic = custom("contour", "httpproxies", "spec.routes[*].services", "/name", spec);
    Fixture { takes_over: Some(valid), ..with_header_routes(basic) }
}

/// What Contour says of each HTTPProxy that it has taken over.
fn valid(store: &mut Store, now: Timestamp) {
    say(store, now, "httpproxies", |object| {
        let generation = object["metadata"]["generation"].clone();
        json!({"conditions": [{"type": "Valid", "status": "True", "observedGeneration": generation}]})
    });
}

fn gloo() -> Fixture {
    let spec = json!({"routes": [
        {"matchers": [{"prefix": "/old"}], "routeAction": {"single": {"kube": {"ref": {"name": "legacy"}, "port": 80}}}},
        {"matchers": [{"prefix": "/"}], "options": {"timeout": "3s"}, "routeAction": {"multi": {"destinations": destinations()}}},
    ]});
    let path = "spec.routes[*].routeAction.multi.destinations";
    with_header_routes(custom("gloo", "routetables", path, "/destination/kube/ref/name", spec))
}

fn gloo_group() -> Fixture {
    let spec = json!({"destinations": destinations(), "x-foreign": {"z": 1, "a": 2}});
    custom("gloo-upstream-group", "upstreamgroups", "spec.destinations", "/destination/kube/ref/name", spec)
}

fn destinations() -> Value {
    let to = |name: &str, weight: u32| json!({"destination": {"kube": {"ref": {"name": name, "namespace": "shop"}, "port": 80}}, "weight": weight, "x-foreign": 1});
    json!([to("legacy", 20), to("web-stable", 80), to("web-canary", 0)])
}

fn kuma() -> Fixture {
    kuma_by("kuma", "/name", |name| json!({"name": name, "namespace": "shop"}))
}

fn kuma_labels() -> Fixture {
    let labels = |name: &str| json!({"labels": {"kuma.io/display-name": name, "k8s.kuma.io/namespace": "shop"}});
    kuma_by("kuma-labels", "/labels/kuma.io~1display-name", labels)
}

fn kuma_by(preset: &'static str, name: &'static str, selects: impl Fn(&str) -> Value) -> Fixture {
    let to = |name: &str, weight: u32| {
        let mut backend = selects(name);
        json_patch::merge(&mut backend, &json!({"kind": "MeshService", "port": 80, "weight": weight}));
        backend
    };
    let spec = json!({"targetRef": {"kind": "Mesh"}, "to": [{"targetRef": {"kind": "MeshService"}, "rules": [
        {"matches": [{"path": {"type": "PathPrefix", "value": "/old"}}], "default": {"backendRefs": [to("legacy", 1)]}},
        {"matches": [{"path": {"type": "PathPrefix", "value": "/"}}],
            "default": {"backendRefs": [to("legacy", 20), to("web-stable", 80), to("web-canary", 0)]}},
    ]}]});
    with_header_routes(custom(preset, "meshhttproutes", "spec.to[*].rules[*].default.backendRefs", name, spec))
}

/// A preset that can route by header.
fn with_header_routes(preset: Fixture) -> Fixture {
    let cannot = Cannot { strategy: mirror(), because: "cannot mirror requests", ..preset.cannot };
    Fixture { cannot, ..preset }
}

/// Writes the status of all objects of a kind.
fn say(store: &mut Store, now: Timestamp, plural: &str, status: impl Fn(&Value) -> Value) {
    let keys: Vec<Key> = store.all(plural).map(|(key, _)| key.clone()).collect();
    for key in keys {
        store.edit(&key, now, |object| object["status"] = status(object));
    }
}
