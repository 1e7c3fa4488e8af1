//! PromQL series selectors, as far as matchers can be added to them: `name{matchers}`, and with the quoted names of
//! Prometheus 3: `{"http.requests", "k8s.pod.name"="x"}`.

use std::fmt;

/// What ends a string.
const QUOTES: [char; 3] = ['"', '\'', '`'];

/// Why a text is not a plain series selector.
#[derive(Clone, Debug, thiserror::Error, PartialEq, Eq)]
#[error(
    "`{0}` is not a series selector; write name{{label=\"value\"}}, or with dots {{\"name\",\"label\"=\"value\"}}, without functions, ranges or offsets: Glidepath computes the increments"
)]
pub struct SelectorError(pub String);

/// A series selector.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Selector {
    name: String,
    /// Between the braces: matchers, and the metric's name if it is quoted.
    matchers: Vec<String>,
}

impl Selector {
    /// Reads `name`, `name{...}` or `{...}`.
    pub fn parse(text: &str) -> Result<Self, SelectorError> {
        let wrong = || SelectorError(text.to_owned());
        let trimmed = text.trim();
        let (name, rest) = trimmed.split_at(trimmed.find('{').unwrap_or(trimmed.len()));
        let name = name.trim_end();
        let inner = match rest {
            "" => "",
            _ => rest.strip_prefix('{').and_then(|rest| rest.strip_suffix('}')).ok_or_else(wrong)?,
        };
        let matchers = split_matchers(inner).ok_or_else(wrong)?;
        let quoted_names = matchers.iter().filter(|part| is_quoted_name(part)).count();
        let plain = matchers.iter().all(|part| is_quoted_name(part) || is_matcher(part));
        let names = quoted_names + usize::from(!name.is_empty());
        if !is_name(name) || !plain || names > 1 || (name.is_empty() && matchers.is_empty()) {
            return Err(wrong());
        }
        Ok(Selector { name: name.to_owned(), matchers })
    }

    /// The metric's name; empty where braces alone select.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The same of the series with this ending of the name: a classic histogram's `_bucket` and `_count`.
    pub fn ending(&self, ending: &str) -> Self {
        Selector { name: format!("{}{ending}", self.name), matchers: self.matchers.clone() }
    }

    /// Adds a matcher.
    pub fn push(&mut self, matcher: &str) {
        self.matchers.push(matcher.to_owned());
    }
}

impl fmt::Display for Selector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.matchers.is_empty() {
            f.write_str(&self.name)
        } else {
            write!(f, "{}{{{}}}", self.name, self.matchers.join(","))
        }
    }
}

/// A label as PromQL names it: in quotes where it holds more than letters, digits and `_`.
pub fn label_name(label: &str) -> String {
    let plain = is_name(label) && !label.is_empty() && !label.contains(':');
    if plain { label.to_owned() } else { format!("\"{}\"", in_string(label)) }
}

/// A text as it stands between double quotes.
pub fn in_string(text: &str) -> String {
    text.replace('\\', r"\\").replace('"', r#"\""#)
}

/// Parts between commas outside of strings; `None` when a string does not end or a brace is outside of one.
fn split_matchers(inner: &str) -> Option<Vec<String>> {
    let (mut parts, mut part, mut quote, mut escape) = (Vec::new(), String::new(), None, false);
    for letter in inner.chars() {
        match quote {
            Some(_) if escape => escape = false,
            Some('"' | '\'') if letter == '\\' => escape = true,
            Some(open) if letter == open => quote = None,
            Some(_) => {}
            None if QUOTES.contains(&letter) => quote = Some(letter),
            None if matches!(letter, '{' | '}') => return None,
            None if letter == ',' => {
                parts.push(std::mem::take(&mut part));
                continue;
            }
            None => {}
        }
        part.push(letter);
    }
    if !part.trim().is_empty() {
        parts.push(part);
    }
    quote.is_none().then(|| parts.iter().map(|part| part.trim().to_owned()).collect())
}

/// `label="value"` or `"label"="value"`, with any of the four operators.
fn is_matcher(text: &str) -> bool {
    let Some(rest) = after_label(text) else { return false };
    let value = ["=~", "!~", "!=", "="].iter().find_map(|operator| rest.strip_prefix(operator)).unwrap_or_default();
    is_string(value.trim())
}

/// What stands behind the label's name.
fn after_label(text: &str) -> Option<&str> {
    if let Some(end) = string_end(text) {
        return (end > 2).then(|| text[end..].trim_start());
    }
    let (label, rest) = text.split_at(text.find(['=', '!'])?);
    let label = label.trim_end();
    (!label.is_empty() && is_name(label)).then_some(rest)
}

/// The metric's name in quotes: a string alone, and not an empty one.
fn is_quoted_name(text: &str) -> bool {
    is_string(text) && text.len() > 2
}

fn is_string(text: &str) -> bool {
    string_end(text) == Some(text.len())
}

/// Where the string ends that a text begins with.
fn string_end(text: &str) -> Option<usize> {
    let open = text.chars().next().filter(|first| QUOTES.contains(first))?;
    let mut escape = false;
    for (at, letter) in text.char_indices().skip(1) {
        match letter {
            _ if escape => escape = false,
            '\\' if open != '`' => escape = true,
            letter if letter == open => return Some(at + letter.len_utf8()),
            _ => {}
        }
    }
    None
}

fn is_name(text: &str) -> bool {
    let word = |letter: char| letter.is_ascii_alphanumeric() || matches!(letter, '_' | ':');
    text.chars().all(word) && !text.starts_with(|letter: char| letter.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn selectors_take_another_matcher() {
        for (text, extended) in [
            ("up", r#"up{pod="x"}"#),
            (r#"a:b{c="d"}"#, r#"a:b{c="d",pod="x"}"#),
            (r#"a{c=~"x{2},\"y",d!='e', }"#, r#"a{c=~"x{2},\"y",d!='e',pod="x"}"#),
            (r#"{__name__="a"}"#, r#"{__name__="a",pod="x"}"#),
            (r#"{"http.requests"}"#, r#"{"http.requests",pod="x"}"#),
            (r#"{"a=b,{", "k8s.pod.name" =~ "y"}"#, r#"{"a=b,{","k8s.pod.name" =~ "y",pod="x"}"#),
            (r#"a{"label.with=dots"!="b"}"#, r#"a{"label.with=dots"!="b",pod="x"}"#),
            (r#"{code='5',"http.\"x\""}"#, r#"{code='5',"http.\"x\"",pod="x"}"#),
        ] {
            let mut selector = Selector::parse(text).unwrap();
            selector.push(r#"pod="x""#);
            assert_eq!(selector.to_string(), extended);
        }
    }

    #[test]
    fn anything_more_than_a_selector_is_refused() {
        for text in [
            "",
            "{}",
            "rate(a[1m])",
            "a[5m]",
            "a offset 5m",
            "a{b=\"c\"} + b",
            "a{b=\"c}",
            "a{b}",
            "1a",
            "a{b=\"c\"}[5m]",
            "a or b",
            "a{b=\"c\"} or a{d=\"e\"}",
            "http.requests{a=\"b\"}",
            "a{\"b\"}",
            "{\"a\",\"b\"}",
            "{\"\"}",
            "{\"\"=\"a\"}",
            "{\"a\"b=\"c\"}",
            "{\"a\" or \"b\"}",
            "{\"a\"=b}",
            "{a=\"b\" or c=\"d\"}",
        ] {
            assert!(Selector::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn labels_are_quoted_where_they_have_to_be() {
        for (label, name) in [("pod", "pod"), ("k8s.pod.name", r#""k8s.pod.name""#), ("a\"b\\", r#""a\"b\\""#)] {
            assert_eq!(label_name(label), name);
        }
    }
}
