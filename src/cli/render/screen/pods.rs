//! The part of the screen that shows revisions and pods.

use crate::{
    cli::render::{
        fitted::Table,
        paint::{Paint, Tone},
        table::{Cell, columns, wrap},
    },
    view::{phrases, pod::PodView, revision::RevisionView},
};

/// Each revision with its pods in numbers.
pub(super) fn revisions(revisions: &[RevisionView], width: usize, paint: Paint) -> String {
    if revisions.is_empty() {
        return String::new();
    }
    let rows = without_age(revisions.iter().map(revision).collect(), 4, width);
    format!("  revisions\n{}", Table { indent: 4, head: vec![], rows }.text(width, paint))
}

/// The age, in this column, is dropped first where there is little room.
fn without_age(mut rows: Vec<Vec<Cell>>, age: usize, width: usize) -> Vec<Vec<Cell>> {
    let whole = columns(Paint { on: false }, 4, &rows);
    if whole.lines().any(|line| line.chars().count() > width) {
        rows.iter_mut().filter(|row| row.len() > age).for_each(|row| _ = row.remove(age));
    }
    rows
}

fn revision(revision: &RevisionView) -> Vec<Cell> {
    let short = revision.available < revision.wanted;
    let tone = if short { Tone::Warn } else { Tone::Plain };
    vec![
        format!("{} {}", number(revision), revision.role.word()).into(),
        revision.id.as_str().into(),
        Cell::toned(tone, format!("{} of {} available", revision.available, revision.wanted)),
        revision.image.as_str().into(),
        Cell::toned(Tone::Dim, phrases::age(revision.age)),
    ]
}

fn number(revision: &RevisionView) -> String {
    if revision.number == 0 { "#?".into() } else { format!("#{}", revision.number) }
}

/// The pods that were read: those that are not ready, or all; and what is not shown of them.
pub(super) fn pods(revisions: &[RevisionView], width: usize, paint: Paint) -> String {
    let rows: Vec<Vec<Cell>> =
        revisions.iter().flat_map(|revision| revision.pods.iter().map(move |pod| row(revision, pod))).collect();
    let more: usize = revisions.iter().map(|revision| revision.more_pods).sum();
    let unread = revisions.iter().find_map(|revision| revision.pods_unread.as_ref());
    let rows = without_age(rows, 3, width);
    let mut out = if rows.is_empty() { String::new() } else { "  pods\n".to_owned() };
    out.push_str(&Table { indent: 4, head: vec![], rows }.text(width, paint));
    if more > 0 {
        out.push_str(&wrap(&format!("and {more} more that are not ready; -o wide lists all"), 4, width));
    }
    if let Some(why) = unread {
        out.push_str(&wrap(&format!("pods are not shown: {why}"), 2, width));
    }
    out
}

fn row(revision: &RevisionView, pod: &PodView) -> Vec<Cell> {
    // Any other state says it.
    let state = if pod.ready || pod.state != "Running" { pod.state.clone() } else { "Running, not ready".into() };
    let tone = if pod.ready { Tone::Good } else { Tone::Warn };
    let restarts = match pod.restarts {
        1 => "1 restart".to_owned(),
        count => format!("{count} restarts"),
    };
    vec![
        format!("{} {}", number(revision), pod.name).into(),
        Cell::toned(tone, state),
        restarts.into(),
        Cell::toned(Tone::Dim, phrases::age(pod.age)),
        pod.reason.clone().unwrap_or_default().into(),
    ]
}
