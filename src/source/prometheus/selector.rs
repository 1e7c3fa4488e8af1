//! PromQL series selectors, as far as matchers can be added to them: `name{matchers}`.

use std::fmt;

/// Why a text is not a plain series selector.
#[derive(Clone, Debug, thiserror::Error, PartialEq, Eq)]
#[error(
    "`{0}` is not a series selector; write name{{label=\"value\"}} without functions, ranges or offsets: Glidepath computes the increments"
)]
pub struct SelectorError(pub String);

/// A series selector.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Selector {
    name: String,
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
        let plain = matchers.iter().all(|matcher| is_matcher(matcher));
        if !is_name(name) || !plain || (name.is_empty() && matchers.is_empty()) {
            return Err(wrong());
        }
        Ok(Selector { name: name.to_owned(), matchers })
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

/// Parts between commas outside of strings; `None` when a string does not end or a brace is outside of one.
fn split_matchers(inner: &str) -> Option<Vec<String>> {
    let (mut parts, mut part, mut quote, mut escape) = (Vec::new(), String::new(), None, false);
    for letter in inner.chars() {
        match quote {
            Some(_) if escape => escape = false,
            Some('"' | '\'') if letter == '\\' => escape = true,
            Some(open) if letter == open => quote = None,
            Some(_) => {}
            None if matches!(letter, '"' | '\'' | '`') => quote = Some(letter),
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

fn is_matcher(text: &str) -> bool {
    let Some(at) = text.find(['=', '!']) else { return false };
    let (label, rest) = text.split_at(at);
    let value =
        ["=~", "!~", "!=", "="].iter().find_map(|operator| rest.strip_prefix(operator)).unwrap_or_default().trim();
    let quoted =
        ['"', '\'', '`'].iter().any(|quote| value.len() >= 2 && value.starts_with(*quote) && value.ends_with(*quote));
    let label = label.trim();
    !label.is_empty() && is_name(label) && quoted
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
        ] {
            assert!(Selector::parse(text).is_err(), "{text}");
        }
    }
}
