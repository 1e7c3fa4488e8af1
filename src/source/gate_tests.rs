//! The asker against a real server on loopback.

use axum::{Router, body::Bytes, http::StatusCode, response::Redirect, routing::post};
use jiff::Timestamp;

use std::net::SocketAddr;

use super::*;
use crate::api::status::RevisionRef;

/// A server that echoes the request, redirects, responds without end, or not at all.
async fn server() -> SocketAddr {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let no = |body: Bytes| async move {
        let told = String::from_utf8(body.to_vec()).unwrap();
        (StatusCode::OK, serde_json::to_string(&json!({"allow": false, "reason": told})).unwrap())
    };
    let routes = Router::new()
        .route("/yes", post(|| async { r#"{"allow": true}"# }))
        .route("/busy", post(|| async { StatusCode::SERVICE_UNAVAILABLE }))
        .route("/away", post(|| async { Redirect::temporary("/yes") }))
        .route("/long", post(|| async { "x".repeat(LARGEST + 1) }))
        .route("/no", post(no));
    tokio::spawn(async move { axum::serve(listener, routes).await.unwrap() });
    address
}

fn gates(hosts: &[&str]) -> HttpGates {
    HttpGates::new(Outbound::new(hosts.iter().map(ToString::to_string))).unwrap()
}

fn question(url: String) -> GateQuestion {
    GateQuestion {
        key: "uid/k3v9/2/1".into(),
        since: Timestamp::UNIX_EPOCH,
        number: 3,
        gate: "window".into(),
        url,
        rollout: "web".into(),
        revision: RevisionRef { id: "k3v9".into(), number: 7 },
        images: vec!["shop/web:7".into()],
        step: 2,
        attempt: 1,
    }
}

fn unclear(text: &str) -> GateAnswer {
    GateAnswer::Unclear(text.into())
}

#[tokio::test]
async fn s16_an_endpoint_is_told_what_is_released_and_its_answer_is_read() {
    let address = server().await;
    let asker = gates(&["127.0.0.1"]);
    let ask = async |path: &str| asker.ask("shop", &question(format!("http://{address}/{path}"))).await;
    assert_eq!(ask("yes").await, GateAnswer::Yes);
    assert_eq!(ask("busy").await, unclear("it responded HTTP 503"));
    assert_eq!(ask("away").await, unclear("it responded HTTP 307"), "no redirect is followed");
    assert_eq!(ask("long").await, unclear("its response is larger than 64 KiB"));
    let GateAnswer::No(told) = ask("no").await else { panic!("not a no") };
    let told: Value = serde_json::from_str(&told).unwrap();
    assert_eq!(
        told,
        json!({
            "gate": "window", "namespace": "shop", "rollout": "web", "revision": {"id": "k3v9", "number": 7},
            "images": ["shop/web:7"], "step": 3, "attempt": 1, "asked": 3, "key": "uid/k3v9/2/1"
        })
    );
}

#[tokio::test]
async fn the_controllers_own_machine_is_not_asked_unless_allowed() {
    let port = server().await.port();
    let asker = gates(&[]);
    for (host, why) in [
        ("127.0.0.1", "127.0.0.1 is a loopback address"),
        ("[::1]", "::1 is a loopback address"),
        ("localhost", "localhost is a loopback address"),
        ("2130706433", "127.0.0.1 is a loopback address"),
        ("169.254.169.254", "169.254.169.254 is a link-local address"),
    ] {
        let answer = asker.ask("shop", &question(format!("http://{host}:{port}/yes"))).await;
        let GateAnswer::Unclear(text) = answer else { panic!("{host} was asked: {answer:?}") };
        assert!(text.contains(why) && text.contains("--allow-hosts"), "{host}: {text}");
    }
    let named = gates(&["LocalHost"]);
    assert_eq!(named.ask("shop", &question(format!("http://localhost:{port}/yes"))).await, GateAnswer::Yes);
    let other = named.ask("shop", &question(format!("http://127.0.0.1:{port}/yes"))).await;
    assert_eq!(other, unclear("127.0.0.1 is not among the controller's --allow-hosts"));
}

#[tokio::test]
async fn what_cannot_be_reached_is_asked_again_and_its_address_is_not_told() {
    let closed = {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        listener.local_addr().unwrap()
    };
    let asker = gates(&["127.0.0.1"]);
    let answer = asker.ask("shop", &question(format!("http://{closed}/x?token=secret"))).await;
    let GateAnswer::Unclear(text) = answer else { panic!("not unclear: {answer:?}") };
    assert!(text.starts_with("it cannot be reached: ") && !text.contains("secret"), "{text}");
}
