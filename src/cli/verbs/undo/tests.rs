//! Which template `undo --write` writes, and where.

use serde_json::{Value, json};
use wiremock::{Mock, MockServer, ResponseTemplate, matchers::path};

use super::*;
use crate::view::samples;

const ROLLOUT: &str = "/apis/glidepath.dev/v1alpha1/namespaces/shop/rollouts/checkout";
const SETS: &str = "/apis/apps/v1/namespaces/shop/replicasets";
const DEPLOYMENT: &str = "/apis/apps/v1/namespaces/shop/deployments/web";

/// As users write it.
fn written(image: &str) -> Value {
    json!({ "metadata": { "labels": { "app": "checkout" } }, "spec": { "containers": [{ "name": "app", "image": image }] } })
}

/// As the API server keeps it in a ReplicaSet.
fn filled_in(image: &str, id: &str) -> Value {
    json!({
        "metadata": {
            "creationTimestamp": null,
            "labels": { "app": "checkout", "role": "stable", REVISION_LABEL: id },
            "annotations": { metadata::METADATA_ANNOTATION: r#"{"given":{"labels":{"role":"stable"}}}"# }
        },
        "spec": {
            "containers": [{ "name": "app", "image": image, "imagePullPolicy": "IfNotPresent" }],
            "restartPolicy": "Always"
        }
    })
}

fn set(image: &str, id: &str, number: u64) -> Value {
    json!({
        "apiVersion": "apps/v1", "kind": "ReplicaSet",
        "metadata": {
            "name": format!("checkout-{id}"), "labels": { REVISION_LABEL: id, ROLLOUT_LABEL: "checkout" },
            "annotations": { NUMBER: number.to_string() },
            "ownerReferences": [{ "apiVersion": "glidepath.dev/v1alpha1", "kind": "Rollout", "name": "checkout", "uid": "u-1" }]
        },
        "spec": { "selector": {}, "template": filled_in(image, id) }
    })
}

/// A Rollout on `app:2`, which is stable; `app:1` was promoted before it.
fn rollout() -> Rollout {
    let mut rollout = samples::healthy().rollout;
    let (old, new) = (revision::id(&written("app:1")), revision::id(&written("app:2")));
    rollout.spec.template = Some(written("app:2"));
    let status = rollout.status.get_or_insert_default();
    let revisions = json!([{ "id": new, "number": 2 }, { "id": old, "number": 1 }]);
    status.promoted = serde_json::from_value(revisions).unwrap();
    status.stable_revision = status.promoted.first().cloned();
    status.current_revision = status.promoted.first().cloned();
    rollout
}

async fn server(rollout: &Rollout) -> MockServer {
    let server = MockServer::start().await;
    let get = |at: &'static str, body: Value| {
        Mock::given(path(at)).respond_with(ResponseTemplate::new(200).set_body_json(body)).mount(&server)
    };
    get(ROLLOUT, serde_json::to_value(rollout).unwrap()).await;
    let (old, new) = (revision::id(&written("app:1")), revision::id(&written("app:2")));
    let items = json!([set("app:1", &old, 1), set("app:2", &new, 2)]);
    get(SETS, json!({ "apiVersion": "apps/v1", "kind": "ReplicaSetList", "metadata": {}, "items": items })).await;
    let mut template = metadata::without(filled_in("app:2", "x"));
    template["metadata"]["labels"].as_object_mut().unwrap().remove(REVISION_LABEL);
    let deployment = json!({ "apiVersion": "apps/v1", "kind": "Deployment", "metadata": { "name": "web" }, "spec": { "template": template } });
    get(DEPLOYMENT, deployment).await;
    server
}

fn connection(server: &MockServer) -> Connection {
    let client = kube::Client::try_from(kube::Config::new(server.uri().parse().unwrap())).unwrap();
    Connection { client, namespace: "shop".into(), address: server.uri() }
}

async fn patched(server: &MockServer) -> Option<(String, Value)> {
    let requests = server.received_requests().await.unwrap();
    let patch = requests.iter().find(|request| request.method.as_str() == "PATCH")?;
    Some((patch.url.path().to_owned(), serde_json::from_slice(&patch.body).unwrap()))
}

#[tokio::test]
async fn s84_the_template_is_written_as_people_wrote_it_so_that_the_revision_is_the_same() {
    let server = server(&rollout()).await;
    let said = write(&connection(&server), "checkout", None, DryRun::default()).await.unwrap();
    assert_eq!(said, "checkout: Rollout \"checkout\" has the template of revision #1 again\n");
    let (at, patch) = patched(&server).await.unwrap();
    assert_eq!(at, ROLLOUT);
    assert_eq!(patch[0], json!({ "op": "test", "path": "/spec/template", "value": written("app:2") }));
    assert_eq!(patch[1], json!({ "op": "replace", "path": "/spec/template", "value": written("app:1") }));
}

#[tokio::test]
async fn s84_a_deployments_template_is_written_without_our_label_and_what_a_role_adds() {
    let mut referring = rollout();
    (referring.spec.template, referring.spec.selector) = (None, None);
    referring.spec.workload_ref =
        serde_json::from_value(json!({ "apiVersion": "apps/v1", "kind": "Deployment", "name": "web" })).unwrap();
    let server = server(&referring).await;
    write(&connection(&server), "checkout", Some(1), DryRun::default()).await.unwrap();
    let (at, patch) = patched(&server).await.unwrap();
    assert_eq!(at, DEPLOYMENT);
    assert_eq!(patch[1]["value"]["spec"]["containers"][0]["image"], "app:1");
    assert_eq!(patch[1]["value"]["metadata"], json!({ "labels": { "app": "checkout" } }));
}

#[tokio::test]
async fn nothing_is_written_when_there_is_nothing_to_write() {
    let server = server(&rollout()).await;
    let said = write(&connection(&server), "checkout", Some(2), DryRun::default()).await.unwrap();
    assert!(said.contains("already has the template of revision #2"), "{said}");
    let error = write(&connection(&server), "checkout", Some(9), DryRun::default()).await.unwrap_err();
    assert_eq!(error.to_string(), "this revision is not kept; there are: #1, #2");
    let said = write(&connection(&server), "checkout", None, DryRun::client()).await.unwrap();
    assert_eq!(said, "checkout: Rollout \"checkout\" has the template of revision #1 again (dry run)\n");
    assert_eq!(patched(&server).await, None);
}

#[test]
fn during_a_rollout_stable_is_meant() {
    let mut rollout = rollout();
    let kept = ["a", "b"].map(|id| Kept { id: id.into(), number: 1, template: Value::Null });
    let status = rollout.status.as_mut().unwrap();
    status.stable_revision.as_mut().unwrap().id = "a".into();
    status.current_revision.as_mut().unwrap().id = "b".into();
    assert_eq!(target(&rollout, &kept, None).unwrap().id, "a");
}

#[test]
fn only_what_differs_is_carried_over() {
    let from = json!({ "a": 1, "filled": "in", "list": [{ "x": 1, "d": 0 }, { "x": 2, "d": 0 }], "gone": 1 });
    for (to, wanted) in [
        (from.clone(), json!({ "a": 1, "list": [{ "x": 1 }, { "x": 2 }], "gone": 1 })),
        (
            json!({ "a": 2, "filled": "in", "list": [{ "x": 1, "d": 0 }, { "x": 3, "d": 0 }], "new": 1 }),
            json!({ "a": 2, "list": [{ "x": 1 }, { "x": 3 }], "new": 1 }),
        ),
        (
            json!({ "a": 1, "filled": "in", "list": [{ "x": 9, "d": 0 }], "gone": 1 }),
            json!({ "a": 1, "list": [{ "x": 9, "d": 0 }], "gone": 1 }),
        ),
    ] {
        let written = json!({ "a": 1, "list": [{ "x": 1 }, { "x": 2 }], "gone": 1 });
        assert_eq!(carried_over(&written, &from, &to), wanted);
    }
}
