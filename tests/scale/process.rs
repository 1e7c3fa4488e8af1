//! What a process uses, from /proc: the controller's memory and CPU time, the API server's CPU time.

use anyhow::{Context, Result};

/// Linux counts a process' time in hundredths of a second.
const TICKS: f64 = 100.0;

/// One look at a process.
#[derive(Debug, Clone, Copy)]
pub struct Usage {
    /// Resident memory in MB (10^6 bytes).
    pub resident: f64,
    /// The most it was since [`Usage::forget_peak`].
    pub peak: f64,
    /// CPU seconds since its start, in user and kernel mode.
    pub cpu: f64,
}

impl Usage {
    pub fn of(id: u32) -> Result<Self> {
        let status = read(id, "status")?;
        let megabytes = |field: &str| -> Result<f64> {
            let line = status.lines().find_map(|line| line.strip_prefix(field)).context("no such field")?;
            let kibibytes: f64 = line.trim().trim_end_matches(" kB").parse()?;
            Ok(kibibytes * 1024.0 / 1e6)
        };
        let stat = read(id, "stat")?;
        // The name in parentheses may hold anything; the fields behind it are counted from the third.
        let fields: Vec<&str> = stat.rsplit(") ").next().unwrap_or_default().split(' ').collect();
        let ticks = |index: usize| -> Result<f64> { Ok(fields.get(index - 3).context("a short stat")?.parse()?) };
        Ok(Usage { resident: megabytes("VmRSS:")?, peak: megabytes("VmHWM:")?, cpu: (ticks(14)? + ticks(15)?) / TICKS })
    }

    /// The peak counts from now on.
    pub fn forget_peak(id: u32) -> Result<()> {
        std::fs::write(format!("/proc/{id}/clear_refs"), "5").context("cannot reset the peak of resident memory")
    }
}

fn read(id: u32, file: &str) -> Result<String> {
    std::fs::read_to_string(format!("/proc/{id}/{file}")).with_context(|| format!("process {id} has ended"))
}
