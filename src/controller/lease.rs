//! Leadership: the holder of the Lease works, the others stand by with filled tables. Nobody works whose clock is off.

use std::time::Duration;

use kube::Client;
use kube_lease_manager::{LeaseManager, LeaseManagerBuilder};
use tokio::{sync::watch, time::Instant};
use tokio_util::sync::CancellationToken;

use crate::cluster::ServerClock;

/// The name of the Lease.
const NAME: &str = "glidepath-controller";
/// Seconds that a Lease holds without being renewed, and how long before its end it is renewed.
const DURATION: u64 = 15;
const GRACE: u64 = 5;
/// A holder that cannot renew gives up before anybody else may take the Lease.
const PATIENCE: Duration = Duration::from_secs(8);

/// How often the two clocks are compared while they do not agree, and looked at while they do.
const CLOCK_RETRY: Duration = Duration::from_secs(5);

/// Whether this process leads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Leadership {
    /// Somebody else does, or nobody yet.
    Waiting,
    /// This process does.
    Leading,
    /// It did: the process must end, and why.
    Lost(&'static str),
}

/// Contends for the Lease, given its namespace and our identity, until `stop`; then gives it back. Without a Lease this
/// process leads at once.
pub async fn contend(
    client: Client,
    lease: Option<(String, String)>,
    server: ServerClock,
    leadership: watch::Sender<Leadership>,
    stop: CancellationToken,
) -> kube_lease_manager::Result<()> {
    tokio::select! {
        () = stop.cancelled() => return Ok(()),
        () = agrees(&client, &server) => {}
    }
    let clock = async {
        goes_wrong(&server).await;
        leadership.send_replace(Leadership::Lost("its clock is off by more than 5 s from the API server's"));
    };
    let Some((namespace, identity)) = lease else {
        leadership.send_replace(Leadership::Leading);
        tokio::select! {
            () = stop.cancelled() => {}
            () = clock => {}
        }
        return Ok(());
    };
    let manager = LeaseManagerBuilder::new(client, NAME)
        .with_namespace(namespace)
        .with_identity(identity)
        .with_field_manager(crate::cluster::MANAGER)
        .with_duration(DURATION)
        .with_grace(GRACE)
        .build()
        .await?;
    tokio::select! {
        () = stop.cancelled() => {}
        () = follow(&manager, &leadership) => {}
        () = clock => {}
    }
    if *leadership.borrow() == Leadership::Leading {
        manager.release().await?;
    }
    Ok(())
}

/// Waits until the API server's clock and ours agree (rule S41).
async fn agrees(client: &Client, server: &ServerClock) {
    loop {
        match (client.apiserver_version().await, server.off()) {
            (Ok(_), None) => return,
            (Err(error), _) => tracing::warn!(%error, "cannot ask the API server for its time; trying again"),
            (Ok(_), Some(off)) => tracing::error!(
                off_by_seconds = off.as_secs_f64(),
                "this machine's clock is too far from the API server's to decide anything; set it (NTP)"
            ),
        }
        tokio::time::sleep(CLOCK_RETRY).await;
    }
}

/// Returns when our clock is off for sure.
async fn goes_wrong(server: &ServerClock) {
    while server.surely_off().is_none() {
        tokio::time::sleep(CLOCK_RETRY).await;
    }
}

async fn follow(manager: &LeaseManager, leadership: &watch::Sender<Leadership>) {
    let mut failing_since: Option<Instant> = None;
    loop {
        let began = Instant::now();
        match manager.changed().await {
            Ok(true) => {
                failing_since = None;
                leadership.send_replace(Leadership::Leading);
            }
            Ok(false) if *leadership.borrow() == Leadership::Leading => {
                leadership.send_replace(Leadership::Lost("another replica holds the Lease"));
                return;
            }
            Ok(false) => failing_since = None,
            Err(error) => {
                tracing::warn!(%error, "the Lease");
                // A call that lasted has renewed the Lease meanwhile: it fails only since now.
                let lasted = began.elapsed() > Duration::from_secs(3);
                let since = failing_since.filter(|_| !lasted).unwrap_or_else(Instant::now);
                failing_since = Some(since);
                if *leadership.borrow() == Leadership::Leading && since.elapsed() > PATIENCE {
                    leadership.send_replace(Leadership::Lost("the Lease could not be renewed"));
                    return;
                }
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
        }
    }
}
