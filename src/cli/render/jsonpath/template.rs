//! Reading a template: its texts, paths and loops.

use super::path::Path;

/// A part of a template.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Node {
    Text(String),
    Path(Path),
    Range(Path, Vec<Node>),
}

/// The parts of a template.
pub(super) fn read(text: &str) -> Result<Vec<Node>, String> {
    if !text.contains('{') && text.starts_with(['.', '$', '@', '[']) {
        return Path::without_braces(text).map(|path| vec![Node::Path(path)]);
    }
    let mut parts = Parts::default();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('{') {
        parts.text(before);
        let end = closing_brace(after)?;
        parts.braces(after[..end].trim())?;
        rest = &after[end + 1..];
    }
    parts.text(rest);
    parts.end()
}

/// Where the brace is closed: one in quotes closes nothing.
fn closing_brace(text: &str) -> Result<usize, String> {
    let mut quote = None;
    let mut is_escaped = false;
    for (at, c) in text.char_indices() {
        match quote {
            _ if is_escaped => is_escaped = false,
            _ if c == '\\' => is_escaped = true,
            Some(open) if c == open => quote = None,
            None if matches!(c, '"' | '\'') => quote = Some(c),
            None if c == '}' => return Ok(at),
            _ => {}
        }
    }
    let what = if quote.is_some() { "quote" } else { "brace" };
    Err(format!("`{{{text}` has no closing {what}"))
}

/// What was read so far.
#[derive(Default)]
struct Parts {
    nodes: Vec<Node>,
    open: Vec<Loop>,
}

/// A loop that is not closed yet: what it is over, how it was written, and the parts before it.
struct Loop {
    over: Path,
    written: String,
    before: Vec<Node>,
}

impl Parts {
    fn text(&mut self, text: &str) {
        if !text.is_empty() {
            self.nodes.push(Node::Text(text.to_owned()));
        }
    }

    fn braces(&mut self, inner: &str) -> Result<(), String> {
        if inner == "end" {
            let Loop { over, before, .. } = self.open.pop().ok_or("{end} without a {range ...}")?;
            let looped = std::mem::replace(&mut self.nodes, before);
            self.nodes.push(Node::Range(over, looped));
        } else if let Some(over) = inner.strip_prefix("range ") {
            let before = std::mem::take(&mut self.nodes);
            self.open.push(Loop { over: Path::without_braces(over)?, written: inner.to_owned(), before });
        } else if inner.starts_with(['"', '\'']) {
            self.text(&unquoted(inner));
        } else {
            self.nodes.push(Node::Path(Path::without_braces(inner)?));
        }
        Ok(())
    }

    fn end(mut self) -> Result<Vec<Node>, String> {
        match self.open.pop() {
            Some(Loop { written, .. }) => Err(format!("{{{written}}} has no {{end}}")),
            None => Ok(self.nodes),
        }
    }
}

/// A text without its quotes, and with the characters that are meant by `\n`, `\t` and the like.
fn unquoted(text: &str) -> String {
    let mut out = String::new();
    let mut chars = text.chars().skip(1).take(text.chars().count().saturating_sub(2));
    while let Some(c) = chars.next() {
        let meant = if c == '\\' { chars.next() } else { None };
        out.push(match meant {
            Some('n') => '\n',
            Some('t') => '\t',
            Some('r') => '\r',
            Some(other) => other,
            None => c,
        });
    }
    out
}
