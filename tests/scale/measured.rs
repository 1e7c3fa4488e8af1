//! The controller under test, and what it and the API server use in one part of a run.

use super::POLL;
use super::meter::Meter;
use super::process::Usage;
use super::report::Phase;
use super::requests::Requests;
use crate::http::get_ok;
use crate::lane::Lane;
use crate::say::spoken;
use crate::server::Server;
use anyhow::{Context, Result, ensure};
use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

/// Where the controller serves its own metrics.
const LISTEN: &str = "127.0.0.1:18080";
/// Where the API server is.
const API: &str = "127.0.0.1:6443";
/// A controller with nothing to do is ready within this.
const START: Duration = Duration::from_secs(60);
/// It has begun its work when it made no request for so long.
const BEGUN: Duration = Duration::from_secs(2);

/// A controller that reaches the API server through a meter.
pub struct Measured {
    server: Server,
    meter: Meter,
    api: u32,
}

impl Measured {
    /// Starts it, and waits until its start is over: what it lists then is no work of the fleet.
    pub async fn start(lane: &Lane, controller: &Path) -> Result<Self> {
        let meter = Meter::to(API.parse()?).await?;
        let kubeconfig = lane.folder().join("kubeconfig-metered");
        let direct = fs::read_to_string(lane.kubeconfig())?;
        fs::write(&kubeconfig, direct.replace(API, &meter.address().to_string()))?;
        let mut command = lane.command(controller);
        command.env("KUBECONFIG", kubeconfig);
        command.args(["controller", "--listen", LISTEN, "--leader-elect", "--lease-namespace", "default"]);
        let api = *lane.ids().get("kube-apiserver").context("the lane has no API server")?;
        let mut measured = Measured { server: lane.serve("controller", command)?, meter, api };
        measured.ready().await?;
        measured.quiet(BEGUN, START).await?;
        Ok(measured)
    }

    async fn ready(&mut self) -> Result<()> {
        let began = Instant::now();
        while get_ok(&format!("http://{LISTEN}/readyz")).is_err() {
            self.server.check()?;
            ensure!(began.elapsed() < START, "the controller is not ready after {}", spoken(START));
            tokio::time::sleep(POLL).await;
        }
        Ok(())
    }

    /// What was used while `work` was running, and what it gave.
    pub async fn phase<T>(&self, work: impl Future<Output = Result<T>>) -> Result<(Phase, T)> {
        Usage::forget_peak(self.server.id())?;
        let (requests, ticks) = (Requests::of_controller(LISTEN)?, ticks()?);
        let (usage, api, bytes, began) = (self.usage()?, Usage::of(self.api)?, self.meter.bytes(), Instant::now());
        let given = work.await?;
        let (after, took) = (self.usage()?, began.elapsed());
        let phase = Phase {
            took,
            resident: after.resident,
            peak: after.peak,
            cpu: after.cpu - usage.cpu,
            api_cpu: Usage::of(self.api)?.cpu - api.cpu,
            bytes: self.meter.bytes().since(bytes),
            requests: Requests::of_controller(LISTEN)?.since(&requests),
            ticks: self::ticks()? - ticks,
        };
        Ok((phase, given))
    }

    /// Waits until the controller has made no request for so long, watches and the Lease apart, or gives up.
    pub async fn quiet(&self, quiet: Duration, limit: Duration) -> Result<()> {
        let (began, mut since) = (Instant::now(), Instant::now());
        let mut last = Requests::of_controller(LISTEN)?.of_work();
        while since.elapsed() < quiet && began.elapsed() < limit {
            tokio::time::sleep(POLL).await;
            let now = Requests::of_controller(LISTEN)?.of_work();
            if now != last {
                (last, since) = (now, Instant::now());
            }
        }
        Ok(())
    }

    fn usage(&self) -> Result<Usage> {
        Usage::of(self.server.id())
    }
}

/// How often the controller has looked at a Rollout.
fn ticks() -> Result<u64> {
    let page = get_ok(&format!("http://{LISTEN}/metrics"))?;
    let count = page.lines().find_map(|line| line.strip_prefix("glidepath_reconcile_duration_seconds_count "));
    Ok(count.context("the controller does not count its ticks")?.parse()?)
}
