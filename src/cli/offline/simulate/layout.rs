//! The rows of the table of chances, on terminals of any width.

use super::{statistics::Shares, tell::clock};
use crate::{cli::render::table::wrap, evidence::grouped};

/// One kind of version.
pub(super) struct Row {
    pub what: String,
    pub when: String,
    pub shares: Shares,
}

/// What the columns behind the kind of version are called.
const HEADINGS: [&str; 6] = ["rolled back", "promoted", "held", "to the end p50/p90", "requests", "errors"];
/// The width of the widest layout.
const WIDE: usize = 110;

/// One line per row where there is room; else the time of the fault below the version; else a few lines per row.
pub(super) fn rows(rows: &[Row], width: usize) -> String {
    if width >= WIDE {
        return wide(rows);
    }
    let fits = |text: &String| text.lines().all(|line| line.chars().count() <= width);
    let table = [2, 1].into_iter().map(|gap| stacked(rows, gap)).find(fits);
    table.unwrap_or_else(|| rows.iter().map(|row| block(row, width)).collect())
}

fn cells(row: &Row) -> [String; 6] {
    let percent = |outcome: &str| format!("{:.1} %", 100.0 * row.shares.share(outcome));
    let times = row.shares.times.map(|(half, most)| format!("{} / {}", clock(half), clock(most)));
    [
        percent("Aborted"),
        percent("Promoted"),
        percent("held"),
        times.unwrap_or_else(|| "-".to_owned()),
        grouped(row.shares.requests.round() as u64),
        format!("{:.1}", row.shares.errors),
    ]
}

fn wide(rows: &[Row]) -> String {
    let line = |what: &str, when: &str, cells: [String; 6]| {
        let [back, promoted, held, times, requests, errors] = cells;
        format!("{what:<22} {when:<15} {back:>11} {promoted:>9} {held:>7}  {times:>19}  {requests:>10}  {errors:>7}\n")
    };
    let head = line("", "", HEADINGS.map(str::to_owned));
    head + &rows.iter().map(|row| line(&row.what, &row.when, cells(row))).collect::<String>()
}

fn stacked(rows: &[Row], gap: usize) -> String {
    let mut headings = HEADINGS.map(str::to_owned);
    headings[3] = "p50 / p90".to_owned();
    let all: Vec<[String; 6]> = std::iter::once(headings).chain(rows.iter().map(cells)).collect();
    let widest = |column: usize| all.iter().map(|cells| cells[column].chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..HEADINGS.len()).map(widest).collect();
    let what = rows.iter().map(|row| row.what.chars().count()).max().unwrap_or(0);
    let line = |name: &str, cells: &[String; 6]| {
        let cells: String = cells.iter().zip(&widths).map(|(cell, width)| format!("{cell:>0$}", width + gap)).collect();
        format!("{name:<what$}{cells}\n")
    };
    let mut text = line("", &all[0]);
    for (row, cells) in rows.iter().zip(&all[1..]) {
        text += &line(&row.what, cells);
        if !row.when.is_empty() {
            text += &format!("  {}\n", row.when);
        }
    }
    text
}

fn block(row: &Row, width: usize) -> String {
    let [back, promoted, held, times, requests, errors] = cells(row);
    let comma = if row.when.is_empty() { "" } else { ", " };
    let facts = [
        format!("rolled back {back}, promoted {promoted}, held {held}"),
        format!("to the end {times} (p50 / p90)"),
        format!("{requests} requests, {errors} errors"),
    ];
    let head = wrap(&format!("{}{comma}{}", row.what, row.when), 0, width);
    head + &facts.iter().map(|fact| wrap(fact, 2, width)).collect::<String>()
}
