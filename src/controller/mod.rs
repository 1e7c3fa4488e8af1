//! The driver: watches fill tables and trigger work, work runs one tick per Rollout, and a Lease says who works.

mod error;
mod lease;
mod load;
mod policies;
pub mod queue;
mod rollouts;
mod runs;
mod shutdown;

use std::{net::SocketAddr, sync::Arc, time::Duration};

use kube::{Client, Config};
use tokio::sync::watch;
use tokio_util::{sync::CancellationToken, task::AbortOnDropHandle};

use crate::{
    clock::SystemClock,
    cluster::{
        self, Cluster, EventSender, Fence, ServerClock, Streams, WatchRequests, clients,
        secrets::ClusterSecrets,
        table::ObjectKey,
        watch::{Triggers, start},
    },
    ports::{Clock, GateAsker, RolloutKey, Source},
    reconcile::GateDesk,
    router::RouteScope,
    server::{self, Metrics, Pages},
    source::{HttpGates, Outbound, OwnPrometheus, Sources, trust},
};
pub use error::ControllerError;
use lease::{Candidate, KubeLease, Leadership, LeaseStore};
use policies::PolicyWork;
use queue::{Queue, serve};
use rollouts::RolloutWork;
use runs::RunWork;
use shutdown::Parts;

/// A pod that comes up changes its ReplicaSet, itself and EndpointSlices, several times each: one tick answers them all.
const GATHER: Duration = Duration::from_millis(300);

/// How a controller is set up.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The one namespace to serve; all when absent.
    pub namespace: Option<String>,
    /// The Prometheus of analyses that name none.
    pub prometheus: Option<OwnPrometheus>,
    /// The class of Rollouts to act on; those without a class when absent.
    pub class: Option<String>,
    /// Where `/livez`, `/readyz` and `/metrics` are served.
    pub listen: SocketAddr,
    /// Whether to work only while holding the Lease.
    pub leader_elect: bool,
    /// The Lease's namespace; the client's own when absent.
    pub lease_namespace: Option<String>,
    /// This process among its replicas, for instance the pod's name.
    pub identity: String,
    /// How many Rollouts are worked on at once.
    pub concurrency: usize,
    /// What holds for all routes.
    pub routes: RouteScope,
    /// Hosts that gates and Rollouts' Prometheus servers may be at, wherever their addresses lie.
    pub allow_hosts: Vec<String>,
    /// Whether mesh policies are carried out, and how the mesh names identities; `None`: they are not.
    pub mesh: Option<MeshNames>,
}

/// What a mesh calls what policies refer to.
#[derive(Clone, Debug)]
pub struct MeshNames {
    /// The trust domain of its identities.
    pub trust_domain: String,
    /// The namespace whose objects are for the whole mesh.
    pub root_namespace: String,
}

/// The queues, as the watches see them.
struct Queues {
    rollouts: Arc<Queue<RolloutKey>>,
    runs: Arc<Queue<ObjectKey>>,
    policies: Arc<Queue<ObjectKey>>,
}

impl Triggers for Queues {
    fn rollout(&self, key: RolloutKey) {
        self.rollouts.trigger(key);
    }
    fn rollout_first(&self, key: RolloutKey) {
        self.rollouts.trigger_first(key);
    }
    fn rollout_counts(&self, key: RolloutKey) {
        self.rollouts.trigger_after(GATHER, key);
    }
    fn run(&self, key: ObjectKey) {
        self.runs.trigger(key);
    }
    fn policy(&self, key: ObjectKey) {
        self.policies.trigger_after(GATHER, key);
    }
}

/// What a controller reaches out with. Tests put a faulty API server and a virtual clock here.
pub struct Environment {
    /// The API server.
    pub client: Client,
    /// The same without retries inside one call.
    pub no_retry_client: Client,
    /// The API server's time compared with ours, from its responses.
    pub server_clock: ServerClock,
    /// Our own time.
    pub clock: Arc<dyn Clock>,
    /// Where metrics come from.
    pub source: Arc<dyn Source>,
    /// Who asks gates.
    pub gates: Arc<dyn GateAsker>,
    /// Our own metrics.
    pub metrics: Metrics,
}

impl Environment {
    /// The real one.
    fn new(config: &Config, settings: &Settings) -> Result<Self, ControllerError> {
        let (metrics, server_clock) = (Metrics::default(), ServerClock::default());
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let requests =
            WatchRequests { metrics: metrics.clone(), clock: Arc::clone(&clock), server: server_clock.clone() };
        let (client, no_retry_client) = clients(config, &requests)?;
        let outbound = Outbound::new(settings.allow_hosts.iter().cloned());
        let secrets = ClusterSecrets(client.clone());
        Ok(Environment {
            client,
            no_retry_client,
            server_clock,
            clock,
            source: Arc::new(Sources::new(outbound.clone(), settings.prometheus.clone(), Arc::new(secrets))),
            gates: Arc::new(HttpGates::new(outbound)?),
            metrics,
        })
    }
}

/// Runs a controller until `stop`.
pub async fn run(config: Config, mut settings: Settings, stop: CancellationToken) -> Result<(), ControllerError> {
    settings.lease_namespace.get_or_insert_with(|| config.default_namespace.clone());
    if let Some(own) = &settings.prometheus {
        own.check().await?;
    }
    if !trust::has_system_roots() {
        tracing::warn!("{}", trust::NONE_HERE);
    }
    run_in(Environment::new(&config, &settings)?, settings, stop).await
}

/// Runs a controller in this environment until `stop`.
pub async fn run_in(
    environment: Environment,
    settings: Settings,
    stop: CancellationToken,
) -> Result<(), ControllerError> {
    let Environment { client, no_retry_client, server_clock, clock, source, gates, metrics } = environment;
    let lease_namespace = settings.lease_namespace.clone().unwrap_or_else(|| client.default_namespace().to_owned());
    let fence = Fence::default();
    let events = EventSender::start(client.clone(), &fence, Some(settings.identity.clone()));
    let queues = Arc::new(Queues {
        rollouts: Arc::new(Queue::new(settings.concurrency)),
        runs: Arc::new(Queue::new(runs::AT_ONCE)),
        policies: Arc::new(Queue::new(settings.concurrency)),
    });
    let triggers: Arc<dyn Triggers> = Arc::<Queues>::clone(&queues);
    let streams = Streams::default();
    let (clients, desk) = ((client.clone(), no_retry_client.clone()), GateDesk::new(gates));
    let cluster =
        Cluster::new(clients, scope(&settings, &metrics), Arc::clone(&clock), events, triggers, desk, fence.clone());
    if let Some(names) = &settings.mesh {
        cluster.name_mesh(&names.trust_domain, &names.root_namespace);
    }
    let cluster = Arc::new(cluster);
    let watches = start(&cluster, &streams);

    let ended = CancellationToken::new();
    let pages = Pages {
        streams: streams.clone(),
        cluster: Arc::clone(&cluster),
        rollouts: Arc::<Queue<_>>::clone(&queues.rollouts),
        runs: Arc::<Queue<_>>::clone(&queues.runs),
        metrics: metrics.clone(),
    };
    let server = server::serve(settings.listen, pages, ended.clone().cancelled_owned());
    let (leads, leadership) = watch::channel(Leadership::Standby);
    let lease: Arc<dyn LeaseStore> = Arc::new(KubeLease::new(no_retry_client.clone(), &lease_namespace));
    let candidate = Candidate {
        lease: settings.leader_elect.then_some(lease),
        identity: settings.identity.clone(),
        clock: Arc::clone(&clock),
        fence,
        leadership: leads,
        metrics: metrics.clone(),
    };
    let lease_stop = CancellationToken::new();
    let election = candidate.run(no_retry_client, server_clock, lease_stop.clone());
    let election = AbortOnDropHandle::new(tokio::spawn(election));

    let work_stop = CancellationToken::new();
    let rollouts = RolloutWork { cluster: Arc::clone(&cluster), clock: Arc::clone(&clock), metrics: metrics.clone() };
    let policies = PolicyWork { cluster: Arc::clone(&cluster), source: Arc::clone(&source), metrics: metrics.clone() };
    let runs = RunWork::new(Arc::clone(&cluster), source, clock, metrics);
    let leader = leadership.clone();
    let work = async {
        lead(leader).await;
        synced(&streams).await;
        tracing::info!("caches synced; reconciling");
        cluster.begin();
        tokio::join!(
            serve(Arc::clone(&queues.rollouts), work_stop.clone(), rollouts),
            serve(Arc::clone(&queues.runs), work_stop.clone(), runs),
            serve(Arc::clone(&queues.policies), work_stop.clone(), policies),
        );
    };
    let server = AbortOnDropHandle::new(tokio::spawn(server));
    let parts = Parts { server, listen: settings.listen, watches, leadership };
    let outcome = parts.until_the_end(work, stop, work_stop.clone()).await;
    lease_stop.cancel();
    drop(election.await);
    ended.cancel();
    outcome
}

/// What the cluster is told of the settings.
fn scope(settings: &Settings, metrics: &Metrics) -> cluster::Settings {
    cluster::Settings {
        namespace: settings.namespace.clone(),
        has_prometheus: settings.prometheus.is_some(),
        class: settings.class.clone(),
        routes: settings.routes.clone(),
        metrics: metrics.clone(),
        mesh: settings.mesh.is_some(),
    }
}

async fn lead(mut leadership: watch::Receiver<Leadership>) {
    if leadership.wait_for(|state| *state == Leadership::Leading).await.is_err() {
        std::future::pending::<()>().await;
    }
    tracing::info!("leading");
}

async fn synced(streams: &Streams) {
    while !streams.unsynced().is_empty() {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
