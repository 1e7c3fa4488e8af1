//! `egress`: an EgressNetwork, and a route on it for each host that may be called.
//!
//! An EgressNetwork is for all pods of its namespace, and hosts are distinguished by the server name of TLS or the host of HTTP.

use serde_json::{Value, json};

use super::kinds::{POLICY, V1ALPHA1};
use crate::{
    api::policy::{Egress, EgressDefault, ExternalHost},
    mesh::{
        intent::{Intent, Target},
        ownership::{conflict, is_own},
        plan::{MeshPlan, MeshWrite, Refusal},
    },
    router::Objects,
};

pub(super) fn plan(intent: &Intent<'_>, current: &Objects) -> MeshPlan {
    let mut plan = MeshPlan::default();
    let Some(egress) = &intent.spec.egress else { return plan };
    match objects(intent, egress) {
        Ok(objects) => plan.writes.extend(objects.into_iter().map(MeshWrite::Own)),
        Err(refusal) => plan.refused.push(refusal),
    }
    let others =
        current.of_kind((POLICY, "EgressNetwork"), intent.namespace).filter(|object| !is_own(object, intent.policy));
    plan.conflicts.extend(others.map(|object| conflict(object, "spec.trafficPolicy of the namespace's pods")));
    plan
}

/// The hosts that may be called come before what denies the others.
fn objects(intent: &Intent<'_>, egress: &Egress) -> Result<Vec<Value>, Refusal> {
    if !matches!(intent.target, Target::Namespace) {
        let why = "linkerd's EgressNetwork is for all pods of a namespace; set spec.target.namespace: true";
        return Err(intent.refusal("egress", why));
    }
    let policy = match egress.default {
        Some(EgressDefault::Deny) => "Deny",
        Some(EgressDefault::Allow) => "Allow",
        None => {
            let why = "linkerd's EgressNetwork must say what happens to other hosts; set Deny or Allow";
            return Err(intent.refusal("egress.default", why));
        }
    };
    let routes = egress.allow.iter().enumerate().map(|(index, host)| route(intent, host, index));
    let mut objects = routes.collect::<Result<Vec<_>, _>>()?;
    objects.push(intent.own(V1ALPHA1, "EgressNetwork", "egress", json!({"trafficPolicy": policy})));
    Ok(objects)
}

fn route(intent: &Intent<'_>, external: &ExternalHost, index: usize) -> Result<Value, Refusal> {
    let ExternalHost { host, port } = external;
    let (api_version, kind) = match port {
        443 | 8443 => ("gateway.networking.k8s.io/v1alpha2", "TLSRoute"),
        80 | 8080 => ("gateway.networking.k8s.io/v1", "HTTPRoute"),
        _ => {
            let why = format!(
                "linkerd cannot tell hosts apart at port {port}, where neither TLS nor HTTP is known to be spoken; use 443, 8443, 80 or 8080, or a NetworkPolicy"
            );
            return Err(intent.refusal(format!("egress.allow[{index}].port"), why));
        }
    };
    let network = json!({"group": POLICY, "kind": "EgressNetwork", "name": format!("{}-egress", intent.policy)});
    let mut parent = network.clone();
    parent["port"] = json!(port);
    let spec = json!({"hostnames": [host], "parentRefs": [parent], "rules": [{"backendRefs": [network]}]});
    Ok(intent.own(api_version, kind, &format!("egress-{}-{port}", host.replace('*', "any")), spec))
}
