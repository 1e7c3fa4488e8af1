//! The figures of a run next to the accepted ones: which of them are worse than may be.

use super::figures::{Figures, Work};
use std::fmt;

/// A figure that does not depend on the machine may be so many times the accepted one.
pub const WORSE: f64 = 1.3;

/// One figure of both.
#[derive(Debug, Clone, PartialEq)]
pub struct Row {
    pub name: String,
    pub accepted: Option<f64>,
    pub now: Option<f64>,
    pub verdict: Verdict,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// About what was accepted.
    Same,
    /// Less by as much as [`WORSE`] is more: worth accepting.
    Better,
    Worse,
    /// Known on one side only, or dependent on the machine.
    NotCompared,
}

/// A difference up to this is noise, whatever the ratio.
#[derive(Debug, Clone, Copy)]
enum Noise {
    /// Any difference counts once the ratio is exceeded, but for so much.
    Below(f64),
    /// The figure depends on the machine.
    Machine,
}

/// Requests and events of one Rollout: one conflict in ten Rollouts is no change.
const COUNT: Noise = Noise::Below(0.1);
/// kB of one Rollout: a small fleet shares the bytes of the watches and the Lease among few.
const BYTES: Noise = Noise::Below(5.0);
/// Requests a minute of a whole fleet at rest: a late reading of one object.
const AT_REST: Noise = Noise::Below(5.0);
/// MB of the process.
const MEMORY: Noise = Noise::Below(2.0);

/// Every figure of both, in the order of a report.
pub fn compare(accepted: &Figures, now: &Figures) -> Vec<Row> {
    let mut rows = work("first deploy", &accepted.first_deploy, &now.first_deploy);
    rows.extend(work("update", &accepted.update, &now.update));
    let (before, today) = (Some(accepted.requests_at_rest), Some(now.requests_at_rest));
    rows.push(row("at rest: requests a minute", before, today, AT_REST));
    let memory = |name: &str, figure: fn(&super::figures::Memory) -> f64| {
        row(&format!("RSS {name}, MB"), accepted.memory.as_ref().map(figure), now.memory.as_ref().map(figure), MEMORY)
    };
    rows.push(memory("at rest", |memory| memory.at_rest));
    rows.push(memory("peak of the update", |memory| memory.peak));
    rows.push(memory("a minute after", |memory| memory.after));
    let cpu = |name: &str, figure: fn(&super::figures::Cpu) -> f64| {
        let name = format!("update: CPU of the {name} a Rollout, ms");
        row(&name, accepted.cpu.as_ref().map(figure), now.cpu.as_ref().map(figure), Noise::Machine)
    };
    rows.push(cpu("controller", |cpu| cpu.controller));
    rows.push(cpu("API server", |cpu| cpu.api_server));
    rows
}

/// Requests by kind and in all, events and bytes of one part of the run. A kind known on one side only is none on the other.
fn work(part: &str, accepted: &Work, now: &Work) -> Vec<Row> {
    let sum = |work: &Work| Some(work.requests.values().sum());
    let mut rows = vec![row(&format!("{part}: requests a Rollout"), sum(accepted), sum(now), COUNT)];
    let mut kinds: Vec<&String> = accepted.requests.keys().chain(now.requests.keys()).collect();
    kinds.sort();
    kinds.dedup();
    let count = |work: &Work, kind: &String| Some(work.requests.get(kind).copied().unwrap_or_default());
    rows.extend(
        kinds.iter().map(|kind| row(&format!("{part}: {kind}"), count(accepted, kind), count(now, kind), COUNT)),
    );
    rows.push(row(&format!("{part}: events a Rollout"), Some(accepted.events), Some(now.events), COUNT));
    rows.push(row(&format!("{part}: kB read a Rollout"), accepted.read, now.read, BYTES));
    rows.push(row(&format!("{part}: kB written a Rollout"), accepted.written, now.written, BYTES));
    rows
}

fn row(name: &str, accepted: Option<f64>, now: Option<f64>, noise: Noise) -> Row {
    Row { name: name.to_owned(), accepted, now, verdict: verdict(accepted, now, noise) }
}

fn verdict(accepted: Option<f64>, now: Option<f64>, noise: Noise) -> Verdict {
    let (Some(accepted), Some(now), Noise::Below(noise)) = (accepted, now, noise) else { return Verdict::NotCompared };
    if (now - accepted).abs() <= noise {
        Verdict::Same
    } else if now > accepted * WORSE {
        Verdict::Worse
    } else if accepted > now * WORSE {
        Verdict::Better
    } else {
        Verdict::Same
    }
}

/// The names of the figures that are worse than may be.
pub fn worse(rows: &[Row]) -> Vec<&str> {
    rows.iter().filter(|row| row.verdict == Verdict::Worse).map(|row| row.name.as_str()).collect()
}

/// A line of the table `| figure | accepted | now | ratio | ok? |`.
impl fmt::Display for Row {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        let figure = |figure: Option<f64>| figure.map_or_else(|| "-".to_owned(), |figure| format!("{figure:.2}"));
        let ratio = match (self.accepted, self.now) {
            (Some(accepted), Some(now)) if accepted > 0.0 => format!("{:.2}", now / accepted),
            _ => "-".to_owned(),
        };
        let ok = match self.verdict {
            Verdict::Same => "yes",
            Verdict::Better => "yes, better",
            Verdict::Worse => "**no**",
            Verdict::NotCompared => "not compared",
        };
        write!(to, "| {} | {} | {} | {ratio} | {ok} |", self.name, figure(self.accepted), figure(self.now))
    }
}
