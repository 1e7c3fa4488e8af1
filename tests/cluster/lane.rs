//! A lane: one whole test cluster inside the namespace this process is in, and what a test asks of it. Everything here
//! blocks; tests are plain `#[test]` functions.

use crate::component::Component;
use crate::http::{encoded, get_ok};
use crate::kubectl;
use crate::namespace::{self, lane_folder};
use crate::node::PodCount;
use crate::obtain::output;
use crate::programs::find;
use crate::say::{say, spoken};
use crate::server::Server;
use crate::wait::wait_for;
use anyhow::{Context, Result, ensure};
use serde_json::Value;
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

pub const API_URL: &str = "https://127.0.0.1:6443";
/// The same without TLS and tokens, through `kubectl proxy`.
const PROXY_URL: &str = "http://127.0.0.1:8001";
pub const PROMETHEUS_URL: &str = "http://127.0.0.1:9090";
/// The mesh client's port for Services of port 80: send there with the Host of the Service, `web.shop`.
pub const MESH_URL: &str = "http://127.0.0.1:80/";
/// The node harness's own address.
pub const NODE_URL: &str = "http://127.0.0.1:15090";
const PATIENCE: Duration = Duration::from_secs(90);

/// What a lane has.
#[derive(Debug, Clone, Copy)]
pub struct Options {
    /// Istio's CRDs, its control plane and the mesh client.
    pub istio: bool,
    pub prometheus: bool,
    /// The Gateway API's CRDs (experimental channel), before the control plane starts.
    pub gateway_api: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self { istio: true, prometheus: true, gateway_api: false }
    }
}

/// A running lane. Its servers end with it, and with the namespace.
pub struct Lane {
    folder: PathBuf,
    servers: Mutex<BTreeMap<Component, Server>>,
}

/// One sample of an instant query.
#[derive(Debug, Clone)]
pub struct Sample {
    pub labels: BTreeMap<String, String>,
    pub value: f64,
}

impl Lane {
    /// Brings everything up and waits until it is ready.
    pub fn start(options: Options) -> Result<Self> {
        let folder = lane_folder().context(
            "this needs the namespace of a test cluster: run `make test-cluster`, \
             or `cargo run --profile test --example cluster -- within COMMAND`",
        )?;
        say("bringing up the test cluster");
        let began = Instant::now();
        namespace::arrange()?;
        prepare(&folder)?;
        let lane = Self { folder, servers: Mutex::default() };
        lane.spawn(Component::Etcd)?;
        lane.spawn(Component::Api)?;
        lane.await_ready(Component::Api)?;
        lane.spawn(Component::Proxy)?;
        lane.spawn(Component::ControllerManager)?;
        lane.spawn(Component::Node)?;
        if options.prometheus {
            lane.spawn(Component::Prometheus)?;
        }
        lane.install(options)?;
        if options.istio {
            lane.spawn(Component::Istiod)?;
            lane.await_ready(Component::Istiod)?;
            lane.spawn(Component::Envoy)?;
        }
        let rest =
            [Component::Proxy, Component::ControllerManager, Component::Node, Component::Envoy, Component::Prometheus];
        for component in rest.into_iter().filter(|component| lane.running(*component)) {
            lane.await_ready(component)?;
        }
        say(format_args!("the test cluster is up after {}", spoken(began.elapsed())));
        Ok(lane)
    }

    /// The folder with the kubeconfig, the logs (`NAME.log`) and the data.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The administrator's kubeconfig.
    pub fn kubeconfig(&self) -> PathBuf {
        self.folder.join("kubeconfig")
    }

    /// Starts a component and waits until it is ready.
    pub fn start_component(&self, component: Component) -> Result<()> {
        self.spawn(component)?;
        self.await_ready(component)
    }

    /// Ends a component in an orderly way, after three seconds by force.
    pub fn stop_component(&self, component: Component) -> Result<()> {
        let server = self.servers().remove(&component);
        server.with_context(|| format!("{} is not running", component.name()))?.stop()
    }

    /// Whether the component was started and not stopped.
    pub fn running(&self, component: Component) -> bool {
        self.servers().contains_key(&component)
    }

    /// Process ids of the running components, for measurements.
    pub fn ids(&self) -> BTreeMap<&'static str, u32> {
        self.servers().iter().map(|(component, server)| (component.name(), server.id())).collect()
    }

    /// Fails when a component has died on its own, with the end of its log.
    pub fn check(&self) -> Result<()> {
        self.servers().values_mut().try_for_each(Server::check)
    }

    /// A command whose `KUBECONFIG` is the lane's: the controller or the CLI under test.
    pub fn command(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let mut command = Command::new(program);
        command.env("KUBECONFIG", self.kubeconfig());
        command
    }

    /// Starts a server of the test's own, with its log next to the others'. It ends when dropped.
    pub fn serve(&self, name: &str, command: Command) -> Result<Server> {
        Server::start(name, command, &self.folder)
    }

    /// kubectl's standard output.
    pub fn kubectl(&self, args: &[&str]) -> Result<String> {
        kubectl::run(&self.folder, args)
    }

    /// Creates or replaces the objects of some YAML.
    pub fn apply(&self, yaml: &str) -> Result<()> {
        kubectl::apply(&self.folder, yaml)
    }

    /// One object as JSON.
    pub fn get(&self, namespace: &str, kind: &str, name: &str) -> Result<Value> {
        if let Some((version, resource)) = polled(kind) {
            let path = format!("/apis/{version}/namespaces/{namespace}/{resource}/{name}");
            let mut object: Value = serde_json::from_str(&get_ok(&format!("{PROXY_URL}{path}"))?)?;
            object["metadata"].as_object_mut().and_then(|metadata| metadata.remove("managedFields"));
            return Ok(object);
        }
        let text = self.kubectl(&["get", kind, name, "-n", namespace, "-o", "json"])?;
        Ok(serde_json::from_str(&text)?)
    }

    /// What the pods of a namespace counted, those gone included.
    pub fn counts(&self, namespace: &str) -> Result<Vec<PodCount>> {
        Ok(serde_json::from_str(&get_ok(&format!("{NODE_URL}/counts?namespace={namespace}"))?)?)
    }

    /// An instant query to Prometheus.
    pub fn query(&self, promql: &str) -> Result<Vec<Sample>> {
        let text = get_ok(&format!("{PROMETHEUS_URL}/api/v1/query?query={}", encoded(promql)))?;
        let answer: Value = serde_json::from_str(&text)?;
        let samples = answer["data"]["result"].as_array().context("the query's result is no vector")?;
        samples.iter().map(sample).collect()
    }

    fn spawn(&self, component: Component) -> Result<()> {
        let mut servers = self.servers();
        ensure!(!servers.contains_key(&component), "{} is running already", component.name());
        servers.insert(component, Server::start(component.name(), component.command(&self.folder)?, &self.folder)?);
        Ok(())
    }

    fn await_ready(&self, component: Component) -> Result<()> {
        let began = Instant::now();
        let what = format!("{} to be ready", component.name());
        let mut dead = None;
        wait_for(PATIENCE, &what, || {
            if let Err(reason) = self.check() {
                dead = Some(reason);
                return Ok(());
            }
            component.ready(&self.folder)
        })?;
        match dead {
            Some(reason) => Err(reason),
            None => {
                say(format_args!("{} is ready ({:.1}s)", component.name(), began.elapsed().as_secs_f64()));
                Ok(())
            }
        }
    }

    /// Namespaces and CRDs that must be there before the rest starts.
    fn install(&self, options: Options) -> Result<()> {
        let began = Instant::now();
        let mut yaml = vec![own_crds()?];
        if options.istio {
            yaml.push(NAMESPACES.to_owned());
            yaml.push(fs::read_to_string(find("istio-crds.yaml")?)?);
        }
        if options.gateway_api {
            yaml.push(fs::read_to_string(find("gateway-crds.yaml")?)?);
        }
        yaml.retain(|text| !text.trim().is_empty());
        if !yaml.is_empty() {
            self.apply(&yaml.join("\n---\n"))?;
            self.kubectl(&["wait", "--for=condition=Established", "crd", "--all", "--timeout=60s"])?;
            say(format_args!("CRDs are installed ({:.1}s)", began.elapsed().as_secs_f64()));
        }
        Ok(())
    }

    fn servers(&self) -> MutexGuard<'_, BTreeMap<Component, Server>> {
        self.servers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Group, version and resource of the kinds that tests ask for many times a second: a kubectl for each question would take
/// most of a processor.
fn polled(kind: &str) -> Option<(&'static str, &'static str)> {
    match kind {
        "gro" => Some(("glidepath.dev/v1alpha1", "rollouts")),
        "gar" => Some(("glidepath.dev/v1alpha1", "analysisruns")),
        "virtualservice.v1beta1.networking.istio.io" => Some(("networking.istio.io/v1beta1", "virtualservices")),
        _ => None,
    }
}

/// The mesh client lives in a namespace of its own; istiod stores its root there.
const NAMESPACES: &str = "
apiVersion: v1
kind: Namespace
metadata: {name: istio-system}
---
apiVersion: v1
kind: Namespace
metadata: {name: mesh-client}
";

fn prepare(folder: &Path) -> Result<()> {
    fs::write(folder.join("kubeconfig"), include_str!("config/kubeconfig.yaml"))?;
    fs::write(folder.join("mesh.yaml"), include_str!("config/mesh.yaml"))?;
    fs::write(folder.join("mesh-client.yaml"), include_str!("config/mesh-client.yaml"))?;
    fs::write(folder.join("prometheus.yml"), include_str!("config/prometheus.yml"))?;
    fs::write(folder.join("audit.yaml"), include_str!("config/audit.yaml"))?;
    fs::write(folder.join("tokens.csv"), "admintoken,admin,admin,system:masters\n")?;
    let key = folder.join("accounts.key");
    let mut openssl = Command::new("openssl");
    openssl.args(["genpkey", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048", "-out"]).arg(key);
    output(&mut openssl).context("the test cluster needs openssl to make the key of service accounts")?;
    Ok(())
}

/// The CRDs of this repository: every YAML file of `deploy/crds`, or nothing as long as there is none.
fn own_crds() -> Result<String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/crds");
    if !folder.is_dir() {
        return Ok(String::new());
    }
    let mut files: Vec<_> = fs::read_dir(folder)?.map(|entry| Ok(entry?.path())).collect::<std::io::Result<_>>()?;
    files.retain(|file| file.extension().is_some_and(|e| e == "yaml"));
    files.retain(|file| file.file_stem().is_some_and(|name| name != "kustomization"));
    files.sort();
    Ok(files.iter().map(fs::read_to_string).collect::<std::io::Result<Vec<_>>>()?.join("\n---\n"))
}

fn sample(value: &Value) -> Result<Sample> {
    let labels = value["metric"].as_object().context("a sample without labels")?;
    let text = |v: &Value| v.as_str().unwrap_or_default().to_owned();
    Ok(Sample {
        labels: labels.iter().map(|(name, v)| (name.clone(), text(v))).collect(),
        value: value["value"][1].as_str().context("a sample without a value")?.parse()?,
    })
}
