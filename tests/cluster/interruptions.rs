//! What goes wrong around a release: the controller dies, Prometheus is away, a user edits the route by hand.

use crate::component::Component;
use crate::controller::controller;
use crate::lane;
use crate::shop::{PATIENCE, Shop, assert_all_well};
use crate::wait::wait_until;
use std::thread::sleep;
use std::time::Duration;

/// `kill -9` in the middle of an observation: the evidence continues where it was, and no step is done twice.
#[test]
fn a_controller_killed_in_the_middle_of_a_step_goes_on() {
    let shop = Shop::open("killed");
    let users = shop.users();
    shop.release("v2");
    shop.wait("evidence in the first observation", |status| {
        status["stepIndex"] == 1 && status["metrics"][0]["canary"].as_str().is_some_and(|text| text.contains('/'))
    });
    let before = lane().get("killed", "gar", "web-2-1-background").unwrap();
    controller().crash_and_restart();
    shop.wait_for_pause(2);
    let after = lane().get("killed", "gar", "web-2-1-background").unwrap();
    assert_eq!(before["metadata"]["uid"], after["metadata"]["uid"], "the same run");
    let since = |run: &serde_json::Value| run["status"]["startedAt"].as_str().map(str::to_owned);
    assert_eq!(since(&before), since(&after), "its evidence began once");
    shop.glidepath(&["promote", "web"]).unwrap();
    shop.wait_for_pause(5);
    controller().crash_and_restart();
    shop.glidepath(&["promote", "web"]).unwrap();
    shop.wait_for_stable(2);
    shop.answers("v2");
    assert_all_well(&users.stop().unwrap());
    let mut steps = shop.events("StepCompleted");
    steps.sort();
    let once = (1..=6).map(|step| format!("step {step} of 6 completed")).collect::<Vec<_>>();
    assert_eq!(steps, once, "each step is done once");
}

/// Prometheus is away for a minute: nothing is concluded from that, and the release continues when it is back.
#[test]
fn a_minute_without_prometheus_decides_nothing() {
    let shop = Shop::open("blind");
    let users = shop.users();
    shop.release("v2");
    shop.wait("the first observation", |status| status["stepIndex"] == 1);
    lane().stop_component(Component::Prometheus).unwrap();
    let away = std::time::Instant::now();
    while away.elapsed() < Duration::from_secs(60) {
        let status = shop.status();
        assert_eq!((&status["stepIndex"], &status["course"]), (&1.into(), &"Stepping".into()), "{status:#}");
        sleep(Duration::from_secs(2));
    }
    let explained = shop.glidepath(&["status", "web"]).unwrap();
    assert!(
        explained.contains("the controller's Prometheus"),
        "the status says which Prometheus does not answer:\n{explained}"
    );
    lane().start_component(Component::Prometheus).unwrap();
    shop.wait_for_pause(2);
    shop.glidepath(&["promote", "web", "--full"]).unwrap();
    shop.wait_for_stable(2);
    assert_all_well(&users.stop().unwrap());
}

/// Weights set by hand are put right; what is not ours in the route stays.
#[test]
fn a_route_edited_by_hand_is_put_right_and_foreign_content_stays() {
    let shop = Shop::open("edited");
    let users = shop.users();
    shop.release("v2");
    shop.wait_for_pause(2);
    let patch = r#"[{"op": "replace", "path": "/spec/http/0/route/0/weight", "value": 10},
        {"op": "replace", "path": "/spec/http/0/route/1/weight", "value": 90},
        {"op": "add", "path": "/spec/http/0/timeout", "value": "7s"}]"#;
    lane().kubectl(&["patch", "virtualservice", "web", "-n", "edited", "--type=json", "-p", patch]).unwrap();
    wait_until(PATIENCE, "the weights to be put right", || shop.weights() == (80, 20));
    let route = lane().get("edited", "virtualservice", "web").unwrap();
    assert_eq!(route["spec"]["http"][0]["timeout"], "7s", "{route:#}");
    let status = shop.wait("calm", |status| status["phase"] == "Paused");
    assert_eq!((&status["stepIndex"], &status["attempt"]), (&2.into(), &1.into()), "the step is kept");
    shop.glidepath(&["promote", "web", "--full"]).unwrap();
    shop.wait_for_stable(2);
    let route = lane().get("edited", "virtualservice", "web").unwrap();
    assert_eq!(route["spec"]["http"][0]["timeout"], "7s", "{route:#}");
    assert_all_well(&users.stop().unwrap());
}
