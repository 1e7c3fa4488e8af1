//! A restart replaces pods without a new revision, and loses no request.

use crate::lane;
use crate::shop::{PATIENCE, Shop, assert_all_well};
use crate::wait::wait_until;
use serde_json::json;
use std::collections::BTreeSet;

/// The pods of the shop that are not on their way out.
fn pods(shop: &Shop) -> BTreeSet<String> {
    let all = lane().get(shop.namespace, "pods", "--selector=app=web").unwrap();
    let live = all["items"].as_array().unwrap().iter().filter(|pod| pod["metadata"]["deletionTimestamp"].is_null());
    live.map(|pod| pod["metadata"]["uid"].as_str().unwrap().to_owned()).collect()
}

/// When the newest pod was made.
fn newest(shop: &Shop) -> String {
    let all = lane().get(shop.namespace, "pods", "--selector=app=web").unwrap();
    let made =
        all["items"].as_array().unwrap().iter().map(|pod| pod["metadata"]["creationTimestamp"].as_str().unwrap());
    made.max().unwrap().to_owned()
}

/// The times of a command, of a template's mark and of pods are whole seconds: pods of the second in which a restart is asked for
/// are not older than it, and stay.
fn wait_for_older_pods(shop: &Shop) {
    wait_until(PATIENCE, "the second in which the last pod was made to pass", || now() > newest(shop));
}

fn replaced(shop: &Shop, times: usize, before: &BTreeSet<String>) -> BTreeSet<String> {
    wait_until(PATIENCE, "the restart to end", || shop.events("Restarted").len() == times);
    let after = pods(shop);
    assert_eq!((after.len(), after.intersection(before).count()), (4, 0), "{before:?} -> {after:?}");
    let status = shop.status();
    assert_eq!((&status["phase"], &status["currentRevision"]["number"]), (&"Healthy".into(), &1.into()));
    after
}

const BUDGET: &str = "apiVersion: policy/v1
kind: PodDisruptionBudget
metadata: {name: web, namespace: restart}
spec: {maxUnavailable: 0, selector: {matchLabels: {app: web}}}
";

#[test]
fn pods_are_replaced_one_by_one_and_no_request_is_lost() {
    let shop = Shop::open("restart");
    let users = shop.users();
    let first = pods(&shop);
    wait_for_older_pods(&shop);
    let said = shop.glidepath(&["restart", "web", "--reason", "a leak"]).unwrap();
    assert!(said.contains("restart done: restarting pods"), "{said}");
    let second = replaced(&shop, 1, &first);

    // As `kubectl rollout restart` does to a template.
    let annotations = "/spec/template/metadata/annotations";
    wait_for_older_pods(&shop);
    shop.patch(&json!([{"op": "add", "path": annotations, "value": {"kubectl.kubernetes.io/restartedAt": now()}}]));
    let third = replaced(&shop, 2, &second);

    lane().apply(BUDGET).unwrap();
    wait_for_older_pods(&shop);
    shop.glidepath(&["restart", "web"]).unwrap();
    let status = shop.wait("the budget to be named", |status| status["reason"] == "DisruptionBudget");
    assert!(status["message"].as_str().unwrap().contains("cannot be evicted yet: "), "{}", status["message"]);
    assert_eq!(pods(&shop), third, "nothing went");
    lane().kubectl(&["delete", "pdb", "web", "-n", "restart"]).unwrap();
    // Whoever waits for a budget looks again, at longer and longer intervals; a command is looked at at once.
    shop.glidepath(&["pause", "web"]).unwrap();
    replaced(&shop, 3, &third);
    assert_all_well(&users.stop().unwrap());
    let sets = lane().kubectl(&["get", "rs", "-n", "restart", "-o", "name"]).unwrap();
    assert_eq!(sets.lines().count(), 1, "{sets}");

    shop.glidepath(&["resume", "web"]).unwrap();
    shop.release("v2");
    shop.wait("the release to begin", |status| status["course"] == "Stepping");
    let refused = shop.glidepath(&["restart", "web"]).unwrap_err().to_string();
    assert!(refused.contains("restart refused: a release is in progress"), "{refused}");
}

fn now() -> String {
    let seconds = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
    jiff::Timestamp::from_second(i64::try_from(seconds).unwrap()).unwrap().to_string()
}
