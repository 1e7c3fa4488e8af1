//! `mesh check` on the real Prometheus (rule P1): the callers are those of Istio's metrics, also one with a single request.

use crate::exposition::serve_page;
use crate::lane::PROMETHEUS_URL;
use crate::wait::wait_until;
use crate::{glidepath, lane};
use serde_json::{Value, json};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(30);
const TEXT: &str = "text/plain; version=0.0.4";
const FILES: &str = "
apiVersion: glidepath.dev/v1alpha1
kind: MeshPolicy
metadata: {name: checkout, namespace: callers}
spec:
  target: {service: checkout}
  mesh: istio
  mtls: {mode: Strict}
  authorization: {allow: [{from: [{service: web}]}, {from: [{serviceAccount: ops}], to: [{paths: [/health]}]}]}
---
apiVersion: v1
kind: Service
metadata: {namespace: callers, name: checkout}
spec: {selector: {app: checkout}, ports: [{port: 80, name: http}]}
---
apiVersion: v1
kind: Service
metadata: {namespace: callers, name: web}
spec: {selector: {app: web}, ports: [{port: 80, name: http}]}
---
apiVersion: apps/v1
kind: Deployment
metadata: {namespace: callers, name: web}
spec: {template: {metadata: {labels: {app: web}}, spec: {serviceAccountName: front}}}
---
apiVersion: v1
kind: ServiceAccount
metadata: {namespace: callers, name: ops}
";

/// A counter of the receiving proxy, as Istio's reference of standard metrics has its labels.
fn line(counter: &str, workload: &str, account: Option<&str>, code: u16, count: u64) -> String {
    let (principal, policy) = match account {
        Some(account) => (format!("spiffe://cluster.local/ns/callers/sa/{account}"), "mutual_tls"),
        None => ("unknown".to_owned(), "none"),
    };
    format!(
        "{counter}{{reporter=\"destination\",destination_service_namespace=\"callers\",destination_service_name=\"checkout\",\
         source_workload_namespace=\"callers\",source_workload=\"{workload}\",source_principal=\"{principal}\",\
         connection_security_policy=\"{policy}\",response_code=\"{code}\"}} {count}\n"
    )
}

#[test]
fn p1_callers_are_those_that_the_real_prometheus_has_seen() {
    let lane = lane();
    let requests = Arc::new(AtomicU64::new(0));
    let counted = Arc::clone(&requests);
    // The one request of `cron` is there from the first scrape on; `blocked` was denied already.
    let page = move || {
        let count = counted.fetch_add(10, Relaxed);
        [
            line("istio_requests_total", "web", Some("front"), 200, count),
            line("istio_requests_total", "ops", Some("ops"), 200, count / 2),
            line("istio_requests_total", "cron", None, 200, 1),
            line("istio_requests_total", "blocked", Some("front"), 403, count),
            line("istio_tcp_connections_opened_total", "backup", Some("backup"), 0, 3),
        ]
        .concat()
        .into_bytes()
    };
    let target = serve_page(TEXT, page).to_string();
    std::fs::write(lane.folder().join("proxies-callers.json"), json!([{"targets": [target]}]).to_string()).unwrap();
    let web = "istio_requests_total{source_workload=\"web\",destination_service_namespace=\"callers\"}";
    wait_until(PATIENCE, "several scrapes", || {
        lane.query(web).is_ok_and(|samples| samples.first().is_some_and(|sample| sample.value > 60.0))
    });

    let files = lane.folder().join("callers.yaml");
    std::fs::write(&files, FILES).unwrap();
    let check = |format: &str| {
        let mut check = glidepath();
        check.args(["mesh", "check", "--prometheus", PROMETHEUS_URL, "--since", "1m", "-o", format]).arg(&files);
        let output = check.output().unwrap();
        (output.status.code(), String::from_utf8([output.stdout, output.stderr].concat()).unwrap())
    };
    let (code, said) = check("json");
    assert_eq!(code, Some(1), "callers would be cut: {said}");
    let report: Value = serde_json::from_str(&said).unwrap();
    let service = &report["services"][0];
    let mut answers: Vec<String> = service["callers"]
        .as_array()
        .unwrap()
        .iter()
        .map(|caller| format!("{} {}", caller["workload"].as_str().unwrap(), caller["answer"].as_str().unwrap()))
        .collect();
    answers.sort();
    assert_eq!(
        answers,
        ["callers/backup Cut", "callers/cron Cut", "callers/ops Depends", "callers/web Allowed"],
        "{said}"
    );
    assert_eq!(service["verdict"], "Cut");
    let cron =
        service["callers"].as_array().unwrap().iter().find(|caller| caller["workload"] == "callers/cron").unwrap();
    assert_eq!((cron["count"].as_f64(), &cron["mutualTLS"]), (Some(1.0), &json!(false)), "{said}");

    let (_, table) = check("table");
    println!("{table}");
    assert!(table.contains("2 would be cut; for 1 it depends"), "{table}");
    assert!(table.contains("callers/cron in plaintext") && table.contains(" 1 request "), "{table}");
    let web = table.lines().find(|line| line.contains("callers/web")).unwrap_or_default();
    assert!(web.contains("s ago") && web.contains("allowed"), "it called a moment ago: {table}");
    assert!(table.contains("cut: plaintext, and the port accepts mutual TLS alone"), "{table}");
}
