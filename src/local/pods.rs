//! Pods as real HTTP servers: they take time to start, answer as their version does, and drain before they go.

use std::{sync::Arc, time::Duration};

use http_body_util::Full;
use hyper::body::Bytes;
use hyper::{Response, StatusCode};

use super::{
    chance::Chance,
    counters::{Counters, Series},
    proxy::Backend,
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
    backend: Backend,
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
        Ok(Pod { backend: Backend::new(server.address.into()), series, server })
    }

    /// How the proxy sees it. The pod counts for itself.
    pub fn backend(&self) -> Backend {
        self.backend.clone()
    }

    /// Ends the pod once the last request that was sent to it is answered. It must be out of the route table by now.
    pub async fn drain(self) {
        self.backend.drained().await;
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
