//! What belongs to others survives a policy, and is as it was once the policy is gone: any DestinationRule, any VirtualService.

use std::collections::BTreeMap;

use glidepath::{
    api::MeshPolicy,
    mesh::{Facts, MeshWrite, PolicyName, hand_back, mesh, plan},
    router::Objects,
    yaml,
};
use proptest::prelude::*;
use serde_json::{Map, Value, json};

const MANAGER: &str = "glidepath-mesh-limits";

/// Objects by kind and name.
type World = BTreeMap<(String, String), Value>;

fn key(object: &Value) -> (String, String) {
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    (text(&object["kind"]), text(&object["metadata"]["name"]))
}

fn objects(world: &World) -> Objects {
    world.values().cloned().collect()
}

/// The world after these writes, with server-side apply as the API server does it.
fn after(world: &World, writes: &[MeshWrite]) -> World {
    let mut next = world.clone();
    for write in writes {
        match write {
            MeshWrite::Own(object) | MeshWrite::Replace(object) => drop(next.insert(key(object), object.clone())),
            MeshWrite::Delete(gone) => drop(next.remove(&(gone.kind.clone(), gone.name.clone())).unwrap()),
            MeshWrite::Fields(fields) => apply(next.get_mut(&key(fields)).unwrap(), fields),
        }
    }
    next
}

fn apply(object: &mut Value, fields: &Value) {
    let managers = object["metadata"]["managedFields"].as_array().cloned().unwrap_or_default();
    let (ours, mut others): (Vec<_>, Vec<_>) = managers.into_iter().partition(|entry| entry["manager"] == MANAGER);
    let spec = fields.get("spec").cloned().unwrap_or_else(|| json!({}));
    for entry in ours {
        let theirs: Vec<&Value> = others.iter().map(|entry| &entry["fieldsV1"]["f:spec"]).collect();
        release(&mut object["spec"], &entry["fieldsV1"]["f:spec"], &spec, &theirs);
    }
    merge(&mut object["spec"], &spec);
    if fields.get("spec").is_some() {
        others
            .push(json!({"manager": MANAGER, "operation": "Apply", "time": "3", "fieldsV1": {"f:spec": owned(&spec)}}));
    }
    object["metadata"]["managedFields"] = Value::Array(others);
}

fn owned(value: &Value) -> Value {
    let Some(fields) = value.as_object() else { return json!({}) };
    Value::Object(fields.iter().map(|(name, value)| (format!("f:{name}"), owned(value))).collect())
}

/// Takes out what was owned, is no longer applied and is not another manager's too, with the objects that it leaves empty.
fn release(there: &mut Value, owned: &Value, applied: &Value, others: &[&Value]) {
    let (Some(there), Some(owned)) = (there.as_object_mut(), owned.as_object()) else { return };
    for (field, inner) in owned {
        let name = field.strip_prefix("f:").unwrap();
        let others: Vec<&Value> = others.iter().filter_map(|other| other.get(field)).collect();
        let is_leaf = inner.as_object().is_some_and(Map::is_empty);
        if let Some(value) = there.get_mut(name) {
            if !is_leaf {
                release(value, inner, &applied[name], &others);
            }
            let is_empty = !is_leaf && value.as_object().is_some_and(Map::is_empty);
            if others.is_empty() && ((is_leaf && applied.get(name).is_none()) || is_empty) {
                there.shift_remove(name);
            }
        }
    }
}

fn merge(there: &mut Value, applied: &Value) {
    match applied.as_object().filter(|fields| !fields.is_empty()) {
        Some(fields) => fields.iter().for_each(|(name, value)| merge(&mut there[name], value)),
        None if applied.is_object() => {}
        None => *there = applied.clone(),
    }
}

/// An object with what its managers own left out: it is no field of the user's.
fn bare(object: &Value) -> Value {
    let mut bare = object.clone();
    bare["metadata"].as_object_mut().unwrap().shift_remove("managedFields");
    bare
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
    (host, policy, any::<bool>()).prop_map(|(host, (tls, connections, retries, has_interval, has_port), has_subset)| {
        let mut spec = json!({"host": host});
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
        json!({
            "apiVersion": "networking.istio.io/v1", "kind": "DestinationRule",
            "metadata": {"namespace": "shop", "name": "by-hand", "managedFields": [
                {"manager": "kubectl", "operation": "Update", "time": "1", "fieldsV1": {"f:spec": owned(&spec)}},
            ]},
            "spec": spec,
        })
    })
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

/// The world with a policy carried out; none where it is refused or in conflict, and then it would write nothing.
fn with(world: &World, policy: &Value) -> Option<World> {
    let policy: MeshPolicy = yaml::typed(policy).unwrap();
    let planned = plan(mesh("istio").unwrap(), &policy, &facts(), &objects(world));
    assert!(planned.is_clear() || planned.writes.is_empty());
    planned.is_clear().then(|| after(world, &planned.writes))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, ..ProptestConfig::default() })]

    /// Through a policy, an edit of it, and its end.
    #[test]
    fn foreign_fields_survive_a_policy_and_are_alone_after_it(
        rule in rule(), virtual_service in virtual_service(), first in policy(), second in policy(),
    ) {
        let before: World = [&rule, &virtual_service].map(|object| (key(object), object.clone())).into();
        let mut world = before.clone();
        for policy in [&first, &first, &second] {
            let Some(next) = with(&world, policy) else { continue };
            prop_assert!(holds(&next[&key(&rule)]["spec"], &rule["spec"]));
            prop_assert_eq!(without_settings(&next[&key(&virtual_service)]), without_settings(&virtual_service));
            prop_assert_eq!(with(&next, policy), Some(next.clone()), "twice is once");
            world = next;
        }
        let istio = mesh("istio").unwrap();
        let limits = PolicyName { namespace: "shop", name: "limits" };
        world = after(&world, &hand_back(istio, limits, &objects(&world)));
        let bared = |world: &World| -> Vec<Value> { world.values().map(bare).collect() };
        prop_assert_eq!(bared(&world), bared(&before));
        prop_assert_eq!(hand_back(istio, limits, &objects(&world)), vec![]);
    }
}
