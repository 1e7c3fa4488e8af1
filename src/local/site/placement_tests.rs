use serde_json::json;

use super::*;
use crate::local::site::health::Look;

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

fn health(up: [bool; 2]) -> [Health; 2] {
    up.map(|up| {
        let mut health = Health::default();
        health.take(if up { Look::Up } else { Look::Down("connection refused".into()) }, at(0));
        health
    })
}

const BOTH: [bool; 2] = [true, true];

fn template(image: &str) -> Value {
    json!({ "spec": { "containers": [{ "name": "web", "image": image }] } })
}

/// Version `v1` is stable at the first place.
fn begun() -> Placement {
    let mut placement = Placement::new("http://a:1".into(), "http://b:2".into());
    release(&mut placement, "v1", 1);
    assert!(placement.settle(&health([true, false])));
    placement.aim(Target::Stable, "v1");
    placement.aim(Target::Canary, "v1");
    placement
}

fn release(placement: &mut Placement, id: &str, number: u64) {
    assert!(placement.ensure_version(id, number, || Some(template(&format!("web:{id}"))), at(0)));
    placement.want(id, 1);
}

/// The version is stable, and the one before it may go.
fn promote(placement: &mut Placement, id: &str, old: &str) {
    placement.aim(Target::Stable, id);
    placement.aim(Target::Canary, id);
    placement.want(old, 0);
}

fn ready(placement: &Placement, id: &str) -> bool {
    placement.is_ready(placement.version(id).unwrap(), &health(BOTH))
}

fn trouble(placement: &Placement, id: &str, up: [bool; 2]) -> String {
    let version = placement.version(id).unwrap();
    placement.seen(version, "web", &health(up), 0, at(9)).trouble.unwrap_or_default()
}

#[test]
fn the_next_version_gets_the_place_that_stable_has_not() {
    let mut placement = begun();
    assert!(ready(&placement, "v1"));
    release(&mut placement, "v2", 2);
    assert_eq!(
        trouble(&placement, "v2", [true, false]),
        "http://b:2 does not respond (connection refused); start web:v2 there"
    );
    assert!(!placement.settle(&health([true, false])));
    assert!(placement.settle(&health(BOTH)));
    assert!(ready(&placement, "v2"));
    promote(&mut placement, "v2", "v1");
    assert_eq!(placement.places[placement.free_place()].address, "http://a:1");
}

#[test]
fn the_old_process_is_never_taken_for_the_next_version() {
    let mut placement = begun();
    release(&mut placement, "v2", 2);
    placement.settle(&health(BOTH));
    // A restart of the stable version itself is none of the next one's.
    placement.note_restart(0);
    promote(&mut placement, "v2", "v1");
    release(&mut placement, "v3", 3);
    assert!(!placement.settle(&health(BOTH)));
    assert_eq!(
        trouble(&placement, "v3", BOTH),
        "http://a:1 has not been restarted since #1; stop what runs there and start web:v3"
    );
    placement.note_restart(0);
    assert!(placement.settle(&health(BOTH)));
    assert!(ready(&placement, "v3"));
}

#[test]
fn a_restart_before_the_version_is_named_counts_too() {
    let mut placement = begun();
    release(&mut placement, "v2", 2);
    placement.settle(&health(BOTH));
    promote(&mut placement, "v2", "v1");
    placement.note_restart(0);
    release(&mut placement, "v3", 3);
    assert!(placement.settle(&health(BOTH)));
}

#[test]
fn the_version_before_is_back_at_once_while_it_still_runs() {
    let mut placement = begun();
    release(&mut placement, "v2", 2);
    placement.settle(&health(BOTH));
    promote(&mut placement, "v2", "v1");
    release(&mut placement, "v1", 3);
    assert!(ready(&placement, "v1"));
    assert_eq!(placement.version("v1").unwrap().number, 3);
}

#[test]
fn a_version_whose_place_is_stables_now_moves() {
    let mut placement = begun();
    release(&mut placement, "v2", 2);
    placement.settle(&health(BOTH));
    promote(&mut placement, "v2", "v1");
    placement.note_restart(0);
    release(&mut placement, "v3", 3);
    placement.settle(&health(BOTH));
    promote(&mut placement, "v3", "v2");
    release(&mut placement, "v1", 4);
    assert_eq!(placement.version("v1").unwrap().place, 1);
    assert!(!ready(&placement, "v1"), "v2 still runs there");
}

#[test]
fn a_superseding_version_waits_for_its_place() {
    let mut placement = begun();
    release(&mut placement, "v2", 2);
    placement.settle(&health(BOTH));
    placement.aim(Target::Canary, "v2");
    release(&mut placement, "v3", 3);
    placement.note_restart(1);
    assert!(!placement.settle(&health(BOTH)));
    assert_eq!(trouble(&placement, "v3", BOTH), "http://b:2 still receives traffic");
    placement.aim(Target::Canary, "v1");
    assert!(placement.settle(&health(BOTH)));
    assert!(ready(&placement, "v3") && !ready(&placement, "v2"));
}

#[test]
fn only_what_is_wanted_counts_as_running() {
    let mut placement = begun();
    placement.want("v1", 0);
    assert!(!ready(&placement, "v1"));
    assert_eq!(placement.target_seen(placement.stable.as_ref(), &health(BOTH)).endpoints.unwrap()["v1"], 0);
    assert!(!placement.ensure_version("v9", 9, || None, at(0)), "a version needs a template");
}
