//! The demo's users: an open-loop load generator. It keeps its rate whatever the answers do, and counts every request.

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use http_body_util::{BodyExt, Empty};
use hyper::body::Bytes;
use hyper::{
    Request, StatusCode,
    header::{HeaderName, HeaderValue},
};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use tokio::{task::JoinHandle, time::Instant};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{
    pods::VERSION_HEADER,
    proxy::{OWN_RESPONSE_HEADER, connector},
};

/// How often the generator looks whether requests are due.
const BEAT: Duration = Duration::from_millis(5);
/// After this long a request counts as failed.
const PATIENCE: Duration = Duration::from_secs(10);

/// One of so many requests is a tester's.
const TESTERS: u64 = 50;

/// Who sends requests.
#[derive(Clone, Debug, Default)]
pub struct Users {
    /// Requests a second, evenly spaced.
    pub rps: u32,
    /// What testers' requests carry, in turn; without any all users are alike.
    pub testers: Vec<(HeaderName, HeaderValue)>,
}

impl Users {
    /// All alike.
    pub fn at(rps: u32) -> Self {
        Users { rps, testers: Vec::new() }
    }

    /// What the request of this number carries.
    fn carried(&self, number: u64) -> Option<(HeaderName, HeaderValue)> {
        if !number.is_multiple_of(TESTERS) {
            return None;
        }
        let turn = (number / TESTERS).checked_rem(self.testers.len() as u64)?;
        self.testers.get(turn as usize).cloned()
    }
}

/// What one version answered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Answers {
    /// All answers.
    pub all: u64,
    /// 5xx among them.
    pub errors: u64,
}

/// What the users have seen.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Requests that were sent.
    pub sent: u64,
    /// Answers from pods, by version.
    pub versions: BTreeMap<String, Answers>,
    /// Answers by status code.
    pub statuses: BTreeMap<u16, u64>,
    /// Those of testers among them.
    pub testers: BTreeMap<String, u64>,
    /// Requests that the proxy answered itself because no pod could.
    pub refused: u64,
    /// Requests without a whole answer: refused or broken connections, time-outs.
    pub transport_failures: u64,
}

impl Tally {
    /// Answers from pods.
    pub fn answered(&self) -> u64 {
        self.versions.values().map(|answers| answers.all).sum()
    }

    /// Requests whose fate is not yet known.
    pub fn underway(&self) -> u64 {
        self.sent.saturating_sub(self.answered() + self.refused + self.transport_failures)
    }

    /// What one version answered.
    pub fn of(&self, version: &str) -> Answers {
        self.versions.get(version).copied().unwrap_or_default()
    }
}

/// A running generator.
pub struct Traffic {
    tally: Arc<Mutex<Tally>>,
    stop: CancellationToken,
    sending: JoinHandle<()>,
    requests: TaskTracker,
}

impl Traffic {
    /// Sends the users' requests to `address`.
    pub fn start(address: SocketAddr, users: Users) -> Traffic {
        let (tally, stop, requests) = (Arc::<Mutex<Tally>>::default(), CancellationToken::new(), TaskTracker::new());
        let sending = tokio::spawn(send(address, users, tally.clone(), stop.clone(), requests.clone()));
        Traffic { tally, stop, sending, requests }
    }

    /// What has been seen so far.
    pub fn tally(&self) -> Tally {
        locked(&self.tally).clone()
    }

    /// Sends no more, waits for all answers, and gives the whole account.
    pub async fn stop(self) -> Tally {
        self.stop.cancel();
        if self.sending.await.is_err() {
            tracing::warn!("the load generator ended unexpectedly");
        }
        self.requests.close();
        self.requests.wait().await;
        locked(&self.tally).clone()
    }
}

fn locked(tally: &Mutex<Tally>) -> std::sync::MutexGuard<'_, Tally> {
    tally.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn send(
    address: SocketAddr,
    users: Users,
    tally: Arc<Mutex<Tally>>,
    stop: CancellationToken,
    requests: TaskTracker,
) {
    let client: Client<HttpConnector, Empty<Bytes>> = Client::builder(TokioExecutor::new()).build(connector());
    let mut beat = tokio::time::interval(BEAT);
    let started = Instant::now();
    let mut sent = 0_u64;
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            _ = beat.tick() => {}
        }
        // After a suspension at most one second of requests is made up for, not a flood.
        let due = (started.elapsed().as_secs_f64() * f64::from(users.rps)) as u64;
        sent = sent.max(due.saturating_sub(u64::from(users.rps)));
        while sent < due {
            sent += 1;
            locked(&tally).sent += 1;
            requests.spawn(ask(client.clone(), address, users.carried(sent), tally.clone()));
        }
    }
}

async fn ask(
    client: Client<HttpConnector, Empty<Bytes>>,
    address: SocketAddr,
    carried: Option<(HeaderName, HeaderValue)>,
    tally: Arc<Mutex<Tally>>,
) {
    let is_tester = carried.is_some();
    let outcome = tokio::time::timeout(PATIENCE, exchange(client, address, carried)).await;
    let mut tally = locked(&tally);
    let Ok(Some(seen)) = outcome else {
        tally.transport_failures += 1;
        return;
    };
    *tally.statuses.entry(seen.status.as_u16()).or_default() += 1;
    match seen.version {
        Some(version) => {
            if is_tester {
                *tally.testers.entry(version.clone()).or_default() += 1;
            }
            let answers = tally.versions.entry(version).or_default();
            answers.all += 1;
            answers.errors += u64::from(seen.status.is_server_error());
        }
        None => tally.refused += 1,
    }
}

struct SeenAnswer {
    status: StatusCode,
    /// `None` when the proxy answered itself.
    version: Option<String>,
}

/// One request with its whole answer; `None` when the connection broke.
async fn exchange(
    client: Client<HttpConnector, Empty<Bytes>>,
    address: SocketAddr,
    carried: Option<(HeaderName, HeaderValue)>,
) -> Option<SeenAnswer> {
    let mut request = Request::get(format!("http://{address}/")).body(Empty::new()).ok()?;
    request.headers_mut().extend(carried);
    let response = client.request(request).await.ok()?;
    let status = response.status();
    let header = |name| response.headers().get(name)?.to_str().ok().map(str::to_owned);
    let version =
        if header(OWN_RESPONSE_HEADER).is_some() { None } else { Some(header(VERSION_HEADER).unwrap_or_default()) };
    response.into_body().collect().await.ok()?;
    Some(SeenAnswer { status, version })
}
