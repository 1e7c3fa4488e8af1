//! `slo`: whether a service meets its objective, from any Prometheus: availability, error budget, burn rates.

use self::{
    report::{Report, Window},
    reports::Reports,
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
    ports::source::{Source, SourceError},
};

mod args;
mod latency;
mod latency_objective;
mod report;
mod reports;
mod seen;
mod subject;

pub use args::Args;

const FORMATS: [OutputFormat; 3] = [OutputFormat::Table, OutputFormat::Json, OutputFormat::Yaml];

/// Counts, prints, and exits with whether the objective is met.
pub async fn run(args: Args, global: &Global) -> Result<Exit, CliError> {
    only(global.output, "slo", &FORMATS)?;
    let subject = subject(&args, global).await?;
    let source = args.credentials.source(subject.prometheus.clone()).await?;
    let reports = reports(subject, &source).await?;
    let paint = Paint { on: global.color_on() };
    print(&output::value(global.output, &reports.json())?.unwrap_or_else(|| reports.text(global.width(), paint)))?;
    reports.exit()
}

/// Both objectives, as far as they are wanted.
async fn reports(subject: Subject, source: &dyn Source) -> Result<Reports, CliError> {
    let end = now().as_second();
    let availability = counted(subject.clone(), source, end).await?;
    let mut latency = match &subject.latency {
        Some(latency) => Some(latency::counted(&subject, latency, source, end).await?),
        None => None,
    };
    if let Some(latency) = &mut latency {
        latency.seen = availability.seen;
    }
    Ok(Reports { availability, latency })
}

/// Asks for all windows at once. An error of any is one of the report.
async fn counted(subject: Subject, source: &dyn Source, end: i64) -> Result<Report, CliError> {
    let windows = subject.windows(end);
    let queries: Vec<Query> = windows.iter().map(|(_, question)| Query::Increments(question.clone())).collect();
    let answers = subject.ask(source, &queries).await;
    let mut counted = windows.into_iter().zip(answers).map(|((seconds, _), answer)| window(seconds, answer));
    let mut report = Report::new(subject);
    for shorter in counted.by_ref().take(REPORTED.len()) {
        report.add(shorter?);
    }
    report.add_rest(counted.next().unwrap_or_else(|| Err(CliError::Failed("no window was counted".into())))?);
    report.seen = seen::of(&report.subject, source, end).await;
    Ok(report)
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
