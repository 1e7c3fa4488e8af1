//! Each source against a server that answers as its vendor's documentation shows, and against servers that do not.

use serde_json::{Value, json};
use wiremock::{
    Mock, MockServer, Request, ResponseTemplate,
    matchers::{any, header, method, path},
};

use super::*;
use crate::{
    api::analysis::{RunPrometheus, ThresholdMetric},
    closed::Closed,
    ports::secrets::{SecretData, SecretError},
};

/// The Secret `keys` of namespace `shop`.
struct Keys;

#[async_trait]
impl Secrets for Keys {
    async fn read(&self, namespace: &str, name: &str) -> Result<SecretData, SecretError> {
        if (namespace, name) != ("shop", "keys") {
            return Err(SecretError::Missing(format!("{namespace}/{name}")));
        }
        let keys = [
            ("api-key", "hunter2-api"),
            ("app-key", "hunter2-app\n"),
            ("personal-api-key", "NRAK-hunter2"),
            ("token", "hunter2-token"),
            ("access-key-id", "AKIDEXAMPLE"),
            ("secret-access-key", "hunter2/KEY"),
            ("odd", "a\nb"),
        ];
        let data = keys.into_iter().map(|(key, value)| (key.to_owned(), value.as_bytes().to_vec()));
        Ok(Arc::new(data.collect()))
    }
}

const AT: i64 = 1_700_000_100;

/// The query of a metric, with the server's address put in.
fn query_of(yaml: &str, server: &str) -> Query {
    let metric: ThresholdMetric = serde_yaml::from_str(&yaml.replace("SERVER", server)).unwrap();
    assert!(metric.has_one_source(), "{yaml}");
    Query::External { query: metric.external().unwrap(), at: Timestamp::from_second(AT).unwrap() }
}

fn sources() -> Sources {
    Sources::new(Outbound::new(["127.0.0.1".to_owned()]), None, Arc::new(Keys))
}

async fn ask_in(namespace: &str, sources: &Sources, queries: &[Query]) -> Vec<Result<Answer, SourceError>> {
    sources.answer(&Asking { namespace, prometheus: &RunPrometheus::controller() }, queries).await
}

async fn ask(yaml: &str, server: &str) -> Result<Answer, SourceError> {
    ask_in("shop", &sources(), &[query_of(yaml, server)]).await.remove(0)
}

/// What a server with this one response makes of a query, and the request that it got.
async fn recorded(yaml: &str, response: ResponseTemplate) -> (Result<Answer, SourceError>, Request) {
    let server = MockServer::start().await;
    Mock::given(any()).respond_with(response).mount(&server).await;
    let answer = ask(yaml, &server.uri()).await;
    (answer, server.received_requests().await.unwrap().pop().unwrap())
}

fn ok(body: Value) -> ResponseTemplate {
    ResponseTemplate::new(200).set_body_json(body)
}

fn number(value: f64) -> Result<Answer, SourceError> {
    Ok(Answer::Scalar(Some(value)))
}

const NOTHING: Result<Answer, SourceError> = Ok(Answer::Scalar(None));

const WEB: &str = "web: {url: 'SERVER/errors?service=web', jsonPath: $.data.rate}";
const DATADOG: &str = "datadog: {address: SERVER, query: 'sum:errors{a:b}', secretRef: {name: keys}}";
const NEW_RELIC: &str =
    "newRelic: {address: SERVER, accountId: 7, query: SELECT count(*) FROM T, secretRef: {name: keys}}";
const GRAPHITE: &str = "graphite: {address: 'SERVER/base/', target: 'sumSeries(a.*)', interval: 2m}";
const INFLUXDB: &str =
    "influxdb: {address: SERVER, org: shop & co, query: 'from(bucket: \"web\") |> sum()', secretRef: {name: keys}}";
const CLOUD_WATCH: &str = "cloudWatch: {address: SERVER, region: eu-west-1, secretRef: {name: keys}, metricDataQueries: [{id: \
                           rate, expression: errors / 100}, {id: errors, returnData: false, metricStat: {period: 60, stat: Sum, \
                           metric: {namespace: AWS/ApplicationELB, metricName: Errors, dimensions: [{name: LB, value: app/x}]}}}]}";
const ALL: [&str; 6] = [WEB, DATADOG, NEW_RELIC, GRAPHITE, INFLUXDB, CLOUD_WATCH];

#[tokio::test]
async fn a_json_path_selects_the_number_of_a_web_endpoint() {
    for (body, path, answer) in [
        (json!({"data": {"rate": 0.25}}), "$.data.rate", number(0.25)),
        (json!({"data": {"rate": "0.25"}}), "{$.data.rate}", number(0.25)),
        (json!({"data": {"ok": true}}), "$.data.ok", number(1.0)),
        (json!(3), "$", number(3.0)),
        (json!({"checks": [{"n": "a", "v": 1}, {"n": "b", "v": 2}]}), "$.checks[?@.n == 'b'].v", number(2.0)),
        (json!({"data": {"rate": null}}), "$.data.rate", NOTHING),
        (json!({"data": {}}), "$.data.rate", NOTHING),
        (json!({"a": [1, 2, 3]}), "$.a[*]", Ok(Answer::Several(3))),
    ] {
        let yaml = format!("web: {{url: SERVER, jsonPath: \"{path}\"}}");
        assert_eq!(recorded(&yaml, ok(body.clone())).await.0, answer, "{body} {path}");
    }
    for (body, why) in [
        (json!({"data": {"rate": "hunter2"}}), "the value is a text, and not a number"),
        (json!({"data": {"rate": {"hunter2": 1}}}), "the value is an object; select one number"),
    ] {
        let error = recorded(WEB, ok(body)).await.0.unwrap_err();
        assert!(error.message.contains(why) && !error.message.contains("hunter2"), "{error}");
    }
}

#[tokio::test]
async fn a_web_endpoint_gets_what_the_metric_says() {
    let (answer, request) = recorded(WEB, ok(json!({"data": {"rate": 1}}))).await;
    assert_eq!((answer, request.method.as_str(), request.url.query()), (number(1.0), "GET", Some("service=web")));
    let yaml = "web: {url: SERVER/judge, method: POST, body: '{\"a\": 1}', headers: [{name: X-Team, value: shop}, {name: X-Key, \
                secretRef: {name: keys, key: api-key}}], auth: {bearer: {secretRef: {name: keys}}}}";
    let (answer, request) = recorded(yaml, ok(json!(7))).await;
    assert_eq!((answer, request.method.as_str(), request.body.as_slice()), (number(7.0), "POST", &b"{\"a\": 1}"[..]));
    for (name, value) in [
        ("content-type", "application/json"),
        ("accept", "application/json"),
        ("x-team", "shop"),
        ("x-key", "hunter2-api"),
        ("authorization", "Bearer hunter2-token"),
    ] {
        assert_eq!(request.headers[name], value);
    }
}

/// A URL of the user's may act and may read what the user may not: it leads where a gate's does, and not past a redirect.
#[tokio::test]
async fn a_web_endpoint_is_under_the_policy_of_gates() {
    let inner = MockServer::start().await;
    Mock::given(any()).respond_with(ok(json!(1))).mount(&inner).await;
    let closed = Sources::new(Outbound::default(), None, Arc::new(Keys));
    for url in [
        format!("http://127.0.0.1:{}/x?token=hunter2", inner.address().port()),
        "http://169.254.169.254/latest/meta-data?token=hunter2".to_owned(),
        "https://internal.shop.svc/x?token=hunter2".to_owned(),
        "http://10.0.0.1/x?token=hunter2".to_owned(),
    ] {
        let query = query_of(&format!("web: {{url: '{url}'}}"), "");
        let error = ask_in("shop", &closed, &[query]).await.remove(0).unwrap_err();
        assert_eq!(error.fault, Fault::Denied, "{error}");
        assert!(error.message.contains("--allow-hosts") && !error.message.contains("hunter2"), "{error}");
    }
    let away = ResponseTemplate::new(302).insert_header("location", inner.uri().as_str());
    let error = recorded(WEB, away).await.0.unwrap_err();
    assert!(error.message.contains("redirects are not followed (HTTP 302)"), "{error}");
    assert_eq!(inner.received_requests().await.unwrap().len(), 0);
}

#[tokio::test]
async fn datadog_is_asked_for_a_range_and_gives_its_last_point() {
    let series = |points: Value| json!({"metric": "errors", "scope": "a:b", "pointlist": points});
    let body = |series: Value| ok(json!({"status": "ok", "res_type": "time_series", "series": series, "error": ""}));
    let points = json!([[1_700_000_040_000.0, 3.0], [1_700_000_060_000.0, 4.5], [1_700_000_080_000.0, null]]);
    let (answer, request) = recorded(DATADOG, body(json!([series(points)]))).await;
    assert_eq!(answer, number(4.5));
    assert_eq!((request.method.as_str(), request.url.path()), ("GET", "/api/v1/query"));
    assert_eq!(request.url.query(), Some("from=1699999800&to=1700000100&query=sum%3Aerrors%7Ba%3Ab%7D"));
    for (name, value) in [("dd-api-key", "hunter2-api"), ("dd-application-key", "hunter2-app")] {
        assert_eq!(request.headers[name], value);
    }
    assert_eq!(recorded(DATADOG, body(json!([]))).await.0, NOTHING);
    assert_eq!(recorded(DATADOG, body(json!([series(json!([[1.0, null]]))]))).await.0, NOTHING);
    let two = json!([series(json!([])), series(json!([]))]);
    assert_eq!(recorded(DATADOG, body(two)).await.0, Ok(Answer::Several(2)));
    let refused = ok(json!({"status": "error", "error": "hunter2"}));
    assert!(recorded(DATADOG, refused).await.0.unwrap_err().message.ends_with("it rejected the query"));
}

#[tokio::test]
async fn new_relic_is_asked_in_nrql_and_gives_the_only_value() {
    let body = |results: Value| ok(json!({"data": {"actor": {"account": {"nrql": {"results": results}}}}}));
    let (answer, request) = recorded(NEW_RELIC, body(json!([{"count": 12}]))).await;
    assert_eq!((answer, request.method.as_str(), request.url.path()), (number(12.0), "POST", "/graphql"));
    assert_eq!(request.headers["api-key"], "NRAK-hunter2");
    let sent: Value = serde_json::from_slice(&request.body).unwrap();
    assert_eq!(sent["variables"], json!({"account": 7, "nrql": "SELECT count(*) FROM T"}));
    assert!(sent["query"].as_str().unwrap().contains("nrql(query: $nrql"), "{sent}");
    for (results, answer) in [
        (json!([{"percentile.duration": {"95": 0.25}}]), number(0.25)),
        (json!([{"beginTimeSeconds": 1, "endTimeSeconds": 2, "average": 3.5}]), number(3.5)),
        (json!([{"average.duration": null}]), NOTHING),
        (json!([]), NOTHING),
        (json!([{"facet": "a", "count": 1}, {"facet": "b", "count": 2}]), Ok(Answer::Several(2))),
    ] {
        assert_eq!(recorded(NEW_RELIC, body(results.clone())).await.0, answer, "{results}");
    }
    for (response, why) in [
        (body(json!([{"a": 1, "b": 2}])), "select one"),
        (ok(json!({"data": {"actor": {"account": null}}})), "no results"),
        (ok(json!({"errors": [{"message": "hunter2"}]})), "rejected the query"),
    ] {
        let error = recorded(NEW_RELIC, response).await.0.unwrap_err();
        assert!(error.message.contains(why) && !error.message.contains("hunter2"), "{error}");
    }
}

#[tokio::test]
async fn graphite_is_asked_for_a_range_and_gives_its_last_point() {
    let series = |points: Value| json!({"target": "sumSeries(a.*)", "tags": {}, "datapoints": points});
    let points = json!([[1.0, 1_699_999_990], [2.5, 1_700_000_050], [null, 1_700_000_100]]);
    let (answer, request) = recorded(GRAPHITE, ok(json!([series(points)]))).await;
    assert_eq!((answer, request.url.path()), (number(2.5), "/base/render"));
    assert_eq!(
        request.url.query(),
        Some("target=sumSeries%28a.*%29&from=1699999980&until=1700000100&format=json"),
        "two minutes before the measurement"
    );
    assert_eq!(recorded(GRAPHITE, ok(json!([]))).await.0, NOTHING);
    assert_eq!(recorded(GRAPHITE, ok(json!([series(json!([])), series(json!([]))]))).await.0, Ok(Answer::Several(2)));
    let with_user = GRAPHITE
        .replace("interval: 2m", "auth: {basic: {secretRef: {name: keys, usernameKey: api-key, passwordKey: token}}}");
    let (_, request) = recorded(&with_user, ok(json!([]))).await;
    assert!(request.headers["authorization"].to_str().unwrap().starts_with("Basic "));
}

#[tokio::test]
async fn influxdb_is_asked_in_flux_and_gives_the_last_value() {
    let csv = |text: &str| ResponseTemplate::new(200).set_body_raw(text, "text/csv; charset=utf-8");
    let table = ",result,table,_start,_value,host\r\n,_result,0,2023-11-14T22:15:00Z,0.5,\"a, b\"\r\n,_result,0,2023-11-14T22:16:00Z,0.75,c\r\n\r\n";
    let (answer, request) = recorded(INFLUXDB, csv(table)).await;
    assert_eq!((answer, request.method.as_str(), request.url.path()), (number(0.75), "POST", "/api/v2/query"));
    assert_eq!(request.url.query(), Some("org=shop+%26+co"));
    assert_eq!(request.headers["authorization"], "Token hunter2-token");
    let sent: Value = serde_json::from_slice(&request.body).unwrap();
    assert_eq!(sent["query"], "from(bucket: \"web\") |> sum()");
    for (text, answer) in [
        ("", NOTHING),
        ("\r\n", NOTHING),
        (",result,table,_value\r\n,_result,0,\r\n", NOTHING),
        (",result,table,_value\r\n,_result,0,1\r\n,_result,1,2\r\n", Ok(Answer::Several(2))),
        (",result,table,_value\r\n,_result,0,NaN\r\n", NOTHING),
    ] {
        assert_eq!(recorded(INFLUXDB, csv(text)).await.0, answer, "{text}");
    }
    for text in [",result,table,_value\r\n,_result,0,hunter2\r\n", "hunter2", "a,b\r\nhunter2,2\r\n"] {
        let error = recorded(INFLUXDB, csv(text)).await.0.unwrap_err();
        assert!(error.message.contains("_value") && !error.message.contains("hunter2"), "{error}");
    }
}

#[tokio::test]
async fn cloud_watch_is_asked_signed_and_gives_the_newest_value() {
    let result = |values: Value, status: &str| {
        let times = json!([1_700_000_040.0, 1_699_999_980.0]);
        json!({"Id": "rate", "Label": "rate", "Timestamps": times, "Values": values, "StatusCode": status})
    };
    let body = |results: Value| ok(json!({"MetricDataResults": results, "Messages": []}));
    let (answer, request) = recorded(CLOUD_WATCH, body(json!([result(json!([0.25, 0.5]), "Complete")]))).await;
    assert_eq!((answer, request.method.as_str(), request.url.path()), (number(0.25), "POST", "/"));
    assert_eq!(request.headers["x-amz-target"], "GraniteServiceVersion20100801.GetMetricData");
    let authorization = request.headers["authorization"].to_str().unwrap();
    assert!(authorization.contains("/eu-west-1/monitoring/aws4_request"), "{authorization}");
    assert!(authorization.contains("content-type;host;x-amz-date;x-amz-target"), "{authorization}");
    let sent: Value = serde_json::from_slice(&request.body).unwrap();
    let metric = json!({"Namespace": "AWS/ApplicationELB", "MetricName": "Errors", "Dimensions": [{"Name": "LB", "Value": "app/x"}]});
    assert_eq!(
        sent,
        json!({
            "StartTime": AT - 300,
            "EndTime": AT,
            "ScanBy": "TimestampDescending",
            "MetricDataQueries": [
                {"Id": "rate", "ReturnData": true, "Expression": "errors / 100"},
                {"Id": "errors", "ReturnData": false, "MetricStat": {"Metric": metric, "Period": 60, "Stat": "Sum"}},
            ],
        })
    );
    assert_eq!(recorded(CLOUD_WATCH, body(json!([result(json!([]), "Complete")]))).await.0, NOTHING);
    assert_eq!(recorded(CLOUD_WATCH, body(json!([]))).await.0, NOTHING);
    let partial = recorded(CLOUD_WATCH, body(json!([result(json!([1]), "PartialData")]))).await.0.unwrap_err();
    assert!(partial.message.contains("partial data"), "{partial}");
}

/// Every trouble of a server is no number with the reason, and none of its words are shown.
#[tokio::test]
async fn what_a_server_does_wrong_is_an_error_in_fixed_words() {
    for yaml in ALL {
        for (response, fault, why) in [
            (
                ResponseTemplate::new(401).set_body_string("hunter2"),
                Fault::Denied,
                "rejected the credentials (HTTP 401)",
            ),
            (
                ResponseTemplate::new(403).set_body_string("hunter2"),
                Fault::Denied,
                "rejected the credentials (HTTP 403)",
            ),
            (ResponseTemplate::new(400).set_body_string("hunter2"), Fault::Refused, "rejected the query (HTTP 400)"),
            (
                ResponseTemplate::new(429).set_body_string("hunter2"),
                Fault::Busy,
                "limits the rate of requests (HTTP 429)",
            ),
            (ResponseTemplate::new(503).set_body_string("hunter2"), Fault::Unreachable, "is unavailable (HTTP 503)"),
            (ResponseTemplate::new(200).set_body_string("<html>hunter2</html>"), Fault::Refused, "its response"),
            (ResponseTemplate::new(200).set_body_string("[".repeat(100_000)), Fault::Refused, "its response"),
            (ResponseTemplate::new(200).set_body_string("9".repeat(50 << 20)), Fault::Refused, "larger than 1024 KiB"),
        ] {
            let error = recorded(yaml, response).await.0.unwrap_err();
            assert!(error.fault == fault && error.message.contains(why), "{yaml}: {why}: {error}");
            assert!(!error.message.contains("hunter2") && error.message.len() < 200, "{error}");
        }
    }
}

#[tokio::test]
async fn a_secret_that_is_missing_or_cannot_be_sent_is_an_error_and_nothing_is_asked() {
    let server = MockServer::start().await;
    Mock::given(any()).respond_with(ok(json!(1))).mount(&server).await;
    for yaml in ALL.into_iter().filter(|yaml| yaml.contains("secretRef")) {
        let gone = yaml.replace("name: keys", "name: gone");
        let error = ask(&gone, &server.uri()).await.unwrap_err();
        assert_eq!(
            error,
            SourceError::new(Fault::Denied, "cannot authenticate: Secret shop/gone does not exist".into())
        );
        let other = ask_in("other", &sources(), &[query_of(yaml, &server.uri())]).await.remove(0).unwrap_err();
        assert!(other.message.contains("Secret other/keys does not exist"), "{other}");
    }
    let odd = NEW_RELIC.replace("{name: keys}", "{name: keys, key: odd}");
    let error = ask(&odd, &server.uri()).await.unwrap_err();
    assert!(error.message.contains("a credential of newRelic contains a line break"), "{error}");
    assert_eq!(server.received_requests().await.unwrap().len(), 0);
}

#[tokio::test]
async fn a_server_that_is_slow_or_gone_is_an_error_in_time() {
    let server = MockServer::start().await;
    Mock::given(any()).respond_with(ok(json!(1)).set_delay(Duration::from_secs(20))).mount(&server).await;
    let error = ask("web: {url: SERVER, timeout: 1s}", &server.uri()).await.unwrap_err();
    assert_eq!(error.fault, Fault::Silent);
    assert!(error.message.starts_with("no response from web at http://127.0.0.1"), "{error}");
    assert!(error.message.ends_with("within 1 s"), "{error}");
    let closed = Closed::new();
    let address = format!("http://{}", closed.address);
    let error = ask(WEB, &address).await.unwrap_err();
    assert_eq!(error.fault, Fault::Unreachable);
    assert!(error.message.ends_with("(connection refused)"), "{error}");
}

/// Each answer belongs to its question, and a source that fails keeps no other from answering.
#[tokio::test]
async fn questions_of_several_sources_are_answered_in_their_order() {
    let server = MockServer::start().await;
    let up = json!({"status": "success", "data": {"resultType": "scalar", "result": [1, "7"]}});
    Mock::given(method("POST")).and(path("/api/v1/query")).respond_with(ok(up)).mount(&server).await;
    let hidden = header("x-key", "hunter2-api");
    Mock::given(method("GET")).and(path("/number")).and(hidden).respond_with(ok(json!(3))).mount(&server).await;
    let own = OwnPrometheus { address: server.uri(), ..OwnPrometheus::default() };
    let sources = Sources::new(Outbound::new(["127.0.0.1".to_owned()]), Some(own), Arc::new(Keys));
    let at = Timestamp::from_second(AT).unwrap();
    let web = "web: {url: SERVER/number, headers: [{name: X-Key, secretRef: {name: keys, key: api-key}}]}";
    let queries = [
        Query::Scalar { query: "up".into(), at },
        query_of(web, &server.uri()),
        query_of("web: {url: SERVER/nothing}", &server.uri()),
        Query::Scalar { query: "up".into(), at },
    ];
    let answers = ask_in("shop", &sources, &queries).await;
    assert_eq!([&answers[0], &answers[1], &answers[3]], [&number(7.0), &number(3.0), &number(7.0)]);
    let missing = answers[2].as_ref().unwrap_err();
    assert!(missing.message.contains("has nothing at this path (HTTP 404)"), "{missing}");
}
