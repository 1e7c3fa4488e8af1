//! The only place that reads and writes YAML.
//!
//! Files hold many documents, and messages name `file:line:column`, so each document is read twice: first for the
//! position of each field and for its limits, then by `serde_yaml` for its value. Everything is bounded ([`limits`]):
//! files are untrusted.

mod budget;
mod error;
pub mod limits;
mod parts;
mod places;
mod values;

use std::sync::{Arc, OnceLock};

use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;

pub use budget::Budget;
pub use error::{Position, YamlError};
pub use limits::{DEEPEST, Limit};

use budget::Left;
use limits::DOCUMENT_BYTES;
use parts::Part;
use places::{First, Located};

/// One document of a file.
#[derive(Clone, Debug)]
pub struct Document {
    /// What it says.
    pub value: Value,
    whole: Arc<Whole>,
    /// Which field of the whole it is; empty: all of it.
    within: String,
}

/// The text of a document, and the positions of its fields, computed on demand: most documents have no findings, and
/// all positions would take as much memory as the values.
#[derive(Debug)]
struct Whole {
    text: String,
    lines: usize,
    left: usize,
    places: OnceLock<Located>,
}

impl Whole {
    fn of(part: &Part<'_>) -> Whole {
        Whole { text: part.text.to_owned(), lines: part.lines, left: part.left, places: OnceLock::new() }
    }

    fn find(&self, path: &str) -> Position {
        let part = Part { text: &self.text, lines: self.lines, left: self.left };
        if path.is_empty() {
            return part.start();
        }
        let read = || match places::first(&part, Left::of(&Budget::default())) {
            Ok(First::Read(places)) => places,
            Ok(First::Unread) | Err(_) => Located::unknown(part.start()),
        };
        self.places.get_or_init(read).find(path)
    }
}

impl Document {
    /// The position of a field (`spec.steps[2].setWeight`); for a field that is absent, the nearest one around it.
    pub fn position(&self, path: &str) -> Position {
        let dot = if self.within.is_empty() || path.is_empty() || path.starts_with('[') { "" } else { "." };
        self.whole.find(&format!("{}{dot}{path}", self.within))
    }

    /// The entries of a list of objects in a top-level field (`kubectl get -o yaml` prints `items`) as documents of their
    /// own, which keep their places.
    pub fn into_entries(mut self, field: &str) -> Vec<Document> {
        let Some(Value::Array(values)) = self.value.get_mut(field).map(Value::take) else { return Vec::new() };
        let document = |(index, value): (usize, Value)| {
            let within = format!("{}[{index}]", join(&self.within, field));
            Document { value, whole: self.whole.clone(), within }
        };
        values.into_iter().enumerate().map(document).collect()
    }

    /// The text of a top-level or nested string field, by JSON pointer.
    pub fn text(&self, pointer: &str) -> Option<&str> {
        self.value.pointer(pointer).and_then(Value::as_str)
    }

    /// Whether it is a list of objects, as `kubectl get -o yaml` prints several.
    pub fn is_list(&self) -> bool {
        self.text("/apiVersion") == Some("v1") && self.text("/kind") == Some("List")
    }
}

/// Reads a file's documents, as the only file of a call.
pub fn read(text: &str) -> Result<Vec<Result<Document, YamlError>>, YamlError> {
    Budget::default().read(text)
}

impl Budget {
    /// Reads a file's documents. Empty ones are left out, a broken one does not hide the others, and past the bounds of the
    /// call nothing is read.
    pub fn read(&mut self, text: &str) -> Result<Vec<Result<Document, YamlError>>, YamlError> {
        self.take_bytes(text.len())?;
        let mut read = Vec::new();
        for part in parts::parts(text) {
            self.take_documents(1, part.start())?;
            let document = self.document(&part);
            if let Ok(document) = &document {
                let entries = document.value.get("items").and_then(Value::as_array).filter(|_| document.is_list());
                self.take_documents(entries.map_or(0, Vec::len), part.start())?;
            }
            read.extend(Some(document).filter(|read| !matches!(read, Ok(document) if document.value.is_null())));
        }
        Ok(read)
    }

    fn document(&mut self, part: &Part<'_>) -> Result<Document, YamlError> {
        first_reading(part, self)?;
        let mut left = Left::of(self);
        let value = values::read(part.text, &mut left).map_err(|error| syntax(part, &error));
        left.settle(self);
        Ok(Document { value: value?, whole: Arc::new(Whole::of(part)), within: String::new() })
    }
}

/// The most brackets, braces and commas of a document: its first reader holds all of a flow at once.
const FLOW_MARKS: usize = 1_000_000;
/// The most opening brackets where the first reader has not seen how deep they nest.
const UNSEEN_BRACKETS: usize = 5_000;
/// Line breaks for `serde_yaml` alone, so that it may read brackets where the first reader saw a comment.
const OTHER_BREAKS: [char; 3] = ['\u{85}', '\u{2028}', '\u{2029}'];

/// What bound the document passes, before its value is built.
fn first_reading(part: &Part<'_>, budget: &Budget) -> Result<(), YamlError> {
    let (start, bytes) = (part.start(), part.text.len());
    if bytes > DOCUMENT_BYTES {
        return Err(YamlError::Long { at: start, bytes });
    }
    let count = |marks: &[u8]| part.text.bytes().filter(|byte| marks.contains(byte)).count();
    if count(b"[{,") > FLOW_MARKS {
        return Err(YamlError::Limit { at: start, limit: Limit::Values });
    }
    let first = places::first(part, Left::of(budget))?;
    let unseen = matches!(first, First::Unread) || part.text.contains(OTHER_BREAKS);
    if unseen && count(b"[{") > UNSEEN_BRACKETS {
        let message = "is not well-formed, and has too many brackets to locate the error; check its quotes and brackets, or split it";
        return Err(YamlError::Syntax { at: start, message: message.to_owned() });
    }
    Ok(())
}

/// Reads one document as `T`, with the field's path in the error.
pub fn read_one<T: DeserializeOwned>(text: &str) -> Result<T, YamlError> {
    let documents: Result<Vec<Document>, YamlError> = read(text)?.into_iter().collect();
    let mut documents = documents?;
    if documents.len() != 1 {
        let message = format!("wanted one document, there are {}", documents.len());
        return Err(YamlError::Shape { path: ".".to_owned(), message });
    }
    typed(&documents.remove(0).value)
}

/// Turns a value into `T`, with the field's path in the error.
pub fn typed<T: DeserializeOwned>(value: &Value) -> Result<T, YamlError> {
    serde_path_to_error::deserialize(value)
        .map_err(|error| YamlError::Shape { path: error.path().to_string(), message: error.inner().to_string() })
}

/// Writes a value as one YAML document.
pub fn write<T: Serialize>(value: &T) -> Result<String, YamlError> {
    serde_yaml::to_string(value).map_err(|error| YamlError::Write(error.to_string()))
}

/// serde_yaml's message when aliases expand to more than a hundred times as many values as are written.
const REPEATED: &str = "repetition limit exceeded";

fn syntax(part: &Part<'_>, error: &serde_yaml::Error) -> YamlError {
    let said = error.to_string().replacen(REPEATED, "aliases expand to far too many values; use fewer", 1);
    let Some(place) = error.location() else {
        return YamlError::Syntax { at: part.start(), message: said };
    };
    let suffix = format!(" at line {} column {}", place.line(), place.column());
    let mut message = said.replacen(&suffix, "", 1);
    if begins_with_tab(part.text, place.line()) {
        message += "; indent with spaces, not with tabs";
    }
    YamlError::Syntax { at: part.place(place.line(), place.column()), message }
}

/// The reader's own message for a tab (`found character that cannot start any token`) is not helpful.
fn begins_with_tab(text: &str, line: usize) -> bool {
    let line = text.lines().nth(line.saturating_sub(1)).unwrap_or_default();
    line.chars().take_while(|c| c.is_whitespace()).any(|c| c == '\t')
}

/// `path.key`, or the key alone at the root.
pub fn join(path: &str, key: &str) -> String {
    if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") }
}

#[cfg(test)]
mod tests;
