//! The splitter before two addresses: a proxy for HTTP/1.1 that counts what each version answers.
//!
//! Bodies stream both ways. A request counts for its version when its answer is over: as an error when the answer was 5xx,
//! broke off, or never came. What a caller gives up on is no error of the version.

use std::{
    net::SocketAddr,
    pin::Pin,
    sync::{Arc, PoisonError, RwLock},
    task::{Context, Poll},
    time::Duration,
};

use http_body_util::{BodyExt, Full, Limited, combinators::BoxBody};
use hyper::{
    HeaderMap, Method, Request, Response, StatusCode, Uri,
    body::{Body, Bytes, Frame, Incoming, SizeHint},
    header::{self, HeaderName, HeaderValue},
};
use hyper_util::{
    client::legacy::{Client, Error as ClientError, connect::HttpConnector},
    rt::{TokioExecutor, TokioTimer},
};
use tokio::sync::{Notify, Semaphore};

use super::{address::Address, choice::Choice};
use crate::{
    engine::Target,
    local::{
        chance::Chance,
        counters::Series,
        serve::Peer,
        splitter::{NO_POD_HEADER, connector, drop_hop_by_hop},
    },
};

/// A larger body is not copied to the canary.
const COPIED_BODY: usize = 64 * 1024;
/// So many copies are under way at most; more are dropped.
const COPIES: usize = 64;
/// An idle connection is closed before most servers close it from their end.
const IDLE: Duration = Duration::from_secs(4);
/// How long an address may take to accept a connection.
const CONNECT: Duration = Duration::from_secs(2);

/// A body of either side.
type AnyBody = BoxBody<Bytes, Box<dyn std::error::Error + Send + Sync>>;

/// One version in the table.
#[derive(Clone)]
pub struct Arm {
    /// Where it answers.
    pub address: Address,
    /// Its counters while it runs.
    pub series: Option<Arc<Series>>,
}

/// Where requests go.
#[derive(Clone, Default)]
pub struct Table {
    /// The stable version.
    pub stable: Option<Arm>,
    /// What the canary target leads to.
    pub canary: Option<Arm>,
    /// Which of the two.
    pub choice: Choice,
}

/// The splitter's state.
pub struct Splitter {
    table: RwLock<Arc<Table>>,
    chance: Chance,
    client: Client<HttpConnector, AnyBody>,
    timeout: Duration,
    copies: Arc<Semaphore>,
    /// An address could not be reached: its health should be looked at now.
    pub unreached: Notify,
}

impl Splitter {
    /// Routes nothing yet. A response must start within `timeout`.
    pub fn new(seed: u64, timeout: Duration) -> Splitter {
        let mut connector = connector();
        connector.set_connect_timeout(Some(CONNECT));
        let client = Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(IDLE)
            .build(connector);
        Splitter {
            table: RwLock::default(),
            chance: Chance::new(seed),
            client,
            timeout,
            copies: Arc::new(Semaphore::new(COPIES)),
            unreached: Notify::new(),
        }
    }

    /// Puts another table in force, as a whole.
    pub fn set(&self, table: Table) {
        *self.table.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(table);
    }

    /// Passes one request on and its answer back.
    pub async fn pass(self: Arc<Self>, request: Request<Incoming>) -> Response<AnyBody> {
        if let Some(refusal) = not_passed_on(&request) {
            return refusal;
        }
        let table = self.table.read().unwrap_or_else(PoisonError::into_inner).clone();
        let chosen = table.choice.choose(request.headers(), || self.chance.share());
        let arm = match chosen.target {
            Target::Canary => table.canary.as_ref().or(table.stable.as_ref()),
            Target::Stable => table.stable.as_ref(),
        };
        let Some(arm) = arm else {
            return own(StatusCode::SERVICE_UNAVAILABLE, "no version is serving yet; see 'glidepath status --local'");
        };
        let request = forwarded(request);
        let request = match (chosen.copied, &table.canary) {
            (true, Some(canary)) => self.copy(request, canary).await,
            _ => request.map(streamed),
        };
        let mut response = self.send(request, arm).await;
        if let Some(cookie) = chosen.keep.and_then(|cookie| HeaderValue::from_str(&cookie).ok()) {
            response.headers_mut().append(header::SET_COOKIE, cookie);
        }
        response
    }

    async fn send(&self, request: Request<AnyBody>, arm: &Arm) -> Response<AnyBody> {
        let answer = match aimed(request, &arm.address) {
            Some(request) => tokio::time::timeout(self.timeout, self.client.request(request)).await,
            None => return own(StatusCode::BAD_REQUEST, "the request target is invalid"),
        };
        let mut counted = Counted { series: arm.series.clone(), bad: false };
        match answer {
            Ok(Ok(response)) => answered(response, counted),
            Ok(Err(error)) => {
                counted.bad = true;
                self.failed(&arm.address, &error)
            }
            Err(_) => {
                counted.bad = true;
                let why = format!("{} did not respond within {} s", arm.address, self.timeout.as_secs_f32());
                own(StatusCode::GATEWAY_TIMEOUT, &why)
            }
        }
    }

    fn failed(&self, address: &Address, error: &ClientError) -> Response<AnyBody> {
        if error.is_connect() {
            self.unreached.notify_waiters();
        }
        let mut cause: &dyn std::error::Error = error;
        while let Some(deeper) = cause.source() {
            cause = deeper;
        }
        own(StatusCode::BAD_GATEWAY, &format!("{address} did not respond: {cause}"))
    }

    /// Mirrors the request to the canary and discards the response. A body that is too large, or of unknown length, is
    /// not mirrored.
    async fn copy(&self, request: Request<Incoming>, canary: &Arm) -> Request<AnyBody> {
        let small = request.body().size_hint().upper().is_some_and(|size| size <= COPIED_BODY as u64);
        let Ok(permit) = self.copies.clone().try_acquire_owned() else { return request.map(streamed) };
        if !small {
            return request.map(streamed);
        }
        let (head, body) = request.into_parts();
        let body = match Limited::new(body, COPIED_BODY).collect().await {
            Ok(body) => body.to_bytes(),
            // The client disconnected: the version sees a broken body.
            Err(error) => return Request::from_parts(head, broken(error)),
        };
        let mut copy = Request::new(whole(body.clone()));
        *copy.method_mut() = head.method.clone();
        *copy.uri_mut() = head.uri.clone();
        *copy.headers_mut() = head.headers.clone();
        copy.headers_mut().insert(MIRRORED, HeaderValue::from_static("true"));
        if let Some(copy) = aimed(copy, &canary.address) {
            let (client, timeout, series) = (self.client.clone(), self.timeout, canary.series.clone());
            tokio::spawn(async move {
                let _permit = permit;
                let mut counted = Counted { series, bad: false };
                let answer = tokio::time::timeout(timeout, async {
                    let response = client.request(copy).await.ok()?;
                    let bad = response.status().is_server_error();
                    response.into_body().collect().await.ok().map(|_| bad)
                });
                counted.bad = answer.await.ok().flatten().unwrap_or(true);
            });
        }
        Request::from_parts(head, whole(body))
    }
}

/// The header of a copied request.
pub const MIRRORED: HeaderName = HeaderName::from_static("x-glidepath-mirror");

/// What the splitter cannot pass on it says so.
fn not_passed_on(request: &Request<Incoming>) -> Option<Response<AnyBody>> {
    let upgrade = request.headers().get(header::UPGRADE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let why = if request.method() == Method::CONNECT {
        "the local proxy does not support CONNECT"
    } else if upgrade.to_ascii_lowercase().contains("websocket") {
        "the local proxy does not support upgrades such as WebSocket"
    } else {
        return None;
    };
    Some(own(StatusCode::NOT_IMPLEMENTED, why))
}

/// The forwarded request: without hop-by-hop headers, and with forwarding headers.
fn forwarded(mut request: Request<Incoming>) -> Request<Incoming> {
    let peer = request.extensions().get::<Peer>().map(|peer| peer.0);
    let authority = request.uri().authority().and_then(|authority| HeaderValue::from_str(authority.as_str()).ok());
    let headers = request.headers_mut();
    drop_hop_by_hop(headers);
    // It has been answered on the way in.
    headers.remove(header::EXPECT);
    if let Some(authority) = authority {
        headers.entry(header::HOST).or_insert(authority);
    }
    if let Some(peer) = peer {
        append_peer(headers, peer);
    }
    if let Some(host) = headers.get(header::HOST).cloned() {
        headers.entry("x-forwarded-host").or_insert(host);
    }
    headers.entry("x-forwarded-proto").or_insert(HeaderValue::from_static("http"));
    request
}

fn append_peer(headers: &mut HeaderMap, peer: SocketAddr) {
    let before = headers.get_all("x-forwarded-for").iter().filter_map(|value| value.to_str().ok());
    let chain: Vec<String> = before.map(str::to_owned).chain([peer.ip().to_canonical().to_string()]).collect();
    if let Ok(value) = HeaderValue::from_str(&chain.join(", ")) {
        headers.insert("x-forwarded-for", value);
    }
}

/// The request with the address it is sent to. The Host header stays as the caller wrote it.
fn aimed(request: Request<AnyBody>, address: &Address) -> Option<Request<AnyBody>> {
    let (mut head, body) = request.into_parts();
    let path = head.uri.path_and_query().map_or("/", |path| path.as_str());
    head.uri = Uri::builder().scheme("http").authority(address.authority()).path_and_query(path).build().ok()?;
    head.version = hyper::Version::HTTP_11;
    Some(Request::from_parts(head, body))
}

fn answered(response: Response<Incoming>, mut counted: Counted) -> Response<AnyBody> {
    let (mut head, body) = response.into_parts();
    counted.bad = head.status.is_server_error();
    drop_hop_by_hop(&mut head.headers);
    Response::from_parts(head, BoxBody::new(Passed { body, counted }))
}

/// An answer of the splitter's own.
fn own(status: StatusCode, why: &str) -> Response<AnyBody> {
    tracing::debug!(%status, why, "answered by the proxy itself");
    let mut response = Response::new(whole(Bytes::from(format!("glidepath: {why}\n"))));
    *response.status_mut() = status;
    response.headers_mut().insert(NO_POD_HEADER, HeaderValue::from_static("lost"));
    response
}

fn streamed(body: Incoming) -> AnyBody {
    body.map_err(Into::into).boxed()
}

fn whole(bytes: Bytes) -> AnyBody {
    Full::new(bytes).map_err(|never| match never {}).boxed()
}

fn broken(error: Box<dyn std::error::Error + Send + Sync>) -> AnyBody {
    let mut error = Some(error);
    let frames = futures::stream::poll_fn(move |_| Poll::Ready(error.take().map(Err::<Frame<Bytes>, _>)));
    BoxBody::new(http_body_util::StreamBody::new(frames))
}

/// Counts one request when it is over.
struct Counted {
    series: Option<Arc<Series>>,
    bad: bool,
}

impl Drop for Counted {
    fn drop(&mut self) {
        if let Some(series) = &self.series {
            series.count(self.bad);
        }
    }
}

/// An answer's body on its way; the request is over with it.
struct Passed {
    body: Incoming,
    counted: Counted,
}

impl Body for Passed {
    type Data = Bytes;
    type Error = Box<dyn std::error::Error + Send + Sync>;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        let polled = Pin::new(&mut self.body).poll_frame(cx);
        if let Poll::Ready(Some(Err(_))) = &polled {
            self.counted.bad = true;
        }
        polled.map_err(Into::into)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
#[path = "proxy_tests.rs"]
mod tests;
