//! Why a text is not readable as YAML, in words: which line is indented wrongly, or which bracket is not closed.
//!
//! The parser says where it stopped and what it wanted there (`did not find expected key`). Who wrote the file wants to know
//! which line does not belong to the lines above it.

use crate::yaml::YamlError;

/// The parser's messages behind which a wrong indentation may stand.
const BLOCK: [&str; 4] = [
    "did not find expected key",
    "did not find expected '-' indicator",
    "mapping values are not allowed",
    "block sequence entries are not allowed",
];
/// The same for an open bracket.
const FLOW: &str = "did not find expected ',' or ";

/// What is said of a file, or of a document in it, that cannot be read.
pub(in crate::cli) fn explained(text: &str, error: &YamlError) -> String {
    let said = error.to_string();
    let words = match error {
        YamlError::Syntax { at, .. } => Place::new(text, at.line).and_then(|place| place.words(&said)),
        _ => None,
    };
    format!("not readable as YAML: {}", words.unwrap_or(said))
}

/// The lines of a document up to the one where the parser stopped.
struct Place<'a> {
    /// Lines of the file above the document.
    above: usize,
    before: Vec<Row<'a>>,
    stopped: Row<'a>,
}

/// A line with content. Columns count from 0, lines of the file from 1.
#[derive(Clone, Copy)]
struct Row<'a> {
    line: usize,
    column: usize,
    text: &'a str,
}

/// Fields or entries that begin in one column.
#[derive(Clone, Copy)]
struct Level<'a> {
    column: usize,
    entries: bool,
    /// The last line in it.
    row: Row<'a>,
}

impl<'a> Place<'a> {
    fn new(text: &'a str, line: usize) -> Option<Place<'a>> {
        let lines: Vec<&str> = text.lines().take(line).collect();
        let is_marker = |line: &&str| line.starts_with("---") || line.starts_with("...");
        let above = lines.iter().take(line.saturating_sub(1)).rposition(is_marker).unwrap_or(0);
        let stopped = Row::new(line, lines.get(line.checked_sub(1)?)?)?;
        let first = above + usize::from(lines.get(above).is_some_and(is_marker));
        let rows = lines.iter().enumerate().skip(first).take(line.saturating_sub(1 + first));
        let before = rows.filter_map(|(index, line)| Row::new(index + 1, line)).collect();
        Some(Place { above, before, stopped })
    }

    fn words(&self, said: &str) -> Option<String> {
        if said.starts_with(FLOW) {
            return self.open_bracket(said);
        }
        if !BLOCK.iter().any(|message| said.starts_with(message)) || said.contains("not with tabs") {
            return None;
        }
        if self.is_first() {
            return None;
        }
        if self.stopped.is_entry() { self.entry() } else { self.beside_a_value().or_else(|| self.field()) }
    }

    /// `..., while parsing a flow sequence at line 2 column 7`, counted from the beginning of the document.
    fn open_bracket(&self, said: &str) -> Option<String> {
        let (_, opened) = said.rsplit_once("while parsing a flow ")?;
        let bracket = if opened.starts_with("mapping") { '{' } else { '[' };
        let (line, column) = opened.rsplit_once(" at line ")?.1.split_once(" column ")?;
        let line = self.above + line.parse::<usize>().ok()?;
        Some(format!(
            "the `{bracket}` in line {line}, column {column} is not closed before this; close it, or separate its entries with commas"
        ))
    }

    /// Whether the line is the first of a value, which may begin in any column right of its key.
    fn is_first(&self) -> bool {
        let key = self.before.last().map(Row::content).filter(|row| row.value() == Some(""));
        key.is_some_and(|key| self.stopped.column >= key.column)
    }

    /// An entry of a list that no list has at its column.
    fn entry(&self) -> Option<String> {
        let levels = self.levels();
        let entry = &self.stopped;
        let list = levels.iter().rfind(|level| level.entries)?;
        if levels.iter().any(|level| level.entries && level.column == entry.column) {
            return None;
        }
        let side = if entry.column < list.column { "left" } else { "right" };
        Some(format!(
            "`{}` stands further {side} than the list it belongs to: its entry in line {} begins in column {}, this one in column {}",
            entry.name(),
            list.row.line,
            list.column + 1,
            entry.column + 1
        ))
    }

    /// A field below one that has its value on its own line.
    fn beside_a_value(&self) -> Option<String> {
        let above = self.before.last()?.content();
        let has_value =
            above.value().is_some_and(|value| !value.is_empty() && !value.starts_with(['#', '|', '>', '&']));
        (has_value && self.stopped.column > above.column).then(|| {
            format!(
                "`{}` stands further right than `{}` in line {}, which has a value already; begin both in the same column",
                self.stopped.name(),
                above.name(),
                above.line
            )
        })
    }

    /// A field at a column where no fields are.
    fn field(&self) -> Option<String> {
        let levels = self.levels();
        let column = self.stopped.column;
        let fields = || levels.iter().filter(|level| !level.entries);
        if fields().any(|level| level.column == column) {
            return None;
        }
        let around = [fields().rfind(|level| level.column < column), fields().find(|level| level.column > column)];
        let shown = |level: &Level<'_>| {
            format!("column {} (`{}` in line {})", level.column + 1, level.row.name(), level.row.line)
        };
        let around: Vec<String> = around.into_iter().flatten().map(shown).collect();
        (!around.is_empty()).then(|| {
            format!(
                "`{}` begins in column {}, and the fields around it in {}",
                self.stopped.name(),
                column + 1,
                around.join(" or ")
            )
        })
    }

    /// The levels that are open where the parser stopped, the outermost first.
    fn levels(&self) -> Vec<Level<'a>> {
        let mut levels: Vec<Level<'a>> = Vec::new();
        for row in &self.before {
            close(&mut levels, row.column, row.is_entry());
            open(&mut levels, *row, row.is_entry());
            let mut inner = *row;
            while inner.is_entry() {
                inner = inner.inside();
                open(&mut levels, inner, inner.is_entry());
            }
        }
        levels
    }
}

fn close(levels: &mut Vec<Level<'_>>, column: usize, entries: bool) {
    // A list may stand in the column of the field that holds it.
    let ended = |level: &Level<'_>| level.column > column || level.column == column && level.entries && !entries;
    while levels.last().is_some_and(ended) {
        levels.pop();
    }
}

fn open<'a>(levels: &mut Vec<Level<'a>>, row: Row<'a>, entries: bool) {
    match levels.last_mut() {
        Some(level) if level.column == row.column && level.entries == entries => level.row = row,
        _ => levels.push(Level { column: row.column, entries, row }),
    }
}

impl<'a> Row<'a> {
    fn new(line: usize, text: &'a str) -> Option<Row<'a>> {
        let content = text.trim_start();
        let says = !content.is_empty() && !content.starts_with('#');
        says.then(|| Row { line, column: text.chars().count() - content.chars().count(), text: content.trim_end() })
    }

    fn is_entry(&self) -> bool {
        self.text == "-" || self.text.starts_with("- ")
    }

    /// What follows the dash.
    fn inside(&self) -> Row<'a> {
        let rest = self.text.strip_prefix('-').unwrap_or(self.text).trim_start();
        Row { column: self.column + self.text.chars().count() - rest.chars().count(), text: rest, ..*self }
    }

    /// What follows all dashes.
    fn content(&self) -> Row<'a> {
        let mut row = *self;
        while row.is_entry() {
            row = row.inside();
        }
        row
    }

    /// The text after the key.
    fn value(&self) -> Option<&'a str> {
        let (_, value) = self.text.split_once(':')?;
        (value.is_empty() || value.starts_with(' ')).then(|| value.trim())
    }

    /// `steps`, or `- pause`.
    fn name(&self) -> String {
        let dash = if self.is_entry() { "- " } else { "" };
        let content = self.content().text;
        let key = content.split_once(':').map_or(content, |(key, _)| key);
        format!("{dash}{}", key.chars().take(40).collect::<String>())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::yaml;

    const HEAD: &str = "# ours\n---\nkind: Rollout\nspec:\n";

    fn said(text: &str) -> String {
        let text = format!("{HEAD}{text}");
        let error = match yaml::read(&text) {
            Ok(documents) => documents.into_iter().find_map(Result::err).unwrap(),
            Err(error) => error,
        };
        explained(&text, &error)
    }

    #[test]
    fn a_wrong_indentation_is_explained_in_words() {
        for (text, words) in [
            (
                "  canary:\n    steps:\n      - setWeight: 5\n    - pause: {}\n",
                "`- pause` stands further left than the list it belongs to: its entry in line 7 begins in column 7, this one in column 5",
            ),
            (
                "  canary:\n    steps:\n    - setWeight: 5\n\n      # a comment\n      - pause: {}\n",
                "`- pause` stands further right than the list it belongs to: its entry in line 7 begins in column 5, this one in column 7",
            ),
            (
                "  canary:\n    steps: []\n   analysis: {}\n",
                "`analysis` begins in column 4, and the fields around it in column 3 (`canary` in line 5) or column 5 (`steps` in line 6)",
            ),
            (
                "  canary:\n    maxSurge: 1\n      steps:\n        - pause: {}\n",
                "`steps` stands further right than `maxSurge` in line 6, which has a value already; begin both in the same column",
            ),
            (
                "  steps: [{setWeight: 5}\n  replicas: 4\n",
                "the `[` in line 5, column 10 is not closed before this; close it, or separate its entries with commas",
            ),
            (
                "  steps:\n    - pause: {duration: 5m\n    - setWeight: 5\n",
                "the `{` in line 6, column 14 is not closed before this",
            ),
        ] {
            let said = said(text);
            assert!(said.starts_with(&format!("not readable as YAML: {words}")), "{text}\n{said}");
        }
    }

    #[test]
    fn what_is_no_matter_of_indentation_keeps_the_message_of_the_parser() {
        for (text, words) in [
            ("  a: \"b\n", "found unexpected end of stream"),
            ("  a: 'it's'\n", "did not find expected key"),
            ("  a: b: c\n", "mapping values are not allowed in this context"),
            ("\treplicas: 4\n", "found character that cannot start any token"),
        ] {
            let said = said(text);
            assert!(said.contains(words), "{text}\n{said}");
        }
    }
}
