//! `slo`: whether a service meets its objective, from any Prometheus: availability, error budget, burn rates.

use self::{
    report::{Report, Window},
    subject::{Subject, subject},
};
use crate::{
    api::analysis::RunPrometheus,
    cli::{
        args::global::{Global, OutputFormat},
        connect::now,
        exit::{CliError, Exit},
        offline::format::only,
        render::{
            output::{self, print},
            paint::Paint,
        },
    },
    evidence::{
        Answer, Query,
        slo::{self, REPORTED},
    },
    ports::source::{Asking, Source, SourceError},
};

mod args;
mod report;
mod subject;

pub use args::Args;

const FORMATS: [OutputFormat; 3] = [OutputFormat::Table, OutputFormat::Json, OutputFormat::Yaml];

/// Counts, prints, and exits with whether the objective is met.
pub async fn run(args: Args, global: &Global) -> Result<Exit, CliError> {
    only(global.output, "slo", &FORMATS)?;
    let subject = subject(&args, global).await?;
    let source = args.credentials.source(subject.prometheus.clone()).await?;
    let report = counted(subject, &source).await?;
    let paint = Paint { on: global.color_on() };
    print(&output::value(global.output, &report.json())?.unwrap_or_else(|| report.text(global.width(), paint)))?;
    match report.is_within() {
        Some(true) => Ok(Exit::Done),
        Some(false) => Ok(Exit::RolledBack),
        None => Err(CliError::Failed(format!("{} had no requests in {}", report.name(), report.period()))),
    }
}

/// Asks for all windows at once. A window that cannot be answered is a note, and the whole period an error.
async fn counted(subject: Subject, source: &dyn Source) -> Result<Report, CliError> {
    let seconds: Vec<u64> = REPORTED.into_iter().chain([subject.slo.period_seconds]).collect();
    let end = now().as_second();
    let ask = |seconds: &u64| Query::Increments(subject.question(end, *seconds));
    let mut queries: Vec<Query> = seconds.iter().map(ask).collect();
    // An hour at the beginning of the period: without series there Prometheus may not keep as much.
    let begin = end.saturating_sub_unsigned(subject.slo.period_seconds) + 3_600;
    queries.push(Query::Increments(subject.question(begin, 3_600)));
    let prometheus = RunPrometheus::controller();
    let asking = Asking { namespace: &subject.namespace, prometheus: &prometheus };
    let mut answers = source.answer(&asking, &queries).await;
    let oldest = answers.pop();
    let mut report = Report::new(subject);
    for (seconds, answer) in seconds.into_iter().zip(answers) {
        report.add(window(seconds, answer)?);
    }
    if matches!(oldest, Some(Ok(Answer::Events { counts: None, .. }))) {
        report.notes.push(format!(
            "no series at the beginning of the period: the service may be younger than {}, or Prometheus keeps less",
            report.period()
        ));
    }
    Ok(report)
}

fn window(seconds: u64, answer: Result<Answer, SourceError>) -> Result<Window, CliError> {
    match answer {
        Ok(Answer::Events { counts, notes }) => {
            Ok(Window { seconds, events: counts.unwrap_or_default().into(), notes })
        }
        Ok(_) => Err(CliError::Failed("got other numbers than counts".to_owned())),
        Err(error) => Err(CliError::Failed(format!("cannot count the last {}: {error}", slo::span(seconds)))),
    }
}

#[cfg(test)]
mod tests;
