//! Who may give which command: the API server itself asks, by the policy of `deploy/admission.yaml`, which every test's
//! bring-up installs as users do.

use crate::kubectl::feed;
use crate::lane;
use crate::shop::{PATIENCE, Shop, changed};
use crate::wait::wait_until;
use serde_json::{Value, json};
use std::fs;
use std::process::Command;

/// `view` and a role for promotions only, as admission.yaml suggests; and a user with the usual `edit`.
const PEOPLE: &str = "
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata: {name: promoter, namespace: NAMESPACE}
rules:
- {apiGroups: [glidepath.dev], resources: [rolloutcommands], verbs: [create, get, watch]}
- {apiGroups: [glidepath.dev], resources: [rollouts/promote], verbs: [update]}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {name: ann-promotes, namespace: NAMESPACE}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: Role, name: promoter}
subjects: [{kind: User, name: ann, apiGroup: rbac.authorization.k8s.io}]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {name: ann-views, namespace: NAMESPACE}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: view}
subjects: [{kind: User, name: ann, apiGroup: rbac.authorization.k8s.io}]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {name: bob-edits, namespace: NAMESPACE}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: edit}
subjects: [{kind: User, name: bob, apiGroup: rbac.authorization.k8s.io}]
";

/// A service whose releases wait for an operator, and those who may be one.
fn shop(namespace: &'static str) -> Shop {
    let shop = Shop::promoted_by_hand(namespace);
    lane().apply(&PEOPLE.replace("NAMESPACE", namespace)).unwrap();
    shop
}

/// A RolloutCommand given by `who` with kubectl; why it was refused.
fn given(shop: &Shop, who: &str, spec: &Value) -> Result<(), String> {
    let object = json!({"apiVersion": "glidepath.dev/v1alpha1", "kind": "RolloutCommand",
        "metadata": {"generateName": "web-by-hand-", "namespace": shop.namespace}, "spec": spec});
    let who = format!("--as={who}");
    let given = feed(lane().folder(), &["create", &who, "-f", "-"], &object.to_string());
    given.map(drop).map_err(|error| format!("{error:#}"))
}

/// The command line as `who`: its exit code and all that it printed.
fn glidepath_as(shop: &Shop, who: &str, args: &[&str]) -> (bool, String) {
    let admin = fs::read_to_string(lane().kubeconfig()).unwrap();
    let theirs = changed(&admin, &[("token: admintoken", &format!("token: admintoken, as: {who}"))]);
    let file = lane().folder().join(format!("kubeconfig-{who}"));
    fs::write(&file, theirs).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_glidepath"));
    let out = command.env("KUBECONFIG", file).args(args).args(["-n", shop.namespace]).output().unwrap();
    (out.status.success(), String::from_utf8_lossy(&[out.stdout, out.stderr].concat()).into_owned())
}

#[track_caller]
fn refused(outcome: Result<(), String>, words: &[&str]) {
    let message = outcome.expect_err("it was accepted");
    let missing: Vec<_> = words.iter().filter(|word| !message.contains(**word)).collect();
    assert!(missing.is_empty(), "{missing:?} is not in: {message}");
}

#[test]
fn whoever_may_only_promote_gives_no_other_command_and_no_other_name() {
    let shop = shop("asked");
    shop.release("v2");
    shop.wait_for_pause(1);
    let needed = "it takes the verb update on rollouts/abort in API group glidepath.dev";
    wait_until(PATIENCE, "the policy to be in force", || {
        given(&shop, "ann", &json!({"rollout": "web", "verb": "abort", "requestedBy": "ann"})).is_err()
    });
    let abort = json!({"rollout": "web", "verb": "abort", "requestedBy": "ann"});
    refused(given(&shop, "ann", &abort), &["ann may not abort Rollout asked/web", needed]);
    let own_name = "spec.requestedBy must be ann, who gives this command";
    let promote = json!({"rollout": "web", "verb": "promote", "requestedBy": "bob"});
    refused(given(&shop, "ann", &promote), &[own_name]);
    refused(given(&shop, "ann", &json!({"rollout": "web", "verb": "promote"})), &[own_name]);
    refused(given(&shop, "eve", &promote), &["eve", "cannot create resource \"rolloutcommands\""]);

    let (done, told) = glidepath_as(&shop, "ann", &["abort", "web"]);
    assert!(!done && told.contains("ann may not abort") && told.contains("rollouts/abort"), "{told}");
    let status = shop.status();
    assert_eq!((&status["course"], &status["stepIndex"]), (&"Stepping".into(), &1.into()), "nothing happened");
    let commands = lane().kubectl(&["get", "groc", "-n", "asked", "-o", "name"]).unwrap();
    assert_eq!(commands, "", "nothing was recorded");

    let (done, told) = glidepath_as(&shop, "ann", &["promote", "web"]);
    assert!(done, "{told}");
    let status = shop.wait_for_stable(2);
    assert_eq!(status["commands"][0]["requestedBy"], "ann", "{status:#}");
    wait_until(PATIENCE, "an event that says who", || {
        shop.events("Command").iter().any(|message| message.starts_with("promote by ann"))
    });
}

#[test]
fn the_usual_edit_role_and_the_administrator_give_every_command() {
    let shop = shop("edited-by");
    shop.release("v2");
    shop.wait_for_pause(1);
    for verb in ["pause", "resume", "abort", "retry"] {
        let (done, told) = glidepath_as(&shop, "bob", &[verb, "web"]);
        assert!(done, "{verb}: {told}");
    }
    shop.wait_for_pause(1);
    let (done, told) = glidepath_as(&shop, "bob", &["undo", "web"]);
    assert!(done, "{told}");
    let status = shop.wait("all traffic back at v1", |status| status["phase"] == "Healthy");
    assert_eq!(status["commands"][0]["requestedBy"], "bob", "{status:#}");

    shop.release("v3");
    shop.wait("the third revision at its pause", |status| {
        status["currentRevision"]["number"] == 3 && status["stepIndex"] == 1 && status["phase"] == "Paused"
    });
    shop.glidepath(&["promote", "web"]).unwrap();
    let status = shop.wait_for_stable(3);
    assert_eq!(status["commands"][0]["requestedBy"], "admin", "{status:#}");
}
