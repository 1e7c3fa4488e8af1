//! What Linkerd makes of the routes of a Rollout, by the other objects in the files: a ServiceProfile that overrides them,
//! routes of another kind or group on the same Service, backends without a port.

use serde_json::Value;

use super::{
    named_routes::{self, Named},
    objects::{Found, Objects, Rollout},
};
use crate::{
    api::validate::Finding,
    router::gateway::linkerd::{POLICY, PROFILES, obstacles, parents},
};

const GATEWAY: &str = "gateway.networking.k8s.io";
/// Other objects that say something of a route, and their groups.
const OTHERS: [(&str, &str); 5] = [
    (PROFILES, "ServiceProfile"),
    (GATEWAY, "GRPCRoute"),
    (GATEWAY, "HTTPRoute"),
    (GATEWAY, "TLSRoute"),
    (POLICY, "HTTPRoute"),
];

/// Each route of the Gateway API that the Rollout names.
pub(super) fn check(rollout: &Rollout<'_>, files: &Objects<'_>, found: &mut Found) {
    for (number, entry) in rollout.spec.traffic.iter().enumerate() {
        let named = named_routes::named(entry, &format!("spec.traffic[{number}]"));
        let routes: Vec<&Named<'_>> = named.iter().filter(|route| route.group == GATEWAY).collect();
        let known: Vec<usize> = routes.iter().filter_map(|route| index_of(rollout, files, route)).collect();
        for route in routes {
            match index_of(rollout, files, route) {
                Some(index) => judged(rollout, files, route, (index, &known), found),
                None => found.extend(of_linkerds_group(rollout, files, route).map(|one| (rollout.index, one))),
            }
        }
    }
}

fn index_of(rollout: &Rollout<'_>, files: &Objects<'_>, route: &Named<'_>) -> Option<usize> {
    let namespace = route.namespace.or(files.namespace(rollout.index));
    files.find(rollout.index, route.group, route.kind, route.name, namespace)
}

fn judged(
    rollout: &Rollout<'_>,
    files: &Objects<'_>,
    route: &Named<'_>,
    (index, known): (usize, &[usize]),
    found: &mut Found,
) {
    let own = &files.document(index).value;
    let namespace = route.namespace.or(files.namespace(index)).or(files.namespace(rollout.index)).unwrap_or("default");
    if parents(own, namespace).is_empty() {
        return;
    }
    let others = OTHERS.iter().flat_map(|(group, kind)| files.all(rollout.index, group, kind, None));
    let others: Vec<Value> =
        others.filter(|other| !known.contains(other)).map(|other| placed(files, other, namespace)).collect();
    for obstacle in obstacles(own, namespace, others.iter()) {
        let message = format!("{}; {}", obstacle.what, obstacle.todo);
        let finding = if obstacle.overrides { Finding::error } else { Finding::warning };
        found.push((rollout.index, finding(&route.path, message)));
    }
    found.extend(without_port(own).into_iter().map(|one| (index, one)));
}

/// The object in the namespace that it will be in: that of the route where it names none.
fn placed(files: &Objects<'_>, index: usize, namespace: &str) -> Value {
    let mut object = files.document(index).value.clone();
    object["metadata"]["namespace"] = files.namespace(index).unwrap_or(namespace).into();
    object
}

fn without_port(route: &Value) -> Vec<Finding> {
    let mut all = Vec::new();
    let is_service = |backend: &Value| backend["kind"].as_str().is_none_or(|kind| kind == "Service");
    for (number, rule) in list(&route["spec"]["rules"]).enumerate() {
        let backends = list(&rule["backendRefs"]).enumerate();
        for (entry, backend) in backends.filter(|(_, backend)| is_service(backend) && backend["port"].is_null()) {
            let name = backend["name"].as_str().unwrap_or("?");
            let message = format!("a backendRef to a Service needs a port; add that of Service \"{name}\"");
            all.push(Finding::error(format!("spec.rules[{number}].backendRefs[{entry}].port"), message));
        }
    }
    all
}

/// A route of this name that Linkerd reads and Glidepath does not write.
fn of_linkerds_group(rollout: &Rollout<'_>, files: &Objects<'_>, route: &Named<'_>) -> Option<Finding> {
    let namespace = route.namespace.or(files.namespace(rollout.index));
    files.find(rollout.index, POLICY, route.kind, route.name, namespace)?;
    let (kind, name) = (route.kind, route.name);
    let message = format!(
        "{kind} \"{name}\" is of {POLICY}, which Glidepath does not write; change its apiVersion to {GATEWAY}/v1"
    );
    Some(Finding::error(format!("{}{}", route.path, route.name_field), message))
}

fn list(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}
