//! How fast the simulator is: hours of a rollout under observation, with one ratio metric, per second on one core.
//!
//! `make bench`. The whole way is measured: pods, requests, scrapes, the judges, the production tick, every invariant.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a benchmark, as a test")]

use std::time::{Duration, Instant};

use glidepath::{
    api::Rollout,
    sim::{Player, Setting, scenario::Scenario},
};
use serde_json::json;

/// The program's own allocator, as `glidepath simulate` has it.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// How long it is measured.
const MEASURED: Duration = Duration::from_secs(5);
/// How long one rollout is observed, in hours.
const OBSERVED: u32 = 6;

fn setting() -> Setting {
    let rollout: Rollout = serde_json::from_value(json!({
        "apiVersion": "glidepath.dev/v1alpha1", "kind": "Rollout", "metadata": {"name": "shop"},
        "spec": {
            "replicas": 10, "selector": {"matchLabels": {"app": "shop"}},
            "template": {"metadata": {"labels": {"app": "shop"}}, "spec": {"containers": [{"name": "app", "image": "shop:1"}]}},
            "services": {"root": "shop"},
            "traffic": [{"istio": {"virtualServices": [{"name": "shop"}]}}],
            "analysis": {"templates": [{"name": "errors"}]},
            "strategy": {"canary": {"steps": [{"setWeight": 20}, {"pause": {"duration": format!("{OBSERVED}h")}}]}},
        },
    }))
    .unwrap();
    let scenario: Scenario = serde_json::from_value(json!({
        "world": {
            "traffic": {"rps": 50},
            "versions": {"shop:1": {"errorRate": "0.1%"}, "shop:2": {"errorRate": "0.1%"}},
        },
        "timeline": [
            {"within": "1m", "expect": {"phase": "Healthy"}},
            {"deploy": {"image": "shop:2"}},
            {"within": format!("{}h", OBSERVED + 2), "expect": {"phase": "Healthy", "stableImage": "shop:2"}},
        ],
    }))
    .unwrap();
    Setting { scenario, rollout: Some(rollout), ..Setting::default() }
}

#[expect(clippy::disallowed_methods, reason = "a benchmark measures real time")]
fn now() -> Instant {
    Instant::now()
}

fn main() {
    let setting = setting();
    let (began, mut hours, mut ticks, mut requests, mut seed) = (now(), 0.0, 0, 0, 0);
    while began.elapsed() < MEASURED {
        seed += 1;
        let story = Player::new(&setting, Some(seed)).unwrap().for_statistics().play();
        assert!(story.passed(), "seed {seed}: {:?}", story.failure);
        hours += story.end as f64 / 3_600_000.0;
        ticks += story.ticks;
        requests += story.versions.iter().map(|(_, answered)| answered.total).sum::<u64>();
    }
    let seconds = began.elapsed().as_secs_f64();
    println!(
        "simulate: {:.0} rollout-hours a second on one core ({seed} rollouts of {OBSERVED} h, 10 pods, 50 requests a second, one \
         ratio metric; {:.0} ticks and {:.1} million requests a second)",
        hours / seconds,
        ticks as f64 / seconds,
        requests as f64 / seconds / 1e6
    );
}
