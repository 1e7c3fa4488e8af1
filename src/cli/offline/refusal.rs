//! What is wrong with the files of a verb that therefore goes no further, in the lines of `lint`.

use super::lint::{
    check,
    files::{File, Files},
    report::Report,
};
use crate::{
    api::validate::{Finding, Severity},
    cli::{
        exit::CliError,
        render::{paint::Paint, table::UNLIMITED},
    },
    yaml::{Document, Position},
};

/// The errors so far.
#[derive(Debug, Default)]
pub(in crate::cli) struct Refusal {
    report: Report,
}

impl Refusal {
    /// A single error, and why the verb ends with it.
    pub fn one(what: &str, file: &str, at: Position, path: &str, message: String) -> CliError {
        let mut refusal = Refusal::default();
        refusal.add(file, at, path, message);
        refusal.error(what)
    }

    /// The documents of a file; what is not readable is an error.
    pub fn documents(&mut self, reader: &mut Files, file: &File) -> Vec<Document> {
        reader.readable(file, &mut self.report)
    }

    /// An error at a place of a file.
    pub fn add(&mut self, file: &str, at: Position, path: &str, message: String) {
        self.report.add(file, at, Severity::Error, path, message);
    }

    /// The errors among the findings of a document; whether there is none.
    pub fn extend(&mut self, file: &str, document: &Document, found: impl IntoIterator<Item = Finding>) -> bool {
        let before = self.report.findings.len();
        for Finding { path, message, .. } in found.into_iter().filter(|one| one.severity == Severity::Error) {
            self.add(file, document.position(&path), &path, message);
        }
        self.report.findings.len() == before
    }

    /// The errors of documents that belong together, each with the name of its file: the same checks as in `lint`.
    pub fn objects(&mut self, placed: &[(&str, &Document)]) {
        let all: Vec<&Document> = placed.iter().map(|(_, document)| *document).collect();
        for (index, finding) in check::objects(&all) {
            self.extend(placed[index].0, placed[index].1, [finding]);
        }
    }

    /// Ends the verb if there is an error.
    pub fn check(&self, what: &str) -> Result<(), CliError> {
        if self.report.findings.is_empty() { Ok(()) } else { Err(self.error(what)) }
    }

    fn error(&self, what: &str) -> CliError {
        CliError::Failed(format!("{what}:\n{}", self.report.lines(UNLIMITED, Paint { on: false }).trim_end()))
    }
}
