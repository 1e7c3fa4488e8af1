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

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn found(strategy: &Value, traffic: &Value) -> String {
        let spec: RolloutSpec = serde_json::from_value(json!({"strategy": strategy, "traffic": traffic})).unwrap();
        unmet(&spec).iter().map(|one| format!("{}: {}\n", one.path, one.message)).collect()
    }

    #[test]
    fn header_routes_that_do_not_fit_together_are_said_before_the_first_deploy() {
        let set = |name: &str, header: &str| json!({"setHeaderRoute": {"name": name, "match": [{"header": {"name": header, "exact": "1"}}]}});
        let unset = |name: &str| json!({"setHeaderRoute": {"name": name}});
        let steps = |steps: Value| json!({"canary": {"steps": steps}});
        let cookie = json!([{"cookie": {"name": "beta", "exact": "1"}}]);
        let (nginx, other) =
            (json!([{"nginx": {"ingress": "web"}}]), json!([{"istio": {"virtualServices": [{"name": "web"}]}}]));
        for (strategy, wanted) in [
            (
                steps(json!([set("a", "x"), set("b", "y")])),
                "spec.strategy.canary.steps[1].setHeaderRoute.match: header route `b`",
            ),
            (steps(json!([set("a", "x"), unset("a"), set("b", "y")])), ""),
            (steps(json!([set("a", "x"), {"setWeight": 5}, set("a", "x")])), ""),
            (
                json!({"blueGreen": {"previewMatch": cookie}}),
                "spec.strategy.blueGreen.previewMatch: header route `preview`",
            ),
            (
                json!({"abTest": {"match": cookie, "goal": {"templates": [{"name": "t"}]}}}),
                "spec.strategy.abTest.match: header route `candidate`",
            ),
        ] {
            let said = found(&strategy, &nginx);
            assert!(said.starts_with(wanted) && said.is_empty() == wanted.is_empty(), "{strategy}\n{said}");
            assert_eq!(found(&strategy, &other), "", "{strategy}");
        }
    }
}
