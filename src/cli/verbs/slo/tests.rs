//! `slo` against a server that answers as Prometheus does.

use serde_json::json;
use wiremock::{Mock, MockServer, Request, Respond, ResponseTemplate, matchers::path};

use super::*;
use crate::{
    api::common::{HumanDuration, Percent},
    cli::{
        args::{prometheus::Credentials, template_args::template_arg},
        render::table::UNLIMITED,
    },
};

/// Bad events and all of the last minutes, hours and days, by the length of the window in the query. The service is so old,
/// in seconds: an hour or a minute before that has no series.
struct Counts(Vec<(&'static str, u64, u64)>, i64);

impl Respond for Counts {
    fn respond(&self, request: &Request) -> ResponseTemplate {
        let body = String::from_utf8_lossy(&request.body).into_owned();
        let of = |length: &str| body.contains(&format!("%5B{length}s%3A"));
        let found = self.0.iter().find(|(length, ..)| of(length)).copied();
        let at: i64 = body.split_once("time=").unwrap().1.split('&').next().unwrap().parse().unwrap();
        let age = now().as_second() - at;
        let found = if age > 600 && !of("2332800") || !body.contains("%3A") {
            (age < self.1).then_some(("", 0, 1)) // whether there is anything
        } else {
            found
        };
        if body.contains("histogram_count") {
            return answered(&[]);
        }
        if let Some((_, slow, total)) = found.filter(|_| body.contains("_bucket")) {
            let below = [("0.25", total - 2 * slow), ("0.5", total - slow), ("+Inf", total)];
            return answered(&below.map(
                |(le, count)| json!({"metric": {"arm": "shop/checkout", "le": le}, "value": [1, count.to_string()]}),
            ));
        }
        let is_bad = body.contains("code");
        let value = found.map(|(_, bad, total)| if is_bad { bad } else { total }.to_string());
        let samples: Vec<_> =
            value.iter().map(|value| json!({"metric": {"arm": "shop/checkout"}, "value": [1, value]})).collect();
        answered(&samples)
    }
}

fn answered(samples: &[serde_json::Value]) -> ResponseTemplate {
    ResponseTemplate::new(200)
        .set_body_json(json!({"status": "success", "data": {"resultType": "vector", "result": samples}}))
}

async fn server(counts: &[(&'static str, u64, u64)]) -> MockServer {
    server_of(counts, 40 * 86_400).await
}

async fn server_of(counts: &[(&'static str, u64, u64)], age: i64) -> MockServer {
    let server = MockServer::start().await;
    Mock::given(path("/api/v1/query")).respond_with(Counts(counts.to_vec(), age)).mount(&server).await;
    server
}

const CALM: [(&str, u64, u64); 6] = [
    ("300", 3, 1_000),
    ("1800", 12, 6_000),
    ("3600", 25, 12_000),
    ("21600", 90, 72_000),
    ("259200", 600, 864_000),
    ("2332800", 3_900, 7_776_000),
];

fn args(address: &str) -> Args {
    Args {
        service: Some("checkout".into()),
        file: None,
        args: Vec::new(),
        objective: Some(Percent::from_basis_points(9_990)),
        latency: None,
        latency_objective: None,
        period: None,
        pack: None,
        prometheus: Some(address.to_owned()),
        credentials: Credentials::default(),
    }
}

fn global() -> Global {
    Global { namespace: Some("shop".into()), ..Global::default() }
}

async fn all(args: &Args) -> Result<Reports, CliError> {
    let subject = subject(args, &global()).await?;
    let source = args.credentials.source(subject.prometheus.clone()).await?;
    reports(subject, &source).await
}

async fn report(args: &Args) -> Result<Report, CliError> {
    all(args).await.map(|all| all.availability)
}

#[tokio::test]
async fn a_service_within_its_objective() {
    let server = server(&CALM).await;
    let args = args(&server.uri());
    let all = all(&args).await.unwrap();
    assert_eq!(all.availability.is_within(), Some(true));
    insta::assert_snapshot!("slo_within", all.text(UNLIMITED, Paint { on: false }));
    insta::assert_snapshot!("slo_within_json", serde_json::to_string_pretty(&all.json()).unwrap());
    assert_eq!(run(args, &global()).await.unwrap(), Exit::Done);
}

#[tokio::test]
async fn a_missed_objective_is_the_code_of_a_failed_release() {
    let mut counts = CALM;
    counts[0].1 = 40;
    counts[2].1 = 200;
    counts[5].1 = 9_000;
    let server = server(&counts).await;
    let args = args(&server.uri());
    let report = report(&args).await.unwrap();
    insta::assert_snapshot!("slo_missed", report.text(UNLIMITED, Paint { on: false }));
    assert_eq!(run(args, &global()).await.unwrap().code(), 10);
}

#[tokio::test]
async fn without_requests_or_an_answer_nothing_is_claimed() {
    let silent = server(&CALM.map(|(length, ..)| (length, 0, 0))).await;
    let error = run(args(&silent.uri()), &global()).await.unwrap_err();
    assert_eq!((error.exit(), error.to_string().as_str()), (Exit::Failed, "checkout had no requests in 30d"));
    let unknown = server_of(&[], 0).await;
    let error = run(args(&unknown.uri()), &global()).await.unwrap_err();
    let words = "no series of checkout in namespace shop within 30d: check its name, --namespace and --pack; a new pod counts \
                 from its second scrape on";
    assert_eq!((error.exit(), error.to_string().as_str()), (Exit::Failed, words));
    let shown = report(&args(&unknown.uri())).await.unwrap().text(UNLIMITED, Paint { on: false });
    assert!(!shown.contains("younger"), "it is not known at all: {shown}");
    let error = run(args("http://127.0.0.1:1"), &global()).await.unwrap_err().to_string();
    assert!(error.starts_with("cannot count the last 5m: cannot reach Prometheus at http://127.0.0.1:1"), "{error}");
    assert!(error.contains("check --prometheus") && !error.contains("controller"), "{error}");
    let error = run(args("http://user:pw@127.0.0.1:1"), &global()).await.unwrap_err();
    assert!(error.exit() == Exit::Usage && !error.to_string().contains("pw@"), "{error}");
}

/// 300 ms lie between two bounds: in effect the objective is about the next one.
#[tokio::test]
async fn response_times_have_an_objective_of_their_own() {
    let server = server(&CALM).await;
    let args = Args { latency: Some("300ms".parse().unwrap()), ..args(&server.uri()) };
    let met = all(&args).await.unwrap();
    insta::assert_snapshot!("slo_latency", met.text(UNLIMITED, Paint { on: false }));
    let json = met.json();
    assert_eq!((&json["latency"]["share"], &json["latency"]["underSeconds"]), (&json!(99.947917), &json!(0.3)));
    assert_eq!((&json["availability"], &json["latency"]["objective"]), (&json!(99.947917), &json!(99.0)));
    assert_eq!(met.exit().unwrap(), Exit::Done);
    let strict = Args { latency_objective: Some(Percent::from_basis_points(9_999)), ..args.clone() };
    assert_eq!(all(&strict).await.unwrap().exit().unwrap(), Exit::RolledBack);
    assert_eq!(run(strict, &global()).await.unwrap().code(), 10);
    let beyond = Args { latency: Some("600ms".parse().unwrap()), ..args.clone() };
    let error = run(beyond, &global()).await.unwrap_err().to_string();
    assert_eq!(error, "the histogram has no bound of at least 600ms, set a smaller --latency");
    let counters: Vec<_> = CALM.iter().map(|(length, ..)| (*length, 0, 1)).collect();
    let none = MockServer::start().await;
    let bare = move |request: &Request| {
        let is_times = String::from_utf8_lossy(&request.body).contains("duration_seconds");
        if is_times { answered(&[]) } else { Counts(counters.clone(), 40 * 86_400).respond(request) }
    };
    Mock::given(path("/api/v1/query")).respond_with(bare).mount(&none).await;
    let error = run(Args { prometheus: Some(none.uri()), ..args }, &global()).await.unwrap_err().to_string();
    assert_eq!(error, "no buckets of response times of checkout within 30d: is its histogram exported?");
}

/// Pieces of five minutes or an hour have nothing of pods that are younger.
#[tokio::test]
async fn a_young_service_has_the_figures_of_what_there_is() {
    let minutes = [("300", 0, 1_000), ("1800", 3, 2_400), ("3600", 3, 2_400), ("21600", 0, 300)];
    for (age, seen, text) in [(700, 600, "10m of 30d"), (9_000, 7_200, "2h of 30d"), (90, 0, "less than 2m of 30d")] {
        let report = report(&args(&server_of(&minutes, age).await.uri())).await.unwrap();
        assert_eq!((report.seen, report.is_within()), (Some(seen), Some(false)));
        let (shown, json) = (report.text(UNLIMITED, Paint { on: false }), report.figures());
        assert!(shown.contains(&format!("99.875 % over {text}")), "{shown}");
        assert!(
            shown.contains(&format!("note: {text} seen: the service is younger, or Prometheus keeps less")),
            "{shown}"
        );
        assert_eq!((&json["seenSeconds"], &json["windows"][5]["total"]), (&json!(seen), &json!(2_400)));
    }
}

fn template(yaml: &str) -> tempfile::NamedTempFile {
    let file = tempfile::Builder::new().suffix(".yaml").tempfile().unwrap();
    let head = "apiVersion: glidepath.dev/v1alpha1\nkind: AnalysisTemplate\nmetadata: {name: orders}\nspec:\n";
    std::fs::write(file.path(), format!("{head}{yaml}")).unwrap();
    file
}

async fn of_file(yaml: &str, change: impl Fn(&mut Args)) -> Result<Subject, CliError> {
    let file = template(yaml);
    let mut args =
        Args { service: None, objective: None, file: Some(file.path().to_owned()), ..args("http://127.0.0.1:1") };
    change(&mut args);
    subject(&args, &global()).await
}

const OWN: &str = "  args: [{name: app}]\n  metrics:\n    - name: a\n      burnRate: {objective: 99.5%, period: 28d, \
                   bad: {prometheus: {counter: 'lost_total{app=\"{{args.app}}\"}'}}, total: {prometheus: {counter: orders_total}}}\n";

#[tokio::test]
async fn a_template_says_what_is_counted_and_how_good_it_has_to_be() {
    let found = of_file(OWN, |args| args.args = vec![template_arg("app=web").unwrap()]).await.unwrap();
    assert_eq!((found.slo.objective, found.slo.period_seconds), (0.995, 28 * 86_400));
    assert_eq!(found.counted, slo::Counted::Selected);
    assert_eq!(found.counters.0.prometheus.unwrap().counter, "lost_total{app=\"web\"}");
    let stricter = of_file(OWN, |args| {
        args.args = vec![template_arg("app=web").unwrap()];
        args.objective = Some(Percent::whole(99));
        args.service = Some("checkout".into());
    });
    let stricter = stricter.await.unwrap();
    assert_eq!(stricter.slo.objective, 0.99);
    let latency = "    - name: l\n      latency: {histogram: {prometheus: {histogram: order_seconds}}, slo: {under: 2s, share: 5%}}\n";
    let both =
        of_file(&format!("{OWN}{latency}"), |args| args.args = vec![template_arg("app=web").unwrap()]).await.unwrap();
    let latency = both.latency.unwrap();
    assert_eq!((latency.under, latency.objective), (HumanDuration::secs(2), Percent::whole(95)));
    assert_eq!(latency.histogram.prometheus.unwrap().histogram, "order_seconds");
    assert!(matches!(stricter.counted, slo::Counted::Service { .. }));
}

#[tokio::test]
async fn what_is_missing_is_said_with_what_to_give() {
    let ratio = "  metrics:\n    - name: e\n      ratio: {bad: {builtin: errors}, total: {builtin: requests}}\n";
    let threshold = "  metrics:\n    - name: q\n      threshold: {query: q, success: result < 1}\n";
    let bare = Args { service: None, ..args("http://127.0.0.1:1") };
    let no_objective = Args { objective: None, ..args("http://127.0.0.1:1") };
    let no_latency = Args { latency_objective: Some(Percent::whole(99)), ..args("http://127.0.0.1:1") };
    let no_time = Args { latency: Some(HumanDuration::secs(0)), ..args("http://127.0.0.1:1") };
    let full = Args { objective: Some(Percent::FULL), ..args("http://127.0.0.1:1") };
    let short = Args { period: Some(HumanDuration::secs(3_600)), ..args("http://127.0.0.1:1") };
    for (found, words) in [
        (subject(&bare, &global()).await, "name a SERVICE"),
        (subject(&no_latency, &global()).await, "--latency-objective needs --latency"),
        (subject(&no_time, &global()).await, "--latency must be above 0"),
        (subject(&no_objective, &global()).await, "like --objective 99.9%"),
        (subject(&full, &global()).await, "--objective must be above 0 and below 100 %"),
        (subject(&short, &global()).await, "--period must be from 7d to 90d"),
        (of_file(OWN, |_| ()).await, "argument app has no value"),
        (of_file(ratio, |args| args.objective = Some(Percent::whole(99))).await, "name the SERVICE whose requests"),
        (of_file(ratio, |_| ()).await, "there is no objective"),
        (of_file(threshold, |_| ()).await, "no burnRate metric and no ratio metric"),
    ] {
        let error = found.unwrap_err().to_string();
        assert!(error.contains(words), "{error}");
    }
}
