//! Mistakes that users make: each is reported in the status and in an event, in words that say what to do, and the
//! release continues when it is fixed.

use crate::lane;
use crate::shop::{PATIENCE, Shop, changed};
use crate::wait::wait_for;
use anyhow::ensure;
use serde_json::{Value, json};

/// The shop's YAML with one text replaced.
fn with(text: &str, replacement: &str) -> String {
    changed(&Shop::yaml(), &[(text, replacement)])
}

/// The status message and one event's message say all of `words`.
fn is_told(shop: &Shop, reason: &str, words: &[&str]) {
    let says = |text: &str| words.iter().all(|word| text.contains(word));
    shop.wait(&format!("a status that says {words:?}"), |status| says(status["message"].as_str().unwrap_or_default()));
    wait_for(PATIENCE, &format!("an event {reason} that says {words:?}"), || {
        let events = shop.events(reason);
        ensure!(events.iter().any(|event| says(event)), "events with this reason: {events:?}");
        Ok(())
    })
    .unwrap();
}

#[test]
fn a_missing_service_is_told_and_mended() {
    let yaml = Shop::yaml_without("Service");
    let shop = Shop::apply("no-service", &yaml);
    is_told(&shop, "MissingService", &["Service/web", "services.root", "create it or fix the name"]);
    lane().apply(&Shop::yaml().replace("NAMESPACE", "no-service")).unwrap();
    shop.wait_for_stable(1);
}

#[test]
fn a_missing_virtual_service_is_told_and_mended() {
    let yaml = Shop::yaml_without("VirtualService");
    let shop = Shop::apply("no-route", &yaml);
    is_told(&shop, "MissingVirtualService", &["VirtualService", "no-route/web", "create it"]);
    lane().apply(&Shop::yaml().replace("NAMESPACE", "no-route")).unwrap();
    shop.wait_for_stable(1);
}

#[test]
fn a_route_that_does_not_exist_is_told_with_those_that_do() {
    let shop = Shop::apply("other-route", &with("routes: [primary]", "routes: [secondary]"));
    is_told(&shop, "RouteNotFound", &["secondary", "primary"]);
}

#[test]
fn a_missing_template_is_told_and_mended() {
    let shop = Shop::open("no-template");
    shop.patch(&json!([{"op": "replace", "path": "/spec/analysis/templates/0/name", "value": "eror"}]));
    shop.release("v2");
    is_told(&shop, "MissingTemplate", &["AnalysisTemplate/eror", "fix the name"]);
    assert_eq!(shop.weights(), (100, 0), "no traffic without the analysis that was asked for");
    shop.patch(&json!([{"op": "replace", "path": "/spec/analysis/templates/0/name", "value": "errors"}]));
    shop.wait("the first step", |status| status["stepIndex"] == 1);
}

#[test]
fn an_image_that_never_becomes_ready_fails_by_its_deadline() {
    let shop = Shop::apply("never", &with("progressDeadline: 60s", "progressDeadline: 5s"));
    shop.wait_for_stable(1);
    let container = "/spec/template/spec/containers/0";
    shop.patch(&json!([
        {"op": "replace", "path": format!("{container}/image"), "value": "v2"},
        {"op": "add", "path": format!("{container}/env/-"), "value": {"name": "NEVER_READY", "value": "yes"}},
    ]));
    shop.wait("the failure", |status| status["course"] == "Aborted");
    let (outcome, reason) = shop.last_outcome();
    assert_eq!(outcome, "Aborted");
    assert!(reason.contains("canary pod"), "the reason says what did not come up: {reason}");
    shop.answers("v1");
}

#[test]
fn an_unreachable_prometheus_and_a_wrong_query_are_told_by_name() {
    let elsewhere =
        with("templates: [{name: errors}]", "templates: [{name: errors}], prometheus: {address: 'http://127.0.0.1:9'}");
    let shop = Shop::apply("no-prometheus", &elsewhere);
    shop.wait_for_stable(1);
    let users = shop.users();
    shop.release("v2");
    shop.wait("a metric that says why there is no number", |status| {
        let metric = &status["metrics"][0];
        metric["verdict"] == "NoData" && metric.to_string().contains("127.0.0.1:9")
    });
    let told = shop.glidepath(&["status", "web"]).unwrap();
    assert!(told.contains("127.0.0.1:9"), "{told}");
    drop(users);

    let wrong = with("bad: {builtin: errors}", "bad: {prometheus: {counter: 'http_requests_total{code=~\"[\"}'}}");
    let shop = Shop::apply("wrong-query", &wrong);
    shop.wait_for_stable(1);
    let users = shop.users();
    shop.release("v2");
    shop.wait("a metric or a message that shows the query's fault", |status| {
        let text = format!("{}{}", status["metrics"], status["message"]);
        text.contains("regexp") || text.contains("http_requests_total")
    });
    drop(users);
}

/// Rule S7: the younger of two Rollouts that select the same pods writes nothing until the older is gone.
#[test]
fn a_second_rollout_for_the_same_pods_waits_for_the_first_to_go() {
    let shop = Shop::open("twice");
    // Who has a stable revision goes first; of two that were created in one second the uid would decide.
    shop.wait_for_stable(1);
    let second = "
apiVersion: glidepath.dev/v1alpha1
kind: Rollout
metadata: {name: copy, namespace: twice}
spec:
  replicas: 2
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web, tier: front}}
    spec: {containers: [{name: web, image: v9}]}
  strategy: {canary: {steps: []}}";
    lane().apply(second).unwrap();
    let copy = || lane().get("twice", "gro", "copy").unwrap();
    wait_for(PATIENCE, "the younger to be told", || {
        let status = copy()["status"].take();
        let message = status["message"].as_str().unwrap_or_default();
        ensure!(status["reason"] == "ClaimedBy" && message.contains("Rollout twice/web"), "{status}");
        Ok(())
    })
    .unwrap();
    shop.wait_for_stable(1);
    let sets = || lane().kubectl(&["get", "rs", "-n", "twice", "-o", "name"]).unwrap();
    assert!(!sets().contains("copy"), "the younger made something: {}", sets());

    lane().kubectl(&["delete", "gro", "web", "-n", "twice", "--timeout=60s"]).unwrap();
    wait_for(PATIENCE, "the younger to go on", || {
        ensure!(copy()["status"]["phase"] == "Healthy", "{}", copy()["status"]);
        Ok(())
    })
    .unwrap();
}

/// What only our own validator finds stops that Rollout and no other.
#[test]
fn an_invalid_rollout_is_told_and_stops_no_other() {
    let shop = Shop::open("invalid");
    shop.patch(&json!([{"op": "add", "path": "/spec/strategy/canary/steps/0/pause", "value": {}}]));
    is_told(&shop, "InvalidSpec", &["steps[0]", "exactly one of"]);
    Shop::open("beside");
    shop.patch(&json!([{"op": "remove", "path": "/spec/strategy/canary/steps/0/pause"}]));
    shop.wait_for_stable(1);
}

/// What the API server refuses at once, in its own words, which come from our schema.
#[test]
fn nonsense_is_refused_when_it_is_applied() {
    Shop::open("nonsense");
    let cases: [(Value, &str); 4] = [
        (json!([{"op": "replace", "path": "/spec/strategy/canary/steps/0/setWeight", "value": 140}]), "setWeight"),
        (json!([{"op": "add", "path": "/spec/strategy/canary/steps/1/pause", "value": {}}]), "exactly one of"),
        (json!([{"op": "replace", "path": "/spec/selector/matchLabels/app", "value": "other"}]), "selector"),
        (json!([{"op": "replace", "path": "/spec/settle", "value": "soon"}]), "settle"),
    ];
    for (patch, word) in cases {
        let patch = patch.to_string();
        let refused = lane().kubectl(&["patch", "gro", "web", "-n", "nonsense", "--type=json", "-p", &patch]);
        let message = refused.expect_err(&patch).to_string();
        assert!(message.contains(word), "{patch} is refused without naming {word}: {message}");
    }
}
