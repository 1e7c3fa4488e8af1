//! Leadership: the holder of the Lease works, the others stand by with filled tables.

use std::time::Duration;

use kube::Client;
use kube_lease_manager::{LeaseManager, LeaseManagerBuilder};
use tokio::{sync::watch, time::Instant};
use tokio_util::sync::CancellationToken;

/// The name of the Lease.
const NAME: &str = "glidepath-controller";
/// Seconds that a Lease holds without being renewed, and how long before its end it is renewed.
const DURATION: u64 = 15;
const GRACE: u64 = 5;
/// A holder that cannot renew gives up before anybody else may take the Lease.
const PATIENCE: Duration = Duration::from_secs(8);

/// Whether this process leads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Leadership {
    /// Somebody else does, or nobody yet.
    Waiting,
    /// This process does.
    Leading,
    /// It did: the process must end.
    Lost,
}

/// Contends for the Lease until `stop`, then gives it back.
pub async fn contend(
    client: Client,
    namespace: String,
    identity: String,
    leadership: watch::Sender<Leadership>,
    stop: CancellationToken,
) -> kube_lease_manager::Result<()> {
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
    }
    if *leadership.borrow() == Leadership::Leading {
        manager.release().await?;
    }
    Ok(())
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
                leadership.send_replace(Leadership::Lost);
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
                    leadership.send_replace(Leadership::Lost);
                    return;
                }
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
        }
    }
}
