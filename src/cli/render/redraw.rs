//! A text that is drawn again and again in one place of the terminal, also when the terminal is lower than the text.

use super::printable::printable;

/// The size of the terminal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Size {
    /// Columns.
    pub columns: usize,
    /// Rows.
    pub rows: usize,
}

impl Size {
    /// The fallback without a terminal.
    const USUAL: Size = Size { columns: 100, rows: 40 };

    /// The current size of the terminal: users resize it while watching.
    pub fn now() -> Size {
        let known = terminal_size::terminal_size().filter(|(columns, rows)| columns.0 > 0 && rows.0 > 0);
        known.map_or(Size::USUAL, |(columns, rows)| Size { columns: columns.0.into(), rows: rows.0.into() })
    }

    /// The columns that screens are laid out for: long lines are hard to read, and short ones break words.
    pub fn layout(self) -> usize {
        self.columns.clamp(60, 140)
    }
}

/// What is on the terminal already.
#[derive(Clone, Debug, Default)]
pub struct Redraw {
    rows: usize,
    whole: String,
    /// What stands below the text while it is redrawn.
    foot: &'static str,
}

impl Redraw {
    /// With a line below the text that goes when it is over.
    pub fn with_foot(foot: &'static str) -> Self {
        Redraw { foot, ..Redraw::default() }
    }

    /// What to write so that the text replaces the one before. What does not fit is cut off below: a terminal cannot go
    /// back to rows that it has scrolled away.
    pub fn frame(&mut self, text: &str, size: Size) -> String {
        self.whole = printable(text).into_owned();
        self.replace(&(fitted(&self.whole, self.foot, size) + self.foot), size)
    }

    /// What to write when it is over: the last text, whole, which stays. Nothing when there was none.
    pub fn last(&mut self, size: Size) -> String {
        let whole = std::mem::take(&mut self.whole);
        if whole.is_empty() {
            return String::new();
        }
        let written = self.replace(&whole, size);
        self.rows = 0;
        written
    }

    /// Line over line of what is printable, so that nothing flickers, and then the rest away.
    fn replace(&mut self, text: &str, size: Size) -> String {
        let mut out = if self.rows == 0 { String::new() } else { format!("\x1b[{}A\r", self.rows) };
        for line in text.lines() {
            out.push_str("\x1b[K");
            out.push_str(line);
            // At the last column the cursor is still on the last character, which must not be erased.
            if !visible(line).is_multiple_of(size.columns.max(1)) {
                out.push_str("\x1b[K");
            }
            out.push('\n');
        }
        self.rows = text.lines().map(|line| rows(line, size)).sum();
        out + "\x1b[J"
    }
}

/// The first lines that fit above the foot, one row being left for the cursor and one for saying that there is more.
fn fitted(text: &str, foot: &str, size: Size) -> String {
    let taken = |text: &str| text.lines().map(|line| rows(line, size)).sum::<usize>();
    if taken(text) + taken(foot) < size.rows {
        return text.to_owned();
    }
    let room = size.rows.saturating_sub(2 + taken(foot)).max(1);
    let mut used = 0;
    let kept: Vec<&str> = text
        .lines()
        .take_while(|line| {
            used += rows(line, size);
            used <= room
        })
        .collect();
    let more = text.lines().count() - kept.len();
    let what = if more == 1 { "1 more line".to_owned() } else { format!("{more} more lines") };
    format!("{}\n  ... {what}: the terminal is too small\n", kept.join("\n"))
}

/// How many rows of the terminal a painted line takes.
fn rows(line: &str, size: Size) -> usize {
    visible(line).max(1).div_ceil(size.columns.max(1))
}

/// How many characters of a painted line are seen.
fn visible(line: &str) -> usize {
    let mut count = 0;
    let mut in_escape = false;
    for c in line.chars() {
        match (in_escape, c) {
            (false, '\x1b') => in_escape = true,
            (true, 'm') => in_escape = false,
            (false, _) => count += 1,
            (true, _) => {}
        }
    }
    count
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::render::paint::{Paint, Tone};

    const SMALL: Size = Size { columns: 10, rows: 5 };

    #[test]
    fn painted_lines_take_the_rows_of_what_is_seen_of_them() {
        for (line, taken) in [("", 1), ("abc", 1), ("\x1b[31mabcdefghij\x1b[39m", 1), ("abcdefghijk", 2)] {
            assert_eq!(rows(line, SMALL), taken, "{line:?}");
        }
    }

    #[test]
    fn a_frame_goes_over_the_one_before() {
        let mut redraw = Redraw::default();
        assert_eq!(redraw.frame("one\nabcdefghijk\n", SMALL), "\x1b[Kone\x1b[K\n\x1b[Kabcdefghijk\x1b[K\n\x1b[J");
        assert_eq!(redraw.frame("two\n", SMALL), "\x1b[3A\r\x1b[Ktwo\x1b[K\n\x1b[J");
        assert_eq!(redraw.last(SMALL), "\x1b[1A\r\x1b[Ktwo\x1b[K\n\x1b[J");
        assert_eq!(redraw.last(SMALL), "", "the last text is written once");
        assert!(!redraw.frame("three\n", SMALL).contains('A'), "what stays is not written over");
    }

    #[test]
    fn a_frame_passes_our_colours_and_no_others() {
        let text = Paint { on: true }.text(Tone::Bad, "a\x1b[2J");
        let frame = Redraw::default().frame(&text, Size { columns: 60, rows: 6 });
        assert_eq!(frame, "\x1b[K\x1b[31ma\\u001b[2J\x1b[39m\x1b[K\n\x1b[J");
    }

    #[test]
    fn a_full_row_keeps_its_last_character() {
        assert_eq!(Redraw::default().frame("abcdefghij\n", SMALL), "\x1b[Kabcdefghij\n\x1b[J");
    }

    #[test]
    fn a_foot_stands_below_the_text_until_the_end() {
        let wide = Size { columns: 60, rows: 6 };
        let mut redraw = Redraw::with_foot("q quits\n");
        let frame = redraw.frame("1\n2\n3\n4\n5\n", wide);
        assert!(frame.contains("3\x1b[K\n\x1b[K  ... 2 more lines: the terminal is too small"), "{frame:?}");
        assert!(frame.ends_with("\x1b[Kq quits\x1b[K\n\x1b[J") && frame.matches('\n').count() == 5, "{frame:?}");
        assert!(!redraw.last(wide).contains("q quits"));
    }

    #[test]
    fn what_is_taller_than_the_terminal_is_cut_until_the_end() {
        let mut redraw = Redraw::default();
        let text = "1\n2\n3\n4\n5\n6\n";
        let wide = Size { columns: 60, rows: 5 };
        let frame = redraw.frame(text, wide);
        assert!(frame.contains("3\x1b[K\n\x1b[K  ... 3 more lines: the terminal is too small"), "{frame:?}");
        assert_eq!(frame.matches('\n').count(), 4, "one row is the cursor's");
        assert!(redraw.frame(text, wide).starts_with("\x1b[4A"));
        let last = redraw.last(wide);
        assert!(last.starts_with("\x1b[4A") && last.contains("6\x1b[K\n"), "{last:?}");
        assert_eq!(Redraw::default().frame("1\n2\n3\n4\n", wide).matches('\n').count(), 4, "what fits is not cut");
    }
}
