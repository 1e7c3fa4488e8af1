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
fn begun() -> Ground {
    let mut ground = Ground::new("http://a:1".into(), "http://b:2".into());
    release(&mut ground, "v1", 1);
    assert!(ground.settle(&health([true, false])));
    ground.aim(Target::Stable, "v1");
    ground.aim(Target::Canary, "v1");
    ground
}

fn release(ground: &mut Ground, id: &str, number: u64) {
    assert!(ground.ensure_version(id, number, || Some(template(&format!("web:{id}"))), at(0)));
    ground.want(id, 1);
}

/// The version is stable, and the one before it may go.
fn promote(ground: &mut Ground, id: &str, old: &str) {
    ground.aim(Target::Stable, id);
    ground.aim(Target::Canary, id);
    ground.want(old, 0);
}

fn ready(ground: &Ground, id: &str) -> bool {
    ground.is_ready(ground.version(id).unwrap(), &health(BOTH))
}

fn trouble(ground: &Ground, id: &str, up: [bool; 2]) -> String {
    let version = ground.version(id).unwrap();
    ground.seen(version, "web", &health(up), 0, at(9)).trouble.unwrap_or_default()
}

#[test]
fn the_next_version_gets_the_place_that_stable_has_not() {
    let mut ground = begun();
    assert!(ready(&ground, "v1"));
    release(&mut ground, "v2", 2);
    assert_eq!(
        trouble(&ground, "v2", [true, false]),
        "http://b:2 does not respond (connection refused); start web:v2 there"
    );
    assert!(!ground.settle(&health([true, false])));
    assert!(ground.settle(&health(BOTH)));
    assert!(ready(&ground, "v2"));
    promote(&mut ground, "v2", "v1");
    assert_eq!(ground.places[ground.free_place()].address, "http://a:1");
}

#[test]
fn the_old_process_is_never_taken_for_the_next_version() {
    let mut ground = begun();
    release(&mut ground, "v2", 2);
    ground.settle(&health(BOTH));
    // A restart of the stable version itself is none of the next one's.
    ground.note_restart(0);
    promote(&mut ground, "v2", "v1");
    release(&mut ground, "v3", 3);
    assert!(!ground.settle(&health(BOTH)));
    assert_eq!(
        trouble(&ground, "v3", BOTH),
        "http://a:1 has not been restarted since #1; stop what runs there and start web:v3"
    );
    ground.note_restart(0);
    assert!(ground.settle(&health(BOTH)));
    assert!(ready(&ground, "v3"));
}

#[test]
fn a_restart_before_the_version_is_named_counts_too() {
    let mut ground = begun();
    release(&mut ground, "v2", 2);
    ground.settle(&health(BOTH));
    promote(&mut ground, "v2", "v1");
    ground.note_restart(0);
    release(&mut ground, "v3", 3);
    assert!(ground.settle(&health(BOTH)));
}

#[test]
fn the_version_before_is_back_at_once_while_it_still_runs() {
    let mut ground = begun();
    release(&mut ground, "v2", 2);
    ground.settle(&health(BOTH));
    promote(&mut ground, "v2", "v1");
    release(&mut ground, "v1", 3);
    assert!(ready(&ground, "v1"));
    assert_eq!(ground.version("v1").unwrap().number, 3);
}

#[test]
fn a_version_whose_place_is_stables_now_moves() {
    let mut ground = begun();
    release(&mut ground, "v2", 2);
    ground.settle(&health(BOTH));
    promote(&mut ground, "v2", "v1");
    ground.note_restart(0);
    release(&mut ground, "v3", 3);
    ground.settle(&health(BOTH));
    promote(&mut ground, "v3", "v2");
    release(&mut ground, "v1", 4);
    assert_eq!(ground.version("v1").unwrap().place, 1);
    assert!(!ready(&ground, "v1"), "v2 still runs there");
}

#[test]
fn a_superseding_version_waits_for_its_place() {
    let mut ground = begun();
    release(&mut ground, "v2", 2);
    ground.settle(&health(BOTH));
    ground.aim(Target::Canary, "v2");
    release(&mut ground, "v3", 3);
    ground.note_restart(1);
    assert!(!ground.settle(&health(BOTH)));
    assert_eq!(trouble(&ground, "v3", BOTH), "http://b:2 still receives traffic");
    ground.aim(Target::Canary, "v1");
    assert!(ground.settle(&health(BOTH)));
    assert!(ready(&ground, "v3") && !ready(&ground, "v2"));
}

#[test]
fn only_what_is_wanted_counts_as_running() {
    let mut ground = begun();
    ground.want("v1", 0);
    assert!(!ready(&ground, "v1"));
    assert_eq!(ground.target_seen(ground.stable.as_ref(), &health(BOTH)).endpoints.unwrap()["v1"], 0);
    assert!(!ground.ensure_version("v9", 9, || None, at(0)), "a version needs a template");
}
