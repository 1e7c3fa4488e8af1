//! Against a server that answers as Prometheus does.

pub use std::sync::atomic::{AtomicUsize, Ordering};

use jiff::Timestamp;
pub use serde_json::json;
pub use wiremock::{
    Mock, MockServer, Request, Respond, ResponseTemplate,
    matchers::{body_string_contains, method, path},
};

use super::*;
use crate::{
    api::analysis::{
        Arms, Auth, BasicAuth, BasicSecretRef, BearerAuth, Builtin, BuiltinHistogram, Counter, Histogram, Pack,
        RunPrometheus, SecretKeyRef, Tls,
    },
    closed::Closed,
    evidence::{ArmCounts, BucketKind, BucketsQuery, IncrementsQuery, PodsQuery, Scope, SpreadQuery},
    ports::secrets::{SecretData, SecretError},
};

/// The Secrets of namespace `shop`.
struct ShopSecrets;

#[async_trait]
impl Secrets for ShopSecrets {
    async fn read(&self, namespace: &str, name: &str) -> Result<SecretData, SecretError> {
        let place = format!("{namespace}/{name}");
        let all: &[(&str, &str)] = match place.as_str() {
            "shop/prom" => &[("username", "reader"), ("password", "hunter2\n"), ("token", "t0ken\n"), ("odd", "a\nb")],
            "shop/ca" => &[("ca.crt", "no certificate")],
            "shop/secret" => return Err(SecretError::Forbidden(place)),
            _ => return Err(SecretError::Missing(place)),
        };
        let data = all.iter().map(|(key, value)| ((*key).to_owned(), value.as_bytes().to_vec()));
        Ok(Arc::new(data.collect()))
    }
}

const SHORT: Times = Times {
    round: Duration::from_millis(900),
    request: Duration::from_millis(600),
    margin: Duration::from_millis(100),
    gather: GATHER,
};

/// A source that may ask on this machine.
fn source() -> PrometheusSource {
    PrometheusSource::new(Outbound::new(["127.0.0.1".to_owned()]), None, Arc::new(ShopSecrets))
}

/// A source whose own Prometheus is this one.
fn own(address: &str) -> PrometheusSource {
    let own = OwnPrometheus { address: address.to_owned(), ..OwnPrometheus::default() };
    PrometheusSource::new(Outbound::default(), Some(own), Arc::new(ShopSecrets))
}

pub fn named(address: &str) -> RunPrometheus {
    RunPrometheus { address: address.to_owned(), ..RunPrometheus::default() }
}

pub async fn ask_in(
    source: &PrometheusSource,
    namespace: &str,
    prometheus: &RunPrometheus,
    queries: &[Query],
) -> Vec<Result<Answer, SourceError>> {
    source.answer(&Asking { namespace, prometheus }, queries).await
}

async fn ask(source: &PrometheusSource, address: &str, queries: &[Query]) -> Vec<Result<Answer, SourceError>> {
    ask_in(source, "shop", &named(address), queries).await
}

async fn error_of(source: &PrometheusSource, prometheus: &RunPrometheus) -> SourceError {
    ask_in(source, "shop", prometheus, &[scalar("a")]).await.remove(0).unwrap_err()
}

fn window() -> Query {
    window_of("web")
}

fn window_of(name: &str) -> Query {
    let builtin = |builtin| Counter { builtin: Some(builtin), prometheus: None };
    Query::Increments(IncrementsQuery {
        bad: builtin(Builtin::Errors),
        total: builtin(Builtin::Requests),
        pack: Pack::Application,
        arms: Arms {
            namespace: "shop".into(),
            canary: format!("{name}-2"),
            stable: format!("{name}-1"),
            ..Arms::default()
        },
        end: Timestamp::from_second(1_700_000_010).unwrap(),
        window_seconds: 15,
        piece_seconds: None,
        scope: Scope::Arms,
        warm_up_seconds: 120,
        whole_pods: false,
        bad_comes_later: false,
    })
}

pub fn scalar(query: &str) -> Query {
    Query::Scalar { query: query.into(), at: Timestamp::from_second(1_700_000_010).unwrap() }
}

fn buckets(kind: BucketKind) -> Query {
    let Query::Increments(window) = window() else { unreachable!() };
    Query::Buckets(BucketsQuery {
        histogram: Histogram { builtin: Some(BuiltinHistogram::Duration), prometheus: None },
        kind,
        pack: window.pack,
        arms: window.arms,
        scope: window.scope,
        end: window.end,
        window_seconds: 15,
        piece_seconds: None,
        warm_up_seconds: 120,
        whole_pods: false,
    })
}

/// A histogram is one question, whichever its form, at the window's end.
#[tokio::test]
async fn buckets_of_both_forms_are_read() {
    let bucket = |arm: &str, le: &str, count: &str| json!({"metric": {"arm": format!("shop/{arm}"), "le": le}, "value": [1_700_000_010, count]});
    let classic = vector(json!([
        bucket("web-2", "0.25", "60"),
        bucket("web-2", "+Inf", "75"),
        bucket("web-1", "0.25", "660"),
        bucket("web-1", "+Inf", "675"),
    ]));
    let native = vector(json!([{"metric": {"arm": "shop/web-2"}, "histogram": [1_700_000_010, {
        "count": "75", "sum": "12.5", "buckets": [[0, "0.125", "0.25", "60"], [0, "0.25", "0.5", "15"]],
    }]}]));
    let server = MockServer::start().await;
    let asked = |part: &str| {
        Mock::given(method("POST")).and(body_string_contains(part)).and(body_string_contains("time=1700000010"))
    };
    asked("_bucket").respond_with(classic).expect(1).mount(&server).await;
    asked("histogram_count").respond_with(native).expect(1).mount(&server).await;
    let slow = |answer: Result<Answer, String>| match answer {
        Ok(Answer::Buckets { canary, stable, unit, .. }) => {
            assert_eq!(unit, 1.0);
            [canary, stable].map(|arm| arm.and_then(|arm| Some((arm.above(0.25)?, arm.total()))))
        }
        other => panic!("{other:?}"),
    };
    let classic = one(&server, buckets(BucketKind::Classic(vec![0.25]))).await;
    assert_eq!(slow(classic), [Some((15, 75)), Some((15, 675))]);
    assert_eq!(slow(one(&server, buckets(BucketKind::Native)).await), [Some((15, 75)), None]);
    let refused = one(&answering(ResponseTemplate::new(503)).await, buckets(BucketKind::Native)).await;
    assert!(refused.unwrap_err().contains("HTTP 503"));
}

pub fn vector(samples: serde_json::Value) -> ResponseTemplate {
    ResponseTemplate::new(200)
        .set_body_json(json!({"status": "success", "data": {"resultType": "vector", "result": samples}}))
}

fn of_arms(canary: &str, stable: &str) -> ResponseTemplate {
    vector(json!([
        {"metric": {"arm": "shop/web-2"}, "value": [1_700_000_010, canary]},
        {"metric": {"arm": "shop/web-1"}, "value": [1_700_000_010, stable]},
    ]))
}

pub async fn answering(response: impl Respond + 'static) -> MockServer {
    let server = MockServer::start().await;
    Mock::given(method("POST")).and(path("/api/v1/query")).respond_with(response).mount(&server).await;
    server
}

async fn one(server: &MockServer, query: Query) -> Result<Answer, String> {
    ask(&source(), &server.uri(), &[query]).await.remove(0).map_err(|error| error.message)
}

#[tokio::test]
async fn a_window_takes_two_questions_at_its_end() {
    let server = MockServer::start().await;
    let bad =
        Mock::given(method("POST")).and(body_string_contains("code")).and(body_string_contains("time=1700000010"));
    bad.respond_with(of_arms("3", "1")).expect(1).mount(&server).await;
    let total = Mock::given(method("POST")).and(body_string_contains("time=1700000010"));
    total.respond_with(of_arms("75", "675.0000001")).expect(1).mount(&server).await;
    let canary = Some(ArmCounts { bad: 3, total: 75 });
    let stable = Some(ArmCounts { bad: 1, total: 675 });
    assert_eq!(one(&server, window()).await, Ok(Answer::Increments { canary, stable, notes: vec![] }));
}

/// C2: `timeout=30` with milliseconds for a unit ended every query that takes longer than 30 ms.
#[tokio::test]
async fn prometheus_is_given_seconds_to_evaluate_a_query_and_less_than_we_wait() {
    let server = answering(vector(json!([{"metric": {}, "value": [1, "1"]}]))).await;
    assert_eq!(one(&server, scalar("a")).await, Ok(Answer::Scalar(Some(1.0))));
    let asked = server.received_requests().await.unwrap();
    let body = String::from_utf8(asked[0].body.clone()).unwrap();
    let timeout = body.split('&').find_map(|pair| pair.strip_prefix("timeout=")).unwrap();
    let milliseconds: u128 = timeout.strip_suffix("ms").unwrap().parse().unwrap();
    assert!(milliseconds >= 10_000 && milliseconds < TIMEOUT.as_millis(), "{timeout}");
}

#[tokio::test]
async fn windows_of_several_runs_at_one_moment_are_asked_for_together() {
    let server = answering(vector(json!([
        {"metric": {"arm": "shop/web-2"}, "value": [1, "10"]}, {"metric": {"arm": "shop/api-2"}, "value": [1, "20"]},
        {"metric": {"arm": "shop/web-1"}, "value": [1, "30"]},
    ])))
    .await;
    let source = source();
    let (address, web, api) = (server.uri(), [window_of("web")], [window_of("api")]);
    let (web, api) = tokio::join!(ask(&source, &address, &web), ask(&source, &address, &api));
    let total = |answer: &Result<Answer, SourceError>| match answer {
        Ok(Answer::Increments { canary, stable, .. }) => (canary.map(|c| c.total), stable.map(|c| c.total)),
        other => panic!("{other:?}"),
    };
    assert_eq!((total(&web[0]), total(&api[0])), ((Some(10), Some(30)), (Some(20), None)));
    assert_eq!(server.received_requests().await.unwrap().len(), 2, "one for bad, one for all");
}

/// Refuses what asks for more than one pair of arms.
struct Limited;

impl Respond for Limited {
    fn respond(&self, request: &Request) -> ResponseTemplate {
        let body = String::from_utf8_lossy(&request.body).into_owned();
        if body.contains("web-2") && body.contains("api-2") {
            let error = "query processing would load too many samples into memory";
            return ResponseTemplate::new(422)
                .set_body_json(json!({"status": "error", "errorType": "execution", "error": error}));
        }
        of_arms("1", "2")
    }
}

#[tokio::test]
async fn what_is_too_much_together_is_asked_for_in_halves() {
    let server = answering(Limited).await;
    let source = source();
    let (address, web, api) = (server.uri(), [window_of("web")], [window_of("api")]);
    let (web, api) = tokio::join!(ask(&source, &address, &web), ask(&source, &address, &api));
    assert!(matches!(&web[0], Ok(Answer::Increments { canary: Some(_), .. })), "{web:?}");
    assert!(api[0].is_ok(), "{api:?}");
}

#[tokio::test]
async fn the_same_question_is_asked_once() {
    let server = answering(vector(json!([{"metric": {}, "value": [1, "0.5"]}]))).await;
    let source = source();
    let answers = ask(&source, &server.uri(), &[scalar("a"), scalar("b"), scalar("a")]).await;
    assert_eq!(answers, vec![Ok(Answer::Scalar(Some(0.5))); 3]);
    assert_eq!(server.received_requests().await.unwrap().len(), 2);
}

#[tokio::test]
async fn values_of_pods_are_read_by_their_labels() {
    let samples = json!([
        {"metric": {"arm": "shop/web-2-abcde", "pod": "web-2-abcde"}, "value": [1, "0.5"]},
        {"metric": {"arm": "shop/web-1-fghij"}, "value": [1, "NaN"]},
    ]);
    let server = MockServer::start().await;
    let asked =
        Mock::given(method("POST")).and(body_string_contains("label_join")).and(body_string_contains("time=17000"));
    asked.respond_with(vector(samples)).expect(1).mount(&server).await;
    let query = Query::Pods(PodsQuery {
        query: "cpu".into(),
        pod_label: "pod".into(),
        namespace_label: "namespace".into(),
        arms: Arms::default(),
        at: Timestamp::from_second(1_700_000_010).unwrap(),
        warm_up_seconds: 120,
    });
    let Ok(Answer::Pods(pods)) = one(&server, query.clone()).await else { panic!("no pods") };
    assert_eq!((pods[0].namespace.as_str(), pods[0].pod.as_str(), pods[0].value), ("shop", "web-2-abcde", 0.5));
    assert!(pods[1].value.is_nan());
    let nameless = answering(vector(json!([{"metric": {"arm": "shop/"}, "value": [1, "0.5"]}]))).await;
    assert!(one(&nameless, query).await.unwrap_err().contains("without the label pod"));
}

#[tokio::test]
async fn nothing_and_nan_are_no_number() {
    for samples in [json!([]), json!([{"metric": {}, "value": [1, "NaN"]}])] {
        let server = answering(vector(samples)).await;
        assert_eq!(one(&server, scalar("a")).await, Ok(Answer::Scalar(None)));
    }
    let scalar_result = ResponseTemplate::new(200)
        .set_body_json(json!({"status": "success", "data": {"resultType": "scalar", "result": [1, "7"]}}));
    assert_eq!(one(&answering(scalar_result).await, scalar("7")).await, Ok(Answer::Scalar(Some(7.0))));
}

/// Fails until the third time.
struct Recovers(AtomicUsize);

impl Respond for Recovers {
    fn respond(&self, _: &Request) -> ResponseTemplate {
        match self.0.fetch_add(1, Ordering::SeqCst) {
            0 | 1 => ResponseTemplate::new(503).set_body_string("warming up"),
            _ => vector(json!([{"metric": {}, "value": [1, "1"]}])),
        }
    }
}

#[tokio::test]
async fn a_passing_trouble_is_asked_again() {
    let server = answering(Recovers(AtomicUsize::new(0))).await;
    assert_eq!(one(&server, scalar("a")).await, Ok(Answer::Scalar(Some(1.0))));
}

#[tokio::test]
async fn a_bad_query_is_told_and_not_repeated() {
    let refused = ResponseTemplate::new(400)
        .set_body_json(json!({"status": "error", "errorType": "bad_data", "error": "1:5: parse error"}));
    let server = answering(refused).await;
    let error = one(&server, scalar("a +")).await.unwrap_err();
    assert!(error.ends_with("rejected the query (HTTP 400, bad_data): 1:5: parse error"), "{error}");
    assert_eq!(server.received_requests().await.unwrap().len(), 1);
}

#[tokio::test]
async fn answers_that_cannot_be_used_are_errors() {
    let matrix = json!({"status": "success", "data": {"resultType": "matrix", "result": []}});
    let partial = json!({"status": "success", "warnings": ["partial response: store down"], "data": {"resultType": "vector", "result": []}});
    for (body, words) in [(matrix, "no instant vector"), (partial, "partial data")] {
        let server = answering(ResponseTemplate::new(200).set_body_json(body)).await;
        let error = one(&server, scalar("a")).await.unwrap_err();
        assert!(error.contains(words), "{error}");
    }
    let large = answering(ResponseTemplate::new(200).set_body_string(" ".repeat(ask::LARGEST + 1))).await;
    assert!(one(&large, scalar("a")).await.unwrap_err().contains("more than 4 MiB"));
    let page = answering(ResponseTemplate::new(200).set_body_string("<html>secret</html>")).await;
    assert!(one(&page, scalar("a")).await.unwrap_err().contains("not like a Prometheus; check spec"));
}

#[tokio::test]
async fn an_address_that_does_not_answer_is_told_with_the_remedy() {
    let closed = Closed::new();
    let address = format!("http://{}", closed.address);
    let error = ask(&source(), &address, &[window()]).await.remove(0).unwrap_err();
    let told =
        format!("cannot reach Prometheus at {address} (connection refused); check spec.analysis.prometheus.address");
    assert_eq!((error.fault, error.message), (Fault::Unreachable, told));
    let error = error_of(&source(), &named("nowhere")).await;
    assert!(error.message.contains("Prometheus at nowhere: its address is not an http or https URL"), "{error}");
    let none = error_of(&source(), &RunPrometheus::controller()).await;
    assert!(none.message.contains("the controller has no Prometheus; set its --prometheus"), "{none}");
}

/// Every reader of a Rollout or an AnalysisRun would learn the address of the operator's Prometheus (H9).
#[tokio::test]
async fn the_controllers_own_prometheus_may_lie_anywhere_and_its_address_is_not_told() {
    let server = answering(vector(json!([{"metric": {}, "value": [1, "1"]}]))).await;
    let up = own(&server.uri());
    let controller = RunPrometheus::controller();
    let answer = ask_in(&up, "shop", &controller, &[scalar("a")]).await.remove(0);
    assert_eq!(answer, Ok(Answer::Scalar(Some(1.0))));
    // A run of an older release names it by its address.
    assert!(ask(&up, &format!("{}/", server.uri()), &[scalar("a")]).await[0].is_ok());
    let closed = Closed::new();
    let address = format!("http://{}", closed.address);
    let error = error_of(&own(&address), &controller).await;
    let told = "cannot reach the controller's Prometheus (connection refused); check the controller's --prometheus; \
                'glidepath doctor --prometheus' does";
    assert_eq!(error.message, told);
}

/// H8: what a Rollout names is not asked on this machine, neither by an address nor by a name nor by a redirect.
#[tokio::test]
async fn a_rollouts_address_does_not_lead_to_this_machine_or_past_a_redirect() {
    let inner = answering(vector(json!([{"metric": {}, "value": [1, "1"]}]))).await;
    let closed_source = PrometheusSource::new(Outbound::default(), None, Arc::new(ShopSecrets));
    let port = inner.address().port();
    for host in ["127.0.0.1", "localhost", "[::1]", "169.254.169.254", "0x7f000001"] {
        let error = error_of(&closed_source, &named(&format!("http://{host}:{port}"))).await;
        assert_eq!(error.fault, Fault::Denied, "{error}");
        assert!(error.message.contains("--allow-hosts"), "{error}");
    }
    assert_eq!(inner.received_requests().await.unwrap().len(), 0);

    let away = ResponseTemplate::new(302).insert_header("location", format!("{}/api/v1/query", inner.uri()).as_str());
    let error = error_of(&source(), &named(&answering(away).await.uri())).await;
    assert!(error.message.contains("HTTP 302, and not like a Prometheus, and redirects are not followed"), "{error}");
    assert_eq!(inner.received_requests().await.unwrap().len(), 0);

    let error = error_of(&source(), &named(&format!("{}/-/quit?x=", inner.uri()))).await;
    assert_eq!(error.fault, Fault::Denied, "the path of queries is ours: {error}");
}

/// H8: a status is no window into what other servers say.
#[tokio::test]
async fn no_foreign_servers_words_are_told() {
    let words = "AKIA-SECRET";
    for (status, body) in [
        (200, json!({"AccessKeyId": words})),
        (500, json!({"error": words})),
        (400, json!({"status": "error", "error": words})),
        (400, json!({"status": words, "errorType": "bad_data", "error": words})),
        (400, json!({"status": "error", "errorType": words, "error": words})),
        (403, json!({"status": "error", "errorType": "bad_data", "error": words})),
        (503, json!({"status": "error", "errorType": "unavailable", "error": words})),
        (
            200,
            json!({"status": "success", "warnings": ["partial", words], "data": {"resultType": "vector", "result": []}}),
        ),
        (200, json!({"status": "success", "data": {"resultType": "scalar", "result": [1, words]}})),
    ] {
        let server = answering(ResponseTemplate::new(status).set_body_json(&body)).await;
        let error = error_of(&source(), &named(&server.uri())).await;
        assert!(!error.message.contains(words), "{body}: {error}");
    }
    // Prometheus's own error for a query is what its author needs: on one line, and bounded.
    let long = format!("1:5: parse\n\u{1b}[2J error {}", "x".repeat(1000));
    let body = json!({"status": "error", "errorType": "bad_data", "error": long});
    let server = answering(ResponseTemplate::new(400).set_body_json(body)).await;
    let error = error_of(&source(), &named(&server.uri())).await.message;
    assert!(error.contains("bad_data): 1:5: parse [2J error xxx") && error.len() < 350, "{error}");
}

fn basic(secret: &str) -> Auth {
    let secret_ref = BasicSecretRef { name: secret.into(), ..BasicSecretRef::default() };
    Auth { basic: Some(BasicAuth { secret_ref }), ..Auth::default() }
}

fn bearer(secret: &str, key: Option<&str>) -> Auth {
    let secret_ref = SecretKeyRef { name: secret.into(), key: key.map(str::to_owned) };
    Auth { bearer: Some(BearerAuth { secret_ref }), ..Auth::default() }
}

/// H9: credentials are named, not written.
#[tokio::test]
async fn credentials_come_from_secrets_of_the_runs_namespace() {
    let server = answering(vector(json!([{"metric": {}, "value": [1, "1"]}]))).await;
    let source = source();
    let with = |auth: Auth| RunPrometheus { auth: Some(auth), ..named(&server.uri()) };
    for (auth, sent) in [(basic("prom"), "Basic cmVhZGVyOmh1bnRlcjI="), (bearer("prom", None), "Bearer t0ken")] {
        assert!(ask_in(&source, "shop", &with(auth), &[scalar("a")]).await[0].is_ok());
        let asked = server.received_requests().await.unwrap();
        assert_eq!(asked.last().unwrap().headers["authorization"], sent);
    }
    let before = server.received_requests().await.unwrap().len();
    for (namespace, auth, why) in [
        ("shop", basic("gone"), "Secret shop/gone does not exist"),
        ("other", basic("prom"), "Secret other/prom does not exist"),
        (
            "shop",
            basic("secret"),
            "the controller may not read Secret shop/secret; grant its ServiceAccount `get` on it",
        ),
        ("shop", bearer("prom", Some("missing")), "Secret shop/prom has no key missing"),
        ("shop", bearer("prom", Some("odd")), "a credential of analysis.prometheus contains a line break"),
        ("shop", Auth::default(), "set exactly one of basic, bearer, oauth2 and sigv4"),
    ] {
        let error = ask_in(&source, namespace, &with(auth), &[scalar("a")]).await.remove(0).unwrap_err();
        assert_eq!(error.fault, Fault::Denied, "{error}");
        assert!(error.message.contains(why) && !error.message.contains("hunter2"), "{error}");
    }
    let ca_secret_ref = Some(SecretKeyRef { name: "ca".into(), key: None });
    let tls = Some(Tls { ca_secret_ref, ..Tls::default() });
    let error = error_of(&source, &RunPrometheus { tls, ..named("https://127.0.0.1:1") }).await;
    assert!(error.message.contains("its CA is not a PEM certificate"), "{error}");
    let published = error_of(&source, &named("http://admin:hunter2@127.0.0.1:1")).await.message;
    assert!(published.contains("contains credentials") && !published.contains("hunter2"), "{published}");
    assert_eq!(server.received_requests().await.unwrap().len(), before, "none of them was sent");
}

/// The name on a certificate decides what is asked for, not where it is, and not where it may be.
#[tokio::test]
async fn a_server_under_another_name_is_where_its_address_says() {
    let server = answering(vector(json!([{"metric": {}, "value": [1, "1"]}]))).await;
    let tls = Some(Tls { server_name: Some("prometheus.internal".into()), ..Tls::default() });
    let prometheus = RunPrometheus { tls, ..named(&server.uri()) };
    assert!(ask_in(&source(), "shop", &prometheus, &[scalar("a")]).await[0].is_ok());
    let asked = server.received_requests().await.unwrap();
    assert_eq!(asked[0].headers["host"], server.address().to_string());
    let closed_source = PrometheusSource::new(Outbound::default(), None, Arc::new(ShopSecrets));
    assert_eq!(error_of(&closed_source, &prometheus).await.fault, Fault::Denied);
    assert_eq!(server.received_requests().await.unwrap().len(), 1);
}

#[tokio::test]
async fn the_controllers_own_credentials_are_read_from_files_whenever_they_are_needed() {
    let server = answering(vector(json!([{"metric": {}, "value": [1, "1"]}]))).await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("token");
    let mut own = OwnPrometheus { address: server.uri(), ..OwnPrometheus::default() };
    own.bearer_token_file = Some(file.clone());
    assert!(own.check().await.unwrap_err().to_string().contains("the file does not exist"));
    let source = PrometheusSource::new(Outbound::default(), Some(own.clone()), Arc::new(ShopSecrets));
    for token in ["first", "second"] {
        std::fs::write(&file, format!("{token}\n")).unwrap();
        own.check().await.unwrap();
        assert!(ask_in(&source, "shop", &RunPrometheus::controller(), &[scalar(token)]).await[0].is_ok());
        let asked = server.received_requests().await.unwrap();
        assert_eq!(asked.last().unwrap().headers["authorization"], format!("Bearer {token}"));
    }
    own.username_file = Some(file);
    assert!(own.check().await.unwrap_err().to_string().starts_with("set --prometheus-username-file"));
    own.address = "http://admin:hunter2@prometheus".into();
    let refused = own.check().await.unwrap_err().to_string();
    assert!(
        refused.starts_with("--prometheus must not contain credentials") && !refused.contains("hunter2"),
        "{refused}"
    );
}

#[tokio::test]
async fn a_named_prometheus_gets_its_tenant_and_the_headers_of_a_file() {
    let server = answering(vector(json!([{"metric": {}, "value": [1, "1"]}]))).await;
    let folder = tempfile::tempdir().unwrap();
    let [headers, token] = ["headers", "token"].map(|name| folder.path().join(name));
    std::fs::write(&headers, "X-Team: shop\nAuthorization: Basic eDp5\n").unwrap();
    std::fs::write(&token, "first").unwrap();
    let mut own = OwnPrometheus { address: server.uri(), ..OwnPrometheus::default() };
    (own.tenant, own.headers_file) = (Some("team-a".into()), Some(headers.clone()));
    for (token_file, authorization) in [(None, "Basic eDp5"), (Some(token), "Bearer first")] {
        own.bearer_token_file = token_file;
        own.check().await.unwrap();
        let source = PrometheusSource::new(Outbound::default(), Some(own.clone()), Arc::new(ShopSecrets));
        assert!(ask_in(&source, "shop", &RunPrometheus::controller(), &[scalar("a")]).await[0].is_ok());
        let asked = server.received_requests().await.unwrap();
        for (name, value) in [("x-team", "shop"), ("x-scope-orgid", "team-a"), ("authorization", authorization)] {
            assert_eq!(asked.last().unwrap().headers.get_all(name).iter().collect::<Vec<_>>(), [value]);
        }
    }
    std::fs::write(&headers, "Cookie hunter2").unwrap();
    let refused = own.check().await.unwrap_err().to_string();
    assert!(refused.ends_with("line 1: write NAME: VALUE") && !refused.contains("hunter2"), "{refused}");
}

/// The first of several series is any one: a threshold on it would judge by chance.
#[tokio::test]
async fn several_series_are_no_number() {
    let series = json!([{"metric": {"pod": "a"}, "value": [1, "1"]}, {"metric": {"pod": "b"}, "value": [1, "900"]}]);
    assert_eq!(one(&answering(vector(series)).await, scalar("a")).await, Ok(Answer::Several(2)));
}

/// H5: a server that accepts and never answers.
#[tokio::test]
async fn a_server_that_hangs_gives_an_error_for_each_question_in_time() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        let mut held = Vec::new();
        while let Ok((stream, _)) = listener.accept().await {
            held.push(stream);
        }
    });
    let outbound = Outbound::new(["127.0.0.1".to_owned()]);
    let source = PrometheusSource::with_times(outbound, None, Arc::new(ShopSecrets), SHORT);
    let questions: Vec<Query> = (0..12).map(|n| scalar(&format!("q{n}"))).chain([window()]).collect();
    let began = Instant::now();
    let answers = ask(&source, &address, &questions).await;
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
    assert_eq!(answers.len(), questions.len());
    let faults: Vec<Fault> = answers.iter().map(|answer| answer.as_ref().unwrap_err().fault).collect();
    assert!(faults.iter().all(|fault| matches!(fault, Fault::Silent | Fault::Busy)), "{answers:?}");
    assert!(
        answers[0].as_ref().unwrap_err().message.contains("no response from Prometheus at http://127"),
        "{answers:?}"
    );
    // It rests: the next round does not wait for it once more.
    let began = Instant::now();
    let again = ask(&source, &address, &[scalar("a")]).await.remove(0).unwrap_err();
    assert_eq!(again.fault, Fault::Busy, "{again}");
    assert!(began.elapsed() < SHORT.request, "{:?}", began.elapsed());
}

/// H6: a guardrail waited for all queries of all others, first come, first served.
#[tokio::test]
async fn a_guardrail_beside_eight_rollouts_with_sixteen_heavy_queries_each_is_answered_within_a_round() {
    const HEAVY: Duration = Duration::from_millis(400);
    let server = MockServer::start().await;
    let heavy = Mock::given(method("POST")).and(body_string_contains("heavy"));
    heavy.respond_with(vector(json!([{"metric": {}, "value": [1, "1"]}])).set_delay(HEAVY)).mount(&server).await;
    Mock::given(method("POST")).respond_with(of_arms("1", "2")).mount(&server).await;
    let source = Arc::new(own(&server.uri()));
    for rollout in 0..8 {
        let source = Arc::clone(&source);
        tokio::spawn(async move {
            let queries: Vec<Query> = (0..16).map(|n| scalar(&format!("heavy_{rollout}_{n}"))).collect();
            ask_in(&source, &format!("team-{rollout}"), &RunPrometheus::controller(), &queries).await
        });
    }
    tokio::time::sleep(Duration::from_millis(100)).await;
    let began = Instant::now();
    let answer = ask_in(&source, "shop", &RunPrometheus::controller(), &[window()]).await.remove(0);
    assert!(matches!(answer, Ok(Answer::Increments { canary: Some(_), .. })), "{answer:?}");
    // 200 ms of gathering, and at the most one heavy query before each of its two.
    assert!(began.elapsed() < GATHER + 3 * HEAVY, "{:?}", began.elapsed());
}

/// A thousand analyses with one query asked it a thousand times.
#[tokio::test]
async fn runs_that_ask_the_same_number_at_the_same_time_share_a_request() {
    let sample = vector(json!([{"metric": {}, "value": [1_700_000_010, "0.5"]}]));
    let server = answering(sample.set_delay(Duration::from_millis(50))).await;
    let (source, prometheus) = (source(), named(&server.uri()));
    let queries = [scalar("up"), scalar("up")];
    let runs = (0..40).map(|run| {
        let (source, prometheus, queries) = (&source, &prometheus, &queries);
        async move { ask_in(source, &format!("team-{run}"), prometheus, queries).await }
    });
    for answers in futures::future::join_all(runs).await {
        assert_eq!(answers, [Ok(Answer::Scalar(Some(0.5))), Ok(Answer::Scalar(Some(0.5)))]);
    }
    assert_eq!(server.received_requests().await.unwrap().len(), 1);
    let later = Query::Scalar { query: "up".into(), at: Timestamp::from_second(1_700_000_020).unwrap() };
    ask_in(&source, "shop", &prometheus, &[later]).await.remove(0).unwrap();
    assert_eq!(server.received_requests().await.unwrap().len(), 2, "another time is another question");
}

fn history() -> Query {
    let at = |second| Timestamp::from_second(second).unwrap();
    Query::Range { query: "up".into(), start: at(1_700_000_000), end: at(1_700_000_120), step_seconds: 60 }
}

/// What a server answers to a query over a range of time.
async fn over_time(result: serde_json::Value) -> Result<Answer, String> {
    let server = MockServer::start().await;
    let body = json!({"status": "success", "data": {"resultType": "matrix", "result": result}});
    let asked = Mock::given(method("POST"))
        .and(path("/api/v1/query_range"))
        .and(body_string_contains("start=1700000000&end=1700000120&step=60"));
    asked.respond_with(ResponseTemplate::new(200).set_body_json(body)).expect(1).mount(&server).await;
    one(&server, history()).await
}

#[tokio::test]
async fn a_history_is_one_series_over_time() {
    let points = json!([[1_700_000_000, "1"], [1_700_000_060, "NaN"], [1_700_000_120.001, "2.5"]]);
    let found = over_time(json!([{"metric": {}, "values": points}])).await;
    assert_eq!(found, Ok(Answer::Series(vec![(1_700_000_000, 1.0), (1_700_000_120, 2.5)])));
    assert_eq!(over_time(json!([])).await, Ok(Answer::Series(Vec::new())));
    let two = json!([{"metric": {"a": "b"}, "values": points}, {"metric": {}, "values": []}]);
    assert_eq!(over_time(two).await, Ok(Answer::Several(2)));
    let text = over_time(json!([{"metric": {}, "values": [[1_700_000_000, "high"]]}])).await;
    assert!(text.unwrap_err().contains("not a number"));
}

#[tokio::test]
async fn a_history_of_too_many_points_is_not_asked_for() {
    let server = answering(vector(json!([]))).await;
    let at = |second| Timestamp::from_second(second).unwrap();
    let query = Query::Range { query: "up".into(), start: at(0), end: at(1_700_000_000), step_seconds: 0 };
    assert!(one(&server, query).await.unwrap_err().contains("more than 11000"));
    assert!(server.received_requests().await.unwrap().is_empty());
}

#[tokio::test]
async fn the_pods_of_stable_are_read_over_many_windows_for_several_runs_in_one_request() {
    let spread = |name: &str| {
        let Query::Increments(window) = window_of(name) else { panic!("a window") };
        let first_end = Timestamp::from_second(window.end.as_second() - 900).unwrap();
        Query::Spread(SpreadQuery { first_end, window: IncrementsQuery { window_seconds: 300, ..window } })
    };
    let server = MockServer::start().await;
    let at = 1_700_000_000;
    let row = |arm: &str, of: &str, value: &str| json!({"metric": {"arm": arm, "of": of, "pod": "a"}, "values": [[at, value]]});
    let [one, other] = ["web", "cart"].map(spread);
    let stable = |query: &Query| match query {
        Query::Spread(query) => format!("{}/{}", query.window.arms.namespace, query.window.arms.stable),
        _ => panic!("a spread"),
    };
    let rows = [row(&stable(&one), "total", "90"), row(&stable(&one), "bad", "3"), row(&stable(&other), "total", "70")];
    let body = json!({"status": "success", "data": {"resultType": "matrix", "result": rows}});
    let asked = Mock::given(method("POST")).and(path("/api/v1/query_range")).and(body_string_contains("&step=300"));
    asked.respond_with(ResponseTemplate::new(200).set_body_json(body)).expect(1).mount(&server).await;
    let answers = ask(&own(&server.uri()), &server.uri(), &[one, other]).await;
    let counts = |bad, total| Ok(Answer::Spread(Some(vec![vec![ArmCounts { bad, total }]])));
    assert_eq!(answers, [counts(3, 90), counts(0, 70)]);
}
