//! The report as Markdown: for a terminal, a ticket or a review. What others wrote is text in it, never markup.

use jiff::tz::TimeZone;

use super::{
    facts::{headline, summary, time},
    inputs,
};
use crate::{
    chart::spark::spark,
    view::{
        history::PastCommand,
        report::{
            run::{MetricPart, RunPart},
            story::Report,
        },
    },
};

/// Characters of a sparkline.
const SPARK: usize = 30;

/// The report as Markdown.
pub fn markdown(report: &Report, zone: &TimeZone) -> String {
    let mut out = format!("# {}\n\n", text(&headline(report)));
    table(&mut out, &["", ""], summary(report, zone).into_iter().map(|(name, value)| vec![name.to_owned(), value]));
    out.push_str("\n## Timeline\n\n");
    let moments = report.timeline.iter().map(|moment| vec![time(moment.at, zone), moment.what.clone()]);
    table(&mut out, &["When", "What"], moments);
    if !report.runs.is_empty() {
        out.push_str("\n## Evidence\n");
        report.runs.iter().for_each(|run| evidence(&mut out, run));
    }
    if !report.commands.is_empty() {
        out.push_str("\n## Commands\n\n");
        let rows = report.commands.iter().map(|command| command_row(command, zone));
        table(&mut out, &["When", "Command", "State", "By", "Why", "Result"], rows);
    }
    report.runs.iter().for_each(|run| judged_by(&mut out, report, run));
    out.push_str("\n## Not in this report\n\n");
    report.gone.iter().for_each(|gone| out.push_str(&format!("- {}\n", text(gone))));
    out
}

fn evidence(out: &mut String, run: &RunPart) {
    out.push_str(&format!("\n### {}: {:?}\n\n", text(&run.name), run.verdict));
    if !run.message.is_empty() {
        out.push_str(&format!("{}\n\n", text(&run.message)));
    }
    table(out, &["Metric", "Verdict", "Canary", "Stable", "Compared", "Towards Fail"], run.metrics.iter().map(row));
    out.push('\n');
    for metric in &run.metrics {
        out.push_str(&format!("- {}\n", text(&metric.sentence)));
        metric.status.notes.iter().for_each(|note| out.push_str(&format!("  - {}\n", text(note))));
    }
}

fn row(metric: &MetricPart) -> Vec<String> {
    let status = &metric.status;
    let reason = if status.reason.is_empty() { String::new() } else { format!(" ({})", status.reason) };
    let shares: Vec<f64> = metric.points.iter().map(|point| point.evidence.fail).collect();
    vec![
        status.name.clone(),
        format!("{:?}{reason}", status.verdict),
        status.canary.clone(),
        status.stable.clone(),
        status.comparison.clone(),
        spark(&shares, SPARK),
    ]
}

/// A command in a row; the page has the same.
pub(super) fn command_row(command: &PastCommand, zone: &TimeZone) -> Vec<String> {
    vec![
        time(command.at, zone),
        command.verb.as_str().to_owned(),
        format!("{:?}", command.state),
        command.by.clone().unwrap_or_else(|| "unknown".to_owned()),
        command.why.clone().unwrap_or_else(|| "-".to_owned()),
        command.message.clone(),
    ]
}

fn judged_by(out: &mut String, report: &Report, run: &RunPart) {
    out.push_str(&format!("\n## Queries and settings: {}\n", text(&run.name)));
    for asked in inputs::queries(report, run) {
        out.push_str(&format!("\n{}:\n\n", text(&asked.what)));
        code(out, "promql", &asked.text);
    }
    out.push_str("\nMetrics and settings, as resolved:\n\n");
    code(out, "yaml", &inputs::resolved(run));
}

/// A fence that is longer than any in the text.
fn code(out: &mut String, language: &str, content: &str) {
    let longest = content.split(|c| c != '`').map(str::len).max().unwrap_or(0);
    let fence = "`".repeat(longest.max(2) + 1);
    out.push_str(&format!("{fence}{language}\n{}\n{fence}\n", content.trim_end()));
}

fn table(out: &mut String, head: &[&str], rows: impl Iterator<Item = Vec<String>>) {
    let line = |cells: &[String]| format!("| {} |\n", cells.join(" | "));
    out.push_str(&line(&head.iter().map(|&name| name.to_owned()).collect::<Vec<_>>()));
    out.push_str(&line(&head.iter().map(|_| "---".to_owned()).collect::<Vec<_>>()));
    for row in rows {
        out.push_str(&line(&row.iter().map(|cell| text(cell)).collect::<Vec<_>>()));
    }
}

/// A text on one line, in which nothing is markup.
fn text(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '&' => out.push_str("&amp;"),
            '\\' | '`' | '*' | '_' | '[' | ']' | '|' | '~' | '!' => out.extend(['\\', c]),
            '\n' | '\r' | '\t' => out.push(' '),
            c => out.push(c),
        }
    }
    out
}
