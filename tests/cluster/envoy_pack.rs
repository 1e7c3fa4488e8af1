//! Releases judged by Envoy's own metrics, as the caller's Envoy counts them.

use crate::judged::Judged;
use crate::lane;
use crate::shop::{PATIENCE, Shop, TWO_WEIGHTS, assert_all_well, changed};
use crate::wait::wait_until;
use crate::waiting::Waiting;
use serde_json::json;

/// The shop with Envoy's pack, a time limit on its route, and releases that end by themselves.
fn shop() -> Shop {
    let yaml = changed(
        &Shop::yaml(),
        &[
            ("  settings:\n", "  settings:\n    pack: envoy\n"),
            ("  - name: primary\n", "  - name: primary\n    timeout: 1s\n"),
            (TWO_WEIGHTS, "\n      - setWeight: 50\n      - observe: {atLeast: 5s, atMost: 3m}\n"),
        ],
    );
    let shop = Shop::apply("caller", &yaml);
    shop.wait_for_stable(1);
    shop.answers("v1");
    shop
}

/// Requests that Envoy has sent to one of our Services.
fn sent_to(service: &str) -> u64 {
    let cluster = format!("outbound|80||{service}.caller.svc.cluster.local");
    let samples =
        lane().query(&format!(r#"sum(envoy_cluster_upstream_rq{{envoy_cluster_name="{cluster}"}})"#)).unwrap();
    samples.first().map_or(0, |sample| sample.value as u64)
}

/// The bad version answers late: Envoy gives up and counts a 504, of which the pods know nothing.
#[test]
fn envoys_own_metrics_promote_a_good_version_and_roll_back_a_bad_one() {
    let shop = shop();
    let users = shop.users();
    let good = Waiting::start("caller", &["web", "web=v2"]).unwrap().end();
    assert_eq!(good.code, 0, "{}", good.text);
    shop.answers("v2");
    assert_all_well(&users.stop().unwrap());
    let judged = Judged::of("caller", 2);
    assert_eq!((judged.pack(), judged.verdict()), ("envoy", "Pass"));
    let (canary, stable) = (judged.counted("canary"), judged.counted("stable"));
    assert!(canary.1 >= 100 && canary.1 <= sent_to("web-canary"), "{canary:?}, Envoy {}", sent_to("web-canary"));
    assert!(stable.1 >= 100 && stable.1 <= sent_to("web-stable"), "{stable:?}, Envoy {}", sent_to("web-stable"));
    assert_eq!((canary.0, stable.0), (0, 0), "nobody failed");

    let users = shop.users();
    let container = "/spec/template/spec/containers/0";
    shop.patch(&json!([
        {"op": "replace", "path": format!("{container}/image"), "value": "v3"},
        {"op": "add", "path": format!("{container}/env/-"), "value": {"name": "LATENCY_MS", "value": "500"}},
    ]));
    let bad = Waiting::start("caller", &["web", "web=v3"]).unwrap().end();
    assert_eq!(bad.code, 10, "{}", bad.text);
    assert!(bad.text.contains("errors"), "the metric is named: {}", bad.text);
    wait_until(PATIENCE, "the route to lead to stable alone", || shop.weights() == (100, 0));
    shop.answers("v2");
    let tally = users.stop().unwrap();
    let late = tally.status.get(&504).copied().unwrap_or_default();
    assert_eq!(tally.lost(), late, "nothing is lost but what the bad version kept: {tally:?}");
    let judged = Judged::of("caller", 3);
    assert_eq!((judged.pack(), judged.verdict()), ("envoy", "Fail"));
    let (bad, _) = judged.counted("canary");
    assert!(bad >= 3 && bad <= late, "{bad} counted of {tally:?}");
    let errors: u64 = lane().counts("caller").unwrap().iter().map(|pod| pod.errors).sum();
    assert_eq!(errors, 0, "the pods themselves counted no error");
}
