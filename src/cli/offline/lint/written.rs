//! A number as the file writes it: `1.10` is read as 1.1, and searching the file for that finds nothing.

use crate::yaml::Position;

/// The lines of a text, found from the one before: a file may have millions, and thousands of findings.
pub(super) struct LinesOf<'a> {
    text: &'a str,
    rest: &'a str,
    /// The number of the first line of `rest`, from 1.
    line: usize,
}

impl<'a> LinesOf<'a> {
    /// From the beginning.
    pub fn new(text: &'a str) -> LinesOf<'a> {
        LinesOf { text, rest: text, line: 1 }
    }

    /// The whole text.
    pub fn text(&self) -> &'a str {
        self.text
    }

    fn get(&mut self, line: usize) -> Option<&'a str> {
        if line < self.line {
            *self = LinesOf::new(self.text);
        }
        while self.line < line {
            self.rest = self.rest.split_once('\n')?.1;
            self.line += 1;
        }
        self.rest.lines().next()
    }
}

/// The message with its last number as it is written at this place.
pub(super) fn as_written(message: String, lines: &mut LinesOf<'_>, at: Position, path: &str) -> String {
    const BEFORE: &str = "got ";
    let Some((head, read)) = message.rsplit_once(BEFORE) else { return message };
    match lines.get(at.line).and_then(|line| scalar(line, at, path)) {
        Some(written) if is_same_number(read, written) => format!("{head}{BEFORE}{written}"),
        _ => message,
    }
}

fn is_same_number(read: &str, written: &str) -> bool {
    matches!((read.parse::<f64>(), written.parse::<f64>()), (Ok(read), Ok(written)) if read == written)
}

/// The plain scalar of the field at this position: after its key, or as a list item.
fn scalar<'a>(line: &'a str, at: Position, path: &str) -> Option<&'a str> {
    let (start, _) = line.char_indices().nth(at.column.checked_sub(1)?)?;
    let rest = &line[start..];
    let value = if path.ends_with(']') { rest } else { rest.split_once(": ")?.1.trim_start() };
    let end = value.find([',', '}', ']', ' ', '\t']).unwrap_or(value.len());
    Some(&value[..end])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_found_in_any_order() {
        let mut lines = LinesOf::new("a\r\nb\n\nd");
        let order = [1, 3, 2, 2, 4, 1, 5, 9, 4];
        let found = order.map(|line| lines.get(line).unwrap_or_default());
        assert_eq!(found, ["a", "", "b", "b", "d", "a", "", "", "d"]);
    }

    #[test]
    fn a_number_is_shown_as_it_is_written() {
        let text = "a: {version: 1.10, big: 8.4e6}\nargs: [1, 2.50]\nplain: 1e3 # why\n";
        for (line, column, path, read, shown) in [
            (1, 5, "a.version", "1.1", "1.10"),
            (1, 20, "a.big", "8400000.0", "8.4e6"),
            (2, 11, "args[1]", "2.5", "2.50"),
            (3, 1, "plain", "1000.0", "1e3"),
            (3, 1, "plain", "7", "7"),
            (9, 1, "nowhere", "7", "7"),
            (1, 5, "a.version", "a list", "a list"),
        ] {
            let at = Position { line, column };
            let said = as_written(format!("must be a string, got {read}"), &mut LinesOf::new(text), at, path);
            assert_eq!(said, format!("must be a string, got {shown}"), "{path}");
        }
        let other = "is missing".to_owned();
        assert_eq!(as_written(other.clone(), &mut LinesOf::new(text), Position { line: 1, column: 1 }, "a"), other);
    }
}
