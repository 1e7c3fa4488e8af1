//! Validation beyond the types: one validator for `lint` and the controller, so that both report the same messages.
//!
//! The API server checks the CEL rules on the types; this checks them again (a file has not met the server yet) and adds what
//! CEL cannot say: cross-field rules, opaque fields such as percentages and the pod template, and advice.

mod ab_test;
mod blue_green;
mod fault;
mod finding;
mod gates;
mod metadata;
mod names;
mod policy;
mod prometheus;
mod routes;
mod sources;
mod steps;
mod sticky;
mod templates;
mod traffic;
mod verification;
mod workload;

use super::{
    names::{canary_service, stable_service},
    rollout::RolloutSpec,
};

pub use fault::fault;
pub use finding::{Finding, Severity};
pub use metadata::{own_keys, own_labels, selected_by};
pub use names::{name, object_metadata};
pub use policy::{is_security, policy};
pub use sources::source_problems;
use templates::arguments;
pub use templates::template;

/// Everything that is wrong or odd in a Rollout's spec. Empty means that it can be worked with as it is.
pub fn rollout(spec: &RolloutSpec) -> Vec<Finding> {
    let mut found = Vec::new();
    workload::check(spec, &mut found);
    metadata::check(spec, &mut found);
    names::check(spec, &mut found);
    services(spec, &mut found);
    traffic::check(spec, &mut found);
    background(spec, &mut found);
    verification::check(spec, &mut found);
    judged(spec, &mut found);
    steps::check(spec, &mut found);
    found
}

fn services(spec: &RolloutSpec, found: &mut Vec<Finding>) {
    let Some(services) = &spec.services else { return };
    let names = [("root", &services.root), ("stable", &services.stable), ("canary", &services.canary)];
    for (field, name) in names {
        if name.as_deref() == Some("") {
            found.push(Finding::error(format!("spec.services.{field}"), "is empty; set a Service or remove it"));
        }
    }
    let (stable, canary) = (stable_service(services), canary_service(services));
    if stable.is_some() && stable == canary {
        found.push(Finding::error("spec.services.canary", "stable and canary must be two different Services"));
    }
    for (field, name) in [("stable", stable), ("canary", canary)] {
        if name.is_some() && name == services.root {
            found.push(Finding::error(
                format!("spec.services.{field}"),
                "is also the root Service; all client traffic would go to one revision",
            ));
        }
    }
}

fn background(spec: &RolloutSpec, found: &mut Vec<Finding>) {
    let Some(analysis) = &spec.analysis else { return };
    // The other strategies, and a canary with analysis steps alone, take the address and the history limits from here.
    let limits = analysis.successful_run_history_limit.or(analysis.unsuccessful_run_history_limit);
    let alone = limits.is_some() || analysis.guards.is_some();
    if analysis.templates.is_empty() && !alone && spec.strategy.canary.is_some() {
        found.push(Finding::error("spec.analysis.templates", "set at least one template"));
    }
    arguments(&analysis.args, "spec.analysis.args", found);
    if let Some(named) = &analysis.prometheus {
        prometheus::check(named, "spec.analysis.prometheus", found);
    }
    let steps = spec.strategy.canary.as_ref().map_or(0, |canary| canary.steps.len());
    if let Some(start) = analysis.starting_step
        && start as usize >= steps
    {
        let message = match steps {
            0 => "there are no steps to start at; remove it".to_owned(),
            _ => format!("there is no step {start}; steps are numbered from 0 here, the last is {}", steps - 1),
        };
        found.push(Finding::error("spec.analysis.startingStep", message));
    }
}

/// Every analysis that the strategy names has templates, and gives each argument once.
fn judged(spec: &RolloutSpec, found: &mut Vec<Finding>) {
    for (field, judged) in spec.strategy.judged() {
        let path = format!("spec.strategy.{field}");
        if judged.templates.is_empty() {
            found.push(Finding::error(format!("{path}.templates"), "set at least one template"));
        }
        arguments(&judged.args, &format!("{path}.args"), found);
    }
}

#[cfg(test)]
mod tests;
