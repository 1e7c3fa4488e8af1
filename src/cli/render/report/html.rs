//! The report as one page: no script, nothing from elsewhere, escaped by construction.

use jiff::tz::TimeZone;
use maud::{DOCTYPE, Markup, PreEscaped, html};

use super::{charts, facts, inputs, markdown::command_row};
use crate::{
    chart::figure::{Chart, Mark},
    view::report::{
        run::{MetricPart, RunPart},
        story::Report,
    },
};

/// The size of a page at most, in bytes.
#[cfg(test)]
pub const MOST_BYTES: usize = 300 * 1024;
/// What the sections may take together; the rest is for what says that something is left out.
const ROOM: usize = 200 * 1024;
/// What the drawings may take of it.
const CHARTS: usize = 120 * 1024;
/// The longest text of others that is shown whole, and the most rows of a table.
const LONGEST: usize = 1_000;
const MOST_ROWS: usize = 100;

const STYLE: &str = include_str!("page.css");

/// How many bytes are left, for everything and for drawings.
struct Room {
    all: usize,
    charts: usize,
}

/// The page.
pub fn html(report: &Report, zone: &TimeZone) -> String {
    let headline = cut(&facts::headline(report));
    let room = &mut Room { all: ROOM, charts: CHARTS };
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'";
                title { (headline) }
                style { (PreEscaped(STYLE)) }
            }
            body { main {
                h1 { (headline) }
                (section("summary", "Summary", &summary(report, zone)))
                (section("timeline", "Timeline", &timeline(report, zone, room)))
                (section("traffic", "Traffic", &traffic(report)))
                (section("evidence", "Evidence", &evidence(report, room)))
                (section("commands", "Commands", &commands(report, zone, room)))
                (section("inputs", "Queries and settings", &judged_by(report, room)))
                (section("gone", "Not in this report", &html! { ul { @for gone in &report.gone { li { (cut(gone)) } } } }))
            } }
        }
    };
    page.into_string()
}

/// A section with its heading; nothing without content.
fn section(id: &str, heading: &str, content: &Markup) -> Markup {
    html! { @if !content.0.is_empty() { section aria-labelledby=(id) { h2 id=(id) { (heading) } (content) } } }
}

/// What still fits, or a line in its place.
fn fitted(content: Markup, what: &str, room: &mut usize) -> Markup {
    match room.checked_sub(content.0.len()) {
        Some(left) => {
            *room = left;
            content
        }
        None => html! { p { (what) " left out: the page has no more room." } },
    }
}

fn summary(report: &Report, zone: &TimeZone) -> Markup {
    html! { dl { @for (name, value) in facts::summary(report, zone) { dt { (name) } dd { (cut(&value)) } } } }
}

fn timeline(report: &Report, zone: &TimeZone, room: &mut Room) -> Markup {
    let rows = report.timeline.iter().map(|moment| vec![facts::time(moment.at, zone), moment.what.clone()]);
    fitted(table(&["When", "What"], rows), "The timeline is", &mut room.all)
}

fn traffic(report: &Report) -> Markup {
    html! { @if let Some(chart) = charts::weights(report) { (figure(&chart)) } }
}

fn evidence(report: &Report, room: &mut Room) -> Markup {
    let marks = charts::marks(report);
    html! { @for run in &report.runs { (run_evidence(run, &marks, room)) } }
}

/// The numbers of all metrics before the drawings of any: they are what must not be left out.
fn run_evidence(run: &RunPart, marks: &[Mark], room: &mut Room) -> Markup {
    let heads = run.metrics.iter().map(|metric| fitted(numbers(metric), "A metric is", &mut room.all));
    let heads: Vec<Markup> = heads.collect();
    html! {
        h3 { (cut(&run.name)) ": " (format!("{:?}", run.verdict)) }
        @if !run.message.is_empty() { p { (cut(&run.message)) } }
        @for (head, metric) in heads.iter().zip(&run.metrics) { (head) (drawn(metric, marks, room)) }
    }
}

fn numbers(metric: &MetricPart) -> Markup {
    let status = &metric.status;
    let reason = if status.reason.is_empty() { String::new() } else { format!(" ({})", status.reason) };
    let optional = if status.required { "" } else { ", optional" };
    html! {
        h4 { (cut(&status.name)) ": " (format!("{:?}{reason}{optional}", status.verdict)) }
        p { (cut(&metric.sentence)) }
        @if !status.notes.is_empty() { ul { @for note in &status.notes { li { (cut(note)) } } } }
    }
}

/// A metric's charts, as long as the page has room for them.
fn drawn(metric: &MetricPart, marks: &[Mark], room: &mut Room) -> Markup {
    let charts = charts::of_metric(metric, marks);
    if charts.is_empty() {
        return html! { p { "No course of its evidence is recorded." } };
    }
    let content = html! { @for chart in &charts { (figure(chart)) } };
    let (length, most) = (content.0.len(), room.all.min(room.charts));
    let mut left = most;
    let content = fitted(content, "Its charts are", &mut left);
    if left < most {
        (room.all, room.charts) = (room.all - length, room.charts - length);
    }
    content
}

/// A drawing with its numbers.
fn figure(chart: &Chart) -> Markup {
    html! {
        figure { (PreEscaped(&chart.svg)) }
        details { summary { "The same as a table" } (table(&chart.head, chart.rows.iter().cloned())) }
    }
}

fn commands(report: &Report, zone: &TimeZone, room: &mut Room) -> Markup {
    if report.commands.is_empty() {
        return html! {};
    }
    let rows = report.commands.iter().map(|command| command_row(command, zone));
    fitted(table(&["When", "Command", "State", "By", "Why", "Result"], rows), "The commands are", &mut room.all)
}

fn judged_by(report: &Report, room: &mut Room) -> Markup {
    html! {
        @for run in &report.runs {
            h3 { (cut(&run.name)) }
            @for asked in inputs::queries(report, run) { p { (cut(&asked.what)) } (code(&asked.text, room)) }
            p { "Metrics and settings, as resolved" }
            (code(&inputs::resolved(run), room))
        }
    }
}

fn code(text: &str, room: &mut Room) -> Markup {
    fitted(html! { pre { code { (text) } } }, "This is", &mut room.all)
}

fn table(head: &[&str], rows: impl Iterator<Item = Vec<String>>) -> Markup {
    let rows: Vec<Vec<String>> = rows.collect();
    let more = rows.len().saturating_sub(MOST_ROWS);
    html! {
        div.wide tabindex="0" { table {
            thead { tr { @for name in head { th scope="col" { (name) } } } }
            tbody { @for row in rows.iter().take(MOST_ROWS) { tr { @for cell in row { td { (cut(cell)) } } } } }
        } }
        @if more > 0 { p { (more) " more rows are left out." } }
    }
}

/// A text of others, no longer than a page bears.
fn cut(text: &str) -> String {
    match text.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}...", text.get(..end).unwrap_or_default()),
        None => text.to_owned(),
    }
}
