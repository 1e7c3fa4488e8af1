//! kubectl's paths in the notation of RFC 9535: `.metadata.labels.app\.io/name` is `$['metadata']['labels']['app.io/name']`.

use std::cmp::Ordering;

use jsonpath_rust::{
    parser::{model::JpQuery, parse_json_path},
    query::js_path_process,
};
use serde_json::Value;

/// A path, from the object itself or, in a loop, from the item it is at.
#[derive(Clone, Debug, PartialEq)]
pub struct Path {
    from_root: bool,
    query: JpQuery,
}

impl Path {
    /// Reads `.metadata.name`, with or without braces.
    pub fn read(text: &str) -> Result<Path, String> {
        let text = text.trim();
        let inner = text.strip_prefix('{').and_then(|text| text.strip_suffix('}')).unwrap_or(text);
        Path::without_braces(inner)
    }

    /// Reads a path without braces.
    pub(super) fn without_braces(text: &str) -> Result<Path, String> {
        let text = text.trim();
        if text.is_empty() {
            return Err("a path in braces is empty; write for example {.metadata.name}".into());
        }
        let (from_root, segments) = match text.strip_prefix('$') {
            Some(rest) => (true, rest),
            None => (false, text.strip_prefix('@').unwrap_or(text)),
        };
        let translated = format!("${}", segments_of(segments)?);
        let query = parse_json_path(&translated)
            .map_err(|_| format!("`{text}` is not a path; write for example {{.metadata.name}}"))?;
        Ok(Path { from_root, query })
    }

    /// What is there.
    pub(super) fn find<'v>(&self, root: &'v Value, at: &'v Value) -> Vec<&'v Value> {
        let from = if self.from_root { root } else { at };
        let found = js_path_process(&self.query, from).unwrap_or_default();
        found.into_iter().map(|found| found.val()).collect()
    }

    /// Which of two objects comes first by what is there: numbers by value, texts by letter, nothing before something.
    pub fn order(&self, a: &Value, b: &Value) -> Ordering {
        let (a, b) = (self.find(a, a).first().copied(), self.find(b, b).first().copied());
        match (a.and_then(Value::as_f64), b.and_then(Value::as_f64)) {
            (Some(a), Some(b)) => a.total_cmp(&b),
            _ => a.map(shown).cmp(&b.map(shown)),
        }
    }
}

/// Texts without quotes, everything else as JSON.
pub(super) fn shown(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

fn segments_of(text: &str) -> Result<String, String> {
    let mut out = String::new();
    let mut rest = text;
    while !rest.is_empty() {
        if let Some(after) = rest.strip_prefix('[') {
            let end = closing_bracket(after).ok_or_else(|| format!("`{text}` has no closing bracket"))?;
            out.push_str(&format!("[{}]", bracketed(&after[..end])?));
            rest = &after[end + 1..];
            continue;
        }
        let (dots, after) = match rest.strip_prefix("..") {
            Some(after) => ("..", after),
            None => ("", rest.strip_prefix('.').unwrap_or(rest)),
        };
        let (name, after) = member(after);
        match name.as_str() {
            "" if after.is_empty() && dots.is_empty() => {}
            "" if after.starts_with('[') => out.push_str(dots),
            "" => return Err(format!("`{text}` is not a path: a name is missing")),
            "*" => out.push_str(&format!("{dots}[*]")),
            name => out.push_str(&format!("{dots}['{}']", name.replace('\\', "\\\\").replace('\'', "\\'"))),
        }
        rest = after;
    }
    Ok(out)
}

/// A name up to the next dot or bracket; `\.` is a dot in it.
fn member(text: &str) -> (String, &str) {
    let mut name = String::new();
    let mut chars = text.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '.' | '[' => return (name, &text[at..]),
            '\\' => name.extend(chars.next().map(|(_, c)| c)),
            c => name.push(c),
        }
    }
    (name, "")
}

/// Where a bracket is closed: one in quotes or of an inner pair closes nothing.
fn closing_bracket(text: &str) -> Option<usize> {
    let mut quote = None;
    let mut depth = 0;
    for (at, c) in text.char_indices() {
        match (quote, c) {
            (Some(open), c) if c == open => quote = None,
            (None, '"' | '\'') => quote = Some(c),
            (None, '[') => depth += 1,
            (None, ']') if depth == 0 => return Some(at),
            (None, ']') => depth -= 1,
            _ => {}
        }
    }
    None
}

/// The inside of brackets: the paths of a filter are translated too, and `\.` in a quoted name is a dot.
fn bracketed(text: &str) -> Result<String, String> {
    let mut out = String::new();
    let mut quote = None;
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        let mut length = c.len_utf8();
        match (quote, c) {
            (None, '@') => {
                let path = &rest[1..];
                let end = path.find(|c: char| c.is_whitespace() || "=!<>&|)".contains(c)).unwrap_or(path.len());
                out.push_str(&format!("@{}", segments_of(&path[..end])?));
                length += end;
            }
            (Some(_), '\\') if rest.starts_with("\\.") => {}
            (Some(open), c) if c == open => {
                quote = None;
                out.push(c);
            }
            (None, '"' | '\'') => {
                quote = Some(c);
                out.push(c);
            }
            (_, c) => out.push(c),
        }
        rest = &rest[length..];
    }
    Ok(out)
}
