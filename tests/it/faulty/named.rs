//! Named tests: one story each. The clock is tokio's, so that minutes of a cluster pass in milliseconds.

use std::time::Duration;

use super::{objects::*, scene::Scene};

mod leaders;
mod owned;
mod routes;
mod sources;
mod watches;

/// Seconds.
const fn s(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

#[tokio::test(start_paused = true)]
async fn a_release_through_a_mesh_ends_well() {
    let mut scene = Scene::new(1, vec![canary("web", 10)]);
    scene.start_alone();
    scene.until_healthy("web", "shop/app:1").await;
    scene.deploy("web", "shop/app:2");
    scene.until("20 %", s(60), |scene| scene.weight("web") == 20).await;
    scene.until_healthy("web", "shop/app:2").await;
}

#[tokio::test(start_paused = true)]
async fn every_strategy_is_at_home_in_the_faulty_cluster() {
    let mut scene = Scene::new(2, vec![plain("number", 4), blue_green("color", 3), adopted("legacy", 4)]);
    scene.start_alone();
    for rollout in ["number", "color", "legacy"] {
        scene.until_healthy(rollout, "shop/app:1").await;
        scene.deploy(rollout, "shop/app:2");
        scene.until_healthy(rollout, "shop/app:2").await;
    }
    let own_pods = scene.get("deployments", "legacy").unwrap()["spec"]["replicas"].clone();
    assert_eq!(own_pods, 0, "the Deployment's own pods are replaced");
}

#[tokio::test(start_paused = true)]
async fn a_bad_version_is_taken_back_by_its_evidence() {
    let steps = serde_json::json!([{"setWeight": 20}, {"observe": {"atLeast": "30s", "atMost": "5m"}}]);
    let analysis = serde_json::json!({"analysis": {"templates": [{"name": "golden-signals"}]}});
    let mut scene = Scene::new(3, vec![canary_with("web", 5, steps, analysis)]);
    scene.start_alone();
    scene.until_healthy("web", "shop/app:1").await;
    scene.deploy("web", "shop/app:2-bad");
    scene.until("it is taken back", s(600), |scene| scene.phase("web") == "Degraded" && scene.weight("web") == 0).await;
    scene.deploy("web", "shop/app:3");
    scene.until_healthy("web", "shop/app:3").await;
}
