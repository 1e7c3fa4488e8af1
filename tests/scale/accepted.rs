//! docs/performance.json: read, compared with, and written.

use super::compare::{WORSE, compare, worse};
use super::figures::{Accepted, Figures};
use anyhow::{Context, Result, ensure};
use std::fs;
use std::path::PathBuf;

fn path() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("docs/performance.json")
}

fn read() -> Result<Accepted> {
    let path = path();
    let text = fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
    serde_json::from_str(&text).with_context(|| format!("{} is no file of accepted figures", path.display()))
}

/// Accepts the figures of this workload from now on. A debug build leaves the accepted memory and CPU as they are.
pub fn accept(workload: &str, now: &Figures) -> Result<()> {
    let mut accepted = read()?;
    let before = accepted.0.remove(workload).unwrap_or_default();
    let figures = Figures { memory: now.memory.or(before.memory), cpu: now.cpu.or(before.cpu), ..now.clone() };
    accepted.0.insert(workload.to_owned(), figures);
    fs::write(path(), format!("{}\n", serde_json::to_string_pretty(&accepted)?))?;
    println!("Accepted as \"{workload}\" in docs/performance.json.");
    Ok(())
}

/// Prints the table. Fails when a figure that does not depend on the machine is worse than may be.
pub fn check(workload: &str, now: &Figures) -> Result<()> {
    let accepted = read()?;
    let Some(accepted) = accepted.0.get(workload) else {
        println!("docs/performance.json has no figures for \"{workload}\"; --accept adds them.");
        return Ok(());
    };
    let rows = compare(accepted, now);
    println!("| figure | accepted | now | ratio | ok? |\n|---|---|---|---|---|");
    rows.iter().for_each(|row| println!("{row}"));
    let worse = worse(&rows);
    ensure!(
        worse.is_empty(),
        "more than {WORSE} times the accepted figures of \"{workload}\": {}. Fix the cause, or accept them with --accept \
         and say why in the commit",
        worse.join("; ")
    );
    println!("\nNo figure is more than {WORSE} times the accepted one of \"{workload}\".");
    Ok(())
}
