//! Consul's custom resources: properties on random objects, and objects of another namespace.

use glidepath::{
    api::{Percent, reason::Reason, strategy::HeaderRoute},
    engine::{RouteIntent, Target},
    router::{ALLOW_NAMESPACES, CrossNamespace, Objects, RouteContext, RouteError, RouteScope, Router},
};
use proptest::prelude::*;
use serde_json::{Value, json};

use super::{foreign_fields, router, settles, weight, with_fields};
use crate::fuzz::bodies::routes::context;

fn consul() -> Box<dyn Router> {
    router(json!({"consul": {"service": "checkout"}}))
}

fn object(kind: &str, namespace: &str, spec: Value) -> Value {
    json!({"apiVersion": "consul.hashicorp.com/v1alpha1", "kind": kind,
        "metadata": {"name": "checkout", "namespace": namespace, "resourceVersion": "41"}, "spec": spec})
}

fn splitter(namespace: &str, stable: u64, canary: u64) -> Value {
    object(
        "ServiceSplitter",
        namespace,
        json!({"splits": [
        {"weight": stable, "serviceSubset": "stable"}, {"weight": canary, "serviceSubset": "canary"}]}),
    )
}

fn resolver(namespace: &str) -> Value {
    let subsets = json!({"stable": {"onlyPassing": true}, "canary": {"onlyPassing": true}});
    object("ServiceResolver", namespace, json!({"defaultSubset": "stable", "subsets": subsets}))
}

fn found<'o>(objects: &'o Objects, kind: &str) -> &'o Value {
    objects.get(kind, "shop", "checkout").unwrap()
}

fn testers() -> HeaderRoute {
    let matches =
        json!([{"header": {"name": "x-tester", "exact": "yes"}}, {"cookie": {"name": "beta", "regex": "v[0-9]"}}]);
    serde_json::from_value(json!({"name": "testers", "match": matches})).unwrap()
}

/// Both of our splits among foreign ones, all in whole percents and 100 together.
fn any_splitter() -> impl Strategy<Value = Value> {
    let shares = (0u64..=80, 0u64..=100);
    (shares, prop::collection::vec(foreign_fields(), 2..=5), any::<prop::sample::Index>()).prop_map(
        |((foreign, canary), fields, at)| {
            let others = fields.len() as u64 - 2;
            let foreign = foreign.checked_div(others).unwrap_or(0);
            let ours = 100 - foreign * others;
            let canary = ours * canary / 100;
            let mut splits = vec![
                json!({"weight": ours - canary, "serviceSubset": "stable"}),
                json!({"weight": canary, "service": "checkout", "serviceSubset": "canary"}),
            ];
            splits.extend(
                (0..others).map(
                    |one| json!({"weight": foreign, "service": format!("legacy-{one}"), "serviceSubset": "canary"}),
                ),
            );
            let mut splits: Vec<Value> =
                splits.into_iter().zip(fields).map(|(one, more)| with_fields(one, more)).collect();
            let middle = at.index(splits.len());
            splits.rotate_left(middle);
            object("ServiceSplitter", "shop", json!({"splits": splits}))
        },
    )
}

/// A splitter without the weights of our two splits.
fn without_weights(splitter: &Value) -> String {
    let mut bare = splitter.clone();
    for split in bare["spec"]["splits"].as_array_mut().unwrap() {
        let ours = split["service"].as_str().is_none_or(|service| service == "checkout");
        if ours {
            split.as_object_mut().unwrap().shift_remove("weight");
        }
    }
    bare.to_string()
}

/// A route of the user's: to the service, to one of its subsets or to another service.
fn any_route() -> impl Strategy<Value = Value> {
    let destination = prop_oneof![
        Just(json!(null)),
        Just(json!({"service": "checkout", "prefixRewrite": "/"})),
        Just(json!({"serviceSubset": "canary"})),
        Just(json!({"service": "admin", "numRetries": 2})),
    ];
    let http = prop_oneof![
        Just(json!({"pathPrefix": "/a"})),
        Just(json!({"pathPrefix": "/", "methods": ["GET"]})),
        Just(json!({"header": [{"name": "x-a", "present": true}]})),
        Just(json!({"pathPrefix": "/"})),
    ];
    (destination, http, foreign_fields()).prop_map(|(destination, http, fields)| {
        let mut route = json!({"match": {"http": http}});
        if !destination.is_null() {
            route["destination"] = destination;
        }
        with_fields(route, fields)
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn consul_plans_are_exact_and_touch_only_our_weights(object in any_splitter(), percent in 0u32..=100) {
        let canary = Percent::whole(percent);
        let before: Objects = [object.clone(), resolver("shop")].into_iter().collect();
        let after = settles(consul().as_ref(), &before, &weight(canary));
        let next = found(&after, "ServiceSplitter");
        prop_assert_eq!(without_weights(&object), without_weights(next));
        let weights = next["spec"]["splits"].as_array().unwrap().iter().map(|split| split["weight"].as_f64().unwrap());
        prop_assert_eq!((weights.sum::<f64>() * 100.0).round(), 10_000.0);
        prop_assert_eq!(found(&after, "ServiceResolver"), found(&before, "ServiceResolver"));
    }

    #[test]
    fn header_routes_of_consul_leave_no_trace(routes in prop::collection::vec(any_route(), 0..4), canary in 0u32..=100) {
        let canary = Percent::whole(canary);
        let users = object("ServiceRouter", "shop", json!({"routes": routes}));
        let before: Objects = [splitter("shop", 100 - u64::from(canary.basis_points() / 100), u64::from(canary.basis_points() / 100)),
            resolver("shop"), users.clone()].into_iter().collect();
        let intent = RouteIntent { headers: vec![testers()], ..weight(canary) };
        let during = settles(consul().as_ref(), &before, &intent);
        let leads = |route: &Value| route["destination"]["service"] != "admin" && route["destination"]["serviceSubset"].is_null();
        let all = |route: &Value| route["match"]["http"] == json!({"pathPrefix": "/"});
        let bases = routes.iter().filter(|route| leads(route)).count() + usize::from(!routes.iter().any(all));
        let written = found(&during, "ServiceRouter")["spec"]["routes"].as_array().unwrap();
        prop_assert_eq!(written.len(), routes.len() + 2 * bases, "two matches before each base");
        let seen = consul().read(&context(), &during, &intent).unwrap();
        prop_assert_eq!(seen.headers.len(), usize::from(bases > 0));
        let after = settles(consul().as_ref(), &during, &weight(canary));
        prop_assert_eq!(found(&after, "ServiceRouter").to_string(), users.to_string());
    }

    #[test]
    fn handing_back_leaves_nothing_of_ours_in_consul(filter in "[a-zA-Z. ()\"=]{0,12}", canary in 1u32..=100) {
        let mut owned = resolver("shop");
        if !filter.is_empty() {
            owned["spec"]["subsets"]["canary"]["filter"] = json!(filter);
        }
        let before: Objects = [splitter("shop", 100, 0), owned].into_iter().collect();
        let consul = consul();
        let mut during = before.clone();
        for (target, revision) in [(Target::Stable, "aaaa"), (Target::Canary, "bbbb"), (Target::Canary, "cccc")] {
            during = during.after(&consul.plan_target(&context(), &during, target, revision).unwrap());
            let seen = consul.target(&context(), &during, target).unwrap();
            prop_assert_eq!(seen.revision.as_deref(), Some(revision));
        }
        let intent = RouteIntent { headers: vec![testers()], ..weight(Percent::whole(canary)) };
        during = during.after(&consul.plan(&context(), &during, &intent).unwrap());
        prop_assert!(during.get("ServiceRouter", "shop", "checkout").is_some());
        let after = during.after(&consul.hand_back(&context(), &during));
        prop_assert_eq!(&after, &before);
        prop_assert_eq!(consul.hand_back(&context(), &after), vec![]);
    }
}

#[test]
fn s52_what_consul_k8s_has_not_taken_over_holds_the_release() {
    let taken = |mut object: Value, status: &str| {
        object["status"] = json!({"conditions": [{"type": "Synced", "status": status, "message": "no such thing"}]});
        object
    };
    let users = || object("ServiceRouter", "shop", json!({"routes": []}));
    for (statuses, wanted) in [
        (["True", "True", "True"], None),
        (
            ["False", "True", "True"],
            Some("ServiceSplitter shop/checkout is not in force in Consul: Synced is False ()"),
        ),
        (
            ["True", "Unknown", "True"],
            Some("ServiceResolver shop/checkout is not in force in Consul: Synced is Unknown ()"),
        ),
        (["True", "True", "False"], Some("ServiceRouter shop/checkout is not in force in Consul")),
    ] {
        let all = [splitter("shop", 95, 5), resolver("shop"), users()];
        let current: Objects = all.into_iter().zip(statuses).map(|(one, status)| taken(one, status)).collect();
        let refused = consul().not_accepted(&context(), &current);
        assert_eq!(refused.as_ref().map(RouteError::reason), wanted.map(|_| Reason::RouteNotAccepted), "{statuses:?}");
        assert!(refused.is_none_or(|refused| refused.to_string().starts_with(wanted.unwrap())));
        let seen = consul().read(&context(), &current, &RouteIntent::default()).unwrap();
        assert_eq!(seen.weight, Some(Percent::whole(5)), "the weight is known all the same");
    }
}

/// H7: who may write, and that nothing of the objects is repeated.
#[test]
fn h7_consul_objects_of_another_namespace_are_written_only_with_consent() {
    let consul = router(json!({"consul": {"service": "checkout", "namespace": "mesh"}}));
    let allowed = |mut object: Value, allowed: Option<&str>| {
        if let Some(allowed) = allowed {
            object["metadata"]["annotations"][ALLOW_NAMESPACES] = allowed.into();
        }
        object
    };
    for (annotation, scope, refused) in [
        (None, CrossNamespace::Consent, Some(Reason::RouteNotAllowed)),
        (Some("bank"), CrossNamespace::Consent, Some(Reason::RouteNotAllowed)),
        (Some("shop"), CrossNamespace::Deny, Some(Reason::CrossNamespaceDenied)),
        (Some("shop"), CrossNamespace::Consent, None),
    ] {
        let ctx = RouteContext { scope: RouteScope { cross_namespace: scope, ..RouteScope::default() }, ..context() };
        let all = [splitter("mesh", 95, 5), resolver("mesh")];
        let current: Objects = all.into_iter().map(|one| allowed(one, annotation)).collect();
        let planned = consul.plan(&ctx, &current, &weight(Percent::whole(50)));
        assert_eq!(planned.as_ref().err().map(RouteError::reason), refused, "{annotation:?} {scope:?}");
        assert_eq!(planned.map_or(0, |writes| writes.len()), usize::from(refused.is_none()));
        let aimed = consul.plan_target(&ctx, &current, Target::Canary, "aaaa");
        assert_eq!(aimed.err().map(|error| error.reason()), refused);
        assert_eq!(consul.hand_back(&ctx, &current).len(), usize::from(refused.is_none()));
        assert_eq!(consul.target(&ctx, &current, Target::Canary).is_some(), refused.is_none());
        assert!(consul.not_accepted(&ctx, &current).is_some() == refused.is_none(), "nor what is said of it");
        // No ServiceRouter is made there.
        let headers = RouteIntent { headers: vec![testers()], ..weight(Percent::whole(5)) };
        let made = consul.plan(&ctx, &current, &headers).unwrap_err().reason();
        assert_eq!(made, refused.unwrap_or(Reason::RouteNotAllowed));
    }
    let mut secret = allowed(resolver("mesh"), Some("shop"));
    secret["spec"] = json!({"defaultSubset": "merger", "subsets": {"merger": {}, "dataroom": {}}});
    let current: Objects = [allowed(splitter("mesh", 95, 5), Some("shop")), secret.clone()].into_iter().collect();
    let message = consul.plan(&context(), &current, &weight(Percent::whole(5))).unwrap_err().to_string();
    secret["spec"]["subsets"] = resolver("mesh")["spec"]["subsets"].clone();
    secret["status"] = json!({"conditions": [{"type": "Synced", "status": "False", "message": "dataroom"}]});
    let current: Objects = [allowed(splitter("mesh", 95, 5), Some("shop")), secret].into_iter().collect();
    let other = consul.plan(&context(), &current, &weight(Percent::whole(5))).unwrap_err().to_string();
    for message in [message, other, consul.not_accepted(&context(), &current).unwrap().to_string()] {
        assert!(!message.contains("merger") && !message.contains("dataroom"), "{message}");
        assert!(message.contains("mesh/checkout"), "{message}");
    }
}
