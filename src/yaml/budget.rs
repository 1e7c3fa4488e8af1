//! What is left of the bounds: a [`Budget`] is that of one call of the command line, all its files together; [`Left`] is
//! that of one document.

use super::{
    error::{Position, YamlError},
    limits::{
        CALL_BYTES, CALL_TEXTS, CALL_VALUES, DEEPEST, DOCUMENT_TEXTS, DOCUMENT_VALUES, DOCUMENTS, KEY_BYTES, Limit,
        TEXT_BYTES,
    },
};

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
