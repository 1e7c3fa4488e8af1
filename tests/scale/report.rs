//! What was measured, as tables for docs/performance.md.

use super::events::Events;
use super::figures::{Cpu, Figures, Memory, Work};
use super::meter::Bytes;
use super::requests::Requests;
use super::workload::Workload;
use std::fmt::{Display, Formatter, Result};
use std::time::Duration;

/// A kind of request with fewer of them for a Rollout is left out of the figures.
const RARE: f64 = 0.05;

/// What was used in one part of the run.
#[derive(Debug)]
pub struct Phase {
    pub took: Duration,
    /// Resident memory of the controller in MB, at the end.
    pub resident: f64,
    /// The most MB in it.
    pub peak: f64,
    /// CPU seconds of the controller.
    pub cpu: f64,
    /// CPU seconds of the API server.
    pub api_cpu: f64,
    pub requests: Requests,
    /// How often a Rollout was looked at.
    pub ticks: u64,
    pub bytes: Bytes,
}

/// A whole run.
#[derive(Debug)]
pub struct Report {
    pub workload: Workload,
    /// Whether memory is that of what users run.
    pub release: bool,
    pub first: Phase,
    pub idle: Phase,
    /// Until the last promotion.
    pub update: Phase,
    /// The time after it, in which the old pods go.
    pub tail: Phase,
    /// Seconds until each Rollout was promoted, ascending.
    pub promoted: Vec<f64>,
    /// The server's own count over the update, of kinds that only the controller writes.
    pub server: Requests,
    /// The events of the update.
    pub events: Events,
}

impl Report {
    /// What is compared with the accepted figures.
    pub fn figures(&self) -> Figures {
        let minutes = self.idle.took.as_secs_f64() / 60.0;
        let at_rest = self.idle.requests.of_work().without_lists().sum();
        let each = |seconds: f64| round(seconds * 1000.0 / self.workload.rollouts as f64, 1);
        Figures {
            first_deploy: self.work(&self.first.requests, self.first.bytes),
            update: self.work(&self.whole_update(), self.bytes_of_update()),
            requests_at_rest: round(at_rest as f64 / minutes, 1),
            memory: self.release.then(|| Memory {
                at_rest: round(self.idle.resident, 1),
                peak: round(self.update.peak.max(self.tail.peak), 1),
                after: round(self.tail.resident, 1),
            }),
            cpu: self.release.then(|| Cpu { controller: each(self.update.cpu), api_server: each(self.update.api_cpu) }),
        }
    }

    fn work(&self, requests: &Requests, bytes: Bytes) -> Work {
        let kilobytes = |bytes: u64| Some(round(self.each(bytes) / 1000.0, 1));
        // What a watch lists once in two minutes is no work of a Rollout.
        let kinds =
            requests.without_events().rows().into_iter().map(|(name, count)| (name, round(self.each(count), 2)));
        Work {
            requests: kinds.filter(|(_, each)| *each >= RARE).collect(),
            events: round(self.each(requests.events()), 2),
            read: kilobytes(bytes.read),
            written: kilobytes(bytes.written),
        }
    }

    fn whole_update(&self) -> Requests {
        self.update.requests.and(&self.tail.requests)
    }

    fn bytes_of_update(&self) -> Bytes {
        let (update, tail) = (self.update.bytes, self.tail.bytes);
        Bytes { read: update.read + tail.read, written: update.written + tail.written }
    }

    fn each(&self, count: u64) -> f64 {
        count as f64 / self.workload.rollouts as f64
    }

    /// When this share of the Rollouts was promoted.
    fn promoted_at(&self, share: f64) -> f64 {
        let index = ((self.promoted.len() as f64 * share).ceil() as usize).clamp(1, self.promoted.len().max(1)) - 1;
        self.promoted.get(index).copied().unwrap_or(f64::NAN)
    }

    fn phase(&self, to: &mut Formatter<'_>, name: &str, phase: &Phase) -> Result {
        writeln!(
            to,
            "| {name} | {:.0} s | {:.1} MB | {:.1} MB | {:.2} s | {:.1} s | {:.1} | {:.1} | {:.1} | {:.1} kB | {:.1} kB |",
            phase.took.as_secs_f64(),
            phase.resident,
            phase.peak,
            phase.cpu,
            phase.api_cpu,
            self.each(phase.requests.without_events().sum()),
            self.each(phase.requests.events()),
            self.each(phase.ticks),
            self.each(phase.bytes.read) / 1000.0,
            self.each(phase.bytes.written) / 1000.0,
        )
    }
}

fn round(figure: f64, digits: i32) -> f64 {
    let scale = 10_f64.powi(digits);
    (figure * scale).round() / scale
}

impl Display for Report {
    fn fmt(&self, to: &mut Formatter<'_>) -> Result {
        writeln!(to, "\n{}\n", self.workload)?;
        writeln!(
            to,
            "| part | took | RSS at its end | peak RSS | CPU controller | CPU API server | requests a Rollout | events a Rollout | ticks a Rollout | read a Rollout | written a Rollout |\n\
             |---|---|---|---|---|---|---|---|---|---|---|"
        )?;
        self.phase(to, "first deploy", &self.first)?;
        self.phase(to, "at rest", &self.idle)?;
        self.phase(to, "update", &self.update)?;
        self.phase(to, "after the update", &self.tail)?;
        let [p50, p95, p100] = [0.5, 0.95, 1.0].map(|share| self.promoted_at(share));
        writeln!(to, "\nPromoted: p50 {p50:.1} s, p95 {p95:.1} s, p100 {p100:.1} s")?;
        writeln!(to, "Requests at rest: {}", listed(&self.idle.requests))?;
        let update = self.whole_update();
        writeln!(to, "\n| request of the update and after it | in all | a Rollout |\n|---|---|---|")?;
        for (name, count) in update.rows() {
            writeln!(to, "| {name} | {count} | {:.2} |", self.each(count))?;
        }
        writeln!(to, "\n| event of the update and after it | in all | a Rollout |\n|---|---|---|")?;
        for (reason, count) in self.events.rows() {
            writeln!(to, "| {reason} | {count} | {:.2} |", self.each(count))?;
        }
        writeln!(to, "\nThe API server counted in that time: {}", listed(&self.server))
    }
}

fn listed(requests: &Requests) -> String {
    let rows: Vec<String> = requests.rows().iter().map(|(name, count)| format!("{name} {count}")).collect();
    if rows.is_empty() { "none".to_owned() } else { rows.join(", ") }
}
