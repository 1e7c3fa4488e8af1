use serde_json::json;

use super::{
    access::{Access, Names},
    client::Client,
    error::CallError,
    fake::{Fake, Fault},
};

fn defaults(protocol: &str) -> serde_json::Value {
    json!({ "Kind": "service-defaults", "Name": "web", "Protocol": protocol })
}

#[tokio::test]
async fn a_write_holds_on_its_condition_alone_and_a_lost_race_is_no_success() {
    let consul = Fake::start().await;
    let client = consul.client(&[("CONSUL_HTTP_TOKEN", "secret"), ("CONSUL_NAMESPACE", "shop")]);
    assert_eq!(client.entry("service-defaults", "web").await, Ok(None));
    assert_eq!(client.write(&defaults("http"), 0).await, Ok(true));
    assert_eq!(client.write(&defaults("grpc"), 0).await, Ok(false), "there is one already");
    let entry = client.entry("service-defaults", "web").await.unwrap().unwrap();
    assert_eq!(entry["Protocol"], "http");
    let index = entry["ModifyIndex"].as_u64().unwrap();
    assert_eq!(client.delete("service-defaults", "web", index + 1).await, Ok(false));
    assert_eq!(client.delete("service-defaults", "web", index).await, Ok(true));
    let store = consul.store();
    assert!(store.tokens.iter().all(|token| token == "secret") && store.tokens.len() == store.calls.len());
    assert!(store.calls.iter().all(|call| call.contains("ns=shop") && call.contains("dc=dc2")), "{:?}", store.calls);
}

#[tokio::test]
async fn every_failure_says_what_and_what_to_do_and_never_the_token() {
    let consul = Fake::start().await;
    let client = consul.client(&[("CONSUL_HTTP_TOKEN", "hunter2")]);
    let answers = |status: u16, body: &str| Fault::Answers("/v1/", status, body.to_owned());
    let denied =
        "Permission denied: token hunter2 with AccessorID '1' lacks permission 'service:write' on \"web\"\nmore";
    for (fault, words) in [
        (answers(403, denied), "Consul denied the read of service-splitter web (Permission denied: token [token] with"),
        (answers(401, ""), "(no reason given); set CONSUL_HTTP_TOKEN or CONSUL_HTTP_TOKEN_FILE"),
        (answers(500, "oh\u{1b}[31m no"), "Consul rejected the read of service-splitter web (HTTP 500: oh[31m no)"),
        (answers(500, "No cluster leader"), "cannot reach Consul at http://127.0.0.1:"),
        (answers(503, "busy"), "HTTP 503"),
        (answers(307, ""), "it redirects, and redirects are not followed; check --consul"),
        (answers(200, "<html>"), "is not that of Consul's API: it is not the JSON that was expected; check --consul"),
        (answers(200, "[]"), "it is not the JSON that was expected"),
        (answers(200, &"[".repeat(100_000)), "it is not the JSON that was expected"),
        (answers(200, &"x".repeat(50 << 20)), "larger than 4096 KiB"),
        (Fault::Silent, "no response within 1 s"),
    ] {
        consul.fails(fault);
        let error = client.entry("service-splitter", "web").await.unwrap_err().to_string();
        assert!(error.contains(words), "{words}: {error}");
        assert!(!error.contains("hunter2") && error.len() < 600, "{error}");
    }
    let access = Access::new("http://127.0.0.1:1", Names::default(), |_| None).unwrap();
    let error = Client::new(access).unwrap().chain("web").await.unwrap_err();
    assert!(matches!(&error, CallError::Unreachable { why, .. } if why == "connection refused"), "{error}");
}

#[tokio::test]
async fn an_answer_that_is_no_truth_value_is_no_success() {
    let consul = Fake::start().await;
    let client = consul.client(&[]);
    for body in ["", "maybe", "\"true\"", "{}"] {
        consul.fails(Fault::Answers("PUT", 200, body.to_owned()));
        assert!(client.write(&defaults("http"), 0).await.is_err(), "{body:?}");
    }
}

#[test]
fn certificates_are_read_when_the_client_is_made() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ca.pem").display().to_string();
    let made = || {
        let set = |name: &str| (name == "CONSUL_CACERT").then(|| path.clone());
        Client::new(Access::new("https://consul:8501", Names::default(), set).unwrap()).map(drop)
    };
    assert!(made().unwrap_err().to_string().starts_with("CONSUL_CACERT: "));
    std::fs::write(&path, "no certificate").unwrap();
    let error = made().unwrap_err().to_string();
    assert_eq!(error, "cannot ask Consul over https: CONSUL_CACERT is not a PEM certificate");
}
