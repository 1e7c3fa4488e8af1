//! What is sent to the API server, and the output for its responses.

use serde_json::{Value, json};
use wiremock::{
    Mock, MockServer, ResponseTemplate,
    matchers::{method, path},
};

use super::*;
use crate::view::samples;

fn connection(server: &MockServer) -> Connection {
    let config = kube::Config::new(server.uri().parse().unwrap());
    let client = kube::Client::try_from(config).unwrap();
    Connection { client, namespace: "shop".into(), address: server.uri() }
}

const COMMANDS: &str = "/apis/glidepath.dev/v1alpha1/namespaces/shop/rolloutcommands";
const ROLLOUT: &str = "/apis/glidepath.dev/v1alpha1/namespaces/shop/rollouts/checkout";

async fn server_with(rollout: &Rollout, status: Value) -> MockServer {
    let server = MockServer::start().await;
    let rollout = ResponseTemplate::new(200).set_body_json(rollout);
    Mock::given(method("GET")).and(path(ROLLOUT)).respond_with(rollout).mount(&server).await;
    let review = json!({ "kind": "SelfSubjectReview", "apiVersion": "authentication.k8s.io/v1", "status": { "userInfo": { "username": "ada" } } });
    let reviews = "/apis/authentication.k8s.io/v1/selfsubjectreviews";
    Mock::given(method("POST"))
        .and(path(reviews))
        .respond_with(ResponseTemplate::new(201).set_body_json(review))
        .mount(&server)
        .await;
    let command = |status: Value| {
        json!({
            "apiVersion": "glidepath.dev/v1alpha1", "kind": "RolloutCommand",
            "metadata": { "name": "checkout-promote-x7k2p", "namespace": "shop" },
            "spec": { "rollout": "checkout", "verb": "promote" }, "status": status
        })
    };
    let created = ResponseTemplate::new(201).set_body_json(command(json!({})));
    Mock::given(method("POST")).and(path(COMMANDS)).respond_with(created).mount(&server).await;
    let answered = ResponseTemplate::new(200).set_body_json(command(status));
    let one = format!("{COMMANDS}/checkout-promote-x7k2p");
    Mock::given(method("GET")).and(path(one)).respond_with(answered).mount(&server).await;
    server
}

fn order(verb: Verb) -> Order {
    Order::new(verb, None, PATIENCE)
}

async fn created(server: &MockServer) -> Value {
    let requests = server.received_requests().await.unwrap();
    let post = requests.iter().find(|r| r.url.path() == COMMANDS).unwrap();
    serde_json::from_slice(&post.body).unwrap()
}

#[tokio::test]
async fn a_promote_says_who_and_what_it_means_and_tells_the_answer() {
    let sample = samples::observing();
    let server = server_with(&sample.rollout, json!({ "state": "Done", "message": "step 4 ended" })).await;
    let order = Order { reason: Some("looks good".to_owned()), ..order(Verb::Promote) };
    let (command, exit) = send(&connection(&server), "checkout", &order).await.unwrap();
    assert_eq!(exit, Exit::Done);
    assert_eq!(answer_line("checkout", &command), "checkout: promote done: step 4 ended\n");
    let object = created(&server).await;
    insta::assert_yaml_snapshot!("promote_object", object);
}

#[tokio::test]
async fn a_refused_or_unanswered_command_is_an_error() {
    for (status, told) in [
        (json!({ "state": "Refused", "message": "nothing waits" }), "checkout: promote refused: nothing waits\n"),
        (
            json!({ "state": "Obsolete", "message": "meant for step 2" }),
            "checkout: promote rejected as stale: meant for step 2; the rollout has moved on: check 'glidepath status checkout' and retry\n",
        ),
        (
            json!({}),
            "checkout: no controller responded within 10s; the promote is recorded as checkout-promote-x7k2p and will be executed when one runs; check with 'glidepath doctor'\n",
        ),
    ] {
        let server = server_with(&samples::observing().rollout, status).await;
        let order = Order { timeout: Duration::from_millis(20), ..order(Verb::Promote) };
        let (command, exit) = send(&connection(&server), "checkout", &order).await.unwrap();
        assert_eq!((exit, answer_line("checkout", &command).as_str()), (Exit::Failed, told));
    }
}

#[test]
fn only_promote_names_attempt_and_step_and_only_ramps_have_sub_steps() {
    let observing = samples::observing().rollout;
    for verb in [Verb::Abort, Verb::Pause, Verb::Resume, Verb::Retry, Verb::Undo, Verb::Restart] {
        let spec = spec(&observing, verb, Extra::default());
        assert_eq!((spec.revision.as_deref(), spec.attempt, spec.step), (Some("k3v9x2m1qa"), None, None), "{verb:?}");
    }
    let at_step = spec(&observing, Verb::Promote, Extra::default());
    assert_eq!((at_step.attempt, at_step.step, at_step.sub_step), (Some(1), Some(3), None));
    let in_ramp = spec(&samples::many_steps().rollout, Verb::Promote, Extra { full: true, ..Extra::default() });
    assert_eq!((in_ramp.step, in_ramp.sub_step, in_ramp.full), (Some(1), Some(3), true));
}

#[tokio::test]
async fn a_missing_rollout_names_those_that_exist() {
    let server = MockServer::start().await;
    let missing = json!({
        "kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": "NotFound", "code": 404,
        "message": "rollouts.glidepath.dev \"basket\" not found", "details": { "name": "basket", "kind": "rollouts" }
    });
    let one = "/apis/glidepath.dev/v1alpha1/namespaces/shop/rollouts/basket";
    Mock::given(method("GET"))
        .and(path(one))
        .respond_with(ResponseTemplate::new(404).set_body_json(missing))
        .mount(&server)
        .await;
    let list = json!({ "apiVersion": "glidepath.dev/v1alpha1", "kind": "RolloutList", "metadata": {}, "items": [samples::rollout(None)] });
    let all = "/apis/glidepath.dev/v1alpha1/namespaces/shop/rollouts";
    Mock::given(method("GET"))
        .and(path(all))
        .respond_with(ResponseTemplate::new(200).set_body_json(list))
        .mount(&server)
        .await;
    let error = connection(&server).rollout("basket").await.unwrap_err();
    assert_eq!(error.to_string(), "Rollout \"basket\" not found in namespace \"shop\"; there are: checkout");
}

#[tokio::test]
async fn a_cluster_without_the_kind_and_one_that_does_not_answer_say_what_to_do() {
    let server = MockServer::start().await;
    let plain = ResponseTemplate::new(404).set_body_string("404 page not found\n");
    Mock::given(method("GET")).respond_with(plain.clone()).mount(&server).await;
    // Many a server says this of every path.
    let error = connection(&server).rollout("checkout").await.unwrap_err().to_string();
    assert!(error.contains("does not answer as a Kubernetes API server: it answered 404 page not found"), "{error}");
    let server = MockServer::start().await;
    let version = json!({ "major": "1", "minor": "34", "gitVersion": "v1.34.1", "gitCommit": "", "gitTreeState": "", "buildDate": "",
        "goVersion": "", "compiler": "", "platform": "" });
    let of_version = Mock::given(method("GET")).and(path("/version"));
    of_version.respond_with(ResponseTemplate::new(200).set_body_json(version)).mount(&server).await;
    Mock::given(method("GET")).respond_with(plain).mount(&server).await;
    let error = connection(&server).rollout("checkout").await.unwrap_err();
    assert!(matches!(error, CliError::KindMissing("Rollout")), "{error}");
    let mut gone = connection(&server);
    gone.client = kube::Client::try_from(kube::Config::new("http://127.0.0.1:1".parse().unwrap())).unwrap();
    gone.address = "http://127.0.0.1:1/".into();
    let error = gone.rollout("checkout").await.unwrap_err().to_string();
    assert!(
        error.starts_with("cannot reach the API server at http://127.0.0.1:1/: ") && error.contains("doctor"),
        "{error}"
    );
}

/// At 3 a.m. several are aborted at once: one that fails keeps no other from its command, and the exit code says so.
#[tokio::test]
async fn several_rollouts_get_the_command_and_one_failure_stops_none() {
    let server = server_with(&samples::observing().rollout, json!({ "state": "Done", "message": "rolled back" })).await;
    let missing = json!({
        "kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": "NotFound", "code": 404,
        "message": "rollouts.glidepath.dev \"nope\" not found", "details": { "name": "nope", "kind": "rollouts" }
    });
    let nope = Mock::given(method("GET")).and(path("/apis/glidepath.dev/v1alpha1/namespaces/shop/rollouts/nope"));
    nope.respond_with(ResponseTemplate::new(404).set_body_json(missing)).mount(&server).await;
    let names = ["nope", "checkout"].map(ToOwned::to_owned);
    let sent = send_all(&connection(&server), &names, &order(Verb::Abort)).await;
    let results = results(&names, sent, DryRun::default());
    // The mocked command is a promote, whatever was asked.
    assert_eq!(results.lines, "checkout: promote done: rolled back\n");
    assert_eq!((results.exit, results.commands.len(), results.errors.len()), (Exit::Failed, 1, 1));
    assert!(results.errors[0].to_string().starts_with("Rollout \"nope\" not found"), "{}", results.errors[0]);
}

/// A dry run on the client sends nothing; one on the server says so to the API server and waits for no controller.
#[tokio::test]
async fn a_dry_run_records_nothing() {
    let names = ["checkout".to_owned()];
    for (dry_run, line, queries) in [
        (DryRun::client(), "checkout: abort not sent (dry run)\n", vec![]),
        (DryRun::server(), "checkout: promote not sent (server dry run)\n", vec![Some("&dryRun=All".to_owned())]),
    ] {
        let server = server_with(&samples::observing().rollout, json!({})).await;
        let order = Order { dry_run, ..order(Verb::Abort) };
        let results = results(&names, send_all(&connection(&server), &names, &order).await, dry_run);
        assert_eq!((results.lines.as_str(), results.exit), (line, Exit::Done));
        let requests = server.received_requests().await.unwrap();
        let posts = requests.iter().filter(|request| request.url.path() == COMMANDS);
        assert_eq!(posts.map(|post| post.url.query().map(ToOwned::to_owned)).collect::<Vec<_>>(), queries);
        assert!(!requests.iter().any(|request| request.url.path().starts_with(&format!("{COMMANDS}/"))));
    }
}
