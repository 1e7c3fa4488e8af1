//! `glidepath analyze` on a Prometheus that says what a test wants: what it asks, what it prints, how it ends.

use assert_cmd::Command;
use serde_json::{Value, json};
use wiremock::{Mock, MockServer, Request, Respond, ResponseTemplate, matchers::path};

const TEMPLATE: &str = "apiVersion: glidepath.dev/v1alpha1
kind: AnalysisTemplate
metadata: {name: orders}
spec:
  args: [{name: service}]
  metrics:
    - name: lost
      ratio:
        bad: {prometheus: {counter: 'orders_lost_total{service=\"{{args.service}}\"}'}}
        total: {prometheus: {counter: 'orders_total{service=\"{{args.service}}\"}'}}
  settings: {phi: 1, warmUp: 0s}
";

/// Each window has 200 orders of the canary and 1,800 of stable; this many of the canary's and of stable's are lost.
struct Lost(&'static str, u64, u64);

impl Respond for Lost {
    fn respond(&self, request: &Request) -> ResponseTemplate {
        let Lost(canary, lost, stable_lost) = self;
        let query = String::from_utf8(request.body.clone()).unwrap();
        let counts = if query.contains("orders_lost_total") { [*lost, *stable_lost] } else { [200, 1_800] };
        let sample = |arm: &str, count: u64| json!({"metric": {"arm": arm}, "value": [0, count.to_string()]});
        let result = [sample(canary, counts[0]), sample("shop/web-1", counts[1])];
        ResponseTemplate::new(200)
            .set_body_json(json!({"status": "success", "data": {"resultType": "vector", "result": result}}))
    }
}

async fn prometheus(lost: Lost) -> MockServer {
    let server = MockServer::start().await;
    Mock::given(path("/api/v1/query")).respond_with(lost).mount(&server).await;
    server
}

/// What it prints, and its exit code.
async fn analyze(server: Option<&MockServer>, words: &[&str]) -> (i32, String) {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("template.yaml"), TEMPLATE).unwrap();
    let mut command = Command::cargo_bin("glidepath").unwrap();
    command.current_dir(folder.path()).arg("analyze").args(words);
    if let Some(server) = server {
        command.args(["--prometheus", &server.uri()]);
    }
    let output = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
    let text = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
    (output.status.code().unwrap(), text)
}

const REPLAY: [&str; 11] = [
    "-f",
    "template.yaml",
    "--arg",
    "service=shop",
    "-n",
    "shop",
    "--canary",
    "web-2",
    "--stable",
    "web-1",
    "--replay=-1h..",
];

#[tokio::test(flavor = "multi_thread")]
async fn a_past_time_is_judged_as_it_was_then() {
    let good = prometheus(Lost("shop/web-2", 0, 2)).await;
    let (code, said) = analyze(Some(&good), &REPLAY).await;
    assert!(
        code == 0 && said.contains("Pass after") && said.contains("canary web-2 with stable web-1"),
        "{code}: {said}"
    );
    let bad = prometheus(Lost("shop/web-2", 10, 2)).await;
    let (code, said) = analyze(Some(&bad), &[&REPLAY[..], &["-o", "json"]].concat()).await;
    let run: Value = serde_json::from_str(&said).unwrap_or_else(|error| panic!("{error}: {said}"));
    assert_eq!(
        (code, run["kind"].as_str(), run["status"]["verdict"].as_str()),
        (10, Some("AnalysisRun"), Some("Fail"))
    );
    let asked = bad.received_requests().await.unwrap();
    let asked: Vec<String> = asked.iter().map(|request| String::from_utf8(request.body.clone()).unwrap()).collect();
    assert!(asked.iter().all(|body| body.contains("service%3D%22shop%22")), "{asked:#?}");
    // It ended with its verdict: an hour has 240 windows of two queries.
    assert!(asked.len() < 100, "{} queries", asked.len());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_version_is_judged_with_itself() {
    const WORDS: [&str; 12] = [
        "-f",
        "template.yaml",
        "--arg",
        "service=shop",
        "-n",
        "shop",
        "--stable",
        "web-1",
        "--aa",
        "--since",
        "3h",
        "--each=30m",
    ];
    let alike = prometheus(Lost("chosen", 0, 2)).await;
    let (code, said) = analyze(Some(&alike), &WORDS).await;
    assert!(code == 0 && said.contains("6 analyses of 30m") && said.contains("passed          6"), "{code}: {said}");
    let first = alike.received_requests().await.unwrap().remove(0);
    let first = String::from_utf8(first.body).unwrap();
    assert!(first.contains("%22chosen%22%2C+%22pod%22%2C+%22.*%5B"), "{first}");
    let clustered = prometheus(Lost("chosen", 20, 2)).await;
    let (code, said) = analyze(Some(&clustered), &[&WORDS[..], &["-o", "json"]].concat()).await;
    let report: Value = serde_json::from_str(&said).unwrap();
    assert_eq!((code, &report["failed"], &report["analyses"]), (10, &json!(6), &json!(6)));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_source_that_fails_is_no_verdict() {
    let server = MockServer::start().await;
    Mock::given(path("/api/v1/query")).respond_with(ResponseTemplate::new(400)).mount(&server).await;
    let (code, said) = analyze(Some(&server), &REPLAY).await;
    assert!(code == 14 && said.contains("SourceError"), "{code}: {said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_missing_is_said() {
    let server = MockServer::start().await;
    for (words, code, wanted) in [
        (&["golden-signals"][..], 2, "--prometheus URL"),
        (&["-f", "template.yaml", "--canary", "a", "--stable", "b"], 1, "argument service has no value"),
        (&["-f", "template.yaml", "--arg", "service=x"], 2, "with --canary and --stable"),
        (&["golden-signal", "--canary", "a", "--stable", "b"], 2, "there are golden-signals"),
        (&[], 2, "name a template with -f FILE, or one that is built in: golden-signals"),
        (&["golden-signals", "--arg", "x", "--canary", "a", "--stable", "b"], 2, "write NAME=VALUE"),
        (&["golden-signals", "--canary", "a", "--stable", "b", "--replay", "-1h"], 2, "write START..END"),
        (&["golden-signals", "--stable", "b", "--aa", "--since", "10m"], 2, "holds no piece"),
        (&["golden-signals", "--stable", "b", "--aa", "--pack", "envoy"], 1, "counts at the callers"),
        (&["golden-signals", "--pack", "nginy"], 2, "nginy"),
    ] {
        let named = (!wanted.contains("--prometheus")).then_some(&server);
        let (exit, said) = analyze(named, words).await;
        assert!(exit == code && said.contains(wanted), "{words:?}: {exit}: {said}");
    }
    assert!(server.received_requests().await.unwrap().is_empty(), "nothing was asked");
}

const BURN: &str = "apiVersion: glidepath.dev/v1alpha1
kind: AnalysisTemplate
metadata: {name: availability}
spec:
  metrics: [{name: availability, burnRate: {objective: 99.9%, scope: service}}]
";

/// A template of its own in a folder with a Secret.
async fn judged(template: &str, words: &[&str]) -> (i32, String) {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("own.yaml"), template).unwrap();
    std::fs::create_dir_all(folder.path().join("secrets/keys")).unwrap();
    for (key, value) in [("api-key", "hunter2-api"), ("app-key", "hunter2-app")] {
        std::fs::write(folder.path().join("secrets/keys").join(key), format!("{value}\n")).unwrap();
    }
    let mut command = Command::cargo_bin("glidepath").unwrap();
    command.current_dir(folder.path()).args(["analyze", "-f", "own.yaml", "-n", "shop"]).args(words);
    let output = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
    let text = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
    assert!(!text.contains("hunter2"), "{text}");
    (output.status.code().unwrap(), text)
}

#[tokio::test(flavor = "multi_thread")]
async fn the_burn_of_a_service_is_counted_by_one_workload() {
    let server = MockServer::start().await;
    let result = json!([{"metric": {"arm": "shop/web"}, "value": [0, "1000"]}]);
    let none = json!([{"metric": {"arm": "shop/web"}, "value": [0, "0"]}]);
    let respond = move |request: &Request| {
        let is_bad = String::from_utf8_lossy(&request.body).contains("code");
        let result = if is_bad { &none } else { &result };
        ResponseTemplate::new(200)
            .set_body_json(json!({"status": "success", "data": {"resultType": "vector", "result": result}}))
    };
    Mock::given(path("/api/v1/query")).respond_with(respond).mount(&server).await;
    let uri = server.uri();
    let (code, said) = judged(BURN, &["--prometheus", &uri, "--replay=-1h.."]).await;
    assert!(code == 2 && said.contains("a whole service; name a workload of it with --stable"), "{code}: {said}");
    let words = ["--prometheus", &uri, "--replay=-1h..", "--stable", "web-5d8f7c6b9"];
    let (code, said) = judged(BURN, &words).await;
    assert!(code == 0 && said.contains("service 100 % over 30d") && !said.contains("compares"), "{code}: {said}");
    let asked = server.received_requests().await.unwrap();
    let asked: Vec<String> = asked.iter().map(|request| String::from_utf8(request.body.clone()).unwrap()).collect();
    assert!(asked.iter().all(|body| body.contains("web-%5Ba-z0-9%5D%7B8%2C10%7D")), "{:?}", asked.first());
}

#[tokio::test(flavor = "multi_thread")]
async fn other_sources_are_asked_with_secrets_of_a_folder() {
    let server = MockServer::start().await;
    let points = json!([[1_700_000_060_000.0, 4.5]]);
    let series = json!([{"metric": "errors", "scope": "a:b", "pointlist": points}]);
    let answer = ResponseTemplate::new(200).set_body_json(json!({"status": "ok", "series": series, "error": ""}));
    Mock::given(path("/api/v1/query")).respond_with(answer).mount(&server).await;
    let threshold = |source: &str| {
        format!(
            "{}  metrics: [{{name: q, threshold: {{{source}, success: result < 5, count: 1, interval: 1m}}}}]\n",
            BURN.split_once("  metrics").unwrap().0
        )
    };
    let uri = server.uri();
    let datadog =
        threshold(&format!("datadog: {{address: '{uri}', query: 'sum:errors{{a:b}}', secretRef: {{name: keys}}}}"));
    let replay = ["--replay=-10m..", "--allow-hosts", "127.0.0.1"];
    let (code, said) = judged(&datadog, &replay).await;
    assert!(
        code == 2 && said.contains("Secret keys is not given") && said.contains("--secrets FOLDER"),
        "{code}: {said}"
    );
    let other = datadog.replace("name: keys", "name: other");
    let (code, said) = judged(&other, &[&replay[..], &["--secrets", "secrets"]].concat()).await;
    assert!(code == 2 && said.contains("Secret other cannot be read"), "{code}: {said}");
    let web = threshold("web: {url: 'https://example.com/x', jsonPath: $.a}");
    let (code, said) = judged(&web, &replay).await;
    assert!(
        code == 2 && said.contains("queries a web endpoint, which answers for the present alone"),
        "{code}: {said}"
    );
    assert!(server.received_requests().await.unwrap().is_empty(), "nothing was asked");
    let (code, said) = judged(&datadog, &[&replay[..], &["--secrets", "secrets"]].concat()).await;
    assert!(code == 0 && said.contains("Pass after"), "{code}: {said}");
    let asked = server.received_requests().await.unwrap();
    assert_eq!(asked[0].headers["dd-api-key"], "hunter2-api");
    let (code, said) = judged(&datadog, &["--replay=-10m..", "--secrets", "secrets"]).await;
    assert!(
        code == 14 && said.contains("--allow-hosts"),
        "a local address is not asked unless it is listed: {code}: {said}"
    );
}
