use jiff::tz::TimeZone;

use super::{
    html::{MOST_BYTES, html},
    markdown::markdown,
};
use crate::{
    api::{AnalysisRun, Percent, Rollout, analysis::Verdict, reason::MetricReason, status::PastWeight},
    view::{
        report::{
            sources::{Sources, Which},
            story::Report,
        },
        samples::{self, ago},
    },
};

fn report(rollout: &Rollout, runs: &[AnalysisRun], release: u64) -> Report {
    let sources = Sources { rollout, runs, commands: &[], now: samples::NOW, is_local: false };
    Report::of(&sources, Which { release: Some(release), attempt: None }).unwrap()
}

fn weights(rollout: &mut Rollout, since: i64) {
    let weight = |percent: u32, seconds: i64| PastWeight { at: ago(since - seconds), weight: Percent::whole(percent) };
    rollout.status.as_mut().unwrap().history[0].weights = vec![weight(5, 30), weight(25, 600)];
}

fn aborted() -> Report {
    let mut rollout = samples::aborted_by_command().rollout;
    weights(&mut rollout, 1_560);
    report(&rollout, &samples::runs(), 42)
}

fn promoted() -> Report {
    let mut rollout = samples::healthy().rollout;
    weights(&mut rollout, 540_000);
    let mut run = samples::runs().remove(0);
    run.metadata.name = Some("checkout-41-1-background".into());
    (run.spec.arms.canary, run.spec.arms.stable) = ("checkout-b7d0c41hze".into(), "checkout-cccccccccc".into());
    let status = run.status.as_mut().unwrap();
    status.started_at = Some(ago(539_000));
    status.windows_through = Some(ago(536_500));
    (status.verdict, status.message) = (Verdict::Pass, "all required metrics passed".into());
    let metric = &mut status.metrics[0];
    (metric.verdict, metric.reason) = (Verdict::Pass, MetricReason::NotWorse);
    (metric.canary, metric.comparison) = ("0.11 % (8/7,200)".into(), "ratio 1, 95 % CS 0.5-2.1, p = 1".into());
    (metric.fail_progress, metric.trail) = (0.0, None);
    report(&rollout, &[run], 41)
}

fn gone() -> Report {
    report(&samples::healthy().rollout, &[], 40)
}

#[test]
fn pages_and_markdown() {
    let berlin = TimeZone::get("Europe/Berlin").unwrap();
    for (name, report, zone) in
        [("aborted", aborted(), &berlin), ("promoted", promoted(), &TimeZone::UTC), ("gone", gone(), &TimeZone::UTC)]
    {
        insta::assert_snapshot!(format!("report_{name}_html"), html(&report, zone));
        insta::assert_snapshot!(format!("report_{name}_md"), markdown(&report, zone));
        assert_eq!(html(&report, zone), html(&report.clone(), zone), "the same input gives the same page");
    }
}

/// Names, reasons, images and messages are others' texts.
#[test]
fn what_others_wrote_is_text() {
    const EVIL: &str = "<img src=x onerror=alert(1)>|`*_[a](javascript:b)\"'&\u{1b}[2J";
    let mut rollout = samples::aborted_by_command().rollout;
    rollout.metadata.name = Some("checkout".into());
    let status = rollout.status.as_mut().unwrap();
    status.history[0].images = vec![EVIL.into()];
    status.history[0].reason = EVIL.into();
    for command in &mut status.commands {
        (command.requested_by, command.why, command.message) = (Some(EVIL.into()), Some(EVIL.into()), EVIL.into());
    }
    let mut runs = samples::runs();
    runs[0].metadata.name = Some(EVIL.into());
    runs[0].spec.metrics[0].name = EVIL.into();
    let run = runs[0].status.as_mut().unwrap();
    run.message = EVIL.into();
    for metric in &mut run.metrics {
        for text in [&mut metric.name, &mut metric.canary, &mut metric.stable, &mut metric.comparison] {
            *text = EVIL.into();
        }
        metric.notes = vec![EVIL.into()];
    }
    let report = report(&rollout, &runs, 42);
    let page = html(&report, &TimeZone::UTC);
    assert!(!page.contains("<img") && !page.contains("<script"), "{page}");
    assert!(page.matches("&lt;img src=x onerror=alert(1)&gt;").count() > 8);
    // In a block of code nothing is markup.
    let markdown = markdown(&report, &TimeZone::UTC);
    let prose = markdown.split("```").step_by(2).collect::<String>();
    assert!(!prose.contains("<img") && !prose.contains("[a]("), "{prose}");
    let rows = prose.lines().filter(|line| line.starts_with('|'));
    for row in rows {
        let bars = row.replace("\\|", "").matches('|').count();
        assert!([3, 7].contains(&bars), "a cell broke its row: {row}");
    }
}

/// A day of many metrics with long texts.
#[test]
fn a_page_stays_within_its_size() {
    let mut rollout = samples::aborted().rollout;
    rollout.status.as_mut().unwrap().history[0].reason = "x".repeat(100_000);
    let mut run = samples::runs().remove(0);
    let (metric, status) = (run.spec.metrics[0].clone(), run.status.as_ref().unwrap().metrics[0].clone());
    let many = 0..64;
    run.spec.metrics = many
        .clone()
        .map(|index| {
            let mut metric = metric.clone();
            metric.name = format!("metric-{index}");
            metric
        })
        .collect();
    let named = many.map(|index| {
        let mut status = status.clone();
        status.name = format!("metric-{index}");
        status.notes = vec!["n".repeat(500)];
        status
    });
    run.status.as_mut().unwrap().metrics = named.collect();
    let page = html(&report(&rollout, &[run], 42), &TimeZone::UTC);
    assert!(page.len() <= MOST_BYTES, "{} bytes", page.len());
    assert!(page.contains("left out: the page has no more room."));
    assert!(page.contains("metric-63"), "numbers go before drawings");
}

/// Without a cluster nothing is asked in PromQL, and no report says so.
#[test]
fn a_local_release_has_no_queries() {
    let (rollout, runs) = (samples::aborted().rollout, samples::runs());
    let sources = Sources { rollout: &rollout, runs: &runs, commands: &[], now: samples::NOW, is_local: true };
    let report = Report::of(&sources, Which::default()).unwrap();
    for text in [html(&report, &TimeZone::UTC), markdown(&report, &TimeZone::UTC)] {
        assert!(!text.contains("sum by (arm)") && text.contains("No queries were sent"), "{text}");
        assert!(text.contains("Metrics and settings, as resolved"), "{text}");
    }
}

/// Nothing is loaded from elsewhere, and nothing runs.
#[test]
fn a_page_needs_nothing_else() {
    let page = html(&aborted(), &TimeZone::UTC);
    for foreign in ["<script", "src=", "href=", "@import", "url(", "onload"] {
        assert!(!page.contains(foreign), "{foreign}");
    }
    assert!(page.contains("prefers-color-scheme"));
    assert_eq!(page.matches("<svg").count(), 3);
    assert_eq!(page.matches("<title>").count(), 4, "each drawing has a title");
}
