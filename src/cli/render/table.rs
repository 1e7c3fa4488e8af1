//! Columns without borders, as kubectl prints them.

use super::{
    paint::{Paint, Tone},
    printable::one_line,
};

/// The width of what is not a terminal: nothing is wrapped there, so that every fact is on one line.
pub const UNLIMITED: usize = usize::MAX;

/// One cell.
#[derive(Clone, Debug, Default)]
pub struct Cell {
    pub(super) text: String,
    pub(super) tone: Tone,
    painted: Option<String>,
}

impl Cell {
    /// A cell in a tone.
    pub fn toned(tone: Tone, text: impl Into<String>) -> Self {
        Cell { text: one_line(&text.into()).into_owned(), tone, painted: None }
    }

    /// A cell of several tones: its text, and the same painted. It is never wrapped.
    pub fn painted(text: String, painted: String) -> Self {
        Cell { text, tone: Tone::Plain, painted: Some(painted) }
    }

    /// As it is written.
    pub(super) fn paint(&self, paint: Paint) -> String {
        self.painted.clone().unwrap_or_else(|| paint.text(self.tone, &self.text))
    }
}

impl<T: Into<String>> From<T> for Cell {
    fn from(text: T) -> Self {
        Cell::toned(Tone::Plain, text)
    }
}

impl Cell {
    /// Its text.
    pub fn text(&self) -> &str {
        &self.text
    }
}

/// Where the content of a labeled line begins.
pub const INDENT: usize = 12;

/// The label of a line, up to its content.
pub fn label(name: &str) -> String {
    format!("  {name:<width$}", width = INDENT - 2)
}

/// The rows as lines: each column as wide as its widest cell, three blanks between, nothing behind the last text.
pub fn columns(paint: Paint, indent: usize, rows: &[Vec<Cell>]) -> String {
    let mut widths = Widths::default();
    let widths = widths.with(rows);
    rows.iter().map(|row| line(paint, indent, row, widths)).collect()
}

/// The widths of columns that were printed, so that later lines stand under them.
#[derive(Clone, Debug, Default)]
pub struct Widths(Vec<usize>);

impl Widths {
    /// With these rows below those before: a column only gets wider.
    pub(super) fn with(&mut self, rows: &[Vec<Cell>]) -> &[usize] {
        let new = widths(rows);
        self.0.resize(self.0.len().max(new.len()), 0);
        self.0.iter_mut().zip(new).for_each(|(width, new)| *width = new.max(*width));
        &self.0
    }
}

/// How wide each column is.
fn widths(rows: &[Vec<Cell>]) -> Vec<usize> {
    let count = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width = |column: usize| rows.iter().filter_map(|row| row.get(column)).map(|cell| chars(&cell.text)).max();
    (0..count).map(|column| width(column).unwrap_or(0)).collect()
}

/// One row as a line.
pub(super) fn line(paint: Paint, indent: usize, row: &[Cell], widths: &[usize]) -> String {
    let mut out = " ".repeat(indent);
    let last = row.iter().rposition(|cell| !cell.text.is_empty()).unwrap_or(0);
    for (cell, width) in row.iter().zip(widths).take(last) {
        out.push_str(&cell.paint(paint));
        out.push_str(&" ".repeat(width.saturating_sub(chars(&cell.text)) + 3));
    }
    if let Some(cell) = row.get(last) {
        out.push_str(&cell.paint(paint));
    }
    out.push('\n');
    out
}

/// How many columns a text takes.
pub(super) fn chars(text: &str) -> usize {
    text.chars().count()
}

/// Breaks text at blanks so that no line is longer than `width` (a single long word may be), each line indented.
pub fn wrap(text: &str, indent: usize, width: usize) -> String {
    if text.trim().is_empty() {
        return String::new();
    }
    let lines = words(text, width.saturating_sub(indent).max(20));
    lines.iter().map(|line| format!("{}{line}\n", " ".repeat(indent))).collect()
}

/// The text broken at blanks into lines of at most `room` characters.
pub(super) fn words(text: &str, room: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split_whitespace() {
        let Some(line) = lines.last_mut() else { break };
        if !line.is_empty() && chars(line) + 1 + chars(word) > room {
            lines.push(word.to_owned());
        } else {
            if !line.is_empty() {
                line.push(' ');
            }
            line.push_str(word);
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::render::printable::printable;

    #[test]
    fn a_row_is_one_line() {
        let rows = [vec!["load test\nok".into(), "x".into()]];
        assert_eq!(columns(Paint { on: false }, 0, &rows), "load test ok   x\n");
    }

    #[test]
    fn columns_line_up_and_leave_no_trailing_blanks() {
        let rows = [
            vec!["NAME".into(), "PHASE".into()],
            vec!["checkout".into(), Cell::toned(Tone::Good, "Healthy")],
            vec!["a".into()],
        ];
        let text = columns(Paint { on: false }, 2, &rows);
        assert_eq!(text, "  NAME       PHASE\n  checkout   Healthy\n  a\n");
    }

    #[test]
    fn later_lines_stand_under_the_first() {
        let mut widths = Widths::default();
        let mut lines = |rows: &[[&str; 2]]| {
            let rows: Vec<Vec<Cell>> = rows.iter().map(|row| row.map(Into::into).to_vec()).collect();
            let widths = widths.with(&rows);
            rows.iter().map(|row| line(Paint { on: false }, 0, row, widths)).collect::<String>()
        };
        assert_eq!(lines(&[["NAME", "PHASE"], ["checkout", "Healthy"]]), "NAME       PHASE\ncheckout   Healthy\n");
        assert_eq!(lines(&[["web", "Paused"]]), "web        Paused\n");
    }

    #[test]
    fn colour_changes_no_width() {
        let rows = [vec![Cell::toned(Tone::Bad, "ab"), "x".into()], vec!["abcd".into(), "y".into()]];
        let text = columns(Paint { on: true }, 0, &rows);
        let text = printable(&text);
        assert!(text.starts_with("\u{1b}[31mab\u{1b}[39m     x\n"), "{text:?}");
    }

    #[test]
    fn text_is_wrapped_at_blanks() {
        assert_eq!(wrap("one two three four five six", 2, 22), "  one two three four\n  five six\n");
    }
}
