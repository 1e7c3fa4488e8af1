//! What belongs to others survives a policy, and is as it was once the policy is gone: any DestinationRule, any VirtualService,
//! any annotations of a Service.

use std::collections::BTreeMap;

use glidepath::{
    api::MeshPolicy,
    mesh::{Facts, MeshKind, MeshWrite, PolicyName, hand_back, mesh, plan},
    router::Objects,
    yaml,
};
use proptest::prelude::*;
use serde_json::{Value, json};

/// Objects by kind and name.
type World = BTreeMap<(String, String), Value>;

fn key(object: &Value) -> (String, String) {
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    (text(&object["kind"]), text(&object["metadata"]["name"]))
}

fn objects(world: &World) -> Objects {
    world.values().cloned().collect()
}

/// The world after these writes, as an API server makes them.
fn after(world: &World, writes: &[MeshWrite]) -> World {
    let mut next = world.clone();
    for write in writes {
        match write {
            MeshWrite::Own(object) | MeshWrite::Replace(object) => drop(next.insert(key(object), object.clone())),
            MeshWrite::Delete(gone) => drop(next.remove(&(gone.kind.clone(), gone.name.clone())).unwrap()),
            MeshWrite::Fields(patch) => {
                let object = next.get_mut(&key(patch)).unwrap();
                assert_eq!(object["metadata"]["resourceVersion"], patch["metadata"]["resourceVersion"]);
                merge(object, patch);
                // Which the API server does not store.
                if object["metadata"].get("annotations") == Some(&json!({})) {
                    object["metadata"].as_object_mut().unwrap().shift_remove("annotations");
                }
            }
        }
    }
    next
}

/// MergePatch of RFC 7386, section 2.
fn merge(target: &mut Value, patch: &Value) {
    let Some(patch) = patch.as_object() else { return *target = patch.clone() };
    if !target.is_object() {
        *target = json!({});
    }
    let target = target.as_object_mut().unwrap();
    for (name, value) in patch {
        if value.is_null() {
            target.shift_remove(name);
        } else {
            merge(target.entry(name.clone()).or_insert(Value::Null), value);
        }
    }
}

/// Every leaf that is there must be there with the same value.
fn holds(outer: &Value, inner: &Value) -> bool {
    match (outer, inner) {
        (Value::Object(outer), Value::Object(inner)) => {
            inner.iter().all(|(name, value)| outer.get(name).is_some_and(|there| holds(there, value)))
        }
        (outer, inner) => outer == inner,
    }
}

/// A VirtualService without what a policy may change.
fn without_settings(object: &Value) -> Value {
    let mut rest = object.clone();
    for entry in rest["spec"]["http"].as_array_mut().unwrap() {
        entry.as_object_mut().unwrap().retain(|name, _| name != "timeout" && name != "retries");
    }
    let metadata = rest["metadata"].as_object_mut().unwrap();
    if let Some(annotations) = metadata.get_mut("annotations").and_then(Value::as_object_mut) {
        annotations.shift_remove("glidepath.dev/mesh-former");
        if annotations.is_empty() {
            metadata.shift_remove("annotations");
        }
    }
    rest
}

fn rule() -> impl Strategy<Value = Value> {
    let host = prop_oneof![Just("checkout"), Just("checkout.shop.svc.cluster.local"), Just("web")];
    let policy = (
        prop::option::of(prop_oneof![
            Just(json!({"mode": "ISTIO_MUTUAL"})),
            Just(json!({"mode": "SIMPLE", "sni": "a"}))
        ]),
        prop::option::of(1u32..9),
        prop::option::of(1u32..9),
        any::<bool>(),
        any::<bool>(),
    );
    let maps = prop::collection::vec(
        prop_oneof![
            Just("/outlierDetection"),
            Just("/connectionPool"),
            Just("/connectionPool/tcp"),
            Just("/loadBalancer"),
            Just("")
        ],
        0..3,
    );
    let rest = (any::<bool>(), maps, any::<bool>());
    (host, policy, rest).prop_map(
        |(host, (tls, connections, retries, has_interval, has_port), (has_subset, maps, is_annotated))| {
            let mut spec = json!({"host": host});
            // What is empty means something to Istio, and is the user's.
            for map in maps {
                let names = map.split('/').skip(1);
                let at = names.fold(&mut spec["trafficPolicy"], |at, name| &mut at[name]);
                *at = json!({});
            }
            let mut put = |pointer: &[&str], value: Value| {
                let at = pointer.iter().fold(&mut spec["trafficPolicy"], |at, name| &mut at[*name]);
                *at = value;
            };
            tls.into_iter().for_each(|tls| put(&["tls"], tls));
            connections.into_iter().for_each(|most| put(&["connectionPool", "tcp", "maxConnections"], json!(most)));
            retries.into_iter().for_each(|most| put(&["connectionPool", "http", "maxRetries"], json!(most)));
            if has_interval {
                put(&["outlierDetection", "splitExternalLocalOriginErrors"], json!(true));
            }
            if has_port {
                put(&["portLevelSettings"], json!([{"port": {"number": 81}, "tls": {"mode": "DISABLE"}}]));
            }
            if has_subset {
                spec["subsets"] = json!([{"name": "v1", "labels": {"version": "v1"}}]);
            }
            let mut object = json!({
                "apiVersion": "networking.istio.io/v1", "kind": "DestinationRule",
                "metadata": {"namespace": "shop", "name": "by-hand", "resourceVersion": "3"},
                "spec": spec,
            });
            if is_annotated {
                object["metadata"]["annotations"] = json!({"team": "shop"});
            }
            object
        },
    )
}

fn entry() -> impl Strategy<Value = Value> {
    let name = prop::option::of(prop_oneof![Just("primary"), Just("glidepath-beta"), Just("other")]);
    let hosts = prop::collection::vec(prop_oneof![3 => Just("checkout"), 1 => Just("web")], 0..3);
    let retries = prop::option::of(prop_oneof![
        Just(json!({"attempts": 5, "retryRemoteLocalities": true})),
        Just(json!({"attempts": 2})),
        Just(json!({}))
    ]);
    (name, hosts, retries, prop::option::of(1u32..4), 0u8..3).prop_map(|(name, hosts, retries, timeout, prefix)| {
        let mut entry = json!({"match": [{"uri": {"prefix": format!("/{prefix}")}}]});
        name.into_iter().for_each(|name| entry["name"] = json!(name));
        retries.into_iter().for_each(|retries| entry["retries"] = retries);
        timeout.into_iter().for_each(|seconds| entry["timeout"] = json!(format!("{seconds}s")));
        if hosts.is_empty() {
            entry["redirect"] = json!({"uri": "/"});
        } else {
            let weight = 100 / hosts.len();
            entry["route"] =
                hosts.iter().map(|host| json!({"destination": {"host": host}, "weight": weight})).collect();
        }
        entry
    })
}

fn virtual_service() -> impl Strategy<Value = Value> {
    (prop::collection::vec(entry(), 0..5), any::<bool>(), any::<bool>()).prop_map(|(http, is_annotated, is_edge)| {
        let mut object = json!({
            "apiVersion": "networking.istio.io/v1", "kind": "VirtualService",
            "metadata": {"namespace": "shop", "name": "by-hand", "resourceVersion": "7"},
            "spec": {"hosts": ["shop.example.com"], "http": http},
        });
        if is_annotated {
            object["metadata"]["annotations"] = json!({"team": "shop"});
        }
        if is_edge {
            object["spec"]["gateways"] = json!(["edge"]);
        }
        object
    })
}

fn policy() -> impl Strategy<Value = Value> {
    let number = || prop::option::of(1u32..4);
    (number(), number(), number(), number(), any::<bool>()).prop_map(
        |(connections, errors, seconds, attempts, is_wide)| {
            let mut spec =
                json!({"target": if is_wide { json!({"namespace": true}) } else { json!({"service": "checkout"}) }});
            connections.into_iter().for_each(|most| spec["connections"] = json!({"maxConnections": most}));
            errors.into_iter().for_each(|errors| spec["breaker"] = json!({"consecutiveErrors": errors}));
            seconds.into_iter().for_each(|seconds| spec["timeouts"] = json!({"request": format!("{seconds}s")}));
            attempts.into_iter().for_each(|attempts| spec["retries"] = json!({"attempts": attempts, "on": ["reset"]}));
            json!({
                "apiVersion": "glidepath.dev/v1alpha1", "kind": "MeshPolicy",
                "metadata": {"namespace": "shop", "name": "limits"}, "spec": spec,
            })
        },
    )
}

fn facts() -> Facts {
    let mut facts = Facts::default();
    for name in ["checkout", "web"] {
        facts.add(&json!({"apiVersion": "v1", "kind": "Service", "metadata": {"namespace": "shop", "name": name},
            "spec": {"selector": {"app": name}, "ports": [{"port": 80, "name": "http"}]}}));
    }
    facts
}

/// A second policy, with fields beside those of the first, in the same maps.
fn neighbor() -> Value {
    json!({
        "apiVersion": "glidepath.dev/v1alpha1", "kind": "MeshPolicy",
        "metadata": {"namespace": "shop", "name": "beside"},
        "spec": {"target": {"service": "checkout"}, "connections": {"connectTimeout": "2s"},
            "breaker": {"maxEjectionPercent": "50%"}, "loadBalancer": {"algorithm": "RoundRobin"}},
    })
}

/// The world with a policy carried out; none where it is refused or in conflict, and then it would write nothing.
fn with(world: &World, mesh: &'static MeshKind, policy: &Value, facts: &Facts) -> Option<World> {
    let policy: MeshPolicy = yaml::typed(policy).unwrap();
    let planned = plan(mesh, &policy, facts, &objects(world));
    assert!(planned.is_clear() || planned.writes.is_empty());
    let next = after(world, &planned.pending(&objects(world)));
    if planned.is_clear() {
        let again = plan(mesh, &policy, facts, &objects(&next));
        assert!(again.is_clear(), "{again:?}");
        assert_eq!(again.pending(&objects(&next)), [], "twice is once");
    }
    planned.is_clear().then_some(next)
}

fn without(world: &World, mesh: &'static MeshKind, policy: &str) -> World {
    let name = PolicyName { namespace: "shop", name: policy };
    let next = after(world, &hand_back(mesh, name, &objects(world)));
    assert_eq!(hand_back(mesh, name, &objects(&next)), []);
    next
}

fn service() -> impl Strategy<Value = Value> {
    let annotation = prop_oneof![
        Just(("timeout.linkerd.io/request", "1s")),
        Just(("timeout.linkerd.io/request", "9s")),
        Just(("balancer.linkerd.io/failure-accrual", "consecutive")),
        Just(("team", "shop")),
    ];
    prop::collection::vec(annotation, 0..3).prop_map(|annotations| {
        let mut object = json!({
            "apiVersion": "v1", "kind": "Service",
            "metadata": {"namespace": "shop", "name": "checkout", "resourceVersion": "5"},
            "spec": {"selector": {"app": "checkout"}, "ports": [{"port": 80, "name": "http"}]},
        });
        annotations.iter().for_each(|(key, value)| object["metadata"]["annotations"][*key] = json!(value));
        object
    })
}

/// A policy whose fields are annotations on Linkerd.
fn requests() -> impl Strategy<Value = Value> {
    let number = || prop::option::of(1u32..4);
    (number(), number(), number()).prop_map(|(errors, request, idle)| {
        let mut spec = json!({"target": {"service": "checkout"}});
        errors.into_iter().for_each(|errors| spec["breaker"] = json!({"consecutiveErrors": errors}));
        request.into_iter().for_each(|seconds| spec["timeouts"]["request"] = json!(format!("{seconds}s")));
        idle.into_iter().for_each(|seconds| spec["timeouts"]["idle"] = json!(format!("{seconds}s")));
        json!({
            "apiVersion": "glidepath.dev/v1alpha1", "kind": "MeshPolicy",
            "metadata": {"namespace": "shop", "name": "limits"}, "spec": spec,
        })
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, ..ProptestConfig::default() })]

    /// Through a policy, an edit of it, another one beside it, an edit of the user's, and their ends in any order.
    #[test]
    fn foreign_fields_survive_a_policy_and_are_alone_after_it(
        rule in rule(), virtual_service in virtual_service(), first in policy(), second in policy(),
        (has_neighbor, is_edited, is_first_out) in any::<(bool, bool, bool)>(),
    ) {
        let istio = mesh("istio").unwrap();
        let mut before: World = [&rule, &virtual_service].map(|object| (key(object), object.clone())).into();
        let mut world = before.clone();
        let neighbor = neighbor();
        let policies = [Some(&first), has_neighbor.then_some(&neighbor), Some(&first), Some(&second)];
        for policy in policies.into_iter().flatten() {
            let Some(next) = with(&world, istio, policy, &facts()) else { continue };
            prop_assert!(holds(&next[&key(&rule)]["spec"], &rule["spec"]));
            prop_assert_eq!(without_settings(&next[&key(&virtual_service)]), without_settings(&virtual_service));
            world = next;
        }
        if is_edited {
            for world in [&mut world, &mut before] {
                world.get_mut(&key(&rule)).unwrap()["spec"]["trafficPolicy"]["connectionPool"]["tcp"]["tcpKeepalive"] = json!({"probes": 3});
            }
        }
        let mut names = ["limits", "beside"];
        if is_first_out {
            names.reverse();
        }
        let after = names.iter().fold(world, |world, name| without(&world, istio, name));
        prop_assert_eq!(after, before);
    }

    #[test]
    fn annotations_of_a_service_are_as_they_were_after_a_policy(service in service(), first in requests(), second in requests()) {
        let linkerd = mesh("linkerd").unwrap();
        let before: World = [(key(&service), service.clone())].into();
        let mut facts = Facts::default();
        facts.add(&service);
        let mut world = before.clone();
        for policy in [&first, &second] {
            world = with(&world, linkerd, policy, &facts).unwrap_or(world);
            prop_assert!(holds(&world[&key(&service)], &service));
        }
        prop_assert_eq!(without(&world, linkerd, "limits"), before);
    }
}
