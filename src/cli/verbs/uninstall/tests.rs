//! What is asked of the API server, in which order, and what is printed.

use serde_json::{Value, json};
use wiremock::{
    Mock, MockServer, ResponseTemplate,
    matchers::{method, path, query_param},
};

use super::*;

const ALL: &str = "/apis/glidepath.dev/v1alpha1/rollouts";

fn rollout(name: &str, workload: bool, status: Value) -> Rollout {
    let mut spec = json!({"strategy": {"canary": {"steps": []}}});
    if workload {
        spec["workloadRef"] = json!({"apiVersion": "apps/v1", "kind": "Deployment", "name": name});
    }
    serde_json::from_value(json!({
        "apiVersion": "glidepath.dev/v1alpha1", "kind": "Rollout",
        "metadata": {"name": name, "namespace": "shop", "uid": format!("u-{name}"), "finalizers": [FINALIZER]},
        "spec": spec, "status": status,
    }))
    .unwrap()
}

fn releasing(name: &str) -> Rollout {
    let revision = |id: &str, number: u64| json!({"id": id, "number": number});
    let status =
        json!({"phase": "Progressing", "currentRevision": revision("b", 2), "stableRevision": revision("a", 1)});
    rollout(name, false, status)
}

fn scope(server: &MockServer) -> Scope {
    let client = kube::Client::try_from(kube::Config::new(server.uri().parse().unwrap())).unwrap();
    Scope { connection: Connection { client, namespace: "shop".into(), address: server.uri() }, namespaced: false }
}

async fn lists(server: &MockServer, rollouts: &[Rollout], times: Option<u64>) {
    let list =
        json!({"apiVersion": "glidepath.dev/v1alpha1", "kind": "RolloutList", "metadata": {}, "items": rollouts});
    let mock = Mock::given(method("GET")).and(path(ALL)).respond_with(ResponseTemplate::new(200).set_body_json(list));
    match times {
        Some(times) => mock.up_to_n_times(times).mount(server).await,
        None => mock.mount(server).await,
    }
}

/// C3's kind: the Rollout that is in the way is named, and nothing is done as if it were not there.
#[tokio::test]
async fn a_rollout_that_cannot_be_read_is_named_and_stops_it() {
    let server = MockServer::start().await;
    let deep = format!("{}1{}", r#"{"a":"#.repeat(140), "}".repeat(140));
    let bad = format!(r#"{{"metadata":{{"name":"bad","namespace":"shop"}},"spec":{{"template":{deep}}}}}"#);
    let good = serde_json::to_string(&rollout("web", false, json!({}))).unwrap();
    let list = format!(r#"{{"kind":"RolloutList","metadata":{{}},"items":[{good},{bad}]}}"#);
    let answer = ResponseTemplate::new(200).set_body_raw(list, "application/json");
    Mock::given(method("GET")).and(path(ALL)).respond_with(answer).mount(&server).await;
    let refused = scope(&server).list().await.unwrap_err().to_string();
    assert!(refused.contains("Rollout shop/bad cannot be decoded: spec: it is nested"), "{refused}");
}

/// H10: the pods of a template of its own must not go with the Rollout; an adopted Deployment's replacements must.
#[tokio::test]
async fn pods_that_serve_are_orphaned_and_a_deployments_replacements_are_not() {
    for (workload, policy) in [(true, "Background"), (false, "Orphan")] {
        let server = MockServer::start().await;
        let gone = ResponseTemplate::new(200)
            .set_body_json(json!({"kind": "Status", "apiVersion": "v1", "status": "Success"}));
        Mock::given(method("DELETE")).respond_with(gone).mount(&server).await;
        scope(&server).delete(&rollout("web", workload, json!({}))).await.unwrap();
        let requests = server.received_requests().await.unwrap();
        let body: Value = serde_json::from_slice(&requests[0].body).unwrap();
        assert_eq!(
            (body["propagationPolicy"].as_str(), body["preconditions"]["uid"].as_str()),
            (Some(policy), Some("u-web"))
        );
    }
}

#[tokio::test]
async fn it_waits_until_the_controller_has_let_every_rollout_go() {
    let server = MockServer::start().await;
    lists(&server, &[rollout("a", true, json!({})), rollout("b", false, json!({}))], Some(1)).await;
    lists(&server, &[rollout("b", false, json!({}))], Some(1)).await;
    lists(&server, &[], None).await;
    let deadline = Instant::now() + Duration::from_secs(60);
    assert!(scope(&server).wait("restored", deadline, |_| true).await.unwrap());
    assert_eq!(server.received_requests().await.unwrap().len(), 3);
    let over = scope(&server).wait("restored", Instant::now(), |_| true).await.unwrap();
    assert!(over, "nothing left is no matter of time");
}

#[tokio::test]
async fn a_controller_that_does_not_run_is_no_reason_for_force() {
    let server = MockServer::start().await;
    lists(&server, &[rollout("a", true, json!({"message": "waiting for the Deployment's pods"}))], None).await;
    assert!(!scope(&server).wait("restored", Instant::now(), |_| true).await.unwrap());
    let requests = server.received_requests().await.unwrap();
    assert!(requests.iter().all(|request| request.method.as_str() == "GET"), "no finalizer is taken away");
    let text = out_of_time(&[rollout("a", true, json!({"message": "waiting for the Deployment's pods"}))]);
    assert!(text.contains("shop/a: still waiting: waiting for the Deployment's pods"), "{text}");
}

#[test]
fn a_release_in_progress_is_seen_and_the_plan_says_what_happens() {
    let stable = json!({"phase": "Healthy", "currentRevision": {"id": "a", "number": 1}, "stableRevision": {"id": "a", "number": 1}});
    let draining = json!({"phase": "Degraded", "currentRevision": {"id": "b", "number": 2},
        "stableRevision": {"id": "a", "number": 1}, "updatedReplicas": 1});
    let aborted = json!({"phase": "Degraded", "currentRevision": {"id": "b", "number": 2},
        "stableRevision": {"id": "a", "number": 1}, "updatedReplicas": 0});
    for (status, busy) in [(stable.clone(), false), (draining, true), (aborted, false)] {
        assert_eq!(in_release(&rollout("web", false, status.clone())), busy, "{status}");
    }
    let mut fresh = rollout("new", false, json!({}));
    fresh.metadata.finalizers = None;
    let text = plan(&[rollout("web", true, stable), releasing("shop"), fresh]);
    assert_eq!(
        text,
        "shop/web: Deployment/web is restored, its routes and Services too\n\
         shop/shop: its pods are orphaned and keep running; its routes and Services are restored (release in progress)\n\
         shop/new: was never adopted; it is deleted\n"
    );
}

#[tokio::test]
async fn what_is_left_is_named_with_what_to_do() {
    let server = MockServer::start().await;
    let sets = json!({"kind": "ReplicaSetList", "apiVersion": "apps/v1", "metadata": {},
        "items": [{"metadata": {"name": "web-1", "namespace": "shop"}}]});
    let answer = ResponseTemplate::new(200).set_body_json(sets);
    Mock::given(method("GET")).and(path("/apis/apps/v1/replicasets")).respond_with(answer).mount(&server).await;
    let routes = json!({"kind": "HTTPRouteList", "apiVersion": "gateway.networking.k8s.io/v1beta1", "metadata": {},
        "items": [{"metadata": {"name": "web", "namespace": "shop"}}]});
    let answer = ResponseTemplate::new(200).set_body_json(routes);
    let ours = query_param("labelSelector", "glidepath.dev/rollout");
    let made = Mock::given(method("GET")).and(path("/apis/gateway.networking.k8s.io/v1beta1/httproutes")).and(ours);
    made.respond_with(answer).mount(&server).await;
    let missing = json!({"kind": "Status", "apiVersion": "v1", "status": "Failure", "code": 404, "message": "", "reason": "NotFound"});
    Mock::given(method("GET")).respond_with(ResponseTemplate::new(404).set_body_json(missing)).mount(&server).await;
    let text = left::report(&scope(&server).connection.client, None).await;
    assert_eq!(
        text,
        "left: ReplicaSet shop/web-1: its pods keep running; create a Deployment for them, then delete it\n\
         left: HTTPRoute shop/web: it leads to the root Service; delete it when unused\n"
    );
}
