//! Pods as real HTTP servers: they take time to start, answer as their version does, and drain before they go.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use http_body_util::Full;
use hyper::body::Bytes;
use hyper::{Response, StatusCode};
use tokio::sync::Notify;

use super::{
    chance::Chance,
    counters::{Counters, Series},
    serve::Server,
};

/// The answer's header that names the version.
pub const VERSION_HEADER: &str = "x-version";

/// How a version's pods answer.
#[derive(Clone, Debug, PartialEq)]
pub struct Behaviour {
    /// The version, sent in each response.
    pub version: String,
    /// The share of requests answered with 500, 0 to 1.
    pub error_rate: f64,
    /// How long an answer takes.
    pub latency: Duration,
    /// How long a pod takes until it is ready.
    pub start_up: Duration,
}

/// One running pod.
pub struct Pod {
    /// Its own address.
    pub address: std::net::SocketAddr,
    requests: Arc<Requests>,
    series: Arc<Series>,
    server: Server,
}

impl Pod {
    /// Starts a pod; it is ready when this returns.
    pub async fn start(
        behaviour: &Behaviour,
        workload: &str,
        counters: &Counters,
        chance: Arc<Chance>,
    ) -> std::io::Result<Pod> {
        tokio::time::sleep(behaviour.start_up).await;
        let series = counters.series(workload);
        let (answering, counting) = (Arc::new(behaviour.clone()), series.clone());
        let server = Server::start(move |_| answer(answering.clone(), counting.clone(), chance.clone())).await?;
        Ok(Pod { address: server.address, requests: Arc::default(), series, server })
    }

    /// How the splitter sees it.
    pub fn endpoint(&self) -> Endpoint {
        Endpoint { address: self.address, requests: self.requests.clone() }
    }

    /// Ends the pod once the last request that was sent to it is answered. It must be out of the route table by now.
    pub async fn drain(self) {
        self.requests.finish().await;
        self.server.drain().await;
        self.series.end();
    }
}

async fn answer(behaviour: Arc<Behaviour>, series: Arc<Series>, chance: Arc<Chance>) -> Response<Full<Bytes>> {
    if !behaviour.latency.is_zero() {
        tokio::time::sleep(behaviour.latency).await;
    }
    let bad = chance.share() < behaviour.error_rate;
    series.count(bad);
    let text = format!("{} from {}\n", if bad { "error" } else { "hello" }, behaviour.version);
    let mut response = Response::new(Full::new(Bytes::from(text)));
    if bad {
        *response.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
    }
    if let Ok(version) = behaviour.version.parse() {
        response.headers_mut().insert(VERSION_HEADER, version);
    }
    response
}

/// A pod in the route table.
#[derive(Clone)]
pub struct Endpoint {
    /// Where it listens.
    pub address: std::net::SocketAddr,
    requests: Arc<Requests>,
}

impl Endpoint {
    /// An endpoint of a foreign server.
    pub fn at(address: std::net::SocketAddr) -> Self {
        Endpoint { address, requests: Arc::default() }
    }

    /// Marks one request as under way until the guard goes.
    pub fn begin(&self) -> Underway {
        self.requests.running.fetch_add(1, Ordering::SeqCst);
        Underway(self.requests.clone())
    }
}

/// One request under way: its pod waits for it.
pub struct Underway(Arc<Requests>);

impl Drop for Underway {
    fn drop(&mut self) {
        let last = self.0.running.fetch_sub(1, Ordering::SeqCst) == 1;
        if last && self.0.finishing.load(Ordering::SeqCst) {
            self.0.idle.notify_one();
        }
    }
}

/// The requests that a pod has been sent.
#[derive(Default)]
struct Requests {
    running: AtomicUsize,
    finishing: AtomicBool,
    idle: Notify,
}

impl Requests {
    /// Waits until none is under way. New ones can no longer begin: the pod is out of the table.
    async fn finish(&self) {
        self.finishing.store(true, Ordering::SeqCst);
        while self.running.load(Ordering::SeqCst) > 0 {
            self.idle.notified().await;
        }
    }
}
