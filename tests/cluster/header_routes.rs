//! Requests that go to the new version by what they carry, and mirrored requests whose responses are discarded.

use crate::lane;
use crate::limits::binomial_999;
use crate::load::{Load, Plan, Tally};
use crate::shop::{PATIENCE, Shop, TWO_WEIGHTS, assert_all_well, changed};
use crate::wait::wait_until;
use std::thread::sleep;
use std::time::Duration;

/// The shop without an analysis and with other steps.
fn shop(namespace: &'static str, steps: &str) -> Shop {
    let analysis = "  analysis: {templates: [{name: errors}]}\n";
    let shop = Shop::apply(namespace, &changed(&Shop::yaml(), &[(analysis, ""), (TWO_WEIGHTS, steps)]));
    shop.wait_for_stable(1);
    shop.answers("v1");
    shop
}

/// Requests with or without a header, as fast as they go well on two cores.
fn send(shop: &Shop, requests: u64, header: Option<(&str, &str)>) -> Tally {
    let plan = Plan::mesh(&format!("web.{}", shop.namespace), 1000.0).limit(requests);
    let plan = header.into_iter().fold(plan, |plan, (name, value)| plan.header(name, value));
    let tally = Load::launch(plan).finish().unwrap();
    assert_eq!(tally.lost(), 0, "{header:?}: {tally:?}");
    tally
}

#[track_caller]
fn all_reach(shop: &Shop, requests: u64, header: Option<(&str, &str)>, version: &str) {
    let tally = send(shop, requests, header);
    assert_eq!(tally.of(version), requests, "{header:?}: {tally:?}");
}

/// The names of the entries of the VirtualService.
fn entries(shop: &Shop) -> Vec<String> {
    let route = lane().get(shop.namespace, "virtualservice", "web").unwrap();
    let entries = route["spec"]["http"].as_array().unwrap();
    entries.iter().map(|entry| entry["name"].as_str().unwrap_or_default().to_owned()).collect()
}

const TESTERS: &str = "
      - setHeaderRoute:
          name: testers
          match: [{header: {name: X-Canary, exact: 'true'}}, {cookie: {name: beta, prefix: 'on'}}]
      - pause: {}
      - setWeight: 20
      - pause: {}
";
const BY_HEADER: Option<(&str, &str)> = Some(("x-canary", "true"));
const BY_COOKIE: Option<(&str, &str)> = Some(("cookie", "session=a1; beta=on-1; theme=dark"));

#[test]
fn every_request_of_a_tester_reaches_the_new_version_until_the_abort() {
    let shop = shop("testers", TESTERS);
    let users = shop.users();
    shop.release("v2");
    shop.wait_for_pause(1);
    for tester in [BY_HEADER, BY_COOKIE] {
        all_reach(&shop, 10_000, tester, "v2");
    }
    for other in [Some(("x-canary", "false")), Some(("cookie", "beta=off")), Some(("cookie", "xbeta=on"))] {
        all_reach(&shop, 500, other, "v1");
    }
    let tally = users.tally();
    assert_eq!(tally.of("v1"), tally.sent, "at weight 0 nobody else: {tally:?}");

    shop.glidepath(&["promote", "web"]).unwrap();
    shop.wait_for_pause(3);
    let others = send(&shop, 4000, None);
    let limits = binomial_999(others.sent, 0.2);
    assert!(limits.contains(&others.of("v2")), "outside {limits:?}: {others:?}");
    all_reach(&shop, 1000, BY_HEADER, "v2");

    let remove = r#"[{"op": "test", "path": "/spec/http/0/name", "value": "glidepath-testers"},
        {"op": "remove", "path": "/spec/http/0"}]"#;
    lane().kubectl(&["patch", "virtualservice", "web", "-n", "testers", "--type=json", "-p", remove]).unwrap();
    wait_until(PATIENCE, "the entry to come back", || entries(&shop) == ["glidepath-testers", "primary"]);
    let status = shop.wait("calm", |status| status["phase"] == "Paused" && status["weights"]["settled"] == true);
    assert_eq!((&status["stepIndex"], &status["attempt"]), (&3.into(), &1.into()), "the step is kept");
    all_reach(&shop, 1000, BY_COOKIE, "v2");

    shop.glidepath(&["abort", "web"]).unwrap();
    shop.wait("the abort", |status| status["course"] == "Aborted");
    wait_until(PATIENCE, "the entry to go", || entries(&shop) == ["primary"] && shop.weights() == (100, 0));
    shop.answers("v1");
    for tester in [BY_HEADER, BY_COOKIE] {
        all_reach(&shop, 1000, tester, "v1");
    }
    assert_all_well(&users.stop().unwrap());
}

const COPIES: &str = "
      - setMirrorRoute: {percent: 30}
      - pause: {}
      - setMirrorRoute: {percent: 0}
      - pause: {}
";

/// Sends requests that version 1 answers, all of them, and gives how many copies reached version 2.
fn copies_of(shop: &Shop, requests: u64, header: Option<(&str, &str)>) -> u64 {
    let before = shop.served("v2").0;
    let tally = send(shop, requests, header);
    assert_eq!(tally.of("v1"), requests, "an answer that is not v1's: {tally:?}");
    assert_all_well(&tally);
    // No one waits for a copy: the last ones may still be on their way.
    let mut last = 0;
    wait_until(PATIENCE, "the last copies to arrive", || {
        sleep(Duration::from_millis(300));
        std::mem::replace(&mut last, shop.served("v2").0) == last
    });
    last - before
}

#[test]
fn copies_reach_the_new_version_and_their_answers_nobody() {
    let shop = shop("copies", COPIES);
    // Whoever got an answer of this version would notice.
    shop.release_with_errors("v2", "1");
    shop.wait_for_pause(1);
    let copies = copies_of(&shop, 10_000, None);
    let limits = binomial_999(10_000, 0.3);
    assert!(limits.contains(&copies), "{copies} of 10,000 requests were copied, outside {limits:?}");

    let drop_mirror = r#"[{"op": "remove", "path": "/spec/http/0/mirror"}]"#;
    lane().kubectl(&["patch", "virtualservice", "web", "-n", "copies", "--type=json", "-p", drop_mirror]).unwrap();
    wait_until(PATIENCE, "the mirror to come back", || {
        let route = lane().get("copies", "virtualservice", "web").unwrap();
        route["spec"]["http"][0]["mirror"]["host"] == "web-canary"
    });
    shop.wait("calm", |status| status["phase"] == "Paused" && status["weights"]["settled"] == true);
    assert!(copies_of(&shop, 1000, None) > 0, "copied again");

    shop.glidepath(&["promote", "web"]).unwrap();
    shop.wait_for_pause(3);
    wait_until(PATIENCE, "Envoy to hear that nothing is copied any more", || copies_of(&shop, 100, None) == 0);
    assert_eq!(copies_of(&shop, 1000, None), 0);
    shop.glidepath(&["abort", "web"]).unwrap();
    shop.wait("the abort", |status| status["course"] == "Aborted");
    println!("mirror: {copies} of 10,000 requests were copied");
}

const COPIES_OF_TESTERS: &str = "
      - setMirrorRoute: {percent: 30, match: [{header: {name: X-Copy, exact: 'yes'}}]}
      - pause: {}
";

#[test]
fn only_requests_that_match_are_copied_and_everybody_gets_the_old_version() {
    let shop = shop("copiesof", COPIES_OF_TESTERS);
    // Whoever got an answer of this version would notice.
    shop.release_with_errors("v2", "1");
    shop.wait_for_pause(1);
    assert_eq!(entries(&shop), ["glidepath-mirror", "primary"]);
    let to_copy = Some(("x-copy", "yes"));
    let copies = copies_of(&shop, 10_000, to_copy);
    let limits = binomial_999(10_000, 0.3);
    assert!(limits.contains(&copies), "{copies} of 10,000 requests were copied, outside {limits:?}");
    for other in [None, Some(("x-copy", "no"))] {
        assert_eq!(copies_of(&shop, 2000, other), 0, "{other:?} is copied");
    }

    shop.glidepath(&["abort", "web"]).unwrap();
    shop.wait("the abort", |status| status["course"] == "Aborted");
    assert_eq!(entries(&shop), ["primary"]);
    wait_until(PATIENCE, "Envoy to hear that nothing is copied any more", || copies_of(&shop, 100, to_copy) == 0);
    println!("mirror with a match: {copies} of 10,000 requests were copied");
}
