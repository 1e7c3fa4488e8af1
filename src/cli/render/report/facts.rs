//! The summary of a report in rows, and times in UTC and in the reader's zone.

use jiff::{Timestamp, tz::TimeZone};

use crate::{
    evidence::grouped,
    view::{phrases::short, report::story::Report},
};

/// `2026-11-21 14:05:22 UTC`, and the same in the zone where that is another: `(15:05:22 CET)`.
pub(super) fn time(at: Timestamp, zone: &TimeZone) -> String {
    let utc = at.strftime("%F %T UTC");
    let local = at.to_zoned(zone.clone());
    if local.offset().is_zero() {
        return utc.to_string();
    }
    let same_day = local.strftime("%F").to_string() == at.strftime("%F").to_string();
    let local = local.strftime(if same_day { "%T %Z" } else { "%F %T %Z" });
    format!("{utc} ({local})")
}

/// `shop/checkout: release #42 was rolled back`.
pub(super) fn headline(report: &Report) -> String {
    let Report { namespace, name, outcome, .. } = report;
    let was = if outcome.is_some() { "was" } else { "is" };
    format!("{namespace}/{name}: release {} {was} {}", report.title(), report.outcome_words())
}

/// What a reader wants to know first, a row each.
pub(super) fn summary(report: &Report, zone: &TimeZone) -> Vec<(&'static str, String)> {
    let mut rows = vec![("Outcome", report.outcome_words().to_owned()), ("Reason", report.reason.clone())];
    rows.push(("Decided by", report.decided_by.clone()));
    let attempt = if report.attempt > 1 { format!(", attempt {}", report.attempt) } else { String::new() };
    rows.push((
        "Revision",
        format!("#{} {}{attempt}, {}", report.revision.number, report.revision.id, report.strategy),
    ));
    if !report.images.is_empty() {
        rows.push(("Images", report.images.join(", ")));
    }
    rows.push(("Began", time(report.started_at, zone)));
    match (report.ended_at, report.as_of) {
        (Some(end), _) => rows.push(("Ended", time(end, zone))),
        (None, Some(now)) => rows.push(("As of", time(now, zone))),
        (None, None) => {}
    }
    rows.push(("Duration", short(report.until().duration_since(report.started_at))));
    rows.extend(report.step.map(|step| ("Reached step", step.to_string())));
    rows.push(("Canary requests", served(report)));
    if let Some(exposed) = report.exposed() {
        let words = "from the first failed canary request to the decision that shifted all traffic to stable";
        rows.push(("Exposure", format!("{} {words}", short(exposed))));
    }
    rows
}

fn served(report: &Report) -> String {
    let Some(served) = &report.served else { return "not known".to_owned() };
    let (bad, total) = (grouped(served.bad), grouped(served.total));
    format!("{total}, of which {bad} failed, as counted by {}", served.metric)
}
