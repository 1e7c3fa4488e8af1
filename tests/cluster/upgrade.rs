//! An upgrade of the controller in the middle of a release, a downgrade, and the upgrade again, with every strategy: each
//! continues where the other was.
//!
//! `GLIDEPATH_BEFORE` names the program of the version before. Without it the same program is started again.

use crate::controller::{Apart, away};
use crate::lane;
use crate::load::Load;
use crate::shop::{PATIENCE, Shop, TWO_WEIGHTS, assert_all_well, changed};
use crate::wait::wait_until;
use serde_json::Value;
use std::path::PathBuf;

const BLUE_GREEN: &str = include_str!("config/blue-green.yaml");
/// A test that nothing decides before an hour has passed.
const TEST: &str = "    abTest:
      weight: 20
      goal: {templates: [{name: orders}]}
      minDuration: 1h
      maxDuration: 2h";

fn ab_test() -> String {
    let strategy = format!("    canary:\n      steps:{TWO_WEIGHTS}");
    let changes = [("  analysis: {templates: [{name: errors}]}\n", ""), (strategy.trim_end(), TEST)];
    changed(&Shop::yaml(), &changes) + crate::ab_test::ORDERS
}

/// What must be the same before and after.
fn place(status: &Value) -> Value {
    let fields = ["course", "stage", "stepIndex", "attempt", "currentRevision", "stableRevision", "phase"];
    fields.iter().map(|field| (field.to_string(), status[field].clone())).collect()
}

/// Whether this Rollout was recorded in the form of this version.
fn is_recorded(shop: &Shop) -> bool {
    let status = shop.status();
    status["state"].as_object().is_some_and(|state| state.len() == 1) && status["memory"]["stepHeldMs"].is_null()
}

fn places(shops: &[Shop]) -> Vec<Value> {
    shops.iter().map(|shop| place(&shop.status())).collect()
}

/// At rest nothing is recorded: a pause and its end are.
fn record(shops: &[Shop]) {
    for shop in shops {
        shop.glidepath(&["pause", "web"]).unwrap();
        shop.glidepath(&["resume", "web"]).unwrap();
        shop.wait("the end of the pause", |status| status["pausedByCommand"] != true);
    }
}

fn are_at(shops: &[Shop], places: Vec<Value>) {
    for (shop, expected) in shops.iter().zip(places) {
        shop.wait("the same place", |status| place(status) == expected);
    }
}

#[test]
fn a_release_under_way_continues_under_another_version() {
    let shops =
        [("upgrade-canary", Shop::yaml()), ("upgrade-preview", BLUE_GREEN.to_owned()), ("upgrade-test", ab_test())]
            .map(|(namespace, yaml)| Shop::apply(namespace, &yaml));
    for shop in &shops {
        shop.wait_for_stable(1);
        shop.answers("v1");
    }
    let [canary, preview, test] = &shops;
    let users: Vec<Load> = shops.iter().map(Shop::users).collect();

    let _away = away();
    let api = "127.0.0.1:6443".parse().unwrap();
    let before = std::env::var_os("GLIDEPATH_BEFORE").map(PathBuf::from);
    let program = before.unwrap_or_else(|| env!("CARGO_BIN_EXE_glidepath").into());
    println!("from {} to the program of this tree", program.display());
    let earlier = || Apart::new("glidepath-before", "127.0.0.1:8095", api).start_program(&program);
    let this = || Apart::new("glidepath-after", "127.0.0.1:8096", api).start();

    let mut old = earlier();
    shops.iter().for_each(|shop| shop.release("v2"));
    canary.wait_for_pause(2);
    preview.wait_for_pause(1);
    test.wait_longer(PATIENCE * 2, "the test", |status| status["waitingFor"]["reason"] == "Testing");
    wait_until(PATIENCE, "the routes to be written", || canary.weights() == (80, 20) && test.weights() == (80, 20));
    let at_first = places(&shops);
    old.leave().unwrap();

    let mut new = this();
    record(&shops);
    shops.iter().for_each(|shop| wait_until(PATIENCE, "a record of the new version", || is_recorded(shop)));
    are_at(&shops, at_first.clone());
    assert_eq!((canary.weights(), test.weights()), ((80, 20), (80, 20)));
    new.leave().unwrap();

    let mut old = earlier();
    record(&shops);
    are_at(&shops, at_first);
    canary.glidepath(&["promote", "web"]).unwrap();
    canary.wait_for_pause(5);
    let later = places(&shops);
    old.leave().unwrap();

    let mut new = this();
    record(&shops);
    are_at(&shops, later);
    canary.glidepath(&["promote", "web"]).unwrap();
    preview.glidepath(&["promote", "web"]).unwrap();
    test.glidepath(&["promote", "web", "--full"]).unwrap();
    for shop in &shops {
        shop.wait_for_stable(2);
        shop.answers("v2");
        assert_eq!(shop.last_outcome().0, "Promoted");
        assert_eq!(shop.status()["attempt"], 1, "no release began again");
    }
    new.check().unwrap();
    users.into_iter().for_each(|load| assert_all_well(&load.stop().unwrap()));
    let sets = lane().kubectl(&["get", "rs", "-n", canary.namespace, "-o", "name"]).unwrap();
    assert_eq!(sets.lines().count(), 2, "{sets}");
}
