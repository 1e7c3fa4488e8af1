//! Upgrades of HTTP/1.1, and HTTP/2 by prior knowledge as gRPC speaks it, through the proxy.

use std::{collections::BTreeMap, convert::Infallible, pin::pin, sync::Mutex};

use futures::{future::select, stream::iter};
use http_body_util::{Full, StreamBody};
use hyper::{
    body::{Body, Frame},
    client::conn::http2::{self, SendRequest},
    server::conn::http2 as server,
    service::service_fn,
};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

use super::{super::body::BodyError, *};
use crate::{
    api::Percent,
    clock::SystemClock,
    closed::Closed,
    engine::RouteIntent,
    evidence::ArmCounts,
    local::{
        counters::Counters,
        proxy::{Backend, Choice},
        serve::Server,
    },
};

/// A proxy, the server before it, and its counters.
struct Bench {
    proxy: Arc<Proxy>,
    server: Server,
    counters: Counters,
}

impl Bench {
    async fn new() -> Bench {
        let proxy = Arc::new(Proxy::new(7, Duration::from_secs(10), "no version is serving yet"));
        let passing = proxy.clone();
        let server = Server::start(move |request| passing.clone().pass(request)).await.unwrap();
        Bench { proxy, server, counters: Counters::new(Arc::new(SystemClock)) }
    }

    fn backend(&self, name: &str, address: std::net::SocketAddr) -> Backend {
        Backend::new(address.into()).counted_in(Some(self.counters.series(name)))
    }

    fn counted(&self, name: &str) -> (u64, u64) {
        let ArmCounts { bad, total } = self.counters.so_far(name);
        (bad, total)
    }

    async fn until_counted(&self, name: &str, wanted: (u64, u64)) {
        let waiting = async {
            while self.counted(name) != wanted {
                tokio::task::yield_now().await;
            }
        };
        let in_time = tokio::time::timeout(Duration::from_secs(10), waiting).await;
        assert!(in_time.is_ok(), "counted {:?}, not {wanted:?}", self.counted(name));
    }
}

/// A backend that takes every offer to switch to `echo` and sends back what it is sent; other offers it declines.
async fn echoing() -> std::net::SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            tokio::spawn(async move {
                let mut head = Vec::new();
                while !head.ends_with(b"\r\n\r\n") {
                    head.push(stream.read_u8().await.unwrap());
                }
                let head = String::from_utf8(head).unwrap().to_ascii_lowercase();
                if head.contains("connection: upgrade\r\n") && head.contains("upgrade: echo\r\n") {
                    let taken =
                        b"HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: echo\r\n\r\nhello ";
                    stream.write_all(taken).await.unwrap();
                    let (mut read, mut write) = stream.split();
                    tokio::io::copy(&mut read, &mut write).await.unwrap();
                } else {
                    stream.write_all(b"HTTP/1.1 426 Upgrade Required\r\ncontent-length: 2\r\n\r\nno").await.unwrap();
                }
            });
        }
    });
    address
}

/// A connection on which a request with this offer has been sent, and the head of the answer.
async fn offered(address: std::net::SocketAddr, protocol: &str) -> (TcpStream, String) {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let request =
        format!("GET / HTTP/1.1\r\nhost: a\r\nconnection: keep-alive, Upgrade\r\nupgrade: {protocol}\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.unwrap());
    }
    (stream, String::from_utf8(head).unwrap())
}

#[tokio::test]
async fn an_upgraded_connection_is_a_tunnel_that_both_ends_wait_for() {
    let bench = Bench::new().await;
    let backend = bench.backend("v1", echoing().await);
    bench.proxy.set(Table { stable: vec![backend.clone()], ..Table::default() });
    let (mut stream, head) = offered(bench.server.address, "echo").await;
    assert!(head.starts_with("HTTP/1.1 101") && head.contains("upgrade: echo"), "{head}");
    bench.until_counted("v1", (0, 1)).await;
    bench.proxy.set(Table::default());
    let mut draining = pin!(async { tokio::join!(backend.drained(), bench.server.drain()) });
    // Nothing ends while bytes still pass.
    for sent in ["hello one", " two", " three"] {
        stream.write_all(sent.trim_start_matches("hello ").as_bytes()).await.unwrap();
        let mut echoed = vec![0; sent.len()];
        let reading = pin!(stream.read_exact(&mut echoed));
        assert!(matches!(select(draining.as_mut(), reading).await, futures::future::Either::Right(_)));
        assert_eq!(String::from_utf8(echoed).unwrap(), sent);
    }
    stream.shutdown().await.unwrap();
    tokio::time::timeout(Duration::from_secs(10), draining).await.unwrap();
    assert_eq!(stream.read(&mut [0]).await.unwrap(), 0);
    assert_eq!(bench.counters.so_far("v1"), ArmCounts { bad: 0, total: 1 });
}

#[tokio::test]
async fn an_offer_that_is_declined_or_not_meant_is_an_ordinary_request() {
    let bench = Bench::new().await;
    bench.proxy.set(Table { stable: vec![bench.backend("v1", echoing().await)], ..Table::default() });
    for (count, protocol) in [(1, "other"), (2, "h2c"), (3, "echo, h2c")] {
        let (mut stream, head) = offered(bench.server.address, protocol).await;
        assert!(head.starts_with("HTTP/1.1 426") && !head.contains("upgrade:"), "{protocol}: {head}");
        let mut body = [0; 2];
        stream.read_exact(&mut body).await.unwrap();
        assert_eq!(&body, b"no");
        bench.until_counted("v1", (0, count)).await;
    }
}

/// What a gRPC server was asked: `:authority`, path, `te` and how many bytes.
type Asked = Arc<Mutex<Vec<(String, String, String, usize)>>>;

/// A server that speaks HTTP/2 only. It answers with its name and `grpc-status: 0`, or as the path says.
async fn grpc(name: &'static str) -> (std::net::SocketAddr, Asked) {
    let asked = Asked::default();
    let heard = asked.clone();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            stream.set_nodelay(true).unwrap();
            let heard = heard.clone();
            let answer = service_fn(move |request: Request<Incoming>| answer(name, heard.clone(), request));
            tokio::spawn(server::Builder::new(TokioExecutor::new()).serve_connection(TokioIo::new(stream), answer));
        }
    });
    (address, asked)
}

async fn answer(name: &'static str, heard: Asked, request: Request<Incoming>) -> Result<Response<AnyBody>, Infallible> {
    let (head, body) = request.into_parts();
    let te = head.headers.get("te").map(|te| te.to_str().unwrap().to_owned()).unwrap_or_default();
    let authority = head.uri.authority().map(ToString::to_string).unwrap_or_default();
    let sent = body.collect().await.unwrap().to_bytes().len();
    let path = head.uri.path().to_owned();
    heard.lock().unwrap().push((authority, path.clone(), te, sent));
    let status = path.rsplit('/').next().unwrap_or_default().parse().unwrap_or(0_u16);
    let mut fields = HeaderMap::new();
    fields.insert("grpc-status", HeaderValue::from(status));
    let response = Response::builder().header(header::CONTENT_TYPE, "application/grpc");
    if path.starts_with("/early") {
        let mut response = response.body(whole(Bytes::new())).unwrap();
        response.headers_mut().extend(fields);
        return Ok(response);
    }
    let frames = [Ok(Frame::data(Bytes::from(name))), Ok(Frame::trailers(fields))];
    Ok(response.body(BodyExt::boxed(StreamBody::new(iter(frames)))).unwrap())
}

/// A server that sends back what it is sent, as it comes, and says at the end how it went.
async fn echoing_grpc() -> std::net::SocketAddr {
    let echo = |request: Request<Incoming>| async move {
        let mut fields = HeaderMap::new();
        fields.insert("grpc-status", HeaderValue::from_static("0"));
        Response::new(request.into_body().with_trailers(async move { Some(Ok(fields)) }))
    };
    let server = Server::start(echo).await.unwrap();
    let address = server.address;
    std::mem::forget(server);
    address
}

/// One connection of HTTP/2 by prior knowledge.
async fn connected<B>(address: std::net::SocketAddr) -> SendRequest<B>
where
    B: Body<Data = Bytes, Error: Into<BodyError>> + Send + Unpin + 'static,
{
    let stream = TcpStream::connect(address).await.unwrap();
    stream.set_nodelay(true).unwrap();
    let (sender, connection) = http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await.unwrap();
    tokio::spawn(connection);
    sender
}

/// One unary call: the status of HTTP, the body, and `grpc-status` out of the trailers, else out of the headers.
async fn call(sender: &mut SendRequest<Full<Bytes>>, path: &str) -> (StatusCode, String, Option<String>) {
    let request = Request::post(format!("http://shop.example{path}"))
        .header(header::CONTENT_TYPE, "application/grpc")
        .header(header::TE, "trailers")
        .body(Full::new(Bytes::from_static(b"\0\0\0\0\x02hi")))
        .unwrap();
    let (head, body) = sender.send_request(request).await.unwrap().into_parts();
    let body = body.collect().await.unwrap();
    let fields = body.trailers().cloned().unwrap_or(head.headers);
    let status = fields.get("grpc-status").map(|status| status.to_str().unwrap().to_owned());
    (head.status, String::from_utf8(body.to_bytes().to_vec()).unwrap(), status)
}

#[tokio::test]
async fn a_call_of_grpc_passes_with_its_trailers_and_counts_by_its_status() {
    let bench = Bench::new().await;
    let (address, asked) = grpc("v1").await;
    bench.proxy.set(Table { stable: vec![bench.backend("v1", address)], ..Table::default() });
    let mut sender = connected(bench.server.address).await;
    let said = |text: &str, status: &str| (StatusCode::OK, text.to_owned(), Some(status.to_owned()));
    assert_eq!(call(&mut sender, "/shop.Cart/Add").await, said("v1", "0"));
    let wanted = ("shop.example".to_owned(), "/shop.Cart/Add".to_owned(), "trailers".to_owned(), 7);
    assert_eq!(asked.lock().unwrap().remove(0), wanted);
    // Not found is an answer, internal an error; and one without a message says so in its head.
    for (path, text, status, counted) in
        [("/late/5", "v1", "5", (0, 2)), ("/late/13", "v1", "13", (1, 3)), ("/early/14", "", "14", (2, 4))]
    {
        assert_eq!(call(&mut sender, path).await, said(text, status));
        bench.until_counted("v1", counted).await;
    }
}

#[tokio::test]
async fn a_call_of_grpc_streams_both_ways() {
    let bench = Bench::new().await;
    bench.proxy.set(Table { stable: vec![bench.backend("v1", echoing_grpc().await)], ..Table::default() });
    let mut sender = connected(bench.server.address).await;
    let (pieces, mut coming) = tokio::sync::mpsc::channel::<Bytes>(1);
    let frames = futures::stream::poll_fn(move |cx| {
        coming.poll_recv(cx).map(|piece| piece.map(|piece| Ok::<_, Infallible>(Frame::data(piece))))
    });
    let request = Request::post("http://shop.example/").body(StreamBody::new(frames)).unwrap();
    let answer = sender.send_request(request).await.unwrap();
    let mut body = answer.into_body();
    for sent in ["one", "two", "three"] {
        pieces.send(Bytes::from(sent)).await.unwrap();
        assert_eq!(body.frame().await.unwrap().unwrap().into_data().unwrap(), sent);
    }
    assert_eq!(bench.counted("v1"), (0, 0), "it is not over");
    drop(pieces);
    let trailers = body.frame().await.unwrap().unwrap().into_trailers().unwrap();
    assert_eq!(trailers["grpc-status"], "0");
    bench.until_counted("v1", (0, 1)).await;
}

#[tokio::test]
async fn each_request_of_one_connection_is_split_for_itself() {
    let bench = Bench::new().await;
    let ((stable, _), (canary, _)) = (grpc("v1").await, grpc("v2").await);
    let table = |weight| Table {
        stable: vec![bench.backend("v1", stable)],
        canary: Some(vec![bench.backend("v2", canary)]),
        choice: Choice::new(&RouteIntent { canary: Percent::whole(weight), ..RouteIntent::default() }),
    };
    bench.proxy.set(table(25));
    let mut sender = connected(bench.server.address).await;
    let mut seen = BTreeMap::<String, u64>::new();
    for _ in 0..1_000 {
        *seen.entry(call(&mut sender, "/").await.1).or_default() += 1;
    }
    // 99.9 % of a binomial lie within 3.29 standard deviations; the seed is fixed.
    assert!((205..=295).contains(&seen["v2"]) && seen["v1"] + seen["v2"] == 1_000, "{seen:?}");
    for (weight, version) in [(100, "v2"), (0, "v1")] {
        bench.proxy.set(table(weight));
        assert_eq!(call(&mut sender, "/").await.1, version, "the same connection, another table");
    }
}

#[tokio::test]
async fn what_cannot_be_passed_on_over_http_2_is_said() {
    let bench = Bench::new().await;
    let mut sender = connected(bench.server.address).await;
    let (status, text, _) = call(&mut sender, "/").await;
    assert_eq!((status, text.as_str()), (StatusCode::SERVICE_UNAVAILABLE, "glidepath: no version is serving yet\n"));
    // A backend that speaks HTTP/1.1 only.
    bench.proxy.set(Table { stable: vec![bench.backend("v1", echoing().await)], ..Table::default() });
    let (status, text, _) = call(&mut sender, "/").await;
    assert!(
        status == StatusCode::BAD_GATEWAY
            && text.contains("did not respond over HTTP/2")
            && text.contains("must support h2c"),
        "{text}"
    );
    bench.until_counted("v1", (1, 1)).await;
    let closed = Closed::new();
    bench.proxy.set(Table { stable: vec![bench.backend("gone", closed.address)], ..Table::default() });
    let (status, text, _) = call(&mut sender, "/").await;
    assert!(status == StatusCode::BAD_GATEWAY && text.contains("did not respond: "), "{text}");
    bench.until_counted("gone", (1, 1)).await;
}

/// The connection stays, its last request is answered, and a new one goes elsewhere.
#[tokio::test]
async fn a_server_that_drains_answers_the_open_requests_of_http_2() {
    let bench = Bench::new().await;
    let (begun, mut begins) = tokio::sync::mpsc::unbounded_channel();
    let (finish, finished) = tokio::sync::watch::channel(());
    let slow = Server::start(move |_| {
        let (begun, mut finished) = (begun.clone(), finished.clone());
        async move {
            let _ = begun.send(());
            let _ = finished.changed().await;
            Response::new(Full::new(Bytes::from("late")))
        }
    });
    let slow = slow.await.unwrap();
    let old = bench.backend("v1", slow.address);
    bench.proxy.set(Table { stable: vec![old.clone()], ..Table::default() });
    let mut sender = connected(bench.server.address).await;
    let mut other = sender.clone();
    let mut open = Box::pin(call(&mut other, "/"));
    tokio::select! {
        answered = &mut open => panic!("{answered:?}"),
        _ = begins.recv() => {}
    }
    let (address, _) = grpc("v2").await;
    bench.proxy.set(Table { stable: vec![bench.backend("v2", address)], ..Table::default() });
    assert_eq!(call(&mut sender, "/").await.1, "v2");
    let draining = tokio::spawn(async move { tokio::join!(old.drained(), slow.drain(), bench.server.drain()) });
    tokio::task::yield_now().await;
    assert!(!draining.is_finished());
    finish.send(()).unwrap();
    assert_eq!(open.await.1, "late");
    tokio::time::timeout(Duration::from_secs(10), draining).await.unwrap().unwrap();
    assert!(begins.try_recv().is_err(), "the drained backend was sent another request");
}
