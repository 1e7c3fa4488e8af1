//! The engine and the judges on local pods under traffic: real time, tiny windows, whole rollouts.

use std::time::Duration;

use super::*;
use crate::{
    api::{
        Percent,
        status::{Outcome, Phase},
    },
    clock::SystemClock,
    local::{
        proxy::Proxy,
        serve::Server,
        traffic::{Tally, Traffic, Users},
    },
    reconcile::tick::tick,
};

const ROLLOUT: &str = "
kind: Rollout
apiVersion: glidepath.dev/v1alpha1
metadata: {name: shop, namespace: test}
spec:
  replicas: 2
  selector: {matchLabels: {app: shop}}
  template: {spec: {containers: [{name: shop, image: shop}]}}
  settle: 100ms
  scaleDownDelay: 100ms
  abortScaleDownDelay: 100ms
  analysis: {templates: [{name: errors}]}
  strategy: {canary: {steps: [{setWeight: 50}, {observe: {}}]}}
";
const ROUTER: &str = "  services: {root: shop}\n  traffic: [{istio: {virtualServices: [{name: shop}]}}]\n";
const TEMPLATE: &str = "
metrics: [{name: errors, ratio: {bad: {builtin: errors}, total: {builtin: requests}, pass: {ceiling: 5%}}}]
settings: {window: 1s, warmUp: 1s, bake: {duration: 1s, requests: 50}, phi: 1, alpha: 0.01}
";

fn world(text: &str, proxy: Arc<Proxy>) -> LocalWorld {
    let templates = BTreeMap::from([("errors".to_owned(), serde_yaml::from_str(TEMPLATE).unwrap())]);
    LocalWorld::new(serde_yaml::from_str(text).unwrap(), templates, proxy, Arc::new(SystemClock), 5)
}

fn version(version: &str, error_rate: f64) -> Behaviour {
    let (latency, start_up) = (Duration::from_millis(5), Duration::from_millis(30));
    Behaviour { version: version.into(), error_rate, latency, start_up }
}

/// Ticks until the wanted version has come to its end and only stable has pods.
async fn until_over(world: &LocalWorld) -> RolloutStatus {
    loop {
        let now = SystemClock.now();
        world.judge(now).await;
        tick(world, &world.key(), &SystemClock).await.unwrap();
        let seen = world.observe(&world.key()).await.unwrap().unwrap().seen;
        let status = world.rollout().status.unwrap();
        let current = status.current_revision.as_ref().map(|current| current.id.clone());
        let over = current == seen.template.map(|template| template.id)
            && matches!(status.phase, Some(Phase::Healthy | Phase::Degraded))
            && seen.revisions.iter().filter(|revision| revision.pods > 0).count() == 1;
        if over {
            return status;
        }
        tokio::select! {
            () = world.changed() => {}
            () = tokio::time::sleep(Duration::from_millis(50)) => {}
        }
    }
}

/// A first deploy, a good and a bad release under traffic.
async fn three_versions(text: &str) -> (RolloutStatus, Tally, u64) {
    let proxy = Arc::new(Proxy::new(3, Duration::from_secs(60), "no ready pod"));
    let world = world(text, proxy.clone());
    let server = Server::start(move |request| proxy.clone().pass(request)).await.unwrap();
    world.release(version("v1", 0.0));
    let first = until_over(&world).await;
    assert_eq!(first.phase, Some(Phase::Healthy), "{}", first.message);
    let traffic = Traffic::start(server.address, Users::at(500));
    world.release(version("v2", 0.0));
    let good = until_over(&world).await;
    assert_eq!(good.history[0].outcome, Outcome::Promoted, "{}", good.message);
    world.release(version("v3", 0.3));
    let bad = until_over(&world).await;
    let tally = traffic.stop().await;
    server.drain().await;
    world.shut_down().await;
    (bad, tally, world.counters().in_all().total)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_good_version_is_promoted_and_a_bad_one_taken_back_without_losing_a_request() {
    for text in [format!("{ROLLOUT}{ROUTER}"), ROLLOUT.to_owned()] {
        let (status, tally, counted) = three_versions(&text).await;
        assert_eq!(status.history[0].outcome, Outcome::Aborted, "{}", status.message);
        assert!(status.history[0].reason.contains("errors"), "{}", status.history[0].reason);
        assert_eq!(status.stable_revision.unwrap().number, 2);
        assert_eq!((tally.refused, tally.transport_failures), (0, 0), "{tally:?}");
        assert_eq!((tally.sent, tally.sent), (tally.answered(), counted));
        assert!(tally.of("v2").all > 0 && tally.of("v3").errors >= 3, "{tally:?}");
        assert_eq!(tally.of("v1").errors + tally.of("v2").errors, 0);
    }
}

/// Testers reach the new version at weight 0, and copies reach it whose answers no user sees.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn header_routes_and_mirrors_lead_to_the_new_version() {
    const STEPS: &str = "{setHeaderRoute: {name: testers, match: [{cookie: {name: beta, exact: on}}]}}, \
                         {setMirrorRoute: {percent: 50}}, {pause: {}}";
    let text = format!("{ROLLOUT}{ROUTER}").replace("{setWeight: 50}, {observe: {}}", STEPS);
    let proxy = Arc::new(Proxy::new(3, Duration::from_secs(60), "no ready pod"));
    let world = world(&text, proxy.clone());
    let router = proxy.clone();
    let server = Server::start(move |request| proxy.clone().pass(request)).await.unwrap();
    world.release(version("v1", 0.0));
    until_over(&world).await;
    world.release(version("v2", 0.0));
    let seen = loop {
        world.judge(SystemClock.now()).await;
        tick(&world, &world.key(), &SystemClock).await.unwrap();
        if world.rollout().status.unwrap().phase == Some(Phase::Paused) {
            break world.observe(&world.key()).await.unwrap().unwrap().seen.route.unwrap();
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    };
    assert_eq!((seen.headers, seen.mirror), (vec!["testers".to_owned()], Some(Percent::whole(50))));
    let carried = [("cookie".parse().unwrap(), "beta=on".parse().unwrap())];
    let traffic = Traffic::start(server.address, Users { rps: 500, testers: carried.to_vec() });
    while traffic.tally().sent < 1_000 {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let tally = traffic.stop().await;
    world.shut_down().await;
    server.drain().await;
    assert_eq!(tally.testers, BTreeMap::from([("v2".to_owned(), tally.of("v2").all)]), "{tally:?}");
    assert!(tally.of("v2").all >= 20 && tally.answered() == tally.sent, "{tally:?}");
    let (all, mirrored) = (world.counters().in_all().total, router.mirrored());
    assert_eq!(all, tally.sent + mirrored);
    assert!((350..=650).contains(&mirrored), "half of those of stable: {mirrored}");
}

#[tokio::test]
async fn a_missing_template_is_refused_in_words_to_act_on() {
    let proxy = Arc::new(Proxy::new(3, Duration::from_secs(60), "no ready pod"));
    let world = world(&ROLLOUT.replace("{name: errors}", "{name: eros}"), proxy);
    world.release(version("v1", 0.0));
    let observation = world.observe(&world.key()).await.unwrap().unwrap();
    let named = crate::api::analysis::TemplateRef { name: "eros".into(), cluster_scope: false };
    let request = RunRequest { name: "shop-2".into(), templates: vec![named], ..RunRequest::default() };
    let refused = world.carry_out(&observation, &Action::EnsureRun(request)).await.unwrap_err();
    assert!(refused.to_string().contains("no AnalysisTemplate \"eros\""), "{refused}");
}
