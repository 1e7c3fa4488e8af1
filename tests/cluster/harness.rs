//! The harness keeps its promises: pods change while they run, leave without losing a request, are still counted when
//! gone, and servers can be taken away and restored.

use crate::component::Component;
use crate::lane;
use crate::load::{Load, Plan, Tally};
use crate::wait::{wait_for, wait_until};
use anyhow::ensure;
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(30);

/// A Service and a Deployment of two pods in a namespace of the test's own, answering through the mesh client.
fn shop(namespace: &str) {
    let yaml = include_str!("config/web.yaml").replace("NAMESPACE", namespace);
    lane().apply(&yaml).unwrap();
    lane().kubectl(&["rollout", "status", "deployment/web", "-n", namespace, "--timeout=60s"]).unwrap();
    wait_until(PATIENCE, "the Service to answer through Envoy", || burst(namespace, 20).of("v1") == 20);
}

fn burst(namespace: &str, requests: u64) -> Tally {
    Load::launch(Plan::mesh(&format!("web.{namespace}"), 500.0).limit(requests)).finish().unwrap()
}

#[test]
fn an_annotation_changes_a_running_pod() {
    shop("moody");
    lane().kubectl(&["annotate", "pod", "--all", "-n", "moody", "fake/error-rate=1", "fake/latency-ms=3"]).unwrap();
    wait_until(PATIENCE, "every answer to be an error", || burst("moody", 20).status.get(&500) == Some(&20));
    let counts = lane().counts("moody").unwrap();
    assert!(counts.iter().map(|pod| pod.errors).sum::<u64>() >= 20, "the pods counted no errors: {counts:?}");
    lane().kubectl(&["annotate", "pod", "--all", "-n", "moody", "fake/error-rate-", "fake/latency-ms-"]).unwrap();
    wait_until(PATIENCE, "the pods to be well again", || burst("moody", 20).status.get(&200) == Some(&20));
}

#[test]
fn a_rolling_update_loses_no_request_and_the_pods_that_left_stay_counted() {
    shop("rolling");
    let before: u64 = lane().counts("rolling").unwrap().iter().map(|pod| pod.requests).sum();
    let load = Load::start("web.rolling", 200.0);
    lane().kubectl(&["set", "env", "deployment/web", "-n", "rolling", "VERSION=v2"]).unwrap();
    lane().kubectl(&["rollout", "status", "deployment/web", "-n", "rolling", "--timeout=60s"]).unwrap();
    wait_until(PATIENCE, "the first two pods to be gone", || {
        lane().counts("rolling").unwrap().iter().filter(|pod| pod.gone).count() == 2
    });
    let tally = load.stop().unwrap();
    assert_eq!(tally.lost(), 0, "{tally:?}");
    assert_eq!(tally.status.get(&200), Some(&tally.sent), "{tally:?}");
    assert!(tally.of("v1") > 0 && tally.of("v2") > 0, "both versions should have answered: {tally:?}");
    let after: u64 = lane().counts("rolling").unwrap().iter().map(|pod| pod.requests).sum();
    assert_eq!(after - before, tally.sent, "what was sent and what the pods counted differ");
}

#[test]
fn prometheus_and_the_control_plane_can_be_taken_away_and_given_back() {
    shop("outage");
    let up = || {
        let samples = lane().query(r#"up{job="pods", namespace="outage"}"#)?;
        ensure!(samples.len() == 2 && samples.iter().all(|s| s.value == 1.0), "the pods are not scraped: {samples:?}");
        Ok(())
    };
    wait_for(PATIENCE, "Prometheus to scrape the pods", up).unwrap();
    lane().stop_component(Component::Prometheus).unwrap();
    assert!(up().is_err(), "a stopped Prometheus answered");
    lane().stop_component(Component::Istiod).unwrap();
    assert_eq!(burst("outage", 50).of("v1"), 50, "traffic must go on without the control plane");
    lane().start_component(Component::Istiod).unwrap();
    lane().start_component(Component::Prometheus).unwrap();
    wait_for(PATIENCE, "Prometheus to scrape the pods again", up).unwrap();
}
