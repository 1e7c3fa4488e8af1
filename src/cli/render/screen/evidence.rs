//! The part of the status screen that shows the evidence.

use crate::{
    chart::spark::spark,
    cli::render::{
        paint::{Paint, Tone},
        table::{Cell, columns, wrap},
    },
    view::{courses::Courses, evidence::MetricRow},
};

/// Characters of a sparkline.
const SPARK: usize = 20;

/// The evidence of each metric, then what the undecided ones still need.
pub(super) fn table(metrics: &[MetricRow<'_>], courses: Option<&Courses>, width: usize, paint: Paint) -> String {
    if metrics.is_empty() {
        return String::new();
    }
    let mut out = format!("  evidence\n{}", rows(metrics, courses, width, paint));
    for MetricRow { metric, needs, .. } in metrics {
        if let Some(needs) = needs {
            out.push_str(&wrap(&format!("{} needs {needs}", metric.name), 4, width));
        }
        for note in &metric.notes {
            out.push_str(&wrap(&format!("{}: {note}", metric.name), 4, width));
        }
    }
    out
}

/// One row per metric. If it gets too wide, the sparkline goes first, then the comparison is on a separate line.
fn rows(metrics: &[MetricRow<'_>], courses: Option<&Courses>, width: usize, paint: Paint) -> String {
    let course = |name: &str| courses.map(|courses| spark(courses.of_metric(name), SPARK)).unwrap_or_default();
    let has_course = metrics.iter().any(|row| !course(&row.metric.name).is_empty());
    let table = |paint: Paint, count: usize| {
        let head = ["", "", "canary", "stable", "compared", "towards Fail"];
        let head = head.map(|text| Cell::toned(Tone::Dim, text)).to_vec();
        let with_course = |of: &MetricRow<'_>| row(of).into_iter().chain([course(&of.metric.name).into()]).collect();
        let all = std::iter::once(head).chain(metrics.iter().map(with_course));
        columns(paint, 4, &all.map(|row| row.into_iter().take(count).collect()).collect::<Vec<_>>())
    };
    let fits = |count| table(Paint { on: false }, count).lines().all(|line| line.chars().count() <= width);
    if has_course && fits(6) {
        return table(paint, 6);
    }
    if fits(5) {
        return table(paint, 5);
    }
    // Below each row: the comparison, and the values too if they have no room either.
    let count = if fits(4) { 4 } else { 2 };
    let narrow = table(paint, count);
    let mut lines = narrow.lines();
    // The names of the columns.
    let mut out = lines.next().filter(|_| count > 2).map(|head| format!("{head}\n")).unwrap_or_default();
    for (line, row) in lines.zip(metrics) {
        out.push_str(&format!("{line}\n"));
        let (canary, stable) = (&row.metric.canary, &row.metric.stable);
        if count == 2 && !canary.is_empty() {
            out.push_str(&wrap(&format!("canary {canary}, stable {stable}"), 6, width));
        }
        out.push_str(&wrap(&row.metric.comparison, 6, width));
    }
    out
}

fn row(row: &MetricRow<'_>) -> Vec<Cell> {
    let metric = row.metric;
    let reason = row.reason.map(|reason| format!(" ({reason})")).unwrap_or_default();
    let optional = if metric.required { "" } else { " *" };
    vec![
        format!("{}{optional}", metric.name).into(),
        Cell::toned(metric.verdict.into(), format!("{:?}{reason}", metric.verdict)),
        metric.canary.as_str().into(),
        metric.stable.as_str().into(),
        metric.comparison.as_str().into(),
    ]
}
