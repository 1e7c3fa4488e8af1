//! Why a text is not YAML that we take, and where.

use super::limits::{CALL_BYTES, DOCUMENT_BYTES, DOCUMENTS, Limit};

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
    /// The files are too large together.
    #[error("with this file the input exceeds {} MiB; check the files in several invocations", CALL_BYTES >> 20)]
    TooLarge,
    /// A document is too large.
    #[error("the document has {bytes} bytes, more than the limit of {} MiB; split it", DOCUMENT_BYTES >> 20)]
    Long {
        /// Where it begins.
        at: Position,
        /// Its size.
        bytes: usize,
    },
    /// There are too many documents.
    #[error("there are more than {DOCUMENTS} documents and list entries; check the files in several invocations")]
    TooMany {
        /// The first that is not read.
        at: Position,
    },
    /// Too deep, or too much for one object.
    #[error("{limit}")]
    Limit {
        /// Where reading stopped.
        at: Position,
        /// The bound.
        limit: Limit,
    },
    /// The text is not YAML, or passes a bound when its aliases are put in.
    #[error("{message}")]
    Syntax {
        /// Where the reader stopped.
        at: Position,
        /// Its message.
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
            YamlError::Syntax { at, .. }
            | YamlError::Long { at, .. }
            | YamlError::TooMany { at }
            | YamlError::Limit { at, .. } => *at,
            YamlError::TooLarge | YamlError::Shape { .. } | YamlError::Write(_) => Position { line: 1, column: 1 },
        }
    }
}
