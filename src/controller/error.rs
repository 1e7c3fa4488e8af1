//! Why a controller ends without being asked to.

use std::net::SocketAddr;

use crate::source::{outbound::SetUpError, servers::OwnError};

/// Why the controller ended, other than being asked to.
#[derive(Debug, thiserror::Error)]
pub enum ControllerError {
    /// No client can be made from the configuration.
    #[error("cannot set up a client for the API server: {0}")]
    Client(#[from] kube::Error),
    /// The controller's own Prometheus cannot be used as it was named.
    #[error(transparent)]
    Prometheus(#[from] OwnError),
    /// No HTTP client for gates.
    #[error("{0} for gates")]
    Gates(#[from] SetUpError),
    /// The address is taken, or not ours.
    #[error("cannot listen on {0}: {1}; choose another --listen")]
    Listen(SocketAddr, std::io::Error),
    /// Another replica leads now, the Lease could not be renewed, or this machine's clock went wrong.
    #[error("this process is no longer the leader: {0}")]
    LeaseLost(&'static str),
    /// A part that runs as long as the process has ended.
    #[error("{0} ended unexpectedly{1}; this is a bug, please report it")]
    Died(&'static str, String),
}
