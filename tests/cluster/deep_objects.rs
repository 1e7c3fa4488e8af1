//! Objects that nest deeper than JSON readers go (C3): a real API server stores them. They are named, and hold no one
//! up.

use crate::controller::controller;
use crate::kubectl;
use crate::shop::{PATIENCE, Shop, assert_all_well};
use crate::wait::wait_for;
use crate::{glidepath, lane};
use anyhow::ensure;

/// Beyond the 128 levels that common readers take, and far beyond.
const TOWERS: [(&str, usize); 2] = [("tower", 140), ("skyscraper", 2000)];

/// A Rollout whose template holds something so deep.
fn create(name: &str, levels: usize) {
    let deep = format!("{}1{}", r#"{"a":"#.repeat(levels), "}".repeat(levels));
    let rollout = format!(
        r#"{{"apiVersion": "glidepath.dev/v1alpha1", "kind": "Rollout", "metadata": {{"name": "{name}", "namespace": "deep"}},
        "spec": {{"replicas": 1, "selector": {{"matchLabels": {{"app": "{name}"}}}}, "strategy": {{"canary": {{"steps": []}}}},
        "template": {{"metadata": {{"labels": {{"app": "{name}"}}}}, "spec": {{"containers": [{{"name": "a", "image": "v1"}}],
        "deep": {deep}}}}}}}}}"#
    );
    kubectl::feed(lane().folder(), &["create", "-f", "-"], &rollout).unwrap();
}

fn read(name: &str, path: &str) -> anyhow::Result<String> {
    lane().kubectl(&["get", "gro", name, "-n", "deep", "-o", &format!("jsonpath={path}")])
}

/// The object's own conditions say what is wrong with it.
fn is_named(name: &str, levels: usize) {
    wait_for(PATIENCE, &format!("{name} to be told"), || {
        let told = read(name, r#"{.status.conditions[?(@.type=="Stalled")].message}"#)?;
        ensure!(told.contains("cannot decode the Rollout: spec: it is nested"), "{told:?}");
        ensure!(told.contains(&format!("nested {} levels", levels + 4)), "{told:?}");
        Ok(())
    })
    .unwrap();
}

#[test]
fn c3_objects_that_nest_deep_are_named_and_hold_nobody_up() {
    let shop = Shop::open("deep");
    let users = shop.users();
    for (name, levels) in TOWERS {
        create(name, levels);
        is_named(name, levels);
    }
    shop.release("v2");
    shop.wait_for_pause(2);
    // Now they come in the first lists, not by the watches.
    controller().crash_and_restart();
    shop.glidepath(&["promote", "web", "--full"]).unwrap();
    shop.wait_for_stable(2);
    shop.answers("v2");
    assert_all_well(&users.stop().unwrap());
    let listed = glidepath().args(["get", "-n", "deep"]).output().unwrap();
    let (rows, warnings) = (String::from_utf8_lossy(&listed.stdout), String::from_utf8_lossy(&listed.stderr));
    assert!(listed.status.success() && rows.contains("web"), "{rows}{warnings}");
    for (name, _) in TOWERS {
        assert!(warnings.contains(&format!("Rollout deep/{name} cannot be decoded")), "{warnings}");
    }
    let refused = shop.glidepath(&["uninstall"]).unwrap_err().to_string();
    assert!(refused.contains("Rollout deep/tower cannot be decoded"), "{refused}");
    // Made flat, it is a Rollout like any other.
    let flat = r#"[{"op": "remove", "path": "/spec/template/spec/deep"}]"#;
    lane().kubectl(&["patch", "gro", "tower", "-n", "deep", "--type=json", "-p", flat]).unwrap();
    wait_for(PATIENCE, "the flat one to be healthy", || {
        let phase = read("tower", "{.status.phase}")?;
        ensure!(phase == "Healthy", "{phase}");
        Ok(())
    })
    .unwrap();
    // Other tests watch all Rollouts with readers that cannot read this one.
    lane().kubectl(&["delete", "gro", "skyscraper", "-n", "deep"]).unwrap();
}
