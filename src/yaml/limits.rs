//! Limits for untrusted files, in which a small text can expand to a large object.
//!
//! A [`Budget`] is that of one call of the command line: all its files together.

use super::{Position, YamlError};

/// The most bytes of one document. The API server takes objects of 1.5 MiB; a list of them is larger.
pub const DOCUMENT_BYTES: usize = 4 << 20;
/// The most bytes of all files of a call.
pub const CALL_BYTES: usize = 32 << 20;
/// The most documents of a call, the entries of lists among them.
pub const DOCUMENTS: usize = 10_000;
/// How deep maps and lists may be nested. serde_json reads 128 levels, and an object in a list or an answer of the API
/// server is a few levels deeper than in its own file.
pub const DEEPEST: usize = 100;
/// The most bytes of one text.
pub const TEXT_BYTES: usize = 1 << 20;
/// The most bytes of a key. YAML's own limit for a key without `?` is 1024 characters.
pub const KEY_BYTES: usize = 4096;
/// The most values (texts, numbers, lists ...) of one document, with its aliases expanded. A map counts as two, by the
/// memory that it takes.
pub const DOCUMENT_VALUES: usize = 400_000;
/// The most values of a call.
pub const CALL_VALUES: usize = 2_700_000;
/// The most bytes of the strings and keys of one document, with its aliases expanded.
pub const DOCUMENT_TEXTS: usize = 2 * DOCUMENT_BYTES;
/// The most bytes of texts and keys of a call.
pub const CALL_TEXTS: usize = 2 * CALL_BYTES;

/// What a call may still read.
#[derive(Clone, Debug)]
pub struct Budget {
    pub(super) bytes: usize,
    pub(super) documents: usize,
    pub(super) values: usize,
    pub(super) texts: usize,
}

impl Default for Budget {
    fn default() -> Self {
        Budget { bytes: CALL_BYTES, documents: DOCUMENTS, values: CALL_VALUES, texts: CALL_TEXTS }
    }
}

impl Budget {
    /// How many bytes may still be read.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Counts a file's bytes.
    pub(super) fn take_bytes(&mut self, bytes: usize) -> Result<(), YamlError> {
        self.bytes = self.bytes.checked_sub(bytes).ok_or(YamlError::TooLarge)?;
        Ok(())
    }

    /// Counts a document, or entries of a list.
    pub(super) fn take_documents(&mut self, number: usize, at: Position) -> Result<(), YamlError> {
        self.documents = self.documents.checked_sub(number).ok_or(YamlError::TooMany { at })?;
        Ok(())
    }
}

/// What one document may still hold; a count stops the building of its value before memory is taken for it.
#[derive(Debug)]
pub(super) struct Left {
    values: usize,
    texts: usize,
    of_call: bool,
}

/// Why a value is not built.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Limit {
    /// Maps in maps in maps.
    #[error("nests more than {DEEPEST} levels deep, the limit of the controller: flatten it")]
    Depth,
    /// A text.
    #[error("a string has more than {} MiB; move it to a separate file or object", TEXT_BYTES >> 20)]
    Text,
    /// A key.
    #[error("a key has more than {KEY_BYTES} bytes; shorten it")]
    Key,
    /// Values of the document.
    #[error(
        "the document has more than {DOCUMENT_VALUES} values, including expanded aliases; split it, or use fewer aliases"
    )]
    Values,
    /// Texts of the document.
    #[error(
        "the strings of the document have more than {} MiB, including expanded aliases; split it, or use fewer aliases",
        DOCUMENT_TEXTS >> 20
    )]
    Texts,
    /// Values or texts of all files.
    #[error(
        "with this document the files have more than {CALL_VALUES} values or {} MiB of strings, including expanded aliases; check them in several invocations",
        CALL_TEXTS >> 20
    )]
    Call,
}

impl Left {
    /// What the next document of a call may hold.
    pub fn of(budget: &Budget) -> Left {
        let (values, texts) = (budget.values.min(DOCUMENT_VALUES), budget.texts.min(DOCUMENT_TEXTS));
        Left { values, texts, of_call: values < DOCUMENT_VALUES || texts < DOCUMENT_TEXTS }
    }

    /// Takes what the document holds off the call's budget.
    pub fn settle(self, budget: &mut Budget) {
        let before = Left::of(budget);
        budget.values = budget.values.saturating_sub(before.values.saturating_sub(self.values));
        budget.texts = budget.texts.saturating_sub(before.texts.saturating_sub(self.texts));
    }

    /// Counts a value at this depth.
    pub fn value(&mut self, depth: usize) -> Result<(), Limit> {
        if depth > DEEPEST {
            return Err(Limit::Depth);
        }
        self.values = self.values.checked_sub(1).ok_or(self.or_call(Limit::Values))?;
        Ok(())
    }

    /// Counts a map at this depth.
    pub fn map(&mut self, depth: usize) -> Result<(), Limit> {
        self.value(depth)?;
        self.value(depth)
    }

    /// Counts a text.
    pub fn text(&mut self, bytes: usize) -> Result<(), Limit> {
        if bytes > TEXT_BYTES {
            return Err(Limit::Text);
        }
        self.texts(bytes)
    }

    /// Counts a key.
    pub fn key(&mut self, bytes: usize) -> Result<(), Limit> {
        if bytes > KEY_BYTES {
            return Err(Limit::Key);
        }
        self.texts(bytes)
    }

    fn texts(&mut self, bytes: usize) -> Result<(), Limit> {
        self.texts = self.texts.checked_sub(bytes).ok_or(self.or_call(Limit::Texts))?;
        Ok(())
    }

    /// Which of the two bounds it was.
    fn or_call(&self, own: Limit) -> Limit {
        if self.of_call { Limit::Call } else { own }
    }
}
