//! `glidepath simulate`: plays scenarios in virtual time, and tells the chances of a Rollout.
//!
//! The engine and the judges are the controller's; the cluster around them is in memory ([`crate::sim`]).

mod chances;
mod read;
pub(in crate::cli) mod scenario;
mod statistics;
mod tell;

use std::path::PathBuf;

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

pub use read::{Loaded, load};
pub use tell::failure;

/// Play scenarios in virtual time, or tell what a Rollout's chances are
#[derive(clap::Args, Clone, Debug)]
#[command(after_help = "A scenario says what happens to a Rollout and what must be seen (docs/simulate.md). It is
played by the controller's own engine and judges, in a cluster in memory; hours take
milliseconds. With --runs each scenario is played with as many seeds, and the statistics
are printed. With -f a Rollout's file alone is played: a good version and bad ones, and
how each of them ends.

Exit codes: 0 everything was as it should be, 1 an expectation failed, 2 wrong usage

Examples:
  glidepath simulate --scenario tests/scenarios/*.yaml
  glidepath simulate --scenario bad-version.yaml --seed 7
  glidepath simulate --scenario bad-version.yaml --runs 200
  glidepath simulate -f rollouts/canary.yaml --rps 50")]
pub struct SimulateArgs {
    /// Scenario files
    #[arg(long, value_name = "FILE", num_args = 1.., required_unless_present = "file", conflicts_with = "file")]
    pub scenario: Vec<PathBuf>,
    /// A Rollout's file or folder to tell the chances of, with its AnalysisTemplates and its Deployment
    #[arg(short, long, value_name = "FILE")]
    pub file: Option<PathBuf>,
    /// The seed of all chance; default: the scenario's own, else 1
    #[arg(long, value_name = "NUMBER")]
    pub seed: Option<u64>,
    /// Play so many seeds and print statistics; default 1, with -f 200
    #[arg(long, value_name = "NUMBER", value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub runs: Option<u32>,
    /// Requests a second, with -f
    #[arg(long, value_name = "NUMBER", default_value_t = 50.0, requires = "file", value_parser = rps)]
    pub rps: f64,
    /// Print JSON, like -o json
    #[arg(long)]
    pub json: bool,
}

fn rps(text: &str) -> Result<f64, String> {
    let number: f64 = text.parse().map_err(|_| "is not a number".to_owned())?;
    if number > 0.0 && number <= 1e6 { Ok(number) } else { Err("must be above 0, and at most 1000000".to_owned()) }
}

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

/// One seed of one scenario: as JSON, for people, and whether it passed.
fn once(loaded: &Loaded, seed: Option<u64>, paint: Paint) -> Result<(Value, String, bool), CliError> {
    if let Some(why) = loaded.skipped() {
        let value = serde_json::json!({ "file": loaded.name, "skipped": why });
        return Ok((value, format!("{}  skipped: {why}\n", loaded.name), true));
    }
    let player = Player::new(&loaded.setting, seed).ok_or_else(|| no_rollout(&loaded.name))?;
    let story = player.play();
    Ok((tell::json(loaded, &story), tell::text(loaded, &story, paint), story.passed()))
}

fn no_rollout(name: &str) -> CliError {
    CliError::Failed(format!("{name}: there is no Rollout in its files or objects"))
}
