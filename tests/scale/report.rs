//! What was measured, as tables for docs/performance.md.

use super::requests::Requests;
use std::fmt::{Display, Formatter, Result};
use std::time::Duration;

/// What the controller used in one part of the run.
#[derive(Debug)]
pub struct Phase {
    pub rollouts: usize,
    /// Seconds until each Rollout was done, ascending.
    pub done: Vec<f64>,
    pub took: Duration,
    /// MB at its end.
    pub resident: f64,
    /// The most MB in it.
    pub peak: f64,
    /// CPU seconds.
    pub cpu: f64,
    pub requests: Requests,
}

/// A whole run.
#[derive(Debug)]
pub struct Report {
    pub rollouts: usize,
    pub replicas: u32,
    pub mesh: bool,
    pub first: Phase,
    pub idle: Phase,
    pub update: Phase,
    /// The server's own count over the update, of kinds that only the controller writes.
    pub server: Requests,
}

impl Phase {
    fn each(&self, count: u64) -> f64 {
        count as f64 / self.rollouts as f64
    }

    fn share_done(&self, share: f64) -> f64 {
        let index = ((self.done.len() as f64 * share).ceil() as usize).clamp(1, self.done.len().max(1)) - 1;
        self.done.get(index).copied().unwrap_or(f64::NAN)
    }

    fn row(&self, to: &mut Formatter<'_>, name: &str) -> Result {
        let (half, all) = (self.share_done(0.5), self.share_done(1.0));
        let done = if self.done.is_empty() { String::new() } else { format!("{half:.1} / {all:.1} s") };
        writeln!(
            to,
            "| {name} | {done} | {:.1} MB | {:.1} MB | {:.2} s | {:.1} ms | {:.1} | {:.1} |",
            self.resident,
            self.peak,
            self.cpu,
            self.cpu * 1000.0 / self.rollouts as f64,
            self.each(self.requests.without_events().sum()),
            self.each(self.requests.events()),
        )
    }
}

impl Display for Report {
    fn fmt(&self, to: &mut Formatter<'_>) -> Result {
        let mesh = if self.mesh { "a VirtualService each" } else { "no mesh" };
        writeln!(to, "\n{} Rollouts, {mesh}, replicas: {}\n", self.rollouts, self.replicas)?;
        writeln!(
            to,
            "| part | done: half / all | RSS at its end | peak RSS | CPU | CPU a Rollout | requests a Rollout | events a Rollout |\n\
             |---|---|---|---|---|---|---|---|"
        )?;
        self.first.row(to, "first deploy")?;
        self.idle.row(to, &format!("idle {} s", self.idle.took.as_secs()))?;
        self.update.row(to, "update")?;
        writeln!(to, "\nRequests while idle: {}", listed(&self.idle.requests))?;
        writeln!(to, "\n| request in the update | in all | a Rollout |\n|---|---|---|")?;
        for (name, count) in self.update.requests.rows() {
            writeln!(to, "| {name} | {count} | {:.2} |", self.update.each(count))?;
        }
        writeln!(to, "\nThe API server counted in the update: {}", listed(&self.server))
    }
}

fn listed(requests: &Requests) -> String {
    let rows: Vec<String> = requests.rows().iter().map(|(name, count)| format!("{name} {count}")).collect();
    if rows.is_empty() { "none".to_owned() } else { rows.join(", ") }
}
