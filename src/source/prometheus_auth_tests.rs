//! How a Rollout's Prometheus is authenticated to, against servers that look at what they get.

use std::{
    io::{Read, Write},
    net::TcpListener,
};

use rustls::{
    RootCertStore, ServerConfig, ServerConnection, StreamOwned,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
    server::WebPkiClientVerifier,
};

use super::{tests::*, *};
use crate::{
    api::analysis::{
        Auth, AwsSecretRef, CertificateSecretRef, Header, OAuth2, OAuth2SecretRef, RunPrometheus, SecretKeyRef, SigV4,
        Tls,
    },
    ports::secrets::{SecretData, SecretError},
};

const CA: &str = include_str!("../../tests/tls/ca.pem");
const CLIENT: [&str; 2] = [include_str!("../../tests/tls/client.pem"), include_str!("../../tests/tls/client.key")];
const SERVER: [&str; 2] = [include_str!("../../tests/tls/server.pem"), include_str!("../../tests/tls/server.key")];

/// Secrets of every namespace but those that are named after what they lack.
struct Vault;

#[async_trait]
impl Secrets for Vault {
    async fn read(&self, namespace: &str, name: &str) -> Result<SecretData, SecretError> {
        let all: &[(&str, &str)] = match (namespace, name) {
            ("shop", "oauth") => &[("client-id", "glide path"), ("client-secret", "hunter2&\n"), ("id", "other")],
            ("shop", "aws") => {
                &[("access-key-id", "AKIDEXAMPLE"), ("secret-access-key", "hunter2/KEY"), ("token", "hunter2-session")]
            }
            ("shop", "header") => &[("value", "hunter2-header\n"), ("odd", "a\r\nb")],
            ("shop", "tls") => {
                &[("ca.crt", CA), ("tls.crt", CLIENT[0]), ("tls.key", CLIENT[1]), ("other.key", SERVER[1])]
            }
            _ => return Err(SecretError::Missing(format!("{namespace}/{name}"))),
        };
        let data = all.iter().map(|(key, value)| ((*key).to_owned(), value.as_bytes().to_vec()));
        Ok(Arc::new(data.collect()))
    }
}

fn source() -> PrometheusSource {
    PrometheusSource::new(Outbound::new(["127.0.0.1".to_owned()]), None, Arc::new(Vault))
}

fn one() -> ResponseTemplate {
    vector(json!([{"metric": {}, "value": [1, "1"]}]))
}

async fn last_request(server: &MockServer) -> Request {
    server.received_requests().await.unwrap().pop().unwrap()
}

async fn asks(source: &PrometheusSource, prometheus: &RunPrometheus) -> Result<Answer, SourceError> {
    ask_in(source, "shop", prometheus, &[scalar("a")]).await.remove(0)
}

#[tokio::test]
async fn headers_tenant_and_partial_response_are_sent() {
    let server = answering(one()).await;
    let secret = |key: &str| Some(SecretKeyRef { name: "header".into(), key: Some(key.into()) });
    let plain = Header { name: "X-Team".into(), value: Some("shop".into()), secret_ref: None };
    let hidden = Header { name: "Authorization".into(), value: None, secret_ref: secret("value") };
    let prometheus = RunPrometheus {
        headers: vec![plain.clone(), hidden],
        tenant: Some("team-a".into()),
        partial_response: Some(false),
        ..named(&server.uri())
    };
    assert!(asks(&source(), &prometheus).await.is_ok());
    let request = last_request(&server).await;
    for (name, value) in [("x-team", "shop"), ("authorization", "hunter2-header"), ("x-scope-orgid", "team-a")] {
        assert_eq!(request.headers[name], value);
    }
    assert!(String::from_utf8(request.body).unwrap().contains("partial_response=false"));
    let untouched = RunPrometheus { headers: vec![plain.clone()], ..named(&server.uri()) };
    assert!(asks(&source(), &untouched).await.is_ok());
    assert!(!String::from_utf8(last_request(&server).await.body).unwrap().contains("partial_response"));

    let before = server.received_requests().await.unwrap().len();
    let odd = Header { name: "X-Key".into(), value: None, secret_ref: secret("odd") };
    let published = Header { name: "Cookie".into(), value: Some("hunter2".into()), secret_ref: None };
    for (header, why) in [
        (odd, "a credential of analysis.prometheus contains a line break"),
        (published, "analysis.prometheus.headers[0]: Cookie is a credential"),
        (Header { value: None, ..plain }, "analysis.prometheus.headers[0]: set exactly one of value and secretRef"),
    ] {
        let prometheus = RunPrometheus { headers: vec![header], ..named(&server.uri()) };
        let error = asks(&source(), &prometheus).await.unwrap_err();
        assert!(error.fault == Fault::Denied && error.message.contains(why), "{error}");
        assert!(!error.message.contains("hunter2"), "{error}");
    }
    assert_eq!(server.received_requests().await.unwrap().len(), before, "none of them was sent");
}

/// Issues tokens `t1`, `t2`..., and answers queries that have the token it likes.
async fn issuer(valid_seconds: u64) -> MockServer {
    struct Issues(AtomicUsize, u64);
    impl Respond for Issues {
        fn respond(&self, _: &Request) -> ResponseTemplate {
            let number = self.0.fetch_add(1, Ordering::SeqCst) + 1;
            let token = format!("t{number}");
            let body = json!({"access_token": token, "token_type": "bearer", "expires_in": self.1, "scope": "x"});
            ResponseTemplate::new(200).set_body_json(body)
        }
    }
    let server = MockServer::start().await;
    let issues = Issues(AtomicUsize::new(0), valid_seconds);
    Mock::given(method("POST")).and(path("/token")).respond_with(issues).mount(&server).await;
    server
}

fn oauth2(issuer: &MockServer, secret: &str) -> Auth {
    let oauth2 = OAuth2 {
        token_url: format!("{}/token", issuer.uri()),
        secret_ref: OAuth2SecretRef { name: secret.into(), ..OAuth2SecretRef::default() },
        scopes: vec!["metrics.read".into(), "x".into()],
        audience: Some("https://prometheus".into()),
    };
    Auth { oauth2: Some(oauth2), ..Auth::default() }
}

#[tokio::test]
async fn an_oauth2_token_is_requested_once_and_renewed_when_it_is_refused() {
    let issuer = issuer(3600).await;
    let server = MockServer::start().await;
    let accepted = Mock::given(method("POST")).and(wiremock::matchers::header("authorization", "Bearer t2"));
    accepted.respond_with(one()).mount(&server).await;
    let refused = ResponseTemplate::new(401).set_body_string("hunter2");
    Mock::given(method("POST")).respond_with(refused).with_priority(9).mount(&server).await;
    let prometheus = RunPrometheus { auth: Some(oauth2(&issuer, "oauth")), ..named(&server.uri()) };
    let source = source();
    assert_eq!(asks(&source, &prometheus).await, Ok(Answer::Scalar(Some(1.0))));
    assert_eq!(server.received_requests().await.unwrap().len(), 2, "t1 was refused, t2 was not");
    let next = [scalar("b"), scalar("c")];
    assert!(ask_in(&source, "shop", &prometheus, &next).await.iter().all(Result::is_ok));
    let issued = issuer.received_requests().await.unwrap();
    assert_eq!(issued.len(), 2, "t2 serves until it expires");
    // `glide+path:hunter2%26`, as RFC 6749 has it.
    assert_eq!(issued[0].headers["authorization"], "Basic Z2xpZGUrcGF0aDpodW50ZXIyJTI2");
    let form = String::from_utf8(issued[0].body.clone()).unwrap();
    for part in ["grant_type=client_credentials", "scope=metrics.read+x", "audience=https%3A%2F%2Fprometheus"] {
        assert!(form.contains(part), "{form}");
    }
}

#[tokio::test]
async fn a_token_that_the_server_never_accepts_is_renewed_once_per_query() {
    let issuer = issuer(3600).await;
    let server = answering(ResponseTemplate::new(401)).await;
    let prometheus = RunPrometheus { auth: Some(oauth2(&issuer, "oauth")), ..named(&server.uri()) };
    let error = asks(&source(), &prometheus).await.unwrap_err();
    assert!(error.fault == Fault::Denied && error.message.contains("rejected the credentials (HTTP 401)"), "{error}");
    assert_eq!(issuer.received_requests().await.unwrap().len(), 2);
}

#[tokio::test]
async fn a_token_url_that_gives_no_token_is_no_data_with_the_reason() {
    let server = answering(one()).await;
    for (response, why) in [
        (ResponseTemplate::new(401).set_body_string("hunter2"), "(it responded HTTP 401)"),
        (ResponseTemplate::new(200).set_body_string("<html>hunter2"), "(its response has no bearer token)"),
        (
            ResponseTemplate::new(200).set_body_json(json!({"access_token": "hunter2\n\nx", "token_type": "bearer"})),
            "(its response has no bearer token)",
        ),
        (
            ResponseTemplate::new(200).set_body_json(json!({"access_token": "hunter2", "token_type": "mac"})),
            "(its response has no bearer token)",
        ),
        (ResponseTemplate::new(200).set_body_string("x".repeat(100_000)), "larger than 64 KiB"),
    ] {
        let issuer = MockServer::start().await;
        Mock::given(method("POST")).respond_with(response).mount(&issuer).await;
        let prometheus = RunPrometheus { auth: Some(oauth2(&issuer, "oauth")), ..named(&server.uri()) };
        let error = asks(&source(), &prometheus).await.unwrap_err();
        assert!(error.message.contains(why) && error.message.contains("/token"), "{error}");
        assert!(!error.message.contains("hunter2"), "{error}");
    }
    let issuer = issuer(1).await;
    let lost = RunPrometheus { auth: Some(oauth2(&issuer, "gone")), ..named(&server.uri()) };
    assert!(asks(&source(), &lost).await.unwrap_err().message.contains("Secret shop/gone does not exist"));
    // A token URL may act, as a gate may: it is under the same policy.
    let closed = PrometheusSource::new(Outbound::default(), None, Arc::new(Vault));
    let elsewhere = RunPrometheus { auth: Some(oauth2(&issuer, "oauth")), ..named("http://10.0.0.1:9090") };
    let error = asks(&closed, &elsewhere).await.unwrap_err();
    assert!(error.message.contains("check auth.oauth2.tokenUrl"), "{error}");
    assert_eq!(issuer.received_requests().await.unwrap().len(), 0);
    assert_eq!(server.received_requests().await.unwrap().len(), 0, "no query went out without a token");
}

#[tokio::test]
async fn requests_are_signed_for_aws() {
    let server = answering(one()).await;
    let secret_ref =
        AwsSecretRef { name: "aws".into(), session_token_key: Some("token".into()), ..AwsSecretRef::default() };
    let sigv4 = SigV4 { region: "eu-west-1".into(), service: None, secret_ref };
    let auth = Some(Auth { sigv4: Some(sigv4), ..Auth::default() });
    assert!(asks(&source(), &RunPrometheus { auth, ..named(&server.uri()) }).await.is_ok());
    let request = last_request(&server).await;
    let authorization = request.headers["authorization"].to_str().unwrap();
    assert!(authorization.starts_with("AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/"), "{authorization}");
    assert!(authorization.contains("/eu-west-1/aps/aws4_request, SignedHeaders="), "{authorization}");
    assert_eq!(request.headers["x-amz-security-token"], "hunter2-session");
    assert!(!format!("{:?}", request.headers).contains("hunter2/KEY"));
}

#[tokio::test]
async fn two_methods_are_refused() {
    let server = answering(one()).await;
    let bearer = crate::api::analysis::BearerAuth::default();
    let both = Auth { bearer: Some(bearer), sigv4: Some(SigV4::default()), ..Auth::default() };
    let error = asks(&source(), &RunPrometheus { auth: Some(both), ..named(&server.uri()) }).await.unwrap_err();
    assert_eq!(error.message, "analysis.prometheus.auth: set exactly one of basic, bearer, oauth2 and sigv4");
    assert_eq!(server.received_requests().await.unwrap().len(), 0);
}

/// A Prometheus over TLS that asks for a certificate of our CA. It answers one connection after the other.
fn mutual_tls() -> String {
    drop(rustls::crypto::ring::default_provider().install_default());
    let certificate = |pem: &str| CertificateDer::from_pem_slice(pem.as_bytes()).unwrap();
    let mut roots = RootCertStore::empty();
    roots.add(certificate(CA)).unwrap();
    let verifier = WebPkiClientVerifier::builder(Arc::new(roots)).build().unwrap();
    let key = PrivateKeyDer::from_pem_slice(SERVER[1].as_bytes()).unwrap();
    let config = ServerConfig::builder().with_client_cert_verifier(verifier);
    let config = Arc::new(config.with_single_cert(vec![certificate(SERVER[0])], key).unwrap());
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("https://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for socket in listener.incoming() {
            let mut stream = StreamOwned::new(ServerConnection::new(Arc::clone(&config)).unwrap(), socket.unwrap());
            let mut request = [0; 4096];
            let Ok(_) = stream.read(&mut request) else { continue };
            let body = r#"{"status":"success","data":{"resultType":"scalar","result":[1,"7"]}}"#;
            let head = format!("HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: {}\r\n\r\n", body.len());
            drop(stream.write_all((head + body).as_bytes()));
            stream.conn.send_close_notify();
            drop(stream.flush());
        }
    });
    address
}

#[tokio::test]
async fn a_server_that_asks_for_a_client_certificate_gets_it_from_a_secret() {
    let address = mutual_tls();
    let with = |client: Option<CertificateSecretRef>| {
        let ca_secret_ref = Some(SecretKeyRef { name: "tls".into(), key: None });
        let server_name = Some("prometheus.test".to_owned());
        let tls = Some(Tls { ca_secret_ref, server_name, client_certificate_secret_ref: client });
        RunPrometheus { tls, ..named(&address) }
    };
    let client = CertificateSecretRef { name: "tls".into(), ..CertificateSecretRef::default() };
    assert_eq!(asks(&source(), &with(Some(client.clone()))).await, Ok(Answer::Scalar(Some(7.0))));
    let error = asks(&source(), &with(None)).await.unwrap_err();
    assert!(error.message.starts_with("cannot reach Prometheus at https://127.0.0.1"), "{error}");
    let garbled = CertificateSecretRef { certificate_key: Some("tls.key".into()), ..client.clone() };
    let error = asks(&source(), &with(Some(garbled))).await.unwrap_err();
    assert!(error.message.contains("analysis.prometheus.tls: its client certificate is not a PEM"), "{error}");
    let missing = CertificateSecretRef { private_key_key: Some("gone".into()), ..client };
    let error = asks(&source(), &with(Some(missing))).await.unwrap_err();
    assert!(error.message.contains("Secret shop/tls has no key gone"), "{error}");
}
