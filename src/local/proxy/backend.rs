//! A backend: where it answers, over which connections, and how many of its requests are open.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};

use hyper::{Request, Uri, Version, header};
use hyper_util::{
    client::legacy::{Builder, Client, ResponseFuture, connect::HttpConnector},
    rt::{TokioExecutor, TokioTimer},
};
use tokio::sync::Notify;
use tower::Service;

use super::body::AnyBody;
use crate::local::{address::Address, counters::Series};

/// An idle connection is closed before most servers close it from their end.
const IDLE: Duration = Duration::from_secs(4);
/// How long an address may take to accept a connection.
const CONNECT: Duration = Duration::from_secs(2);

/// Connections that do not wait for Nagle's algorithm.
pub fn connector() -> HttpConnector {
    let mut connector = HttpConnector::new();
    connector.set_nodelay(true);
    connector.set_connect_timeout(Some(CONNECT));
    connector
}

/// A backend. Its copies share the connections and the count of open requests.
#[derive(Clone)]
pub struct Backend {
    /// Where its answers are counted, if the proxy counts them.
    pub series: Option<Arc<Series>>,
    shared: Arc<Shared>,
}

struct Shared {
    address: Address,
    http1: Client<HttpConnector, AnyBody>,
    http2: Client<Fixed, AnyBody>,
    open: AtomicUsize,
    draining: AtomicBool,
    idle: Notify,
}

impl Backend {
    /// A backend that the proxy does not count for, and no connection to it yet.
    pub fn new(address: Address) -> Self {
        let fixed = Fixed { uri: address.uri(), connector: connector() };
        let http2 = pooled().http2_only(true).build(fixed);
        let shared = Shared {
            address,
            http1: pooled().build(connector()),
            http2,
            open: AtomicUsize::new(0),
            draining: AtomicBool::new(false),
            idle: Notify::new(),
        };
        Backend { series: None, shared: Arc::new(shared) }
    }

    /// Where it answers.
    pub fn address(&self) -> &Address {
        &self.shared.address
    }

    /// The same backend, counted in this series.
    pub fn counted_in(&self, series: Option<Arc<Series>>) -> Self {
        Backend { series, shared: self.shared.clone() }
    }

    /// Marks one request as open until the guard goes.
    pub fn open(&self) -> Open {
        self.shared.open.fetch_add(1, Ordering::SeqCst);
        Open(self.clone())
    }

    /// Waits until no request is open. New ones must no longer begin: the backend is out of the table.
    pub async fn drained(&self) {
        self.shared.draining.store(true, Ordering::SeqCst);
        while self.shared.open.load(Ordering::SeqCst) > 0 {
            self.shared.idle.notified().await;
        }
    }

    /// Sends a request, in the version of HTTP that it came in.
    pub fn send(&self, request: Request<AnyBody>) -> ResponseFuture {
        match request.version() {
            Version::HTTP_2 => self.shared.http2.request(request),
            _ => self.shared.http1.request(request),
        }
    }

    /// The request with the URI that leads here; none when its target is invalid. The host stays as the caller wrote
    /// it: in the Host header, and in HTTP/2 in the URI (RFC 9113 section 8.3.1).
    pub fn aimed(&self, request: Request<AnyBody>) -> Option<Request<AnyBody>> {
        let (mut head, body) = request.into_parts();
        let authority = match head.version {
            Version::HTTP_2 => {
                let host = || head.headers.get(header::HOST).and_then(|host| host.to_str().ok());
                head.uri.authority().map(|authority| authority.as_str()).or_else(host).map(str::to_owned)
            }
            _ => {
                head.version = Version::HTTP_11;
                None
            }
        };
        let authority = authority.unwrap_or_else(|| self.address().authority());
        let path = head.uri.path_and_query().map_or("/", |path| path.as_str());
        head.uri = Uri::builder().scheme("http").authority(authority).path_and_query(path).build().ok()?;
        Some(Request::from_parts(head, body))
    }
}

fn pooled() -> Builder {
    let mut builder = Client::builder(TokioExecutor::new());
    builder.pool_timer(TokioTimer::new()).pool_idle_timeout(IDLE);
    builder
}

/// Connects to one address, whatever host a request names.
#[derive(Clone)]
struct Fixed {
    uri: Uri,
    connector: HttpConnector,
}

impl Service<Uri> for Fixed {
    type Response = <HttpConnector as Service<Uri>>::Response;
    type Error = <HttpConnector as Service<Uri>>::Error;
    type Future = <HttpConnector as Service<Uri>>::Future;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.connector.poll_ready(cx)
    }

    fn call(&mut self, _: Uri) -> Self::Future {
        self.connector.call(self.uri.clone())
    }
}

/// One open request: its backend is drained only after it.
pub struct Open(Backend);

impl Open {
    /// Where it is sent.
    pub fn backend(&self) -> &Backend {
        &self.0
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        let shared = &self.0.shared;
        let last = shared.open.fetch_sub(1, Ordering::SeqCst) == 1;
        if last && shared.draining.load(Ordering::SeqCst) {
            shared.idle.notify_one();
        }
    }
}
