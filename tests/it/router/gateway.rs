//! Routes of the Gateway API: properties on random objects, what an API server changes, and what an implementation says.

use glidepath::{
    api::{
        Percent,
        reason::Reason,
        strategy::{HeaderRoute, MirrorRoute, Sticky},
    },
    engine::{RouteIntent, Stickiness},
    router::{ALLOW_NAMESPACES, CrossNamespace, Objects, RouteContext, RouteError, RouteScope, Router},
};
use proptest::prelude::*;
use serde_json::{Value, json};

use super::{foreign_fields, router, settles, weight, with_fields};
use crate::fuzz::bodies::routes::context;

fn route(namespace: &str, rules: Value) -> Value {
    json!({
        "apiVersion": "gateway.networking.k8s.io/v1", "kind": "HTTPRoute",
        "metadata": { "name": "checkout", "namespace": namespace, "resourceVersion": "41", "generation": 7 },
        "spec": { "parentRefs": [{ "name": "edge" }], "rules": rules },
    })
}

fn two(stable: u64, canary: u64) -> Value {
    json!([{ "name": "checkout-stable", "port": 80, "weight": stable },
           { "name": "checkout-canary", "port": 80, "weight": canary }])
}

fn whole() -> Box<dyn Router> {
    router(json!({ "gateway": { "routes": [{ "name": "checkout" }] } }))
}

fn objects(object: &Value) -> Objects {
    [object.clone()].into_iter().collect()
}

fn found(objects: &Objects) -> &Value {
    objects.get("HTTPRoute", "shop", "checkout").unwrap()
}

fn testers() -> HeaderRoute {
    serde_json::from_value(
        json!({ "name": "testers", "match": [{ "header": { "name": "x-tester", "exact": "yes" } }] }),
    )
    .unwrap()
}

fn everything(canary: Percent) -> RouteIntent {
    RouteIntent {
        headers: vec![testers()],
        mirror: Some(MirrorRoute { percent: Percent::whole(10), ..MirrorRoute::default() }),
        sticky: Some(Stickiness {
            cookie: Sticky { cookie: "variant".to_owned(), ttl: None },
            test: "k3v9-1".to_owned(),
            ..Stickiness::default()
        }),
        ..weight(canary)
    }
}

#[test]
fn reading_gives_weight_drift_and_disagreement() {
    for (a, b, weight, drifted) in [
        (two(19, 1), two(95, 5), Some(500), false),
        (two(1, 0), two(100, 0), Some(0), false),
        (two(2, 1), two(2, 1), Some(3333), true),
        (two(199, 1), two(199, 1), Some(50), false),
        (two(95, 5), two(90, 10), None, true),
        (two(0, 0), two(0, 0), None, true),
    ] {
        let rules = json!([{ "backendRefs": a }, { "backendRefs": b }]);
        let seen = whole().read(&context(), &objects(&route("shop", rules.clone())), &RouteIntent::default()).unwrap();
        assert_eq!((seen.weight.map(Percent::basis_points), seen.drifted), (weight, drifted), "{rules}");
        assert_eq!(seen.disagreement.is_some(), weight.is_none(), "{rules}");
    }
}

#[test]
fn reading_names_the_other_writer_of_the_rules() {
    let mut object = route("shop", json!([{ "backendRefs": two(1, 0) }]));
    let owner = |manager: &str, field: &str| json!({ "manager": manager, "time": "2026-01-01T00:00:00Z", "fieldsV1": { "f:spec": { field: {} } } });
    for (managed, wanted) in [
        (json!([owner("glidepath", "f:rules"), owner("kubectl", "f:hostnames")]), None),
        (json!([owner("argocd", "f:rules")]), Some("argocd")),
    ] {
        object["metadata"]["managedFields"] = managed;
        let seen = whole().read(&context(), &objects(&object), &RouteIntent::default()).unwrap();
        assert_eq!(seen.other_manager.as_deref(), wanted);
    }
}

/// What the schema refuses, another installation's may take: it is refused, not a panic.
#[test]
fn an_object_of_another_shape_is_refused() {
    let sticky = RouteIntent { headers: Vec::new(), mirror: None, ..everything(Percent::whole(50)) };
    let mut odd = two(50, 50);
    odd[1]["filters"] = json!("none");
    for (spec, reason) in [
        (json!("none"), Reason::RouteNotFound),
        (json!({ "rules": "none" }), Reason::RouteNotFound),
        (json!({ "rules": ["none"] }), Reason::RouteNotFound),
        (json!({ "rules": [{ "backendRefs": odd }] }), Reason::CookieTaken),
        (json!({ "rules": [{ "matches": [{ "headers": 5 }], "backendRefs": two(50, 50) }] }), Reason::HeaderTaken),
        (
            json!({ "rules": [{ "backendRefs": [{ "name": "checkout-stable", "weight": "much" }, two(1, 0)[1]] }] }),
            Reason::InvalidWeight,
        ),
    ] {
        let mut object = route("shop", json!([]));
        object["spec"] = spec;
        let refused = whole().plan(&context(), &objects(&object), &sticky).unwrap_err();
        assert_eq!(refused.reason(), reason, "{object}");
    }
}

/// An older schema has no share of a mirror and drops the field: all requests would be mirrored.
#[test]
fn a_share_that_the_api_server_drops_is_refused_once_and_the_mirror_goes() {
    let (gateway, ctx) = (whole(), context());
    let mirrored = RouteIntent { mirror: everything(Percent::ZERO).mirror, ..weight(Percent::ZERO) };
    let before = objects(&route("shop", json!([{ "backendRefs": two(1, 0) }])));
    let mut kept = found(&before.after(&gateway.plan(&ctx, &before, &mirrored).unwrap())).clone();
    let filter = kept.pointer_mut("/spec/rules/0/filters/0/requestMirror").unwrap().as_object_mut().unwrap();
    assert_eq!(filter.shift_remove("percent"), Some(json!(10)));
    let dropped = objects(&kept);
    assert_eq!(gateway.read(&ctx, &dropped, &mirrored).unwrap().mirror, Some(Percent::FULL), "as it is");

    let plan = gateway.plan_all(&ctx, &dropped, &mirrored);
    assert_eq!(plan.refused.iter().map(RouteError::reason).collect::<Vec<_>>(), [Reason::MirrorShareDropped]);
    let without = dropped.after(&plan.writes);
    let seen = gateway.read(&ctx, &without, &mirrored).unwrap();
    assert_eq!((seen.mirror, seen.drifted), (None, false));
    let again = gateway.plan_all(&ctx, &without, &mirrored);
    assert_eq!((again.writes, again.refused.len()), (vec![], 1), "it is not tried at every look");

    let all =
        RouteIntent { mirror: Some(MirrorRoute { percent: Percent::FULL, ..MirrorRoute::default() }), ..mirrored };
    settles(gateway.as_ref(), &without, &all);
    let back = without.after(&gateway.hand_back(&ctx, &without));
    assert_eq!(found(&back), found(&before));
}

/// One rule takes the mirror, another does not: what was written is recorded.
#[test]
fn a_share_that_is_dropped_is_seen_when_another_rule_was_refused() {
    let (gateway, ctx) = (whole(), context());
    let mirrored = RouteIntent { mirror: everything(Percent::ZERO).mirror, ..weight(Percent::ZERO) };
    let mut shared = two(1, 0);
    shared.as_array_mut().unwrap().push(json!({ "name": "legacy", "port": 80, "weight": 1 }));
    let before = objects(&route("shop", json!([{ "backendRefs": two(1, 0) }, { "backendRefs": shared }])));
    let plan = gateway.plan_all(&ctx, &before, &mirrored);
    assert_eq!(plan.refused.iter().map(RouteError::reason).collect::<Vec<_>>(), [Reason::SharedRoute]);
    let mut kept = found(&before.after(&plan.writes)).clone();
    let filter = kept.pointer_mut("/spec/rules/0/filters/0/requestMirror").unwrap().as_object_mut().unwrap();
    assert_eq!(filter.shift_remove("percent"), Some(json!(10)));
    let again = gateway.plan_all(&ctx, &objects(&kept), &mirrored);
    assert_eq!(again.refused.first().map(RouteError::reason), Some(Reason::MirrorShareDropped));
}

/// Whoever renames the rule that ours was made from leaves ours behind: it goes with the way back.
#[test]
fn the_way_back_takes_our_rules_away_when_no_chosen_rule_is_left() {
    let (ctx, rules) = (context(), json!([{ "name": "web", "backendRefs": two(1, 0) }]));
    let gateway = router(json!({ "gateway": { "routes": [{ "name": "checkout", "ruleNames": ["web"] }] } }));
    let before = objects(&route("shop", rules));
    let intent = RouteIntent { headers: vec![testers()], ..weight(Percent::ZERO) };
    let mut during = found(&before.after(&gateway.plan(&ctx, &before, &intent).unwrap())).clone();
    during["spec"]["rules"][1]["name"] = "other".into();
    let during = objects(&during);
    assert_eq!(gateway.plan_all(&ctx, &during, &intent).writes, [], "on the way there nothing is changed");
    let plan = gateway.plan_all(&ctx, &during, &RouteIntent::default());
    assert_eq!(plan.refused.iter().map(RouteError::reason).collect::<Vec<_>>(), [Reason::RouteNotFound]);
    let back = during.after(&plan.writes);
    assert_eq!(
        back.get("HTTPRoute", "shop", "checkout"),
        during.after(&gateway.hand_back(&ctx, &during)).get("HTTPRoute", "shop", "checkout")
    );
    assert_eq!(found(&back)["spec"]["rules"], json!([{ "name": "other", "backendRefs": two(1, 0) }]));
    assert_eq!(found(&back)["metadata"], found(&before)["metadata"]);
}

/// The API server sorts fields and adds defaults to what it stores. The user changes the rule that ours was made from.
#[test]
fn own_rules_are_recognized_after_defaults_and_after_an_edit_of_their_base() {
    let (gateway, ctx) = (whole(), context());
    let intent = RouteIntent { headers: vec![testers()], ..weight(Percent::whole(5)) };
    let base = json!({ "backendRefs": two(1, 0), "matches": [{ "path": { "type": "PathPrefix", "value": "/" } }] });
    let before = objects(&route("shop", json!([base])));
    let during = before.after(&gateway.plan(&ctx, &before, &intent).unwrap());
    let sorted: Value = serde_json::from_str(&found(&during).to_string()).unwrap();
    let mut edited = sorted.clone();
    edited["spec"]["rules"][1]["timeouts"] = json!({ "request": "3s" });
    let edited = objects(&edited);
    let seen = gateway.read(&ctx, &edited, &intent).unwrap();
    assert_eq!((seen.headers.as_slice(), seen.drifted), (&["testers".to_owned()][..], true));
    let after = settles(gateway.as_ref(), &edited, &intent);
    let rules = found(&after)["spec"]["rules"].as_array().unwrap();
    assert_eq!(rules.len(), 2);
    assert!(rules.iter().all(|rule| rule["timeouts"]["request"] == "3s"), "made anew from the rule as it is");
}

/// Others edit the match of a rule of ours: it is written anew, and goes with an abort.
#[test]
fn a_rule_of_ours_with_an_edited_match_is_still_ours() {
    let ctx = context();
    let gateway = router(json!({ "gateway": { "routes": [{ "name": "checkout", "ruleNames": ["web"] }] } }));
    let intent = RouteIntent { headers: vec![testers()], ..weight(Percent::ZERO) };
    let before = objects(&route("shop", json!([{ "name": "web", "backendRefs": two(1, 0) }])));
    let during = settles(gateway.as_ref(), &before, &intent);
    let with_match = |one: Value| {
        let mut edited = found(&during).clone();
        edited["spec"]["rules"][0]["matches"] = json!([one]);
        objects(&edited)
    };
    let [path, header] =
        ["path", "headers"].map(|field| found(&during)["spec"]["rules"][0]["matches"][0][field].clone());
    let beta = json!({ "type": "PathPrefix", "value": "/beta" });
    for (edited_path, edited_header) in [
        (path.clone(), json!([{ "type": "Exact", "name": "x-tester", "value": "no" }])),
        (beta, json!([{ "name": "X-Tester", "value": "yes" }, { "name": "x-region", "value": "eu" }])),
    ] {
        let edited = with_match(json!({ "path": edited_path, "headers": edited_header }));
        let seen = gateway.read(&ctx, &edited, &intent).unwrap();
        assert_eq!((seen.headers.as_slice(), seen.drifted), (&["testers".to_owned()][..], true));
        assert_eq!(settles(gateway.as_ref(), &edited, &intent), during, "written anew");
        assert_eq!(settles(gateway.as_ref(), &edited, &weight(Percent::ZERO)), before, "an abort");
        assert_eq!(found(&edited.after(&gateway.hand_back(&ctx, &edited))), found(&before));
    }
    // A rule of theirs in the place of ours has nothing of ours: it stays.
    let theirs = with_match(json!({ "path": path, "headers": [{ "type": "Exact", "name": "x-qa", "value": "yes" }] }));
    let after = settles(gateway.as_ref(), &theirs, &weight(Percent::ZERO));
    assert_eq!(found(&after)["spec"], found(&theirs)["spec"]);
    // Nor is one that has the same header, beside ours as it was written, in the way.
    let mut beside = found(&during).clone();
    let copy = json!({ "matches": [{ "path": { "type": "PathPrefix", "value": "/beta" }, "headers": header }],
        "backendRefs": [two(0, 1)[1]] });
    beside["spec"]["rules"].as_array_mut().unwrap().insert(0, copy.clone());
    let after = settles(gateway.as_ref(), &objects(&beside), &weight(Percent::ZERO));
    assert_eq!(found(&after)["spec"]["rules"], json!([copy, { "name": "web", "backendRefs": two(1, 0) }]));
}

/// The API server gives each match of an HTTPRoute a path; a base with an empty list of matches has none to copy.
#[test]
fn own_rules_of_a_base_without_matches_are_recognized_after_the_default_path() {
    let (gateway, ctx) = (whole(), context());
    let intent = RouteIntent { headers: vec![testers()], ..weight(Percent::whole(5)) };
    for matches in [json!([]), json!([{ "method": "POST" }])] {
        let before = objects(&route("shop", json!([{ "matches": matches, "backendRefs": two(1, 0) }])));
        let mut stored = found(&before.after(&gateway.plan(&ctx, &before, &intent).unwrap())).clone();
        for one in stored["spec"]["rules"][0]["matches"].as_array_mut().unwrap() {
            one.as_object_mut().unwrap().entry("path").or_insert(json!({ "type": "PathPrefix", "value": "/" }));
        }
        let stored = objects(&stored);
        assert_eq!(gateway.read(&ctx, &stored, &intent).unwrap().headers, ["testers"], "{matches}");
        let back = stored.after(&gateway.hand_back(&ctx, &stored));
        assert_eq!(found(&back), found(&before), "{matches}");
    }
}

/// Whoever applies the rules anew takes ours away; what the annotation still records matches nothing.
#[test]
fn rules_that_were_applied_over_come_back() {
    let (gateway, ctx) = (whole(), context());
    let intent = everything(Percent::whole(5));
    let before = objects(&route("shop", json!([{ "backendRefs": two(1, 0) }])));
    let mut applied = found(&before.after(&gateway.plan(&ctx, &before, &intent).unwrap())).clone();
    applied["spec"] = found(&before)["spec"].clone();
    let applied = objects(&applied);
    let seen = gateway.read(&ctx, &applied, &intent).unwrap();
    assert_eq!((seen.weight, seen.has_extra_routes()), (Some(Percent::ZERO), false));
    settles(gateway.as_ref(), &applied, &intent);
    assert_eq!(found(&applied.after(&gateway.hand_back(&ctx, &applied))), found(&before));
}

#[test]
fn s52_what_an_implementation_refuses_is_reported_beside_the_weight() {
    let mut object = route("shop", json!([{ "backendRefs": two(95, 5) }]));
    object["status"]["parents"] = json!([{ "parentRef": { "name": "edge" }, "controllerName": "example.com/gateway",
        "conditions": [{ "type": "ResolvedRefs", "status": "False", "reason": "InvalidKind", "observedGeneration": 7 }] }]);
    let refused = whole().not_accepted(&context(), &objects(&object)).unwrap();
    assert_eq!(refused.reason(), Reason::RouteNotAccepted, "{refused}");
    let seen = whole().read(&context(), &objects(&object), &RouteIntent::default()).unwrap();
    assert_eq!((seen.weight, seen.drifted), (Some(Percent::whole(5)), false));
    object["metadata"]["generation"] = json!(8);
    assert_eq!(whole().not_accepted(&context(), &objects(&object)), None, "of an earlier generation");
}

/// H7: what is read in another namespace's object does not reach the status of whoever names it.
#[test]
fn h7_messages_about_another_namespaces_route_repeat_nothing_of_it() {
    let named = |names: Value| {
        router(json!({ "gateway": { "routes": [{ "name": "checkout", "namespace": "edge", "ruleNames": names }] } }))
    };
    let ours = |service: &str| json!({ "name": service, "namespace": "shop", "port": 4711, "weight": 1 });
    let rule = |backends: Value| json!([{ "name": "project-x", "matches": [{ "path": { "value": "/merger" } }], "backendRefs": backends }]);
    let grant = json!({ "apiVersion": "gateway.networking.k8s.io/v1beta1", "kind": "ReferenceGrant", "metadata": { "name": "edge", "namespace": "shop" }, "spec": {
        "from": [{ "group": "gateway.networking.k8s.io", "kind": "HTTPRoute", "namespace": "edge" }],
        "to": [{ "group": "", "kind": "Service" }] } });
    for (gateway, rules) in [
        (named(json!(["primary"])), rule(json!([]))),
        (named(json!([])), rule(json!([{ "name": "dataroom" }]))),
        (named(json!([])), rule(json!([ours("checkout-stable")]))),
        (
            named(json!([])),
            rule(
                json!([ours("checkout-stable"), { "name": "checkout-canary", "namespace": "shop", "weight": "merger" }]),
            ),
        ),
    ] {
        let mut object = route("edge", rules.clone());
        object["metadata"]["annotations"][ALLOW_NAMESPACES] = "shop".into();
        object["spec"]["parentRefs"] = json!([{ "name": "project-x" }]);
        object["status"]["parents"] = json!([{ "parentRef": { "name": "project-x" }, "controllerName": "merger",
            "conditions": [{ "type": "Accepted", "status": "False", "reason": "Merger", "message": "dataroom" }] }]);
        let current: Objects = [object, grant.clone()].into_iter().collect();
        let refused = gateway.plan(&context(), &current, &weight(Percent::whole(5))).unwrap_err();
        let not_accepted = gateway.not_accepted(&context(), &current).unwrap();
        let pending = gateway.pending(&context(), &current).unwrap();
        for message in [refused.to_string(), not_accepted.to_string(), pending] {
            for word in ["project-x", "erger", "dataroom", "4711"] {
                assert!(!message.contains(word), "{message}\n{rules}");
            }
            assert!(message.contains("edge/checkout"), "{message}");
        }
    }
}

/// H7: without its owner's consent a route is as if it were not there.
#[test]
fn s7_a_route_of_another_namespace_is_written_only_with_its_owners_consent() {
    let gateway = router(json!({ "gateway": { "routes": [{ "name": "checkout", "namespace": "edge" }] } }));
    let grant = |namespace: &str, from: Value, to: Value| json!({ "apiVersion": "gateway.networking.k8s.io/v1beta1", "kind": "ReferenceGrant", "metadata": { "name": "g", "namespace": namespace }, "spec": { "from": [from], "to": [to] } });
    let rollouts = json!({ "group": "glidepath.dev", "kind": "Rollout", "namespace": "shop" });
    let routes = json!({ "group": "gateway.networking.k8s.io", "kind": "HTTPRoute", "namespace": "edge" });
    let to = |kind: &str| json!({ "group": "gateway.networking.k8s.io", "kind": kind });
    let services = grant("shop", routes, json!({ "group": "", "kind": "Service" }));
    let consent = grant("edge", rollouts.clone(), to("HTTPRoute"));
    for (grants, scope, refused) in [
        (vec![services.clone()], CrossNamespace::Consent, Some(Reason::RouteNotAllowed)),
        (
            vec![services.clone(), grant("edge", rollouts, to("GRPCRoute"))],
            CrossNamespace::Consent,
            Some(Reason::RouteNotAllowed),
        ),
        (vec![consent.clone()], CrossNamespace::Consent, Some(Reason::BackendNotGranted)),
        (vec![consent.clone(), services.clone()], CrossNamespace::Consent, None),
        (vec![consent, services], CrossNamespace::Deny, Some(Reason::CrossNamespaceDenied)),
    ] {
        let ctx = RouteContext { scope: RouteScope { cross_namespace: scope, ..RouteScope::default() }, ..context() };
        let mut backends = two(19, 1);
        backends.as_array_mut().unwrap().iter_mut().for_each(|backend| backend["namespace"] = "shop".into());
        let object = route("edge", json!([{ "backendRefs": backends }]));
        let current: Objects = grants.into_iter().chain([object]).collect();
        let planned = gateway.plan(&ctx, &current, &weight(Percent::whole(50)));
        assert_eq!(planned.as_ref().err().map(RouteError::reason), refused);
        assert_eq!(gateway.read(&ctx, &current, &RouteIntent::default()).is_err(), refused.is_some());
        let back = matches!(refused, None | Some(Reason::BackendNotGranted));
        assert_eq!(gateway.hand_back(&ctx, &current).len(), usize::from(back), "the way back needs consent alone");
        let lists: Vec<String> = gateway.lists(&ctx).into_iter().map(|list| list.namespace).collect();
        assert_eq!(lists, ["edge", "shop"], "both namespaces' grants are looked at");
    }
}

/// A rule with both of our backends among up to so many foreign ones.
fn our_rule(path: &'static str, others: usize) -> impl Strategy<Value = Value> {
    let entries = prop::collection::vec((0u64..=200, foreign_fields()), 2..=2 + others);
    (entries, foreign_fields(), any::<prop::sample::Index>()).prop_map(move |(entries, fields, at)| {
        let mut backends: Vec<Value> = entries
            .into_iter()
            .enumerate()
            .map(|(index, (weight, fields))| match index {
                0 => with_fields(json!({ "name": "checkout-stable", "weight": weight + 1 }), fields),
                1 => with_fields(json!({ "name": "checkout-canary", "namespace": "shop", "weight": weight }), fields),
                other => with_fields(json!({ "name": format!("legacy-{other}"), "weight": weight }), fields),
            })
            .collect();
        let middle = at.index(backends.len());
        backends.rotate_left(middle);
        let matches = json!([{ "path": { "type": "PathPrefix", "value": path } }]);
        with_fields(json!({ "matches": matches, "backendRefs": backends }), fields)
    })
}

fn foreign_rule() -> impl Strategy<Value = Value> {
    let mirror = json!({ "type": "RequestMirror", "requestMirror": { "backendRef": { "name": "shadow" } } });
    foreign_fields().prop_map(move |fields| {
        let backends = json!([{ "name": "checkout-canary", "namespace": "other" }, { "name": "static" }]);
        with_fields(json!({ "backendRefs": backends, "filters": [mirror] }), fields)
    })
}

/// With up to so many foreign backends in a rule of ours.
fn any_route(others: usize) -> impl Strategy<Value = Value> {
    let theirs = prop::collection::vec(foreign_rule(), 0..3);
    (our_rule("/a", others), our_rule("/b", others), theirs, foreign_fields(), foreign_fields()).prop_map(
        |(a, b, mut rules, spec, top)| {
            rules.insert(rules.len() / 2, a);
            rules.push(b);
            let mut object = with_fields(route("shop", Value::from(rules)), top);
            object["spec"].as_object_mut().unwrap().extend(spec);
            object
        },
    )
}

/// The object without the weights of rules of ours.
fn without_weights(object: &Value) -> Value {
    let mut bare = object.clone();
    for rule in our_rules(&mut bare) {
        for backend in rule["backendRefs"].as_array_mut().unwrap() {
            backend.as_object_mut().unwrap().shift_remove("weight");
        }
    }
    bare
}

fn our_rules(object: &mut Value) -> impl Iterator<Item = &mut Value> {
    object["spec"]["rules"].as_array_mut().unwrap().iter_mut().filter(|rule| rule.get("matches").is_some())
}

fn weights(object: &Value) -> Vec<Vec<(String, u64)>> {
    let entry = |e: &Value| (e["name"].as_str().unwrap().to_owned(), e["weight"].as_u64().unwrap());
    let all = |rule: &mut Value| rule["backendRefs"].as_array().unwrap().iter().map(entry).collect();
    our_rules(&mut object.clone()).map(all).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn plans_are_exact_and_touch_only_our_weights(object in any_route(2), canary in 0u32..=100) {
        let before = objects(&object);
        let after = settles(whole().as_ref(), &before, &weight(Percent::whole(canary)));
        // Byte for byte, the order of fields included.
        prop_assert_eq!(without_weights(&object).to_string(), without_weights(found(&after)).to_string());
        for (old, new) in weights(&object).iter().zip(weights(found(&after))) {
            let sum = |weights: &[(String, u64)]| weights.iter().map(|(_, weight)| weight).sum::<u64>();
            let is_theirs = |name: &str| name.starts_with("legacy");
            for ((name, old_weight), (_, weight)) in old.iter().zip(&new).filter(|((name, _), _)| is_theirs(name)) {
                prop_assert_eq!(old_weight * sum(&new), weight * sum(old), "{} keeps its share", name);
            }
            let alone = !old.iter().any(|(name, weight)| is_theirs(name) && *weight > 0);
            prop_assert!(!alone || old == &new || sum(&new) <= 100, "{new:?} is small");
        }
    }

    #[test]
    fn what_is_added_leaves_no_trace(object in any_route(0), canary in 1u32..100) {
        let (gateway, ctx, canary) = (whole(), context(), Percent::whole(canary));
        let before = objects(&object);
        let during = settles(gateway.as_ref(), &before, &everything(canary));
        let seen = gateway.read(&ctx, &during, &everything(canary)).unwrap();
        prop_assert_eq!((seen.headers.as_slice(), seen.mirror, seen.sticky), (&["testers".to_owned()][..], Some(Percent::whole(10)), true));
        // Another test's cookies are drift, and so are cookies without a test.
        prop_assert!(gateway.read(&ctx, &during, &RouteIntent::default()).unwrap().drifted);
        let plain = settles(gateway.as_ref(), &before, &weight(canary));
        let after = settles(gateway.as_ref(), &during, &weight(canary));
        prop_assert_eq!(found(&after), found(&plain));
        let back = during.after(&gateway.hand_back(&ctx, &during));
        prop_assert_eq!(gateway.hand_back(&ctx, &back), vec![]);
        prop_assert!(gateway.read(&ctx, &back, &RouteIntent::default()).unwrap().leads_to_stable_alone());
        prop_assert_eq!(without_weights(&object), without_weights(found(&back)));
    }
}

/// With a Service as parent a backend without a port makes requests fail; the way back does not wait for the port.
#[test]
fn backends_of_a_mesh_without_a_port_are_refused() {
    let (gateway, ctx) = (whole(), context());
    let mut object = route("shop", json!([{ "backendRefs": two(50, 50) }]));
    object["spec"]["rules"][0]["backendRefs"][1].as_object_mut().unwrap().shift_remove("port");
    assert!(
        gateway.read(&ctx, &objects(&object), &RouteIntent::default()).is_ok(),
        "a Gateway's implementation may know it"
    );
    object["spec"]["parentRefs"] = json!([{ "group": "core", "kind": "Service", "name": "checkout" }]);
    let refused = gateway.read(&ctx, &objects(&object), &RouteIntent::default()).unwrap_err();
    let wanted = "rule 1 of HTTPRoute shop/checkout names Service `checkout-canary` without a port; add `port` to the backendRef: a mesh needs it";
    assert_eq!((refused.reason(), refused.to_string().as_str()), (Reason::CanaryDestinationMissing, wanted));
    let back = gateway.plan(&ctx, &objects(&object), &weight(Percent::ZERO)).unwrap();
    assert_eq!(back.len(), 1);
}

fn creating() -> Box<dyn Router> {
    router(json!({ "gateway": { "createRoute": { "parentRefs": [{ "name": "edge" }], "port": 80 } } }))
}

/// A route that is to be created sends the canary nothing yet, and what is created reads as it was meant.
#[test]
fn a_created_route_is_made_repaired_and_left_to_the_users_service() {
    let (gateway, ctx) = (creating(), context());
    let nothing = Objects::default();
    let seen = gateway.read(&ctx, &nothing, &RouteIntent::default()).unwrap();
    assert_eq!((seen.weight, seen.drifted), (Some(Percent::ZERO), true));
    assert!(!gateway.objects(&ctx)[0].required, "it is no file of the user's");
    let all = everything(Percent::whole(20));
    let made = nothing.after(&gateway.plan(&ctx, &nothing, &all).unwrap());
    settles(gateway.as_ref(), &made, &all);
    let mut cut = found(&made).clone();
    cut["spec"]["rules"] = json!([{ "backendRefs": [{ "name": "elsewhere", "port": 80 }] }]);
    let cut = objects(&cut);
    let seen = gateway.read(&ctx, &cut, &all).unwrap();
    let (weight, worst) = (seen.weight, Some((Percent::ZERO, Percent::FULL)));
    assert_eq!((weight, seen.disagreement, seen.drifted), (None, worst, true), "no one knows where it leads");
    let repaired = cut.after(&gateway.plan(&ctx, &cut, &all).unwrap());
    assert_eq!(found(&repaired)["spec"], found(&made)["spec"]);
    let left = made.after(&gateway.hand_back(&ctx, &made));
    let backends = &found(&left)["spec"]["rules"][0]["backendRefs"];
    assert_eq!(backends, &json!([{ "group": "", "kind": "Service", "name": "checkout", "port": 80, "weight": 1 }]));
    assert!(gateway.hand_back(&ctx, &left).is_empty() && gateway.hand_back(&ctx, &nothing).is_empty());
    let again = left.after(&gateway.plan(&ctx, &left, &all).unwrap());
    assert_eq!(found(&again)["spec"], found(&made)["spec"], "a Rollout that comes back takes its route again");
}

#[test]
fn a_created_route_is_attached_in_its_own_namespace_where_others_are_denied() {
    let edge = json!({ "parentRefs": [{ "name": "edge", "namespace": "gateways" }], "port": 80 });
    let gateway = router(json!({ "gateway": { "createRoute": edge } }));
    for (scope, refused) in [(CrossNamespace::Consent, false), (CrossNamespace::Deny, true)] {
        let ctx = RouteContext { scope: RouteScope { cross_namespace: scope, ..RouteScope::default() }, ..context() };
        assert_eq!(gateway.plan(&ctx, &Objects::default(), &weight(Percent::ZERO)).is_err(), refused);
    }
}

/// What was in force when a sibling came, or when this was not looked at yet, stays, and is read as it is.
#[test]
fn a_rule_that_is_in_force_is_not_refused_for_a_sibling_that_came_later() {
    let (gateway, ctx) = (whole(), context());
    let intent = RouteIntent { headers: vec![testers()], ..weight(Percent::whole(50)) };
    let path = json!([{ "path": { "type": "PathPrefix", "value": "/" } }]);
    let before = objects(&route("shop", json!([{ "matches": path, "backendRefs": two(1, 0) }])));
    let after = before.after(&gateway.plan(&ctx, &before, &intent).unwrap());
    let mut shared = found(&after).clone();
    let query = json!([{ "path": path[0]["path"], "queryParams": [{ "name": "v", "value": "2" }] }]);
    let sibling = json!({ "matches": query, "backendRefs": [{ "name": "other", "port": 80 }] });
    shared["spec"]["rules"].as_array_mut().unwrap().push(sibling.clone());
    settles(gateway.as_ref(), &objects(&shared), &intent);
    let new = objects(&route("shop", json!([{ "matches": path, "backendRefs": two(1, 0) }, sibling])));
    assert_eq!(gateway.plan(&ctx, &new, &intent).unwrap_err().reason(), Reason::RouteUnsupported);
}
