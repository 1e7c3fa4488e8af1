//! Cuts a file into its documents, each with the place where it begins.
//!
//! A marker at the start of a line is one even inside a block scalar, so no reading is needed to find it.

use super::error::Position;

/// The text of one document.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Part<'a> {
    pub text: &'a str,
    /// Lines of the file above it.
    pub lines: usize,
    /// Characters to the left of its first line: what follows a `---` is on the same line.
    pub left: usize,
}

impl Part<'_> {
    /// A place in the part, both numbers from 1, as a place in the file.
    pub fn place(&self, line: usize, column: usize) -> Position {
        let left = if line <= 1 { self.left } else { 0 };
        Position { line: self.lines + line, column: left + column }
    }

    /// The position of its first line with content.
    pub fn start(&self) -> Position {
        let line = self.text.lines().position(says_something).unwrap_or(0);
        Position { line: self.lines + line + 1, column: 1 }
    }
}

/// The documents that say something.
pub(super) fn parts(text: &str) -> impl Iterator<Item = Part<'_>> {
    let mut found = Vec::new();
    let mut part = Begun { from: 0, lines: 0, left: 0, says: false };
    let mut at = 0;
    for (index, line) in text.split_inclusive('\n').enumerate() {
        match after_marker(line) {
            Some(rest) => {
                found.extend(part.ended(text, at));
                let marker = line.len() - rest.len();
                part = Begun { from: at + marker, lines: index, left: marker, says: says_something(rest) };
            }
            None => part.says |= says_something(line),
        }
        at += line.len();
    }
    found.extend(part.ended(text, at));
    found.into_iter()
}

struct Begun {
    from: usize,
    lines: usize,
    left: usize,
    says: bool,
}

impl Begun {
    fn ended<'a>(&self, text: &'a str, end: usize) -> Option<Part<'a>> {
        self.says.then(|| Part { text: &text[self.from..end], lines: self.lines, left: self.left })
    }
}

/// What follows `---` or `...` on a line.
fn after_marker(line: &str) -> Option<&str> {
    let rest = line.strip_prefix("---").or_else(|| line.strip_prefix("..."))?;
    (rest.is_empty() || rest.starts_with([' ', '\t', '\r', '\n'])).then_some(rest)
}

fn says_something(line: &str) -> bool {
    let line = line.trim_start();
    !line.is_empty() && !line.starts_with('#') && !line.starts_with('%')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_say_where_they_stand() {
        let text =
            "%YAML 1.2\n---\na: 1\n...\n---\n# only a comment\n--- {b: 2}\nc: ---\n---\r\nd: |\n  ---\n--- # e\n";
        let found: Vec<(&str, Position, Position)> =
            parts(text).map(|part| (part.text, part.start(), part.place(1, 2))).collect();
        let at = |line, column| Position { line, column };
        assert_eq!(
            found,
            [
                ("\na: 1\n", at(3, 1), at(2, 5)),
                (" {b: 2}\nc: ---\n", at(7, 1), at(7, 5)),
                ("\r\nd: |\n  ---\n", at(10, 1), at(9, 5)),
            ]
        );
        assert_eq!(parts("").count(), 0);
    }
}
