//! What is passed on, answered and counted over HTTP/1.1.

use std::{convert::Infallible, sync::Mutex};

use http_body_util::Full;
use hyper::{body::Frame, server::conn::http1, service::service_fn};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::{TokioExecutor, TokioIo},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::mpsc,
};

use super::*;
use crate::{
    api::{Percent, strategy::MirrorRoute},
    clock::SystemClock,
    closed::Closed,
    engine::RouteIntent,
    evidence::ArmCounts,
    local::{
        counters::Counters,
        proxy::{
            Backend, Choice,
            mirror::{COPIED_BODY, MIRRORED},
        },
        serve::Server,
    },
};

/// What an upstream was asked: head line, headers and body as text.
type Asked = Arc<Mutex<Vec<(String, HeaderMap, Bytes)>>>;

/// A service that remembers what it was asked. Its answer depends on the path.
async fn upstream(name: &'static str) -> (Address, Asked) {
    let asked = Asked::default();
    let heard = asked.clone();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap()).parse().unwrap();
    let server = Server::on(listener, None, move |request: Request<Incoming>| {
        let heard = heard.clone();
        async move {
            let (head, body) = request.into_parts();
            let path = head.uri.path().to_owned();
            let body = body.collect().await.map(http_body_util::Collected::to_bytes).unwrap_or_default();
            heard.lock().unwrap().push((format!("{} {}", head.method, head.uri), head.headers, body));
            let mut response = Response::new(Full::new(Bytes::from(name)));
            match path.as_str() {
                "/bad" => *response.status_mut() = StatusCode::INTERNAL_SERVER_ERROR,
                "/slow" => std::future::pending::<()>().await,
                "/hop" => {
                    let headers = response.headers_mut();
                    headers.insert("connection", "x-private".parse().unwrap());
                    headers.insert("x-private", "1".parse().unwrap());
                    headers.insert("x-public", "1".parse().unwrap());
                }
                _ => {}
            }
            response
        }
    });
    std::mem::forget(server.unwrap());
    (address, asked)
}

/// A backend with a series of its own: another test may be given the same port once this one is over.
fn backend(address: &Address) -> Backend {
    let counters = Counters::new(Arc::new(SystemClock));
    Backend::new(address.clone()).counted_in(Some(counters.series("pod")))
}

fn counted(pod: &Backend) -> (u64, u64) {
    let ArmCounts { bad, total } = pod.series.as_ref().unwrap().so_far();
    (bad, total)
}

/// A proxy before this table, and where it listens.
async fn split(table: Table) -> String {
    serving(&Arc::new(Proxy::new(1, Duration::from_millis(300), "no version is serving yet")), table).await
}

async fn serving(proxy: &Arc<Proxy>, table: Table) -> String {
    let proxy = proxy.clone();
    proxy.set(table);
    let server = Server::start(move |request| proxy.clone().pass(request)).await.unwrap();
    let address = server.address.to_string();
    std::mem::forget(server);
    address
}

async fn only(pod: &Backend) -> String {
    split(Table { stable: vec![pod.clone()], ..Table::default() }).await
}

/// Sends these bytes on a connection of their own and reads until the other side closes.
async fn exchange(address: &str, request: &str) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer
}

async fn get(address: &str, path: &str, headers: &str) -> String {
    exchange(address, &format!("GET {path} HTTP/1.1\r\nhost: web.example\r\nconnection: close\r\n{headers}\r\n")).await
}

/// Waits until so many requests are counted: a request is counted when its answer is over, a moment after it is read.
async fn until_counted(pod: &Backend, wanted: (u64, u64)) {
    let waiting = async {
        while counted(pod) != wanted {
            tokio::task::yield_now().await;
        }
    };
    let in_time = tokio::time::timeout(Duration::from_secs(10), waiting).await;
    assert!(in_time.is_ok(), "counted {:?}, not {wanted:?}", counted(pod));
}

#[tokio::test]
async fn what_belongs_to_one_connection_stays_there_and_the_origin_is_told() {
    let (address, asked) = upstream("v1").await;
    let proxy = only(&backend(&address)).await;
    let sent = "x-forwarded-for: 10.1.1.1\r\nkeep-alive: timeout=5\r\nte: trailers\r\nx-own: 1\r\n";
    let answer = get(&proxy, "/hop?a=b", sent).await;
    assert!(answer.contains("x-public: 1") && !answer.contains("x-private"), "{answer}");
    let (line, headers, _) = asked.lock().unwrap().remove(0);
    let said = |name: &str| headers.get(name).map(|value| value.to_str().unwrap().to_owned()).unwrap_or_default();
    assert_eq!(line, "GET /hop?a=b");
    assert_eq!((said("host").as_str(), said("x-forwarded-host").as_str()), ("web.example", "web.example"));
    assert_eq!((said("x-forwarded-for").as_str(), said("x-forwarded-proto").as_str()), ("10.1.1.1, 127.0.0.1", "http"));
    assert_eq!((said("keep-alive"), said("te"), said("x-own")), (String::new(), String::new(), "1".into()));
}

#[tokio::test]
async fn each_answer_counts_once_for_its_version() {
    let (address, _) = upstream("v1").await;
    let pod = backend(&address);
    let proxy = only(&pod).await;
    for (path, status) in [("/", "200"), ("/bad", "500"), ("/", "200")] {
        assert!(get(&proxy, path, "").await.starts_with(&format!("HTTP/1.1 {status}")));
    }
    until_counted(&pod, (1, 3)).await;
    let slow = get(&proxy, "/slow", "").await;
    assert!(slow.starts_with("HTTP/1.1 504") && slow.contains("did not respond within 0.3 s"), "{slow}");
    until_counted(&pod, (2, 4)).await;

    let closed = Closed::new();
    let gone = backend(&closed.address.into());
    let refused = get(&only(&gone).await, "/", "").await;
    assert!(refused.starts_with("HTTP/1.1 502") && refused.contains("did not respond"), "{refused}");
    until_counted(&gone, (1, 1)).await;
}

#[tokio::test]
async fn what_cannot_be_passed_on_is_said() {
    let empty = split(Table::default()).await;
    let answer = get(&empty, "/", "").await;
    assert!(answer.starts_with("HTTP/1.1 503") && answer.contains("glidepath: no version is serving yet"), "{answer}");
    let (address, asked) = upstream("v1").await;
    let proxy = only(&backend(&address)).await;
    let tunnel = exchange(&proxy, "CONNECT a:1 HTTP/1.1\r\nhost: a:1\r\nconnection: close\r\n\r\n").await;
    assert!(tunnel.starts_with("HTTP/1.1 501"), "{tunnel}");
    assert!(asked.lock().unwrap().is_empty());
    assert!(get(&proxy, "/", "upgrade: h2c\r\n").await.starts_with("HTTP/1.1 200"), "an offer may be ignored");
}

/// The response starts before the request has ended, and each chunk is forwarded as it arrives.
#[tokio::test]
async fn bodies_stream_both_ways() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address: Address = format!("http://{}", listener.local_addr().unwrap()).parse().unwrap();
    tokio::spawn(async move {
        let (stream, _) = listener.accept().await.unwrap();
        let echo =
            service_fn(
                |request: Request<Incoming>| async move { Ok::<_, Infallible>(Response::new(request.into_body())) },
            );
        http1::Builder::new().serve_connection(TokioIo::new(stream), echo).await.unwrap();
    });
    let pod = backend(&address);
    let proxy = only(&pod).await;
    let client: Client<HttpConnector, AnyBody> = Client::builder(TokioExecutor::new()).build_http();
    let (pieces, mut coming) = mpsc::channel::<Bytes>(1);
    let frames =
        futures::stream::poll_fn(move |cx| coming.poll_recv(cx).map(|piece| piece.map(|piece| Ok(Frame::data(piece)))));
    let body = AnyBody::new(http_body_util::StreamBody::new(frames));
    pieces.send(Bytes::from("one")).await.unwrap();
    let request = Request::post(format!("http://{proxy}/")).body(body).unwrap();
    let mut answer = client.request(request).await.unwrap().into_body();
    for sent in ["one", "two", "three"] {
        if sent != "one" {
            pieces.send(Bytes::from(sent)).await.unwrap();
        }
        let piece = answer.frame().await.unwrap().unwrap().into_data().unwrap();
        assert_eq!(piece, sent);
    }
    drop(pieces);
    assert!(answer.frame().await.is_none());
    until_counted(&pod, (0, 1)).await;
}

/// Every request goes to stable, and a copy of it to the canary.
fn mirroring() -> Choice {
    let mirror = Some(MirrorRoute { percent: Percent::whole(100), matches: Vec::new() });
    Choice::new(&RouteIntent { mirror, ..RouteIntent::default() })
}

/// The demo adds up what its users sent and what was mirrored, and compares it with what the pods counted.
#[tokio::test]
async fn a_copy_is_in_the_account_whatever_becomes_of_it() {
    let (stable, _) = upstream("v1").await;
    let closed = Closed::new();
    let refusing = closed.address.into();
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let late: Address = format!("http://{}", silent.local_addr().unwrap()).parse().unwrap();
    for canary in [late, refusing] {
        let proxy = Arc::new(Proxy::new(1, Duration::from_millis(300), "no version is serving yet"));
        let pod = backend(&canary);
        let table = Table { stable: vec![backend(&stable)], canary: Some(vec![pod.clone()]), choice: mirroring() };
        let address = serving(&proxy, table).await;
        assert!(get(&address, "/", "").await.ends_with("v1"));
        assert_eq!(proxy.mirrored(), 1, "before the canary answers");
        proxy.set(Table::default());
        pod.drained().await;
        assert_eq!((counted(&pod), proxy.mirrored()), ((1, 1), 1));
    }
}

#[tokio::test]
async fn copies_carry_the_body_and_their_answers_reach_nobody() {
    let ((stable, asked), (canary, copied)) = (upstream("v1").await, upstream("v2").await);
    let (stable, canary, choice) = (backend(&stable), backend(&canary), mirroring());
    let table = Table { stable: vec![stable.clone()], canary: Some(vec![canary.clone()]), choice };
    let proxy = split(table).await;
    let body = "x".repeat(1000);
    let post = |body: &str| {
        format!("POST /bad HTTP/1.1\r\nhost: a\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{body}", body.len())
    };
    let answer = exchange(&proxy, &post(&body)).await;
    assert!(answer.starts_with("HTTP/1.1 500") && answer.ends_with("v1"), "{answer}");
    until_counted(&canary, (1, 1)).await;
    let (line, headers, got) = copied.lock().unwrap().remove(0);
    assert_eq!((line.as_str(), got.len(), &headers[MIRRORED]), ("POST /bad", 1000, &HeaderValue::from_static("true")));
    assert_eq!(asked.lock().unwrap().remove(0).2.len(), 1000);

    // Too large to be kept in memory: it goes to stable alone.
    let answer = exchange(&proxy, &post(&"x".repeat(COPIED_BODY + 1))).await;
    assert!(answer.ends_with("v1"));
    until_counted(&stable, (2, 2)).await;
    assert!(copied.lock().unwrap().is_empty());
    assert_eq!(counted(&canary), (1, 1));
}

#[tokio::test]
async fn a_caller_that_goes_away_is_no_error_and_an_answer_that_breaks_off_is_one() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address: Address = format!("http://{}", listener.local_addr().unwrap()).parse().unwrap();
    let pod = backend(&address);
    let proxy = only(&pod).await;
    // An answer of which only a part comes.
    tokio::spawn(async move {
        for part in ["part", "half"] {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut request = [0; 1024];
            let _ = stream.read(&mut request).await.unwrap();
            let head = "HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n";
            stream.write_all(format!("{head}{part}").as_bytes()).await.unwrap();
            if part == "half" {
                // Until the proxy hangs up.
                let _ = stream.read(&mut request).await;
            }
        }
    });
    get(&proxy, "/", "").await;
    until_counted(&pod, (1, 1)).await;

    let mut stream = TcpStream::connect(&proxy).await.unwrap();
    stream.write_all(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n").await.unwrap();
    let mut begun = [0; 12];
    stream.read_exact(&mut begun).await.unwrap();
    drop(stream);
    until_counted(&pod, (1, 2)).await;
}

#[tokio::test]
async fn a_caller_that_never_ends_its_request_is_sent_away() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let timeout = Some(Duration::from_millis(100));
    let answer = |_| async { Response::new(Full::new(Bytes::from("well"))) };
    std::mem::forget(Server::on(listener, timeout, answer).unwrap());
    let waiting = tokio::time::timeout(Duration::from_secs(20), exchange(&address, "GET / HTTP/1.1\r\nhost:"));
    assert!(!waiting.await.unwrap().contains("well"));
}
