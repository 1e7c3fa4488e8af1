//! The program to measure, and what a process has used.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

/// The build that `GLIDEPATH_MEASURED` names, which is the one that users run; else the one under test.
pub fn program() -> PathBuf {
    std::env::var_os("GLIDEPATH_MEASURED").map_or_else(|| env!("CARGO_BIN_EXE_glidepath").into(), PathBuf::from)
}

/// A line of the process' status, in bytes.
pub fn memory(id: u32, field: &str) -> u64 {
    let status = fs::read_to_string(format!("/proc/{id}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix(field)?.strip_prefix(':')).unwrap();
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() << 10
}

/// What the process has used, in user and system mode; the kernel counts in hundredths of a second.
pub fn processor_time(id: u32) -> Duration {
    let stat = fs::read_to_string(format!("/proc/{id}/stat")).unwrap();
    let fields = stat.rsplit(')').next().unwrap().split_whitespace();
    Duration::from_millis(fields.skip(11).take(2).map(|ticks| ticks.parse::<u64>().unwrap() * 10).sum())
}
