//! A bounded open-loop load generator: requests leave on a schedule whatever the answers do, over a fixed number of
//! keep-alive connections. It runs on a thread of its own, so a test may block in the meantime.

use anyhow::{Context, Result};
use http_body_util::{BodyExt, Empty};
use hyper::Request;
use hyper::body::Bytes;
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use tokio::net::TcpStream;

/// An answer later than this counts as failed.
const TIMEOUT: Duration = Duration::from_secs(5);
const CONNECTIONS: usize = 16;

/// What was sent and what came back. Every request that left is under `status` or under `failures`.
#[derive(Debug, Clone, Default)]
pub struct Tally {
    pub sent: u64,
    /// Answers of any status by the header `x-version` (`-` without one).
    pub version: BTreeMap<String, u64>,
    pub status: BTreeMap<u16, u64>,
    /// Requests without an answer, by reason.
    pub failures: BTreeMap<String, u64>,
    /// The slowest answer.
    pub slowest: Duration,
}

impl Tally {
    pub fn answers(&self) -> u64 {
        self.status.values().sum()
    }

    pub fn failed(&self) -> u64 {
        self.failures.values().sum()
    }

    /// Answers of one version.
    pub fn of(&self, version: &str) -> u64 {
        self.version.get(version).copied().unwrap_or_default()
    }

    /// Requests the user lost: no answer, or one the mesh gave because it had no pod (502, 503, 504).
    pub fn lost(&self) -> u64 {
        let meshes = [502, 503, 504].iter().filter_map(|code| self.status.get(code)).sum::<u64>();
        self.failed() + meshes
    }
}

/// Where to, and how much.
#[derive(Debug, Clone)]
pub struct Plan {
    /// `HOST:PORT` to connect to.
    pub address: String,
    pub host: String,
    pub path: String,
    pub headers: Vec<(String, String)>,
    pub per_second: f64,
    /// Ends on its own after so many requests.
    pub limit: Option<u64>,
}

/// A load that is running.
pub struct Load {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<Result<()>>>,
}

struct Shared {
    plan: Plan,
    stop: AtomicBool,
    next: AtomicU64,
    tally: Mutex<Tally>,
}

impl Load {
    /// Sends `per_second` requests to the mesh client, for the Service that `host` names, until stopped.
    pub fn start(host: &str, per_second: f64) -> Self {
        Self::launch(Plan::mesh(host, per_second))
    }

    /// Starts what the plan says.
    pub fn launch(plan: Plan) -> Self {
        let shared =
            Arc::new(Shared { plan, stop: AtomicBool::new(false), next: AtomicU64::new(0), tally: Mutex::default() });
        let own = Arc::clone(&shared);
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            runtime.block_on(send_all(own));
            Ok(())
        });
        Self { shared, thread: Some(thread) }
    }

    /// What has happened so far.
    pub fn tally(&self) -> Tally {
        self.shared.tally().clone()
    }

    /// Ends the load, waits for the answers that are out, and gives the whole tally.
    pub fn stop(mut self) -> Result<Tally> {
        self.shared.stop.store(true, Ordering::Relaxed);
        self.finish()
    }

    /// Waits until a load with a limit has sent it all.
    pub fn finish(&mut self) -> Result<Tally> {
        if let Some(thread) = self.thread.take() {
            thread.join().map_err(|_| anyhow::anyhow!("the load generator panicked"))?.context("no load was sent")?;
        }
        Ok(self.tally())
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::Relaxed);
    }
}

impl Plan {
    /// To the mesh client's port 80, for the Service that `host` names.
    pub fn mesh(host: &str, per_second: f64) -> Self {
        Self {
            address: "127.0.0.1:80".into(),
            host: host.into(),
            path: "/".into(),
            headers: Vec::new(),
            per_second,
            limit: None,
        }
    }

    /// With one more request header.
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }

    /// Ends after `requests`.
    pub fn limit(mut self, requests: u64) -> Self {
        self.limit = Some(requests);
        self
    }
}

impl Shared {
    fn tally(&self) -> std::sync::MutexGuard<'_, Tally> {
        self.tally.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The moment of the next request, or none when all are sent.
    fn take_turn(&self, began: Instant) -> Option<Instant> {
        let turn = self.next.fetch_add(1, Ordering::Relaxed);
        if self.stop.load(Ordering::Relaxed) || self.plan.limit.is_some_and(|limit| turn >= limit) {
            return None;
        }
        let offset = turn as f64 / self.plan.per_second.max(0.001);
        Some(began + Duration::from_secs_f64(offset))
    }

    fn record(&self, outcome: Result<(u16, String), String>, took: Duration) {
        let mut tally = self.tally();
        tally.sent += 1;
        match outcome {
            Ok((status, version)) => {
                *tally.status.entry(status).or_default() += 1;
                *tally.version.entry(version).or_default() += 1;
                tally.slowest = tally.slowest.max(took);
            }
            Err(reason) => *tally.failures.entry(reason).or_default() += 1,
        }
    }
}

async fn send_all(shared: Arc<Shared>) {
    let began = Instant::now();
    let workers: Vec<_> = (0..CONNECTIONS).map(|_| tokio::spawn(work(Arc::clone(&shared), began))).collect();
    futures::future::join_all(workers).await;
}

async fn work(shared: Arc<Shared>, began: Instant) {
    let mut connection = None;
    while let Some(at) = shared.take_turn(began) {
        // In short naps, so that a stop is heard.
        while let Some(left) = at.checked_duration_since(Instant::now()).filter(|left| !left.is_zero()) {
            if shared.stop.load(Ordering::Relaxed) {
                return;
            }
            tokio::time::sleep(left.min(Duration::from_millis(100))).await;
        }
        let sent = Instant::now();
        let outcome = match tokio::time::timeout(TIMEOUT, send(&shared.plan, &mut connection)).await {
            Ok(outcome) => outcome.map_err(|error| format!("{error:#}")),
            Err(_) => {
                connection = None;
                Err("no response in time".to_owned())
            }
        };
        shared.record(outcome, sent.elapsed());
    }
}

type Connection = SendRequest<Empty<Bytes>>;

/// Sends one request, on a fresh connection when the kept one was closed before the request left.
async fn send(plan: &Plan, kept: &mut Option<Connection>) -> Result<(u16, String)> {
    loop {
        let (mut connection, reused) = match kept.take() {
            Some(connection) => (connection, true),
            None => (connect(&plan.address).await?, false),
        };
        if connection.ready().await.is_err() && reused {
            continue;
        }
        let response = match connection.send_request(request(plan)?).await {
            Ok(response) => response,
            // Never left this machine: an ordinary client sends it again too.
            Err(error) if error.is_canceled() && reused => continue,
            Err(error) => return Err(error.into()),
        };
        let status = response.status().as_u16();
        let version = response.headers().get("x-version").and_then(|v| v.to_str().ok()).unwrap_or("-").to_owned();
        response.into_body().collect().await?;
        *kept = Some(connection);
        return Ok((status, version));
    }
}

async fn connect(address: &str) -> Result<Connection> {
    let stream = TcpStream::connect(address).await.context("no connection")?;
    stream.set_nodelay(true)?;
    let (connection, driver) = http1::handshake(TokioIo::new(stream)).await?;
    tokio::spawn(driver);
    Ok(connection)
}

fn request(plan: &Plan) -> Result<Request<Empty<Bytes>>> {
    let mut request = Request::get(&plan.path).header("host", &plan.host);
    for (name, value) in &plan.headers {
        request = request.header(name, value);
    }
    Ok(request.body(Empty::new())?)
}
