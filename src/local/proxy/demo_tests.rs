//! The proxy under the demo's load: shares follow the weights, and nothing is lost whatever moves behind it.

use std::time::Duration;

use super::*;
use crate::{
    api::Percent,
    clock::SystemClock,
    engine::RouteIntent,
    local::{
        counters::Counters,
        pods::{Behaviour, Pod},
        proxy::Choice,
        serve::Server,
        traffic::{Tally, Traffic, Users},
    },
};

fn behaviour(version: &str, latency_ms: u64) -> Behaviour {
    Behaviour {
        version: version.into(),
        error_rate: 0.0,
        latency: Duration::from_millis(latency_ms),
        start_up: Duration::from_millis(20),
    }
}

struct Bench {
    counters: Counters,
    chance: Arc<Chance>,
}

impl Bench {
    fn new() -> Self {
        Bench { counters: Counters::new(Arc::new(SystemClock)), chance: Arc::new(Chance::new(1)) }
    }

    async fn pod(&self, behaviour: &Behaviour) -> Pod {
        Pod::start(behaviour, &behaviour.version, &self.counters, self.chance.clone()).await.unwrap()
    }

    async fn pods(&self, version: &str, count: usize, latency_ms: u64) -> Vec<Pod> {
        let mut pods = Vec::new();
        for _ in 0..count {
            pods.push(self.pod(&behaviour(version, latency_ms)).await);
        }
        pods
    }
}

fn table(stable: &[Pod], canary: &[Pod], weight: u32) -> Table {
    let weight = RouteIntent { canary: Percent::whole(weight), ..RouteIntent::default() };
    Table {
        stable: stable.iter().map(Pod::backend).collect(),
        canary: Some(canary.iter().map(Pod::backend).collect()),
        choice: Choice::new(&weight),
    }
}

/// A proxy, and the server before it.
async fn proxy(seed: u64) -> (Arc<Proxy>, Server) {
    let proxy = Arc::new(Proxy::new(seed, Duration::from_secs(60), "no ready pod"));
    let serving = proxy.clone();
    (proxy, Server::start(move |request| serving.clone().pass(request)).await.unwrap())
}

/// Until so many requests are answered: a condition on traffic, not on time.
async fn until_answered(traffic: &Traffic, count: u64) -> Tally {
    loop {
        let tally = traffic.tally();
        if tally.answered() + tally.refused + tally.transport_failures >= count {
            return tally;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

fn assert_none_lost(tally: &Tally, counters: &Counters) {
    assert_eq!((tally.refused, tally.transport_failures), (0, 0), "{tally:?}");
    assert_eq!(tally.sent, tally.answered(), "{tally:?}");
    assert_eq!(tally.sent, counters.in_all().total, "sent and answered by pods");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn shares_follow_the_weight_and_both_counts_agree() {
    let bench = Bench::new();
    let (old, new) = (bench.pods("v1", 3, 0).await, bench.pods("v2", 1, 0).await);
    let (proxy, server) = proxy(11).await;
    proxy.set(table(&old, &new, 25));
    let traffic = Traffic::start(server.address, Users::at(2_000));
    until_answered(&traffic, 4_000).await;
    let tally = traffic.stop().await;
    server.drain().await;
    assert_none_lost(&tally, &bench.counters);
    for version in ["v1", "v2"] {
        assert_eq!(tally.of(version).all, bench.counters.so_far(version).total, "{version}");
    }
    // 99.9 % of a binomial lie within 3.29 standard deviations.
    let (n, seen) = (tally.sent as f64, tally.of("v2").all as f64);
    let allowed = 3.29 * (n * 0.25 * 0.75).sqrt();
    assert!((seen - n * 0.25).abs() <= allowed, "{seen} of {n}, allowed {allowed:.0} off");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_lost_while_weights_flip_and_pods_go() {
    let bench = Bench::new();
    let mut old = bench.pods("v1", 4, 10).await;
    let (proxy, server) = proxy(12).await;
    proxy.set(table(&old, &[], 0));
    let traffic = Traffic::start(server.address, Users::at(500));
    let mut answered = 0;
    for round in 0..8 {
        let mut new = bench.pods("v2", 2, 10).await;
        for weight in [25, 100, 50, 0, 100] {
            proxy.set(table(&old, &new, weight));
            answered += 25;
            until_answered(&traffic, answered).await;
        }
        // The old pods leave the table with requests under way, then drain; the new ones take their place.
        proxy.set(table(&new, &[], 0));
        for pod in old.drain(..) {
            pod.drain().await;
        }
        let more = bench.pods("v2", 2, 10).await;
        new.extend(more);
        assert_eq!(new.len(), 4, "round {round}");
        old = new;
    }
    let tally = traffic.stop().await;
    server.drain().await;
    assert!(tally.sent >= 1_000, "{tally:?}");
    assert_none_lost(&tally, &bench.counters);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_route_without_pods_answers_503_and_says_so() {
    let (_, server) = proxy(13).await;
    let traffic = Traffic::start(server.address, Users::at(200));
    until_answered(&traffic, 20).await;
    let tally = traffic.stop().await;
    assert_eq!(tally.refused, tally.sent);
    assert_eq!(tally.statuses.get(&503), Some(&tally.sent));
    server.drain().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bad_version_answers_500_at_its_rate() {
    let bench = Bench::new();
    let bad = Behaviour { error_rate: 0.05, ..behaviour("v3", 0) };
    let pods = vec![bench.pod(&bad).await];
    let (proxy, server) = proxy(14).await;
    proxy.set(table(&pods, &[], 0));
    let traffic = Traffic::start(server.address, Users::at(2_000));
    until_answered(&traffic, 2_000).await;
    let tally = traffic.stop().await;
    server.drain().await;
    assert_none_lost(&tally, &bench.counters);
    let (n, seen) = (tally.sent as f64, tally.of("v3").errors as f64);
    assert!((seen - n * 0.05).abs() <= 3.29 * (n * 0.05 * 0.95).sqrt(), "{seen} of {n}");
    assert_eq!(tally.of("v3").errors, bench.counters.so_far("v3").bad);
}
