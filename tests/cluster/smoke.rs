//! The lane itself: traffic is split as the mesh is configured, and what the pods served is what Prometheus answers. If
//! these fail, no other test here means anything.

use crate::lane;
use crate::limits::binomial_999;
use crate::load::{Load, Plan};
use crate::obtain::output;
use crate::programs::find;
use crate::wait::{wait_for, wait_until};
use anyhow::ensure;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

const SHOP: &str = include_str!("config/smoke.yaml");
const REQUESTS: u64 = 2000;

#[test]
fn a_split_of_90_to_10_reaches_the_pods_and_prometheus_counts_exactly_that() {
    let lane = lane();
    lane.apply(SHOP).unwrap();
    lane.kubectl(&["wait", "-n", "smoke", "--for=condition=Available", "deployment", "--all", "--timeout=60s"])
        .unwrap();
    wait_until(Duration::from_secs(20), "the canary to answer through Envoy", || {
        let tally = Load::launch(Plan::mesh("web.smoke", 500.0).limit(100)).finish().unwrap();
        tally.of("canary") > 0 && tally.of("stable") > 0 && tally.lost() == 0
    });

    let before = canary_and_all();
    let tally = Load::launch(Plan::mesh("web.smoke", 1000.0).limit(REQUESTS)).finish().unwrap();
    let after = canary_and_all();

    assert_eq!(tally.status.get(&200), Some(&REQUESTS), "not every request was answered with 200: {tally:?}");
    assert_eq!(after.1 - before.1, REQUESTS, "the pods counted other requests than were sent");
    assert_eq!(after.0 - before.0, tally.of("canary"), "the pods and the answers disagree about the version");
    let share = after.0 - before.0;
    let limits = binomial_999(REQUESTS, 0.1);
    assert!(limits.contains(&share), "{share} of {REQUESTS} requests reached the canary, outside {limits:?}");
    prometheus_agrees();
}

/// Requests counted at the pods: the canary's and all.
fn canary_and_all() -> (u64, u64) {
    let counts = lane().counts("smoke").unwrap();
    let canary = counts.iter().filter(|pod| pod.version == "canary").map(|pod| pod.requests).sum();
    (canary, counts.iter().map(|pod| pod.requests).sum())
}

/// Every pod's own count, by workload, is what Prometheus answers for Istio's metric.
fn prometheus_agrees() {
    wait_for(Duration::from_secs(20), "Prometheus to have scraped every pod's last count", || {
        let samples = lane().query(
            r#"sum by (destination_workload, pod, destination_service_name, response_code) (istio_requests_total{reporter="destination", destination_workload_namespace="smoke"})"#,
        )?;
        for pod in lane().counts("smoke")? {
            let own = samples.iter().find(|sample| sample.labels["pod"] == pod.pod);
            let own = own.ok_or_else(|| anyhow::anyhow!("pod {} has no sample", pod.pod))?;
            ensure!(own.labels["destination_workload"] == pod.workload, "another workload: {own:?}");
            ensure!(own.labels["destination_service_name"] == "web", "another service: {own:?}");
            ensure!(own.value == pod.requests as f64, "pod {} counted {}, Prometheus {}", pod.pod, pod.requests, own.value);
        }
        Ok(())
    })
    .unwrap();
}

#[test]
fn promtool_finds_every_vector_right() {
    let vectors = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors");
    let promtool = find("promtool").expect("promtool ships with Prometheus");
    let listed = [vectors.clone(), vectors.join("packs")].map(|folder| std::fs::read_dir(folder).unwrap());
    let files = listed.into_iter().flatten().map(|entry| entry.unwrap().path());
    for file in files.filter(|file| file.to_string_lossy().ends_with(".promtool.yml")) {
        let printed = output(Command::new(&promtool).args(["test", "rules"]).arg(&file)).unwrap();
        assert!(printed.contains("SUCCESS"), "{}: {printed}", file.display());
    }
}
