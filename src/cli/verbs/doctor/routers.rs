//! Whether the API server serves the kinds that routers write.

use super::check::Check;
use crate::{
    cli::connect::Connection,
    router::{ROUTERS, WatchedKind},
};

/// One line for Istio and one for the Gateway API.
pub(super) async fn checks(connection: &Connection) -> Vec<Check> {
    vec![istio(connection).await, gateway(connection).await]
}

async fn istio(connection: &Connection) -> Check {
    for version in ["networking.istio.io/v1", "networking.istio.io/v1beta1"] {
        let served = connection.client.list_api_group_resources(version).await;
        if served.is_ok_and(|list| list.resources.iter().any(|resource| resource.kind == "VirtualService")) {
            return Check::well(format!("Istio's {version} is served"));
        }
    }
    Check::absent(
        "Istio is not installed",
        "only Rollouts with traffic.istio need it; without it the ratio of replicas splits traffic",
    )
}

async fn gateway(connection: &Connection) -> Check {
    let watches = ROUTERS.iter().filter(|router| router.key == "gateway").flat_map(|router| router.watches);
    let mut kinds = Vec::new();
    for kind in watches.filter(|kind| kind.kind.ends_with("Route")) {
        kinds.push((kind.kind, served(connection, kind).await));
    }
    gateway_check(&kinds)
}

/// The version of a kind that the controller would use.
async fn served(connection: &Connection, kind: &WatchedKind) -> Option<&'static str> {
    for version in kind.versions {
        let list = connection.client.list_api_group_resources(&format!("{}/{version}", kind.group)).await;
        if list.is_ok_and(|list| list.resources.iter().any(|resource| resource.name == kind.plural)) {
            return Some(version);
        }
    }
    None
}

fn gateway_check(kinds: &[(&str, Option<&str>)]) -> Check {
    let there: Vec<String> =
        kinds.iter().filter_map(|(kind, version)| version.map(|version| format!("{kind} {version}"))).collect();
    let missing: Vec<&str> = kinds.iter().filter(|(_, version)| version.is_none()).map(|(kind, _)| *kind).collect();
    if there.is_empty() {
        return Check::absent("the Gateway API is not installed", "only Rollouts with traffic.gateway need it");
    }
    let without = if missing.is_empty() { String::new() } else { format!("; not served: {}", missing.join(", ")) };
    Check::well(format!("the Gateway API is served: {}{without}", there.join(", ")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::verbs::doctor::check::Mark;

    #[test]
    fn the_kinds_of_the_gateway_api_are_named_with_their_versions() {
        let some = gateway_check(&[("HTTPRoute", Some("v1")), ("TCPRoute", None), ("TLSRoute", Some("v1alpha2"))]);
        let wanted = "the Gateway API is served: HTTPRoute v1, TLSRoute v1alpha2; not served: TCPRoute";
        assert_eq!((some.mark, some.what.as_str()), (Mark::Well, wanted));
        let none = gateway_check(&[("HTTPRoute", None)]);
        assert_eq!((none.mark, none.what.as_str()), (Mark::Absent, "the Gateway API is not installed"));
        assert!(none.todo.is_some_and(|todo| todo.contains("traffic.gateway")));
    }
}
