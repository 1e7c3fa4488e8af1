//! `Sidecar` objects limit what proxies know. One that names a Rollout's Service and not both versions' Services leaves its
//! proxies without the canary: they answer its share with errors.

use serde_json::Value;

use crate::router::context::RouteContext;

/// The hosts of a Rollout that a Sidecar does not name, where it names another one of them; none where it concerns none.
pub fn missing_hosts(ctx: &RouteContext, root: &str, sidecar: &Value) -> Vec<String> {
    let own = sidecar["metadata"]["namespace"].as_str().unwrap_or_default();
    let egress = sidecar["spec"]["egress"].as_array().into_iter().flatten();
    let hosts: Vec<&str> =
        egress.flat_map(|one| one["hosts"].as_array().into_iter().flatten()).filter_map(Value::as_str).collect();
    let names = |service: &str| hosts.iter().any(|host| covers(host, own, &ctx.namespace, &full(ctx, service)));
    let versions = [ctx.stable_service.as_str(), ctx.canary_service.as_str()];
    let is_concerned = versions.iter().chain([&root]).any(|service| names(service));
    let missing = versions.into_iter().filter(|service| is_concerned && !names(service));
    missing.map(|service| format!("{}/{}", ctx.namespace, full(ctx, service))).collect()
}

fn full(ctx: &RouteContext, service: &str) -> String {
    format!("{service}.{}.svc.{}", ctx.namespace, ctx.scope.cluster_domain)
}

/// Whether an entry `namespace/name` of an egress list has a host of this namespace in it.
fn covers(entry: &str, own: &str, namespace: &str, host: &str) -> bool {
    let Some((of, name)) = entry.split_once('/') else { return false };
    let is_of = of == "*" || of == namespace || (of == "." && own == namespace);
    let is_named = match name.strip_prefix('*') {
        Some(rest) => host.ends_with(rest),
        None => name == host,
    };
    is_of && is_named
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_sidecar_that_names_one_of_the_services_names_all() {
        let ctx = RouteContext {
            namespace: "shop".into(),
            stable_service: "web-stable".into(),
            canary_service: "web-canary".into(),
            ..RouteContext::default()
        };
        let (stable, canary) = ("shop/web-stable.shop.svc.cluster.local", "shop/web-canary.shop.svc.cluster.local");
        for (hosts, missing) in [
            (json!(["istio-system/*"]), vec![]),
            (json!(["shop/*"]), vec![]),
            (json!(["*/*"]), vec![]),
            (json!(["./*"]), vec![]),
            (json!(["~/*"]), vec![]),
            (json!(["*/*.shop.svc.cluster.local"]), vec![]),
            (json!([stable, canary]), vec![]),
            (json!([stable]), vec![canary]),
            (json!(["*/web.shop.svc.cluster.local"]), vec![stable, canary]),
            (json!(["bank/web-stable.shop.svc.cluster.local"]), vec![]),
        ] {
            let sidecar = json!({"metadata": {"namespace": "callers"}, "spec": {"egress": [{"hosts": hosts}]}});
            assert_eq!(missing_hosts(&ctx, "web", &sidecar), missing, "{sidecar}");
        }
        let everything = json!({"metadata": {"namespace": "shop"}, "spec": {"egress": []}});
        assert!(missing_hosts(&ctx, "web", &everything).is_empty());
    }
}
