//! An HTTP/1.1 server on a free loopback port that can be drained: nothing it has accepted is cut off.

use std::{convert::Infallible, future::Future, io, net::SocketAddr, time::Duration};

use hyper::{
    Request, Response,
    body::{Body, Incoming},
    server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::{
    net::{TcpListener, TcpStream},
    task::JoinHandle,
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

/// Where a request came from: an extension of it.
#[derive(Clone, Copy, Debug)]
pub struct Peer(pub SocketAddr);

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
    /// a connection is closed when the head of its next request does not arrive in that time.
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
        let accepting =
            tokio::spawn(accept(listener, Http { answer, idle_timeout }, stop.clone(), connections.clone()));
        Ok(Server { address, stop, connections, accepting })
    }

    /// Takes no new connection, lets each open one finish the request it is on, and ends.
    pub async fn drain(self) {
        self.stop.cancel();
        if self.accepting.await.is_err() {
            tracing::warn!(address = %self.address, "the accept loop ended unexpectedly");
        }
        self.connections.close();
        self.connections.wait().await;
    }
}

/// How one connection is served.
#[derive(Clone)]
struct Http<A> {
    answer: A,
    idle_timeout: Option<Duration>,
}

async fn accept<A, F, B>(listener: TcpListener, http: Http<A>, stop: CancellationToken, connections: TaskTracker)
where
    A: Fn(Request<Incoming>) -> F + Clone + Send + Sync + 'static,
    F: Future<Output = Response<B>> + Send + 'static,
    B: Body + Send + 'static,
    B::Data: Send,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    loop {
        let stream = tokio::select! {
            () = stop.cancelled() => return,
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => stream,
                Err(error) => {
                    tracing::warn!(%error, "a connection could not be accepted");
                    tokio::time::sleep(Duration::from_millis(20)).await;
                    continue;
                }
            },
        };
        connections.spawn(converse(stream, http.clone(), stop.clone()));
    }
}

/// Serves one connection until the caller ends it, or, when the server stops, until its current request is answered.
async fn converse<A, F, B>(stream: TcpStream, http: Http<A>, stop: CancellationToken)
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
    let peer = stream.peer_addr().ok();
    let service = service_fn(|mut request: Request<Incoming>| {
        if let Some(peer) = peer {
            request.extensions_mut().insert(Peer(peer));
        }
        let answering = (http.answer)(request);
        async move { Ok::<_, Infallible>(answering.await) }
    });
    let mut builder = http1::Builder::new();
    if let Some(idle_timeout) = http.idle_timeout {
        builder.timer(TokioTimer::new()).header_read_timeout(idle_timeout);
    }
    let connection = builder.serve_connection(TokioIo::new(stream), service);
    tokio::pin!(connection);
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = stop.cancelled() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "a connection ended early");
    }
}
