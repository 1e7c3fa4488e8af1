//! `glidepath simulate`: runs scenarios in virtual time, and estimates the outcomes of a Rollout.
//!
//! The engine and the judges are the controller's; the cluster around them is in memory ([`crate::sim`]).

mod args;
mod chances;
mod read;
pub(in crate::cli) mod scenario;
mod statistics;
mod tell;

use serde_json::Value;

use crate::{
    cli::{
        args::global::{Global, OutputFormat},
        exit::{CliError, Exit},
        render::{
            output::{self, print},
            paint::Paint,
        },
    },
    sim::Player,
};

pub use args::SimulateArgs;
pub use read::{Loaded, load};
pub use tell::failure;

/// Plays. A failed expectation fails the command.
pub fn run(args: &SimulateArgs, global: &Global) -> Result<Exit, CliError> {
    let format = if args.json { OutputFormat::Json } else { global.output };
    let paint = Paint { on: global.color_on() };
    if let Some(file) = &args.file {
        let table = chances::table(file, args)?;
        print(&match output::value(format, &table.json())? {
            Some(text) => text,
            None => table.text(paint),
        })?;
        return Ok(if table.broken().is_empty() { Exit::Done } else { Exit::Failed });
    }
    let mut passed = true;
    let mut values = Vec::new();
    for path in &args.scenario {
        for loaded in load(path)? {
            let (value, text, good) = match args.runs.unwrap_or(1) {
                1 => once(&loaded, args.seed, paint)?,
                runs => statistics::play(&loaded, args.seed, runs, paint)?,
            };
            passed &= good;
            if output::value(format, &value)?.is_none() {
                print(&text)?;
            }
            values.push(value);
        }
    }
    if let Some(text) = output::value(format, &Value::Array(values))? {
        print(&text)?;
    }
    Ok(if passed { Exit::Done } else { Exit::Failed })
}

/// One seed of one scenario: as JSON, human-readable, and whether it passed.
fn once(loaded: &Loaded, seed: Option<u64>, paint: Paint) -> Result<(Value, String, bool), CliError> {
    if let Some(why) = loaded.skipped() {
        let value = serde_json::json!({ "file": loaded.name, "skipped": why });
        return Ok((value, format!("{}  skipped: {why}\n", loaded.name), true));
    }
    let player = Player::new(&loaded.setting, seed).ok_or_else(|| read::no_rollout(&loaded.name))?;
    let story = player.play();
    Ok((tell::json(loaded, &story), tell::text(loaded, &story, paint), story.passed()))
}
