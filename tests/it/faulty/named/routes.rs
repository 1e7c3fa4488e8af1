//! Routes that others write too.

use std::time::Duration;

use serde_json::json;

use super::{
    super::{deeds::drift, objects::canary_with, scene::Scene, store::Key},
    s,
};

/// H1: another tool that kept writing the weights was answered without end, up to 15 times a second.
#[tokio::test(start_paused = true)]
async fn another_tool_that_keeps_writing_weights_is_answered_once_a_minute() {
    for every in [50, 1_000, 3_000, 20_000] {
        let steps = json!([{"setWeight": 20}, {"pause": {}}]);
        let mut scene = Scene::new(1, vec![canary_with("web", 10, steps, json!({}))]);
        scene.start_alone();
        scene.until_healthy("web", "shop/app:1").await;
        scene.deploy("web", "shop/app:2");
        scene.until("20 %", s(60), |scene| scene.phase("web") == "Paused" && scene.weight("web") == 20).await;
        let key = Key::shop("virtualservices", "web");
        let writes = |scene: &Scene| scene.cluster.with(|c| c.checks.writes_of(&key));
        let before = writes(&scene);
        let end = scene.cluster.now() + s(600);
        while scene.cluster.now() < end {
            if scene.weight("web") != 45 {
                drift(&scene.cluster, 45);
            }
            scene.pass(Duration::from_millis(every)).await;
        }
        let repairs = writes(&scene) - before;
        assert!(repairs <= 5 + 10 + 1, "every {every} ms: {repairs} repairs in ten minutes");
        scene.until("it is repaired in the end", s(120), |scene| scene.weight("web") == 20).await;
    }
}

/// H2: routes that disagreed were read as 0 %, and all traffic went to a stable version without the pods for it.
#[tokio::test(start_paused = true)]
async fn routes_that_disagree_do_not_send_everything_to_a_small_stable_version() {
    let steps = json!([{"setWeight": 60}, {"pause": {}}]);
    let more = json!({"strategy": {"canary": {"dynamicStableScale": true}},
        "traffic": [{"istio": {"virtualServices": [{"name": "web", "routes": ["primary", "second"]}]}}]});
    let mut set = canary_with("web", 10, steps, more);
    let routes = &mut set.objects[0].2["spec"]["http"];
    let mut second = routes[0].clone();
    second["name"] = "second".into();
    routes.as_array_mut().unwrap().push(second);
    let mut scene = Scene::new(2, vec![set]);
    scene.start_alone();
    scene.until_healthy("web", "shop/app:1").await;
    scene.deploy("web", "shop/app:2");
    scene.until("60 %", s(120), |scene| scene.phase("web") == "Paused" && scene.weight("web") == 60).await;
    scene.pass(s(60)).await;
    let canary = scene.selected("web-canary");
    let pod = scene.cluster.with(|c| {
        let mut pods = c.store.all("pods").map(|(key, _)| key.clone());
        pods.find(|key| key.name.contains(&canary)).unwrap()
    });
    let (time, back) = (scene.cluster.time(), scene.cluster.now() + s(20));
    scene.cluster.with(|c| c.life.crash(&mut c.store, &pod, back, time));
    let mut spec = scene.get("virtualservices", "web").unwrap()["spec"].clone();
    spec["http"][1]["route"][0]["weight"] = 70.into();
    spec["http"][1]["route"][1]["weight"] = 30.into();
    scene.patch_as("other-tool", "virtualservices", "web", &json!({"spec": spec}));
    for _ in 0..300 {
        scene.pass(Duration::from_millis(100)).await;
        let weights = scene.get("virtualservices", "web").unwrap()["spec"]["http"].clone();
        let stable = weights.as_array().unwrap().iter().filter_map(|route| route["route"][0]["weight"].as_u64()).max();
        assert!(stable < Some(100), "stable has 4 pods of 10: {weights}\n{}", scene.story());
    }
    scene.until("60 % again", s(120), |scene| scene.weight("web") == 60).await;
}
