//! A gRPC client of the mesh: streams of the pods' one method over HTTP/2, one that is kept and watched, or many short ones.

use crate::node::grpc::{GRPC, MESSAGES, WATCH};
use anyhow::{Context, Result, ensure};
use futures::future::try_join_all;
use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::http2::{self, SendRequest};
use hyper::{Request, Response};
use hyper_util::rt::{TokioExecutor, TokioIo};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::net::TcpStream;
use tokio::runtime::{Builder, Runtime};

/// The mesh client's port for Services of port 80.
const MESH: &str = "127.0.0.1:80";
/// A request message without a field.
const EMPTY: Bytes = Bytes::from_static(&[0; 5]);
const CONNECTIONS: u64 = 16;

/// What has come of a stream.
#[derive(Debug, Clone, Default)]
pub struct Seen {
    /// Messages by the version in them. Each had the number after the one before it, or the stream has an end that says so.
    pub messages: BTreeMap<String, u64>,
    /// How it ended, once it has: the pod's `grpc-status`, or what went wrong.
    pub end: Option<Result<String, String>>,
}

impl Seen {
    pub fn count(&self) -> u64 {
        self.messages.values().sum()
    }

    fn take(&mut self, text: &str) -> Result<()> {
        let (version, number) = text.split_once(' ').with_context(|| format!("a message that says {text:?}"))?;
        ensure!(number.parse() == Ok(self.count()), "message {number} after {} messages", self.count());
        *self.messages.entry(version.to_owned()).or_default() += 1;
        Ok(())
    }
}

/// One stream that is read until it ends or is dropped.
pub struct Watch {
    seen: Arc<Mutex<Seen>>,
    /// Reads it.
    _runtime: Runtime,
}

impl Watch {
    /// Opens a stream to the Service that `host` names, on a connection of its own.
    pub fn open(host: &str) -> Self {
        let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let (seen, host) = (Arc::<Mutex<Seen>>::default(), host.to_owned());
        let own = Arc::clone(&seen);
        runtime.spawn(async move {
            let end = watch(&host, &own).await.map_err(|error| format!("{error:#}"));
            locked(&own).end = Some(end);
        });
        Self { seen, _runtime: runtime }
    }

    /// What has come so far.
    pub fn seen(&self) -> Seen {
        locked(&self.seen).clone()
    }
}

/// Opens many streams, of one message each, and gives how many were of each version.
pub fn short_streams(host: &str, streams: u64) -> Result<BTreeMap<String, u64>> {
    let runtime = Builder::new_current_thread().enable_all().build()?;
    let work =
        (0..CONNECTIONS).map(|at| some_streams(host, streams / CONNECTIONS + u64::from(at < streams % CONNECTIONS)));
    let mut all = BTreeMap::new();
    for (version, count) in runtime.block_on(try_join_all(work))?.into_iter().flatten() {
        *all.entry(version).or_default() += count;
    }
    Ok(all)
}

async fn some_streams(host: &str, streams: u64) -> Result<BTreeMap<String, u64>> {
    let (mut connection, seen) = (connect().await?, Mutex::default());
    for opened in 0..streams {
        let one = Mutex::default();
        let status = read(call(&mut connection, host, Some(1)).await?, &one).await?;
        let one = locked(&one).clone();
        ensure!(status == "0" && one.count() == 1, "stream {opened}: status {status} after {one:?}");
        locked(&seen).extend_by(one);
    }
    Ok(seen.into_inner().unwrap_or_else(PoisonError::into_inner).messages)
}

impl Seen {
    fn extend_by(&mut self, other: Self) {
        for (version, count) in other.messages {
            *self.messages.entry(version).or_default() += count;
        }
    }
}

async fn watch(host: &str, seen: &Mutex<Seen>) -> Result<String> {
    let mut connection = connect().await?;
    read(call(&mut connection, host, None).await?, seen).await
}

async fn connect() -> Result<SendRequest<Full<Bytes>>> {
    let stream = TcpStream::connect(MESH).await.context("no connection")?;
    stream.set_nodelay(true)?;
    let (connection, driver) = http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await?;
    tokio::spawn(driver);
    Ok(connection)
}

async fn call(
    connection: &mut SendRequest<Full<Bytes>>,
    host: &str,
    messages: Option<u64>,
) -> Result<Response<Incoming>> {
    let mut request =
        Request::post(format!("http://{host}{WATCH}")).header("content-type", GRPC).header("te", "trailers");
    if let Some(messages) = messages {
        request = request.header(MESSAGES, messages.to_string());
    }
    connection.ready().await?;
    let response = connection.send_request(request.body(Full::new(EMPTY))?).await?;
    let headers = response.headers();
    // A proxy's own answer has its status there, without any message.
    ensure!(response.status() == 200 && !headers.contains_key("grpc-status"), "{} {headers:?}", response.status());
    Ok(response)
}

/// Reads messages to the end; gives the status in the trailers.
async fn read(response: Response<Incoming>, seen: &Mutex<Seen>) -> Result<String> {
    let (mut body, mut rest) = (response.into_body(), Vec::new());
    while let Some(frame) = body.frame().await {
        match frame?.into_data() {
            Ok(data) => {
                rest.extend_from_slice(&data);
                while let Some(text) = message(&mut rest)? {
                    locked(seen).take(&text)?;
                }
            }
            Err(frame) => {
                let trailers = frame.into_trailers().ok().context("a frame of an unknown kind")?;
                ensure!(rest.is_empty(), "the end came within a message");
                let status = trailers.get("grpc-status").context("trailers without a status")?;
                return Ok(status.to_str()?.to_owned());
            }
        }
    }
    anyhow::bail!("it ended without trailers")
}

/// Takes the first message, if all of it is there.
fn message(rest: &mut Vec<u8>) -> Result<Option<String>> {
    let Some(length) = rest.get(1..5) else { return Ok(None) };
    let end = 5 + u32::from_be_bytes(length.try_into()?) as usize;
    if rest.len() < end {
        return Ok(None);
    }
    let message: Vec<u8> = rest.drain(..end).skip(5).collect();
    Ok(Some(String::from_utf8(message)?))
}

fn locked(seen: &Mutex<Seen>) -> MutexGuard<'_, Seen> {
    seen.lock().unwrap_or_else(PoisonError::into_inner)
}
