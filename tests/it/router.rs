//! Routers: golden folders, properties on random objects, and the registry.
//!
//! A golden case is a folder with `current.yaml` (objects), `intent.yaml` and `desired.yaml` (the objects afterwards,
//! or the refusal). `GLIDEPATH_BLESS=1` rewrites `desired.yaml`; read the difference before it is committed.

mod consul;
mod custom;
mod gateway;
mod users;

use std::{fs, path::Path};

use glidepath::{
    api::{
        Percent, RolloutSpec,
        reason::Reason,
        strategy::{HeaderRoute, MirrorRoute, Sticky},
        traffic::TrafficRouter,
    },
    engine::{RouteIntent, Stickiness, Target},
    router::{
        ALLOW_NAMESPACES, CrossNamespace, Objects, PlannedWrite, ROUTERS, RouteContext, RouteError, RouteScope, Router,
        read_all, routers,
    },
};
use proptest::prelude::*;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::fuzz::bodies::routes::context;

pub fn router(entry: Value) -> Box<dyn Router> {
    let entry: TrafficRouter = serde_json::from_value(entry).unwrap();
    routers(&RolloutSpec { traffic: vec![entry], ..RolloutSpec::default() }).pop().unwrap()
}

fn weight(canary: Percent) -> RouteIntent {
    RouteIntent::weight(canary)
}

/// What a golden case asks for: one of a weight, a target's revision, or the objects' return.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Asked {
    traffic: Value,
    canary: Option<Percent>,
    #[serde(default)]
    headers: Vec<HeaderRoute>,
    mirror: Option<MirrorRoute>,
    sticky: Option<AskedStickiness>,
    target: Option<AskedTarget>,
    #[serde(default)]
    hand_back: bool,
    /// Write what can be written, as an abort does.
    #[serde(default)]
    whatever_can_be: bool,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct AskedStickiness {
    cookie: Sticky,
    test: String,
    #[serde(default)]
    weights: Vec<Percent>,
}

impl AskedStickiness {
    fn stickiness(&self) -> Stickiness {
        let AskedStickiness { cookie, test, weights } = self;
        Stickiness { cookie: cookie.clone(), test: test.clone(), weights: weights.clone() }
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct AskedTarget {
    canary: bool,
    revision: String,
}

impl Asked {
    fn plan(&self, current: &Objects) -> Result<Vec<PlannedWrite>, RouteError> {
        let (router, ctx) = (router(self.traffic.clone()), context());
        if self.hand_back {
            return Ok(router.hand_back(&ctx, current));
        }
        if let Some(target) = &self.target {
            let which = if target.canary { Target::Canary } else { Target::Stable };
            return router.plan_target(&ctx, current, which, &target.revision);
        }
        let sticky = self.sticky.as_ref();
        let intent = RouteIntent {
            canary: self.canary.unwrap(),
            headers: self.headers.clone(),
            mirror: self.mirror.clone(),
            sticky: sticky.map(AskedStickiness::stickiness),
        };
        match self.whatever_can_be {
            true => Ok(router.plan_all(&ctx, current, &intent).writes),
            false => router.plan(&ctx, current, &intent),
        }
    }
}

#[test]
fn golden_cases_of_every_router() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
    for kind in ROUTERS {
        let mut cases: Vec<_> = fs::read_dir(root.join(kind.key)).unwrap().map(|entry| entry.unwrap().path()).collect();
        cases.sort();
        assert!(cases.len() >= 5, "{}: the golden folder has lost cases: {}", kind.key, cases.len());
        let wrong: Vec<String> = cases.iter().filter_map(|case| golden_difference(case)).collect();
        assert!(wrong.is_empty(), "{}: {}", kind.key, wrong.join("\n"));
    }
}

fn golden_difference(case: &Path) -> Option<String> {
    let name = case.file_name().unwrap().to_string_lossy();
    let current: Objects = documents(&case.join("current.yaml")).into_iter().collect();
    let asked: Asked = serde_yaml::from_str(&fs::read_to_string(case.join("intent.yaml")).unwrap()).unwrap();
    let actual: Vec<Value> = match asked.plan(&current) {
        Ok(writes) => {
            let after = current.after(&writes);
            assert_eq!(asked.plan(&after), Ok(vec![]), "{name}: a second plan finds nothing to do");
            after.iter().cloned().collect()
        }
        Err(refusal) => vec![json!({ "refused": refusal.reason(), "message": refusal.to_string() })],
    };
    let file = case.join("desired.yaml");
    if std::env::var_os("GLIDEPATH_BLESS").is_some() {
        let text: Vec<String> = actual.iter().map(|o| serde_yaml::to_string(o).unwrap()).collect();
        fs::write(&file, text.join("---\n")).unwrap();
    }
    let wanted = documents(&file);
    (wanted != actual).then(|| format!("{name}:\n{}", serde_yaml::to_string(&actual).unwrap()))
}

/// What is there after a plan: a second one finds nothing to do, it is read back as it was meant, and one write was enough.
fn settles(router: &dyn Router, before: &Objects, intent: &RouteIntent) -> Objects {
    let writes = router.plan(&context(), before, intent).unwrap();
    assert!(writes.len() <= 1);
    let after = before.after(&writes);
    assert_eq!(router.plan(&context(), &after, intent), Ok(vec![]));
    let seen = router.read(&context(), &after, intent).unwrap();
    let mirror = intent.mirror.as_ref().map(|mirror| mirror.percent);
    assert_eq!((seen.weight, seen.mirror, seen.drifted), (Some(intent.canary), mirror, false));
    assert_eq!(seen.sticky, intent.sticky.is_some());
    after
}

fn documents(file: &Path) -> Vec<Value> {
    let text = fs::read_to_string(file).unwrap_or_else(|e| panic!("{}: {e}", file.display()));
    serde_yaml::Deserializer::from_str(&text).map(|d| Value::deserialize(d).unwrap()).filter(|v| !v.is_null()).collect()
}

#[test]
fn every_router_explains_itself() {
    for kind in ROUTERS {
        let entry: TrafficRouter = serde_yaml::from_str(kind.example).unwrap_or_else(|e| panic!("{}: {e}", kind.key));
        let spec = RolloutSpec { traffic: vec![entry], ..RolloutSpec::default() };
        let built = routers(&spec);
        assert_eq!(built.len(), 1, "{}: the example is one router", kind.key);
        assert_eq!(built[0].key(), kind.key);
        assert!(!kind.summary.is_empty() && !kind.docs.is_empty());
        for object in built[0].objects(&context()) {
            let named = built[0].kinds();
            let mut kinds = kind.watches.iter().chain(&named);
            let watched = kinds.find(|w| w.kind == object.kind && w.plural == object.plural);
            let watched = watched.unwrap_or_else(|| panic!("{}: {} is not watched", kind.key, object.kind));
            assert_eq!(object.api_version, watched.newest());
            let allowed = |verb| {
                kind.rbac.iter().any(|r| r.resources.contains(&watched.plural.as_ref()) && r.verbs.contains(&verb))
            };
            assert!(allowed("list") && allowed("watch"), "{}", object.kind);
            if object.is_written {
                assert!(allowed("update"), "{}", object.kind);
                assert!(object.required || allowed("create") && allowed("delete"), "{}", object.kind);
            }
        }
    }
}

#[test]
fn without_traffic_entries_there_is_no_router() {
    assert!(routers(&RolloutSpec::default()).is_empty());
    assert_eq!(read_all(&[], &context(), &Objects::default(), &RouteIntent::default()), Ok(None));
}

fn virtual_service(name: &str, http: Value) -> Value {
    json!({
        "apiVersion": "networking.istio.io/v1", "kind": "VirtualService",
        "metadata": { "name": name, "namespace": "shop", "resourceVersion": "41" },
        "spec": { "hosts": ["checkout"], "http": http },
    })
}

fn two(stable: i64, canary: i64) -> Value {
    json!([
        { "destination": { "host": "checkout-stable" }, "weight": stable },
        { "destination": { "host": "checkout-canary" }, "weight": canary },
    ])
}

#[test]
fn reading_tells_weight_drift_and_disagreement() {
    let entry = json!({ "istio": { "virtualServices": [{ "name": "checkout", "routes": ["a", "b"] }] } });
    for (a, b, weight, drifted) in [
        (two(95, 5), two(95, 5), Some(500), false),
        (two(95, 5), two(19, 1), Some(500), false),
        (two(100, 0), two(1, 0), Some(0), false),
        (two(2, 1), two(2, 1), Some(3333), true),
        (two(95, 5), two(90, 10), None, true),
        (two(0, 0), two(0, 0), None, true),
    ] {
        let http = json!([{ "name": "a", "route": a }, { "name": "b", "route": b }]);
        let current: Objects = [virtual_service("checkout", http.clone())].into_iter().collect();
        let seen = router(entry.clone()).read(&context(), &current, &RouteIntent::default()).unwrap();
        assert_eq!((seen.weight.map(Percent::basis_points), seen.drifted), (weight, drifted), "{http}");
        // H2: routes that disagree can be read, from the lowest to the highest weight of the canary.
        let spread = [&a, &b].map(|to| Percent::from_basis_points(to[1]["weight"].as_u64().unwrap() as u32 * 100));
        let spread = (spread[0].min(spread[1]), spread[0].max(spread[1]));
        assert_eq!(seen.disagreement, weight.is_none().then_some(spread), "{http}");
    }
}

#[test]
fn reading_names_the_other_writer() {
    let entry = json!({ "istio": { "virtualServices": [{ "name": "checkout" }] } });
    let mut object = virtual_service("checkout", json!([{ "route": two(100, 0) }]));
    let owner = |manager: &str, field: &str, time: &str| json!({ "manager": manager, "time": time, "fieldsV1": { "f:spec": { field: {} } } });
    for (managed, wanted) in [
        (json!([owner("glidepath", "f:http", "2026-01-02T00:00:00Z")]), None),
        (json!([owner("kubectl", "f:hosts", "2026-01-02T00:00:00Z")]), None),
        (
            json!([
                owner("argocd", "f:http", "2026-01-02T00:00:00Z"),
                owner("kubectl", "f:http", "2026-01-01T00:00:00Z")
            ]),
            Some("argocd"),
        ),
    ] {
        object["metadata"]["managedFields"] = managed;
        let seen = router(entry.clone())
            .read(&context(), &[object.clone()].into_iter().collect(), &RouteIntent::default())
            .unwrap();
        assert_eq!(seen.other_manager.as_deref(), wanted);
    }
}

#[test]
fn routers_that_disagree_have_no_common_weight() {
    let entry =
        |name: &str| serde_json::from_value(json!({ "istio": { "virtualServices": [{ "name": name }] } })).unwrap();
    let both = routers(&RolloutSpec { traffic: vec![entry("in"), entry("out")], ..RolloutSpec::default() });
    for (out, weight, drifted) in [(two(90, 10), Some(1000), false), (two(80, 20), None, true)] {
        let current: Objects = [
            virtual_service("in", json!([{ "route": two(90, 10) }])),
            virtual_service("out", json!([{ "route": out }])),
        ]
        .into_iter()
        .collect();
        let seen = read_all(&both, &context(), &current, &RouteIntent::default()).unwrap().unwrap();
        assert_eq!((seen.weight.map(Percent::basis_points), seen.drifted), (weight, drifted));
        let spread = weight.is_none().then_some((Percent::whole(10), Percent::whole(20)));
        assert_eq!(seen.disagreement, spread);
    }
}

/// Inside of one mesh the routes of one of two routers take effect; at a gateway they are apart.
#[test]
fn two_routers_for_the_inside_of_one_mesh_are_refused() {
    let traffic = json!([
        { "gateway": { "routes": [{ "name": "edge" }] } },
        { "istio": { "virtualServices": [{ "name": "checkout" }] } },
        { "gateway": { "routes": [{ "name": "checkout" }] } },
    ]);
    let both = routers(&RolloutSpec { traffic: serde_json::from_value(traffic).unwrap(), ..RolloutSpec::default() });
    let refused = |gateways: Value, parent: Value| {
        let mut inside = virtual_service("checkout", json!([{ "route": two(100, 0) }]));
        inside["spec"]["gateways"] = gateways;
        let backend = |name: &str, weight: u32| json!({ "name": name, "port": 80, "weight": weight });
        let rules = json!([{ "backendRefs": [backend("checkout-stable", 1), backend("checkout-canary", 0)] }]);
        let route = json!({ "apiVersion": "gateway.networking.k8s.io/v1", "kind": "HTTPRoute", "metadata": { "name": "checkout", "namespace": "shop" },
            "spec": { "parentRefs": [parent], "rules": rules } });
        let mut edge = route.clone();
        edge["metadata"]["name"] = "edge".into();
        edge["spec"]["parentRefs"] = json!([{ "name": "edge" }]);
        let current: Objects = [inside, route, edge].into_iter().collect();
        read_all(&both, &context(), &current, &RouteIntent::default()).err().map(|error| error.reason())
    };
    let service = json!({ "group": "", "kind": "Service", "name": "checkout" });
    let gateway = json!({ "name": "edge" });
    assert_eq!(refused(json!(null), service.clone()), Some(Reason::RouteUnsupported));
    assert_eq!(refused(json!(["mesh", "edge"]), service.clone()), Some(Reason::RouteUnsupported));
    assert_eq!(refused(json!(["edge"]), service), None, "one at the edge, one inside");
    assert_eq!(refused(json!(null), gateway), None);
}

/// The gateway's VirtualService, with this annotation, as a Rollout of namespace shop finds it.
fn gateway(allowed: Option<&str>, routes: Value) -> Objects {
    let mut object = virtual_service("ingress", routes);
    object["metadata"]["namespace"] = "gateway".into();
    if let Some(allowed) = allowed {
        object["metadata"]["annotations"][ALLOW_NAMESPACES] = allowed.into();
    }
    [object].into_iter().collect()
}

fn full(stable: i64, canary: i64) -> Value {
    json!([
        { "destination": { "host": "checkout-stable.shop.svc.cluster.local" }, "weight": stable },
        { "destination": { "host": "checkout-canary.shop.svc.cluster.local" }, "weight": canary },
    ])
}

/// H7: the controller may write every namespace's routes, a user of one namespace may not.
#[test]
fn s7_a_route_of_another_namespace_is_written_only_with_its_owners_consent() {
    let entry = json!({ "istio": { "virtualServices": [{ "name": "ingress", "namespace": "gateway" }] } });
    let istio = router(entry);
    let routes = json!([{ "route": full(100, 0) }]);
    for (allowed, scope, refused) in [
        (None, CrossNamespace::Consent, Some(Reason::RouteNotAllowed)),
        (Some("bank"), CrossNamespace::Consent, Some(Reason::RouteNotAllowed)),
        (Some("bank,shop"), CrossNamespace::Consent, None),
        (Some("shop"), CrossNamespace::Deny, Some(Reason::CrossNamespaceDenied)),
    ] {
        let ctx = RouteContext { scope: RouteScope { cross_namespace: scope, ..RouteScope::default() }, ..context() };
        let current = gateway(allowed, routes.clone());
        let planned = istio.plan(&ctx, &current, &weight(Percent::whole(5)));
        assert_eq!(planned.as_ref().err().map(RouteError::reason), refused, "{allowed:?} {scope:?}");
        assert_eq!(planned.map_or(0, |writes| writes.len()), usize::from(refused.is_none()));
        assert_eq!(istio.read(&ctx, &current, &RouteIntent::default()).is_err(), refused.is_some());
        let back = istio.hand_back(&ctx, &gateway(allowed, json!([{ "route": full(95, 5) }])));
        assert_eq!(back.len(), usize::from(refused.is_none()), "nor on the way back");
        let missing = istio.plan(&ctx, &Objects::default(), &weight(Percent::ZERO)).unwrap_err();
        if let Some(refused) = &refused {
            let unseen = istio.plan(&ctx, &current, &weight(Percent::ZERO)).unwrap_err();
            assert_eq!(
                (&unseen.reason(), unseen.to_string()),
                (refused, missing.to_string()),
                "as if it were not there"
            );
        }
    }
}

/// A redirect has no `route`. One that is `null` would be dropped by the API server, and be drift at every look.
#[test]
fn entries_without_destinations_stay_as_they_are() {
    let istio = router(json!({ "istio": { "virtualServices": [{ "name": "checkout", "routes": ["primary"] }] } }));
    let http = json!([{ "redirect": { "uri": "/new" } }, { "name": "primary", "route": two(95, 5) }]);
    let current: Objects = [virtual_service("checkout", http)].into_iter().collect();
    assert_eq!(istio.plan(&context(), &current, &weight(Percent::whole(5))), Ok(vec![]));
    assert!(!istio.read(&context(), &current, &RouteIntent::default()).unwrap().drifted);
}

/// What the schema of Istio refuses, another installation's may take: it is refused, not a panic.
#[test]
fn an_object_of_another_shape_is_refused() {
    let istio = router(json!({ "istio": { "virtualServices": [{ "name": "checkout" }] } }));
    let sticky = Stickiness {
        cookie: Sticky { cookie: "v".to_owned(), ttl: None },
        test: "t".to_owned(),
        ..Stickiness::default()
    };
    let intent = RouteIntent { sticky: Some(sticky), ..weight(Percent::whole(50)) };
    let mut odd = two(50, 50);
    odd[1]["headers"] = json!("none");
    for (spec, reason) in [
        (json!("none"), Reason::RouteNotFound),
        (json!({ "http": "none" }), Reason::RouteNotFound),
        (json!({ "http": ["none"] }), Reason::StableDestinationMissing),
        (json!({ "http": [{ "route": odd }] }), Reason::CookieTaken),
        (json!({ "http": [{ "match": [{ "headers": 5 }], "route": two(50, 50) }] }), Reason::HeaderTaken),
    ] {
        let mut object = virtual_service("checkout", json!([]));
        object["spec"] = spec;
        let current: Objects = [object.clone()].into_iter().collect();
        let refused = istio.plan(&context(), &current, &intent).unwrap_err();
        assert_eq!(refused.reason(), reason, "{object}");
    }
}

/// H7: what is read in another namespace's object does not reach the status of whoever names it.
#[test]
fn h7_messages_about_another_namespaces_route_repeat_nothing_of_it() {
    let named = |routes: Value| {
        router(
            json!({ "istio": { "virtualServices": [{ "name": "ingress", "namespace": "gateway", "routes": routes }] } }),
        )
    };
    let secret = |extra: Value| {
        let mut secret = json!({ "name": "project-x", "match": [{ "uri": { "prefix": "/merger" } }],
            "route": [{ "destination": { "host": "dataroom.secret.svc.cluster.local", "port": { "number": 4711 } }, "weight": 7 }] });
        secret.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
        secret
    };
    let two = json!([secret(json!({})), secret(json!({"name": "merger"}))]);
    for (istio, http) in [
        (named(json!(["primary"])), two.clone()),
        (named(json!([])), two),
        (named(json!([])), json!([secret(json!({}))])),
        (named(json!([])), json!([secret(json!({"delegate": {"name": "merger", "namespace": "secret"}}))])),
        (
            named(json!([])),
            json!([secret(json!({"route": [
                { "destination": { "host": "checkout-stable.shop.svc.cluster.local", "port": { "number": 4711 } }, "weight": 7 },
            ]}))]),
        ),
    ] {
        let current = gateway(Some("shop"), http.clone());
        let message = istio.plan(&context(), &current, &weight(Percent::whole(5))).unwrap_err().to_string();
        for word in ["project-x", "merger", "dataroom", "4711", "secret"] {
            assert!(!message.contains(word), "{message}\n{http}");
        }
        assert!(message.contains("gateway/ingress"), "{message}");
    }
}

/// H7: an entry of ours before a shared route would take everyone's requests, and a mirror would copy them.
#[test]
fn h7_a_route_shared_with_others_takes_weights_alone() {
    let istio = router(json!({ "istio": { "virtualServices": [{ "name": "checkout" }] } }));
    let mut shared = two(10, 0);
    shared
        .as_array_mut()
        .unwrap()
        .push(json!({ "destination": { "host": "payments.bank.svc.cluster.local" }, "weight": 90 }));
    let current: Objects = [virtual_service("checkout", json!([{ "route": shared }]))].into_iter().collect();
    let header: HeaderRoute =
        serde_json::from_value(json!({"name": "all", "match": [{"header": {"name": "x", "regex": ".*"}}]})).unwrap();
    let sticky = Stickiness {
        cookie: Sticky { cookie: "v".to_owned(), ttl: None },
        test: "t".to_owned(),
        ..Stickiness::default()
    };
    for intent in [
        RouteIntent { headers: vec![header], ..weight(Percent::ZERO) },
        RouteIntent {
            mirror: Some(MirrorRoute { percent: Percent::FULL, ..MirrorRoute::default() }),
            ..weight(Percent::ZERO)
        },
        RouteIntent { sticky: Some(sticky), ..weight(Percent::ZERO) },
    ] {
        let refused = istio.plan(&context(), &current, &intent).unwrap_err();
        assert_eq!(refused.reason(), Reason::SharedRoute, "{refused}");
    }
    assert_eq!(istio.plan(&context(), &current, &weight(Percent::whole(50))).unwrap().len(), 1);
}

#[test]
fn subsets_tell_and_take_their_revision() {
    let split = router(json!({ "istio": {
        "virtualServices": [{ "name": "checkout" }],
        "destinationRule": { "name": "checkout", "stableSubset": "stable", "canarySubset": "canary" },
    } }));
    let rule = json!({
        "apiVersion": "networking.istio.io/v1", "kind": "DestinationRule",
        "metadata": { "name": "checkout", "namespace": "shop" },
        "spec": { "host": "checkout", "subsets": [{ "name": "stable" }, { "name": "canary", "labels": { "app": "x" } }] },
    });
    let ctx = context();
    assert!(split.splits_by_subset());
    assert_eq!(split.target(&ctx, &Objects::default(), Target::Stable), None);
    let mut objects: Objects = [rule].into_iter().collect();
    for (target, revision) in [(Target::Stable, "aaa"), (Target::Canary, "bbb")] {
        assert_eq!(split.target(&ctx, &objects, target).unwrap().revision, None);
        objects = objects.after(&split.plan_target(&ctx, &objects, target, revision).unwrap());
        assert_eq!(split.target(&ctx, &objects, target).unwrap().revision.as_deref(), Some(revision));
        assert_eq!(split.plan_target(&ctx, &objects, target, revision), Ok(vec![]));
    }
    let by_host = router(json!({ "istio": { "virtualServices": [{ "name": "checkout" }] } }));
    assert!(!by_host.splits_by_subset());
    assert_eq!(by_host.target(&ctx, &objects, Target::Stable), None);
}

/// A JSON value as a foreign field might hold.
fn foreign_value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        any::<bool>().prop_map(Value::from),
        any::<i32>().prop_map(Value::from),
        "[a-z]{0,6}".prop_map(Value::from)
    ];
    leaf.prop_recursive(2, 8, 3, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..3).prop_map(Value::from),
            prop::collection::vec(("x-[a-z]{1,4}", inner), 0..3)
                .prop_map(|fields| Value::Object(fields.into_iter().collect())),
        ]
    })
}

/// Fields that no router knows.
pub fn foreign_fields() -> impl Strategy<Value = Vec<(String, Value)>> {
    prop::collection::vec(("x-[a-z]{1,6}", foreign_value()), 0..3)
}

pub fn with_fields(mut object: Value, fields: Vec<(String, Value)>) -> Value {
    object.as_object_mut().unwrap().extend(fields);
    object
}

/// A route that has both of our destinations among up to so many foreign ones; the whole is 100 or 10,000 before.
fn our_route(name: &'static str, others: usize) -> impl Strategy<Value = Value> {
    let cut = (0u64..=80, 0u64..=100, prop::bool::ANY);
    (cut, prop::collection::vec(foreign_fields(), 2..=2 + others), foreign_fields(), any::<prop::sample::Index>())
        .prop_map(move |((foreign, canary, fine), fields, route_fields, at)| {
            let scale = if fine { 100 } else { 1 };
            let others = fields.len() as u64 - 2;
            let foreign = foreign.checked_div(others).unwrap_or(0) * others;
            let ours = (100 - foreign) * scale;
            let canary = ours * canary / 100;
            let mut entries: Vec<Value> = vec![
                json!({ "destination": { "host": "checkout-stable" }, "weight": ours - canary }),
                json!({ "destination": { "host": "checkout-canary.shop.svc.cluster.local" }, "weight": canary }),
            ];
            entries.extend((0..others).map(|i| json!({
                "destination": { "host": format!("legacy-{i}"), "subset": "v1" }, "weight": foreign * scale / others,
            })));
            let mut entries: Vec<Value> = entries.into_iter().zip(fields).map(|(e, f)| with_fields(e, f)).collect();
            let middle = at.index(entries.len());
            entries.rotate_left(middle);
            with_fields(json!({ "name": name, "route": entries }), route_fields)
        })
}

fn foreign_route() -> impl Strategy<Value = Value> {
    (foreign_fields(), 0u64..=100).prop_map(|(fields, canary)| {
        let route = json!([
            { "destination": { "host": "checkout-stable" }, "weight": 100 - canary },
            { "destination": { "host": "checkout-canary" }, "weight": canary },
        ]);
        with_fields(json!({ "name": "theirs", "route": route, "mirror": { "host": "shadow" } }), fields)
    })
}

/// With up to so many foreign destinations in a route of ours.
fn any_virtual_service(others: usize) -> impl Strategy<Value = Value> {
    (
        our_route("a", others),
        our_route("b", others),
        prop::collection::vec(foreign_route(), 0..3),
        foreign_fields(),
        foreign_fields(),
    )
        .prop_map(|(a, b, theirs, spec, top)| {
            let mut http = theirs;
            http.insert(http.len() / 2, a);
            http.push(b);
            let mut object = with_fields(virtual_service("checkout", Value::from(http)), top);
            object["spec"].as_object_mut().unwrap().extend(spec);
            object
        })
}

/// The object without what we may write: the weights of the stable and canary destinations of `a` and `b`, and the
/// spelling of the other weights there (their shares are compared apart).
fn without_weights(object: &Value) -> Value {
    let mut bare = object.clone();
    for route in bare["spec"]["http"].as_array_mut().unwrap().iter_mut().filter(|r| r["name"] != "theirs") {
        for entry in route["route"].as_array_mut().unwrap() {
            entry.as_object_mut().unwrap().shift_remove("weight");
        }
    }
    bare
}

fn our_routes(object: &Value) -> Vec<Vec<(String, u64)>> {
    let routes = object["spec"]["http"].as_array().unwrap().iter().filter(|r| r["name"] != "theirs");
    let entry = |e: &Value| (e["destination"]["host"].as_str().unwrap().to_owned(), e["weight"].as_u64().unwrap());
    routes.map(|r| r["route"].as_array().unwrap().iter().map(entry).collect()).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn plans_are_exact_idempotent_and_touch_only_our_weights(object in any_virtual_service(3), points in prop_oneof![0u32..=10_000, (0u32..=100).prop_map(|p| p * 100)]) {
        let canary = Percent::from_basis_points(points);
        let istio = router(json!({ "istio": { "virtualServices": [{ "name": "checkout", "routes": ["b", "a"] }] } }));
        let before: Objects = [object.clone()].into_iter().collect();
        let after = settles(istio.as_ref(), &before, &weight(canary));
        let next = after.get("VirtualService", "shop", "checkout").unwrap();
        // Byte for byte, the order of fields included.
        prop_assert_eq!(without_weights(&object).to_string(), without_weights(next).to_string());

        for (old, new) in our_routes(&object).iter().zip(our_routes(next)) {
            let sum = |weights: &[(String, u64)]| weights.iter().map(|(_, w)| w).sum::<u64>();
            let (was, is) = (sum(old), sum(&new));
            let has_foreign = old.iter().any(|(host, w)| host.starts_with("legacy") && *w > 0);
            prop_assert!(is == 100 || is == 10_000 || has_foreign, "{new:?}");
            for ((host, old), (_, new)) in old.iter().zip(&new).filter(|((host, _), _)| host.starts_with("legacy")) {
                prop_assert_eq!(old * is, new * was, "{} keeps its share", host);
            }
        }
    }

    #[test]
    fn s70_users_who_stay_leave_no_trace(object in any_virtual_service(0), canary in 1u32..100) {
        let canary = Percent::whole(canary);
        let istio = router(json!({ "istio": { "virtualServices": [{ "name": "checkout", "routes": ["b", "a"] }] } }));
        let before: Objects = [object].into_iter().collect();
        let cookie = Sticky { cookie: "variant".to_owned(), ttl: None };
        let sticky = Some(Stickiness { cookie, test: "k3v9-1".to_owned(), ..Stickiness::default() });
        let intent = RouteIntent { sticky, ..weight(canary) };
        let during = settles(istio.as_ref(), &before, &intent);
        // Another test's cookies are drift, and so are cookies without a test.
        prop_assert!(istio.read(&context(), &during, &RouteIntent::default()).unwrap().drifted);
        let plain = settles(istio.as_ref(), &before, &weight(canary));
        let after = settles(istio.as_ref(), &during, &weight(canary));
        prop_assert_eq!(after.get("VirtualService", "shop", "checkout"), plain.get("VirtualService", "shop", "checkout"));
        prop_assert!(!istio.read(&context(), &after, &intent).unwrap().sticky);
    }

    #[test]
    fn handing_back_leaves_nothing_of_ours(object in any_virtual_service(3)) {
        let istio = router(json!({ "istio": { "virtualServices": [{ "name": "checkout", "routes": ["a", "b"] }] } }));
        let policy = json!({
            "apiVersion": "networking.istio.io/v1", "kind": "DestinationRule",
            "metadata": { "name": "checkout", "namespace": "shop" },
            "spec": { "host": "checkout-stable", "trafficPolicy": { "tls": { "mode": "ISTIO_MUTUAL" } } },
        });
        let before: Objects = [object, policy.clone()].into_iter().collect();
        let during = before.after(&istio.plan(&context(), &before, &weight(Percent::whole(30))).unwrap());
        prop_assert_eq!(during.of_kind(("networking.istio.io", "DestinationRule"), "shop").count(), 2);
        let after = during.after(&istio.hand_back(&context(), &during));
        prop_assert_eq!(after.of_kind(("networking.istio.io", "DestinationRule"), "shop").collect::<Vec<_>>(), vec![&policy]);
        prop_assert_eq!(istio.read(&context(), &after, &RouteIntent::default()).unwrap().weight, Some(Percent::ZERO));
        prop_assert_eq!(istio.hand_back(&context(), &after), vec![]);
    }
}
