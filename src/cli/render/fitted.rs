//! Tables and lines that fit the terminal: what does not fit is wrapped by words, or moves to a line of its own.

use super::{
    paint::{Paint, Tone},
    table::{Cell, Widths, chars, line, words},
};

/// The least room in which a column is wrapped; with less it moves below its row.
pub const LEAST: usize = 28;

/// A table with a width.
#[derive(Clone, Debug, Default)]
pub struct Table {
    /// How far it is indented.
    pub indent: usize,
    /// The names of the columns; empty for a table without.
    pub head: Vec<&'static str>,
    /// Its rows.
    pub rows: Vec<Vec<Cell>>,
}

impl Table {
    /// Its lines, no wider than `width` where words allow: the last column is wrapped, and columns without any room stand
    /// below their row.
    pub fn text(&self, width: usize, paint: Paint) -> String {
        self.below_others(&mut Widths::default(), width, paint)
    }

    /// Its lines below those that were printed before, in columns that only get wider.
    pub fn below_others(&self, before: &mut Widths, width: usize, paint: Paint) -> String {
        let head = self.head.iter().map(|name| Cell::toned(Tone::Dim, *name)).collect::<Vec<_>>();
        let heads = usize::from(!head.is_empty());
        let all: Vec<Vec<Cell>> = std::iter::once(head).take(heads).chain(self.rows.iter().cloned()).collect();
        let widths = before.with(&all);
        let end = |count: usize| self.indent + widths.iter().take(count).map(|width| width + 3).sum::<usize>() - 3;
        let count = widths.len();
        if count < 2 || end(count) <= width {
            return all.iter().map(|row| line(paint, self.indent, row, widths)).collect();
        }
        if end(count - 1) + 3 + LEAST <= width {
            return all.iter().map(|row| self.hanging(row, widths, end(count - 1) + 3, width, paint)).collect();
        }
        let kept = (1..count).rev().find(|kept| end(*kept) <= width).unwrap_or(1);
        all.iter().enumerate().map(|(at, row)| self.below(row, kept, widths, width, at < heads, paint)).collect()
    }

    /// A row whose last cell continues under itself, from column `at`.
    fn hanging(&self, row: &[Cell], widths: &[usize], at: usize, width: usize, paint: Paint) -> String {
        let Some((last, before)) = row.split_last().filter(|(_, before)| before.len() + 1 == widths.len()) else {
            return line(paint, self.indent, row, widths);
        };
        let mut lines = words(&last.text, width - at).into_iter();
        let first = Cell::toned(last.tone, lines.next().unwrap_or_default());
        let row: Vec<Cell> = before.iter().cloned().chain([first]).collect();
        let rest = lines.map(|text| format!("{}{}\n", " ".repeat(at), paint.text(last.tone, &text)));
        line(paint, self.indent, &row, widths) + &rest.collect::<String>()
    }

    /// A row with only its first cells, and the others below it.
    fn below(&self, row: &[Cell], kept: usize, widths: &[usize], width: usize, is_head: bool, paint: Paint) -> String {
        let (first, rest) = row.split_at(kept.min(row.len()));
        let rest = rest.iter().filter(|cell| !is_head && !matches!(cell.text.as_str(), "" | "-"));
        let rest: Vec<(usize, Cell)> = rest.map(|cell| (3, cell.clone())).collect();
        let line = line(paint, self.indent, first, widths);
        if rest.is_empty() {
            return line;
        }
        let indent = self.indent + 2;
        line + &flow(&rest, &" ".repeat(indent), indent, width, paint)
    }
}

/// Parts side by side, each with so many blanks before it. One that does not fit begins a new line at `indent`, and is wrapped
/// by words if it fits on none.
pub fn flow(parts: &[(usize, Cell)], start: &str, indent: usize, width: usize, paint: Paint) -> String {
    let mut out = start.to_owned();
    let (mut column, mut is_first) = (chars(start), true);
    for (gap, cell) in parts {
        let (gap, length) = (if is_first { 0 } else { *gap }, chars(&cell.text));
        if column + gap + length <= width {
            out.push_str(&" ".repeat(gap));
            out.push_str(&cell.paint(paint));
            column += gap + length;
        } else {
            let lines =
                if indent + length <= width { vec![cell.text.clone()] } else { words(&cell.text, width - indent) };
            for (at, text) in lines.iter().enumerate() {
                let piece = if lines.len() == 1 { cell.paint(paint) } else { paint.text(cell.tone, text) };
                let break_before =
                    if is_first && at == 0 { String::new() } else { format!("\n{}", " ".repeat(indent)) };
                out.push_str(&(break_before + &piece));
            }
            column = indent + lines.last().map_or(0, |text| chars(text));
        }
        is_first = false;
    }
    out.push('\n');
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLAIN: Paint = Paint { on: false };

    fn table() -> Table {
        let row = |name: &str, state: &str, why: &str| vec![name.into(), state.into(), why.into()];
        Table {
            indent: 2,
            head: vec!["NAME", "STATE", "WHY"],
            rows: vec![
                row("checkout", "rolled back", "errors failed: 2.4 % against 0.1 %"),
                row("web", "promoted", "all steps"),
            ],
        }
    }

    #[test]
    fn a_table_that_fits_is_left_alone_and_one_without_a_limit_always_fits() {
        let wanted = "  NAME       STATE         WHY\n  checkout   rolled back   errors failed: 2.4 % against 0.1 %\n  \
                      web        promoted      all steps\n";
        assert_eq!(table().text(80, PLAIN), wanted);
        assert_eq!(table().text(usize::MAX, PLAIN), wanted);
    }

    #[test]
    fn the_last_column_is_wrapped_where_there_is_room() {
        let wanted = "  NAME       STATE         WHY\n  checkout   rolled back   errors failed: 2.4 % against\n                           \
                      0.1 %\n  web        promoted      all steps\n";
        assert_eq!(table().text(55, PLAIN), wanted);
    }

    #[test]
    fn what_has_no_room_stands_below_its_row() {
        let wanted = "  NAME       STATE\n  checkout   rolled back\n    errors failed: 2.4 %\n    against 0.1 %\n  web        \
                      promoted\n    all steps\n";
        assert_eq!(table().text(26, PLAIN), wanted);
    }

    #[test]
    fn parts_move_to_the_next_line_whole_and_long_ones_by_words() {
        let parts = [(0, "checkout".into()), (2, "Progressing".into()), (3, "observing at 25 %".into())];
        assert_eq!(flow(&parts, "", 2, 80, PLAIN), "checkout  Progressing   observing at 25 %\n");
        assert_eq!(flow(&parts, "", 2, 30, PLAIN), "checkout  Progressing\n  observing at 25 %\n");
        assert_eq!(flow(&parts, "", 2, 21, PLAIN), "checkout  Progressing\n  observing at 25 %\n");
        assert_eq!(flow(&parts, "", 2, 16, PLAIN), "checkout\n  Progressing\n  observing at\n  25 %\n");
    }
}
