//! `make scale` compares its figures with docs/performance.json: what counts as worse, and what the file may hold.

#[path = "../scale/compare.rs"]
mod compare;
#[path = "../scale/figures.rs"]
mod figures;

use std::collections::BTreeMap;

use compare::{Row, Verdict, compare, worse};
use figures::{Accepted, Cpu, Figures, Memory, Work};

const FILE: &str = include_str!("../../docs/performance.json");

fn work(requests: &[(&str, f64)]) -> Work {
    let requests = requests.iter().map(|(kind, count)| ((*kind).to_owned(), *count)).collect();
    Work { requests, events: 4.0, read: Some(200.0), written: Some(30.0) }
}

fn figures() -> Figures {
    Figures {
        first_deploy: work(&[("create replicasets", 1.0)]),
        update: work(&[("patch rollouts/status", 10.0), ("patch replicasets", 2.0)]),
        requests_at_rest: 0.0,
        memory: Some(Memory { at_rest: 45.0, peak: 60.0, after: 45.0 }),
        cpu: Some(Cpu { controller: 10.0, api_server: 120.0 }),
    }
}

/// A change of the figures, and the figures that are worse by it.
fn worse_when(change: impl Fn(&mut Figures)) -> Vec<String> {
    let mut now = figures();
    change(&mut now);
    worse(&compare(&figures(), &now)).into_iter().map(str::to_owned).collect()
}

fn set(figures: &mut Figures, kind: &str, count: f64) {
    figures.update.requests.insert(kind.to_owned(), count);
}

fn find(rows: &[Row], name: &str) -> Row {
    rows.iter().find(|row| row.name == name).unwrap_or_else(|| panic!("no {name} in {rows:#?}")).clone()
}

#[test]
fn figures_within_the_ratio_are_well() {
    assert!(worse_when(|_| ()).is_empty());
    assert!(worse_when(|now| set(now, "patch rollouts/status", 12.9)).is_empty());
    assert!(worse_when(|now| now.memory = Some(Memory { at_rest: 58.0, peak: 77.0, after: 58.0 })).is_empty());
}

#[test]
fn a_figure_beyond_the_ratio_is_worse_and_named() {
    assert_eq!(worse_when(|now| set(now, "patch replicasets", 3.0)), ["update: patch replicasets"]);
    let both = ["update: requests a Rollout", "update: patch rollouts/status"];
    assert_eq!(worse_when(|now| set(now, "patch rollouts/status", 14.0)), both);
    assert_eq!(worse_when(|now| now.update.events = 5.3), ["update: events a Rollout"]);
    assert_eq!(worse_when(|now| now.update.read = Some(261.0)), ["update: kB read a Rollout"]);
    assert_eq!(worse_when(|now| now.first_deploy.written = Some(40.0)), ["first deploy: kB written a Rollout"]);
    assert_eq!(worse_when(|now| now.requests_at_rest = 6.0), ["at rest: requests a minute"]);
    assert_eq!(worse_when(|now| now.memory.as_mut().unwrap().after = 59.0), ["RSS a minute after, MB"]);
}

#[test]
fn a_new_kind_of_request_is_worse() {
    assert_eq!(worse_when(|now| set(now, "get pods", 1.0)), ["update: get pods"]);
    // A conflict of one Rollout in twenty is none of its own.
    assert!(worse_when(|now| set(now, "get rollouts", 0.05)).is_empty());
}

#[test]
fn what_is_better_is_well_and_said() {
    let mut now = figures();
    set(&mut now, "patch rollouts/status", 7.0);
    now.update.requests.remove("patch replicasets");
    now.memory = Some(Memory { at_rest: 30.0, peak: 59.0, after: 30.0 });
    let rows = compare(&figures(), &now);
    assert!(worse(&rows).is_empty());
    for name in ["update: patch rollouts/status", "update: patch replicasets", "RSS at rest, MB"] {
        assert_eq!(find(&rows, name).verdict, Verdict::Better, "{name}");
    }
    assert_eq!(find(&rows, "RSS peak of the update, MB").verdict, Verdict::Same);
    let line = find(&rows, "update: patch rollouts/status").to_string();
    assert_eq!(line, "| update: patch rollouts/status | 10.00 | 7.00 | 0.70 | yes, better |");
}

#[test]
fn what_depends_on_the_machine_or_is_unknown_is_not_compared() {
    assert!(worse_when(|now| now.cpu = Some(Cpu { controller: 100.0, api_server: 1200.0 })).is_empty());
    // A debug build has no memory to compare, and an older file no bytes.
    assert!(worse_when(|now| now.memory = None).is_empty());
    let mut before = figures();
    (before.update.read, before.memory) = (None, None);
    let rows = compare(&before, &figures());
    assert!(worse(&rows).is_empty());
    let line = find(&rows, "update: kB read a Rollout").to_string();
    assert_eq!(line, "| update: kB read a Rollout | - | 200.00 | - | not compared |");
}

#[test]
fn an_unknown_field_of_the_file_is_refused_by_name() {
    let mut file = serde_json::to_value(BTreeMap::from([("1 Rollout", figures())])).unwrap();
    assert!(serde_json::from_value::<Accepted>(file.clone()).is_ok());
    file["1 Rollout"]["update"]["latency"] = 7.into();
    let error = serde_json::from_value::<Accepted>(file).unwrap_err().to_string();
    assert!(error.contains("unknown field `latency`"), "{error}");
}

/// The small run in `make test` compares with it.
#[test]
fn the_file_has_the_figures_of_the_small_run() {
    let accepted: Accepted = serde_json::from_str(FILE).unwrap();
    let small = &accepted.0["50 Rollouts, mesh, short timers"];
    assert!(small.update.requests.values().sum::<f64>() > 1.0, "{small:#?}");
}
