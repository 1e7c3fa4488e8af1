//! A fleet on the test cluster: many Rollouts idle, then the image of all of them changed at once. What the controller
//! needs for it in time, memory, CPU and requests. docs/performance.md has the numbers and says how to repeat them.

mod course;
mod fleet;
mod process;
mod report;
mod requests;

use crate::kubectl;
use crate::lane::{Lane, Options};
use crate::node;
use crate::programs::find;
use crate::say::{say, spoken};
use crate::server::Server;
use anyhow::{Result, ensure};
use course::Courses;
use fleet::Fleet;
use process::Usage;
use report::{Phase, Report};
use requests::Requests;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// Where the controller under test serves its own numbers.
const LISTEN: &str = "127.0.0.1:18080";
/// Old pods go 30 s after their traffic, so a fleet without a request for longer than that is at rest.
const QUIET: Duration = Duration::from_secs(35);
/// A fleet that has not come to rest by then is stuck.
const PATIENCE: Duration = Duration::from_secs(900);

/// What is measured.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The glidepath to measure; build it with `cargo build --release`
    #[arg(long, default_value = "target/release/glidepath")]
    controller: PathBuf,
    /// How many Rollouts
    #[arg(long, default_value_t = 100)]
    rollouts: usize,
    /// Pods of each Rollout
    #[arg(long, default_value_t = 1)]
    replicas: u32,
    /// Give each Rollout a VirtualService, and two Services more
    #[arg(long)]
    mesh: bool,
    /// How long the idle fleet is watched, in seconds
    #[arg(long, default_value_t = 60)]
    idle: u64,
}

/// Runs inside the namespace of a test cluster, which it brings up.
pub async fn run(args: &Args) -> Result<()> {
    let controller = std::path::absolute(&args.controller)?;
    ensure!(controller.exists(), "{} is missing: cargo build --release", controller.display());
    let lane = tokio::task::block_in_place(|| bring_up(args.mesh))?;
    let client = node::client(&lane.kubeconfig()).await?;
    let (courses, following) = Courses::follow(client.clone());
    let measured = Measured::start(&lane, &controller)?;
    let fleet = Fleet { client, rollouts: args.rollouts, replicas: args.replicas, mesh: args.mesh };

    say(format_args!("creating {} Rollouts", args.rollouts));
    let first = measured.phase(args.rollouts, async {
        fleet.create().await?;
        measured.wait(&courses, args.rollouts, 1, "healthy").await
    });
    let first = first.await?;
    let idle = measured.phase(args.rollouts, async {
        say(format_args!("all is quiet; watching it idle for {} s", args.idle));
        tokio::time::sleep(Duration::from_secs(args.idle)).await;
        Ok(Vec::new())
    });
    let idle = idle.await?;
    say("changing all images at once");
    let server_before = Requests::of_server(&lane)?;
    let update = measured.phase(args.rollouts, async {
        fleet.update(2).await?;
        measured.wait(&courses, args.rollouts, 2, "promoted").await
    });
    let update = update.await?;
    let server = Requests::of_server(&lane)?.since(&server_before);
    drop(following);
    let faults = courses.faults(&fleet.keys(), 2);
    let report =
        Report { rollouts: args.rollouts, replicas: args.replicas, mesh: args.mesh, first, idle, update, server };
    println!("{report}");
    ensure!(faults.is_empty(), "{} Rollouts did not walk as they should:\n{}", faults.len(), faults.join("\n"));
    println!("No Rollout was stuck, and none skipped a step or cut a pause short.");
    Ok(())
}

/// Kubernetes alone; for a mesh the CRDs too, since routes are only written here and not obeyed.
fn bring_up(mesh: bool) -> Result<Lane> {
    let lane = Lane::start(Options { istio: false, prometheus: false, gateway_api: false })?;
    if mesh {
        let crds = std::fs::read_to_string(find("istio-crds.yaml")?)?;
        kubectl::apply(lane.folder(), &crds)?;
        lane.kubectl(&["wait", "--for=condition=Established", "crd", "--all", "--timeout=60s"])?;
    }
    Ok(lane)
}

/// The controller under test.
struct Measured {
    server: Server,
}

impl Measured {
    fn start(lane: &Lane, controller: &Path) -> Result<Self> {
        let mut command = lane.command(controller);
        command.args(["controller", "--listen", LISTEN, "--leader-elect", "--lease-namespace", "default"]);
        Ok(Measured { server: lane.serve("controller", command)? })
    }

    /// What the controller used while `work` was running. `work` gives the seconds at which each Rollout was done.
    async fn phase(&self, rollouts: usize, work: impl Future<Output = Result<Vec<f64>>>) -> Result<Phase> {
        Usage::forget_peak(self.server.id())?;
        let (usage, requests, began) = (self.usage()?, Requests::of_controller(LISTEN)?, Instant::now());
        let mut done = work.await?;
        done.sort_by(f64::total_cmp);
        let (after, requests) = (self.usage()?, Requests::of_controller(LISTEN)?.since(&requests));
        let took = began.elapsed();
        Ok(Phase {
            rollouts,
            done,
            took,
            resident: after.resident,
            peak: after.peak,
            cpu: after.cpu - usage.cpu,
            requests,
        })
    }

    fn usage(&self) -> Result<Usage> {
        Usage::of(self.server.id())
    }

    /// Waits until all Rollouts have revision `number` as their stable one, and then for quiet.
    async fn wait(&self, courses: &Courses, rollouts: usize, number: u64, word: &str) -> Result<Vec<f64>> {
        let began = Instant::now();
        let mut quiet_since = Instant::now();
        let mut last = Requests::of_controller(LISTEN)?.of_work();
        let mut said = 0;
        loop {
            tokio::time::sleep(Duration::from_millis(500)).await;
            let done = courses.stable_at(number);
            if done.len() != said {
                said = done.len();
                say(format_args!("{said} of {rollouts} are {word} after {}", spoken(began.elapsed())));
            }
            let now = Requests::of_controller(LISTEN)?.of_work();
            if now != last || said < rollouts {
                (last, quiet_since) = (now, Instant::now());
            }
            if quiet_since.elapsed() > QUIET {
                return Ok(done.iter().map(|at| seconds(began, *at)).collect());
            }
            if began.elapsed() > PATIENCE {
                say(format_args!("gave up waiting: {said} of {rollouts} are {word}"));
                return Ok(done.iter().map(|at| seconds(began, *at)).collect());
            }
        }
    }
}

fn seconds(began: Instant, at: Instant) -> f64 {
    at.saturating_duration_since(began).as_secs_f64()
}
