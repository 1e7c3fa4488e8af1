//! What a strategy asks for that a kind of route cannot do, found before the first deploy.

use super::{error::GatewayError, kinds};
use crate::{
    api::{RolloutSpec, traffic::GatewayRoute, validate::Finding},
    router::asked::{Asked, asked},
};

/// What the routes of a Rollout cannot do; nothing where none of its routers is `gateway`.
pub fn unmet(spec: &RolloutSpec) -> Vec<Finding> {
    let asked = asked(&spec.strategy);
    let routes = || spec.traffic.iter().filter_map(|entry| entry.gateway.as_ref()).flat_map(|gateway| &gateway.routes);
    asked.iter().filter_map(|one| routes().find_map(|route| refused_by(one, route))).collect()
}

fn refused_by(asked: &Asked, route: &GatewayRoute) -> Option<Finding> {
    let why = kinds::limit(route.kind, asked.is_sticky)?;
    let route = format!("{} {}", route.kind, route.name);
    let error = GatewayError::Unsupported { route, what: asked.what, why };
    Some(Finding::error(&asked.field, error.to_string()))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn found(strategy: &Value, kind: &str) -> String {
        let traffic = json!([{"gateway": {"routes": [{"name": "all"}, {"kind": kind, "name": "web"}]}}]);
        let spec: RolloutSpec = serde_json::from_value(json!({"strategy": strategy, "traffic": traffic})).unwrap();
        unmet(&spec).iter().map(|one| format!("{}: {}\n", one.path, one.message)).collect()
    }

    #[test]
    fn what_a_kind_of_route_cannot_do_is_said_before_the_first_deploy() {
        let header = json!([{"header": {"name": "a", "exact": "b"}}]);
        let steps = |steps: Value| json!({"canary": {"steps": steps}});
        let goal = json!({"templates": [{"name": "t"}]});
        let (connections, requests) = (&["TCPRoute", "TLSRoute"][..], &["TCPRoute", "TLSRoute", "GRPCRoute"][..]);
        for (strategy, refusing, wanted) in [
            (
                steps(json!([{"setWeight": 5}, {"setHeaderRoute": {"name": "x", "match": header}}])),
                connections,
                "spec.strategy.canary.steps[1].setHeaderRoute: KIND web cannot have a header route",
            ),
            (
                steps(json!([{"setMirrorRoute": {"percent": 5}}])),
                connections,
                "spec.strategy.canary.steps[0].setMirrorRoute: KIND web cannot have a mirror",
            ),
            (
                json!({"blueGreen": {"previewMatch": header}}),
                connections,
                "spec.strategy.blueGreen.previewMatch: KIND web cannot",
            ),
            (
                json!({"abTest": {"match": header, "goal": goal}}),
                connections,
                "spec.strategy.abTest.match: KIND web cannot",
            ),
            (
                json!({"abTest": {"weight": 50, "goal": goal, "sticky": {"cookie": "v"}}}),
                requests,
                "spec.strategy.abTest.sticky: KIND web cannot have a sticky cookie",
            ),
            (steps(json!([{"setHeaderRoute": {"name": "x"}}, {"setWeight": 5}])), &[], "nothing"),
        ] {
            for kind in ["HTTPRoute", "GRPCRoute", "TCPRoute", "TLSRoute"] {
                let said = found(&strategy, kind);
                let wanted = wanted.replace("KIND", kind);
                assert_eq!(said.starts_with(&wanted), refusing.contains(&kind), "{kind} {strategy}\n{said}");
                assert_eq!(said.is_empty(), !refusing.contains(&kind), "{kind} {strategy}\n{said}");
            }
        }
    }
}
