//! Statuses that an earlier version wrote: recorded from it in every state of every strategy, before a status held its state
//! as one value.

use std::collections::BTreeMap;

use glidepath::api::{
    RolloutStatus,
    status::{Course, OLD_MEMORY, ReturnsBecause, State, Way},
};
use serde_json::{Value, json};

/// By strategy, router and state.
fn recorded() -> BTreeMap<String, Value> {
    serde_json::from_str(include_str!("../golden/statuses/earlier.json")).unwrap()
}

fn read(status: &Value) -> RolloutStatus {
    serde_json::from_value(status.clone()).unwrap()
}

fn written(status: &RolloutStatus) -> Value {
    serde_json::to_value(status).unwrap()
}

/// The fields of the memory that only one state needs, as they are found now.
fn memory_of(status: &RolloutStatus) -> Value {
    let state = &status.state;
    let (clock, stepping) = (state.clock(), state.stepping());
    json!({
        "stepSince": state.since(),
        "stepHeldMs": clock.map_or(0, |clock| clock.held_ms),
        "clockStoppedSince": clock.and_then(|clock| clock.stopped_since),
        "extended": state.extended(),
        "gate": stepping.and_then(|stepping| stepping.gate.as_ref()),
        "evidenceWait": stepping.and_then(|stepping| stepping.evidence_wait.as_ref()),
        "progress": state.progress(),
    })
}

fn release_of(status: &RolloutStatus) -> Value {
    let release = status.state.release().unwrap();
    json!({
        "rolloutSince": release.since,
        "stepsWalked": release.steps_walked,
        "analysesChecked": release.analyses_checked,
        "evidenceRound": release.evidence_round,
        "excusedEpoch": release.excused_epoch,
        "overridden": release.overridden,
        "canaryLosses": release.canary_losses,
        "canaryLost": release.canary_lost,
    })
}

/// The same fields of the memory as it was.
fn named(memory: &Value, like: &Value) -> Value {
    let fields = like.as_object().unwrap().keys();
    fields.map(|field| (field.clone(), memory.get(field).cloned().unwrap_or_default())).collect()
}

#[test]
fn a_status_of_an_earlier_version_is_read_as_it_was_meant() {
    let recorded = recorded();
    assert!(recorded.len() > 50, "{} statuses", recorded.len());
    for (name, old) in &recorded {
        let status = read(old);
        assert!(status.is_old, "{name}");
        let (new, memory) = (written(&status), &old["memory"]);
        for field in ["course", "stage", "stepIndex", "held", "currentRevision", "weights", "promoted", "attempt"] {
            assert_eq!(new.get(field), old.get(field), "{name}: {field}");
        }
        match status.course() {
            Course::FirstDeploy => {
                assert_eq!(
                    json!(status.state.since()),
                    named(memory, &json!({"rolloutSince": 0}))["rolloutSince"],
                    "{name}"
                );
            }
            Course::Stepping | Course::Promoting => {
                assert_eq!(memory_of(&status), named(memory, &memory_of(&status)), "{name}");
                assert_eq!(release_of(&status), named(memory, &release_of(&status)), "{name}");
            }
            _ => {
                assert_eq!(json!(status.state.since()), memory["stepSince"], "{name}");
                assert_eq!(
                    json!(status.state.progress()),
                    memory.get("progress").cloned().unwrap_or_default(),
                    "{name}"
                );
            }
        }
    }
}

#[test]
fn what_only_one_state_needs_is_found_in_it() {
    let recorded = recorded();
    let state = |name: &str| read(&recorded[name]).state;
    let way = |name: &str| state(name).promoting().unwrap().way;
    assert!(matches!(way("abTest-routes-Promoting-MoveStable-fast"), Way::Shortcut(_)));
    let (name, in_a_ramp) =
        ("canary-pods-Promoting-Scale-overridden-ramp", way("canary-pods-Promoting-Scale-overridden-ramp"));
    let Way::Steps(done) = in_a_ramp else { panic!("{in_a_ramp:?}") };
    assert_eq!(
        (json!(done.step), json!(done.sub_step)),
        (recorded[name]["stepIndex"].clone(), recorded[name]["subStep"].clone())
    );
    assert!(state("abTest-routes-Idle-restart").restart().is_some());
    let returns_first =
        recorded.iter().filter_map(|(name, old)| Some((name, old["memory"].get("takingBack")?.as_bool()?, read(old))));
    let returns_first: Vec<_> = returns_first.filter(|(.., status)| status.state.stepping().is_some()).collect();
    assert!(returns_first.iter().any(|(_, taking_back, _)| *taking_back));
    for (name, taking_back, status) in returns_first {
        assert_eq!(status.state.stepping().unwrap().taking_back, taking_back, "{name}");
    }
    for (name, because) in [
        ("canary-pods-Returning", ReturnsBecause::BackAtStable),
        ("blueGreen-pods-Returning-givingback", ReturnsBecause::ObjectsChanged),
    ] {
        let old = &recorded[name];
        // What is given back in a release returns without it.
        let expected =
            if old["currentRevision"] == old["stableRevision"] { ReturnsBecause::BackAtStable } else { because };
        assert!(matches!(state(name), State::Returning(returning) if returning.because == expected), "{name}");
    }
}

#[test]
fn what_is_written_is_read_as_it_was_written() {
    for (name, old) in recorded() {
        let status = RolloutStatus { is_old: false, ..read(&old) };
        let new = written(&status);
        assert_eq!(read(&new), status, "{name}");
        assert_eq!(new["state"].as_object().unwrap().len(), 1, "{name}: one state");
        let left: Vec<&str> = OLD_MEMORY.into_iter().filter(|field| new["memory"].get(field).is_some()).collect();
        assert!(left.is_empty(), "{name}: {left:?}");
        let patch = status.in_place_of_earlier().unwrap();
        let mut stored = json!({"aborted": {"since": "2026-01-01T00:00:00Z"}, "firstDeploy": {}});
        json_patch::merge(&mut stored, &patch["state"]);
        assert_eq!(stored, new["state"], "{name}: whatever was there");
    }
}

/// After a downgrade an earlier version continues by the fields that it knows, and leaves the state as it was. It writes what
/// it changes, and nothing else.
#[test]
fn what_an_earlier_version_wrote_last_counts() {
    let recorded = recorded();
    let stored = written(&read(&recorded["canary-pods-Stepping"]));
    let since = "2026-01-01T00:00:00Z";
    let held = json!({"reason": "x", "message": "y", "since": since});
    for (wrote, course, is_held) in [
        (json!({"course": "Aborted", "memory": {"stepSince": since}}), Course::Aborted, false),
        (json!({"course": "Promoting", "stage": "Scale"}), Course::Promoting, false),
        (json!({"held": held}), Course::Stepping, true),
    ] {
        let mut stored = stored.clone();
        json_patch::merge(&mut stored, &wrote);
        let status = read(&stored);
        assert_eq!((status.course(), status.held().is_some(), status.is_old), (course, is_held, true), "{wrote}");
    }
    assert!(!read(&stored).is_old, "our own");
}
