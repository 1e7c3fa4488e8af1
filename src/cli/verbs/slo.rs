//! `slo`: whether a service meets its objective, from any Prometheus: availability, error budget, burn rates.

use self::{
    report::{Report, Window},
    subject::{Subject, subject},
};
use crate::{
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
    ports::source::{Fault, Source, SourceError},
};

mod args;
mod report;
mod seen;
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
        None => Err(CliError::Failed(report.nothing())),
    }
}

/// Asks for all windows at once. An error of any is one of the report.
async fn counted(subject: Subject, source: &dyn Source) -> Result<Report, CliError> {
    let (end, period) = (now().as_second(), subject.slo.period_seconds);
    let mut queries: Vec<Query> =
        REPORTED.iter().map(|seconds| Query::Increments(subject.question(end, *seconds))).collect();
    // The longest of these has shorter pieces than the rest of the period, and so more of a young service.
    let longest = REPORTED.iter().copied().max().unwrap_or_default();
    let rest_ends = end.saturating_sub_unsigned(longest);
    queries.push(Query::Increments(subject.question(rest_ends, period.saturating_sub(longest))));
    let mut answers = subject.ask(source, &queries).await.into_iter();
    let mut report = Report::new(subject);
    for (seconds, answer) in REPORTED.into_iter().zip(answers.by_ref()) {
        report.add(window(seconds, answer)?);
    }
    report.add_rest(window(period, answers.next().unwrap_or_else(unanswered))?);
    report.seen = seen::of(&report.subject, source, end).await;
    Ok(report)
}

fn unanswered() -> Result<Answer, SourceError> {
    Err(SourceError::new(Fault::Refused, "the query was not answered".to_owned()))
}

fn window(seconds: u64, answer: Result<Answer, SourceError>) -> Result<Window, CliError> {
    match answer {
        Ok(Answer::Events { counts, notes }) => {
            Ok(Window { seconds, has_series: counts.is_some(), events: counts.unwrap_or_default().into(), notes })
        }
        Ok(_) => Err(CliError::Failed("got other numbers than counts".to_owned())),
        Err(error) => Err(CliError::Failed(format!("cannot count the last {}: {error}", slo::span(seconds)))),
    }
}

#[cfg(test)]
mod tests;
