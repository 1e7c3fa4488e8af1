//! What policies become on Istio, at an API server with Istio's definitions: it takes every object without a field that it
//! would drop, and a user's object is as it was once its fields are released, whatever became of the managers of its fields.

use std::{fs, path::Path, time::Duration};

use crate::{kubectl, lane, wait::wait_until};
use ::glidepath::{
    mesh::{Facts, MeshWrite, PolicyName, hand_back, mesh, plan},
    router::Objects,
};
use serde::Deserialize;
use serde_json::{Value, json};

const NAMESPACE: &str = "policies";
/// Where a policy's fields are on record.
const RECORD: &str = "glidepath.dev/mesh-former";
const KINDS: &str = "peerauthentication,authorizationpolicy,requestauthentication,destinationrule,virtualservice,sidecar,serviceentry,envoyfilter,telemetry";

/// The documents of a golden file that are for the cases' namespace, in one of ours.
fn documents(text: &str) -> Vec<Value> {
    let all = serde_yaml::Deserializer::from_str(text).map(|document| Value::deserialize(document).unwrap());
    let here = all.filter(|object| object["metadata"]["namespace"] == "shop");
    here.map(|mut object| {
        let metadata = object["metadata"].as_object_mut().unwrap();
        metadata.insert("namespace".to_owned(), json!(NAMESPACE));
        metadata.retain(|name, _| name != "managedFields" && name != "resourceVersion");
        object
    })
    .collect()
}

fn is_istios(object: &Value) -> bool {
    object["apiVersion"].as_str().unwrap().contains("istio.io/")
}

fn apply(manager: &str, object: &Value) {
    let manager = format!("--field-manager={manager}");
    let args = ["apply", "--server-side", "--validate=strict", &manager, "-f", "-"];
    kubectl::feed(lane().folder(), &args, &object.to_string()).unwrap_or_else(|error| panic!("{error:#}: {object}"));
}

/// At the version of the patch, which a kind alone does not say. A patch has no strict validation: no field of it may be gone.
fn patch(patch: &Value) {
    let text = patch.to_string();
    let args = ["patch", "-f", "-", "--type=merge", "-p", &text];
    kubectl::feed(lane().folder(), &args, &text).unwrap_or_else(|error| panic!("{error:#}: {patch}"));
    assert!(holds(&read(patch)["spec"], &patch["spec"]), "{patch}");
}

fn holds(there: &Value, patch: &Value) -> bool {
    match patch {
        Value::Object(fields) => fields.iter().all(|(name, value)| holds(&there[name], value)),
        value => there == value,
    }
}

fn replace(object: &Value) {
    kubectl::feed(lane().folder(), &["replace", "--validate=strict", "-f", "-"], &object.to_string())
        .unwrap_or_else(|error| panic!("{error:#}: {object}"));
}

fn identity(object: &Value) -> (String, String) {
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    (text(&object["kind"]), text(&object["metadata"]["name"]))
}

/// What a user has written of an object: its spec and its annotations.
fn written(object: &Value) -> (Value, Value) {
    let object = read(object);
    (object["spec"].clone(), object["metadata"]["annotations"].clone())
}

/// An object with who owns which fields of it.
fn read(object: &Value) -> Value {
    let (kind, name) = identity(object);
    let args = ["get", &kind, &name, "-n", NAMESPACE, "--show-managed-fields", "-o", "json"];
    serde_json::from_str(&lane().kubectl(&args).unwrap()).unwrap()
}

#[test]
fn the_api_server_takes_everything_that_policies_plan_for_istio() {
    let taken = take_all(|_, _, _| ());
    assert!(taken > 30, "{taken}");
}

#[test]
fn a_users_object_is_as_it_was_once_its_fields_are_released() {
    take_all(released);
}

/// How a document of a plan is written.
#[derive(Clone, Copy, PartialEq)]
enum How {
    Apply,
    Patch,
    Replace,
}

/// Carries every golden case out, one after the other; `then` is given the user's objects, what they said before, and what was
/// planned.
fn take_all(then: impl Fn(&[Value], &[(Value, Value)], &[(How, Value)])) -> usize {
    lane()
        .apply(&json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}}).to_string())
        .unwrap();
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/mesh/istio");
    let mut taken = 0;
    for case in fs::read_dir(golden).unwrap() {
        let case = case.unwrap().path();
        let (input, planned) =
            ["input.yaml", "planned.yaml"].map(|file| fs::read_to_string(case.join(file)).unwrap()).into();
        let users: Vec<Value> = documents(&input).into_iter().filter(is_istios).collect();
        let parts = planned.split("---\n").filter(|part| part.contains("apiVersion"));
        let how = |part: &str| match part {
            entries if entries.contains("with this policy's entries") => How::Replace,
            fields if fields.contains("kubectl patch --type=merge") => How::Patch,
            _ => How::Apply,
        };
        let planned: Vec<(How, Value)> =
            parts.flat_map(|part| documents(part).into_iter().map(move |object| (how(part), object))).collect();
        // A patch of another policy's object is carried out once that policy has been.
        let is_there = |object: &Value| users.iter().any(|user| same(user, object));
        if planned.is_empty() || planned.iter().any(|(how, object)| *how == How::Patch && !is_there(object)) {
            continue;
        }
        users.iter().for_each(|object| apply("user", object));
        let before: Vec<(Value, Value)> = users.iter().map(written).collect();
        for (how, object) in &planned {
            match how {
                How::Replace => replace(object),
                How::Patch => patch(object),
                How::Apply => apply("glidepath", object),
            }
            taken += 1;
        }
        then(&users, &before, &planned);
        lane().kubectl(&["delete", KINDS, "--all", "-n", NAMESPACE]).unwrap();
    }
    taken
}

fn same(one: &Value, other: &Value) -> bool {
    one["kind"] == other["kind"] && one["metadata"]["name"] == other["metadata"]["name"]
}

/// Releases what was written into the user's objects, once the managers of their fields are gone: what the user wrote is there,
/// and nothing else.
fn released(users: &[Value], before: &[(Value, Value)], planned: &[(How, Value)]) {
    for (user, before) in users.iter().zip(before) {
        let is_patched = planned.iter().any(|(how, object)| *how == How::Patch && same(user, object));
        // A case that begins with a policy's fields in an object ends without them.
        if is_patched && before.1.get(RECORD).is_none() {
            assert_ne!(written(user), *before);
            forget_managers(user);
            release(user);
            assert_eq!(written(user), *before, "once released");
        }
    }
}

fn release(object: &Value) {
    let policy = PolicyName { namespace: NAMESPACE, name: "checkout" };
    let writes = hand_back(mesh("istio").unwrap(), policy, &[read(object)].into_iter().collect());
    let [MeshWrite::Fields(release)] = writes.as_slice() else { panic!("{writes:?}") };
    patch(release);
}

/// What istiod does when it writes a status from a cache without managers.
fn forget_managers(object: &Value) {
    let (kind, name) = identity(object);
    let patch = json!({"metadata": {"managedFields": [{}]}}).to_string();
    lane().kubectl(&["patch", &kind, &name, "-n", NAMESPACE, "--type=merge", "-p", &patch]).unwrap();
    let object = read(object);
    assert!(object["metadata"]["managedFields"].as_array().is_none_or(Vec::is_empty), "{object}");
}

/// Port 81 has TLS without a certificate, which istiod's analysis writes into the status.
#[test]
fn a_users_rule_is_as_it_was_after_istiod_has_written_its_status() {
    lane()
        .apply(&json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}}).to_string())
        .unwrap();
    let rule = json!({
        "apiVersion": "networking.istio.io/v1", "kind": "DestinationRule",
        "metadata": {"name": "observed", "namespace": NAMESPACE, "annotations": {"team": "shop"}},
        "spec": {"host": "checkout", "trafficPolicy": {
            "connectionPool": {"tcp": {"connectTimeout": "1s"}},
            "portLevelSettings": [{"port": {"number": 81}, "tls": {"mode": "SIMPLE"}}],
        }},
    });
    apply("user", &rule);
    observed(&rule);
    let before = written(&rule);
    let policy = json!({
        "apiVersion": "glidepath.dev/v1alpha1", "kind": "MeshPolicy",
        "metadata": {"namespace": NAMESPACE, "name": "checkout"},
        "spec": {"target": {"service": "checkout"}, "connections": {"maxConnections": 100}, "breaker": {"preset": "default"}},
    });
    let mut facts = Facts::default();
    facts.add(&json!({"apiVersion": "v1", "kind": "Service", "metadata": {"namespace": NAMESPACE, "name": "checkout"},
        "spec": {"selector": {"app": "checkout"}, "ports": [{"port": 80, "name": "http"}]}}));
    let pending = || {
        let current: Objects = [read(&rule)].into_iter().collect();
        let plan = plan(mesh("istio").unwrap(), &serde_json::from_value(policy.clone()).unwrap(), &facts, &current);
        assert!(plan.is_clear(), "{plan:?}");
        plan.pending(&current)
    };
    let Some(MeshWrite::Fields(fields)) = pending().pop() else { panic!("nothing is planned") };
    patch(&fields);
    observed(&rule);
    assert_eq!(pending(), [], "istiod's write of the status is no change");
    forget_managers(&rule);
    release(&rule);
    assert_eq!(written(&rule), before);
}

/// Waits until istiod has written the status of an object as it is now.
fn observed(object: &Value) {
    wait_until(Duration::from_secs(60), "istiod to write the status", || {
        let object = read(object);
        object["status"]["observedGeneration"].as_str() == Some(&object["metadata"]["generation"].to_string())
    });
}
