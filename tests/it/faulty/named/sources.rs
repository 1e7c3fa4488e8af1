//! Metric sources that fail: what is reported, and what a release does without evidence.

use serde_json::json;

use super::{
    super::{faults::Fault, objects::canary_with, scene::Scene},
    s,
};

/// Whether a run says this in its status.
fn run_says(scene: &Scene, words: &str) -> bool {
    scene.cluster.with(|c| c.store.all("analysisruns").any(|(_, run)| run["status"].to_string().contains(words)))
}

/// H5: the round was dropped without a status, a note or a log line, and came back ever less often.
#[tokio::test(start_paused = true)]
async fn a_prometheus_that_hangs_is_told_in_the_run_and_becomes_no_data_in_time() {
    let steps = json!([{"setWeight": 20}, {"observe": {"atLeast": "30s", "atMost": "30m"}}]);
    let analysis = json!({"analysis": {"templates": [{"name": "golden-signals"}]}});
    let mut scene = Scene::new(1, vec![canary_with("web", 4, steps, analysis)]);
    scene.start_alone();
    scene.until_healthy("web", "shop/app:1").await;
    scene.add(scene.fault(Fault::SourceHangs, s(900)));
    scene.deploy("web", "shop/app:2");
    scene.until("the run says why", s(120), |scene| run_says(scene, "no response from Prometheus within 30 s")).await;
    scene.until("no data", s(180), |scene| run_says(scene, "SourceError")).await;
    scene.until("no verdict", s(900), |scene| run_says(scene, "\"verdict\":\"Inconclusive\"")).await;
    assert_eq!(scene.weight("web"), 20, "without evidence nothing goes on");
    scene.until_healthy("web", "shop/app:2").await;
}
