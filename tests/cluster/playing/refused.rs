//! What a real cluster cannot play. A file that has any of it is refused, never played in part.

use super::gates;
use ::glidepath::api::Rollout;
use ::glidepath::cli::offline::simulate::Loaded;
use ::glidepath::sim::scenario::{On, Scenario};

/// Everything in a scenario that is not played here, as (the field's path, what it is).
pub fn refused(loaded: &Loaded) -> Vec<(String, String)> {
    let scenario = &loaded.setting.scenario;
    let mut found = Vec::new();
    if scenario.on == Some(On::Sim) {
        found.push(("on".to_owned(), "the file is for the simulator".to_owned()));
    }
    world(scenario, &mut found);
    found.extend(loaded.setting.rollout.iter().flat_map(|rollout| unreachable_gates(scenario, rollout)));
    found
}

fn world(scenario: &Scenario, found: &mut Vec<(String, String)>) {
    let world = &scenario.world;
    let mut note = |there: bool, path: String, what: &str| {
        if there {
            found.push((path, format!("{what} cannot be had on a real cluster")));
        }
    };
    note(world.pod_capacity.is_some(), "world.podCapacity".into(), "a bound for all pods");
    note(world.hpa.is_some(), "world.hpa".into(), "an autoscaler");
    note(world.traffic.users.is_some(), "world.traffic.users".into(), "a number of users");
    for name in world.series.keys() {
        note(true, format!("world.series.{name}"), "an invented series");
    }
    for index in 0..world.faults.len() {
        note(true, format!("world.faults[{index}]"), "a fault by the file's clock");
    }
    for index in 0..world.incidents.len() {
        note(true, format!("world.incidents[{index}]"), "an incident by the file's clock");
    }
    for (image, version) in &world.versions {
        let latency = version.latency.as_ref();
        let odd = latency.is_some_and(|latency| latency.delayed.is_some() || latency.native);
        note(odd, format!("world.versions.{image}.latency"), "a native histogram, or a share of slow answers,");
        note(version.conversion.is_some(), format!("world.versions.{image}.conversion"), "converting users");
    }
}

/// Gates are answered at one address only; another one would be asked for real.
fn unreachable_gates(scenario: &Scenario, rollout: &Rollout) -> Vec<(String, String)> {
    let steps = rollout.spec.strategy.steps();
    let urls =
        steps.iter().filter_map(|step| step.gate.as_ref()).filter_map(|gate| Some((&gate.name, gate.url.as_ref()?)));
    let wrong = urls.filter(|(_, url)| gates::path_of(url).is_none());
    let mut found: Vec<_> = wrong
        .map(|(name, url)| {
            let wanted = format!("{url} is not answered here; its address must begin with {}", gates::HOME);
            (format!("world.gates.{name}"), wanted)
        })
        .collect();
    let known = |name: &String| steps.iter().any(|step| step.gate.as_ref().is_some_and(|gate| gate.name == *name));
    for name in scenario.world.gates.keys().filter(|name| !known(name)) {
        found.push((format!("world.gates.{name}"), "no step of the Rollout has this gate".to_owned()));
    }
    found
}
