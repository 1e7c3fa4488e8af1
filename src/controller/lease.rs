//! Leadership: the holder of the Lease works, the others stand by with filled tables. Nobody works whose clock is off.

use std::time::Duration;

use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use kube::{
    Api, Client,
    api::{Patch, PatchParams},
};
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

/// When, after giving the Lease back, it is looked at once more.
const LAST_LOOK: Duration = Duration::from_millis(300);
/// How often who stands by looks whether the Lease was given back; whoever holds it is waited for until it runs out.
const LOOK_EVERY: Duration = Duration::from_secs(2);

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
    tokio::pin!(clock);
    let Some(lease) = lease else {
        leadership.send_replace(Leadership::Leading);
        tokio::select! {
            () = stop.cancelled() => {}
            () = clock => {}
        }
        return Ok(());
    };
    let mut manager = None;
    loop {
        tokio::select! {
            () = stop.cancelled() => break,
            () = &mut clock => break,
            given_back = hold(&client, &lease, &mut manager, &leadership) => if !given_back { break },
        }
    }
    if let Some(manager) = manager.filter(|_| *leadership.borrow() == Leadership::Leading) {
        let released = manager.release().await;
        given_back_for_sure(&client, &lease).await;
        return released;
    }
    Ok(())
}

/// A renewal that was on its way when this process stopped may reach the server after the release.
async fn given_back_for_sure(client: &Client, (namespace, identity): &(String, String)) {
    tokio::time::sleep(LAST_LOOK).await;
    let leases: Api<Lease> = Api::namespaced(client.clone(), namespace);
    if spec(&leases).await.is_some_and(|spec| spec.holder_identity.as_ref() == Some(identity)) {
        let nobody = serde_json::json!({"spec": {"holderIdentity": null, "renewTime": null, "acquireTime": null,
            "leaseDurationSeconds": null}});
        if let Err(error) = leases.patch(NAME, &PatchParams::default(), &Patch::Merge(&nobody)).await {
            tracing::warn!(%error, "cannot give the Lease back");
        }
    }
}

/// Contends until the Lease is lost, or, while somebody else held it, was given back: a manager sleeps until the Lease that
/// it saw runs out, and a new one looks at once.
async fn hold(
    client: &Client,
    (namespace, identity): &(String, String),
    manager: &mut Option<LeaseManager>,
    leadership: &watch::Sender<Leadership>,
) -> bool {
    let leases = Api::namespaced(client.clone(), namespace);
    let manager = manager.insert(built(client, namespace, identity).await);
    tokio::select! {
        () = follow(manager, leadership) => false,
        () = given_back(&leases, leadership, LOOK_EVERY) => true,
    }
}

async fn built(client: &Client, namespace: &str, identity: &str) -> LeaseManager {
    loop {
        let manager = LeaseManagerBuilder::new(client.clone(), NAME)
            .with_namespace(namespace)
            .with_identity(identity)
            .with_field_manager(crate::cluster::MANAGER)
            .with_duration(DURATION)
            .with_grace(GRACE)
            .build();
        match manager.await {
            Ok(manager) => return manager,
            Err(error) => tracing::warn!(%error, "the Lease"),
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

/// The Lease as it is, if it can be read.
async fn spec(leases: &Api<Lease>) -> Option<LeaseSpec> {
    leases.get_opt(NAME).await.ok().flatten()?.spec
}

/// Returns when this process stands by and nobody holds the Lease.
async fn given_back(leases: &Api<Lease>, leadership: &watch::Sender<Leadership>, look_every: Duration) {
    loop {
        tokio::time::sleep(look_every).await;
        if *leadership.borrow() != Leadership::Waiting {
            continue;
        }
        if spec(leases).await.is_some_and(|spec| spec.holder_identity.is_none()) {
            return;
        }
    }
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

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};
    use wiremock::{Mock, MockServer, ResponseTemplate, matchers::method};

    use super::*;

    async fn answers(server: &MockServer, holder: Value, times: Option<u64>) {
        let lease = json!({"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": {"name": NAME},
            "spec": {"holderIdentity": holder}});
        let mock = Mock::given(method("GET")).respond_with(ResponseTemplate::new(200).set_body_json(lease));
        match times {
            Some(times) => mock.up_to_n_times(times).mount(server).await,
            None => mock.mount(server).await,
        }
    }

    #[tokio::test]
    async fn who_stands_by_notices_that_the_lease_was_given_back() {
        let server = MockServer::start().await;
        answers(&server, "glidepath-1".into(), Some(2)).await;
        answers(&server, Value::Null, None).await;
        let client = Client::try_from(kube::Config::new(server.uri().parse().unwrap())).unwrap();
        let leases = Api::namespaced(client, "glidepath");
        let look = Duration::from_millis(5);

        let (leads, _) = watch::channel(Leadership::Waiting);
        given_back(&leases, &leads, look).await;
        assert_eq!(server.received_requests().await.unwrap().len(), 3, "held twice, then given back");

        leads.send_replace(Leadership::Leading);
        let noticed = tokio::time::timeout(look * 20, given_back(&leases, &leads, look)).await;
        assert!(noticed.is_err(), "who leads does not ask");
    }
}
