//! The bytes between the controller and the API server: a TCP relay counts them, so that they are those of the wire
//! whatever the controller reports. TLS passes through whole.

use anyhow::Result;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};

/// What has passed so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Bytes {
    /// From the API server to the controller.
    pub read: u64,
    /// From the controller to the API server.
    pub written: u64,
}

impl Bytes {
    /// What came after an earlier count.
    pub fn since(self, before: Bytes) -> Bytes {
        Bytes { read: self.read - before.read, written: self.written - before.written }
    }
}

/// The relay. Its tasks end with the runtime.
pub struct Meter {
    address: SocketAddr,
    counts: Arc<Counts>,
}

#[derive(Default)]
struct Counts {
    read: AtomicU64,
    written: AtomicU64,
}

impl Meter {
    /// Listens on a free port of the loopback and leads to `target`.
    pub async fn to(target: SocketAddr) -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let (address, counts) = (listener.local_addr()?, Arc::<Counts>::default());
        let own = Arc::clone(&counts);
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(join(client, target, Arc::clone(&own)));
            }
        });
        Ok(Meter { address, counts })
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    pub fn bytes(&self) -> Bytes {
        let count = |count: &AtomicU64| count.load(Ordering::Relaxed);
        Bytes { read: count(&self.counts.read), written: count(&self.counts.written) }
    }
}

/// Carries one connection until either side ends it.
async fn join(client: TcpStream, target: SocketAddr, counts: Arc<Counts>) -> io::Result<()> {
    let server = TcpStream::connect(target).await?;
    client.set_nodelay(true)?;
    server.set_nodelay(true)?;
    let ((from_client, to_client), (from_server, to_server)) = (client.into_split(), server.into_split());
    tokio::select! {
        ended = pump(from_client, to_server, &counts.written) => ended,
        ended = pump(from_server, to_client, &counts.read) => ended,
    }
}

async fn pump(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, count: &AtomicU64) -> io::Result<()> {
    let mut buffer = vec![0; 64 << 10];
    loop {
        let read = from.read(&mut buffer).await?;
        if read == 0 {
            return Ok(());
        }
        count.fetch_add(read as u64, Ordering::Relaxed);
        to.write_all(&buffer[..read]).await?;
    }
}
