//! A process whose wall clock is off must not decide (rule S41): times in a status are shared by all replicas.
//!
//! The Lease itself does not depend on wall clocks.

use std::time::Duration;

use kube::Client;

use crate::cluster::{ServerClock, repeated::Repeated};

/// Why a leader with such a clock must stop.
pub const OFF: &str = "its clock differs by more than 5 s from the API server's";

/// How often the two clocks are compared while they do not agree, and looked at while they do.
const CHECK_EVERY: Duration = Duration::from_secs(5);
/// No question takes longer.
const CALL_DEADLINE: Duration = Duration::from_secs(3);

/// Waits until the API server's clock and ours agree.
pub async fn agrees(client: &Client, server: &ServerClock) {
    let silent = Repeated::default();
    loop {
        let asked = tokio::time::timeout(CALL_DEADLINE, client.apiserver_version()).await;
        match (asked, server.off()) {
            (Ok(Ok(_)), None) => return,
            (Ok(Err(error @ kube::Error::Api(_))), _) if silent.is_due(false) => {
                tracing::warn!(%error, "cannot read the API server's time; retrying")
            }
            (Err(_), _) if silent.is_due(false) => {
                tracing::warn!("no response from the API server within 3 s to a request for its time; retrying")
            }
            // The watches say that the server cannot be reached.
            (Ok(Err(_)) | Err(_), _) => {}
            (Ok(Ok(_)), Some(off)) => tracing::error!(
                off_by_seconds = off.as_secs_f64(),
                "the clock of this machine differs too much from the API server's to reconcile; synchronize it (NTP)"
            ),
        }
        tokio::time::sleep(CHECK_EVERY).await;
    }
}

/// Returns when our clock is off for sure.
pub async fn goes_wrong(server: &ServerClock) {
    while server.surely_off().is_none() {
        tokio::time::sleep(CHECK_EVERY).await;
    }
}
