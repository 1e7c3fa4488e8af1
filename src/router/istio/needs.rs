//! What a strategy asks for that routes of connections cannot do, found before the first deploy.

use super::chosen::{Protocol, protocols};
use crate::{
    api::{RolloutSpec, traffic::VirtualServiceRef, validate::Finding},
    router::{
        asked::{Asked, asked},
        error::RouteError,
    },
};

/// What the tcp and tls routes of a Rollout cannot do; nothing where it names none.
pub fn unmet(spec: &RolloutSpec) -> Vec<Finding> {
    let named = spec.traffic.iter().filter_map(|entry| entry.istio.as_ref()).flat_map(|istio| &istio.virtual_services);
    let Some(place) = named.filter_map(place).next() else { return Vec::new() };
    asked(&spec.strategy).iter().map(|one| refusal(one, &place)).collect()
}

/// A VirtualService of which connections are split.
fn place(reference: &VirtualServiceRef) -> Option<String> {
    let protocol = protocols(reference).find(|protocol| *protocol != Protocol::Http)?;
    Some(format!("a {} route of VirtualService {}", protocol.list(), reference.name))
}

fn refusal(asked: &Asked, place: &str) -> Finding {
    let error = RouteError::ConnectionsOnly { place: place.to_owned() };
    Finding::error(&asked.field, error.to_string())
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn found(reference: &Value, strategy: &Value) -> Vec<String> {
        let traffic = json!([{"istio": {"virtualServices": [{"name": "web"}, reference]}}]);
        let spec: RolloutSpec = serde_json::from_value(json!({"strategy": strategy, "traffic": traffic})).unwrap();
        unmet(&spec).iter().map(|one| format!("{}: {}", one.path, one.message)).collect()
    }

    #[test]
    fn routes_of_connections_take_weights_alone() {
        let header = json!([{"header": {"name": "a", "exact": "b"}}]);
        let goal = json!({"templates": [{"name": "t"}]});
        let at = "a tcp route of VirtualService db splits connections: ";
        for (strategy, field) in [
            (
                json!({"canary": {"steps": [{"setWeight": 5}, {"setHeaderRoute": {"name": "x", "match": header}}]}}),
                "spec.strategy.canary.steps[1].setHeaderRoute",
            ),
            (
                json!({"canary": {"steps": [{"setMirrorRoute": {"percent": 5}}]}}),
                "spec.strategy.canary.steps[0].setMirrorRoute",
            ),
            (json!({"abTest": {"weight": 50, "goal": goal, "sticky": {"cookie": "v"}}}), "spec.strategy.abTest.sticky"),
        ] {
            let said = found(&json!({"name": "db", "tcpRoutes": [{"port": 3306}]}), &strategy);
            assert!(said.len() == 1 && said[0].starts_with(&format!("{field}: {at}")), "{said:?}");
            assert_eq!(found(&json!({"name": "db", "routes": ["a"]}), &strategy), Vec::<String>::new());
        }
        let weights = json!({"canary": {"steps": [{"setWeight": 5}]}});
        assert_eq!(found(&json!({"name": "db", "tlsRoutes": [{}]}), &weights), Vec::<String>::new());
    }
}
