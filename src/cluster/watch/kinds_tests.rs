//! Routers' kinds, as they come, go, and cannot be seen.

use super::*;
use crate::{
    engine::RouteIntent,
    ports::{Observation, WorldError},
};

/// H3: whom a kind that cannot be listed blocks, and how far.
#[tokio::test(start_paused = true)]
async fn only_rollouts_that_name_an_unavailable_kind_are_blocked() {
    let api = served();
    let web = rollout("web", 50, &image("one"));
    let plain = web.replace("\"web\",\"namespace\"", "\"plain\",\"namespace\"").replace("\"traffic\"", "\"x\"");
    let rests = web.replace("\"web\",\"namespace\"", "\"rests\",\"namespace\"").replace("Stepping", "Idle");
    api.answer(ROLLOUTS, Answer::Items(vec![web, plain, rests]));
    api.answer(&format!("{ISTIO}/v1/virtualservices"), Answer::Refuse(403));
    let process = Process::start(&api);
    process.synced().await;
    for (name, blocks_all) in [("web", Some(true)), ("rests", Some(false)), ("plain", None)] {
        let problems = process.observe(name).await.unwrap().seen.problems;
        let found = problems.iter().find(|problem| problem.reason == Reason::RouterUnavailable);
        assert_eq!(found.map(|problem| problem.blocks_all), blocks_all, "{name}: {problems:?}");
    }
}

/// Istio has gone, and the Rollout names an HTTPRoute instead: nothing of Istio's is left to be restored.
#[tokio::test(start_paused = true)]
async fn a_rollout_leaves_a_kind_that_has_gone() {
    for (traffic, blocks) in [(r#"[{"gateway":{"routes":[{"name":"web"}]}}]"#, false), (VIRTUAL_SERVICE, true)] {
        let api = FakeApi::default();
        api.version(100);
        let status = format!(
            r#""status":{{"course":"Stepping","memory":{{"objects":{{"services":{{"root":"web"}},"traffic":{VIRTUAL_SERVICE}}}}}}}"#
        );
        let template = r#"{"metadata":{"labels":{"app":"web"}},"spec":{"containers":[{"name":"web","image":"one"}]}},
            "selector":{"matchLabels":{"app":"web"}},"services":{"root":"web"}"#;
        let web = rollout("web", 50, template).replace(VIRTUAL_SERVICE, traffic);
        let web = web.replace(r#""status":{"course":"Stepping"}"#, &status);
        api.answer(ROLLOUTS, Answer::Items(vec![web]));
        let process = Process::start(&api);
        process.synced().await;
        let problems = process.observe("web").await.unwrap().seen.problems;
        let found = problems.iter().any(|problem| problem.reason == Reason::RouterUnavailable && problem.blocks_all);
        assert_eq!(found, blocks, "{traffic}: {problems:?}");
    }
}

/// H3: the version that is served is watched, and written.
#[tokio::test(start_paused = true)]
async fn an_older_istio_is_watched_at_the_version_that_it_serves() {
    for version in ["v1beta1", "v1alpha3"] {
        let api = served();
        istio(&api, &[version]);
        api.answer(ROLLOUTS, web());
        let process = Process::start(&api);
        assert_eq!(process.synced().await, 0);
        assert_eq!((process.version().as_str(), process.trouble()), (version, None));
        let resource = process.cluster.route_resource(watched_kinds().next().unwrap());
        assert_eq!(resource.api_version, format!("networking.istio.io/{version}"));
    }
}

/// A cluster's route objects cost nothing as long as no Rollout names their kind; the first that does waits for their list.
#[tokio::test(start_paused = true)]
async fn a_kind_is_watched_once_a_rollout_needs_it() {
    let api = served();
    let routes = format!("{ISTIO}/v1/virtualservices");
    let process = Process::start(&api);
    assert_eq!(process.synced().await, 0);
    process.pass(600, &[DEFINITIONS]).await;
    assert_eq!((api.requests(ISTIO), api.watched_from(&routes).len()), (0, 0));
    assert!(process.streams.ages().iter().all(|(kind, _)| kind != "VirtualService"), "nothing is late");

    api.answer(&routes, Answer::Silence);
    api.send(ROLLOUTS, "ADDED", &rollout("web", 101, &image("one")));
    settle().await;
    assert_eq!(process.streams.relisting(), ["VirtualService"]);
    assert!(process.streams.unsynced().is_empty(), "readiness stays");
    process.pass(11, &[]).await;
    assert!(process.streams.relisting().is_empty() && process.trouble().is_some(), "it is not waited for without end");
    api.answer(&routes, Answer::Items(Vec::new()));
    process.pass(120, &[]).await;
    assert_eq!(process.trouble(), None);
    assert_eq!(api.watched_from(&routes).first().map(String::as_str), Some("100"));
}

/// The Rollout with another entry of `spec.traffic`.
fn split_by(name: &str, version: u64, entry: &Value) -> String {
    let mut rollout: Value = serde_json::from_str(&rollout(name, version, &image("one"))).unwrap();
    rollout["spec"]["traffic"] = json!([entry]);
    rollout.to_string()
}

/// A kind that no release knows is looked for, and watched, from the first Rollout on that names it.
#[tokio::test(start_paused = true)]
async fn a_kind_that_only_a_rollout_names_is_watched() {
    const MESH: &str = "/apis/mesh.example.com/v1";
    let routes = format!("{MESH}/routes");
    let entry = json!({"custom": {"apiVersion": "mesh.example.com/v1", "kind": "Route", "name": "web",
        "backends": {"path": "spec.backends", "service": "name"}}});
    let router = crate::router::routers_of(&serde_json::from_value(entry.clone()).unwrap()).next().unwrap();
    let kind = router.kinds().remove(0).resource();
    let api = served();
    api.answer(MESH, Answer::Refuse(404));
    let process = Process::start(&api);
    assert_eq!(process.synced().await, 0);
    let trouble = || process.cluster.router_kinds.trouble(&kind, "shop").unwrap_or_default();
    assert_eq!((trouble().as_str(), api.requests(MESH)), ("", 0));

    api.send(ROLLOUTS, "ADDED", &split_by("web", 101, &entry));
    settle().await;
    assert!(trouble().contains("does not serve Route (mesh.example.com) in version v1 as routes"), "{}", trouble());
    let observed = process.observe("web").await.unwrap();
    assert!(observed.seen.problems.iter().any(|problem| problem.reason == Reason::RouterUnavailable));

    api.answer(MESH, Answer::Resources(vec!["routes"]));
    api.answer(&routes, Answer::Refuse(403));
    let definition =
        json!({"metadata": {"name": "routes.mesh.example.com", "uid": "routes", "resourceVersion": "102"}});
    api.send(DEFINITIONS, "ADDED", &definition.to_string());
    process.pass(60, &[DEFINITIONS]).await;
    let rule = "{apiGroups: [mesh.example.com], resources: [routes], verbs: [list, watch, update]}";
    assert!(trouble().contains("responded 403") && trouble().contains(rule), "{}", trouble());

    let backends = json!([{"name": "web-stable", "weight": 100}, {"name": "web-canary", "weight": 0}]);
    let object = json!({"apiVersion": "mesh.example.com/v1", "kind": "Route", "spec": {"backends": backends},
        "metadata": {"name": "web", "namespace": "shop", "uid": "r", "resourceVersion": "103"}});
    api.answer(&routes, Answer::Items(vec![object.to_string()]));
    process.pass(120, &[DEFINITIONS]).await;
    assert_eq!(trouble(), "");
    let route = process.cluster.tables.routes.get(&kind).unwrap().get("shop", "web").unwrap();
    assert_eq!(route.value.object()["spec"]["backends"], backends);
}

/// Kinds that are not served, or cannot be listed, or whose list never arrives block only the Rollouts that reference
/// them; these recover as soon as the kinds are available (H3).
#[tokio::test(start_paused = true)]
async fn an_optional_kind_that_cannot_be_listed_blocks_neither_start_nor_liveness() {
    let routes = &format!("{ISTIO}/v1/virtualservices");
    for (answer, says, within) in [
        (Answer::Refuse(404), "responded 404", 1),
        (Answer::Refuse(403), "responded 403", 1),
        (Answer::Refuse(500), "responded 500", 12),
        (Answer::Silence, "not listed yet", 12),
    ] {
        let api = served();
        api.answer(ROLLOUTS, Answer::Items(vec![rollout("web", 50, &image("one"))]));
        api.answer(routes, answer.clone());
        let process = Process::start(&api);
        let took = process.synced().await;
        assert!(took <= within, "{answer:?}: {took} s");
        let trouble = process.trouble().unwrap();
        assert!(trouble.contains(says) && trouble.contains("networking.istio.io"), "{answer:?}: {trouble}");
        process.pass(3_600, &[]).await;
        assert!(process.streams.unsynced().is_empty() && process.trouble().is_some());
        assert!(process.streams.dead().is_empty(), "{:?}", process.streams.dead());
        process.touched.0.lock().unwrap().clear();
        api.answer(routes, Answer::Items(Vec::new()));
        process.pass(120, &[]).await;
        assert_eq!(process.trouble(), None, "{answer:?}");
        assert_eq!(*process.touched.0.lock().unwrap(), ["web"], "whoever uses a router is looked at");
    }
}

/// H3: Istio comes, is upgraded, and goes, all under a running controller.
#[tokio::test(start_paused = true)]
async fn a_change_of_served_versions_is_noticed() {
    let api = FakeApi::default();
    api.version(100);
    api.answer(ROLLOUTS, web());
    let process = Process::start(&api);
    assert_eq!(process.synced().await, 0);
    assert!(process.trouble().unwrap().contains("does not serve VirtualService"));
    let asked = api.requests(&format!("{ISTIO}/v1?"));
    api.version(1_000);
    process.pass(600, &[DEFINITIONS]).await;
    assert_eq!(api.requests(&format!("{ISTIO}/v1?")), asked, "nothing is asked while nothing changes");
    let changed = |plural: &str, version: u64| {
        let name = format!("{plural}.networking.istio.io");
        json!({"metadata": {"name": name, "uid": plural, "resourceVersion": version.to_string()}}).to_string()
    };
    let mut at = 1_000;
    for (versions, watched) in [(&["v1beta1"][..], "v1beta1"), (&["v1", "v1beta1"][..], "v1")] {
        istio(&api, versions);
        for plural in ["virtualservices", "destinationrules"] {
            at += 1;
            api.send(DEFINITIONS, "MODIFIED", &changed(plural, at));
        }
        process.pass(3, &[]).await;
        assert_eq!((process.version().as_str(), process.trouble()), (watched, None));
    }
    istio(&api, &[]);
    for plural in ["virtualservices", "destinationrules"] {
        at += 1;
        api.send(DEFINITIONS, "DELETED", &changed(plural, at));
    }
    process.pass(10, &[]).await;
    assert!(process.trouble().unwrap().contains("does not serve VirtualService"));
}

/// H3: an account that is bound to one namespace may not list definitions; routers are found by discovery all the same.
#[tokio::test(start_paused = true)]
async fn without_access_to_definitions_discovery_finds_routers() {
    let api = FakeApi::default();
    api.version(100);
    istio(&api, &[]);
    api.answer(DEFINITIONS, Answer::Refuse(403));
    api.answer("/apis/glidepath.dev/v1alpha1/namespaces/shop/rollouts", web());
    let process = Process::start_in(&api, Some("shop"));
    assert!(process.synced().await <= 1);
    assert!(process.trouble().is_some());
    istio(&api, &["v1"]);
    api.answer(DEFINITIONS, Answer::Refuse(403));
    process.pass(70, &[]).await;
    assert_eq!(process.trouble(), None);
    assert_eq!(api.watched_from(&format!("{ISTIO}/v1/namespaces/shop/virtualservices")).len(), 1);
    process.pass(3_600, &[]).await;
    assert!(process.streams.dead().is_empty());
}

/// Of two routers one cannot be seen: the other leads back to stable, and the canary keeps its Service until all do.
#[tokio::test(start_paused = true)]
async fn s33_traffic_returns_by_the_router_that_can_be_seen() {
    let api = served();
    let both = r#"[{"istio":{"virtualServices":[{"name":"web"}]}},{"gateway":{"routes":[{"name":"web"}]}}]"#;
    let services = r#"{"image":"one"},"services":{"root":"web","stable":"web-stable","canary":"web-canary"}"#;
    api.answer(ROLLOUTS, Answer::Items(vec![rollout("web", 50, services).replace(VIRTUAL_SERVICE, both)]));
    let to = |host: &str, weight: u8| json!({"destination": {"host": host}, "weight": weight});
    let route = |stable: u8, canary: u8| json!([to("web-stable", stable), to("web-canary", canary)]);
    let half = json!({"apiVersion": "networking.istio.io/v1", "kind": "VirtualService",
        "metadata": {"name": "web", "namespace": "shop", "uid": "v", "resourceVersion": "60"},
        "spec": {"hosts": ["web"], "http": [{"route": route(50, 50)}]}});
    api.answer(&format!("{ISTIO}/v1/virtualservices"), Answer::Items(vec![half.to_string()]));
    let written = format!("{ISTIO}/v1/namespaces/shop/virtualservices/web");
    api.answer(&written, Answer::Object(half.to_string()));
    let (gateway, routes) = ("/apis/gateway.networking.k8s.io/v1", "/apis/gateway.networking.k8s.io/v1/httproutes");
    api.answer(gateway, Answer::Resources(vec!["httproutes"]));
    api.answer(routes, Answer::Refuse(403));
    let process = Process::start(&api);
    process.synced().await;
    process.observe("web").await.unwrap();
    process.pass(15, &[]).await;
    let Observation { seen, snapshot, .. } = process.observe("web").await.unwrap();
    let told: Vec<(&Reason, bool)> = seen.problems.iter().map(|told| (&told.reason, told.blocks_all)).collect();
    assert!(told.contains(&(&Reason::RouterUnavailable, false)), "{:?}", seen.problems);
    let route_seen = seen.route.unwrap();
    assert!(route_seen.unseen && route_seen.returnable && route_seen.weight.is_none(), "{route_seen:?}");
    process.cluster.ensure_route(&snapshot, &RouteIntent::default()).await.unwrap();
    let writes = api.writes();
    let (_, object) = writes.iter().find(|(path, _)| *path == written).unwrap();
    assert_eq!(object["spec"]["http"][0]["route"], route(100, 0));
    assert!(!writes.iter().any(|(path, _)| path.contains("httproutes")), "{writes:?}");
}

/// Of a Rollout that is deleted: a route that cannot be seen may still lead to the canary, one whose kind has gone does not.
#[tokio::test(start_paused = true)]
async fn s40_a_hand_back_waits_for_a_kind_that_cannot_be_seen_and_not_for_one_that_has_gone() {
    for (listed, waits) in [(Some(403), true), (None, false)] {
        let api = served();
        let deleted = rollout("web", 50, &image("one"))
            .replace("\"finalizers\"", "\"deletionTimestamp\":\"2026-01-01T00:00:00Z\",\"finalizers\"");
        api.answer(ROLLOUTS, Answer::Items(vec![deleted]));
        match listed {
            Some(code) => api.answer(&format!("{ISTIO}/v1/virtualservices"), Answer::Refuse(code)),
            None => istio(&api, &[]),
        }
        let process = Process::start(&api);
        process.synced().await;
        let snapshot = process.observe("web").await.unwrap().snapshot;
        let released = process.cluster.release_routes(&snapshot).await;
        let told = matches!(&released, Err(WorldError::Refused { reason: Reason::RouterUnavailable, .. }));
        assert_eq!((told, released.is_err()), (waits, waits), "{released:?}");
    }
}
