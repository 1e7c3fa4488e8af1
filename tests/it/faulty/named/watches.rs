//! Watches that fail in every way, and objects that cannot be read: everyone else's releases continue.

use serde_json::{Value, json};

use super::{
    super::{
        deeds::deep,
        faults::Fault,
        objects::{canary, canary_with, plain},
        process::{self, Process},
        scene::Scene,
        store::text,
    },
    s,
};

/// C3: one object that is nested too deep made its whole list undecodable, for everyone and forever.
#[tokio::test(start_paused = true)]
async fn an_object_that_is_nested_too_deep_holds_up_nobody() {
    let mut scene = Scene::new(1, vec![canary("web", 4)]);
    scene.create("rollouts", "deep", deep(140));
    scene.start_alone();
    scene.until_healthy("web", "shop/app:1").await;
    scene.deploy("web", "shop/app:2");
    scene.until_healthy("web", "shop/app:2").await;
}

/// C3, while it runs: after a 410 the kind is listed again.
#[tokio::test(start_paused = true)]
async fn an_object_that_becomes_nested_too_deep_holds_up_nobody_after_a_new_list() {
    let mut scene = Scene::new(2, vec![canary("web", 4)]);
    scene.start_alone();
    scene.until_healthy("web", "shop/app:1").await;
    scene.add(scene.fault(Fault::WatchEnds, s(3)).on("rollouts"));
    scene.add(scene.fault(Fault::Refused(500), s(3)).on("rollouts"));
    scene.pass(s(1)).await;
    scene.create("rollouts", "deep", deep(140));
    scene.deploy("web", "shop/app:2");
    scene.cluster.with(|c| c.store.compact());
    scene.until_healthy("web", "shop/app:2").await;
}

/// H3: Istio's CRDs are there and their v1 is not served, as with Istio before 1.22.
#[tokio::test(start_paused = true)]
async fn an_istio_without_v1_stops_no_rollout_that_does_not_need_it() {
    let mut scene = Scene::new(3, vec![plain("number", 4), canary("web", 4)]);
    scene.cluster.with(|c| c.unserved = vec!["virtualservices", "destinationrules"]);
    scene.start_alone();
    scene.until_healthy("number", "shop/app:1").await;
    scene.deploy("number", "shop/app:2");
    scene.until_healthy("number", "shop/app:2").await;
    let says = |scene: &Scene| {
        let conditions = scene.get("rollouts", "web").map(|web| web["status"]["conditions"].to_string());
        conditions.is_some_and(|text| text.contains("RouterUnavailable"))
    };
    scene.until("who needs it is told", s(60), says).await;
}

/// H4: one failed request of a watch that was then quiet made /livez fail after five minutes.
#[tokio::test(start_paused = true)]
async fn a_watch_that_failed_once_and_is_quiet_is_alive() {
    let scene = Scene::new(4, vec![plain("number", 2)]);
    let watching = process::watching(&scene.cluster, Process::new(0));
    scene.pass(s(5)).await;
    assert!(watching.streams.unsynced().is_empty());
    scene.add(scene.fault(Fault::WatchEnds, s(1)).on("horizontalpodautoscalers"));
    scene.add(scene.fault(Fault::Refused(500), s(1)).on("horizontalpodautoscalers"));
    for _ in 0..40 {
        scene.pass(s(30)).await;
        assert!(watching.streams.dead().is_empty(), "{:?}", watching.streams.dead());
    }
}

/// M5: a route that we wrote last and that was deleted while no one watched stayed in the table forever.
#[tokio::test(start_paused = true)]
async fn a_route_that_was_deleted_while_nobody_watched_is_missed() {
    let steps = json!([{"setWeight": 20}, {"pause": {}}]);
    let mut scene = Scene::new(5, vec![canary_with("web", 5, steps, json!({}))]);
    scene.start_alone();
    scene.until_healthy("web", "shop/app:1").await;
    scene.deploy("web", "shop/app:2");
    scene.until("20 %", s(60), |scene| scene.phase("web") == "Paused" && scene.weight("web") == 20).await;
    scene.add(scene.fault(Fault::WatchEnds, s(3)).on("virtualservices"));
    scene.add(scene.fault(Fault::Refused(500), s(3)).on("virtualservices"));
    scene.pass(s(1)).await;
    scene.delete("virtualservices", "web");
    scene.cluster.with(|c| c.store.compact());
    let missed = |scene: &Scene| scene.get("rollouts", "web").unwrap()["status"].to_string().contains("VirtualService");
    scene.until("its absence is told", s(120), missed).await;
}

/// M6: after a restore of etcd versions are lower, and even a full list was ignored.
#[tokio::test(start_paused = true)]
async fn what_a_restored_backup_says_counts() {
    let mut scene = Scene::new(6, vec![canary("web", 5)]);
    scene.start_alone();
    scene.until_healthy("web", "shop/app:1").await;
    scene.pass(s(30)).await;
    let backup = scene.cluster.with(|c| c.store.clone());
    scene.deploy("web", "shop/app:2");
    scene.until_healthy("web", "shop/app:2").await;
    scene.cluster.restore(&backup);
    scene.pass(s(60)).await;
    scene.until_healthy("web", "shop/app:1").await;
    scene.deploy("web", "shop/app:3");
    scene.until_healthy("web", "shop/app:3").await;
}

/// M14: a newer version's status has a value that this one does not know: it waits, and leaves what is there.
#[tokio::test(start_paused = true)]
async fn a_status_of_a_newer_version_is_left_alone() {
    let steps = json!([{"setWeight": 20}, {"pause": {}}]);
    let mut scene = Scene::new(8, vec![canary_with("web", 5, steps, json!({})), plain("number", 2)]);
    scene.start_alone();
    scene.until_healthy("web", "shop/app:1").await;
    scene.deploy("web", "shop/app:2");
    scene.until("20 %", s(60), |scene| scene.phase("web") == "Paused" && scene.weight("web") == 20).await;
    let before = scene.get("rollouts", "web").unwrap()["status"].clone();
    scene.patch_as("newer", "rollouts", "web", &json!({"status": {"course": "Rebalancing"}}));
    scene.pass(s(120)).await;
    let after = scene.get("rollouts", "web").unwrap()["status"].clone();
    assert_eq!((after["course"].as_str(), scene.weight("web")), (Some("Rebalancing"), 20), "{}", scene.story());
    assert_ne!(scene.status("web", "/reason"), "Invalid");
    for field in ["stableRevision", "currentRevision", "stepIndex", "memory", "weights"] {
        assert_eq!(after[field], before[field], "{field} is kept");
    }
    scene.until_healthy("number", "shop/app:1").await;
    scene.patch_as("newer", "rollouts", "web", &json!({"status": {"course": "Stepping"}}));
    scene.command("web", "promote");
    scene.until_healthy("web", "shop/app:2").await;
}

/// M14's kind: what a newer version has written into a run's status outlives our own writes of it.
#[tokio::test(start_paused = true)]
async fn fields_of_a_newer_version_in_a_runs_status_are_kept() {
    let steps = json!([{"setWeight": 20}, {"observe": {"atLeast": "2m", "atMost": "30m"}}]);
    let analysis = json!({"analysis": {"templates": [{"name": "golden-signals"}]}});
    let mut scene = Scene::new(9, vec![canary_with("web", 4, steps, analysis)]);
    scene.start_alone();
    scene.until_healthy("web", "shop/app:1").await;
    scene.deploy("web", "shop/app:2");
    let run = |scene: &Scene| {
        let judged = |run: &Value| run["status"]["verdict"].is_string().then(|| text(run, "/metadata/name").to_owned());
        scene.cluster.with(|c| c.store.all("analysisruns").find_map(|(_, run)| judged(run)))
    };
    scene.until("a run that was judged", s(120), |scene| run(scene).is_some()).await;
    let run = run(&scene).unwrap();
    scene.patch_as("newer", "analysisruns", &run, &json!({"status": {"confidence": {"level": 3}}}));
    let before = scene.get("analysisruns", &run).unwrap()["metadata"]["resourceVersion"].clone();
    scene.pass(s(60)).await;
    let after = scene.get("analysisruns", &run).unwrap();
    assert_ne!(after["metadata"]["resourceVersion"], before, "it was judged again\n{}", scene.story());
    assert_eq!(after["status"]["confidence"]["level"], 3, "{after:#}");
}
