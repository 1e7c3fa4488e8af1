//! The model check: whatever happens, in whatever order, no bad state can be reached, and every state leads to rest.
//!
//! `stateright` walks every state that the real `engine::step` can reach in a world of two versions, two pods and three
//! steps (`model/world.rs`), with commands of users, lost pods, failed evidence, a controller that dies between any two
//! writes, and hours in which there is none.

mod checker;
mod diagram;
mod found;
mod graph;
mod key;
mod legal;
mod pages;
mod world;

use checker::Release;
use diagram::Edges;
use glidepath::api::RolloutSpec;
use stateright::{Checker, Expectation, Model};
use world::Left;

/// What all the models' files have in common; every time in them is shorter than `key::LONG_AGO`.
const COMMON: &str = "
settle: 1s
scaleDownDelay: 5s
abortScaleDownDelay: 5s
progressDeadline: 60s
rollbackWindow: {revisions: 1}
";
const ROUTES: &str = "
services: {root: checkout}
traffic: [{istio: {virtualServices: [{name: checkout}]}}]
";
const CANARY: &str = "
analysis: {templates: [{name: errors}]}
strategy: {canary: {steps: [{setWeight: 50}, {pause: {}}, {observe: {atMost: 20s}}]}}
";
const BLUE_GREEN: &str = "
strategy:
  blueGreen:
    activeService: checkout
    previewService: checkout-preview
    previewReplicas: 1
    prePromotionAnalysis: {templates: [{name: errors}], atMost: 20s}
    autoPromotion: {enabled: false}
    postPromotionAnalysis: {templates: [{name: errors}], atMost: 20s}
";

const AB_TEST: &str = "
strategy:
  abTest:
    weight: 50
    maxDuration: 20s
    goal: {templates: [{name: orders}]}
";

fn spec(parts: &[&str]) -> RolloutSpec {
    serde_yaml::from_str(&format!("{COMMON}{}", parts.concat())).unwrap()
}

/// What is let happen, in words and in numbers. All at once are too many states for one test.
fn chances(spec: &RolloutSpec) -> Vec<(&'static str, Left)> {
    let release = Left { deploys: 1, ..Left::default() };
    let mut chances = vec![
        ("any two commands", Left { commands: 2, ..release }),
        ("any command, two changes of the template", Left { commands: 1, deploys: 2, ..release }),
        ("any command, the controller dies or is away", Left { commands: 1, deaths: 1, ..release }),
        ("the new version loses its pods three times", Left { losses: 3, ..release }),
        ("each version loses its pods once", Left { losses: 1, first_losses: 1, ..release }),
        ("any command, a container of the new version is OOM-killed", Left { commands: 1, ooms: 1, ..release }),
    ];
    if spec.strategy.ab_test.is_some() {
        chances.truncate(3); // pods are lost in a test as in any other step
    }
    chances
}

/// What was found.
#[derive(Default)]
struct Found {
    /// Lines for the table of numbers.
    rows: Vec<String>,
    edges: Edges,
    bad: Vec<String>,
}

/// Walks every state that a strategy can reach, once for each set of chances.
fn explore(name: &str, spec: &RolloutSpec) -> Found {
    let mut found = Found::default();
    for (words, left) in chances(spec) {
        let release = Release::new(spec.clone(), left);
        let (graph, edges) = (release.graph.clone(), release.edges.clone());
        let checker = release.checker().spawn_bfs().join();
        let graph = std::mem::take(&mut *graph.lock().unwrap());
        let numbers = [checker.unique_state_count() as u64, graph.transitions, checker.max_depth() as u64];
        let row = format!("| {name} | {words} | {} | {} | {} |", numbers[0], numbers[1], numbers[2]);
        println!("{row}");
        found.rows.push(row);
        let stuck = graph.stuck().first().map(|state| format!("cannot come to rest:\n{}", graph.way_to(*state)));
        let circle = graph.circling().first().map(|state| format!("goes in a circle:\n{}", graph.way_to(*state)));
        found.bad.extend(stuck.into_iter().chain(circle).map(|bad| format!("{name}, {words}: {bad}")));
        found.bad.extend(violations(&checker).into_iter().map(|bad| format!("{name}, {words}: {bad}")));
        found.edges.join(std::mem::take(&mut *edges.lock().unwrap()));
    }
    found
}

/// Properties that do not hold, each with the shortest way there; and examples that were not found.
fn violations(checker: &impl Checker<Release>) -> Vec<String> {
    let mut bad = Vec::new();
    for property in checker.model().properties() {
        match (checker.discovery(property.name), property.expectation) {
            (None, Expectation::Sometimes) => bad.push(format!("it never happens that {}", property.name)),
            (Some(path), Expectation::Always) => {
                let broken = path.last_state().broken.join("; ");
                let way: Vec<String> =
                    path.into_vec().iter().map(|(state, act)| format!("{} {act:?}", state.says())).collect();
                bad.push(format!("it is not so that {}: {broken}\n{}", property.name, way.join("\n")));
            }
            _ => {}
        }
    }
    bad
}

/// The strategies, and where they split traffic.
fn releases() -> [(&'static str, RolloutSpec, &'static str); 5] {
    [
        ("Canary by routes", spec(&[ROUTES, CANARY]), legal::CANARY_BY_ROUTES),
        ("Canary by the ratio of pods", spec(&[CANARY]), legal::CANARY_BY_RATIO),
        ("Blue-green by routes", spec(&[ROUTES, BLUE_GREEN]), legal::BLUE_GREEN_BY_ROUTES),
        ("Blue-green by Service", spec(&[BLUE_GREEN]), legal::BLUE_GREEN_BY_SERVICE),
        ("A/B test", spec(&[ROUTES, AB_TEST]), legal::AB_TEST),
    ]
}

/// The one test, since every state is walked once: nothing bad can be reached, rest always can, the changes of course are
/// the legal ones, and the pages say so.
#[test]
fn no_bad_state_can_be_reached_and_rest_always_can() {
    let found: Vec<(&str, &str, Found)> = std::thread::scope(|threads| {
        let all = releases().map(|(name, spec, legal)| (name, legal, threads.spawn(move || explore(name, &spec))));
        all.into_iter().map(|(name, legal, thread)| (name, legal, thread.join().unwrap())).collect()
    });
    let bad: Vec<String> = found.iter().flat_map(|(_, _, found)| found.bad.clone()).collect();
    assert!(bad.is_empty(), "{}", bad.join("\n\n"));
    let other = found.iter().filter(|(_, legal, found)| found.edges.followers() != legal.trim());
    let other: Vec<String> = other.map(|(name, _, found)| format!("{name}:\n{}", found.edges.followers())).collect();
    assert!(other.is_empty(), "tests/it/model/legal.rs lists other changes than these:\n{}", other.join("\n"));
    let rows: Vec<String> = found.iter().flat_map(|(_, _, found)| found.rows.clone()).collect();
    pages::numbers(&rows);
    pages::states(found.iter().map(|(name, _, found)| (*name, &found.edges)));
}
