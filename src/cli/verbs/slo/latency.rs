//! The objective for response times: how many requests took longer than some time, by the buckets of a histogram.

use super::{
    latency_objective::LatencyObjective,
    report::{Report, Window},
    subject::Subject,
};
use crate::{
    cli::exit::CliError,
    evidence::{
        Answer, BucketKind, Histogram, Query,
        slo::{self, Events, Slo},
    },
    ports::source::{Source, SourceError},
};

/// Counts the slow requests of the same windows. Classic buckets go first, which have the bound exactly if it is one of theirs.
pub async fn counted(
    subject: &Subject,
    latency: &LatencyObjective,
    source: &dyn Source,
    end: i64,
) -> Result<Report, CliError> {
    let slo = Slo { objective: latency.objective.share(), ..subject.slo };
    let classic = times(subject, latency, source, end, &BucketKind::Classic(Vec::new())).await?;
    let times = match classic.iter().all(|times| times.seen.is_none()) {
        true => times(subject, latency, source, end, &BucketKind::Native).await?,
        false => classic,
    };
    let mut report = Report::new(Subject { slo, ..subject.clone() });
    report.under = Some(latency.under);
    let (last, windows) = times.split_last().ok_or_else(|| CliError::Failed("no window was counted".into()))?;
    for times in windows {
        report.add(slow(times, latency)?);
    }
    report.add_rest(slow(last, latency)?);
    Ok(report)
}

/// The response times of one window.
struct Times {
    seconds: u64,
    seen: Option<Histogram>,
    unit: f64,
    notes: Vec<String>,
}

/// Those of every window; the rest of the period is last.
async fn times(
    subject: &Subject,
    latency: &LatencyObjective,
    source: &dyn Source,
    end: i64,
    kind: &BucketKind,
) -> Result<Vec<Times>, CliError> {
    let windows = subject.windows(end);
    let ask =
        |(_, question): &(u64, _)| Query::Buckets(slo::times_question(question, &latency.histogram, kind.clone()));
    let queries: Vec<Query> = windows.iter().map(ask).collect();
    let answers = subject.ask(source, &queries).await;
    windows.into_iter().zip(answers).map(|((seconds, _), answer)| read(seconds, answer)).collect()
}

fn read(seconds: u64, answer: Result<Answer, SourceError>) -> Result<Times, CliError> {
    match answer {
        Ok(Answer::Times { times, unit, notes }) => Ok(Times { seconds, seen: times, unit, notes }),
        Ok(_) => Err(CliError::Failed("got other numbers than a histogram".to_owned())),
        Err(error) => {
            let span = slo::span(seconds);
            Err(CliError::Failed(format!("cannot count response times of the last {span}: {error}")))
        }
    }
}

/// The slow requests: those above the smallest bound that is at least the objective's.
fn slow(times: &Times, latency: &LatencyObjective) -> Result<Window, CliError> {
    let Times { seconds, notes, .. } = times;
    let none = Histogram::new([]);
    let (seen, under) = (times.seen.as_ref().unwrap_or(&none), latency.under.get().as_secs_f64() / times.unit);
    let bound = seen.bounds().into_iter().find(|bound| *bound >= under * (1.0 - 1e-9)).unwrap_or(under);
    let bad = seen.above(bound).ok_or_else(|| {
        CliError::Failed(format!("the histogram has no bound of at least {}, set a smaller --latency", latency.under))
    })?;
    let events = Events { bad, total: seen.total() };
    Ok(Window { seconds: *seconds, has_series: times.seen.is_some(), events, notes: notes.clone() })
}
