//! A link between a controller and the API server that a test can break: a TCP proxy, so that TLS passes through whole.

use anyhow::Result;
use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;

/// What a network does to the bytes on their way, in both directions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Network {
    Whole,
    /// Connections are closed at once, and new ones as soon as they are made.
    Refusing,
    /// Nothing arrives, ever: when the network is whole again these connections are closed.
    Dropping,
    /// Nothing arrives until the network is whole again: then everything does, as TCP sends it again.
    Delaying,
}

struct State {
    network: Network,
    /// Connections of an earlier generation lead nowhere.
    generation: u64,
    open: Vec<TcpStream>,
}

/// The link. Its threads end with the process.
pub struct Link {
    address: SocketAddr,
    state: Mutex<State>,
    changed: Condvar,
}

impl Link {
    /// Listens on a free port of the loopback and leads to `target`.
    pub fn to(target: SocketAddr) -> Result<Arc<Self>> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let state = State { network: Network::Whole, generation: 0, open: Vec::new() };
        let link =
            Arc::new(Self { address: listener.local_addr()?, state: Mutex::new(state), changed: Condvar::new() });
        let own = Arc::clone(&link);
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                own.join(client, target);
            }
        });
        Ok(link)
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    pub fn set(&self, network: Network) {
        let mut state = self.state();
        let loses = |network| matches!(network, Network::Refusing | Network::Dropping);
        if loses(network) || (loses(state.network) && network == Network::Whole) {
            state.generation += 1;
        }
        if network == Network::Refusing {
            state.open.drain(..).for_each(|stream| drop(stream.shutdown(Shutdown::Both)));
        }
        state.network = network;
        self.changed.notify_all();
    }

    /// Connects a client through, or not.
    fn join(self: &Arc<Self>, client: TcpStream, target: SocketAddr) {
        if self.state().network == Network::Refusing {
            return;
        }
        let Ok(server) = TcpStream::connect(target) else { return };
        let ends = || -> std::io::Result<_> { Ok((client.try_clone()?, server.try_clone()?)) };
        let (Ok(there), Ok(back)) = (ends(), ends()) else { return };
        let born = self.keep([client, server]);
        for (from, to) in [there, (back.1, back.0)] {
            let link = Arc::clone(self);
            thread::spawn(move || link.pump(from, to, born));
        }
    }

    /// Remembers a connection, so that it can be closed; forgets those that have ended. Its generation.
    fn keep(&self, ends: [TcpStream; 2]) -> u64 {
        let mut state = self.state();
        state.open.retain(|stream| stream.peer_addr().is_ok());
        state.open.extend(ends);
        state.generation
    }

    fn pump(&self, mut from: TcpStream, mut to: TcpStream, born: u64) {
        let mut bytes = vec![0; 16 << 10];
        while let Ok(read) = from.read(&mut bytes) {
            if !self.lets_pass(born) || read == 0 || to.write_all(&bytes[..read]).is_err() {
                break;
            }
        }
        // An end is on its way like any byte: a partition hides it too.
        let _ = (from.shutdown(Shutdown::Both), to.shutdown(Shutdown::Both));
    }

    /// Waits while the network holds everything back. `false`: what a connection of this age carries is lost.
    fn lets_pass(&self, born: u64) -> bool {
        let mut state = self.state();
        while matches!(state.network, Network::Dropping | Network::Delaying) {
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        state.network == Network::Whole && state.generation == born
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
