//! What in a cluster with Linkerd keeps the routes of Rollouts from being used, and policies that the canary's pods escape.

mod servers;

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::{
    check::Check,
    reader::{Kind, Reader},
};
use crate::{
    api::{Rollout, traffic::GatewayRoute},
    cli::connect::Connection,
    ports::RolloutKey,
    router::gateway::linkerd::{POLICY, PROFILES, obstacles, parents},
};

use servers::Servers;

const GATEWAY: &str = "gateway.networking.k8s.io";
const SERVICE_PROFILES: Kind =
    Kind { group: PROFILES, versions: &["v1alpha2"], kind: "ServiceProfile", plural: "serviceprofiles" };
const OWN_ROUTES: Kind =
    Kind { group: POLICY, versions: &["v1beta3", "v1beta2", "v1beta1"], kind: "HTTPRoute", plural: "httproutes" };
const ROUTES: [Kind; 4] = [
    Kind { group: GATEWAY, versions: &["v1", "v1beta1"], kind: "HTTPRoute", plural: "httproutes" },
    Kind { group: GATEWAY, versions: &["v1", "v1alpha2"], kind: "GRPCRoute", plural: "grpcroutes" },
    Kind { group: GATEWAY, versions: &["v1", "v1alpha3", "v1alpha2"], kind: "TLSRoute", plural: "tlsroutes" },
    Kind { group: GATEWAY, versions: &["v1", "v1alpha2"], kind: "TCPRoute", plural: "tcproutes" },
];

/// Lines for Rollouts whose routes have a Service as parent; none where Linkerd is not installed or there are none.
pub(super) async fn checks(connection: &Connection, rollouts: &[Rollout]) -> Vec<Check> {
    let in_question: Vec<&Rollout> = rollouts.iter().filter(|rollout| routes(rollout).next().is_some()).collect();
    let mut reader = Reader::of(connection);
    if in_question.is_empty() {
        return Vec::new();
    }
    let Some(profiles) = reader.list(&SERVICE_PROFILES, None).await else { return Vec::new() };
    let namespaces: BTreeSet<String> =
        in_question.iter().copied().flat_map(routes).map(|(namespace, _)| namespace).collect();
    let mut found = Vec::new();
    for namespace in namespaces {
        for kind in ROUTES.iter().chain([&OWN_ROUTES]) {
            found.extend(reader.list(kind, Some(&namespace)).await.unwrap_or_default());
        }
    }
    let objects = Found { profiles, routes: found };
    let (mut checks, mut meshed, mut servers) = (Vec::new(), 0, Servers::default());
    for rollout in in_question {
        let (wrong, is_meshed) = objects.of(rollout);
        checks.extend(wrong);
        if is_meshed {
            meshed += 1;
            checks.extend(servers.checks(connection, &mut reader, rollout).await);
        }
    }
    if checks.is_empty() && meshed > 0 {
        let what =
            format!("Linkerd: nothing keeps it from using the routes of Rollouts with a Service as parent ({meshed})");
        checks.push(Check::well(what));
    }
    checks.extend(reader.unread("Linkerd"));
    checks
}

/// The routes of the Gateway API that a Rollout names, each with its namespace.
fn routes(rollout: &Rollout) -> impl Iterator<Item = (String, &GatewayRoute)> {
    let own = RolloutKey::of(rollout).namespace;
    let all =
        rollout.spec.traffic.iter().filter_map(|entry| entry.gateway.as_ref()).flat_map(|gateway| &gateway.routes);
    all.map(move |route| (route.namespace.clone().unwrap_or_else(|| own.clone()), route))
}

/// What there is in the cluster.
struct Found {
    profiles: Vec<Value>,
    routes: Vec<Value>,
}

impl Found {
    /// What is wrong with the routes of one Rollout, each obstacle once, and whether any of them has a Service as parent.
    fn of(&self, rollout: &Rollout) -> (Vec<Check>, bool) {
        let key = RolloutKey::of(rollout);
        let named: Vec<(String, &GatewayRoute)> = routes(rollout).collect();
        let is_named = |object: &&Value| named.iter().any(|(namespace, route)| is(object, GATEWAY, namespace, route));
        let others: Vec<&Value> = self.profiles.iter().chain(self.routes.iter().filter(|one| !is_named(one))).collect();
        let (mut said, mut is_meshed) = (BTreeMap::new(), false);
        for (namespace, route) in &named {
            let Some(object) = self.routes.iter().find(|object| is(object, GATEWAY, namespace, route)) else {
                said.extend(self.of_linkerds_group(namespace, route));
                continue;
            };
            is_meshed |= !parents(object, namespace).is_empty();
            let found = obstacles(object, namespace, others.iter().copied());
            said.extend(found.into_iter().map(|obstacle| (obstacle.what, obstacle.todo)));
        }
        let wrong = |(what, todo)| Check::wrong(format!("Linkerd: Rollout {key}: {what}"), todo);
        (said.into_iter().map(wrong).collect(), is_meshed)
    }

    /// A route that is not there, but in Linkerd's own group.
    fn of_linkerds_group(&self, namespace: &str, route: &GatewayRoute) -> Option<(String, String)> {
        self.routes.iter().find(|object| is(object, POLICY, namespace, route))?;
        let what = format!("{} {namespace}/{} is of {POLICY}, which Glidepath does not write", route.kind, route.name);
        Some((what, format!("create it as {} of {GATEWAY}/v1, and delete the other one", route.kind)))
    }
}

/// Whether an object is this route, in this group.
fn is(object: &Value, group: &str, namespace: &str, route: &GatewayRoute) -> bool {
    let version = object["apiVersion"].as_str().unwrap_or_default();
    version.strip_prefix(group).is_some_and(|rest| rest.starts_with('/'))
        && object["kind"] == route.kind.as_str()
        && object["metadata"]["namespace"] == namespace
        && object["metadata"]["name"] == route.name.as_str()
}

#[cfg(test)]
mod tests;
