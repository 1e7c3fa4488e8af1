//! One pod: what it was configured to do, the server on its own address, and what it counted.

use super::behaviour::{Latency, Told};
use super::control::PodCount;
use super::grpc::{self, Body};
use super::metrics::{Counts, Owner};
use anyhow::{Context, Result};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::{Request, Response};
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto::Builder;
use k8s_openapi::api::core::v1::Pod as Object;
use kube::ResourceExt;
use std::collections::BTreeMap;
use std::convert::Infallible;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;

/// What the pod was configured to do, from its template; it does not change.
pub struct Orders {
    pub version: String,
    pub port: u16,
    pub start_delay: Duration,
    pub never_ready: bool,
    pub drain: Duration,
    error_rate: f64,
    latency_ms: f64,
    /// In place of `latency_ms`.
    latency: Option<Latency>,
}

/// What can change while the pod runs.
#[derive(Clone, Copy)]
struct Mood {
    error_rate: f64,
    latency_ms: f64,
}

pub struct Pod {
    pub namespace: String,
    pub name: String,
    pub uid: String,
    pub workload: String,
    pub labels: BTreeMap<String, String>,
    pub containers: Vec<(String, String)>,
    pub orders: Orders,
    pub address: OnceLock<Ipv4Addr>,
    /// Set once, when deletion begins.
    pub leaving: AtomicBool,
    pub ready: AtomicBool,
    /// Ends the server: the address refuses connections from then on.
    pub closed: CancellationToken,
    mood: Mutex<Mood>,
    counts: Mutex<Counts>,
}

impl Pod {
    pub fn new(object: &Object, told: &Told) -> Self {
        let orders = Orders::read(object, told);
        let pod = Self {
            namespace: object.namespace().unwrap_or_default(),
            name: object.name_any(),
            uid: object.uid().unwrap_or_default(),
            workload: owner_name(object),
            labels: object.labels().clone(),
            containers: containers(object),
            mood: Mutex::new(Mood { error_rate: orders.error_rate, latency_ms: orders.latency_ms }),
            orders,
            address: OnceLock::new(),
            leaving: AtomicBool::new(false),
            ready: AtomicBool::new(false),
            closed: CancellationToken::new(),
            counts: Mutex::new(Counts::default()),
        };
        pod.obey(object);
        pod
    }

    /// Takes over the annotations that change a running pod.
    pub fn obey(&self, object: &Object) {
        let told = |name: &str, or: f64| object.annotations().get(name).and_then(|v| v.parse().ok()).unwrap_or(or);
        *lock(&self.mood) = Mood {
            error_rate: told("fake/error-rate", self.orders.error_rate),
            latency_ms: told("fake/latency-ms", self.orders.latency_ms),
        };
    }

    /// Serves HTTP/1 and HTTP/2 without TLS, gRPC among it, on the pod's own address until `closed`.
    pub async fn serve(self: Arc<Self>, address: Ipv4Addr) -> Result<()> {
        let at = SocketAddrV4::new(address, self.orders.port);
        let listener =
            TcpListener::bind(at).await.with_context(|| format!("pod {} cannot listen on {at}", self.name))?;
        tokio::spawn(async move {
            loop {
                tokio::select! {
                    () = self.closed.cancelled() => return,
                    Ok((stream, _)) = listener.accept() => { tokio::spawn(Arc::clone(&self).talk(stream)); }
                }
            }
        });
        Ok(())
    }

    async fn talk(self: Arc<Self>, stream: TcpStream) {
        // Without it small answers wait for the caller's acknowledgement.
        let _ = stream.set_nodelay(true);
        let pod = Arc::clone(&self);
        let service = hyper::service::service_fn(move |request| Arc::clone(&pod).answer(request));
        let builder = Builder::new(TokioExecutor::new());
        let connection = builder.serve_connection(TokioIo::new(stream), service);
        let mut connection = std::pin::pin!(connection);
        tokio::select! {
            _ = connection.as_mut() => return,
            () = self.closed.cancelled() => connection.as_mut().graceful_shutdown(),
        }
        // The caller may go away at any time; that is its own business.
        let _ = connection.await;
    }

    async fn answer(self: Arc<Self>, request: Request<Incoming>) -> Result<Response<Body>, Infallible> {
        if request.uri().path() == "/metrics" {
            return Ok(Response::new(whole(self.metrics())));
        }
        let began = Instant::now();
        let mood = *lock(&self.mood);
        if let Some(latency) = self.orders.latency {
            tokio::time::sleep(latency.draw()).await;
        } else if mood.latency_ms > 0.0 {
            let draw = -(1.0 - rand::random::<f64>()).ln();
            tokio::time::sleep(Duration::from_secs_f64(mood.latency_ms / 1000.0 * draw)).await;
        }
        let code = if rand::random::<f64>() < mood.error_rate { 500 } else { 200 };
        // HTTP/2 has the host in the URI.
        let header = request.headers().get("host").and_then(|h| h.to_str().ok());
        let host = header.or(request.uri().host()).unwrap_or_default();
        let service = host.split(['.', ':']).next().unwrap_or_default();
        lock(&self.counts).record(service, code, began.elapsed());
        if code == 200 && grpc::is_call(&request) {
            return Ok(grpc::answer(&self, &request));
        }
        let response = Response::builder()
            .status(code)
            .header("x-version", &self.orders.version)
            .header("x-pod", &self.name)
            .header("x-host", host)
            .body(whole(self.orders.version.clone()));
        // Only a version that is no header value can fail here.
        Ok(response.unwrap_or_else(|_| Response::new(whole("the version is not a valid header value".to_owned()))))
    }

    fn metrics(&self) -> String {
        lock(&self.counts).page(&Owner { namespace: &self.namespace, workload: &self.workload })
    }

    /// What a test may read about the pod, also after it has gone.
    pub fn count(&self, gone: bool) -> PodCount {
        let codes = lock(&self.counts).codes();
        PodCount {
            namespace: self.namespace.clone(),
            pod: self.name.clone(),
            workload: self.workload.clone(),
            version: self.orders.version.clone(),
            address: self.address.get().map(ToString::to_string).unwrap_or_default(),
            ready: !gone && self.ready.load(Ordering::Relaxed) && !self.leaving.load(Ordering::Relaxed),
            gone,
            requests: codes.values().sum(),
            errors: codes.iter().filter(|(code, _)| **code >= 500).map(|(_, n)| n).sum(),
            codes,
        }
    }
}

impl Orders {
    fn read(object: &Object, told: &Told) -> Self {
        let container = object.spec.as_ref().and_then(|spec| spec.containers.first());
        let env = container.and_then(|c| c.env.as_deref()).unwrap_or_default();
        let var = |name: &str| env.iter().find(|e| e.name == name).and_then(|e| e.value.as_deref());
        let number = |name: &str, or: f64| var(name).and_then(|v| v.parse::<f64>().ok()).unwrap_or(or);
        let image = container.and_then(|c| c.image.clone()).unwrap_or_default();
        let behaviour = told.of(&object.namespace().unwrap_or_default(), &image);
        let ports = container.and_then(|c| c.ports.as_deref()).unwrap_or_default();
        let own = Self {
            version: var("VERSION").map_or(image, ToOwned::to_owned),
            port: ports.first().and_then(|p| u16::try_from(p.container_port).ok()).unwrap_or(8080),
            start_delay: Duration::from_secs_f64(number("START_DELAY_S", 0.0).max(0.0)),
            never_ready: var("NEVER_READY").is_some_and(|v| !v.is_empty()),
            drain: Duration::from_secs_f64(number("DRAIN_MS", 2000.0).max(0.0) / 1000.0),
            error_rate: number("ERROR_RATE", 0.0),
            latency_ms: number("LATENCY_MS", 0.0),
            latency: None,
        };
        let Some(behaviour) = behaviour else { return own };
        Self {
            start_delay: Duration::from_secs_f64(behaviour.startup.unwrap_or_default().max(0.0)),
            never_ready: behaviour.never_ready,
            error_rate: behaviour.error_rate,
            latency: behaviour.latency,
            ..own
        }
    }
}

fn whole(text: String) -> Body {
    Full::from(text).boxed_unsync()
}

fn owner_name(object: &Object) -> String {
    let owner = object.owner_references().iter().find(|owner| owner.controller == Some(true));
    owner.map_or_else(|| object.name_any(), |owner| owner.name.clone())
}

fn containers(object: &Object) -> Vec<(String, String)> {
    let containers = object.spec.as_ref().map(|spec| spec.containers.as_slice()).unwrap_or_default();
    containers.iter().map(|c| (c.name.clone(), c.image.clone().unwrap_or_default())).collect()
}

pub fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    // A panic in one request handler leaves plain counters behind, never a broken state.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
