//! A number as the file writes it: `1.10` is read as 1.1, and whoever searches the file for that does not find it.

use crate::yaml::Position;

/// The message with its last number as it is written at this place.
pub(super) fn as_written(message: String, text: &str, at: Position, path: &str) -> String {
    const BEFORE: &str = "this is ";
    let Some((head, read)) = message.rsplit_once(BEFORE) else { return message };
    match scalar(text, at, path) {
        Some(written) if is_same_number(read, written) => format!("{head}{BEFORE}{written}"),
        _ => message,
    }
}

fn is_same_number(read: &str, written: &str) -> bool {
    matches!((read.parse::<f64>(), written.parse::<f64>()), (Ok(read), Ok(written)) if read == written)
}

/// The plain scalar of the field that stands here: behind its key, or in its place in a list.
fn scalar<'a>(text: &'a str, at: Position, path: &str) -> Option<&'a str> {
    let line = text.lines().nth(at.line.checked_sub(1)?)?;
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
            let said = as_written(format!("wants a text, this is {read}"), text, Position { line, column }, path);
            assert_eq!(said, format!("wants a text, this is {shown}"), "{path}");
        }
        let other = "is missing".to_owned();
        assert_eq!(as_written(other.clone(), text, Position { line: 1, column: 1 }, "a"), other);
    }
}
