//! Text of strangers, made safe to show.

use std::borrow::Cow;

use super::paint;

/// The text with whatever could steer a terminal, or turn around what is read, written out (`\\u001b`, which JSON and quoted
/// YAML read back). Files, clusters and servers say what strangers wrote; only the colours of our own [`Paint`](paint::Paint)
/// stay.
pub fn printable(text: &str) -> Cow<'_, str> {
    if !text.chars().any(steers) && !paint::is_painted(text) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len() + 16);
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        let length = match paint::code_at(rest) {
            Some((code, length)) => {
                out.push_str(code);
                length
            }
            None if steers(c) => {
                out.push_str(&format!("\\u{:04x}", u32::from(c)));
                c.len_utf8()
            }
            None => {
                out.push(c);
                c.len_utf8()
            }
        };
        rest = rest.get(length..).unwrap_or_default();
    }
    Cow::Owned(out)
}

/// The text on one line, for a table, a log or a headline: strangers write several.
pub fn one_line(text: &str) -> Cow<'_, str> {
    if !text.contains(['\n', '\r', '\t']) {
        return Cow::Borrowed(text);
    }
    Cow::Owned(text.split_whitespace().collect::<Vec<_>>().join(" "))
}

/// Control characters, and those that change the direction or the end of a line.
fn steers(c: char) -> bool {
    let turns = matches!(c, '\u{061c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}');
    turns || c.is_control() && c != '\n' && c != '\t'
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_of_several_lines_is_put_on_one() {
        assert_eq!(one_line("load test\r\n\tok"), "load test ok");
        assert_eq!(one_line("two  blanks"), "two  blanks");
    }

    // L1.
    #[test]
    fn l1_nothing_that_a_file_says_steers_the_terminal() {
        for (text, shown) in [
            ("plain\n\twörds █", "plain\n\twörds █"),
            ("a\u{1b}]0;title\u{7}b", "a\\u001b]0;title\\u0007b"),
            ("\u{1b}[2J\r\u{9b}1m\u{7f}", "\\u001b[2J\\u000d\\u009b1m\\u007f"),
            ("abc\u{202e}cba\u{2066}", "abc\\u202ecba\\u2066"),
        ] {
            assert_eq!(printable(text), shown, "{text:?}");
        }
        let json = serde_json::json!("a\u{7f}\u{202e}\u{1b}").to_string();
        assert_eq!(
            serde_json::from_str::<serde_json::Value>(&printable(&json)).unwrap(),
            "a\u{7f}\u{202e}\u{1b}",
            "scripts read the same"
        );
    }
}
