//! How much of the period the counters have series of: a service may be younger, and a Prometheus may keep less.

use super::subject::Subject;
use crate::{
    evidence::{Answer, IncrementsQuery, Query},
    ports::source::Source,
};

const MINUTE: u64 = 60;
const HOUR: u64 = 3_600;
const DAY: u64 = 86_400;
/// Ages that are tried below a day, in seconds; above it every day is.
const AGES: [u64; 16] = [
    2 * MINUTE,
    5 * MINUTE,
    10 * MINUTE,
    20 * MINUTE,
    30 * MINUTE,
    45 * MINUTE,
    HOUR,
    90 * MINUTE,
    2 * HOUR,
    3 * HOUR,
    4 * HOUR,
    6 * HOUR,
    8 * HOUR,
    12 * HOUR,
    16 * HOUR,
    20 * HOUR,
];

/// The longest of some ages at which there were series; `None` for the whole period, or where that cannot be found out.
pub async fn of(subject: &Subject, source: &dyn Source, end: i64) -> Option<u64> {
    let period = subject.slo.period_seconds;
    // An hour at the beginning, for a service that pauses now and then.
    let began = subject.question(end.saturating_sub_unsigned(period).saturating_add_unsigned(HOUR), HOUR);
    if has_series(subject, source, began).await? {
        return None;
    }
    let days = (1..period / DAY).map(|days| days * DAY);
    let ages: Vec<u64> = AGES.into_iter().chain(days).collect();
    let (mut there, mut gone) = (0, ages.len());
    while there < gone {
        let middle = there.midpoint(gone);
        let Some(age) = ages.get(middle) else { break };
        if has_series(subject, source, subject.moment(end.saturating_sub_unsigned(*age))).await? {
            there = middle + 1;
        } else {
            gone = middle;
        }
    }
    Some(there.checked_sub(1).and_then(|index| ages.get(index)).copied().unwrap_or_default())
}

/// Whether the counter of all events has any, asked for alone.
async fn has_series(subject: &Subject, source: &dyn Source, question: IncrementsQuery) -> Option<bool> {
    let total = IncrementsQuery { bad: question.total.clone(), ..question };
    match subject.ask(source, &[Query::Increments(total)]).await.pop() {
        Some(Ok(Answer::Events { counts, .. })) => Some(counts.is_some()),
        _ => None,
    }
}
