//! The exit codes of `set image --wait`, which pipelines branch on. (10 by evidence is in `application_pack` and
//! `envoy_pack`, with the traffic that it takes.)

use crate::shop::{Shop, changed};
use crate::waiting::{End, Waiting};
use serde_json::{Value, json};

/// A service without a mesh and without an analysis, whose releases consist of one weight and these waits.
fn shop(namespace: &'static str) -> Shop {
    let changes = [
        ("replicas: 4", "replicas: 2"),
        ("  analysis: {templates: [{name: errors}]}\n", ""),
        ("observe: {atLeast: 4s, atMost: 3m}", "pause: {duration: 1s}"),
    ];
    let shop = Shop::apply(namespace, &changed(include_str!("config/plain.yaml"), &changes));
    shop.wait_for_stable(1);
    shop
}

fn steps(shop: &Shop, waits: &Value) {
    let steps = json!([{"setWeight": 50}, {"pause": waits}]);
    shop.patch(&json!([{"op": "replace", "path": "/spec/strategy/canary/steps", "value": steps}]));
}

fn set_image(shop: &Shop, words: &[&str]) -> End {
    Waiting::start(shop.namespace, words).unwrap().end()
}

/// A release that waits in its long pause while a user waits for its end.
fn waiting_at_pause(shop: &Shop, version: &str, number: u64) -> Waiting {
    let mut waiting = Waiting::start(shop.namespace, &["web", &format!("web={version}")]).unwrap();
    shop.wait(&format!("revision {number} at its pause"), |status| {
        status["currentRevision"]["number"] == number && status["stepIndex"] == 1
    });
    waiting.still_waits().unwrap();
    waiting
}

#[track_caller]
fn ended(end: &End, code: i32, words: &[&str]) {
    assert_eq!(end.code, code, "{}", end.text);
    let missing: Vec<_> = words.iter().filter(|word| !end.text.contains(**word)).collect();
    assert!(missing.is_empty(), "{missing:?} is not in what it printed:\n{}", end.text);
}

#[test]
fn the_exit_code_says_how_the_release_ended() {
    let shop = shop("codes");

    steps(&shop, &json!({"duration": "1s"}));
    ended(&set_image(&shop, &["web", "web=v2", "--timeout", "2m"]), 0, &["image set, web=v2", "#2 is stable"]);
    ended(&set_image(&shop, &["web", "web=v2"]), 0, &["images unchanged", "#2 is stable"]);

    steps(&shop, &json!({"duration": "1h"}));
    let late = set_image(&shop, &["web", "web=v3", "--timeout", "4s"]);
    ended(&late, 11, &["not done after 4s", "the rollout continues"]);
    assert_eq!(shop.status()["course"], "Stepping", "the time limit is the command's alone");

    let waiting = waiting_at_pause(&shop, "v4", 4);
    shop.glidepath(&["abort", "web"]).unwrap();
    ended(&waiting.end(), 10, &["#4 was rolled back by "]);

    let waiting = waiting_at_pause(&shop, "v5", 5);
    shop.release("v6");
    ended(&waiting.end(), 12, &["#5 was superseded"]);

    steps(&shop, &json!({}));
    ended(&set_image(&shop, &["web", "web=v7"]), 14, &["glidepath promote web"]);
    shop.glidepath(&["promote", "web"]).unwrap();
    shop.wait_for_stable(7);
}

/// A file that was applied a moment ago: its release is waited for, whether the controller has seen it or not.
#[test]
fn a_first_deploy_that_fails_is_an_error() {
    let changes = [
        ("progressDeadline: 60s", "progressDeadline: 3s"),
        ("        image: v1\n", "        image: v1\n        env: [{name: NEVER_READY, value: 'yes'}]\n"),
    ];
    let shop = Shop::apply("stillborn", &changed(include_str!("config/plain.yaml"), &changes));
    let end = set_image(&shop, &["web", "web=v1"]);
    ended(&end, 1, &["images unchanged", "the first deploy failed"]);
}

#[test]
fn what_cannot_be_waited_for_is_an_error() {
    let shop = shop("mistakes");
    ended(&set_image(&shop, &["web", "app=v2"]), 1, &["no container \"app\"", "it has: web"]);
    ended(&set_image(&shop, &["wbe", "web=v2"]), 1, &["Rollout \"wbe\" not found in namespace \"mistakes\"", "web"]);
    ended(&set_image(&shop, &["web", "v2"]), 2, &["CONTAINER=IMAGE"]);
    assert_eq!(shop.status()["currentRevision"]["number"], 1, "a mistake releases nothing");
}
