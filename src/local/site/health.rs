//! Whether an address answers: asked twice a second, by TCP or by a GET, and at once when the proxy could not reach it.
//!
//! A process that was replaced is noticed by its absence, or, on Linux and on this machine, by another listening socket: a
//! service manager may be faster than two looks.

use std::{collections::BTreeSet, time::Duration};

use http_body_util::Empty;
use hyper::{Request, body::Bytes};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use jiff::Timestamp;
use tokio::net::TcpStream;

use crate::local::address::Address;

/// How often an address is asked.
pub const EVERY: Duration = Duration::from_millis(500);
/// An answer that takes longer is none.
const PATIENCE: Duration = Duration::from_secs(2);
/// So many time-outs in a row make an address down; a refused connection does at once.
const TIMEOUTS: u32 = 2;

/// What is known of one address.
#[derive(Clone, Debug, PartialEq)]
pub struct Health {
    up_since: Option<Timestamp>,
    why: String,
    timeouts: u32,
}

impl Default for Health {
    fn default() -> Self {
        Health { up_since: None, why: "not checked yet".into(), timeouts: 0 }
    }
}

/// What one look found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Look {
    /// It answers.
    Up,
    /// It does not, and says so.
    Down(String),
    /// No answer in time.
    Silent,
}

impl Health {
    /// Whether it answers.
    pub fn is_up(&self) -> bool {
        self.up_since.is_some()
    }

    /// Since when it answers.
    pub fn since(&self) -> Option<Timestamp> {
        self.up_since
    }

    /// Why it does not answer.
    pub fn why(&self) -> &str {
        &self.why
    }

    /// Takes a look over. Says whether up became down or the other way round.
    pub fn take(&mut self, look: Look, now: Timestamp) -> bool {
        let was = self.is_up();
        match look {
            Look::Up => {
                self.timeouts = 0;
                self.up_since = self.up_since.or(Some(now));
            }
            Look::Down(why) => self.down(why),
            Look::Silent => {
                self.timeouts += 1;
                if self.timeouts >= TIMEOUTS {
                    self.down(format!("no response within {} s", PATIENCE.as_secs()));
                }
            }
        }
        was != self.is_up()
    }

    fn down(&mut self, why: String) {
        (self.up_since, self.why, self.timeouts) = (None, why, 0);
    }
}

/// Asks one address.
pub struct Probe {
    address: Address,
    path: Option<String>,
    client: Client<HttpConnector, Empty<Bytes>>,
}

impl Probe {
    /// Asks for a path, which must be answered with less than 400, or only connects.
    pub fn new(address: Address, path: Option<String>) -> Self {
        // Each look is a connection of its own: one that is kept open would hide that the listener is gone.
        let client = Client::builder(TokioExecutor::new()).pool_max_idle_per_host(0).build_http();
        Probe { address, path, client }
    }

    /// One look.
    pub async fn look(&self) -> Look {
        let looking = async {
            match &self.path {
                Some(path) => self.get(path).await,
                None => match TcpStream::connect(self.address.authority()).await {
                    Ok(_) => Look::Up,
                    Err(error) => Look::Down(error.kind().to_string()),
                },
            }
        };
        tokio::time::timeout(PATIENCE, looking).await.unwrap_or(Look::Silent)
    }

    async fn get(&self, path: &str) -> Look {
        let Ok(request) = Request::get(format!("{}{path}", self.address)).body(Empty::new()) else {
            return Look::Down(format!("{path} is not a path"));
        };
        match self.client.request(request).await {
            Ok(response) if response.status().as_u16() < 400 => Look::Up,
            Ok(response) => Look::Down(format!("{path} returned {}", response.status().as_u16())),
            Err(error) => Look::Down(innermost(&error)),
        }
    }

    /// The identity of the process that listens there, if it can be determined.
    pub async fn process(&self) -> Option<String> {
        if !self.address.is_loopback() {
            return None;
        }
        let mut sockets = BTreeSet::new();
        for table in ["/proc/net/tcp", "/proc/net/tcp6"] {
            let text = tokio::fs::read_to_string(table).await.unwrap_or_default();
            sockets.extend(listening(&text, self.address.port()));
        }
        (!sockets.is_empty()).then(|| sockets.into_iter().collect::<Vec<_>>().join(","))
    }
}

/// What the system says, where it is the cause; else the deepest cause: the outer layers only say that something failed.
fn innermost(error: &(dyn std::error::Error + 'static)) -> String {
    let mut cause = error;
    loop {
        if let Some(system) = cause.downcast_ref::<std::io::Error>() {
            return system.kind().to_string();
        }
        match cause.source() {
            Some(deeper) => cause = deeper,
            None => return cause.to_string(),
        }
    }
}

/// The inodes of the sockets that listen on a port, out of `/proc/net/tcp` (proc(5)).
fn listening(table: &str, port: u16) -> Vec<String> {
    const LISTEN: &str = "0A";
    let socket = |line: &str| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let local = fields.get(1)?.rsplit_once(':')?.1;
        let here = u16::from_str_radix(local, 16).ok()? == port && *fields.get(3)? == LISTEN;
        here.then(|| fields.get(9).map(|inode| (*inode).to_owned()))?
    };
    table.lines().filter_map(socket).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_counts_at_once_and_silence_the_second_time() {
        let at = |second| Timestamp::from_second(second).unwrap();
        let mut health = Health::default();
        assert!(!health.is_up());
        assert!(health.take(Look::Up, at(1)));
        assert!(!health.take(Look::Up, at(2)));
        assert_eq!(health.since(), Some(at(1)));
        assert!(!health.take(Look::Silent, at(3)));
        assert!(!health.take(Look::Up, at(4)), "one answer forgives a silence");
        assert!(!health.take(Look::Silent, at(5)));
        assert!(health.take(Look::Silent, at(6)));
        assert_eq!((health.is_up(), health.why()), (false, "no response within 2 s"));
        assert!(health.take(Look::Up, at(7)));
        assert!(health.take(Look::Down("connection refused".into()), at(8)));
    }

    #[test]
    fn listening_sockets_are_told_by_port_and_state() {
        let table = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n   \
                     0: 0100007F:1F91 00000000:0000 0A 00000000:00000000 00:00000000 00000000  1000 0 4711 1 0\n   \
                     1: 0100007F:1F91 0100007F:9C40 01 00000000:00000000 00:00000000 00000000  1000 0 4712 1 0\n   \
                     2: 0100007F:1F92 00000000:0000 0A 00000000:00000000 00:00000000 00000000  1000 0 4713 1 0\n";
        assert_eq!(listening(table, 8081), ["4711"]);
        assert_eq!(listening(table, 80), Vec::<String>::new());
    }

    #[tokio::test]
    async fn a_process_is_recognised_and_its_absence_noticed() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address: Address = format!("http://{}", listener.local_addr().unwrap()).parse().unwrap();
        let probe = Probe::new(address, None);
        assert_eq!(probe.look().await, Look::Up);
        let first = probe.process().await;
        assert_eq!(first, probe.process().await);
        let at = listener.local_addr().unwrap();
        drop(listener);
        assert_eq!(probe.look().await, Look::Down("connection refused".into()));
        let _again = tokio::net::TcpListener::bind(at).await.unwrap();
        if cfg!(target_os = "linux") {
            assert_ne!(first, probe.process().await);
        }
    }
}
