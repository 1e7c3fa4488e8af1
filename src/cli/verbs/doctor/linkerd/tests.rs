use serde_json::{Value, json};
use wiremock::{
    Mock, MockServer, ResponseTemplate,
    matchers::{method, path},
};

use super::*;
use crate::cli::verbs::doctor::check::Mark;

async fn serves(server: &MockServer, at: &str, items: Value) {
    let list = json!({"apiVersion": "v1", "kind": "List", "metadata": {}, "items": items});
    let answer = ResponseTemplate::new(200).set_body_json(list);
    Mock::given(method("GET")).and(path(at)).respond_with(answer).mount(server).await;
}

fn named(name: &str, spec: Value) -> Value {
    json!({"metadata": {"name": name, "namespace": "shop", "labels": {"team": "web"}}, "spec": spec})
}

fn route(name: &str) -> Value {
    named(name, json!({"parentRefs": [{"group": "core", "kind": "Service", "name": "web", "port": 80}]}))
}

fn rollout() -> Rollout {
    let traffic = json!([{"gateway": {"routes": [{"name": "web"}]}}]);
    let spec = json!({"strategy": {"canary": {"steps": []}}, "services": {"root": "web"}, "traffic": traffic,
        "stableMetadata": {"labels": {"role": "stable"}}});
    let mut rollout: Rollout =
        serde_json::from_value(json!({"metadata": {"name": "web", "namespace": "shop", "uid": "u"}, "spec": spec}))
            .unwrap();
    let mut status = crate::api::RolloutStatus::default();
    status.stable_revision = Some(crate::api::status::RevisionRef { id: "k3v9".into(), number: 1 });
    rollout.status = Some(status);
    rollout
}

const SETS: &str = "/apis/apps/v1/namespaces/shop/replicasets";
const PROFILES_AT: &str = "/apis/linkerd.io/v1alpha2/serviceprofiles";
const HTTP: &str = "/apis/gateway.networking.k8s.io/v1/namespaces/shop/httproutes";
const GRPC: &str = "/apis/gateway.networking.k8s.io/v1/namespaces/shop/grpcroutes";
const OWN: &str = "/apis/policy.linkerd.io/v1beta1/namespaces/shop/httproutes";
const SERVERS_AT: &str = "/apis/policy.linkerd.io/v1beta3/namespaces/shop/servers";
const POLICIES: &str = "/apis/policy.linkerd.io/v1alpha1/namespaces/shop/authorizationpolicies";
const AUTHORIZATIONS: &str = "/apis/policy.linkerd.io/v1beta1/namespaces/shop/serverauthorizations";

/// What is said of one Rollout where these objects are there.
async fn said(objects: &[(&str, Value)]) -> Vec<(Mark, String)> {
    let server = MockServer::start().await;
    let labels = json!({"app": "web", "role": "stable", "glidepath.dev/revision": "k3v9"});
    let mut set = named("web-k3v9", json!({"selector": {}, "template": {"metadata": {"labels": labels}}}));
    set["metadata"]["ownerReferences"] =
        json!([{"apiVersion": "glidepath.dev/v1alpha1", "kind": "Rollout", "name": "web", "uid": "u"}]);
    serves(&server, SETS, json!([set])).await;
    for (at, items) in objects {
        serves(&server, at, items.clone()).await;
    }
    let client = kube::Client::try_from(kube::Config::new(server.uri().parse().unwrap())).unwrap();
    let connection = Connection { client, namespace: "default".into(), address: server.uri() };
    checks(&connection, &[rollout()]).await.into_iter().map(|check| (check.mark, check.what)).collect()
}

#[tokio::test]
async fn without_linkerd_or_a_service_as_parent_there_is_no_line() {
    assert_eq!(said(&[(HTTP, json!([route("web")]))]).await, []);
    let gateway = named("web", json!({"parentRefs": [{"name": "edge"}]}));
    assert_eq!(said(&[(PROFILES_AT, json!([])), (HTTP, json!([gateway]))]).await, []);
}

#[tokio::test]
async fn a_route_that_linkerd_uses_is_well() {
    let what = "Linkerd: nothing keeps it from using the routes of Rollouts with a Service as parent (1)";
    let every = named("all", json!({"podSelector": {"matchLabels": {"app": "web"}}}));
    let objects = [(PROFILES_AT, json!([])), (HTTP, json!([route("web")])), (SERVERS_AT, json!([every]))];
    assert_eq!(said(&objects).await, [(Mark::Well, what.to_owned())]);
}

#[tokio::test]
async fn what_takes_effect_instead_of_a_route_is_named() {
    let profile = named("web.shop.svc.cluster.local", json!({}));
    let objects = [(PROFILES_AT, json!([profile])), (HTTP, json!([route("web")])), (GRPC, json!([route("calls")]))];
    let wanted = [
        "Linkerd: Rollout shop/web: GRPCRoute shop/calls takes effect instead of HTTPRoute shop/web: both have Service shop/web as parent, and Linkerd uses the routes of one kind",
        "Linkerd: Rollout shop/web: ServiceProfile shop/web.shop.svc.cluster.local takes effect instead of HTTPRoute shop/web: Linkerd uses no route of a Service that has a ServiceProfile",
    ];
    assert_eq!(said(&objects).await, wanted.map(|what| (Mark::Wrong, what.to_owned())));
}

#[tokio::test]
async fn a_route_of_linkerds_own_group_is_named() {
    let objects = [(PROFILES_AT, json!([])), (HTTP, json!([])), (OWN, json!([route("web")]))];
    let what = "Linkerd: Rollout shop/web: HTTPRoute shop/web is of policy.linkerd.io, which Glidepath does not write";
    assert_eq!(said(&objects).await, [(Mark::Wrong, what.to_owned())]);
}

#[tokio::test]
async fn a_server_that_the_canary_escapes_is_named_with_its_policies() {
    let selects = |name: &str, selector: Value| named(name, json!({"podSelector": selector}));
    let by_label = |labels: Value| json!({"matchLabels": labels});
    let expression = |key: &str, operator: &str, values: Value| json!({"matchExpressions": [{"key": key, "operator": operator, "values": values}]});
    let servers = json!([
        selects("all", json!({})),
        selects("app", by_label(json!({"app": "web"}))),
        selects("canaries", expression("role", "NotIn", json!(["stable"]))),
        selects("other", by_label(json!({"app": "other"}))),
        selects("by-role", by_label(json!({"role": "stable"}))),
        selects("by-revision", expression("glidepath.dev/revision", "In", json!(["k3v9"]))),
        named("external", json!({"externalWorkloadSelector": {}})),
    ]);
    let target = json!({"targetRef": {"group": "policy.linkerd.io", "kind": "Server", "name": "by-role"}});
    let policies =
        json!([named("callers", target), named("others", json!({"targetRef": {"kind": "Server", "name": "app"}}))]);
    let by_labels = json!({"server": {"selector": {"matchLabels": {"team": "web"}}}});
    let objects = [
        (PROFILES_AT, json!([])),
        (HTTP, json!([route("web")])),
        (SERVERS_AT, servers),
        (POLICIES, policies),
        (AUTHORIZATIONS, json!([named("team", by_labels)])),
    ];
    let wanted = [
        "Linkerd: Rollout shop/web: Server by-role, and with it AuthorizationPolicy callers, ServerAuthorization team, holds for the pods of stable and not for those of the canary",
        "Linkerd: Rollout shop/web: Server by-revision, and with it ServerAuthorization team, holds for the pods of stable and not for those of the canary",
    ];
    assert_eq!(said(&objects).await, wanted.map(|what| (Mark::Wrong, what.to_owned())));
}
