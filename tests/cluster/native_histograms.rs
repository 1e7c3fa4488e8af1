//! Native histograms, scraped by the real Prometheus: every request is counted, on its side of the bound, and a version that
//! is slower by half fails. Prometheus 2.42, which Debian 12 has, cannot subtract native histograms: nothing is judged there,
//! and the reason is named.

use crate::exposition::{Served, serve};
use crate::http::get_ok;
use crate::lane::PROMETHEUS_URL;
use crate::wait::{wait_for, wait_until};
use crate::{glidepath, lane};
use anyhow::ensure;
use serde_json::{Value, json};
use std::sync::{
    Arc, Mutex,
    atomic::{AtomicBool, Ordering},
};
use std::thread::{sleep, spawn};
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(30);
const TEMPLATE: &str = "
apiVersion: glidepath.dev/v1alpha1
kind: AnalysisTemplate
metadata: {name: latency}
spec:
  metrics:
    - {name: latency, latency: {histogram: {builtin: duration}}}
  settings: {pack: application, window: 2s, warmUp: 2s, bake: {duration: 5s, requests: 100}}
";

/// A pod of a workload with this many requests of each kind every tenth of a second, slower by this factor.
fn pod(name: &str, runs: &Arc<AtomicBool>, factor: f64) -> (Arc<Mutex<Served>>, Value) {
    let served = Arc::<Mutex<Served>>::default();
    let target = serve(Arc::clone(&served)).to_string();
    let labels = json!({"namespace": "native", "pod": name});
    let (runs, own) = (Arc::clone(runs), Arc::clone(&served));
    spawn(move || {
        while runs.load(Ordering::Relaxed) {
            let mut served = own.lock().unwrap();
            // From 20 to 330 ms, denser below.
            (0..20).for_each(|step| served.add(factor * 0.02 * 1.16_f64.powi(step)));
            drop(served);
            sleep(Duration::from_millis(100));
        }
    });
    (served, json!({"targets": [target], "labels": labels}))
}

/// Whether this Prometheus knows the difference of two native histograms.
fn subtracts() -> bool {
    let info = get_ok(&format!("{PROMETHEUS_URL}/api/v1/status/buildinfo")).unwrap();
    let info: Value = serde_json::from_str(&info).unwrap();
    let version = info["data"]["version"].as_str().unwrap();
    let mut parts = version.split(['.', '+']).map(|part| part.parse::<u32>().unwrap_or_default());
    (parts.next(), parts.next()) > (Some(2), Some(42))
}

fn served(pod: &Mutex<Served>) -> Served {
    pod.lock().unwrap().clone()
}

#[test]
fn native_histograms_are_counted_to_the_request_and_a_slower_version_fails() {
    let lane = lane();
    let runs = Arc::new(AtomicBool::new(true));
    let (stable, one) = pod("web-1-aaaaa", &runs, 1.0);
    let (canary, two) = pod("web-2-bbbbb", &runs, 1.5);
    std::fs::write(lane.folder().join("native.json"), json!([one, two]).to_string()).unwrap();
    let native = "sum(histogram_count(http_request_duration_seconds{namespace=\"native\"}))";
    wait_until(PATIENCE, "the first scrapes", || {
        lane.query(native).is_ok_and(|samples| samples.first().is_some_and(|sample| sample.value > 1000.0))
    });

    let template = lane.folder().join("native-template.yaml");
    std::fs::write(&template, TEMPLATE).unwrap();
    let mut analyze = glidepath();
    analyze.args(["analyze", "--prometheus", PROMETHEUS_URL, "-n", "native", "-f"]).arg(&template);
    let limit = if subtracts() { "40s" } else { "8s" };
    let output = analyze.args(["--canary", "web-2", "--stable", "web-1", "--for", limit]).output().unwrap();
    let said = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
    if !subtracts() {
        assert_eq!(output.status.code(), Some(14), "no number, no verdict: {said}");
        assert!(said.contains("Prometheus 2.42 cannot subtract native histograms"), "{said}");
        runs.store(false, Ordering::Relaxed);
        return;
    }
    assert_eq!(output.status.code(), Some(10), "slower by half: {said}");
    assert!(said.contains("slower than"), "{said}");

    runs.store(false, Ordering::Relaxed);
    // The last tenth of a second of both.
    sleep(Duration::from_millis(300));
    let (requests, slow) = [served(&stable), served(&canary)]
        .iter()
        .fold((0, 0), |(requests, slow), pod| (requests + pod.requests, slow + pod.slow));
    wait_for(PATIENCE, "Prometheus to have scraped the last requests", || {
        let samples = lane.query(native)?;
        ensure!(samples.first().is_some_and(|sample| sample.value == requests as f64), "{samples:?}, not {requests}");
        Ok(())
    })
    .unwrap();

    let mut slo = glidepath();
    slo.args([
        "slo",
        "web",
        "-n",
        "native",
        "--objective",
        "99%",
        "--latency",
        "250ms",
        "--prometheus",
        PROMETHEUS_URL,
    ]);
    let output = slo.args(["--pack", "application", "-o", "json"]).output().unwrap();
    let said = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
    assert_eq!(output.status.code(), Some(10), "{slow} of {requests} are slow: {said}");
    let report: Value = serde_json::from_str(&said).unwrap();
    let latency = &report["latency"];
    assert_eq!(latency["underSeconds"], 0.25, "{said}");
    // Both pods are younger than an hour, and count with all that they have served.
    let hour = latency["windows"].as_array().unwrap().iter().find(|window| window["seconds"] == 3600).unwrap();
    assert_eq!((hour["total"].as_u64(), hour["bad"].as_u64()), (Some(requests), Some(slow)), "{said}");
}
