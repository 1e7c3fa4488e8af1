//! Against a server that answers as Prometheus does.

use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::json;
use wiremock::{
    Mock, MockServer, Request, Respond, ResponseTemplate,
    matchers::{body_string_contains, method, path},
};

use super::*;
use crate::{
    api::analysis::{Arms, Builtin, Counter, Pack},
    evidence::{ArmCounts, IncrementsQuery},
};

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
        warm_up_seconds: 120,
        whole_pods: false,
        bad_comes_later: false,
    })
}

fn scalar(query: &str) -> Query {
    Query::Scalar { query: query.into(), at: Timestamp::from_second(1_700_000_010).unwrap() }
}

fn vector(samples: serde_json::Value) -> ResponseTemplate {
    ResponseTemplate::new(200)
        .set_body_json(json!({"status": "success", "data": {"resultType": "vector", "result": samples}}))
}

fn of_arms(canary: &str, stable: &str) -> ResponseTemplate {
    vector(json!([
        {"metric": {"arm": "shop/web-2"}, "value": [1_700_000_010, canary]},
        {"metric": {"arm": "shop/web-1"}, "value": [1_700_000_010, stable]},
    ]))
}

async fn answering(response: impl Respond + 'static) -> MockServer {
    let server = MockServer::start().await;
    Mock::given(method("POST")).and(path("/api/v1/query")).respond_with(response).mount(&server).await;
    server
}

async fn one(server: &MockServer, query: Query) -> Result<Answer, String> {
    let source = PrometheusSource::new().unwrap();
    source.answer(&server.uri(), &[query]).await.remove(0).map_err(|error| error.0)
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
    let source = PrometheusSource::new().unwrap();
    let (address, web, api) = (server.uri(), [window_of("web")], [window_of("api")]);
    let (web, api) = tokio::join!(source.answer(&address, &web), source.answer(&address, &api));
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
    let source = PrometheusSource::new().unwrap();
    let (address, web, api) = (server.uri(), [window_of("web")], [window_of("api")]);
    let (web, api) = tokio::join!(source.answer(&address, &web), source.answer(&address, &api));
    assert!(matches!(&web[0], Ok(Answer::Increments { canary: Some(_), .. })), "{web:?}");
    assert!(api[0].is_ok(), "{api:?}");
}

#[tokio::test]
async fn the_same_question_is_asked_once() {
    let server = answering(vector(json!([{"metric": {}, "value": [1, "0.5"]}]))).await;
    let source = PrometheusSource::new().unwrap();
    let answers = source.answer(&server.uri(), &[scalar("a"), scalar("b"), scalar("a")]).await;
    assert_eq!(answers, vec![Ok(Answer::Scalar(Some(0.5))); 3]);
    assert_eq!(server.received_requests().await.unwrap().len(), 2);
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
    assert!(error.ends_with("refused the query: bad_data: 1:5: parse error"), "{error}");
    assert_eq!(server.received_requests().await.unwrap().len(), 1);
}

#[tokio::test]
async fn answers_that_cannot_be_used_are_errors() {
    let matrix = json!({"status": "success", "data": {"resultType": "matrix", "result": []}});
    let partial = json!({"status": "success", "warnings": ["partial response: store down"], "data": {"resultType": "vector", "result": []}});
    for (body, words) in [(matrix, "no instant vector"), (partial, "part of the data only")] {
        let server = answering(ResponseTemplate::new(200).set_body_json(body)).await;
        let error = one(&server, scalar("a")).await.unwrap_err();
        assert!(error.contains(words), "{error}");
    }
    let large = answering(ResponseTemplate::new(200).set_body_string(" ".repeat(LARGEST + 1))).await;
    assert!(one(&large, scalar("a")).await.unwrap_err().contains("more than 4 MiB"));
    let page = answering(ResponseTemplate::new(200).set_body_string("<html>")).await;
    assert!(one(&page, scalar("a")).await.unwrap_err().contains("not as Prometheus does; set --prometheus"));
}

#[tokio::test]
async fn an_address_that_does_not_answer_is_told_with_the_remedy() {
    let gone = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}", gone.local_addr().unwrap());
    drop(gone);
    let source = PrometheusSource::new().unwrap();
    let mut answers = source.answer(&address, &[window()]).await;
    let error = answers.remove(0).unwrap_err().0;
    let told = format!(
        "cannot reach Prometheus at {address} (connection refused); set --prometheus or analysis.prometheus.address; \
         'glidepath doctor' checks it"
    );
    assert_eq!(error, told);
    let error = source.answer("nowhere", &[scalar("a")]).await.remove(0).unwrap_err().0;
    assert!(error.starts_with("`nowhere` is no URL"), "{error}");
}
