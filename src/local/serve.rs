//! A server for HTTP/1.1 and for HTTP/2 without TLS (h2c) that can be drained: nothing it has accepted is cut off.

use std::{convert::Infallible, future::Future, io, net::SocketAddr, pin::Pin, time::Duration};

use hyper::{
    Request, Response,
    body::{Body, Incoming},
    server::conn::{http1, http2},
    service::service_fn,
};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::{
    io::{AsyncReadExt, join},
    net::{TcpListener, TcpStream},
    task::JoinHandle,
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

/// What HTTP/2 by prior knowledge begins with (RFC 9113 section 3.4).
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// Where a request came from: an extension of it.
#[derive(Clone, Debug)]
pub struct Peer {
    /// The caller's address.
    pub address: SocketAddr,
    /// What outlives the answer on the caller's connection runs here: the server is drained only after it.
    pub tunnels: TaskTracker,
}

/// A running server.
#[derive(Debug)]
pub struct Server {
    /// Where it listens.
    pub address: SocketAddr,
    stop: CancellationToken,
    connections: TaskTracker,
    accepting: JoinHandle<()>,
}

impl Server {
    /// Listens on a free loopback port and answers every request with `answer`.
    pub async fn start<A, F, B>(answer: A) -> io::Result<Server>
    where
        A: Fn(Request<Incoming>) -> F + Clone + Send + Sync + 'static,
        F: Future<Output = Response<B>> + Send + 'static,
        B: Body + Send + 'static,
        B::Data: Send,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        Server::on(TcpListener::bind((std::net::Ipv4Addr::LOCALHOST, 0)).await?, None, answer)
    }

    /// Answers every request that comes to this listener with `answer`. Each carries its [`Peer`]. With `idle_timeout`
    /// a connection is closed when the head of its next request does not arrive in that time; one of HTTP/2, which may
    /// be idle for long, when its caller does not answer a ping.
    pub fn on<A, F, B>(listener: TcpListener, idle_timeout: Option<Duration>, answer: A) -> io::Result<Server>
    where
        A: Fn(Request<Incoming>) -> F + Clone + Send + Sync + 'static,
        F: Future<Output = Response<B>> + Send + 'static,
        B: Body + Send + 'static,
        B::Data: Send,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let address = listener.local_addr()?;
        let (stop, connections) = (CancellationToken::new(), TaskTracker::new());
        let http = Http { answer, idle_timeout, stop: stop.clone(), connections: connections.clone() };
        let accepting = tokio::spawn(accept(listener, http));
        Ok(Server { address, stop, connections, accepting })
    }

    /// Takes no new connection, lets each open one finish the requests it is on, and ends.
    pub async fn drain(self) {
        self.stop.cancel();
        if self.accepting.await.is_err() {
            tracing::warn!(address = %self.address, "the accept loop ended unexpectedly");
        }
        self.connections.close();
        self.connections.wait().await;
    }
}

/// How connections are served.
#[derive(Clone)]
struct Http<A> {
    answer: A,
    idle_timeout: Option<Duration>,
    stop: CancellationToken,
    connections: TaskTracker,
}

async fn accept<A, F, B>(listener: TcpListener, http: Http<A>)
where
    A: Fn(Request<Incoming>) -> F + Clone + Send + Sync + 'static,
    F: Future<Output = Response<B>> + Send + 'static,
    B: Body + Send + 'static,
    B::Data: Send,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    loop {
        let stream = tokio::select! {
            () = http.stop.cancelled() => return,
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => stream,
                Err(error) => {
                    tracing::warn!(%error, "a connection could not be accepted");
                    tokio::time::sleep(Duration::from_millis(20)).await;
                    continue;
                }
            },
        };
        let http = http.clone();
        http.connections.clone().spawn(async move {
            if let Err(error) = converse(stream, http).await {
                tracing::debug!(error, "a connection ended early");
            }
        });
    }
}

/// Serves one connection until the caller ends it, or, when the server stops, until its current requests are answered.
async fn converse<A, F, B>(mut stream: TcpStream, http: Http<A>) -> Result<(), Box<dyn std::error::Error + Send + Sync>>
where
    A: Fn(Request<Incoming>) -> F + Send + Sync + 'static,
    F: Future<Output = Response<B>> + Send + 'static,
    B: Body + Send + 'static,
    B::Data: Send,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    // Small answers must not wait for Nagle's algorithm; a socket that refuses the option still works.
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "TCP_NODELAY was refused");
    }
    let Http { answer, idle_timeout, stop, connections } = http;
    let peer = Peer { address: stream.peer_addr()?, tunnels: connections };
    let service = service_fn(move |mut request: Request<Incoming>| {
        request.extensions_mut().insert(peer.clone());
        let answering = answer(request);
        async move { Ok::<_, Infallible>(answering.await) }
    });
    let begun = tokio::select! {
        biased;
        begun = beginning(&mut stream, idle_timeout) => begun?,
        () = stop.cancelled() => return Ok(()),
    };
    let is_http2 = begun.starts_with(PREFACE);
    let (read, write) = stream.into_split();
    let stream = TokioIo::new(join(io::Cursor::new(begun).chain(read), write));
    if is_http2 {
        let mut builder = http2::Builder::new(TokioExecutor::new());
        builder.timer(TokioTimer::new()).keep_alive_interval(idle_timeout);
        until_ended(builder.serve_connection(stream, service), http2::Connection::graceful_shutdown, stop).await?;
    } else {
        let mut builder = http1::Builder::new();
        if let Some(idle_timeout) = idle_timeout {
            builder.timer(TokioTimer::new()).header_read_timeout(idle_timeout);
        }
        let connection = builder.serve_connection(stream, service).with_upgrades();
        until_ended(connection, http1::UpgradeableConnection::graceful_shutdown, stop).await?;
    }
    Ok(())
}

/// The first bytes of a connection: HTTP/2's preface, or enough to see that it is none.
async fn beginning(stream: &mut TcpStream, idle_timeout: Option<Duration>) -> io::Result<Vec<u8>> {
    let reading = async {
        let mut begun = Vec::with_capacity(PREFACE.len());
        while begun.len() < PREFACE.len() && PREFACE.starts_with(&begun) {
            if stream.read_buf(&mut begun).await? == 0 {
                break;
            }
        }
        Ok(begun)
    };
    match idle_timeout {
        Some(idle_timeout) => tokio::time::timeout(idle_timeout, reading).await?,
        None => reading.await,
    }
}

/// A request that has begun to arrive is answered, also when the server stops at the same moment.
async fn until_ended<C: Future<Output = hyper::Result<()>>>(
    connection: C,
    shut_down: impl FnOnce(Pin<&mut C>),
    stop: CancellationToken,
) -> hyper::Result<()> {
    tokio::pin!(connection);
    tokio::select! {
        biased;
        ended = connection.as_mut() => ended,
        () = stop.cancelled() => {
            shut_down(connection.as_mut());
            connection.await
        }
    }
}
