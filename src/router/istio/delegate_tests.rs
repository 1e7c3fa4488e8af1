//! A VirtualService without hosts: what of its root decides about it.

use serde_json::{Value, json};

use super::{KIND, Router};
use crate::{
    api::Percent,
    engine::RouteIntent,
    router::{
        consent::ALLOW_NAMESPACES,
        context::RouteContext,
        objects::{Objects, PlannedWrite},
    },
};

fn router(namespace: &str) -> Box<dyn Router> {
    let root = json!({"name": "site", "namespace": namespace});
    let entry = json!({"istio": {"virtualServices": [{"name": "checkout", "delegateOf": root}]}});
    (KIND.build)(&serde_json::from_value(entry).unwrap()).unwrap()
}

fn context() -> RouteContext {
    RouteContext {
        namespace: "shop".into(),
        stable_service: "checkout-stable".into(),
        canary_service: "checkout-canary".into(),
        ..RouteContext::default()
    }
}

fn virtual_service(namespace: &str, name: &str, spec: Value) -> Value {
    json!({"apiVersion": "networking.istio.io/v1", "kind": "VirtualService",
        "metadata": {"name": name, "namespace": namespace}, "spec": spec})
}

/// The delegate, with the canary at this weight.
fn delegate(canary: u64) -> Value {
    let routes = json!([
        {"destination": {"host": "checkout-stable"}, "weight": 100 - canary},
        {"destination": {"host": "checkout-canary"}, "weight": canary},
    ]);
    let http = json!([{"name": "primary", "match": [{"uri": {"prefix": "/checkout/pay"}}], "route": routes}]);
    virtual_service("shop", "checkout", json!({ "http": http }))
}

/// The root: for these gateways, with what begins so for the delegate.
fn root(namespace: &str, gateways: Value, prefix: &str) -> Value {
    let delegates = json!({"name": "checkout", "namespace": "shop"});
    let http = json!([{"match": [{"uri": {"prefix": prefix}}], "delegate": delegates}]);
    virtual_service(namespace, "site", json!({"hosts": ["shop.example.com"], "gateways": gateways, "http": http}))
}

fn consenting(mut object: Value) -> Value {
    object["metadata"]["annotations"][ALLOW_NAMESPACES] = "shop".into();
    object
}

fn percent(canary: u32) -> RouteIntent {
    RouteIntent::weight(Percent::whole(canary))
}

/// An action that counts as refused has sent no request anywhere.
#[test]
fn a_weight_that_its_root_refuses_is_not_written() {
    let edge = json!(["edge"]);
    let elsewhere = virtual_service("edge", "site", json!({"hosts": ["shop.example.com"], "http": []}));
    for (what, roots, refused) in [
        ("missing", vec![], true),
        ("without consent", vec![root("edge", edge.clone(), "/checkout")], true),
        ("delegates elsewhere", vec![consenting(elsewhere)], true),
        ("excludes all requests", vec![consenting(root("edge", edge.clone(), "/cart"))], true),
        ("delegates", vec![consenting(root("edge", edge, "/checkout"))], false),
    ] {
        let with = |canary: u64| -> Objects { roots.iter().cloned().chain([delegate(canary)]).collect() };
        let forward = router("edge").plan_all(&context(), &with(0), &percent(20));
        let written = if refused { vec![] } else { vec![PlannedWrite::Replace(delegate(20))] };
        assert_eq!((forward.refused.len(), forward.writes), (usize::from(refused), written), "{what}");

        let back = router("edge").plan_all(&context(), &with(20), &percent(0));
        assert_eq!((back.refused.len(), back.writes), (0, vec![PlannedWrite::Replace(delegate(0))]), "{what}");
    }
}

#[test]
fn a_delegate_is_for_whom_its_root_is() {
    let for_mesh = |objects: Vec<Value>| router("shop").mesh_route(&context(), &objects.into_iter().collect());
    let with_root = |gateways: Value| for_mesh(vec![delegate(0), root("shop", gateways, "/checkout")]);
    assert_eq!(with_root(json!(["edge"])), None, "for an ingress gateway alone");
    let shown = Some("VirtualService shop/checkout".to_owned());
    assert_eq!(with_root(json!(["edge", "mesh"])), shown);
    assert_eq!(with_root(json!([])), shown);
    assert_eq!(for_mesh(vec![delegate(0)]), None, "an unknown root");
    let mut own = delegate(0);
    own["spec"]["hosts"] = json!(["checkout"]);
    assert_eq!(for_mesh(vec![own]), shown, "it has hosts");
}
