//! The only place that reads and writes YAML.
//!
//! Files hold many documents, and messages name `file:line:column`, so each document is read twice: by `serde_yaml` for its
//! value and by `marked-yaml` for where each field stands. Size, depth and aliases are bounded: files come from strangers.

use std::collections::HashMap;

use marked_yaml::{LoaderOptions, Node};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;

/// The largest file that is read, in bytes. A Rollout beyond it would not fit into etcd either.
pub const MAX_BYTES: usize = 1 << 20;
/// The most documents in one file.
pub const MAX_DOCUMENTS: usize = 1000;

/// A place in a file, both counted from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Position {
    /// The line.
    pub line: usize,
    /// The column, in characters.
    pub column: usize,
}

/// Why a text is not YAML that we take.
#[derive(Debug, thiserror::Error)]
pub enum YamlError {
    /// The file is too large.
    #[error("has {0} bytes; at most {MAX_BYTES} are read")]
    TooLarge(usize),
    /// The file has too many documents.
    #[error("has more than {MAX_DOCUMENTS} documents; split the file")]
    TooMany,
    /// The text is not YAML, is nested too deeply, or repeats itself without end.
    #[error("{message}")]
    Syntax {
        /// Where the reader stopped.
        at: Position,
        /// Its words.
        message: String,
    },
    /// It is YAML, but not the object that was wanted.
    #[error("{path}: {message}")]
    Shape {
        /// The field.
        path: String,
        /// What is wrong with it.
        message: String,
    },
    /// A value that YAML cannot say.
    #[error("cannot be written as YAML: {0}")]
    Write(String),
}

impl YamlError {
    /// Where in the file it went wrong, the beginning when that is not known.
    pub fn position(&self) -> Position {
        match self {
            YamlError::Syntax { at, .. } => *at,
            _ => Position { line: 1, column: 1 },
        }
    }
}

/// One document of a file.
#[derive(Clone, Debug)]
pub struct Document {
    /// What it says.
    pub value: Value,
    start: Position,
    positions: HashMap<String, Position>,
}

impl Document {
    /// Where a field stands (`spec.steps[2].setWeight`); for a field that is absent, the nearest one around it.
    pub fn position(&self, path: &str) -> Position {
        let mut path = path;
        loop {
            if let Some(position) = self.positions.get(path) {
                return *position;
            }
            match path.rfind(['.', '[']) {
                Some(end) => path = &path[..end],
                None => return self.start,
            }
        }
    }

    /// The entries of a list of objects (`kubectl get -o yaml` prints one) as documents of their own, which keep their places.
    pub fn items(&self) -> Vec<Document> {
        self.entries("items")
    }

    /// The same for a list of objects in another top-level field.
    pub fn entries(&self, field: &str) -> Vec<Document> {
        let items = self.value.get(field).and_then(Value::as_array).into_iter().flatten();
        let document = |(index, value): (usize, &Value)| {
            let around = format!("{field}[{index}]");
            let within = |(path, at): (&String, &Position)| {
                Some((path.strip_prefix(&around)?.strip_prefix('.')?.to_owned(), *at))
            };
            let positions = self.positions.iter().filter_map(within).collect();
            Document { value: value.clone(), start: self.position(&around), positions }
        };
        items.enumerate().map(document).collect()
    }

    /// The text of a top-level or nested string field, by JSON pointer.
    pub fn text(&self, pointer: &str) -> Option<&str> {
        self.value.pointer(pointer).and_then(Value::as_str)
    }
}

/// Reads a file's documents. Empty ones are left out; a broken one does not hide the others.
pub fn read(text: &str) -> Result<Vec<Result<Document, YamlError>>, YamlError> {
    if text.len() > MAX_BYTES {
        return Err(YamlError::TooLarge(text.len()));
    }
    let parts = split(text);
    if parts.len() > MAX_DOCUMENTS {
        return Err(YamlError::TooMany);
    }
    let read = parts.into_iter().map(|part| document(&part));
    Ok(read.filter(|result| !matches!(result, Ok(document) if document.value.is_null())).collect())
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

/// Cuts a file at its document markers. A marker at the start of a line is one even inside a block scalar, so no reading is
/// needed to find it. Each part is padded with empty lines, so that its positions are the file's.
fn split(text: &str) -> Vec<String> {
    let mut parts = vec![String::new()];
    for (index, line) in text.lines().enumerate() {
        let marker = ["---", "..."].iter().find_map(|marker| line.strip_prefix(marker));
        match marker.filter(|rest| rest.is_empty() || rest.starts_with([' ', '\t'])) {
            Some(rest) => parts.push(format!("{}   {rest}\n", "\n".repeat(index))),
            None => {
                if let Some(part) = parts.last_mut() {
                    part.push_str(line);
                    part.push('\n');
                }
            }
        }
    }
    parts.retain(|part| part.lines().any(says_something));
    parts
}

fn says_something(line: &str) -> bool {
    let line = line.trim_start();
    !line.is_empty() && !line.starts_with('#') && !line.starts_with('%')
}

fn document(text: &str) -> Result<Document, YamlError> {
    let mut value: serde_yaml::Value = serde_yaml::from_str(text).map_err(|error| syntax(text, &error))?;
    value.apply_merge().map_err(|error| syntax(text, &error))?;
    if let Some((path, number)) = not_finite(&value) {
        let at = positions(text).get(&path).copied().unwrap_or_else(|| start_of(text));
        let message = format!("{path}: {number} is not a number that JSON can hold; write a finite one");
        return Err(YamlError::Syntax { at, message });
    }
    let value = serde_json::to_value(&value)
        .map_err(|_| YamlError::Syntax { at: start_of(text), message: "every key must be a text".to_owned() })?;
    Ok(Document { value, start: start_of(text), positions: positions(text) })
}

/// The first number that is infinite or none at all. JSON would turn it into a null, and the field would be absent.
fn not_finite(value: &serde_yaml::Value) -> Option<(String, String)> {
    use serde_yaml::Value as Yaml;
    let below = |step: String, child: &Yaml| {
        let (path, number) = not_finite(child)?;
        let dot = if path.is_empty() || path.starts_with('[') { "" } else { "." };
        Some((format!("{step}{dot}{path}"), number))
    };
    match value {
        Yaml::Number(number) => {
            let wrong = number.as_f64().is_some_and(|number| !number.is_finite());
            wrong.then(|| (String::new(), number.to_string()))
        }
        Yaml::Sequence(items) => items.iter().enumerate().find_map(|(index, child)| below(format!("[{index}]"), child)),
        Yaml::Mapping(fields) => {
            fields.iter().find_map(|(key, child)| below(key.as_str().unwrap_or_default().to_owned(), child))
        }
        Yaml::Tagged(tagged) => not_finite(&tagged.value),
        _ => None,
    }
}

fn syntax(text: &str, error: &serde_yaml::Error) -> YamlError {
    let place = error.location().map(|place| Position { line: place.line(), column: place.column() });
    let mut message = error.to_string();
    if let Some(place) = place {
        let suffix = format!(" at line {} column {}", place.line, place.column);
        message = message.replacen(&suffix, "", 1);
    }
    YamlError::Syntax { at: place.unwrap_or_else(|| start_of(text)), message }
}

fn start_of(text: &str) -> Position {
    let line = text.lines().position(says_something).unwrap_or(0);
    Position { line: line + 1, column: 1 }
}

/// Where each field stands. Texts that only the other reader takes (anchors, tags) have no positions below their start.
fn positions(text: &str) -> HashMap<String, Position> {
    let mut found = HashMap::new();
    let options = LoaderOptions::default().prevent_coercion(true);
    if let Ok(root) = marked_yaml::parse_yaml_with_options(0, text, options) {
        walk("", &root, &mut found);
    }
    found
}

fn walk(path: &str, node: &Node, found: &mut HashMap<String, Position>) {
    match node {
        Node::Mapping(mapping) => {
            for (key, child) in mapping.iter() {
                let path = join(path, key.as_str());
                mark(&path, key.span(), found);
                walk(&path, child, found);
            }
        }
        Node::Sequence(sequence) => {
            for (index, child) in sequence.iter().enumerate() {
                let path = format!("{path}[{index}]");
                mark(&path, item_span(child), found);
                walk(&path, child, found);
            }
        }
        Node::Scalar(_) => {}
    }
}

/// A block mapping's own span starts at its first colon; people look at its first key.
fn item_span(node: &Node) -> &marked_yaml::Span {
    let first = node.as_mapping().and_then(|mapping| mapping.keys().next()).map(|key| key.span());
    match (first, first.and_then(|span| span.start()), node.span().start()) {
        (Some(span), Some(key), Some(own)) if key.character() < own.character() => span,
        _ => node.span(),
    }
}

fn mark(path: &str, span: &marked_yaml::Span, found: &mut HashMap<String, Position>) {
    if let Some(start) = span.start() {
        found.insert(path.to_owned(), Position { line: start.line(), column: start.column() });
    }
}

/// `path.key`, or the key alone at the root.
pub fn join(path: &str, key: &str) -> String {
    if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn documents(text: &str) -> Vec<Document> {
        read(text).unwrap().into_iter().map(Result::unwrap).collect()
    }

    #[test]
    fn fields_are_found_by_line_and_column_in_every_document() {
        let text = "# first\nkind: A\n---\nkind: B\nspec:\n  steps:\n    - setWeight: 5\n    - pause: {duration: 1m}\n";
        let documents = documents(text);
        assert_eq!(documents.len(), 2);
        for (document, path, line, column) in [
            (0, "kind", 2, 1),
            (1, "kind", 4, 1),
            (1, "spec.steps", 6, 3),
            (1, "spec.steps[0].setWeight", 7, 7),
            (1, "spec.steps[1]", 8, 7),
            (1, "spec.steps[1].pause.duration", 8, 15),
            (1, "spec.steps[1].pause.absent", 8, 7),
            (1, "nowhere", 4, 1),
        ] {
            assert_eq!(documents[document].position(path), Position { line, column }, "{path}");
        }
    }

    #[test]
    fn markers_directives_and_empty_documents_make_no_documents() {
        assert_eq!(documents("%YAML 1.2\n---\na: 1\n...\n---\n# only a comment\n---\n--- {b: 2}\n").len(), 2);
        assert!(documents("").is_empty());
        assert_eq!(documents("a: |\n  ---\n  text\n").len(), 1, "an indented marker is text");
    }

    #[test]
    fn broken_documents_say_where_and_do_not_hide_others() {
        let results = read("a: 1\n---\nb: [1,\n---\nc: 3\n").unwrap();
        assert_eq!(results.iter().filter(|result| result.is_ok()).count(), 2);
        let error = results.into_iter().find_map(Result::err).unwrap();
        assert!(error.position().line >= 3, "{error:?}");
        let twice = read("a: 1\na: 2\n").unwrap().remove(0).unwrap_err();
        assert!(twice.to_string().contains("duplicate"), "{twice}");
    }

    #[test]
    fn size_depth_and_aliases_are_bounded() {
        assert!(matches!(read(&" ".repeat(MAX_BYTES + 1)), Err(YamlError::TooLarge(_))));
        assert!(matches!(read(&"---\na\n".repeat(MAX_DOCUMENTS + 1)), Err(YamlError::TooMany)));
        assert!(read(&"[".repeat(100_000)).unwrap().remove(0).is_err());
        let mut laughs = String::from("a0: &a0 [x,x,x,x,x,x,x,x,x,x]\n");
        for level in 1..12 {
            let before = level - 1;
            laughs += &format!("a{level}: &a{level} [{}]\n", vec![format!("*a{before}"); 10].join(","));
        }
        assert!(read(&laughs).unwrap().remove(0).is_err());
    }

    #[test]
    fn entries_of_a_list_keep_their_places() {
        let list = documents("kind: List\nitems:\n- kind: A\n  spec: {x: 1}\n- kind: B\n").remove(0);
        let items = list.items();
        assert_eq!(items.len(), 2);
        assert_eq!(items[0].position("spec.x"), Position { line: 4, column: 10 });
        assert_eq!((items[1].text("/kind"), items[1].position("spec").line), (Some("B"), 5));
        assert!(documents("kind: A\n").remove(0).items().is_empty());
    }

    #[test]
    fn anchors_and_merges_are_read_as_kubectl_reads_them() {
        let document = documents("base: &b {x: 1}\nuse:\n  <<: *b\n  y: 2\n").remove(0);
        assert_eq!(document.value["use"], serde_json::json!({"x": 1, "y": 2}));
        assert_eq!(document.position("use.x"), Position { line: 1, column: 1 });
    }

    #[test]
    fn wrong_shapes_name_the_field() {
        #[derive(serde::Deserialize, Debug)]
        struct Outer {
            #[expect(dead_code, reason = "only its type matters")]
            inner: Vec<u32>,
        }
        let error = read_one::<Outer>("inner: [1, x]\n").unwrap_err().to_string();
        assert!(error.starts_with("inner[1]: invalid type: string"), "{error}");
    }
}
