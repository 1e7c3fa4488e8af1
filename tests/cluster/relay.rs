//! Two controllers, of which one leads: when it dies or leaves in the middle of a step the other continues.

use crate::controller::controller;
use crate::lane;
use crate::server::Server;
use crate::shop::{PATIENCE, Shop, assert_all_well};
use crate::wait::wait_until;
use serde_json::Value;
use std::time::{Duration, Instant};

/// Who holds the Lease.
pub fn leader() -> String {
    let lease = lane().get("glidepath", "lease", "glidepath-controller").unwrap();
    lease["spec"]["holderIdentity"].as_str().unwrap_or_default().to_owned()
}

/// The second controller. Whatever becomes of the test, the first one serves the others again.
struct Second(Option<Server>);

impl Second {
    /// An orderly end, as a drained node gives it.
    fn leave(&mut self) {
        self.0.take().unwrap().leave().unwrap();
    }
}

impl Drop for Second {
    fn drop(&mut self) {
        if let Some(mut server) = self.0.take() {
            server.kill();
            controller().crash_and_restart();
        }
    }
}

fn in_observation(shop: &Shop, step: u64) {
    shop.wait(&format!("evidence at step {step}"), |status| {
        status["stepIndex"] == step && status["metrics"][0]["canary"].as_str().is_some_and(|text| text.contains('/'))
    });
}

fn run() -> Value {
    lane().get("relay", "gar", "web-2-1-background").unwrap()
}

#[test]
fn the_other_controller_goes_on_when_the_leader_dies_or_leaves() {
    let shop = Shop::open("relay");
    let users = shop.users();
    wait_until(PATIENCE, "the first to lead", || leader() == "glidepath-0");
    let mut second = Second(Some(controller().stand_by()));
    shop.release("v2");
    in_observation(&shop, 1);
    assert_eq!(leader(), "glidepath-0");
    let before = run();

    let began = Instant::now();
    controller().crash();
    wait_until(PATIENCE, "the second to lead", || leader() == "glidepath-1");
    let taken = began.elapsed();
    shop.wait_for_pause(2);
    assert_eq!(shop.weights(), (80, 20));
    let after = run();
    let told = |run: &Value| (run["metadata"]["uid"].clone(), run["status"]["startedAt"].clone());
    assert_eq!(told(&before), told(&after), "the same run, begun once");

    controller().restart();
    shop.glidepath(&["promote", "web"]).unwrap();
    in_observation(&shop, 4);
    let asked = Instant::now();
    second.leave();
    println!("an orderly end took {:.1?}", asked.elapsed());
    let began = Instant::now();
    assert_ne!(leader(), "glidepath-1", "an orderly end gives the Lease back");
    wait_until(PATIENCE, "the first to lead again", || leader() == "glidepath-0");
    let handed = began.elapsed();
    assert!(handed < Duration::from_secs(8), "nobody waits for a Lease that was given back: {handed:?}");
    shop.wait_for_pause(5);
    shop.glidepath(&["promote", "web"]).unwrap();
    shop.wait_for_stable(2);
    shop.answers("v2");
    assert_all_well(&users.stop().unwrap());

    let mut steps = shop.events("StepCompleted");
    steps.sort();
    let once = (1..=6).map(|step| format!("step {step} of 6 completed")).collect::<Vec<_>>();
    assert_eq!(steps, once, "each step is done once");
    assert_eq!(shop.status()["attempt"], 1);
    let sets = lane().kubectl(&["get", "rs", "-n", "relay", "-o", "name"]).unwrap();
    assert_eq!(sets.lines().count(), 2, "one per version: {sets}");
    println!("two controllers: the Lease was taken {taken:.1?} after a crash, {handed:.1?} after an orderly end");
}
