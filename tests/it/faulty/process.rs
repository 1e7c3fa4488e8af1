//! A controller under test: the real one, in an environment that leads to the faulty cluster.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use glidepath::{
    cluster::{Cluster, EventSender, Fence, ServerClock, Streams, WatchRequests, table::ObjectKey, watch},
    controller::{Environment, Settings, run_in},
    engine::{GateAnswer, GateQuestion},
    evidence::{Answer, ArmCounts, Query},
    metrics::Metrics,
    ports::{
        Clock, GateAsker, RolloutKey,
        source::{Asking, Fault::Unreachable, Source, SourceError},
    },
    reconcile::GateDesk,
    source::OwnPrometheus,
};
use jiff::SignedDuration;
use kube::Client;
use tokio::{
    task::{JoinHandle, JoinSet},
    time::{Sleep, sleep},
};
use tokio_util::sync::CancellationToken;
use tower::{BoxError, Layer, buffer::BufferLayer, retry::Policy, retry::RetryLayer, util::MapErrLayer};

use super::{
    cluster::{FaultyCluster, SkewedClock},
    faults::Fault,
    leadership::identity,
    store::{Key, text},
    wire::Connection,
};

/// How long a container that ended takes to come back.
const RESTART: Duration = Duration::from_secs(2);

/// How a process differs from the others.
#[derive(Clone, Copy, Debug)]
pub struct Process {
    pub number: usize,
    /// How far its clock is off.
    pub skew: SignedDuration,
    pub leader_elect: bool,
}

impl Process {
    pub fn new(number: usize) -> Process {
        Process { number, skew: SignedDuration::ZERO, leader_elect: true }
    }
}

/// A process that runs, and runs again when it ends.
pub struct Running {
    pub process: Process,
    cluster: Arc<FaultyCluster>,
    life: u32,
    stop: CancellationToken,
    task: JoinHandle<()>,
}

impl Running {
    pub fn start(cluster: &Arc<FaultyCluster>, process: Process) -> Running {
        Running::live(cluster, process, 0)
    }

    fn live(cluster: &Arc<FaultyCluster>, process: Process, life: u32) -> Running {
        let stop = CancellationToken::new();
        let task = tokio::spawn(keep_running(Arc::clone(cluster), process, life, stop.clone()));
        Running { process, cluster: Arc::clone(cluster), life, stop, task }
    }

    /// Asks it to end, as a rolling update does; its successor starts when it has.
    pub fn restart(self) -> Running {
        self.stop.cancel();
        let (stop, life) = (CancellationToken::new(), self.life + 1);
        let (cluster, process, last) = (Arc::clone(&self.cluster), self.process, stop.clone());
        let task = tokio::spawn(async move {
            drop(self.task.await);
            keep_running(cluster, process, life, last).await;
        });
        Running { process: self.process, cluster: self.cluster, life, stop, task }
    }

    /// Ends it at once, in the middle of whatever it does, and starts it again.
    pub fn crash(self) -> Running {
        self.task.abort();
        self.cluster.with(|c| c.killed.push((self.process.number, self.life)));
        Running::live(&self.cluster, self.process, self.life + 1)
    }
}

async fn keep_running(cluster: Arc<FaultyCluster>, process: Process, life: u32, stop: CancellationToken) {
    while !stop.is_cancelled() {
        let settings = Settings {
            routes: glidepath::router::RouteScope::default(),
            namespace: None,
            class: None,
            prometheus: Some(OwnPrometheus { address: "http://prometheus:9090".into(), ..OwnPrometheus::default() }),
            listen: ([127, 0, 0, 1], 0).into(),
            leader_elect: process.leader_elect,
            lease_namespace: Some("shop".into()),
            identity: identity(process.number),
            concurrency: 16,
            allow_hosts: Vec::new(),
            mesh: None,
        };
        let outcome = run_in(environment(&cluster, process, life), settings, stop.clone()).await;
        let outcome = outcome.map_or_else(|error| error.to_string(), |()| "ended".into());
        cluster.note(format!("{} the process is over: {outcome}", process.number));
        sleep(RESTART).await;
    }
}

/// What the real controller reaches out with, over a connection to the faulty cluster.
pub fn environment(cluster: &Arc<FaultyCluster>, process: Process, life: u32) -> Environment {
    let clock: Arc<dyn Clock> = Arc::new(SkewedClock { cluster: Arc::clone(cluster), skew: process.skew });
    let (metrics, server_clock) = (Metrics::default(), ServerClock::default());
    let watched = WatchRequests { metrics: metrics.clone(), clock: Arc::clone(&clock), server: server_clock.clone() };
    let connection = Connection { cluster: Arc::clone(cluster), process: process.number, life };
    // The layers of a real client, in their order.
    let buffered = BufferLayer::new(1024).layer(watched.layer(retrying(connection.clone())));
    Environment {
        client: Client::new(buffered, "shop"),
        no_retry_client: Client::new(watched.layer(connection), "shop"),
        server_clock,
        clock,
        source: Arc::new(ByImage { cluster: Arc::clone(cluster) }),
        gates: Arc::new(OpenGates),
        metrics,
    }
}

/// The watches alone.
pub struct Watching {
    pub streams: Streams,
    _tasks: JoinSet<()>,
}

/// Starts the watches of a controller and nothing else.
pub fn watching(cluster: &Arc<FaultyCluster>, process: Process) -> Watching {
    let Environment { client, no_retry_client, clock, gates, .. } = environment(cluster, process, 0);
    let fence = Fence::default();
    let events = EventSender::start(client.clone(), &fence, None);
    let (streams, settings) = (Streams::default(), glidepath::cluster::Settings::default());
    let clients = (client, no_retry_client);
    let (deaf, gates) = (Arc::new(Deaf), GateDesk::new(gates));
    let watched = Arc::new(Cluster::new(clients, settings, clock, events, deaf, gates, fence));
    let tasks = watch::start(&watched, &streams);
    Watching { streams, _tasks: tasks }
}

/// No one works on anything.
struct Deaf;

impl watch::Triggers for Deaf {
    fn rollout(&self, _: RolloutKey) {}
    fn rollout_first(&self, _: RolloutKey) {}
    fn rollout_counts(&self, _: RolloutKey) {}
    fn run(&self, _: ObjectKey) {}
    fn policy(&self, _: ObjectKey) {}
}

fn retrying(
    connection: Connection,
) -> impl tower::Service<
    axum::http::Request<kube::client::Body>,
    Response = axum::http::Response<axum::body::Body>,
    Error = BoxError,
    Future = impl Send + 'static,
> + Send
+ 'static {
    RetryLayer::new(Retry::default()).layer(MapErrLayer::new(BoxError::from).layer(connection))
}

/// kube's own policy, without its random jitter, which no seed reaches: 15 times, from 5 ms on, doubled, `Retry-After`
/// first.
#[derive(Clone, Debug, Default)]
struct Retry {
    tried: u32,
}

type Response = axum::http::Response<axum::body::Body>;

impl Policy<axum::http::Request<kube::client::Body>, Response, BoxError> for Retry {
    type Future = Sleep;

    fn retry(
        &mut self,
        _: &mut axum::http::Request<kube::client::Body>,
        answer: &mut Result<Response, BoxError>,
    ) -> Option<Sleep> {
        let response = answer.as_ref().ok()?;
        if !matches!(response.status().as_u16(), 429 | 503 | 504) || self.tried == 15 {
            return None;
        }
        self.tried += 1;
        let own = Duration::from_millis(5 << self.tried.min(17));
        let asked = response.headers().get("Retry-After").and_then(|value| value.to_str().ok()?.parse().ok());
        Some(sleep(asked.map_or(own, Duration::from_secs).max(own)))
    }

    fn clone_request(
        &mut self,
        request: &axum::http::Request<kube::client::Body>,
    ) -> Option<axum::http::Request<kube::client::Body>> {
        let mut clone = axum::http::Request::new(request.body().try_clone()?);
        clone.method_mut().clone_from(request.method());
        clone.uri_mut().clone_from(request.uri());
        clone.headers_mut().clone_from(request.headers());
        Some(clone)
    }
}

/// Numbers by what runs: an image with `bad` in its name answers every fifth request with an error.
struct ByImage {
    cluster: Arc<FaultyCluster>,
}

#[async_trait]
impl Source for ByImage {
    async fn answer(&self, _: &Asking<'_>, queries: &[Query]) -> Vec<Result<Answer, SourceError>> {
        sleep(Duration::from_millis(20)).await;
        // When one fault ends another may be under way.
        loop {
            let now = self.cluster.now();
            match self.cluster.with(|c| c.faults.of_source(now)) {
                Some((Fault::SourceHangs, until)) => sleep(until - now).await,
                Some(_) => {
                    let error = || SourceError::new(Unreachable, "cannot reach Prometheus".into());
                    return queries.iter().map(|_| Err(error())).collect();
                }
                None => break,
            }
        }
        let arm = |set: &str| {
            let key = Key::shop("replicasets", set);
            let set = self.cluster.with(|c| c.store.get(&key).cloned())?;
            let bad = text(&set, "/spec/template/spec/containers/0/image").contains("bad");
            Some(ArmCounts { total: 20_000, bad: if bad { 4_000 } else { 0 } })
        };
        let answer = |query: &Query| match query {
            Query::Increments(query) => {
                let (canary, stable) = (arm(&query.arms.canary), arm(&query.arms.stable));
                Answer::Increments { canary, stable, notes: Vec::new() }
            }
            Query::Spread(_) => Answer::Spread(None),
            _ => Answer::Scalar(Some(0.0)),
        };
        queries.iter().map(|query| Ok(answer(query))).collect()
    }
}

/// Every gate says yes.
struct OpenGates;

#[async_trait]
impl GateAsker for OpenGates {
    async fn ask(&self, _: &str, _: &GateQuestion) -> GateAnswer {
        GateAnswer::Yes
    }
}
