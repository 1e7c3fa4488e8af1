//! Headers for the Prometheus that a command line names: its tenant, and the lines of a file, which may hold secrets.

use reqwest::header::{HeaderMap, HeaderName, HeaderValue};

use crate::api::analysis::{Header, SecretKeyRef};

/// The header that names a tenant of Mimir and Cortex.
pub const TENANT: &str = "x-scope-orgid";
/// The most lines that are read.
const MOST_LINES: usize = 100;

/// The headers of a file, `NAME: VALUE` on each line. Empty lines and those that begin with `#` say nothing. An error names the
/// line and never its value.
pub fn of_lines(text: &str) -> Result<HeaderMap, String> {
    let mut map = HeaderMap::new();
    for (index, line) in text.lines().enumerate() {
        let wrong = |why: &str| format!("line {}: {why}", index + 1);
        if index >= MOST_LINES {
            return Err(format!("it has more than {MOST_LINES} lines"));
        }
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let (name, value) = line.split_once(':').ok_or_else(|| wrong("write NAME: VALUE"))?;
        let (name, value) = named(name.trim(), value.trim()).map_err(|why| wrong(&why))?;
        if map.insert(name, value).is_some() {
            return Err(wrong("the header is set twice"));
        }
    }
    Ok(map)
}

/// A tenant as the value of its header.
pub fn tenant(name: &str) -> Result<HeaderValue, &'static str> {
    let value = HeaderValue::from_str(name).ok().filter(|value| !value.is_empty());
    value.ok_or("must be one line of text")
}

/// As a header of a Rollout whose value is in a Secret.
fn named(name: &str, value: &str) -> Result<(HeaderName, HeaderValue), String> {
    let hidden = SecretKeyRef { name: String::new(), key: None };
    let header = Header { name: name.to_owned(), value: None, secret_ref: Some(hidden) };
    if let Some((_, problem)) = Header::problems(&[header]).first() {
        return Err(problem.clone());
    }
    let name = HeaderName::from_bytes(name.as_bytes()).map_err(|_| "its name is not that of a header".to_owned())?;
    let value = HeaderValue::from_str(value).ok().filter(|value| !value.is_empty());
    let mut value = value.ok_or("its value is not one of a header")?;
    value.set_sensitive(true);
    Ok((name, value))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_headers() {
        let map = of_lines("# of our gateway\nX-Team: shop\n\nAuthorization: Basic aHVudGVyMg==\r\n").unwrap();
        assert!(map.len() == 2 && map["x-team"] == "shop" && map["authorization"] == "Basic aHVudGVyMg==", "{map:?}");
        assert!(!format!("{map:?}").contains("aHVudGVyMg"));
    }

    #[test]
    fn what_is_no_header_is_refused_without_its_value() {
        for (text, words) in [
            ("X-Team hunter2", "line 1: write NAME: VALUE"),
            ("X-Team: a\nx-team: hunter2", "line 2: the header is set twice"),
            ("\nHost: hunter2", "line 2: Host cannot be set"),
            ("X Team: hunter2", "line 1: X Team is not the name of a header"),
            ("X-Team:", "line 1: its value is not one of a header"),
        ] {
            let error = of_lines(text).unwrap_err();
            assert!(error == words && !error.contains("hunter2"), "{text}: {error}");
        }
        assert_eq!(of_lines(&"\n".repeat(101)).unwrap_err(), "it has more than 100 lines");
        assert!(tenant("").is_err() && tenant("a\nb").is_err() && tenant("team-a").is_ok());
    }
}
