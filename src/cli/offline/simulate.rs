//! `glidepath simulate`: runs scenarios in virtual time, and estimates the outcomes of a Rollout.
//!
//! The engine and the judges are the controller's; the cluster around them is in memory ([`crate::sim`]).

mod args;
mod chances;
mod layout;
mod read;
mod report;
pub(in crate::cli) mod scenario;
mod statistics;
mod tell;
mod without_data;

use std::io::IsTerminal as _;

use super::{format::only, junit};
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
use report::{Played, Report};
pub use tell::failure;
use tell::{Screen, WIDEST};

const FORMATS: [OutputFormat; 4] = [OutputFormat::Table, OutputFormat::Json, OutputFormat::Yaml, OutputFormat::Junit];

/// Plays. A failed expectation fails the command.
pub fn run(args: &SimulateArgs, global: &Global) -> Result<Exit, CliError> {
    let format = if args.json { OutputFormat::Json } else { global.output };
    only(format, "simulate", &FORMATS)?;
    let screen = Screen { paint: Paint { on: global.color_on() }, width: width(global) };
    let report =
        if args.scenario.is_empty() { estimates(args, format, screen)? } else { scenarios(args, format, screen)? };
    print(&match format {
        OutputFormat::Junit => junit::document("glidepath simulate", &[report.suite()]),
        other => output::value(other, &report.json())?.unwrap_or_default(),
    })?;
    Ok(if report.passed() { Exit::Done } else { Exit::Failed })
}

/// Long lines are hard to read; what goes into a pipe or a file is one fact a line.
fn width(global: &Global) -> usize {
    if std::io::stdout().is_terminal() { global.width().min(WIDEST) } else { global.width() }
}

/// Estimates the outcomes of every Rollout; each is printed when it is done.
fn estimates(args: &SimulateArgs, format: OutputFormat, screen: Screen) -> Result<Report, CliError> {
    let mut report = Report::default();
    let settings = read::rollout_files(&args.files.all()?)?;
    let alone = settings.len() == 1;
    for (name, setting) in settings {
        if let Some(why) = chances::unpredictable(&setting) {
            if alone {
                return Err(CliError::Usage(format!("{name}: {why}")));
            }
            if format == OutputFormat::Table {
                print(&format!("{name}  skipped: {why}\n"))?;
            }
            report.estimates.push(Played::skipped(&name, why));
            continue;
        }
        let table = chances::table(&name, &setting, args)?;
        if format == OutputFormat::Table {
            print(&table.text(screen))?;
        }
        report.estimates.push(Played { value: table.json(), case: table.case() });
    }
    Ok(report)
}

/// Plays every scenario; each is printed when it is done.
fn scenarios(args: &SimulateArgs, format: OutputFormat, screen: Screen) -> Result<Report, CliError> {
    let mut report = Report::default();
    for path in &args.scenario {
        for loaded in load(path)? {
            let (played, text) = match args.runs.unwrap_or(1) {
                1 => once(&loaded, args.seed, screen)?,
                runs => statistics::play(&loaded, args.seed, runs, screen.paint)?,
            };
            if format == OutputFormat::Table {
                let gap = if report.scenarios.is_empty() { "" } else { "\n" };
                print(&format!("{gap}{text}"))?;
            }
            report.scenarios.push(played);
        }
    }
    Ok(report)
}

/// One seed of one scenario, and what is printed of it.
fn once(loaded: &Loaded, seed: Option<u64>, screen: Screen) -> Result<(Played, String), CliError> {
    if let Some(why) = loaded.skipped() {
        return Ok((Played::skipped(&loaded.name, why), format!("{}  skipped: {why}\n", loaded.name)));
    }
    let player = Player::new(&loaded.setting, seed).ok_or_else(|| read::no_rollout(&loaded.name))?;
    let story = player.play();
    let failure = story.failure.as_ref().map(|broken| failure(loaded, story.seed, broken, Paint { on: false }));
    let value = tell::json(loaded, &story);
    Ok((Played::of(&loaded.name, value, failure), tell::text(loaded, &story, screen)))
}
