//! Blue-green releases by the selector of one Service, without a router: the mesh only calls the Service, as anyone
//! would.

use crate::lane;
use crate::load::{Load, Plan, Tally};
use crate::shop::{PATIENCE, Shop, assert_all_well, changed};
use crate::wait::wait_until;
use serde_json::{Value, json};
use std::time::{Duration, Instant};

const YAML: &str = include_str!("config/blue-green.yaml");
const REVISION: &str = "glidepath.dev/revision";

fn open(namespace: &'static str, yaml: &str) -> Shop {
    let shop = Shop::apply(namespace, yaml);
    shop.wait_for_stable(1);
    shop.answers("v1");
    shop
}

/// The revision that a Service selects.
fn selected(shop: &Shop, service: &str) -> String {
    let service = lane().get(shop.namespace, "service", service).unwrap();
    service["spec"]["selector"][REVISION].as_str().unwrap_or_default().to_owned()
}

fn revision(status: &Value, which: &str) -> String {
    status[which]["id"].as_str().unwrap().to_owned()
}

/// Pods of a version that are still there.
fn pods(shop: &Shop, version: &str) -> usize {
    let counts = lane().counts(shop.namespace).unwrap();
    counts.iter().filter(|pod| pod.version == version && !pod.gone).count()
}

/// A thousand requests to one Service through the mesh.
fn thousand(shop: &Shop, service: &str) -> Tally {
    let plan = Plan::mesh(&format!("{service}.{}", shop.namespace), 500.0).limit(1000);
    Load::launch(plan).finish().unwrap()
}

/// Every one of a thousand callers gets this version.
#[track_caller]
fn everybody_gets(shop: &Shop, version: &str) {
    let tally = thousand(shop, "web");
    assert_eq!((tally.of(version), tally.lost()), (1000, 0), "{tally:?}");
}

/// Until now callers got version 1 and nothing else.
#[track_caller]
fn only_the_old_version_answered(users: &Load) {
    let tally = users.tally();
    assert!(tally.sent > 100, "too few to tell: {tally:?}");
    assert_eq!((tally.of("v1"), tally.lost()), (tally.sent, 0), "{tally:?}");
}

/// Waits until the preview is up: its Service leads to the new version, and the active one still to the old.
fn wait_for_preview(shop: &Shop, version: &str) -> Value {
    let status = shop.wait_for_pause(1);
    assert_eq!(selected(shop, "web-preview"), revision(&status, "currentRevision"));
    assert_eq!(selected(shop, "web"), revision(&status, "stableRevision"));
    wait_until(PATIENCE, "the preview to answer through its Service", || {
        thousand(shop, "web-preview").of(version) == 1000
    });
    status
}

fn runs(shop: &Shop) -> Vec<String> {
    let names = lane().kubectl(&["get", "gar", "-n", shop.namespace, "-o", "name"]).unwrap();
    names.lines().map(str::to_owned).collect()
}

#[test]
fn a_preview_is_promoted_by_command_and_going_back_takes_seconds() {
    let shop = open("blue", YAML);
    let first = revision(&shop.status(), "stableRevision");
    let users = shop.users();
    shop.release("v2");
    wait_for_preview(&shop, "v2");
    assert_eq!(pods(&shop, "v2"), 2, "previewReplicas");
    only_the_old_version_answered(&users);

    shop.glidepath(&["promote", "web"]).unwrap();
    let status = shop.wait("the switch", |status| status["stage"] == "PostAnalysis");
    let second = revision(&status, "currentRevision");
    assert_eq!((selected(&shop, "web"), pods(&shop, "v2")), (second.clone(), 4));
    shop.answers("v2");
    everybody_gets(&shop, "v2");
    shop.wait_for_stable(2);
    assert_eq!(lane().get("blue", "gar", "web-2-1-post").unwrap()["status"]["verdict"], "Pass");
    assert_eq!(shop.last_outcome().0, "Promoted");
    assert_eq!(pods(&shop, "v1"), 4, "the old version keeps its pods for scaleDownDelay");

    let (before, began) = (runs(&shop), Instant::now());
    shop.release("v1");
    shop.wait_for_stable(3);
    let took = began.elapsed();
    assert!(took < Duration::from_secs(10), "going back took {took:?}");
    assert_eq!((selected(&shop, "web"), shop.last_outcome().0), (first.clone(), "RolledBack".to_owned()));
    assert_eq!(runs(&shop), before, "going back needs no analysis");
    shop.answers("v1");
    everybody_gets(&shop, "v1");
    assert_eq!(selected(&shop, "web-preview"), first, "the preview rests on the active version");
    wait_until(PATIENCE, "the pods of v2 to go", || pods(&shop, "v2") == 0);
    assert_all_well(&users.stop().unwrap());
    println!("blue-green: back on v1 after {:.1} s", took.as_secs_f64());
}

#[test]
fn a_failure_after_the_switch_moves_active_back() {
    let shop = open("bluebad", YAML);
    let first = revision(&shop.status(), "stableRevision");
    let users = shop.users();
    shop.release_with_errors("v2", "0.2");
    shop.wait_for_pause(1);
    only_the_old_version_answered(&users);
    shop.glidepath(&["promote", "web"]).unwrap();
    shop.wait("the way back", |status| status["course"] == "Aborted");
    wait_until(PATIENCE, "the active Service to select v1", || selected(&shop, "web") == first);
    shop.answers("v1");
    everybody_gets(&shop, "v1");
    let tally = users.stop().unwrap();
    assert_eq!(tally.lost(), 0, "{tally:?}");
    assert!(tally.of("v2") > 0 && tally.status.contains_key(&500), "v2 was active for a while: {tally:?}");
    let (outcome, reason) = shop.last_outcome();
    assert_eq!(outcome, "Aborted");
    assert!(reason.contains("errors"), "the reason names the metric: {reason}");
    wait_until(PATIENCE, "the pods of v2 to go", || pods(&shop, "v2") == 0);
    assert_eq!((selected(&shop, "web-preview"), pods(&shop, "v1")), (first, 4));
}

/// After the switch the old version has no requests to compare with: the new one is judged alone.
#[test]
fn the_share_of_errors_judges_the_active_version_alone() {
    let threshold =
        YAML.find("    threshold:\n").unwrap()..YAML.find("      count: 8\n").unwrap() + "      count: 8\n".len();
    let ratio = "    ratio: {bad: {builtin: errors}, total: {builtin: requests}, pass: {ratio: 2, ceiling: 1%}}
  settings: {window: 2s, warmUp: 2s, bake: {duration: 5s, requests: 100}, phi: 1}
";
    let shop = open("blueratio", &YAML.replace(&YAML[threshold], ratio));
    let users = shop.users();
    shop.release("v2");
    shop.wait_for_pause(1);
    shop.glidepath(&["promote", "web"]).unwrap();
    shop.wait_for_stable(2);
    shop.answers("v2");
    assert_all_well(&users.tally());
    assert_eq!(lane().get("blueratio", "gar", "web-2-1-post").unwrap()["status"]["verdict"], "Pass");

    shop.release_with_errors("v3", "0.2");
    shop.wait("the preview", |status| status["currentRevision"]["number"] == 3 && status["phase"] == "Paused");
    shop.glidepath(&["promote", "web"]).unwrap();
    let began = Instant::now();
    shop.wait("the way back", |status| status["course"] == "Aborted");
    let took = began.elapsed();
    shop.answers("v2");
    everybody_gets(&shop, "v2");
    let (outcome, reason) = shop.last_outcome();
    assert_eq!(outcome, "Aborted");
    assert!(reason.contains("errors"), "the reason names the metric: {reason}");
    let tally = users.stop().unwrap();
    assert_eq!(tally.lost(), 0, "{tally:?}");
    let bad = tally.status.get(&500).copied().unwrap_or_default();
    println!("blue-green: 20 % of errors found {:.1} s after the promotion, {bad} seen; {reason}", took.as_secs_f64());
}

/// Releases a version whose pods take some seconds to come up.
fn release_slowly(shop: &Shop, version: &str, seconds: &str) {
    let container = "/spec/template/spec/containers/0";
    shop.patch(&json!([
        {"op": "replace", "path": format!("{container}/image"), "value": version},
        {"op": "replace", "path": format!("{container}/env/1/value"), "value": seconds},
    ]));
}

/// Aborts, and waits until everything is as it was before.
fn abort(shop: &Shop, version: &str, first: &str) {
    shop.glidepath(&["abort", "web"]).unwrap();
    shop.wait("the abort", |status| status["course"] == "Aborted");
    assert_eq!(shop.last_outcome().0, "Aborted");
    wait_until(PATIENCE, "the new version's pods to go", || pods(shop, version) == 0);
    assert_eq!([selected(shop, "web"), selected(shop, "web-preview")], [first, first]);
    assert_eq!(pods(shop, "v1"), 4);
}

#[test]
fn an_abort_in_each_phase_leaves_everybody_with_the_old_version() {
    // An analysis that outlasts the test.
    let shop = open("blueabort", &changed(YAML, &[("count: 8", "count: 600")]));
    let first = revision(&shop.status(), "stableRevision");
    let untouched = || lane().get("blueabort", "service", "web").unwrap()["metadata"]["resourceVersion"].take();
    let before = untouched();
    let users = shop.users();

    release_slowly(&shop, "v2", "8");
    shop.wait("the preview to come up", |status| {
        status["currentRevision"]["number"] == 2 && status["course"] == "Stepping" && status["stepIndex"] == 0
    });
    abort(&shop, "v2", &first);

    release_slowly(&shop, "v3", "0");
    wait_for_preview(&shop, "v3");
    abort(&shop, "v3", &first);

    release_slowly(&shop, "v4", "8");
    shop.wait_for_pause(1);
    shop.glidepath(&["promote", "web"]).unwrap();
    shop.wait("the other pods to come up", |status| status["stage"] == "Scale");
    abort(&shop, "v4", &first);
    assert_eq!(untouched(), before, "before the switch nothing writes to the active Service");
    only_the_old_version_answered(&users);

    release_slowly(&shop, "v5", "0");
    wait_for_preview(&shop, "v5");
    shop.glidepath(&["promote", "web"]).unwrap();
    shop.wait("the switch", |status| status["stage"] == "PostAnalysis");
    shop.answers("v5");
    abort(&shop, "v5", &first);
    shop.answers("v1");
    everybody_gets(&shop, "v1");
    assert_all_well(&users.stop().unwrap());
}

/// Waits until the preview is judged before the switch.
fn wait_for_judgement(shop: &Shop, number: u64) {
    shop.wait("the analysis before the switch", |status| {
        status["currentRevision"]["number"] == number && status["stepIndex"] == 1 && status["phase"] == "Progressing"
    });
}

/// The switch would come on its own: what does not pass before it is never switched to.
#[test]
fn what_fails_before_the_switch_is_never_active() {
    let before = "      autoPromotion: {enabled: false}\n      postPromotionAnalysis: {templates: [{name: errors}]}\n";
    let shop = open(
        "bluebefore",
        &changed(
            YAML,
            &[(before, "      prePromotionAnalysis: {templates: [{name: errors}]}\n"), ("count: 8", "count: 12")],
        ),
    );
    let users = shop.users();
    shop.release("v2");
    shop.wait_for_stable(2);
    shop.answers("v2");
    let active = || lane().get("bluebefore", "service", "web").unwrap()["metadata"]["resourceVersion"].take();
    let (before, second) = (active(), selected(&shop, "web"));
    let old = users.tally().of("v1");

    shop.release("v3");
    wait_for_judgement(&shop, 3);
    shop.glidepath(&["abort", "web"]).unwrap();
    shop.wait("the abort", |status| status["course"] == "Aborted");
    wait_until(PATIENCE, "the pods of v3 to go", || pods(&shop, "v3") == 0);

    shop.release_with_errors("v4", "0.2");
    wait_for_judgement(&shop, 4);
    let testers = Load::start("web-preview.bluebefore", 200.0);
    shop.wait("the rollback", |status| status["course"] == "Aborted" && status["currentRevision"]["number"] == 4);
    let (outcome, reason) = shop.last_outcome();
    assert_eq!(outcome, "Aborted");
    assert!(reason.contains("errors"), "the reason names the metric: {reason}");
    let tried = testers.stop().unwrap();
    assert!(tried.of("v4") > 0 && tried.status.contains_key(&500), "the testers met the errors: {tried:?}");
    wait_until(PATIENCE, "the pods of v4 to go", || pods(&shop, "v4") == 0);

    assert_eq!((active(), selected(&shop, "web-preview")), (before, second), "nothing wrote to the active Service");
    let tally = users.stop().unwrap();
    assert_all_well(&tally);
    assert_eq!((tally.of("v1"), tally.of("v2")), (old, tally.sent - old), "callers met no other version: {tally:?}");
}

/// A Deployment released in blue and green: deleted while the preview is up, everything is the user's again.
#[test]
fn deletion_hands_the_selectors_back_under_traffic() {
    let deployment = include_str!("config/web.yaml").replace("replicas: 2", "replicas: 4");
    let deployment = changed(&deployment, &[("shop/web:1", "v1"), (", env: [{name: VERSION, value: v1}]", "")]);
    let shop = Shop::apply("bluegone", &deployment);
    lane().kubectl(&["rollout", "status", "deployment/web", "-n", "bluegone", "--timeout=60s"]).unwrap();
    shop.answers("v1");
    let users = shop.users();
    let selector = |service: &str| lane().get("bluegone", "service", service).unwrap()["spec"]["selector"].take();
    let before = selector("web");

    let own = YAML.split("---\n").last().unwrap();
    let template = own.find("  selector:").unwrap()..own.find("  settle:").unwrap();
    let reference = "  workloadRef: {apiVersion: apps/v1, kind: Deployment, name: web, scaleDown: Progressively}\n";
    let own = own.replace(&own[template], reference);
    let own = changed(&own, &[("      postPromotionAnalysis: {templates: [{name: errors}]}\n", "")]);
    lane().apply(&own.replace("NAMESPACE", "bluegone")).unwrap();
    shop.wait_for_stable(1);
    wait_until(PATIENCE, "the active Service to be pinned", || !selected(&shop, "web").is_empty());

    lane().kubectl(&["set", "image", "deployment/web", "web=v2", "-n", "bluegone"]).unwrap();
    wait_for_preview(&shop, "v2");
    only_the_old_version_answered(&users);
    lane().kubectl(&["delete", "gro", "web", "-n", "bluegone", "--timeout=60s"]).unwrap();
    assert_eq!([selector("web"), selector("web-preview")], [before.clone(), before], "as the user wrote them");
    let back = lane().get("bluegone", "deployment", "web").unwrap();
    assert_eq!(back["spec"]["template"]["spec"]["containers"][0]["image"], "v1");
    wait_until(PATIENCE, "only the Deployment's own pods to be left", || {
        (pods(&shop, "v1"), pods(&shop, "v2")) == (4, 0)
    });
    shop.answers("v1");
    let tally = users.stop().unwrap();
    assert_all_well(&tally);
    assert_eq!(tally.of("v1"), tally.sent, "the preview is gone before the Service selects all pods: {tally:?}");
}
