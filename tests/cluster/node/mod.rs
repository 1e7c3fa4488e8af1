//! The node harness: one process that plays every node of the test cluster. It binds each pod, gives it an address of
//! 10.244.0.0/16, serves real HTTP and one gRPC method there (`grpc`), reports the pod ready and finishes its deletion.
//!
//! What a pod does is set by its first container's environment: `VERSION` (default: the image), `ERROR_RATE` (0 to 1),
//! `LATENCY_MS` (mean of an exponential), `START_DELAY_S`, `NEVER_READY`, `DRAIN_MS` (how long it still serves once
//! deletion began, default 2000). The annotations `fake/error-rate` and `fake/latency-ms` change a running pod at once.
//! `PUT /behaviour/NAMESPACE` sets the same by image for pods to come, in place of the environment.

pub mod behaviour;
mod control;
mod fleet;
pub mod grpc;
mod metrics;
mod pod;

pub use control::PodCount;

use anyhow::{Context, Result};
use k8s_openapi::api::core::v1::Node;
use kube::api::PostParams;
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Api, Client, Config};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The one Node object every pod is bound to. The endpoint slice controller skips pods that name a missing node.
pub const NODE: &str = "node-1";

/// Where the harness finds the API server and where it reports.
pub struct Options {
    pub kubeconfig: PathBuf,
    /// Prometheus targets, in the file format of its file discovery (Debian's build knows no Kubernetes discovery).
    pub targets: PathBuf,
    pub control: SocketAddr,
}

/// Plays the node until the process is ended.
pub async fn run(options: Options) -> Result<()> {
    let client = client(&options.kubeconfig).await?;
    register(&client).await?;
    let fleet = Arc::new(fleet::Fleet::new(client));
    let control = tokio::net::TcpListener::bind(options.control).await.context("cannot bind the control address")?;
    tokio::try_join!(
        control::serve(control, Arc::clone(&fleet)),
        fleet::write_targets(Arc::clone(&fleet), &options.targets),
        fleet::follow(Arc::clone(&fleet)),
    )?;
    Ok(())
}

/// A client of the lane's API server.
pub async fn client(kubeconfig: &Path) -> Result<Client> {
    let config = Kubeconfig::read_from(kubeconfig)?;
    let config = Config::from_custom_kubeconfig(config, &KubeConfigOptions::default()).await?;
    Ok(Client::try_from(config)?)
}

async fn register(client: &Client) -> Result<()> {
    let node = serde_json::from_value(serde_json::json!({
        "metadata": {"name": NODE, "labels": {"kubernetes.io/hostname": NODE}},
    }))?;
    match Api::<Node>::all(client.clone()).create(&PostParams::default(), &node).await {
        Ok(_) => Ok(()),
        Err(kube::Error::Api(status)) if status.code == 409 => Ok(()),
        Err(error) => Err(error).context("cannot create the Node object"),
    }
}
