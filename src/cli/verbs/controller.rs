//! `glidepath controller`: runs the controller in the foreground.

use std::{
    hash::{BuildHasher as _, Hasher as _, RandomState},
    io::IsTerminal as _,
    net::SocketAddr,
};

use tokio_util::sync::CancellationToken;
use tracing_subscriber::EnvFilter;

use crate::{
    cli::{
        args::{global::Global, prometheus::Credentials},
        connect::config,
        exit::{CliError, Exit},
        interrupt::Interrupts,
    },
    cluster::domain,
    controller::{self, MeshNames, Settings},
    router::{CrossNamespace, RouteScope},
};

/// Run the controller in the foreground
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// The Prometheus for analyses that do not set one, for example http://prometheus.monitoring:9090
    #[arg(long, env = "GLIDEPATH_PROMETHEUS", value_name = "URL")]
    prometheus: Option<String>,
    #[command(flatten)]
    credentials: Credentials,
    /// Watch this namespace only; empty means all
    #[arg(long = "watch-namespace", env = "GLIDEPATH_NAMESPACE", value_name = "NAME")]
    watch_namespace: Option<String>,
    /// Reconcile only Rollouts with this spec.class; without it, only those without a class. Each class needs an
    /// installation in a separate namespace
    #[arg(long, env = "GLIDEPATH_CLASS", value_name = "NAME")]
    class: Option<String>,
    /// The address of /livez, /readyz and /metrics
    #[arg(long, env = "GLIDEPATH_LISTEN", value_name = "ADDRESS", default_value = "0.0.0.0:8080")]
    listen: SocketAddr,
    /// Reconcile only while holding a Lease, so that other replicas can stand by
    #[arg(long, env = "GLIDEPATH_LEADER_ELECT")]
    leader_elect: bool,
    /// The namespace of the Lease; default: this pod's namespace
    #[arg(long, env = "POD_NAMESPACE", value_name = "NAME")]
    lease_namespace: Option<String>,
    /// The unique name of this replica; default: the host name and a random suffix
    #[arg(long, env = "POD_NAME", value_name = "NAME")]
    identity: Option<String>,
    /// The number of Rollouts to reconcile concurrently
    #[arg(long, env = "GLIDEPATH_CONCURRENCY", value_name = "N", default_value_t = 16)]
    concurrency: usize,
    /// Comma-separated hosts that gates and Rollouts' Prometheus servers may use, including internal ones: gate.ci.svc,
    /// 10.0.0.7:8080, *.example.com. If set, gates may only use these hosts
    #[arg(long, env = "GLIDEPATH_ALLOW_HOSTS", value_name = "HOST", value_delimiter = ',')]
    allow_hosts: Vec<String>,
    /// Deprecated name of --allow-hosts
    #[arg(long, env = "GLIDEPATH_GATE_HOSTS", value_name = "HOST", value_delimiter = ',', hide = true)]
    gate_hosts: Vec<String>,
    /// Whether routes of other namespaces may be written: with their owner's consent, or never
    #[arg(long, env = "GLIDEPATH_CROSS_NAMESPACE", value_enum, default_value_t = CrossNamespaceArg::Consent)]
    cross_namespace: CrossNamespaceArg,
    /// Carry out MeshPolicies too. Needs their CustomResourceDefinition and permissions: deploy/mesh
    #[arg(long, env = "GLIDEPATH_MESH")]
    mesh: bool,
    /// The trust domain of the mesh's identities
    #[arg(long, env = "GLIDEPATH_MESH_TRUST_DOMAIN", value_name = "DOMAIN", default_value = "cluster.local")]
    mesh_trust_domain: String,
    /// The namespace whose objects are for the whole mesh
    #[arg(long, env = "GLIDEPATH_MESH_ROOT_NAMESPACE", value_name = "NAME", default_value = "istio-system")]
    mesh_root_namespace: String,
    /// The cluster's DNS domain; default: from this pod's /etc/resolv.conf, else cluster.local
    #[arg(long, env = "GLIDEPATH_CLUSTER_DOMAIN", value_name = "DOMAIN")]
    cluster_domain: Option<String>,
    /// The log format
    #[arg(long, env = "GLIDEPATH_LOG_FORMAT", value_enum, default_value_t = LogFormat::Text)]
    log_format: LogFormat,
}

/// The log format.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum LogFormat {
    /// One JSON object a line.
    Json,
    /// Human-readable.
    Text,
}

/// Whether routes of other namespaces are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum CrossNamespaceArg {
    /// Those whose owners consent.
    Consent,
    /// None.
    Deny,
}

/// Runs until SIGTERM or ctrl-c. The Lease's loss and a taken port are errors: the process ends with 1.
pub async fn run(args: Args, global: &Global) -> Result<Exit, CliError> {
    log_as(args.log_format);
    let config = config(global).await?;
    let identity = args.identity.filter(|name| !name.is_empty()).unwrap_or_else(own_identity);
    let settings = Settings {
        namespace: args.watch_namespace.filter(|namespace| !namespace.is_empty()),
        class: args.class.filter(|class| !class.is_empty()),
        prometheus: args.prometheus.filter(|address| !address.is_empty()).map(|address| args.credentials.at(address)),
        listen: args.listen,
        leader_elect: args.leader_elect,
        lease_namespace: args.lease_namespace,
        identity,
        concurrency: args.concurrency,
        routes: RouteScope {
            cluster_domain: args.cluster_domain.filter(|domain| !domain.is_empty()).unwrap_or_else(own_cluster_domain),
            cross_namespace: match args.cross_namespace {
                CrossNamespaceArg::Consent => CrossNamespace::Consent,
                CrossNamespaceArg::Deny => CrossNamespace::Deny,
            },
        },
        allow_hosts: allowed(args.allow_hosts, args.gate_hosts),
        mesh: args
            .mesh
            .then_some(MeshNames { trust_domain: args.mesh_trust_domain, root_namespace: args.mesh_root_namespace }),
    };
    let stop = CancellationToken::new();
    tokio::spawn(stop_on_signal(Interrupts::new()?, stop.clone()));
    controller::run(config, settings, stop).await.map_err(|error| CliError::Failed(format!("{error:#}")))?;
    Ok(Exit::Done)
}

fn own_cluster_domain() -> String {
    let text = std::fs::read_to_string("/etc/resolv.conf").unwrap_or_default();
    domain::in_resolv_conf(&text).unwrap_or_else(|| domain::DEFAULT.to_owned())
}

/// As other controllers name themselves: the host (a container's is its pod), and a random part, since two processes of
/// one name would both take themselves for the leader.
fn own_identity() -> String {
    let random = RandomState::new().build_hasher().finish();
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let host = if host.trim().is_empty() { "glidepath" } else { host.trim() };
    format!("{host}_{random:016x}")
}

/// The hosts of both flags: an installation that used the older one keeps what it had.
fn allowed(hosts: Vec<String>, older: Vec<String>) -> Vec<String> {
    let given = |hosts: Vec<String>| hosts.into_iter().filter(|host| !host.is_empty());
    let older: Vec<String> = given(older).collect();
    if !older.is_empty() {
        tracing::warn!("--gate-hosts is deprecated and will be removed; use --allow-hosts");
    }
    given(hosts).chain(older).collect()
}

fn log_as(format: LogFormat) {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info,kube_client=off"));
    let colours = std::io::stderr().is_terminal();
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).with_ansi(colours);
    // A line that cannot be written is lost. To say so on the same standard error would panic.
    let builder = builder.log_internal_errors(false);
    // A second subscriber in one process (tests) is refused, and the first one serves.
    drop(match format {
        LogFormat::Json => builder.json().flatten_event(true).try_init(),
        LogFormat::Text => builder.try_init(),
    });
}

async fn stop_on_signal(mut interrupts: Interrupts, stop: CancellationToken) {
    interrupts.come().await;
    stop.cancel();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn l8_two_processes_on_one_host_have_two_names() {
        let (one, other) = (own_identity(), own_identity());
        assert_ne!(one, other);
        assert!(one.contains('_') && !one.starts_with('_') && !one.contains(char::is_whitespace), "{one}");
    }
}
