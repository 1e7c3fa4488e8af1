//! The built-in splitter: an HTTP proxy that sends each request to stable or canary by weight.
//!
//! The route table is swapped as a whole. A request is counted at its pod while the table is still held, so a pod that has
//! left the table and has no request under way will never be sent another one: that is when it may go.

use std::{
    io,
    net::SocketAddr,
    pin::Pin,
    sync::{
        Arc, PoisonError, RwLock,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    task::{Context, Poll},
};

use http_body_util::{BodyExt, Full, combinators::BoxBody};
use hyper::body::Bytes;
use hyper::{
    HeaderMap, Request, Response, StatusCode, Uri,
    body::{Body, Frame, Incoming, SizeHint},
    header,
};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};

use super::{
    chance::Chance,
    pods::{Endpoint, Underway},
    serve::Server,
};
use crate::api::Percent;

/// The answer's header that says that the splitter itself answered, because no pod could.
pub const NO_POD_HEADER: &str = "x-splitter";

/// Where requests go.
#[derive(Clone, Default)]
pub struct RouteTable {
    /// The pods of the stable target.
    pub stable: Vec<Endpoint>,
    /// The pods of the canary target.
    pub canary: Vec<Endpoint>,
    /// The canary target's share; the stable target has the rest.
    pub weight: Percent,
}

/// A running splitter.
pub struct Splitter {
    routes: Arc<Routes>,
    server: Server,
}

impl Splitter {
    /// Starts with an empty table, which answers 503.
    pub async fn start(seed: u64) -> io::Result<Splitter> {
        let routes = Arc::new(Routes {
            table: RwLock::default(),
            chance: Chance::new(seed),
            turn: AtomicUsize::new(0),
            lost: AtomicU64::new(0),
        });
        let client = Client::builder(TokioExecutor::new()).build(connector());
        let split = routes.clone();
        let server = Server::start(move |request| forward(split.clone(), client.clone(), request)).await?;
        Ok(Splitter { routes, server })
    }

    /// Where callers send their requests.
    pub fn address(&self) -> SocketAddr {
        self.server.address
    }

    /// The table's handle, for shifting traffic.
    pub fn routes(&self) -> Arc<Routes> {
        self.routes.clone()
    }

    /// Finishes what is under way and ends.
    pub async fn stop(self) {
        self.server.drain().await;
    }
}

/// Loopback connections that do not wait for Nagle's algorithm.
pub(super) fn connector() -> HttpConnector {
    let mut connector = HttpConnector::new();
    connector.set_nodelay(true);
    connector
}

/// The route table in force.
pub struct Routes {
    table: RwLock<RouteTable>,
    chance: Chance,
    turn: AtomicUsize,
    lost: AtomicU64,
}

impl Routes {
    /// Puts another table in force. From here on no request begins on a pod that is not in it.
    pub fn set(&self, table: RouteTable) {
        *self.table.write().unwrap_or_else(PoisonError::into_inner) = table;
    }

    /// How many requests no pod could answer.
    pub fn lost(&self) -> u64 {
        self.lost.load(Ordering::Relaxed)
    }

    /// Chooses a pod: the target by weight, the pod by turn. The request counts as under way from here on.
    fn choose(&self) -> Option<(SocketAddr, Underway)> {
        let table = self.table.read().unwrap_or_else(PoisonError::into_inner);
        let pods = if self.chance.share() < table.weight.share() { &table.canary } else { &table.stable };
        let turn = self.turn.fetch_add(1, Ordering::Relaxed);
        let pod = pods.get(turn.checked_rem(pods.len())?)?;
        Some((pod.address, pod.begin()))
    }
}

type Answer = Response<BoxBody<Bytes, hyper::Error>>;

async fn forward(routes: Arc<Routes>, client: Client<HttpConnector, Incoming>, request: Request<Incoming>) -> Answer {
    let Some((address, underway)) = routes.choose() else {
        return refuse(&routes, StatusCode::SERVICE_UNAVAILABLE, "no ready pod behind this route");
    };
    let Some(request) = address_to(request, address) else {
        return refuse(&routes, StatusCode::BAD_REQUEST, "the request target is invalid");
    };
    match client.request(request).await {
        Ok(response) => {
            let (mut head, body) = response.into_parts();
            drop_hop_by_hop(&mut head.headers);
            Response::from_parts(head, Guarded { body, _underway: underway }.boxed())
        }
        Err(error) => {
            refuse(&routes, StatusCode::BAD_GATEWAY, &format!("the pod at {address} did not respond: {error}"))
        }
    }
}

/// The splitter's own answer. It counts as a lost request.
fn refuse(routes: &Routes, status: StatusCode, why: &str) -> Answer {
    routes.lost.fetch_add(1, Ordering::Relaxed);
    tracing::warn!(why, "a request was lost");
    let body = Full::new(Bytes::from(format!("{why}\n"))).map_err(|never| match never {}).boxed();
    let mut response = Response::new(body);
    *response.status_mut() = status;
    response.headers_mut().insert(NO_POD_HEADER, header::HeaderValue::from_static("lost"));
    response
}

fn address_to(request: Request<Incoming>, pod: SocketAddr) -> Option<Request<Incoming>> {
    let (mut head, body) = request.into_parts();
    let path = head.uri.path_and_query().map_or("/", |path| path.as_str());
    head.uri = Uri::builder().scheme("http").authority(pod.to_string()).path_and_query(path).build().ok()?;
    drop_hop_by_hop(&mut head.headers);
    Some(Request::from_parts(head, body))
}

/// Headers that belong to one connection (RFC 9110 section 7.6.1) are not passed on.
pub(super) fn drop_hop_by_hop(headers: &mut HeaderMap) {
    let named: Vec<String> = headers
        .get_all(header::CONNECTION)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(',').map(|name| name.trim().to_owned()))
        .collect();
    let always = ["connection", "keep-alive", "proxy-connection", "te", "trailer", "transfer-encoding", "upgrade"];
    for name in named.iter().map(String::as_str).chain(always) {
        headers.remove(name);
    }
}

/// A body whose request counts as under way until its last byte is passed on.
struct Guarded {
    body: Incoming,
    _underway: Underway,
}

impl Body for Guarded {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        Pin::new(&mut self.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
#[path = "splitter_tests.rs"]
mod tests;
