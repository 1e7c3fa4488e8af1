//! The watches against a small API server, in virtual time.

use serde_json::{Value, json};

use super::{
    fake_api::{Answer, FakeApi},
    process::{Process, settle},
    *,
};
use crate::api::{FINALIZER, reason::Reason};

const ROLLOUTS: &str = "/apis/glidepath.dev/v1alpha1/rollouts";
const COMMANDS: &str = "/apis/glidepath.dev/v1alpha1/rolloutcommands";
const RUNS: &str = "/apis/glidepath.dev/v1alpha1/analysisruns";
const SERVICES: &str = "/api/v1/services";
const DEFINITIONS: &str = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";
const ISTIO: &str = "/apis/networking.istio.io";
const VIRTUAL_SERVICE: &str = r#"[{"istio":{"virtualServices":[{"name":"web"}]}}]"#;

fn rollout(name: &str, version: u64, template: &str) -> String {
    format!(
        r#"{{"apiVersion":"glidepath.dev/v1alpha1","kind":"Rollout","metadata":{{"name":"{name}","namespace":"shop",
        "uid":"{name}","resourceVersion":"{version}","finalizers":["{FINALIZER}"]}},"spec":{{"replicas":1,
        "strategy":{{"canary":{{"steps":[]}}}},"traffic":[{{"istio":{{"virtualServices":[{{"name":"web"}}]}}}}],
        "template":{template}}},"status":{{"course":"Stepping"}}}}"#
    )
}

fn image(name: &str) -> String {
    json!({"image": name}).to_string()
}

fn deep(levels: usize) -> String {
    format!("{}1{}", r#"{"a":"#.repeat(levels), "}".repeat(levels))
}

fn istio(api: &FakeApi, versions: &[&str]) {
    for version in ["v1", "v1beta1", "v1alpha3"] {
        let served = versions.contains(&version);
        let kinds = vec!["virtualservices", "destinationrules", "gateways"];
        api.answer(&format!("{ISTIO}/{version}"), if served { Answer::Resources(kinds) } else { Answer::Refuse(404) });
        for plural in ["virtualservices", "destinationrules"] {
            let list = if served { Answer::Items(Vec::new()) } else { Answer::Refuse(404) };
            api.answer(&format!("{ISTIO}/{version}/{plural}"), list);
        }
    }
    let definition = |plural: &str| {
        let version = 10 + versions.len();
        json!({"metadata": {"name": format!("{plural}.networking.istio.io"), "uid": plural,
            "resourceVersion": version.to_string()}})
        .to_string()
    };
    api.answer(DEFINITIONS, Answer::Items(vec![definition("virtualservices"), definition("destinationrules")]));
}

/// The one Rollout is behind Istio.
fn web() -> Answer {
    Answer::Items(vec![rollout("web", 50, &image("one"))])
}

fn served() -> FakeApi {
    let api = FakeApi::default();
    api.version(100);
    istio(&api, &["v1"]);
    api
}

/// One Rollout that nests too deep stops no other, as an event, in the list after 410 Gone, and at startup (C3).
#[tokio::test(start_paused = true)]
async fn one_rollout_that_cannot_be_read_stops_no_other() {
    let api = served();
    api.answer(ROLLOUTS, Answer::Items(vec![rollout("web", 50, &image("one"))]));
    let mut process = Process::start(&api);
    process.synced().await;
    api.send(ROLLOUTS, "ADDED", &rollout("bad", 101, &deep(140)));
    api.send(ROLLOUTS, "MODIFIED", &rollout("web", 102, &image("two")));
    settle().await;
    assert_eq!(process.image("web").as_deref(), Some("two"));
    assert!(process.fault("bad").contains("142 levels"), "{}", process.fault("bad"));
    let items = |image: &str| vec![rollout("bad", 101, &deep(140)), rollout("web", 110, image)];
    api.answer(ROLLOUTS, Answer::Items(items(&self::image("three"))));
    api.version(110);
    api.send(ROLLOUTS, "ERROR", r#"{"kind":"Status","code":410,"reason":"Expired","message":"too old"}"#);
    process.pass(5, &[]).await;
    assert_eq!(process.image("web").as_deref(), Some("three"));
    assert!(process.touched.0.lock().unwrap().iter().any(|name| name == "bad"), "it is looked at, to be told");
    process = Process::start(&api);
    process.synced().await;
    assert_eq!(process.image("web").as_deref(), Some("three"));
    assert!(process.fault("bad").contains("142 levels"));
    api.send(ROLLOUTS, "MODIFIED", &rollout("bad", 111, &image("fine")));
    settle().await;
    assert_eq!(process.image("bad").as_deref(), Some("fine"), "it was corrected");
}

/// An abort does not wait for a fleet that is due.
#[tokio::test(start_paused = true)]
async fn a_rollout_with_a_command_is_looked_at_first_until_it_is_answered() {
    let api = served();
    api.answer(ROLLOUTS, Answer::Items(vec![rollout("web", 50, &image("one"))]));
    let process = Process::start(&api);
    process.synced().await;
    let command = |version: u64, status: serde_json::Value| {
        json!({"apiVersion": "glidepath.dev/v1alpha1", "kind": "RolloutCommand", "spec": {"rollout": "web", "verb": "abort"},
            "metadata": {"name": "stop", "namespace": "shop", "uid": "c", "resourceVersion": version.to_string()},
            "status": status})
        .to_string()
    };
    for (kind, version, status, looked_at) in
        [("ADDED", 101, json!({}), "web first"), ("MODIFIED", 102, json!({"state": "Done", "message": ""}), "web")]
    {
        process.touched.0.lock().unwrap().clear();
        api.send(COMMANDS, kind, &command(version, status));
        settle().await;
        assert_eq!(*process.touched.0.lock().unwrap(), [looked_at], "{kind}");
    }
}

/// C3: the Rollout says so itself, though the answer to that write cannot be read either.
#[tokio::test(start_paused = true)]
async fn a_rollout_that_cannot_be_read_is_reported_in_its_conditions() {
    let api = served();
    api.answer(ROLLOUTS, Answer::Items(vec![rollout("bad", 101, &deep(140))]));
    let path = "/apis/glidepath.dev/v1alpha1/namespaces/shop/rollouts/bad/status";
    api.answer(path, Answer::Object(rollout("bad", 105, &deep(140))));
    let process = Process::start(&api);
    process.synced().await;
    assert!(process.observe("bad").await.is_none());
    let (at, patch) = api.writes().remove(0);
    assert_eq!((at.as_str(), &patch["metadata"]["resourceVersion"]), (path, &json!("101")));
    let stalled = &patch["status"]["conditions"][0];
    assert_eq!((&stalled["type"], &stalled["reason"]), (&json!("Stalled"), &json!("Invalid")));
    assert!(stalled["message"].as_str().unwrap().contains("142 levels"), "{stalled}");
    assert_eq!(process.cluster.tables.rollouts.get("shop", "bad").unwrap().version, "105");
}

/// H4's kind: the first list of records, which is read in one piece, neither begins nor ends.
#[tokio::test(start_paused = true)]
async fn records_whose_first_list_never_comes_are_listed_again_within_a_minute() {
    for lost in [Answer::Silence, Answer::Half(Vec::new())] {
        let api = served();
        api.answer(RUNS, lost);
        let process = Process::start(&api);
        process.pass(50, &[]).await;
        assert_eq!(process.streams.unsynced().len(), 1, "only this list is awaited");
        api.answer(RUNS, Answer::Items(Vec::new()));
        assert!(process.synced().await <= 20);
    }
}

/// C3's kind: an object of another kind, and one without any metadata.
#[tokio::test(start_paused = true)]
async fn an_object_of_another_kind_that_cannot_be_read_counts_as_absent() {
    let api = served();
    let service = |name: &str, spec: &str| {
        format!(
            r#"{{"metadata":{{"name":"{name}","namespace":"shop","uid":"{name}","resourceVersion":"9"}},"spec":{spec}}}"#
        )
    };
    let items = vec![service("bad", &deep(300)), "{}".to_owned(), "7".to_owned(), service("web", "{}")];
    api.answer(SERVICES, Answer::Items(items));
    let process = Process::start(&api);
    process.synced().await;
    let services = &process.cluster.tables.services;
    assert!(services.get("shop", "web").is_some() && services.get("shop", "bad").is_none());
    assert!(services.unreadable("shop", "bad").unwrap().contains("301 levels"));
}

/// H4: a watch that fails once and is resumed without any event leaves nothing behind.
#[tokio::test(start_paused = true)]
async fn a_watch_that_resumes_quietly_is_alive() {
    let api = served();
    let process = Process::start(&api);
    process.synced().await;
    api.answer(SERVICES, Answer::NoWatch(Vec::new(), 500));
    api.end(SERVICES);
    process.pass(5, &[]).await;
    assert!(process.streams.ages().iter().any(|(kind, age)| kind == "Service" && age.as_secs() >= 4));
    api.answer(SERVICES, Answer::Items(Vec::new()));
    process.pass(30, &[]).await;
    assert!(process.streams.ages().iter().all(|(_, age)| age.as_secs() <= 36), "{:?}", process.streams.ages());
    process.pass(3_600, &[]).await;
    assert!(process.streams.dead().is_empty(), "{:?}", process.streams.dead());
}

/// H4: a half-open connection is given up soon after the server had to end the watch.
#[tokio::test(start_paused = true)]
async fn a_watch_that_does_not_end_is_begun_anew() {
    let api = served();
    let process = Process::start(&api);
    process.synced().await;
    process.pass(119, &[ROLLOUTS]).await;
    assert_eq!(api.watched_from(ROLLOUTS), ["100"]);
    api.version(1000);
    process.pass(35, &[]).await;
    assert_eq!(api.watched_from(ROLLOUTS), ["100", "1000"], "it goes on from the last bookmark, without a list");
    assert_eq!(api.requests(&format!("{ROLLOUTS}?&limit=250")), 1);
    assert_eq!(api.requests(&format!("{ROLLOUTS}?&limit=1")), 1, "only the server's version is asked for");
    let torn: u64 = process.streams.torn().iter().filter(|(kind, _)| kind == "Rollout").map(|(_, torn)| torn).sum();
    assert_eq!(torn, 1);
    assert!(process.streams.dead().is_empty());
}

/// M6: a watch that ends and has shown nothing may be one of a server that was restored.
#[tokio::test(start_paused = true)]
async fn only_a_watch_that_showed_nothing_is_doubted() {
    let api = served();
    let process = Process::start(&api);
    process.synced().await;
    process.pass(121, &[ROLLOUTS]).await;
    api.version(1000);
    api.end(ROLLOUTS);
    process.pass(1, &[]).await;
    assert_eq!(api.requests(&format!("{ROLLOUTS}?&limit=1")), 0, "bookmarks came");
    process.pass(121, &[]).await;
    api.end(ROLLOUTS);
    process.pass(1, &[]).await;
    assert_eq!(api.requests(&format!("{ROLLOUTS}?&limit=1")), 1);
    assert_eq!(api.watched_from(ROLLOUTS), ["100", "1000", "1000"]);
}

/// H4's kind: a list whose rest never arrives, and one that is cut off.
#[tokio::test(start_paused = true)]
async fn a_list_that_does_not_arrive_whole_is_taken_again_and_changes_nothing() {
    for answer in [Answer::Half, Answer::Cut] {
        let api = served();
        let items = vec![rollout("web", 90, &image("new"))];
        api.answer(ROLLOUTS, answer(items.clone()));
        let process = Process::start(&api);
        process.pass(61, &[]).await;
        assert!(process.streams.unsynced()[0].starts_with("Rollout"), "{:?}", process.streams.unsynced());
        assert_eq!(process.image("web"), None);
        api.answer(ROLLOUTS, Answer::Items(items));
        assert!(process.synced().await < 65, "the second one is waited for as well");
        assert_eq!(process.image("web").as_deref(), Some("new"));
    }
}

/// C5: to read thousands of records from etcd takes the API server many seconds. What it has in memory does for the start,
/// where nothing is known yet; later it might be older than what is known.
#[tokio::test(start_paused = true)]
async fn records_are_listed_from_memory_once() {
    for records in [RUNS, COMMANDS] {
        let api = served();
        api.answer(records, Answer::Refuse(503));
        let process = Process::start(&api);
        process.pass(3, &[]).await;
        api.answer(records, Answer::Items(Vec::new()));
        process.synced().await;
        let (from_memory, paged) = (format!("{records}?&resourceVersion=0"), format!("{records}?&limit=250"));
        assert!(api.requests(&from_memory) > 1, "a server that is busy is asked the same again");
        assert_eq!(api.requests(&paged), 0);
        assert_eq!(api.requests(&format!("{records}?&limit=1")), 1, "its memory may be from before a restore");
        assert_eq!(api.requests(&format!("{ROLLOUTS}?&resourceVersion=0")), 0, "the others are read from etcd");
        api.send(records, "ERROR", &json!({"code": 410, "reason": "Expired", "status": "Failure"}).to_string());
        process.pass(40, &[]).await;
        assert_eq!(api.requests(&paged), 1);
    }
}

/// A server without such a memory reads all from etcd at once, and may not be able to.
#[tokio::test(start_paused = true)]
async fn a_server_that_cannot_answer_with_all_at_once_is_asked_for_pages() {
    let api = served();
    api.answer(RUNS, Answer::Refuse(504));
    let process = Process::start(&api);
    process.pass(10, &[]).await;
    assert_eq!(api.requests(&format!("{RUNS}?&resourceVersion=0")), 1);
    api.answer(RUNS, Answer::Items(Vec::new()));
    process.synced().await;
    assert!(api.requests(&format!("{RUNS}?&limit=250")) > 0);
}

/// After an etcd restore the API server returns lower versions, without an error (M6).
#[tokio::test(start_paused = true)]
async fn after_a_restore_the_list_is_taken_anew() {
    let api = served();
    api.answer(ROLLOUTS, Answer::Items(vec![rollout("web", 90, &image("new"))]));
    let process = Process::start(&api);
    process.synced().await;
    process.pass(61, &[ROLLOUTS]).await;
    api.answer(ROLLOUTS, Answer::Items(vec![rollout("web", 40, &image("old"))]));
    api.version(45);
    api.bookmark(ROLLOUTS, 46);
    process.pass(5, &[]).await;
    assert_eq!(process.image("web").as_deref(), Some("old"));
    assert_eq!(api.watched_from(ROLLOUTS).last().unwrap(), "45");
}

/// M6: a real API server that was restored sends neither bookmarks nor errors to who watches from a version that it does not
/// know yet.
#[tokio::test(start_paused = true)]
async fn a_watch_that_shows_nothing_at_all_is_not_trusted() {
    let api = served();
    api.answer(ROLLOUTS, Answer::Items(vec![rollout("web", 90, &image("new"))]));
    let process = Process::start(&api);
    process.synced().await;
    process.pass(61, &[ROLLOUTS]).await;
    api.answer(ROLLOUTS, Answer::Items(vec![rollout("web", 40, &image("old"))]));
    api.version(45);
    api.end(ROLLOUTS);
    process.pass(5, &[]).await;
    assert_eq!(process.image("web").as_deref(), Some("new"), "the watch resumed from 1000");
    process.pass(160, &[]).await;
    assert_eq!(process.image("web").as_deref(), Some("old"));
}

#[path = "kinds_tests.rs"]
mod kinds;
