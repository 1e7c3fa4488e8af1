//! The model check: whatever happens, in whatever order, no bad state can be reached, and every state leads to rest.
//!
//! `stateright` walks every state that the real `engine::step` can reach in a world of two versions, two pods and three steps
//! (`model/world.rs`), with commands of people, lost pods, failed evidence, a controller that dies between any two writes,
//! and hours in which there is none.

mod checker;
mod diagram;
mod found;
mod graph;
mod key;
mod world;

use checker::Release;
use glidepath::api::RolloutSpec;
use stateright::{Checker, Model};
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

fn spec(parts: &[&str]) -> RolloutSpec {
    serde_yaml::from_str(&format!("{COMMON}{}", parts.concat())).unwrap()
}

fn check(name: &str, spec: RolloutSpec, left: Left) {
    let release = Release::new(spec, left);
    let (graph, edges) = (release.graph.clone(), release.edges.clone());
    let checker = release.checker().spawn_bfs().join();
    for (property, path) in checker.discoveries() {
        if !property.starts_with("the new version") {
            let last = path.last_state();
            println!("{name}: not so: {property}: {:?} {:#?}", last.broken, last.world);
            for (state, act) in path.into_vec() {
                println!("{:?} {:?} {} | {:?}", state.world.status.course, state.world.status.stage, state.world.status.message, act);
            }
        }
    }
    let graph = graph.lock().unwrap();
    println!(
        "{name}: {} states ({} at rest), {} transitions, depth {}, stuck {}, circling {}",
        checker.unique_state_count(), graph.resting(), graph.transitions, checker.max_depth(), graph.stuck().len(), graph.circling().len(),
    );
    for state in graph.stuck().into_iter().take(1).chain(graph.circling().into_iter().take(3)) {
        println!("{}", graph.way_to(state));
    }
    for ((from, to), why) in &edges.lock().unwrap().changes {
        println!("{from} --> {to}: {why:?}");
    }
    println!("{:?}", edges.lock().unwrap().phases);
}

fn left() -> Left {
    let read = |name: &str, default: u8| std::env::var(name).map_or(default, |v| v.parse().unwrap());
    Left { commands: read("CMD", 0), deploys: read("DEP", 1), losses: read("LOSS", 0), deaths: read("DEATH", 0) }
}

#[test]
fn canary_by_route() {
    check("canary by route", spec(&[ROUTES, CANARY]), left());
}
#[test]
fn canary_by_ratio() {
    check("canary by ratio", spec(&[CANARY]), left());
}
#[test]
fn blue_green_by_service() {
    check("blue-green by Service", spec(&[BLUE_GREEN]), left());
}
#[test]
fn blue_green_by_route() {
    check("blue-green by route", spec(&[ROUTES, BLUE_GREEN]), left());
}
