//! The lines of a plan in columns that fit the terminal: the bar gets shorter first, then words wrap.

use crate::api::common::Percent;

/// Columns of time and step, with the gaps after them.
const LEFT: usize = 10 + GAP + 4 + GAP;
const GAP: usize = 2;
/// The longest bar and the shortest.
const BAR: (usize, usize) = (20, 4);

/// One line before it is laid out.
#[derive(Clone, Copy, Debug)]
pub struct Row<'a> {
    /// When it begins.
    pub at: &'a str,
    /// The step's number.
    pub number: &'a str,
    /// What it does.
    pub what: &'a str,
    /// With what, and for how long.
    pub detail: &'a str,
    /// The canary's share of the traffic.
    pub weight: Percent,
}

/// The columns' widths.
#[derive(Clone, Copy, Debug)]
pub struct Columns {
    what: usize,
    detail: usize,
    bar: usize,
}

impl Columns {
    /// That fit these rows into so many columns of the terminal.
    pub fn of(rows: &[Row<'_>], width: usize) -> Columns {
        let longest = |of: fn(&Row<'_>) -> usize| rows.iter().map(of).max().unwrap_or(0);
        let what = longest(|row| chars(row.what)).min(width / 3);
        let room = width.saturating_sub(LEFT + what + GAP);
        let detail = longest(|row| chars(row.detail)).min(room.saturating_sub(GAP + BAR.1));
        let bar = room.saturating_sub(detail + GAP).clamp(BAR.1, BAR.0);
        Columns { what, detail, bar }
    }

    /// A row as one line or more.
    pub fn lay_out(self, row: Row<'_>) -> String {
        let (what, detail) = (lines(row.what, self.what), lines(row.detail, self.detail));
        let mut text = String::new();
        for line in 0..what.len().max(detail.len()) {
            let of = |lines: &[String]| lines.get(line).cloned().unwrap_or_default();
            let (at, number, bar) =
                if line == 0 { (row.at, row.number, bar(row.weight, self.bar)) } else { ("", "", String::new()) };
            let (what, detail) = (of(&what), of(&detail));
            let (wide, wider) = (self.what, self.detail);
            text += format!("{at:>10}  {number:>4}  {what:<wide$}  {detail:<wider$}  {bar}").trim_end();
            text.push('\n');
        }
        text
    }
}

/// A name and what belongs to it, which wraps beside the name.
pub fn labelled(name: &str, text: &str, width: usize) -> String {
    const NAME: usize = 10 + GAP;
    let mut name = format!("{name:>10}");
    let mut out = String::new();
    for line in lines(text, width.saturating_sub(NAME)) {
        out += &format!("{name:10}  {line}\n");
        name.clear();
    }
    out
}

/// A text in lines of at most this many characters, broken between words, and within those that are longer.
pub fn lines(text: &str, width: usize) -> Vec<String> {
    let width = width.max(1);
    let mut lines = vec![String::new()];
    for word in text.split(' ') {
        let Some(line) = lines.last_mut() else { break };
        if line.is_empty() {
            line.push_str(word);
        } else if chars(line) + 1 + chars(word) <= width {
            line.push(' ');
            line.push_str(word);
        } else {
            lines.push(word.to_owned());
        }
    }
    lines.iter().flat_map(|line| pieces(line, width)).collect()
}

fn pieces(line: &str, width: usize) -> Vec<String> {
    let characters: Vec<char> = line.chars().collect();
    let pieces: Vec<String> = characters.chunks(width).map(|piece| piece.iter().collect()).collect();
    if pieces.is_empty() { vec![String::new()] } else { pieces }
}

fn chars(text: &str) -> usize {
    text.chars().count()
}

/// A weight above 0 always shows.
fn bar(weight: Percent, cells: usize) -> String {
    let eighths = (weight.basis_points() as usize * cells * 8).div_ceil(10_000);
    let part = ["", "▏", "▎", "▍", "▌", "▋", "▊", "▉"][eighths % 8];
    "█".repeat(eighths / 8) + part
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_wrap_and_only_longer_ones_are_broken() {
        assert_eq!(lines("at least 5m, at most 30m", 14), ["at least 5m,", "at most 30m"]);
        assert_eq!(lines("abcdefgh ij", 5), ["abcde", "fgh", "ij"]);
        assert_eq!(lines("", 5), [""]);
        assert_eq!(labelled("total", "one two three", 20), "     total  one two\n            three\n");
    }

    #[test]
    fn a_bar_fills_its_cells() {
        let full = |cells| bar(Percent::FULL, cells).chars().count();
        assert_eq!((full(20), full(4)), (20, 4));
        assert_eq!((bar(Percent::whole(50), 8), bar(Percent::ZERO, 8)), ("████".to_owned(), String::new()));
        assert_eq!(bar(Percent::from_basis_points(1), 4), "▏");
    }
}
