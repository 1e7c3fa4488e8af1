//! For tests: an address that refuses every connection for as long as it is held.
//!
//! The address of a listener that was closed may be given to the next test that asks for a free port.

use std::net::SocketAddr;

use tokio::net::TcpSocket;

/// A port that is taken, and on which nothing listens.
pub struct Closed {
    /// Where connections are refused.
    pub address: SocketAddr,
    _taken: TcpSocket,
}

impl Closed {
    /// Takes a free port of this machine.
    pub fn new() -> Closed {
        let taken = TcpSocket::new_v4().unwrap();
        taken.bind(([127, 0, 0, 1], 0).into()).unwrap();
        Closed { address: taken.local_addr().unwrap(), _taken: taken }
    }
}
