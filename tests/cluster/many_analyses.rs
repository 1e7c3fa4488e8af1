//! What many background analyses cost: queries, by a counter in front of the real Prometheus; writes, by the API server's
//! own log; and processor time. The runs are copies of a real one, each with arms of its own, so that no two can share an
//! answer by chance.
//!
//! `make test-long` runs it, with the binary that users run (`GLIDEPATH_MEASURED`): what is promised of a thousand says little
//! of a few.

use crate::controller::{Apart, away};
use crate::front::{self, Then};
use crate::http::get_ok;
use crate::lane;
use crate::measured::{memory, processor_time, program};
use crate::node;
use crate::relay::leader;
use crate::shop::{PATIENCE, Shop};
use crate::wait::wait_until;
use futures::{StreamExt, TryStreamExt, stream};
use glidepath::api::AnalysisRun;
use kube::Api;
use kube::api::PostParams;
use serde_json::{Value, json};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::sleep;
use std::time::Duration;

const MANY: u64 = 1_000;
/// Requests of ours in flight at most.
const CALLS: usize = 32;
const NAME: &str = "analyses";
const LISTEN: &str = "127.0.0.1:8096";
/// Seconds of a window.
const WINDOW: u64 = 10;
/// Windows that are looked at: a minute's.
const WINDOWS: u64 = 6;

/// The shop's run in progress, to be asked at another address.
fn sample(address: SocketAddr) -> Value {
    let run = lane().get(NAME, "gar", "web-2-1-background").unwrap();
    let mut spec = run["spec"].clone();
    spec["background"] = true.into();
    spec["prometheus"] = json!({"address": format!("http://{address}")});
    spec["settings"]["window"] = format!("{WINDOW}s").into();
    spec["settings"]["bake"] = json!({"duration": "1h", "requests": 1_000_000});
    spec
}

fn create(count: u64, spec: &Value) {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let of = |number: u64| {
        let mut spec = spec.clone();
        // Every tenth has the pods of the shop.
        if !number.is_multiple_of(10) {
            spec["arms"]["canary"] = format!("web-{number}-canary").into();
            spec["arms"]["stable"] = format!("web-{number}-stable").into();
        }
        let object = json!({"apiVersion": "glidepath.dev/v1alpha1", "kind": "AnalysisRun",
            "metadata": {"name": format!("many-{number}"), "namespace": NAME}, "spec": spec});
        serde_json::from_value::<AnalysisRun>(object).unwrap()
    };
    let created = runtime.block_on(async {
        let api: Api<AnalysisRun> = Api::namespaced(node::client(&lane().kubeconfig()).await?, NAME);
        let all = stream::iter(0..count).map(|number| {
            let (api, run) = (api.clone(), of(number));
            async move { api.create(&PostParams::default(), &run).await }
        });
        all.buffer_unordered(CALLS).try_collect::<Vec<_>>().await?;
        anyhow::Ok(())
    });
    created.unwrap();
}

/// Successful writes of runs so far, as the controller counts its requests.
fn writes() -> u64 {
    let page = get_ok(&format!("http://{LISTEN}/metrics")).unwrap();
    let of_runs = page.lines().filter(|line| {
        let reads = ["get", "list", "watch"].iter().any(|verb| line.contains(&format!("verb=\"{verb}\"")));
        line.starts_with("glidepath_api_requests_total{") && line.contains("analysisruns") && !reads
    });
    of_runs.filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).sum::<f64>() as u64
}

#[test]
#[ignore = "it takes three minutes and a release build: make test-long"]
fn many_analyses_share_their_queries_and_write_seldom() {
    let asked = std::env::var("GLIDEPATH_ANALYSES").ok();
    let count = asked.map_or(MANY, |text| text.parse().expect("GLIDEPATH_ANALYSES is a number"));
    let queries: Arc<AtomicU64> = Arc::default();
    let counter = Arc::clone(&queries);
    let address = front::start(move |_| {
        counter.fetch_add(1, Ordering::Relaxed);
        Then::Pass
    });
    let shop = Shop::open(NAME);
    let users = shop.users();
    shop.release("v2");
    shop.wait_for_pause(2);
    let spec = sample(address);
    let away = away();
    let apart = Apart::new(NAME, LISTEN, "127.0.0.1:6443".parse().unwrap());
    let mut server = apart.start_program(&program());
    wait_until(PATIENCE, "it to lead", || leader() == NAME);
    create(count, &spec);
    let judged = || {
        let text = lane().kubectl(&["get", "gar", "-n", NAME, "-o", "json"]).unwrap();
        let list: Value = serde_json::from_str(&text).unwrap();
        let runs = list["items"].as_array().cloned().unwrap_or_default();
        let many = |run: &&Value| run["metadata"]["name"].as_str().is_some_and(|name| name.starts_with("many-"));
        runs.iter().filter(many).filter(|run| run["status"]["metrics"][0].is_object()).count() as u64
    };
    wait_until(PATIENCE * 3, "every run to be looked at", || judged() == count);

    // The first minute has the first verdicts, each of which is recorded at once.
    sleep(Duration::from_secs(60));
    let before = (queries.load(Ordering::Relaxed), writes(), processor_time(server.id()));
    sleep(Duration::from_secs(WINDOW * WINDOWS));
    let queries = queries.load(Ordering::Relaxed) - before.0;
    let (writes, busy) = (writes() - before.1, processor_time(server.id()) - before.2);
    // One for the bad events and one for all.
    let alone = count * WINDOWS * 2;
    println!(
        "{count} analyses, a window every {WINDOW} s, for {} s: {queries} queries ({alone} if each asked alone, 1/{:.0}), \
         {writes} writes, {busy:.2?} of processor time, {:.1} MB",
        WINDOW * WINDOWS,
        alone as f64 / queries.max(1) as f64,
        memory(server.id(), "VmRSS") as f64 / f64::from(1 << 20)
    );
    server.leave().unwrap();
    drop(away);
    drop(users);
    lane().kubectl(&["delete", "namespace", NAME, "--wait=false"]).unwrap();
    assert!(queries >= WINDOWS, "they were asked at all: {queries}");
    // A run whose record falls on the edge of the minute is counted twice.
    assert!(writes * 20 <= count * 21, "{writes} writes");
    assert!(queries * 50 <= alone, "{queries} queries");
    assert!(busy <= Duration::from_secs(2), "{busy:?}");
}
