//! The proxy: one request on, its answer back.

use std::{
    error::Error,
    sync::{
        Arc, PoisonError, RwLock,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    time::Duration,
};

use http_body_util::BodyExt;
use hyper::{
    HeaderMap, Method, Request, Response, StatusCode, Version,
    body::{Bytes, Incoming},
    header::{self, HeaderValue},
};
use hyper_util::client::legacy::Error as ClientError;
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};

use super::{
    backend::Open,
    body::{AnyBody, streamed, whole},
    counted::{Counted, passed},
    headers::{drop_hop_by_hop, prepare},
    mirror::doubled,
    table::{Chosen, Table},
    tunnel::Upgrade,
};
use crate::local::{address::Address, chance::Chance};

/// The answer's header that says that the proxy itself answered, because no backend could.
pub const OWN_RESPONSE_HEADER: &str = "x-splitter";

/// So many mirrored requests are under way at most; more are dropped.
const COPIES: usize = 64;

/// A proxy. The table is swapped as a whole, and a request is open at its backend while the table is still held, so that a
/// backend which has left the table and has no open request will never be sent another one: that is when it may go.
pub struct Proxy {
    table: RwLock<Table>,
    chance: Chance,
    turn: AtomicUsize,
    timeout: Duration,
    unavailable: &'static str,
    copies: Arc<Semaphore>,
    mirrored: AtomicU64,
    /// An address could not be reached: its health should be looked at now.
    pub unreached: Notify,
}

impl Proxy {
    /// Routes nothing yet: without a backend it says `unavailable`. A response must start within `timeout`.
    pub fn new(seed: u64, timeout: Duration, unavailable: &'static str) -> Proxy {
        Proxy {
            table: RwLock::default(),
            chance: Chance::new(seed),
            turn: AtomicUsize::new(0),
            timeout,
            unavailable,
            copies: Arc::new(Semaphore::new(COPIES)),
            mirrored: AtomicU64::new(0),
            unreached: Notify::new(),
        }
    }

    /// Puts another table in force. From here on no request begins on a backend that is not in it.
    pub fn set(&self, table: Table) {
        *self.table.write().unwrap_or_else(PoisonError::into_inner) = table;
    }

    /// Copies of requests that were sent to the canary: what its pods have counted beside the requests of callers, once they
    /// are drained.
    pub fn mirrored(&self) -> u64 {
        self.mirrored.load(Ordering::Relaxed)
    }

    /// Passes one request on and its answer back.
    pub async fn pass(self: Arc<Self>, mut request: Request<Incoming>) -> Response<AnyBody> {
        if request.method() == Method::CONNECT {
            return own(StatusCode::NOT_IMPLEMENTED, "the local proxy does not support CONNECT");
        }
        let Some(Chosen { open, copy, keep }) = self.choose(request.headers()) else {
            return own(StatusCode::SERVICE_UNAVAILABLE, self.unavailable);
        };
        let upgrade = Upgrade::offered(&mut request);
        prepare(&mut request);
        let request = match (&upgrade, copy) {
            (Some(upgrade), _) => upgrade.offer(request).map(streamed),
            (None, Some(canary)) => self.clone().mirror(request, canary).await,
            (None, None) => request.map(streamed),
        };
        let mut response = self.send(request, open, upgrade).await;
        if let Some(cookie) = keep.and_then(|cookie| HeaderValue::from_str(&cookie).ok()) {
            response.headers_mut().append(header::SET_COOKIE, cookie);
        }
        response
    }

    fn choose(&self, headers: &HeaderMap) -> Option<Chosen> {
        let table = self.table.read().unwrap_or_else(PoisonError::into_inner);
        table.choose(headers, &self.chance, &self.turn)
    }

    async fn send(&self, request: Request<AnyBody>, open: Open, upgrade: Option<Upgrade>) -> Response<AnyBody> {
        let Some(request) = open.backend().aimed(request) else {
            return own(StatusCode::BAD_REQUEST, "the request target is invalid");
        };
        self.send_aimed(request, open, upgrade).await
    }

    /// Sends a request that leads to its backend. Whatever becomes of it, it is counted there.
    async fn send_aimed(&self, request: Request<AnyBody>, open: Open, upgrade: Option<Upgrade>) -> Response<AnyBody> {
        let backend = open.backend();
        let version = request.version();
        let answer = tokio::time::timeout(self.timeout, backend.send(request)).await;
        let mut counted = Counted::at(backend);
        counted.bad = !matches!(answer, Ok(Ok(_)));
        match answer {
            Ok(Ok(response)) => answered(response, counted, open, upgrade),
            Ok(Err(error)) => self.failed(backend.address(), version, &error),
            Err(_) => {
                let why = format!("{} did not respond within {} s", backend.address(), self.timeout.as_secs_f32());
                own(StatusCode::GATEWAY_TIMEOUT, &why)
            }
        }
    }

    fn failed(&self, address: &Address, version: Version, error: &ClientError) -> Response<AnyBody> {
        if error.is_connect() {
            self.unreached.notify_waiters();
        }
        let mut cause: &dyn Error = error;
        while let Some(deeper) = cause.source() {
            cause = deeper;
        }
        let why = if version == Version::HTTP_2 && !error.is_connect() {
            format!("{address} did not respond over HTTP/2, as the client's request was: {cause}; it must support h2c")
        } else {
            format!("{address} did not respond: {cause}")
        };
        own(StatusCode::BAD_GATEWAY, &why)
    }

    /// Sends a copy of the request to the canary, whose answer is discarded. It is counted before it is under way, so that
    /// none is missing when the canary's pods are drained.
    async fn mirror(self: Arc<Self>, request: Request<Incoming>, canary: Open) -> Request<AnyBody> {
        let Ok(permit) = self.copies.clone().try_acquire_owned() else { return request.map(streamed) };
        let (request, copy) = doubled(request).await;
        if let Some(copy) = copy.and_then(|copy| canary.backend().aimed(copy)) {
            self.mirrored.fetch_add(1, Ordering::Relaxed);
            tokio::spawn(self.discard(copy, canary, permit));
        }
        request
    }

    async fn discard(self: Arc<Self>, copy: Request<AnyBody>, canary: Open, _permit: OwnedSemaphorePermit) {
        let response = self.send_aimed(copy, canary, None).await;
        // An answer without end is no error of the version: a caller would hang up too.
        let _ = tokio::time::timeout(self.timeout, response.into_body().collect()).await;
    }
}

/// A backend's answer. One that switches protocols is counted at once: the judges cannot wait for the end of a tunnel.
fn answered(
    mut response: Response<Incoming>,
    mut counted: Counted,
    open: Open,
    upgrade: Option<Upgrade>,
) -> Response<AnyBody> {
    let switches = response.status() == StatusCode::SWITCHING_PROTOCOLS;
    match upgrade.filter(|_| switches) {
        Some(upgrade) => upgrade.taken(response, open),
        None if switches => {
            counted.bad = true;
            let why = format!("{} switched protocols without being asked to", open.backend().address());
            own(StatusCode::BAD_GATEWAY, &why)
        }
        None => {
            let version = response.version();
            drop_hop_by_hop(response.headers_mut(), version);
            passed(response, counted, open)
        }
    }
}

/// An answer of the proxy's own.
fn own(status: StatusCode, why: &str) -> Response<AnyBody> {
    tracing::debug!(%status, why, "answered by the proxy itself");
    let mut response = Response::new(whole(Bytes::from(format!("glidepath: {why}\n"))));
    *response.status_mut() = status;
    response.headers_mut().insert(OWN_RESPONSE_HEADER, HeaderValue::from_static("lost"));
    response
}

#[cfg(test)]
#[path = "demo_tests.rs"]
mod demo_tests;
#[cfg(test)]
#[path = "protocol_tests.rs"]
mod protocol_tests;
#[cfg(test)]
#[path = "forward_tests.rs"]
mod tests;
