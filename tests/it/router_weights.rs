//! Properties of the routers without routes of their own: those that write the weights of one list, and ingress-nginx.

use glidepath::{
    api::Percent,
    engine::RouteIntent,
    router::{Objects, PlannedWrite},
};
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::{
    fuzz::bodies::routes::context,
    router::{foreign_fields, router, with_fields},
};

/// A router with one list: its entry of `spec.traffic`, and its object from entries of (Service, weight).
#[derive(Clone, Copy, Debug)]
enum List {
    Traefik,
    Smi(&'static str),
    Custom,
}

impl List {
    fn entry(self) -> Value {
        match self {
            List::Traefik => json!({"traefik": {"services": [{"name": "checkout"}]}}),
            List::Smi(_) => json!({"smi": {"trafficSplits": [{"name": "checkout"}]}}),
            List::Custom => json!({"custom": {"apiVersion": "mesh.example.com/v1", "kind": "Route", "name": "checkout",
                "backends": {"path": "spec.backends", "service": "name"}}}),
        }
    }

    fn kind(self) -> &'static str {
        match self {
            List::Traefik => "TraefikService",
            List::Smi(_) => "TrafficSplit",
            List::Custom => "Route",
        }
    }

    fn path(self) -> &'static str {
        if matches!(self, List::Traefik) { "/spec/weighted/services" } else { "/spec/backends" }
    }

    fn one(self, service: &str, weight: u64) -> Value {
        match self {
            List::Traefik | List::Custom => json!({"name": service, "port": 80, "weight": weight}),
            List::Smi("v1alpha1") => json!({"service": service, "weight": format!("{weight}m")}),
            List::Smi(_) => json!({"service": service, "weight": weight}),
        }
    }

    fn object(self, entries: Vec<Value>) -> Value {
        let (version, spec) = match self {
            List::Traefik => ("traefik.io/v1alpha1".to_owned(), json!({"weighted": {"services": entries}})),
            List::Custom => ("mesh.example.com/v1".to_owned(), json!({"backends": entries})),
            List::Smi(version) => {
                (format!("split.smi-spec.io/{version}"), json!({"service": "checkout", "backends": entries}))
            }
        };
        json!({"apiVersion": version, "kind": self.kind(),
            "metadata": {"name": "checkout", "namespace": "shop", "resourceVersion": "41"}, "spec": spec})
    }

    fn entries(self, object: &Value) -> Vec<Value> {
        object.pointer(self.path()).unwrap().as_array().unwrap().clone()
    }

    /// The weights in thousandths.
    fn weights(self, object: &Value) -> Vec<u64> {
        let number = |entry: &Value| match &entry["weight"] {
            Value::String(text) => match text.strip_suffix('m') {
                Some(thousandths) => thousandths.parse().unwrap(),
                None => text.parse::<u64>().unwrap() * 1000,
            },
            weight => weight.as_u64().unwrap() * 1000,
        };
        self.entries(object).iter().map(number).collect()
    }

    /// The object without its weights.
    fn without_weights(self, object: &Value) -> String {
        let mut bare = object.clone();
        for entry in bare.pointer_mut(self.path()).unwrap().as_array_mut().unwrap() {
            entry.as_object_mut().unwrap().shift_remove("weight");
        }
        bare.to_string()
    }
}

fn list() -> impl Strategy<Value = List> {
    let lists = [List::Traefik, List::Smi("v1alpha1"), List::Smi("v1alpha2"), List::Smi("v1alpha4"), List::Custom];
    prop::sample::select(lists.to_vec())
}

/// A list with ours among up to three others, in any order, with fields of others.
fn any_object() -> impl Strategy<Value = (List, Value)> {
    let weights = (0u64..=100, 1u64..=100, prop::collection::vec(0u64..=100, 0..4));
    let fields = (prop::collection::vec(foreign_fields(), 6), foreign_fields());
    (list(), weights, fields, any::<prop::sample::Index>()).prop_map(
        |(list, (canary, stable, others), (fields, top), at)| {
            let mut entries = vec![list.one("checkout-stable", stable), list.one("checkout-canary", canary)];
            entries
                .extend(others.iter().enumerate().map(|(index, weight)| list.one(&format!("legacy-{index}"), *weight)));
            let mut entries: Vec<Value> =
                entries.into_iter().zip(fields).map(|(entry, fields)| with_fields(entry, fields)).collect();
            let middle = at.index(entries.len());
            entries.rotate_left(middle);
            (list, with_fields(list.object(entries), top))
        },
    )
}

fn host() -> impl Strategy<Value = Value> {
    let service = prop::sample::select(vec!["checkout-stable", "checkout-stable", "checkout", "static"]);
    let path = (service, "/[a-c]", foreign_fields()).prop_map(|(service, path, fields)| {
        let backend = json!({"service": {"name": service, "port": {"number": 80}}});
        with_fields(json!({"path": path, "pathType": "Prefix", "backend": backend}), fields)
    });
    (prop::option::of("[a-c]\\.example"), prop::collection::vec(path, 0..4)).prop_map(|(host, paths)| {
        let mut rule = json!({"http": {"paths": paths}});
        if let Some(host) = host {
            rule["host"] = host.into();
        }
        rule
    })
}

fn any_ingress() -> impl Strategy<Value = Value> {
    (prop::collection::vec(host(), 1..4), foreign_fields()).prop_map(|(rules, top)| {
        let object = json!({"apiVersion": "networking.k8s.io/v1", "kind": "Ingress",
            "metadata": {"name": "checkout", "namespace": "shop"},
            "spec": {"ingressClassName": "nginx", "rules": rules}});
        with_fields(object, top)
    })
}

/// Hosts and whole paths that lead to a Service, with the Service's name left out.
fn led_to(object: &Value, service: &str) -> Vec<(Value, Value)> {
    let rules = object["spec"]["rules"].as_array().into_iter().flatten();
    let paths = rules.flat_map(|rule| {
        let paths = rule["http"]["paths"].as_array().unwrap().iter();
        paths.map(|path| (rule["host"].clone(), path.clone()))
    });
    let ours = paths.filter(|(_, path)| path["backend"]["service"]["name"] == service).map(|(host, mut path)| {
        path["backend"]["service"]["name"] = Value::Null;
        (host, path)
    });
    ours.collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn weights_of_a_list_are_exact_and_nothing_else_is_touched((list, object) in any_object(), points in prop_oneof![0u32..=10_000, (0u32..=100).prop_map(|p| p * 100)]) {
        let canary = Percent::from_basis_points(points);
        let (router, intent) = (router(list.entry()), RouteIntent::weight(canary));
        let before: Objects = [object.clone()].into_iter().collect();
        let writes = router.plan(&context(), &before, &intent).unwrap();
        prop_assert!(writes.len() <= 1);
        let after = before.after(&writes);
        let next = after.get(list.kind(), "shop", "checkout").unwrap();
        prop_assert_eq!(router.plan(&context(), &after, &intent), Ok(vec![]));
        let seen = router.read(&context(), &after, &RouteIntent::default()).unwrap();
        prop_assert_eq!((seen.weight, seen.drifted), (Some(canary), false));
        prop_assert_eq!(list.without_weights(&object), list.without_weights(next));

        let (old, new) = (list.weights(&object), list.weights(next));
        let (was, is) = (old.iter().sum::<u64>(), new.iter().sum::<u64>());
        for (index, entry) in list.entries(&object).iter().enumerate() {
            let service = entry["name"].as_str().or(entry["service"].as_str()).unwrap();
            if service.starts_with("legacy") {
                prop_assert_eq!(old[index] * is, new[index] * was, "{} keeps its share", service);
            }
        }
    }

    #[test]
    fn a_list_that_is_handed_back_leads_to_stable_alone((list, object) in any_object()) {
        let router = router(list.entry());
        let before: Objects = [object].into_iter().collect();
        let after = before.after(&router.hand_back(&context(), &before));
        let seen = router.read(&context(), &after, &RouteIntent::default()).unwrap();
        prop_assert!(seen.leads_to_stable_alone() && !seen.drifted);
        prop_assert_eq!(router.hand_back(&context(), &after), vec![]);
    }

    #[test]
    fn a_canary_ingress_has_the_paths_of_stable_and_the_users_is_never_written(object in any_ingress(), points in 0u32..=10_000) {
        let nginx = router(json!({"nginx": {"ingress": "checkout"}}));
        let (canary, before): (_, Objects) = (Percent::from_basis_points(points), [object.clone()].into_iter().collect());
        let intent = RouteIntent::weight(canary);
        let stable = led_to(&object, "checkout-stable");
        let planned = nginx.plan(&context(), &before, &intent);
        prop_assert_eq!(planned.is_err(), stable.is_empty());
        let Ok(writes) = planned else { return Ok(()) };
        prop_assert!(writes.iter().all(|write| matches!(write, PlannedWrite::Create(_))), "the user's Ingress is read only");
        let after = before.after(&writes);
        let ours = after.get("Ingress", "shop", "checkout-checkout-canary");
        prop_assert_eq!(ours.is_some(), points > 0);
        prop_assert_eq!(ours.map_or(stable.clone(), |ours| led_to(ours, "checkout-canary")), stable);
        prop_assert_eq!(nginx.plan(&context(), &after, &intent), Ok(vec![]));
        let seen = nginx.read(&context(), &after, &RouteIntent::default()).unwrap();
        prop_assert_eq!((seen.weight, seen.drifted), (Some(canary), false));
        prop_assert_eq!(after.after(&nginx.hand_back(&context(), &after)), before);
    }
}
