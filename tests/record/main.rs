//! Makes the moving picture of the README out of what a real terminal was sent: `record.sh` records, this draws.
//!
//! `cargo run --example record -- tests/record/status-watch docs/status-watch.svg`
#![allow(missing_docs, clippy::panic, reason = "a test tool: it is not shipped, and stops at what it does not know")]

mod picture;
mod recording;
mod svg;
#[allow(dead_code, reason = "the tests use all of it")]
mod terminal;

use anyhow::{Context, Result, ensure};

fn main() -> Result<()> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    ensure!(args.len() == 2, "usage: record RECORDING PICTURE.svg (reads RECORDING.out and RECORDING.timing)");
    let svg = picture::draw(&args[0])?;
    std::fs::write(&args[1], &svg).with_context(|| format!("cannot write {}", args[1]))?;
    println!("{}: {} KB", args[1], svg.len() / 1024);
    Ok(())
}
