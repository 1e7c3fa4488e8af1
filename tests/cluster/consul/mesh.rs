//! The servers of the mesh: how each starts, and when it is ready.

use crate::http::{Reply, get, send};
use crate::load::Plan;
use crate::namespace::{self, lane_folder};
use crate::obtain::output;
use crate::programs::find;
use crate::say::say;
use crate::server::Server;
use crate::wait::wait_for;
use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

/// Consul's API.
pub const URL: &str = "http://127.0.0.1:8500";
/// Where the client's sidecar leads to `web`.
pub const UPSTREAM: &str = "127.0.0.1:9191";
const PATIENCE: Duration = Duration::from_secs(60);

/// A running agent with its Envoys. All of them end with it.
pub struct Mesh {
    folder: PathBuf,
    agent: Option<Server>,
    sidecars: Vec<Server>,
}

impl Mesh {
    /// The agent, and a client of `web` with its sidecar.
    pub fn start() -> Result<Self> {
        let lane = lane_folder().context("this needs a network namespace of its own: run `make test-meshes`")?;
        let began = Instant::now();
        namespace::arrange()?;
        let folder = tempfile::Builder::new().prefix("consul-").tempdir_in(lane)?.keep();
        fs::write(folder.join("agent.hcl"), include_str!("../config/consul.hcl"))?;
        let mut mesh = Self { folder, agent: None, sidecars: Vec::new() };
        mesh.start_agent()?;
        mesh.register(&client())?;
        mesh.sidecar("client-1")?;
        say(format_args!("Consul with a client is up after {:.1}s", began.elapsed().as_secs_f64()));
        Ok(mesh)
    }

    /// Starts the agent and waits until it leads itself.
    pub fn start_agent(&mut self) -> Result<()> {
        let mut agent = Command::new(find("consul")?);
        agent.args(["agent", "-config-file"]).arg(self.folder.join("agent.hcl"));
        agent.arg("-data-dir").arg(self.folder.join("data"));
        self.agent = Some(Server::start("consul", agent, &self.folder)?);
        wait_for(PATIENCE, "Consul to have a leader", || {
            let reply = get(&format!("{URL}/v1/status/leader"), &[])?;
            ensure!(reply.status == 200 && reply.body.contains(':'), "{} {}", reply.status, reply.body);
            // The first services of a leader come a moment after it.
            let own = get(&format!("{URL}/v1/catalog/service/consul"), &[])?;
            ensure!(own.body.contains("ServiceID"), "no server is in the catalog");
            Ok(())
        })
    }

    /// Ends the agent, as a crash would. The Envoys stay.
    pub fn kill_agent(&mut self) {
        self.agent = None;
    }

    /// Fails when a server has ended on its own.
    pub fn check(&mut self) -> Result<()> {
        self.agent.iter_mut().chain(&mut self.sidecars).try_for_each(Server::check)
    }

    /// Registers a service with the agent.
    pub fn register(&self, service: &Value) -> Result<()> {
        let reply = self.put("/v1/agent/service/register", service)?;
        ensure!(reply.status == 200, "not registered: {} {}", reply.status, reply.body);
        Ok(())
    }

    /// Starts the sidecar of a registered service.
    pub fn sidecar(&mut self, id: &str) -> Result<()> {
        let admin = 19_000 + self.sidecars.len();
        let mut bootstrap = Command::new(find("consul")?);
        bootstrap.args(["connect", "envoy", "-bootstrap", "-sidecar-for", id, "-grpc-addr", "127.0.0.1:8502"]);
        bootstrap.arg("-admin-bind").arg(format!("127.0.0.1:{admin}"));
        let file = self.folder.join(format!("{id}.json"));
        fs::write(&file, output(&mut bootstrap)?)?;
        let mut envoy = Command::new(find("envoy")?);
        envoy.arg("-c").arg(file);
        envoy.args(["--disable-hot-restart", "--concurrency", "1", "--drain-time-s", "1", "--log-level", "error"]);
        self.sidecars.push(Server::start(&format!("envoy-{id}"), envoy, &self.folder)?);
        wait_for(PATIENCE, "Envoy to be ready", || {
            self.check()?;
            let reply = get(&format!("http://127.0.0.1:{admin}/ready"), &[])?;
            ensure!(reply.status == 200, "{}", reply.body);
            Ok(())
        })
    }

    /// A GET of Consul's API, as JSON.
    pub fn get(&self, path: &str) -> Result<Value> {
        let reply = get(&format!("{URL}{path}"), &[])?;
        ensure!(reply.status == 200, "{path}: {} {}", reply.status, reply.body);
        Ok(serde_json::from_str(&reply.body)?)
    }

    /// A PUT to Consul's API.
    pub fn put(&self, path: &str, body: &Value) -> Result<Reply> {
        send("PUT", &format!("{URL}{path}"), &[], &body.to_string())
    }

    /// Writes a config entry.
    pub fn write(&self, entry: &Value) -> Result<()> {
        let reply = self.put("/v1/config", entry)?;
        ensure!(reply.status == 200 && reply.body.trim() == "true", "{} {}", reply.status, reply.body);
        Ok(())
    }

    /// Waits until so many instances of `web` are passing in the mesh.
    pub fn wait_for_instances(&self, count: usize) -> Result<()> {
        wait_for(PATIENCE, "the instances to be passing", || {
            let passing = self.get("/v1/health/connect/web?passing")?;
            let found = passing.as_array().map_or(0, Vec::len);
            ensure!(found == count, "{found} of {count}");
            Ok(())
        })
    }
}

/// Requests by the client's sidecar.
pub fn plan(per_second: f64) -> Plan {
    Plan {
        address: UPSTREAM.to_owned(),
        host: "web".to_owned(),
        path: "/".to_owned(),
        headers: Vec::new(),
        per_second,
        limit: None,
    }
}

fn client() -> Value {
    json!({
        "ID": "client-1", "Name": "client", "Address": "127.0.0.1", "Port": 9999,
        "Connect": {"SidecarService": {
            "Port": 21000, "Address": "127.0.0.1",
            "Checks": [{"Name": "up", "TCP": "127.0.0.1:21000", "Interval": "1s"}],
            "Proxy": {"Upstreams": [{"DestinationName": "web", "LocalBindPort": 9191}]},
        }},
    })
}
