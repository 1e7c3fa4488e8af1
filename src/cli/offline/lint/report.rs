//! The findings, human-readable and as JSON.

use serde::Serialize;

use crate::{
    api::validate::Severity,
    cli::render::paint::{Paint, Tone},
    yaml::Position,
};

/// One finding with its place.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Reported {
    /// The file, as it was named.
    pub file: String,
    /// The line, from 1.
    pub line: usize,
    /// The column, from 1.
    pub column: usize,
    /// `error` or `warning`.
    pub severity: &'static str,
    /// The field; empty for a file that cannot be read.
    pub path: String,
    /// What is wrong and what to do.
    pub message: String,
}

/// The findings of one run.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// The findings, by file, line and column.
    pub findings: Vec<Reported>,
    /// How many files were read.
    pub files: usize,
    /// How many objects of ours were checked.
    pub checked: usize,
    /// How many objects of other kinds were left alone.
    pub others: usize,
}

impl Report {
    pub(super) fn add(&mut self, file: &str, at: Position, severity: Severity, path: &str, message: String) {
        self.findings.push(Reported {
            file: file.to_owned(),
            line: at.line,
            column: at.column,
            severity: severity.as_str(),
            path: path.to_owned(),
            message,
        });
    }

    /// Whether the command failed: errors, or nothing at all that could have been checked.
    pub fn failed(&self) -> bool {
        self.errors() > 0 || self.checked + self.others == 0
    }

    /// How many findings are errors.
    pub fn errors(&self) -> usize {
        self.count(Severity::Error)
    }

    fn count(&self, severity: Severity) -> usize {
        self.findings.iter().filter(|finding| finding.severity == severity.as_str()).count()
    }

    /// One line per finding, `file:line:column severity path: message`, and a summary.
    pub fn text(&self, paint: Paint) -> String {
        let places: Vec<String> = self.findings.iter().map(|f| format!("{}:{}:{}", f.file, f.line, f.column)).collect();
        let width = places.iter().map(|place| place.chars().count()).max().unwrap_or(0);
        let mut text = String::new();
        for (place, finding) in places.iter().zip(&self.findings) {
            let tone = if finding.severity == Severity::Error.as_str() { Tone::Bad } else { Tone::Warn };
            let severity = paint.text(tone, &format!("{:<7}", finding.severity));
            let path = if finding.path.is_empty() { String::new() } else { format!("{}: ", finding.path) };
            text += &format!("{place:<width$}  {severity} {path}{}\n", finding.message);
        }
        text + &self.summary() + "\n"
    }

    fn summary(&self) -> String {
        let mut text = format!(
            "{}, {} in {}",
            counted(self.errors(), "error"),
            counted(self.count(Severity::Warning), "warning"),
            counted(self.files, "file")
        );
        match self.others {
            0 => {}
            others => text += &format!("; {} of other kinds not checked", counted(others, "object")),
        }
        if self.checked == 0 {
            text += "; there is no Glidepath object in these files";
        }
        text
    }

    /// `{"errors": .., "warnings": .., "findings": [..]}`.
    pub fn json(&self) -> serde_json::Value {
        serde_json::json!({
            "errors": self.errors(),
            "warnings": self.count(Severity::Warning),
            "files": self.files,
            "checked": self.checked,
            "otherKinds": self.others,
            "findings": self.findings,
        })
    }
}

/// `1 error`, `2 errors`, `no errors` is `0 errors`.
fn counted(count: usize, what: &str) -> String {
    if count == 1 { format!("1 {what}") } else { format!("{count} {what}s") }
}
