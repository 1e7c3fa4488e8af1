//! The servers of a lane: how each is started, and how one sees that it is ready. All listen on fixed ports: a lane has
//! its network to itself.

use crate::http::get_ok;
use crate::namespace::PROGRAM;
use crate::programs::find;
use anyhow::{Context, Result};
use std::path::Path;
use std::process::Command;

/// One server of a lane, in the order of their start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Component {
    Etcd,
    Api,
    /// The API server without TLS and tokens, for the questions that tests ask.
    Proxy,
    ControllerManager,
    Node,
    Istiod,
    /// The mesh client: `http://127.0.0.1:SERVICE_PORT/` with the Host of a Service.
    Envoy,
    Prometheus,
}

/// The controllers that matter to workloads; node and cloud controllers would only look for real machines.
const CONTROLLERS: &str = "deployment-controller,replicaset-controller,statefulset-controller,daemonset-controller,\
    endpointslice-controller,endpoints-controller,garbage-collector-controller,namespace-controller,\
    horizontal-pod-autoscaler-controller,job-controller,serviceaccount-controller,disruption-controller,\
    ttl-after-finished-controller,clusterrole-aggregation-controller";

impl Component {
    pub fn name(self) -> &'static str {
        match self {
            Self::Etcd => "etcd",
            Self::Api => "kube-apiserver",
            Self::Proxy => "kubectl-proxy",
            Self::ControllerManager => "kube-controller-manager",
            Self::Node => "node",
            Self::Istiod => "istiod",
            Self::Envoy => "envoy",
            Self::Prometheus => "prometheus",
        }
    }

    /// The command that starts it, with its files in `folder`.
    pub fn command(self, folder: &Path) -> Result<Command> {
        match self {
            Self::Etcd => etcd(folder),
            Self::Api => api(folder),
            Self::Proxy => proxy(folder),
            Self::ControllerManager => controller_manager(folder),
            Self::Node => node(folder),
            Self::Istiod => istiod(folder),
            Self::Envoy => envoy(folder),
            Self::Prometheus => prometheus(folder),
        }
    }

    /// Fails with the reason as long as it is not ready.
    pub fn ready(self, folder: &Path) -> Result<()> {
        let url = match self {
            Self::Etcd => "http://127.0.0.1:2379/health",
            Self::Api => return crate::kubectl::run(folder, &["get", "--raw", "/readyz"]).map(drop),
            Self::Proxy => "http://127.0.0.1:8001/readyz",
            // Its own health page is behind TLS; the account it creates shows that it works.
            Self::ControllerManager => {
                return crate::kubectl::run(folder, &["get", "serviceaccount", "default", "-n", "default"]).map(drop);
            }
            Self::Node => "http://127.0.0.1:15090/ready",
            Self::Istiod => "http://127.0.0.1:15080/ready",
            Self::Envoy => "http://127.0.0.1:15000/ready",
            Self::Prometheus => "http://127.0.0.1:9090/-/ready",
        };
        get_ok(url).map(drop)
    }
}

fn etcd(folder: &Path) -> Result<Command> {
    let mut etcd = Command::new(find("etcd")?);
    etcd.arg("--data-dir").arg(folder.join("etcd"));
    etcd.args(["--listen-client-urls=http://127.0.0.1:2379", "--advertise-client-urls=http://127.0.0.1:2379"]);
    // Nothing here must outlive a power cut.
    etcd.args(["--listen-peer-urls=http://127.0.0.1:2380", "--unsafe-no-fsync", "--log-level=warn"]);
    Ok(etcd)
}

fn api(folder: &Path) -> Result<Command> {
    let mut api = Command::new(find("kube-apiserver")?);
    let key = folder.join("accounts.key");
    api.args(["--etcd-servers=http://127.0.0.1:2379", "--secure-port=6443", "--bind-address=127.0.0.1"]);
    // A namespace has no default route to take the address from.
    api.args(["--advertise-address=10.244.0.1", "--endpoint-reconciler-type=none"]);
    api.args(["--service-cluster-ip-range=10.96.0.0/16", "--authorization-mode=RBAC"]);
    api.arg("--cert-dir").arg(folder.join("certs"));
    api.arg("--token-auth-file").arg(folder.join("tokens.csv"));
    api.arg("--service-account-issuer=https://kubernetes.default");
    api.arg("--service-account-key-file").arg(&key);
    api.arg("--service-account-signing-key-file").arg(&key);
    api.arg("--audit-policy-file").arg(folder.join("audit.yaml"));
    api.arg("--audit-log-path").arg(folder.join("audit.log"));
    // Whoever reads it wants one file with all of it; size in MB.
    api.args(["--audit-log-maxsize=4000", "--audit-log-mode=blocking"]);
    Ok(api)
}

fn proxy(folder: &Path) -> Result<Command> {
    let mut proxy = Command::new(find("kubectl")?);
    proxy.arg("--kubeconfig").arg(folder.join("kubeconfig")).args(["proxy", "--port=8001"]);
    Ok(proxy)
}

fn controller_manager(folder: &Path) -> Result<Command> {
    let mut manager = Command::new(find("kube-controller-manager")?);
    manager.arg("--kubeconfig").arg(folder.join("kubeconfig"));
    manager.arg("--service-account-private-key-file").arg(folder.join("accounts.key"));
    manager.args(["--use-service-account-credentials=false", "--leader-elect=false"]);
    manager.args(["--bind-address=127.0.0.1", "--secure-port=10257"]);
    // A fleet of hundreds of Deployments must not wait for this client's own rate limit.
    manager.args(["--kube-api-qps=500", "--kube-api-burst=1000"]);
    manager.arg(format!("--controllers={CONTROLLERS}"));
    Ok(manager)
}

fn node(folder: &Path) -> Result<Command> {
    let program =
        std::env::var_os(PROGRAM).with_context(|| format!("{PROGRAM} is not set: run inside `cluster within`"))?;
    // Thousands of pods are thousands of listening sockets.
    let mut node = Command::new("sh");
    node.args(["-c", r#"ulimit -n "$(ulimit -Hn)"; exec "$0" "$@""#]).arg(program).arg("node");
    node.arg("--kubeconfig").arg(folder.join("kubeconfig"));
    node.arg("--targets").arg(folder.join("targets.json"));
    Ok(node)
}

fn istiod(folder: &Path) -> Result<Command> {
    // It leaves files in its working folder.
    let own = folder.join("istiod");
    std::fs::create_dir_all(&own)?;
    let mut istiod = Command::new(find("pilot-discovery")?);
    istiod.current_dir(&own);
    istiod.envs([
        ("POD_NAMESPACE", "istio-system"),
        ("POD_NAME", "istiod-0"),
        ("CLUSTER_ID", "Kubernetes"),
        ("REVISION", "default"),
        ("ENABLE_CA_SERVER", "false"),
        ("PILOT_CERT_PROVIDER", "none"),
        ("INJECT_ENABLED", "false"),
        ("INJECTION_WEBHOOK_CONFIG_NAME", ""),
        ("VALIDATION_WEBHOOK_CONFIG_NAME", ""),
        ("ENABLE_LEADER_ELECTION", "false"),
        // Stock Envoy lacks Istio's own filters and would refuse every listener.
        ("PILOT_ENABLE_METADATA_EXCHANGE", "false"),
        ("PILOT_ENABLE_ALPN_FILTER", "false"),
        ("PILOT_ENABLE_GATEWAY_API_DEPLOYMENT_CONTROLLER", "false"),
        ("ENABLE_DEBUG_ENDPOINT_AUTH", "false"),
        ("PILOT_ENABLE_ANALYSIS", "true"),
        ("PILOT_DEBOUNCE_AFTER", "10ms"),
    ]);
    istiod.arg("discovery").arg("--kubeconfig").arg(folder.join("kubeconfig"));
    istiod.arg("--meshConfig").arg(folder.join("mesh.yaml"));
    istiod.args(["--namespace=istio-system", "--httpAddr=127.0.0.1:15080", "--grpcAddr=127.0.0.1:15010"]);
    istiod.args(["--secureGRPCAddr=", "--httpsAddr=", "--monitoringAddr=127.0.0.1:15014", "--ctrlz_port=0"]);
    Ok(istiod)
}

fn envoy(folder: &Path) -> Result<Command> {
    let mut envoy = Command::new(find("envoy")?);
    envoy.arg("-c").arg(folder.join("mesh-client.yaml"));
    // Hot restart uses /dev/shm, which no namespace separates.
    envoy.args(["--disable-hot-restart", "--concurrency", "1", "--log-level", "error"]);
    Ok(envoy)
}

fn prometheus(folder: &Path) -> Result<Command> {
    let mut prometheus = Command::new(find("prometheus")?);
    prometheus.arg("--config.file").arg(folder.join("prometheus.yml"));
    prometheus.arg("--storage.tsdb.path").arg(folder.join("prometheus"));
    prometheus.args(["--storage.tsdb.retention.time=2h", "--web.listen-address=127.0.0.1:9090"]);
    prometheus.args(["--web.enable-lifecycle", "--enable-feature=native-histograms"]);
    // Otherwise a vanished series continues answering for five minutes.
    prometheus.args(["--query.lookback-delta=10s", "--log.level=warn"]);
    Ok(prometheus)
}
