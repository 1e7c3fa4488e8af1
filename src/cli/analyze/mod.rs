//! `glidepath analyze`: a template judged by any Prometheus, without a cluster: now, on past data, or a version with itself.

mod args;
mod itself;
mod judging;
mod period;
mod subject;

pub use args::AnalyzeArgs;

use self::{judging::Judging, period::Period};
use super::{
    args::global::{Global, OutputFormat},
    connect::now,
    exit::{CliError, Exit},
    render::{
        output::{self, print},
        paint::Paint,
        printable::printable,
    },
    verbs::runs,
};
use crate::{
    api::{
        AnalysisRun,
        analysis::{RunPhase, Verdict},
    },
    ports::Source,
};

/// Judges, prints the evidence, and says the verdict by the exit code.
pub async fn run(args: AnalyzeArgs, global: &Global) -> Result<Exit, CliError> {
    let at = now();
    let period = args.replay.as_deref().map(|text| Period::read(text, at)).transpose()?;
    let templates = subject::named(&args)?;
    if period.is_some() || args.aa {
        subject::have_a_past(&templates)?;
    }
    let source = args.source(&templates).await?;
    for (name, _) in templates.iter().filter(|(_, spec)| spec.load.is_some()) {
        eprintln!("note: spec.load of template {} is not run: analyze starts no Jobs", printable(name));
    }
    if args.aa {
        return itself::run(&args, global, &templates, &source, at).await;
    }
    let run = subject::of(&args, global, templates)?;
    let judged = match period {
        Some(period) => judging::replayed(&source, run, period).await?,
        None => live(&args, global, &source, run).await?,
    };
    print(&shown(&judged, global)?)?;
    Ok(exit(&judged))
}

/// Judges as time passes, and tells what changes.
async fn live(args: &AnalyzeArgs, global: &Global, source: &dyn Source, run: AnalysisRun) -> Result<Judging, CliError> {
    let tells = matches!(global.output, OutputFormat::Table | OutputFormat::Wide);
    judging::live(source, run, args.longest.map(|limit| limit.get()), tells).await
}

/// The verdict as an exit code: what a release would have come to.
fn exit(judged: &Judging) -> Exit {
    match judged.run.status.as_ref().map(|status| (status.phase, status.verdict)) {
        _ if judged.is_interrupted => Exit::Interrupted,
        Some((RunPhase::Finished, Verdict::Pass)) => Exit::Done,
        Some((_, Verdict::Fail)) => Exit::RolledBack,
        Some((_, Verdict::NoData | Verdict::Inconclusive)) => Exit::WaitsForHuman,
        _ => Exit::TimedOut,
    }
}

fn shown(judged: &Judging, global: &Global) -> Result<String, CliError> {
    if let Some(text) = output::objects(global.output, std::slice::from_ref(&judged.run), false)? {
        return Ok(text);
    }
    let paint = Paint { on: global.color_on() };
    let described = runs::described(&judged.run, judged.until, global.width(), paint);
    Ok(format!("{described}\n{}\n", judged.end()))
}
