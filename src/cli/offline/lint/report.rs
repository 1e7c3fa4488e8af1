//! The findings, human-readable and as JSON.

use serde::Serialize;

use crate::{
    api::validate::Severity,
    cli::render::{
        fitted::LEAST,
        paint::{Paint, Tone},
        table::{UNLIMITED, wrap},
    },
    view::document::API_VERSION,
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
    /// The names of the files that were read.
    pub names: Vec<String>,
    /// How many objects of ours were checked.
    pub checked: usize,
    /// How many objects of other kinds were left alone.
    pub others: usize,
}

impl Reported {
    /// The field and what is wrong with it.
    pub fn text(&self) -> String {
        if self.path.is_empty() { self.message.clone() } else { format!("{}: {}", self.path, self.message) }
    }

    /// `file:line:column`.
    fn place(&self) -> String {
        format!("{}:{}:{}", self.file, self.line, self.column)
    }

    /// The finding on a line of its own.
    pub(super) fn line(&self) -> String {
        format!("{}  {:<7} {}", self.place(), self.severity, self.text())
    }
}

impl Report {
    /// Why files without an object of ours fail.
    pub const NOTHING: &'static str = "there is no Glidepath object in these files";

    pub(in crate::cli::offline) fn add(
        &mut self,
        file: &str,
        at: Position,
        severity: Severity,
        path: &str,
        message: String,
    ) {
        self.findings.push(Reported {
            file: file.to_owned(),
            line: at.line,
            column: at.column,
            severity: severity.as_str(),
            path: path.to_owned(),
            message,
        });
    }

    /// Whether the command failed: errors, or no object of ours that could have been checked.
    pub fn failed(&self) -> bool {
        self.errors() > 0 || self.checked == 0
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
        self.text_within(UNLIMITED, paint)
    }

    /// The same for a terminal.
    pub(super) fn text_within(&self, width: usize, paint: Paint) -> String {
        self.lines(width, paint) + &wrap(&self.summary(), 0, width)
    }

    /// One line per finding; what does not fit stands under its text, or indented where that has no room.
    pub(in crate::cli::offline) fn lines(&self, columns: usize, paint: Paint) -> String {
        let places: Vec<String> = self.findings.iter().map(Reported::place).collect();
        let width = places.iter().map(|place| place.chars().count()).max().unwrap_or(0);
        let line = |(place, finding): (&String, &Reported)| {
            let tone = if finding.severity == Severity::Error.as_str() { Tone::Bad } else { Tone::Warn };
            let severity = paint.text(tone, &format!("{:<7}", finding.severity));
            let (text, at) = (finding.text(), width + "  warning ".len());
            if at + text.chars().count() <= columns {
                format!("{place:<width$}  {severity} {text}\n")
            } else if at + LEAST <= columns {
                format!("{place:<width$}  {severity} {}", wrap(&text, at, columns).trim_start())
            } else {
                format!("{place}  {severity}\n{}", wrap(&text, 4, columns))
            }
        };
        places.iter().zip(&self.findings).map(line).collect()
    }

    /// How many errors and warnings there are in how many files.
    pub(super) fn summary(&self) -> String {
        let mut text = format!(
            "{}, {} in {}",
            counted(self.errors(), "error"),
            counted(self.count(Severity::Warning), "warning"),
            counted(self.names.len(), "file")
        );
        match self.others {
            0 => {}
            others => {
                text +=
                    &format!("; {} of other kinds, checked only where a Rollout names them", counted(others, "object"))
            }
        }
        if self.checked == 0 {
            text += &format!("; {}", Report::NOTHING);
        }
        text
    }

    /// The report for scripts; docs/json.md describes it.
    pub fn json(&self) -> serde_json::Value {
        serde_json::json!({
            "apiVersion": API_VERSION,
            "kind": "LintReport",
            "errors": self.errors(),
            "warnings": self.count(Severity::Warning),
            "files": self.names.len(),
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::render::screen::at_widths;

    #[test]
    fn findings_fit_the_terminal() {
        let mut report = Report { names: vec!["web.yaml".into()], checked: 2, others: 3, ..Report::default() };
        let at = |line, column| Position { line, column };
        let long = "unknown field `stableService`; in Glidepath it is spec.services.stable, which names the Service of \
                    the stable version";
        report.add("web.yaml", at(7, 5), Severity::Error, "spec.strategy.canary.stableService", long.into());
        report.add("web.yaml", at(120, 11), Severity::Warning, "spec.analysis", "no step observes it".into());
        let text = |width| report.text_within(width, Paint { on: false });
        for width in [60, 80, 120] {
            assert!(text(width).lines().all(|line| line.chars().count() <= width), "{}", text(width));
        }
        insta::assert_snapshot!("report", at_widths(text));
    }
}
