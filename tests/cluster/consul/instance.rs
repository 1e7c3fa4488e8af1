//! A process of a service: answers with its version, and counts.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use glidepath::local::serve::Server;
use http_body_util::Full;
use hyper::Response;
use hyper::body::Bytes;
use tokio::net::TcpListener;
use tokio::runtime::Runtime;

/// One instance, on a thread of its own.
pub struct Instance {
    pub address: SocketAddr,
    version: &'static str,
    counted: Arc<AtomicU64>,
    running: Option<(Runtime, Server)>,
}

impl Instance {
    /// Answers at this address with its version.
    pub fn start(address: &str, version: &'static str) -> Self {
        let address = address.parse().unwrap();
        let mut instance = Self { address, version, counted: Arc::default(), running: None };
        instance.restart(version);
        instance
    }

    /// Another version at the same address, counted from 0.
    pub fn restart(&mut self, version: &'static str) {
        self.stop();
        (self.version, self.counted) = (version, Arc::default());
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let counted = Arc::clone(&self.counted);
        let server = runtime.block_on(async {
            let listener = TcpListener::bind(self.address).await.unwrap();
            Server::on(listener, None, move |_| {
                counted.fetch_add(1, Ordering::SeqCst);
                let response = Response::builder().header("x-version", version).body(Full::new(Bytes::from(version)));
                std::future::ready(response.unwrap())
            })
        });
        self.running = Some((runtime, server.unwrap()));
    }

    /// Ends when the requests it is on have been answered.
    pub fn stop(&mut self) {
        if let Some((runtime, server)) = self.running.take() {
            runtime.block_on(server.drain());
        }
    }

    /// Requests that it has answered.
    pub fn requests(&self) -> u64 {
        self.counted.load(Ordering::SeqCst)
    }
}

impl Drop for Instance {
    fn drop(&mut self) {
        self.stop();
    }
}
