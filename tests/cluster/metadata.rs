//! Metadata of roles: pods carry it while their version is the canary, or stable, and nothing is ever restarted for it.

use crate::lane;
use crate::shop::{PATIENCE, Shop, assert_all_well, changed};
use crate::wait::wait_until;
use serde_json::{Value, json};
use std::collections::BTreeSet;

const FIELDS: &str = "
  canaryMetadata: {labels: {role: canary}, annotations: {example.com/note: on trial}}
  stableMetadata: {labels: {role: stable}}
  settle: 1s
";

/// A pod that is not on its way out.
#[derive(Debug)]
struct Pod {
    name: String,
    uid: String,
    role: String,
    note: String,
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

/// The pods of one version that Glidepath made.
fn pods(shop: &Shop, version: &str) -> Vec<Pod> {
    let all = lane().get(shop.namespace, "pods", "--selector=app=web,glidepath.dev/revision").unwrap();
    let live = all["items"].as_array().unwrap().iter().filter(|pod| {
        pod["metadata"]["deletionTimestamp"].is_null() && pod["spec"]["containers"][0]["image"] == version
    });
    live.map(|pod| &pod["metadata"])
        .map(|metadata| Pod {
            name: text(&metadata["name"]),
            uid: text(&metadata["uid"]),
            role: text(&metadata["labels"]["role"]),
            note: text(&metadata["annotations"]["example.com/note"]),
        })
        .collect()
}

fn uids(pods: &[Pod]) -> BTreeSet<&str> {
    pods.iter().map(|pod| pod.uid.as_str()).collect()
}

/// Waits until a version has so many pods and all carry this role and note.
#[track_caller]
fn wait_for_role(shop: &Shop, version: &str, count: usize, role: &str, note: &str) -> Vec<Pod> {
    wait_until(PATIENCE, &format!("{count} pods of {version} to carry {role:?} and {note:?}"), || {
        let pods = pods(shop, version);
        pods.len() == count && pods.iter().all(|pod| pod.role == role && pod.note == note)
    });
    pods(shop, version)
}

/// The ReplicaSets' pod templates by their image, labels and annotations, but for our own label.
fn templates(shop: &Shop) -> BTreeSet<String> {
    let all = lane().get(shop.namespace, "rs", "--selector=glidepath.dev/rollout=web").unwrap();
    let sets = all["items"].as_array().unwrap().iter().map(|set| {
        let template = &set["spec"]["template"];
        let mut labels = template["metadata"]["labels"].clone();
        labels.as_object_mut().unwrap().remove("glidepath.dev/revision");
        let image = text(&template["spec"]["containers"][0]["image"]);
        format!("{image} {labels} {}", template["metadata"]["annotations"]["example.com/note"])
    });
    sets.collect()
}

#[test]
fn pods_carry_the_metadata_of_their_role_and_nothing_restarts() {
    let yaml = changed(&Shop::yaml(), &[("\n  settle: 1s\n", FIELDS)]);
    let shop = Shop::apply("metadata", &yaml);
    shop.wait_for_stable(1);
    shop.answers("v1");
    let first = wait_for_role(&shop, "v1", 4, "stable", "");
    let users = shop.users();
    shop.release("v2");
    let status = shop.wait_for_pause(2);
    let canary = wait_for_role(&shop, "v2", 1, "canary", "on trial");
    assert_eq!(uids(&pods(&shop, "v1")), uids(&first), "nothing was restarted");

    // What a user takes away comes back.
    lane().kubectl(&["label", "pod", &canary[0].name, "role-", "-n", "metadata"]).unwrap();
    wait_for_role(&shop, "v2", 1, "canary", "on trial");

    // Another text in the file is no new version and reaches the pods that are there.
    shop.patch(&json!([{"op": "replace", "path": "/spec/canaryMetadata/labels/role", "value": "trial"}]));
    let labelled = wait_for_role(&shop, "v2", 1, "trial", "on trial");
    assert_eq!(uids(&labelled), uids(&canary), "not restarted");
    let now = shop.status();
    assert_eq!((&now["currentRevision"], &now["stepIndex"]), (&status["currentRevision"], &status["stepIndex"]));

    // The roles move: the canary's go, stable's come, in the same pods.
    shop.glidepath(&["promote", "web", "--full"]).unwrap();
    shop.wait_for_stable(2);
    let stable = wait_for_role(&shop, "v2", 4, "stable", "");
    assert!(uids(&stable).is_superset(&uids(&canary)), "the canary's pod serves on");
    wait_until(PATIENCE, "the old version's pods to go", || pods(&shop, "v1").is_empty());
    let bare = "v1 {\"app\":\"web\"} null".to_owned();
    assert_eq!(templates(&shop), [bare, "v2 {\"app\":\"web\",\"role\":\"stable\"} null".to_owned()].into());

    // An earlier version is known again by its template, and abort leaves the role until the pods are gone.
    shop.glidepath(&["undo", "web"]).unwrap();
    let status = shop.wait_for_pause(2);
    assert_eq!(status["currentRevision"]["number"], 3, "{status:#}");
    wait_for_role(&shop, "v1", 1, "trial", "on trial");
    assert_eq!(templates(&shop).len(), 2, "no template was taken for another");
    shop.glidepath(&["abort", "web"]).unwrap();
    shop.wait("the abort", |status| status["course"] == "Aborted");
    wait_until(PATIENCE, "the aborted version's pods to go", || pods(&shop, "v1").is_empty());
    wait_for_role(&shop, "v2", 4, "stable", "");
    assert_eq!(uids(&pods(&shop, "v2")), uids(&stable));
    assert_all_well(&users.stop().unwrap());

    // Without the fields nothing of it is left.
    shop.patch(
        &json!([{"op": "remove", "path": "/spec/stableMetadata"}, {"op": "remove", "path": "/spec/canaryMetadata"}]),
    );
    assert_eq!(uids(&wait_for_role(&shop, "v2", 4, "", "")), uids(&stable));
    wait_until(PATIENCE, "the templates to be bare", || {
        templates(&shop) == ["v1", "v2"].map(|image| format!("{image} {{\"app\":\"web\"}} null")).into()
    });
    let refused = shop.status();
    assert_eq!(refused["stableRevision"]["number"], 2, "{refused:#}");
}

#[test]
fn a_deployment_is_taken_over_and_given_back_without_it() {
    let web = include_str!("config/web.yaml").replace("replicas: 2", "replicas: 4").replace("shop/web:1", "v1");
    let web = web.replace(", env: [{name: VERSION, value: v1}]", "");
    let shop = Shop::apply("metadata-lent", &web);
    lane().kubectl(&["rollout", "status", "deployment/web", "-n", shop.namespace, "--timeout=60s"]).unwrap();
    let deployment = || lane().get(shop.namespace, "deployment", "web").unwrap();
    let before = deployment()["spec"]["template"].take();
    let rollout = changed(
        include_str!("config/adopted.yaml"),
        &[("\n  scaleDownDelay: 1s\n", &format!("{FIELDS}  scaleDownDelay: 1s\n"))],
    );
    lane().apply(&rollout.replace("NAMESPACE", shop.namespace)).unwrap();
    shop.wait("the adoption", |status| status["phase"] == "Healthy" && deployment()["spec"]["replicas"] == 0);
    let first = wait_for_role(&shop, "v1", 4, "stable", "");
    assert_eq!(shop.status()["stableRevision"]["number"], 1, "the label was not taken for a new version");

    // The Deployment's selector finds the pods by this label: reported before anything is written.
    shop.patch(&json!([{"op": "add", "path": "/spec/canaryMetadata/labels/app", "value": "other"}]));
    let status = shop.wait("the refusal", |status| status["reason"] == "InvalidSpec");
    let words = "spec.canaryMetadata.labels.app: the selector selects pods by this label";
    assert!(text(&status["message"]).contains(words), "{}", status["message"]);
    shop.patch(&json!([{"op": "remove", "path": "/spec/canaryMetadata/labels/app"}]));
    shop.wait_for_stable(1);

    lane().kubectl(&["set", "image", "deployment/web", "web=v2", "-n", shop.namespace]).unwrap();
    shop.wait_for_pause(1);
    wait_for_role(&shop, "v2", 1, "canary", "on trial");
    assert!(uids(&first).is_superset(&uids(&wait_for_role(&shop, "v1", 3, "stable", ""))));

    lane().kubectl(&["delete", "gro", "web", "-n", shop.namespace, "--timeout=60s"]).unwrap();
    assert_eq!(deployment()["spec"]["template"], before, "stable's template, as it was");
    wait_until(PATIENCE, "only the Deployment's own pods to be left", || {
        lane().counts(shop.namespace).unwrap().iter().filter(|pod| !pod.gone).count() == 4
    });
    wait_until(PATIENCE, "the Deployment's own ReplicaSet to be the only one", || {
        lane().get(shop.namespace, "rs", "--selector=app").unwrap()["items"].as_array().unwrap().len() == 1
    });
}
