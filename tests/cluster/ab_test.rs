//! Two versions side by side until their users have decided: cookies that keep users, headers that choose them, and a goal.

use crate::http::get;
use crate::lane;
use crate::limits::binomial_999;
use crate::load::{Load, Plan, Tally};
use crate::shop::{PATIENCE, Shop, TWO_WEIGHTS, changed};
use crate::wait::wait_until;
use crate::waiting::Waiting;
use serde_json::Value;

/// A goal that counts answers without an error as conversions.
pub const ORDERS: &str = r#"
---
apiVersion: glidepath.dev/v1alpha1
kind: AnalysisTemplate
metadata: {name: orders, namespace: NAMESPACE}
spec:
  metrics:
  - name: orders
    conversion:
      successes: {prometheus: {counter: 'istio_requests_total{reporter="destination",response_code="200"}'}}
      trials: {prometheus: {counter: 'istio_requests_total{reporter="destination"}'}}
  settings: {window: 2s, warmUp: 2s}
"#;

/// The shop with an A/B test in place of its steps, and with answers of the first version that are errors.
fn shop(namespace: &'static str, test: &str, errors: &str) -> Shop {
    let strategy = format!("    canary:\n      steps:{TWO_WEIGHTS}");
    let changes = [
        ("  analysis: {templates: [{name: errors}]}\n", ""),
        (strategy.trim_end(), test),
        ("value: \"0\"", &format!("value: \"{errors}\"")),
    ];
    let shop = Shop::apply(namespace, &(changed(&Shop::yaml(), &changes) + ORDERS));
    shop.wait_for_stable(1);
    shop.answers("v1");
    shop
}

fn in_test(shop: &Shop, number: u64) -> Value {
    shop.wait_longer(PATIENCE * 2, &format!("revision {number} to be tested"), |status| {
        status["currentRevision"]["number"] == number && status["waitingFor"]["reason"] == "Testing"
    })
}

/// A new user's first request: the version that answered, and the cookie that the answer set.
fn first_answer(shop: &Shop) -> (String, Option<String>) {
    let reply = get("http://127.0.0.1:80/", &[("Host", &format!("web.{}", shop.namespace))]).unwrap();
    let header = |wanted: &str| reply.headers.iter().find(|(name, _)| name == wanted).map(|(_, value)| value.clone());
    let cookie = header("set-cookie").map(|cookie| cookie.split(';').next().unwrap().to_owned());
    (header("x-version").unwrap(), cookie)
}

fn send(shop: &Shop, requests: u64, cookie: &str) -> Tally {
    let plan = Plan::mesh(&format!("web.{}", shop.namespace), 1000.0).limit(requests);
    let cookies = format!("session=a1; {cookie}; theme=dark");
    Load::launch(plan.header("cookie", &cookies)).finish().unwrap()
}

#[track_caller]
fn all_stay(shop: &Shop, requests: u64, cookie: &str, version: &str) {
    let tally = send(shop, requests, cookie);
    assert_eq!((tally.lost(), tally.of(version)), (0, requests), "{cookie}: {tally:?}");
}

/// The names of the entries of the VirtualService.
fn entries(shop: &Shop) -> Vec<String> {
    let route = lane().get(shop.namespace, "virtualservice", "web").unwrap();
    let entries = route["spec"]["http"].as_array().unwrap();
    entries.iter().map(|entry| entry["name"].as_str().unwrap_or_default().to_owned()).collect()
}

/// What no one counts, so that only users end the test.
const STICKY: &str = "    abTest:
      weight: 50
      sticky: {cookie: variant, ttl: 1h}
      goal: {templates: [{name: orders}]}
      minDuration: 1h
      maxDuration: 2h";

#[test]
fn users_stay_where_they_were_drawn_until_all_are_moved() {
    let shop = shop("sticky", STICKY, "0");
    assert_eq!(first_answer(&shop), ("v1".to_owned(), None), "no test, no cookie");
    shop.release("v2");
    in_test(&shop, 2);

    let drawn: Vec<(String, Option<String>)> = (0..400).map(|_| first_answer(&shop)).collect();
    let to_candidate = drawn.iter().filter(|(version, _)| version == "v2").count() as u64;
    let limits = binomial_999(400, 0.5);
    assert!(limits.contains(&to_candidate), "{to_candidate} of 400 users met the candidate, outside {limits:?}");
    let cookie = |wanted: &str| {
        let cookies = drawn.iter().filter(|(version, _)| version == wanted).map(|(_, cookie)| cookie.clone().unwrap());
        let mut cookies: Vec<String> = cookies.collect();
        cookies.dedup();
        assert_eq!(cookies.len(), 1, "one cookie for all of {wanted}: {cookies:?}");
        cookies.remove(0)
    };
    let (control, candidate) = (cookie("v1"), cookie("v2"));
    assert!(control.ends_with(".control") && candidate.ends_with(".candidate"), "{control}, {candidate}");
    for (cookie, version) in [(&candidate, "v2"), (&control, "v1")] {
        all_stay(&shop, 10_000, cookie, version);
    }
    let stranger = send(&shop, 2000, "variant=glidepath.another-1.candidate");
    let limits = binomial_999(2000, 0.5);
    assert!(limits.contains(&stranger.of("v2")), "another test's cookie draws anew: {stranger:?}");

    let remove = r#"[{"op": "test", "path": "/spec/http/1/name", "value": "glidepath-sticky-control"},
        {"op": "remove", "path": "/spec/http/1"}]"#;
    lane().kubectl(&["patch", "virtualservice", "web", "-n", "sticky", "--type=json", "-p", remove]).unwrap();
    wait_until(PATIENCE, "the entry to come back", || entries(&shop).len() == 3);
    wait_until(PATIENCE, "Envoy to keep users again", || send(&shop, 200, &control).of("v1") == 200);

    // An operator's word ends the test. Users of both variants ask on: no one of the candidate's sees control again.
    let users = Load::launch(Plan::mesh("web.sticky", 200.0).header("cookie", &candidate));
    shop.glidepath(&["promote", "web"]).unwrap();
    shop.wait_for_stable(2);
    let tally = users.stop().unwrap();
    assert_eq!((tally.lost(), tally.of("v2")), (0, tally.sent), "{tally:?}");
    assert_eq!(entries(&shop), ["primary"]);
    assert_eq!(first_answer(&shop), ("v2".to_owned(), None));
    println!("sticky: {to_candidate} of 400 users drew the candidate; 20,000 of 20,000 requests stayed");
}

const BY_HEADER: &str = "    abTest:
      match: [{header: {name: x-beta, exact: 'yes'}}]
      goal: {templates: [{name: orders}]}
      minDuration: 10s
      maxDuration: 3m";

/// Users with the header and without, while a test is on.
fn both(shop: &Shop) -> [Load; 2] {
    let plan = || Plan::mesh(&format!("web.{}", shop.namespace), 100.0);
    [Load::launch(plan().header("x-beta", "yes")), Load::launch(plan())]
}

#[test]
fn the_better_version_wins_and_the_worse_one_is_not_kept() {
    // Version 1 fails one order in three; version 2 none.
    let shop = shop("orders", BY_HEADER, "0.33");
    let users = both(&shop);
    shop.release_with_errors("v2", "0");
    let status = in_test(&shop, 2);
    assert_eq!(status["weights"]["headers"], serde_json::json!(["candidate"]));
    shop.wait_for_stable(2);
    let (outcome, _) = shop.last_outcome();
    assert_eq!(outcome, "Promoted");
    let won = shop.events("CandidateWins");
    assert!(won.len() == 1 && won[0].starts_with("the candidate won: orders: "), "{won:?}");

    // Version 3 fails one in three again: the pipeline that waits for it gets the outcome that version 2 stays.
    let status = shop.status();
    shop.release_with_errors("v3", "0.33");
    let waiting = Waiting::start("orders", &["web", "web=v3"]).unwrap();
    let end = waiting.end();
    assert_eq!(end.code, 13, "{}", end.text);
    let kept = shop.wait("the end of the test", |status| status["course"] == "Kept");
    assert_eq!((&kept["phase"], &kept["reason"]), (&"Healthy".into(), &"KeptControl".into()));
    assert_eq!(kept["stableRevision"], status["stableRevision"]);
    let (outcome, reason) = shop.last_outcome();
    assert_eq!(outcome, "KeptControl");
    assert!(reason.starts_with("control won: orders: "), "{reason}");
    shop.answers("v2");
    assert_eq!(entries(&shop), ["primary"]);
    let lost: Vec<u64> = users.into_iter().map(|load| load.stop().unwrap().lost()).collect();
    assert_eq!(lost, [0, 0], "no request was lost on the way");
    println!("by header: {}; {reason}", won[0]);
}
