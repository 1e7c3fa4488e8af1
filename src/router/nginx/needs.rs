//! Header routes of a Rollout's steps that ingress-nginx cannot say, found before the first deploy.

use super::conditions::Conditions;
use crate::api::{RolloutSpec, strategy::HeaderRoute, validate::Finding};

/// What the canary Ingress of a Rollout cannot say; nothing where none of its routers is `nginx`.
pub fn unmet(spec: &RolloutSpec) -> Vec<Finding> {
    if spec.traffic.iter().all(|entry| entry.nginx.is_none()) {
        return Vec::new();
    }
    let mut found = Vec::new();
    let mut together: Vec<HeaderRoute> = Vec::new();
    for (index, step) in spec.strategy.steps().iter().enumerate() {
        let Some(route) = &step.set_header_route else { continue };
        together.retain(|known| known.name != route.name);
        if route.matches.is_empty() {
            continue;
        }
        together.push(route.clone());
        if let Err(error) = Conditions::of(&together) {
            found.push(Finding::error(place(index, spec), error.to_string()));
            together.pop();
        }
    }
    found
}

/// The field that the header route of a step comes from.
fn place(index: usize, spec: &RolloutSpec) -> String {
    let strategy = &spec.strategy;
    match (&strategy.canary, &strategy.blue_green) {
        (Some(_), _) => format!("spec.strategy.canary.steps[{index}].setHeaderRoute.match"),
        (None, Some(_)) => "spec.strategy.blueGreen.previewMatch".to_owned(),
        (None, None) => "spec.strategy.abTest.match".to_owned(),
    }
}
