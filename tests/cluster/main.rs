//! The test cluster, as a tool for users and for `make`: real Kubernetes, Istio, Envoy and Prometheus on one machine,
//! in a network namespace of its own. See docs/test-cluster.md. A development tool: it is not shipped.
#![allow(dead_code, reason = "the example and the test binary share these files; each uses its own part")]
#![allow(missing_docs, clippy::panic, clippy::disallowed_methods, reason = "a test tool: it waits on the real clock")]

mod component;
mod http;
mod kubectl;
mod lane;
mod namespace;
mod node;
mod obtain;
mod programs;
mod say;
#[path = "../scale/mod.rs"]
mod scale;
mod server;
mod wait;

use anyhow::{Context, Result};
use clap::{Parser, Subcommand};
use lane::{Lane, Options};
use say::say;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use tokio::signal::unix::{SignalKind, signal};

#[derive(Parser)]
#[command(
    name = "cluster",
    about = "Real Kubernetes, Istio, Envoy and Prometheus for tests, in a namespace of their own"
)]
struct Cli {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand)]
enum Verb {
    /// Find every program, or obtain it into the cache
    Fetch {
        /// Also these, which only some tests need: consul, nginx, traefik, traefik-crds.yaml, contour-crds.yaml, smi-crds.yaml
        extras: Vec<String>,
    },
    /// Say whether this machine allows a network namespace
    Check,
    /// Bring the cluster up and keep it until Ctrl-C
    Up {
        /// Folder for the kubeconfig, the logs and the data; emptied first
        #[arg(long)]
        dir: Option<PathBuf>,
        /// Also install the Gateway API's CRDs
        #[arg(long)]
        gateway_api: bool,
        /// Kubernetes and the node harness only
        #[arg(long)]
        bare: bool,
    },
    /// Run a command inside the namespace of a cluster that is up
    Enter {
        #[arg(long)]
        dir: Option<PathBuf>,
        /// The command; a shell without one
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        command: Vec<String>,
    },
    /// Run a command inside a new, empty namespace: tests bring their own cluster up in it
    Within {
        #[arg(required = true, trailing_var_arg = true, allow_hyphen_values = true)]
        command: Vec<String>,
    },
    /// Measure the controller with a fleet of Rollouts, on a cluster of its own
    Scale(scale::Args),
    /// The node harness (started by the others)
    Node {
        #[arg(long)]
        kubeconfig: PathBuf,
        #[arg(long)]
        targets: PathBuf,
        #[arg(long, default_value = "127.0.0.1:15090")]
        control: SocketAddr,
    },
}

fn main() -> ExitCode {
    match run(Cli::parse().verb) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(verb: Verb) -> Result<ExitCode> {
    // Only the first caller installs it; a second one finds the same provider.
    let _ = rustls::crypto::ring::default_provider().install_default();
    match verb {
        Verb::Fetch { extras } => programs::fetch(&extras).map(|()| ExitCode::SUCCESS),
        Verb::Check => namespace::check().map(|()| ExitCode::SUCCESS),
        Verb::Up { dir, gateway_api, bare } => up(dir, Options { istio: !bare, prometheus: !bare, gateway_api }),
        Verb::Enter { dir, command } => enter(dir, command),
        Verb::Within { command } => within(&command),
        Verb::Scale(args) => scale(&args),
        Verb::Node { kubeconfig, targets, control } => {
            threads()?.block_on(node::run(node::Options { kubeconfig, targets, control }))?;
            Ok(ExitCode::SUCCESS)
        }
    }
}

fn up(dir: Option<PathBuf>, options: Options) -> Result<ExitCode> {
    if namespace::lane_folder().is_some() {
        return stay_up(options);
    }
    let folder = folder_of(dir)?;
    programs::fetch(&[])?;
    if folder.exists() {
        anyhow::ensure!(
            !folder.join("entrance").exists() || namespace::visit(&folder, &[]).is_err(),
            "a test cluster is up in {} already: end it, or choose another folder with --dir",
            folder.display()
        );
        std::fs::remove_dir_all(&folder).with_context(|| format!("cannot empty {}", folder.display()))?;
    }
    std::fs::create_dir_all(&folder)?;
    let code = thread()?.block_on(namespace::enter(&folder))?;
    let _ = std::fs::remove_file(folder.join("entrance"));
    Ok(code)
}

/// Inside the namespace: brings the cluster up, says how to use it, and waits.
fn stay_up(options: Options) -> Result<ExitCode> {
    thread()?.block_on(async {
        // The first process of a process namespace hears only the signals it listens to.
        let mut interrupt = signal(SignalKind::interrupt())?;
        let mut terminate = signal(SignalKind::terminate())?;
        let start = tokio::task::spawn_blocking(move || Lane::start(options));
        let lane = tokio::select! {
            lane = start => lane??,
            _ = interrupt.recv() => std::process::exit(130),
            _ = terminate.recv() => std::process::exit(143),
        };
        print!("{}", instructions(lane.folder(), options));
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
        say("ending the test cluster");
        drop(lane);
        Ok(ExitCode::SUCCESS)
    })
}

fn instructions(folder: &Path, options: Options) -> String {
    let shown = folder.display();
    let mesh = "
  Prometheus   http://127.0.0.1:9090
  mesh client  http://127.0.0.1:80/ with the Host of a Service: curl -H 'Host: web.shop' http://127.0.0.1/";
    let enter = if folder == default_folder() { String::new() } else { format!("--dir {shown} ") };
    format!(
        "
The test cluster is up. Its addresses exist only inside its own network namespace:
  kubeconfig   {shown}/kubeconfig (https://127.0.0.1:6443)
  pods' counts http://127.0.0.1:15090/counts{}
  logs         {shown}/*.log
Go inside from another terminal, with KUBECONFIG set:
  cargo run --quiet --profile test --example cluster -- enter {enter}bash
  cargo run --quiet --profile test --example cluster -- enter {enter}kubectl get pods -A
Ctrl-C ends it and everything in it.
",
        if options.istio { mesh } else { "" }
    )
}

fn enter(dir: Option<PathBuf>, mut command: Vec<String>) -> Result<ExitCode> {
    if command.is_empty() {
        command.push(std::env::var("SHELL").unwrap_or_else(|_| "sh".to_owned()));
    }
    let mut command = namespace::visit(&folder_of(dir)?, &command)?;
    Ok(namespace::code_of(command.status().context("cannot run nsenter")?))
}

fn within(command: &[String]) -> Result<ExitCode> {
    if namespace::lane_folder().is_some() {
        namespace::arrange()?;
        let mut child = Command::new(&command[0]);
        // The environment that `cargo run` sets would make a nested cargo rebuild its dependencies.
        for (name, _) in std::env::vars_os() {
            let own = name.to_string_lossy();
            if own == "CARGO" || own.starts_with("CARGO_PKG_") || own.starts_with("CARGO_MANIFEST_") {
                child.env_remove(&name);
            }
        }
        let status = child.args(&command[1..]).status().with_context(|| format!("cannot run {}", command[0]))?;
        return Ok(namespace::code_of(status));
    }
    in_new_namespace()
}

fn scale(args: &scale::Args) -> Result<ExitCode> {
    if namespace::lane_folder().is_some() {
        threads()?.block_on(scale::run(args))?;
        return Ok(ExitCode::SUCCESS);
    }
    programs::fetch(&[])?;
    in_new_namespace()
}

/// Runs this same command line inside; the logs are kept when it fails.
fn in_new_namespace() -> Result<ExitCode> {
    let folder = tempfile::Builder::new().prefix("glidepath-lane-").tempdir()?;
    let code = thread()?.block_on(namespace::enter(folder.path()))?;
    if code != ExitCode::SUCCESS {
        say(format_args!("the logs are kept in {}", folder.keep().display()));
    }
    Ok(code)
}

fn folder_of(dir: Option<PathBuf>) -> Result<PathBuf> {
    dir.map_or_else(|| Ok(default_folder()), |dir| std::path::absolute(dir).context("the folder has no absolute path"))
}

fn default_folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("target/cluster")
}

fn threads() -> Result<tokio::runtime::Runtime> {
    Ok(tokio::runtime::Builder::new_multi_thread().enable_all().build()?)
}

fn thread() -> Result<tokio::runtime::Runtime> {
    Ok(tokio::runtime::Builder::new_current_thread().enable_all().build()?)
}
