//! Two controllers and one Lease: whatever becomes of their requests and clocks, one of them writes traffic.

use jiff::SignedDuration;
use serde_json::json;

use super::{
    super::{
        faults::Fault,
        objects::{canary, canary_with},
        process::Process,
        scene::Scene,
    },
    s,
};

/// Two controllers, one of which leads, and a canary that waits at 20 %.
async fn at_20_percent(seed: u64) -> (Scene, usize) {
    let steps = json!([{"setWeight": 20}, {"pause": {}}, {"setWeight": 60}, {"pause": {"duration": "5s"}}]);
    let mut scene = Scene::new(seed, vec![canary_with("web", 10, steps, json!({}))]);
    scene.start_all(2);
    scene.until_healthy("web", "shop/app:1").await;
    scene.deploy("web", "shop/app:2");
    scene.until("20 %", s(120), |scene| scene.phase("web") == "Paused" && scene.weight("web") == 20).await;
    let leader = scene.leader().expect("one leads");
    (scene, leader)
}

/// The other takes over, and the release continues with it.
async fn the_other_takes_over(mut scene: Scene, leader: usize) {
    scene.until("the other leads", s(45), |scene| scene.leader().is_some_and(|now| now != leader)).await;
    scene.command("web", "promote");
    scene.until("60 %", s(60), |scene| scene.weight("web") == 60).await;
    scene.until_healthy("web", "shop/app:2").await;
    scene.pass(s(120)).await;
}

/// C6: renewals answered 500 after 4 s each left the old leader at work without end.
#[tokio::test(start_paused = true)]
async fn a_leader_whose_renewals_are_refused_slowly_gives_way() {
    let (scene, leader) = at_20_percent(1).await;
    scene.add(scene.fault(Fault::SlowWrites(s(4)), s(90)).on("leases").of(leader));
    scene.add(scene.fault(Fault::Refused(500), s(90)).on("leases").of(leader));
    the_other_takes_over(scene, leader).await;
}

/// C6: one renewal whose answer hung made two leaders for 54 s.
#[tokio::test(start_paused = true)]
async fn a_leader_whose_renewal_hangs_gives_way() {
    let (scene, leader) = at_20_percent(2).await;
    scene.add(scene.fault(Fault::RequestLost, s(60)).on("leases").of(leader));
    the_other_takes_over(scene, leader).await;
}

/// C6, the harm: the old leader, whose view of the Rollout was stale, put traffic back on the version that the new
/// leader had aborted.
#[tokio::test(start_paused = true)]
async fn an_aborted_version_gets_no_traffic_from_a_leader_that_was() {
    let (mut scene, leader) = at_20_percent(3).await;
    scene.add(scene.fault(Fault::RequestLost, s(60)).on("leases").of(leader));
    scene.add(scene.fault(Fault::WatchSilent, s(60)).on("rollouts").of(leader));
    scene.until("the other leads", s(45), |scene| scene.leader().is_some_and(|now| now != leader)).await;
    scene.command("web", "abort");
    scene.until("it is taken back", s(30), |scene| scene.weight("web") == 0).await;
    for _ in 0..120 {
        scene.pass(s(1)).await;
        assert_eq!(scene.weight("web"), 0, "{}", scene.story());
    }
}

/// C6: cut off in the middle of a release, with a write under way that arrives when the cut is over.
#[tokio::test(start_paused = true)]
async fn what_a_leader_sent_before_it_was_cut_off_does_no_harm_afterwards() {
    for (seed, after) in (10..30).zip([0, 40, 80, 120, 200, 300, 400, 500].into_iter().cycle()) {
        let mut scene = Scene::new(seed, vec![canary("web", 10)]);
        scene.start_all(2);
        scene.until_healthy("web", "shop/app:1").await;
        scene.deploy("web", "shop/app:2");
        scene.until("20 %", s(60), |scene| scene.weight("web") == 20).await;
        scene.pass(s(5) + std::time::Duration::from_millis(after * 10)).await;
        let leader = scene.leader().expect("one leads");
        scene.add(scene.fault(Fault::Held, s(40)).of(leader));
        scene.pass(s(20)).await;
        scene.command("web", "abort");
        scene
            .until("it is at rest", s(300), |scene| scene.phase("web") == "Degraded" && scene.weight("web") == 0)
            .await;
        scene.pass(s(60)).await;
    }
}

/// C6: a process that is stopped (SIGSTOP, a VM that is moved) sees all its timers late, and a rival at work.
#[tokio::test(start_paused = true)]
async fn a_leader_that_was_stopped_writes_nothing_when_it_wakes() {
    let steps = json!([{"setWeight": 20}, {"pause": {"duration": "8s"}}, {"setWeight": 60}, {"pause": {}}]);
    for (seed, stopped_for) in (40..60).zip([16, 20, 30, 61].into_iter().cycle()) {
        let mut scene = Scene::new(seed, vec![canary_with("web", 10, steps.clone(), json!({}))]);
        scene.start_all(1);
        scene.until_healthy("web", "shop/app:1").await;
        scene.deploy("web", "shop/app:2");
        scene.until("20 %", s(60), |scene| scene.weight("web") == 20).await;
        scene.pass(std::time::Duration::from_millis(seed * 173)).await;
        // No one runs while the clock leaps; then a rival has the Lease, and has taken the canary's traffic away.
        scene.cluster.leap(s(stopped_for)).await;
        scene.rival_leads();
        scene.rival_writes_weight("web", 0);
        // The rival does not renew: once its Lease has run out this process may lead again, and repairs the route.
        scene.pass(s(15)).await;
        assert_eq!(scene.weight("web"), 0, "{}", scene.story());
    }
}

/// M1: all replicas applied the Lease under one field manager, so that one whose apply was held up led next to the
/// other.
#[tokio::test(start_paused = true)]
async fn contenders_that_take_a_free_lease_at_once_do_not_both_lead() {
    for seed in 0..10 {
        let mut scene = Scene::new(seed, vec![canary("web", 6)]);
        scene.add(scene.fault(Fault::SlowWrites(s(3)), s(30)).on("leases").of(1));
        scene.start_all(2);
        scene.until_healthy("web", "shop/app:1").await;
        scene.deploy("web", "shop/app:2");
        scene.until_healthy("web", "shop/app:2").await;
    }
}

/// M2: clocks at -4 s and +4 s, each within what is tolerated, took the Lease from a healthy leader.
#[tokio::test(start_paused = true)]
async fn clocks_within_their_tolerance_take_the_lease_from_nobody() {
    for [first, second] in [[-4, 4], [4, -4]] {
        let mut scene = Scene::new(7, vec![canary("web", 6)]);
        scene.start(Process { skew: SignedDuration::from_secs(first), ..Process::new(0) });
        scene.pass(s(5)).await;
        scene.start(Process { skew: SignedDuration::from_secs(second), ..Process::new(1) });
        scene.until_healthy("web", "shop/app:1").await;
        scene.pass(s(300)).await;
        assert_eq!(scene.cluster.with(|c| c.checks.leadership.term), 1, "{}", scene.story());
    }
}

/// M3: after another replica had the Lease, running ticks wrote on for up to 10 s.
#[tokio::test(start_paused = true)]
async fn running_work_is_dropped_when_leadership_ends() {
    for seed in 0..10 {
        let mut scene = Scene::new(seed, vec![canary("web", 10), canary("api", 10), canary("pay", 10)]);
        scene.start_all(2);
        for rollout in ["web", "api", "pay"] {
            scene.until_healthy(rollout, "shop/app:1").await;
        }
        let leader = scene.leader().expect("one leads");
        scene.add(scene.fault(Fault::SlowWrites(s(4)), s(60)).of(leader));
        ["web", "api", "pay"].iter().for_each(|rollout| scene.deploy(rollout, "shop/app:2"));
        scene.pass(s(2)).await;
        scene.add(scene.fault(Fault::RequestLost, s(60)).on("leases").of(leader));
        for rollout in ["web", "api", "pay"] {
            scene.until_healthy(rollout, "shop/app:2").await;
        }
    }
}
